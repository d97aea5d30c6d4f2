//! API keys allow exactly the routes of their scopes and economies.

use serde_json::{Value, json};

use crate::support::{GUILD, TestServer, currency, posting};

/// Every route: its method, its path (`…` stands for the economy), the name of its body, and the scope it
/// requires.
const ROUTES: &str = "
    GET … none read
    GET …/quotas none read
    PUT …/quotas none admin
    GET …/assets none read
    GET …/assets/coin none read
    GET …/assets/coin/holders none read
    GET …/accounts/user:1 none read
    GET …/accounts/user:1/statement none read
    GET …/assets/coin/flows none read
    GET …/accounts/user:1/balances?at=1 none read
    GET …/holds none read
    GET …/seeds none read
    GET …/calls/00000000-0000-7000-8000-000000000000 none read
    GET …/accounts/user:1/client-seed none read
    POST …/seeds/rotate none admin
    POST …/plugins/coinflip/rollback none admin
    PUT …/accounts/user:1/client-seed seed call
    GET …/holds/00000000-0000-7000-8000-000000000000 none read
    GET …/transfers/00000000-0000-7000-8000-000000000000 none read
    GET …/events none read
    GET …/plugins none read
    GET …/plugins/coinflip none read
    GET …/plugins/coinflip/revisions none read
    GET …/outcomes/k none read
    PUT …/accounts/user:1 none transfer
    PUT …/accounts/user:1 limit admin
    PUT …/accounts/user:1 status admin
    POST …/transfers none transfer
    POST …/transfers/batch none transfer
    POST …/transfers/00000000-0000-7000-8000-000000000000/reverse none transfer
    POST …/holds none transfer
    POST …/holds/00000000-0000-7000-8000-000000000000/capture none transfer
    POST …/holds/00000000-0000-7000-8000-000000000000/release none transfer
    POST …/issue issue issue
    POST …/burn issue issue
    POST …/plugins/coinflip/actions/flip flip call
    PUT …/assets/coin none admin
    PUT …/plugins/coinflip none admin
    PUT … none admin
    GET …/webhooks none admin
    GET …/webhooks/w none admin
    GET …/webhooks/w/dead-letters none admin
    PUT …/webhooks/w none admin
    PUT …/webhooks/w/secret none admin
    POST …/webhooks/w/replay none admin
    DELETE …/webhooks/w none admin
    GET …/audit none admin
    GET …/export none admin
    GET /v1/audit none admin
    GET /v1/keys none admin
    PUT /v1/keys/x none admin
    PUT /v1/keys/x/secret none admin
    POST /v1/keys/y none admin
    GET /v1/components none admin
    POST /v1/components none admin";

/// Returns the routes as method, path, body and scope.
fn routes() -> Vec<(&'static str, String, Value, &'static str)> {
    let body = |name: &str| match name {
        "limit" => json!({"credit_limit": {"coin": 5}}),
        "status" => json!({"status": "open"}),
        "issue" => json!({"account": "user:1", "asset": "coin", "amount": 1}),
        "flip" => json!({"caller": "user:1", "arguments": {"stake": 1, "side": "heads"}}),
        "seed" => json!({"client_seed": "luck"}),
        _none => json!({}),
    };
    let lines = ROUTES
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .map(|line| match *line.split(' ').collect::<Vec<_>>() {
            [method, path, name, scope] => (method, path.replace('…', GUILD), body(name), scope),
            _ => panic!("{line}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_requires_its_scope() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    let routes = routes();
    for scope in ["read", "transfer", "call", "issue", "admin"] {
        let created = guild
            .put(
                &format!("/v1/keys/only-{scope}"),
                json!({"scopes": [scope]}),
            )
            .await;
        let key = created.json()["key"].as_str().unwrap().to_owned();
        for (number, (method, path, body, needs)) in routes.iter().enumerate() {
            let idempotency = format!("{scope} {number}");
            let key_header = (*method == "POST").then_some(idempotency.as_str());
            let mut client = server.client(&key);
            let sent = client.send(method, path, key_header, body.to_string().into());
            let status = sent.await.unwrap().status.as_u16();
            let allowed = scope == *needs || scope == "admin";
            assert_eq!(status != 403, allowed, "{scope} {method} {path}: {status}");
        }
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_valid_key_are_unauthorized() {
    let (server, _guild) = TestServer::with_guild(1).await;
    let wrong_secret = format!("bursar_admin_{}", "0".repeat(64));
    for key in ["", "nonsense", &wrong_secret, "bursar_unknown_00"] {
        let response = server.client(key).get(GUILD).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), response.code()),
            (401, "unauthorized".into()),
            "{key}"
        );
    }
    assert_eq!(server.client("").get("/healthz").await.unwrap().status, 200);
    assert_eq!(server.client("").get("/readyz").await.unwrap().status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_economy_cannot_see_whether_another_exists() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild.put_ok("/v1/economies/other", json!({})).await;
    guild
        .put_ok("/v1/economies/other/assets/coin", currency())
        .await;
    let scopes = json!(["read", "transfer", "call", "issue"]);
    let key = guild
        .put(
            "/v1/keys/bot",
            json!({"scopes": scopes, "economies": ["guild"]}),
        )
        .await;
    let key = key.json()["key"].as_str().unwrap().to_owned();
    for path in ["/v1/economies/other", "/v1/economies/none"] {
        let response = server.client(&key).get(path).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), response.code()),
            (404, "economy_not_found".into())
        );
    }
    let foreign = server
        .client(&key)
        .post(
            "/v1/economies/other/transfers",
            "k",
            &posting("user:1", "user:2", 1),
        )
        .await
        .unwrap();
    assert_eq!(foreign.code(), "economy_not_found");
    let seen = server
        .client(&key)
        .get("/v1/economies")
        .await
        .unwrap()
        .json();
    assert_eq!(seen["economies"].as_array().unwrap().len(), 1);
    // An idempotency key is separate in each economy.
    guild.transfer("k", "user:1", "user:404", 1).await;
    let there = guild
        .client
        .post(
            "/v1/economies/other/transfers",
            "k",
            &posting("user:1", "user:2", 1),
        )
        .await
        .unwrap();
    assert!(!there.replayed);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_cannot_use_the_servers_own_economy() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let refused = guild
        .put("/v1/economies/system/assets/coin", currency())
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "forbidden".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_key_is_shown_once_and_never_stored() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let first = guild
        .put("/v1/keys/bot", json!({"scopes": ["read"]}))
        .await
        .json();
    let key = first["key"].as_str().unwrap().to_owned();
    let again = guild
        .put("/v1/keys/bot", json!({"scopes": ["read"]}))
        .await
        .json();
    assert_eq!(again.get("key"), None);
    assert!(
        !guild
            .get("/v1/keys")
            .await
            .json()
            .to_string()
            .contains("secret")
    );
    let secrets = [key, server.admin_key.clone()];
    let file = server.file();
    assert_eq!(
        server.client(&secrets[0]).get(GUILD).await.unwrap().status,
        200
    );
    for suffix in ["", "-wal"] {
        let mut path = file.clone().into_os_string();
        path.push(suffix);
        let bytes = std::fs::read(path).unwrap();
        for secret in &secrets {
            let secret = secret.rsplit_once('_').unwrap().1.as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_key_of_one_economy_cannot_administer_the_server() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let bound = json!({"scopes": ["admin"], "economies": ["guild"]});
    let key = guild.put("/v1/keys/mayor", bound).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut mayor = server.client(&key);
    assert_eq!(
        mayor
            .put(&format!("{GUILD}/assets/gem"), &currency())
            .await
            .unwrap()
            .status,
        201
    );
    let everything = json!({"scopes": ["admin"]});
    let refused = [
        mayor.put("/v1/keys/mayor", &everything).await,
        mayor.put("/v1/keys/other", &everything).await,
        mayor.get("/v1/keys").await,
        mayor.get("/v1/components").await,
        mayor
            .send("POST", "/v1/components", None, bytes::Bytes::new())
            .await,
        mayor.get("/v1/audit").await,
        mayor.get(&format!("{GUILD}/audit")).await,
    ];
    for response in refused {
        assert_eq!(response.unwrap().code(), "forbidden");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_the_server_uses_are_refused_for_keys() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    for name in ["owner", "bursar"] {
        let refused = guild
            .put(&format!("/v1/keys/{name}"), json!({"scopes": ["read"]}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_revoking_and_restoring_a_key_take_effect_immediately() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let bound = json!({"scopes": ["read"], "economies": ["guild"]});
    let secret = |response: Value| response["key"].as_str().unwrap().to_owned();
    let first = secret(guild.put("/v1/keys/bot", bound).await.json());
    let second = secret(guild.put("/v1/keys/bot/secret", json!({})).await.json());
    assert_ne!(first, second);
    let status = async |key: &str| server.client(key).get(GUILD).await.unwrap().status.as_u16();
    assert_eq!((status(&first).await, status(&second).await), (401, 200));

    let revoked = guild
        .put("/v1/keys/bot", json!({"revoked": true}))
        .await
        .json();
    assert_eq!(revoked.get("key"), None);
    assert_eq!(status(&second).await, 401);
    let listed = guild.get("/v1/keys").await.json();
    let bot = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == "bot")
        .unwrap();
    assert_eq!(
        (&bot["revoked"], &bot["economies"]),
        (&json!(true), &json!(["guild"]))
    );

    guild
        .put_ok("/v1/keys/bot", json!({"revoked": false}))
        .await;
    assert_eq!(status(&second).await, 200);
    let none = guild.put("/v1/keys/unknown/secret", json!({})).await;
    assert_eq!(
        (none.status.as_u16(), none.code()),
        (404, "key_not_found".into())
    );
    let incomplete = guild
        .put("/v1/keys/unknown", json!({"revoked": true}))
        .await;
    assert_eq!(
        (incomplete.status.as_u16(), incomplete.code()),
        (422, "key_incomplete".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_of_a_key_changes_only_the_members_it_names() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let bound = json!({"scopes": ["read"], "economies": ["guild"]});
    guild.put_ok("/v1/keys/bot", bound).await;
    let more = guild
        .put("/v1/keys/bot", json!({"scopes": ["read", "call"]}))
        .await
        .json();
    assert_eq!(
        more["economies"],
        json!(["guild"]),
        "an absent member keeps its value"
    );
    let everywhere = guild
        .put("/v1/keys/bot", json!({"economies": null}))
        .await
        .json();
    assert_eq!(everywhere.get("economies"), None);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_key_is_not_created_again() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let body = json!({"scopes": ["read"]});
    let created = guild
        .client
        .send("POST", "/v1/keys/bot", None, body.to_string().into())
        .await;
    assert_eq!(created.unwrap().status, 201);
    let everything = json!({"scopes": ["admin"]}).to_string();
    let refused = guild
        .client
        .send("POST", "/v1/keys/bot", None, everything.into())
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "key_exists".into())
    );
    let listed = guild.get("/v1/keys").await.json();
    let bot = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == "bot")
        .unwrap();
    assert_eq!(bot["scopes"], json!(["read"]));
    guild.put_ok("/v1/keys/bot", json!({"revoked": true})).await;
    let refused = guild.put("/v1/keys/bot/secret", json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "key_revoked".into())
    );
    server.close().await;
}

/// The key is valid when the head of the request arrives and revoked before the body is complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_the_body_arrives_moves_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use crate::wait::TIMEOUT;

    let (server, mut guild) = TestServer::with_guild(2).await;
    let created = guild
        .put("/v1/keys/bot", json!({"scopes": ["transfer"]}))
        .await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let body = posting("user:1", "user:2", 999).to_string();
    let mut slow = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let head = format!(
        "POST {GUILD}/transfers HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer {key}\r\n\
         idempotency-key: slow\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server sends 100 Continue after it has checked the head and the key in it.
    let mut interim = [0; 25];
    let read = timeout(TIMEOUT, slow.read_exact(&mut interim)).await;
    read.expect("the server sends 100 Continue").unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(&body.as_bytes()[..5]).await.unwrap();
    guild.put_ok("/v1/keys/bot", json!({"revoked": true})).await;
    slow.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut response = String::new();
    slow.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 401"), "{response}");
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}
