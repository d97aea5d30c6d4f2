//! The index of the API states the limits, pages and links that the server has.

use serde_json::{Value, json};

use crate::openapi::{operations, with_example_parameters};
use crate::support::{GUILD, TestServer, posting};

async fn index(server: &TestServer) -> Value {
    let read = server.client("").get("/v1").await.unwrap();
    assert_eq!(read.status, 200);
    read.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_public_and_its_links_are_routes() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let index = index(&server).await;
    let health = guild.get("/healthz").await.json();
    assert_eq!(index["version"], health["version"]);
    for (name, path) in index["links"].as_object().unwrap() {
        let path = path.as_str().unwrap().replace("{economy}", "guild");
        let path = path.replace("{account}", "user:1");
        let found = guild.client.send("GET", &path, None, "".into()).await;
        let status = found.unwrap().status.as_u16();
        // Transfers are created there; they are listed by statements and events.
        let expected = if name == "transfers" { 405 } else { 200 };
        assert_eq!(status, expected, "{name}: {path}");
    }
    let quotas = guild.get(&format!("{GUILD}/quotas")).await.json();
    for (name, quota) in quotas["quotas"].as_object().unwrap() {
        let bounds = json!({"default": quota["default"], "max": quota["max"]});
        assert_eq!(index["quotas"][name], bounds, "{name}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_states_the_sizes_of_all_pages() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin"});
    guild.install("shop", "bundled:coinflip", config).await;
    let index = index(&server).await;
    let document = bursar_server::http::openapi();
    let mut lists = 0;
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        let description = operation["description"].as_str().unwrap();
        let sizes = &index["pages"][name];
        let is_list = name.starts_with("list_") || name == "get_statement";
        let is_whole = description.contains("The list is not divided into pages: ");
        assert_eq!(is_list, is_whole || sizes.is_object(), "{method} {path}");
        assert!(!(is_whole && sizes.is_object()), "{name}");
        let Some(max) = sizes["max"].as_u64() else {
            continue;
        };
        lists += 1;
        let (_, sentence) = description
            .split_once(&format!("One answer has at most {max} "))
            .unwrap();
        assert!(sentence.contains(&format!("which is {} by default", sizes["default"])));
        let (_, parameter) = sentence.split_once('`').unwrap();
        let (parameter, _) = parameter.split_once('`').unwrap();
        let path = with_example_parameters(&path, &operation);
        for (size, status) in [(max, 200), (max + 1, 400)] {
            let path = format!("{path}?{parameter}={size}");
            assert_eq!(guild.get(&path).await.status, status, "{path}");
        }
    }
    assert_eq!(lists, index["pages"].as_object().unwrap().len());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_states_the_limits_of_requests() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let limits = index(&server).await["limits"].clone();
    let size = |name: &str| usize::try_from(limits[name].as_u64().unwrap()).unwrap();
    let text = |chars: usize| json!("m".repeat(chars));
    // An object with one member `a` has eight bytes besides the text.
    let object = |bytes: usize| json!({"a": "m".repeat(bytes - 8)});
    for (member, limit) in [
        ("memo", "memo_characters"),
        ("reference", "reference_characters"),
        ("metadata", "transfer_metadata_bytes"),
    ] {
        for beyond in [0, 1] {
            let mut body = posting("user:1", "user:2", 1);
            let most = size(limit) + beyond;
            body[member] = if member == "metadata" {
                object(most)
            } else {
                text(most)
            };
            let key = format!("{member} {beyond}");
            let made = guild.post("transfers", &key, body).await;
            let expected = if beyond == 0 { 201 } else { 400 };
            assert_eq!(made.status, expected, "{member}: {}", made.json());
        }
    }
    for beyond in [0, 1] {
        let mut body = posting("user:1", "user:2", 1);
        let one = body["postings"][0].clone();
        body["postings"] = vec![one; size("transfer_postings") + beyond].into();
        let made = guild
            .post("transfers", &format!("many {beyond}"), body)
            .await;
        assert_eq!(made.status == 201, beyond == 0, "{}", made.json());
        let key = "k".repeat(size("idempotency_key_characters") + beyond);
        let made = guild.transfer(&key, "user:1", "user:2", 1).await;
        assert_eq!(made.status == 201, beyond == 0, "{}", made.json());
        let account = format!(
            "{GUILD}/accounts/{}",
            limit_name(size("name_characters") + beyond)
        );
        let opened = guild.put(&account, json!({})).await;
        assert_eq!(opened.status == 201, beyond == 0, "{}", opened.json());
        let metadata = json!({"metadata": object(size("metadata_bytes") + beyond)});
        let set = guild
            .put(&format!("{GUILD}/accounts/user:1"), metadata)
            .await;
        assert_eq!(set.status == 200, beyond == 0, "{}", set.json());
    }
    server.close().await;
}

/// Returns a name of this many characters, in segments of at most 64.
fn limit_name(chars: usize) -> String {
    let first = "a".repeat(63);
    let second = "b".repeat(63);
    let rest = "c".repeat(chars.saturating_sub(128));
    let colon = if rest.is_empty() { "" } else { ":" };
    let name = format!("{first}:{second}{colon}{rest}");
    format!("{name}{}", "d".repeat(chars.saturating_sub(name.len())))
}
