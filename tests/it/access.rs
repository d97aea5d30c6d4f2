//! Keys open what they name and nothing else.

use serde_json::{Value, json};

use crate::support::{GUILD, House, currency, posting};

/// Every route: its method, its path (`…` stands for the guild), which body, and the scope that it
/// asks for.
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

/// The routes as method, path, body and scope.
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
async fn every_route_asks_for_its_scope() {
    let (house, mut guild) = House::with_guild(1).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    let routes = routes();
    for scope in ["read", "transfer", "call", "issue", "admin"] {
        let made = guild
            .put(
                &format!("/v1/keys/only-{scope}"),
                json!({"scopes": [scope]}),
            )
            .await;
        let key = made.json()["key"].as_str().unwrap().to_owned();
        for (number, (method, path, body, needs)) in routes.iter().enumerate() {
            let idempotency = format!("{scope} {number}");
            let key_header = (*method == "POST").then_some(idempotency.as_str());
            let mut client = house.client(&key);
            let sent = client.send(method, path, key_header, body.to_string().into());
            let status = sent.await.unwrap().status.as_u16();
            let allowed = scope == *needs || scope == "admin";
            assert_eq!(status != 403, allowed, "{scope} {method} {path}: {status}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_there_is_nothing() {
    let (house, _guild) = House::with_guild(1).await;
    let wrong_secret = format!("bursar_admin_{}", "0".repeat(64));
    for key in ["", "nonsense", &wrong_secret, "bursar_nobody_00"] {
        let answer = house.client(key).get(GUILD).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (401, "unauthorized".into()),
            "{key}"
        );
    }
    assert_eq!(house.client("").get("/healthz").await.unwrap().status, 200);
    assert_eq!(house.client("").get("/readyz").await.unwrap().status, 200);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_economy_cannot_tell_that_another_exists() {
    let (house, mut guild) = House::with_guild(1).await;
    guild.made("/v1/economies/other", json!({})).await;
    guild
        .made("/v1/economies/other/assets/coin", currency())
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
        let answer = house.client(&key).get(path).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, "economy_not_found".into())
        );
    }
    let foreign = house
        .client(&key)
        .post(
            "/v1/economies/other/transfers",
            "k",
            &posting("user:1", "user:2", 1),
        )
        .await
        .unwrap();
    assert_eq!(foreign.code(), "economy_not_found");
    let seen = house
        .client(&key)
        .get("/v1/economies")
        .await
        .unwrap()
        .json();
    assert_eq!(seen["economies"].as_array().unwrap().len(), 1);
    // The same idempotency key in two economies is two keys.
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_economy_is_closed_to_clients() {
    let (house, mut guild) = House::with_guild(1).await;
    let asked = guild
        .put("/v1/economies/system/assets/coin", currency())
        .await;
    assert_eq!(
        (asked.status.as_u16(), asked.code()),
        (403, "forbidden".into())
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_key_is_shown_once_and_never_written() {
    let (house, mut guild) = House::with_guild(1).await;
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
    let (secrets, file) = ([key, house.admin_key.clone()], house.file());
    assert_eq!(
        house.client(&secrets[0]).get(GUILD).await.unwrap().status,
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_one_economy_has_no_say_over_the_server() {
    let (house, mut guild) = House::with_guild(1).await;
    let bound = json!({"scopes": ["admin"], "economies": ["guild"]});
    let key = guild.put("/v1/keys/mayor", bound).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut mayor = house.client(&key);
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
    for answer in refused {
        assert_eq!(answer.unwrap().code(), "forbidden");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journals_own_names_are_no_names_for_keys() {
    let (house, mut guild) = House::with_guild(1).await;
    for name in ["owner", "bursar"] {
        let refused = guild
            .put(&format!("/v1/keys/{name}"), json!({"scopes": ["read"]}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_revoked_and_given_back_at_once() {
    let (house, mut guild) = House::with_guild(1).await;
    let bound = json!({"scopes": ["read"], "economies": ["guild"]});
    let secret = |answer: Value| answer["key"].as_str().unwrap().to_owned();
    let first = secret(guild.put("/v1/keys/bot", bound).await.json());
    let second = secret(guild.put("/v1/keys/bot/secret", json!({})).await.json());
    assert_ne!(first, second);
    let status = async |key: &str| house.client(key).get(GUILD).await.unwrap().status.as_u16();
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

    guild.made("/v1/keys/bot", json!({"revoked": false})).await;
    assert_eq!(status(&second).await, 200);
    let none = guild.put("/v1/keys/nobody/secret", json!({})).await;
    assert_eq!(
        (none.status.as_u16(), none.code()),
        (404, "key_not_found".into())
    );
    let incomplete = guild.put("/v1/keys/nobody", json!({"revoked": true})).await;
    assert_eq!(
        (incomplete.status.as_u16(), incomplete.code()),
        (422, "key_incomplete".into())
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_of_a_key_widens_it_only_when_told() {
    let (house, mut guild) = House::with_guild(1).await;
    let bound = json!({"scopes": ["read"], "economies": ["guild"]});
    guild.made("/v1/keys/bot", bound).await;
    let more = guild
        .put("/v1/keys/bot", json!({"scopes": ["read", "call"]}))
        .await
        .json();
    assert_eq!(more["economies"], json!(["guild"]), "what is absent stays");
    let everywhere = guild
        .put("/v1/keys/bot", json!({"economies": null}))
        .await
        .json();
    assert_eq!(everywhere.get("economies"), None);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_there_is_not_made_again() {
    let (house, mut guild) = House::with_guild(1).await;
    let body = json!({"scopes": ["read"]});
    let made = guild
        .client
        .send("POST", "/v1/keys/bot", None, body.to_string().into())
        .await;
    assert_eq!(made.unwrap().status, 201);
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
    guild.made("/v1/keys/bot", json!({"revoked": true})).await;
    let refused = guild.put("/v1/keys/bot/secret", json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "key_revoked".into())
    );
    house.close().await;
}

/// The head of a request comes in with a key that is good; its body takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_the_body_arrives_moves_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use crate::patience::PATIENCE;

    let (house, mut guild) = House::with_guild(2).await;
    let made = guild
        .put("/v1/keys/bot", json!({"scopes": ["transfer"]}))
        .await;
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let body = posting("user:1", "user:2", 999).to_string();
    let mut slow = tokio::net::TcpStream::connect(house.address())
        .await
        .unwrap();
    let head = format!(
        "POST {GUILD}/transfers HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer {key}\r\n\
         idempotency-key: slow\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for a body when it has looked at the head, and at the key in it.
    let mut go_on = [0; 25];
    let asked = timeout(PATIENCE, slow.read_exact(&mut go_on)).await;
    asked.expect("the server asks for the body").unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(&body.as_bytes()[..5]).await.unwrap();
    guild.made("/v1/keys/bot", json!({"revoked": true})).await;
    slow.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    house.close().await;
}
