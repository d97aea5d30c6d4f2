//! Quotas: the growth of an economy ends at its quotas and continues below them, and only an unrestricted
//! admin raises them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes};

fn quotas() -> String {
    format!("{GUILD}/quotas")
}

fn account(number: u64) -> String {
    format!("{GUILD}/accounts/user:{number}")
}

/// Returns the status, the quota, its limit and the use in a response.
fn reached(response: &Response) -> (u16, Value, Value, Value) {
    let body = response.json();
    assert_eq!(body["code"], "quota_reached", "{body}");
    let member = |name: &str| body[name].clone();
    let status = response.status.as_u16();
    (status, member("quota"), member("limit"), member("used"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_grows_up_to_its_quota_and_no_further() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let scopes = json!({"scopes": ["read", "transfer"], "economies": ["guild"]});
    let mut bot = guild.create_key(&server, "bot", scopes).await;
    // Two members and the issuer exist; `{"name":"Ada"}` has 14 bytes.
    let limits = json!({"accounts": 4, "metadata_bytes": 14});
    let set = guild.put(&quotas(), limits.clone()).await;
    let body = set.json();
    assert_eq!((set.status.as_u16(), &body["changed"]), (200, &json!(true)));
    assert_eq!(body["quotas"]["accounts"]["limit"], 4);
    let again = guild.put(&quotas(), limits).await.json();
    assert_eq!(again["changed"], false);

    let named = json!({"metadata": {"name": "Ada"}});
    assert_eq!(bot.put(&account(3), &named).await.unwrap().status, 201);
    let beyond = bot.put(&account(4), &json!({})).await.unwrap();
    assert_eq!(
        reached(&beyond),
        (422, json!("accounts"), json!(4), json!(4))
    );
    assert_eq!(beyond.json()["retry"], "new_key");
    let more = bot.put(&account(1), &named).await.unwrap();
    assert_eq!(
        reached(&more),
        (422, json!("metadata_bytes"), json!(14), json!(14))
    );

    // Requests that do not grow the economy still work, and removed metadata frees its bytes.
    let paid = guild.transfer("pay", "user:1", "user:2", 5).await;
    assert_eq!(paid.status, 201);
    let cleared = json!({"metadata": null});
    assert_eq!(bot.put(&account(3), &cleared).await.unwrap().status, 200);
    assert_eq!(bot.put(&account(1), &named).await.unwrap().status, 200);
    let read = bot.get(&quotas()).await.unwrap().json();
    let of = |quota: &str| {
        let quota = &read["quotas"][quota];
        (quota["used"].clone(), quota["limit"].clone())
    };
    assert_eq!(of("accounts"), (json!(4), json!(4)));
    assert_eq!(of("metadata_bytes"), (json!(14), json!(14)));
    // Three accounts have a coin balance; the newest never had one.
    assert_eq!(of("balances"), (json!(3), json!(1_000_000)));
    assert_eq!(read["quotas"]["accounts"]["default"], 250_000);

    let raised = guild.put(&quotas(), json!({"accounts": null})).await;
    assert_eq!(raised.json()["quotas"]["accounts"]["limit"], 250_000);
    assert_eq!(bot.put(&account(4), &json!({})).await.unwrap().status, 201);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_unrestricted_admin_key_can_raise_a_quota() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    for (name, body) in [
        (
            "confined",
            json!({"scopes": ["admin"], "economies": ["guild"]}),
        ),
        (
            "bot",
            json!({"scopes": ["read", "transfer", "call", "issue"]}),
        ),
    ] {
        let mut client = guild.create_key(&server, name, body).await;
        let raised = client
            .put(&quotas(), &json!({"accounts": 500_000}))
            .await
            .unwrap();
        assert_eq!(
            (raised.status.as_u16(), raised.code()),
            (403, "forbidden".into()),
            "{name}"
        );
        assert_eq!(client.get(&quotas()).await.unwrap().status, 200, "{name}");
    }
    let mut operator = guild
        .create_key(&server, "boss", json!({"scopes": ["admin"]}))
        .await;
    let raised = operator
        .put(&quotas(), &json!({"accounts": 500_000}))
        .await
        .unwrap();
    assert_eq!(raised.json()["quotas"]["accounts"]["limit"], 500_000);
    let lower = json!({"holds": 1});
    let nowhere = operator.put("/v1/economies/nowhere/quotas", &lower);
    assert_eq!(nowhere.await.unwrap().code(), "economy_not_found");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_quotas_are_refused_with_the_reason() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    for (body, pointer, expected) in [
        (
            json!({"acounts": 5}),
            "/acounts",
            "did you mean `accounts`?",
        ),
        (
            json!({"accounts": 20_000_001_u64}),
            "/accounts",
            "can be raised to 20000000",
        ),
        (json!({"holds": -1}), "/holds", "invalid value"),
        (json!({"holds": "many"}), "/holds", "invalid type"),
        (json!([]), "", ""),
    ] {
        let refused = guild.put(&quotas(), body.clone()).await;
        let problem = refused.json();
        assert_eq!(
            (refused.status.as_u16(), &*refused.code()),
            (400, "malformed")
        );
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{body}: {problem}");
    }
    let nothing = guild.put(&quotas(), json!({})).await.json();
    assert_eq!(nothing["changed"], false);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_reaches_a_quota_is_rejected_with_its_own_code() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let config = json!({"asset": "coin", "amount": 10});
    guild.install("daily", "bundled:daily", config).await;
    guild.issue("plugin:daily", "coin", 100).await;
    guild.put_ok(&quotas(), json!({"state_bytes": 0})).await;

    let refused = guild
        .call("daily/claim", "first", "user:1", json!({}))
        .await;
    assert_eq!(
        reached(&refused),
        (422, json!("state_bytes"), json!(0), json!(0))
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1000, "nothing moved");
    let call = refused.json()["call"].as_str().unwrap().to_owned();
    let receipt = guild.get(&format!("{GUILD}/calls/{call}")).await.json();
    assert_eq!(receipt["outcome"], "rejected");

    // After the quota is raised the same key replays its rejection, and another key gets the reward.
    guild.put_ok(&quotas(), json!({"state_bytes": null})).await;
    let replayed = guild
        .call("daily/claim", "first", "user:1", json!({}))
        .await;
    assert!(replayed.replayed && replayed.body == refused.body);
    let claimed = guild
        .call("daily/claim", "second", "user:1", json!({}))
        .await;
    assert_eq!(claimed.status, 200, "{}", claimed.json());
    let used = guild.get(&quotas()).await.json()["quotas"]["state_bytes"]["used"].clone();
    assert!(used.as_u64() > Some(128), "{used}");

    guild
        .put_ok(&quotas(), json!({"plugins": 1, "balances": 0}))
        .await;
    let body = json!({"component": "bundled:coinflip", "config": {"asset": "coin"}});
    let second = guild.put(&format!("{GUILD}/plugins/coinflip"), body).await;
    assert_eq!(
        reached(&second),
        (422, json!("plugins"), json!(1), json!(1))
    );
    guild.put_ok(&account(3), json!({})).await;
    let paid = guild.transfer("new balance", "user:1", "user:3", 1).await;
    assert_eq!(reached(&paid).1, "balances");
    let paid = guild.transfer("old balance", "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_kept_across_a_restart() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let metadata = json!({"metadata": {"name": "Ada"}});
    guild.put_ok(&account(1), metadata).await;
    guild
        .put_ok(&quotas(), json!({"accounts": 2, "webhooks": 0}))
        .await;
    let before = guild.get(&quotas()).await.json();
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    assert_eq!(guild.get(&quotas()).await.json(), before);
    let refused = guild.put(&account(2), json!({})).await;
    assert_eq!(reached(&refused).1, "accounts");
    let url = json!({"url": "https://bot.example/events"});
    let refused = guild.put(&format!("{GUILD}/webhooks/w"), url).await;
    assert_eq!(reached(&refused).1, "webhooks");
    server.close().await;
}

fn bursar(arguments: &[&str], lines: Option<&Path>) -> Output {
    let input = lines.map_or(Stdio::null(), |path| File::open(path).unwrap().into());
    let mut command = Command::new(binary());
    command.args(arguments).stdin(input).output().unwrap()
}

fn stdout_of(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns a quota's use and limit from the printed table.
fn row(table: &str, quota: &str) -> (String, String) {
    let line = table.lines().find(|line| line.starts_with(quota)).unwrap();
    let expected: Vec<&str> = line.split_whitespace().collect();
    (expected[1].into(), expected[2].into())
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_set_on_the_command_line_and_exported_with_their_economy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let db = file.to_str().unwrap();
    let server = ServerProcess::serve(&file);
    let mut client = server.client(server.admin_key.as_deref().unwrap());
    client.put(GUILD, &json!({})).await.unwrap();
    client.put(&account(1), &json!({})).await.unwrap();
    let quota = |arguments: &[&str]| {
        let mut all = vec!["quota", arguments[0], "--db", db, "--economy", "guild"];
        all.extend(&arguments[1..]);
        bursar(&all, None)
    };

    let shown = stdout_of(&quota(&["set", "accounts=2", "holds=7"]));
    assert_eq!(row(&shown, "accounts"), ("1".into(), "2".into()));
    client.put(&account(2), &json!({})).await.unwrap();
    let refused = client.put(&account(3), &json!({})).await.unwrap();
    assert_eq!(reached(&refused).1, "accounts");
    assert!(server.stop());

    // The commands work on a file that is not served as well.
    let shown = stdout_of(&quota(&["show"]));
    assert_eq!(row(&shown, "accounts"), ("2".into(), "2".into()));
    let shown = stdout_of(&quota(&["set", "accounts=default"]));
    assert_eq!(row(&shown, "accounts").1, "250000");
    for (arguments, expected) in [
        (&["set", "acounts=5"][..], "did you mean `accounts`?"),
        (&["set", "accounts=many"], "a whole number or `default`"),
        (
            &["set", "accounts=99999999999"],
            "can be raised to 20000000",
        ),
        (&["set", "accounts"], "accounts=500000"),
        (&["set", "holds=1", "holds=2"], "named twice"),
    ] {
        let refused = quota(arguments);
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && complaint.contains(expected),
            "{complaint}"
        );
    }
    let nowhere = bursar(&["quota", "show", "--db", db, "--economy", "nowhere"], None);
    let complaint = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(complaint.contains("no economy `nowhere`"), "{complaint}");

    let exported = stdout_of(&bursar(&["export", db, "--economy", "guild"], None));
    let lines = folder.path().join("guild.lines");
    std::fs::write(&lines, exported).unwrap();
    let other = folder.path().join("other.db");
    let other = other.to_str().unwrap();
    stdout_of(&bursar(&["import", other], Some(&lines)));
    let show = ["quota", "show", "--db", other, "--economy", "guild"];
    let shown = stdout_of(&bursar(&show, None));
    assert_eq!(row(&shown, "holds").1, "7");
    assert_eq!(row(&shown, "accounts"), ("2".into(), "250000".into()));
    assert_audit_passes(&file);
    assert_audit_passes(Path::new(other));
}
