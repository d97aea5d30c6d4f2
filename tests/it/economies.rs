//! Economies as a whole: freezing, closing, separation from each other, and flows.

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, currency};

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_economy_is_read_and_moves_nothing() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5, "expires_in_s": 60,
    });
    let hold = guild.post("holds", "hold", hold).await.json();
    let hold = hold["id"].as_str().unwrap().to_owned();
    let frozen = guild.put(GUILD, json!({"status": "frozen"})).await;
    assert_eq!(frozen.status, 200);
    assert_eq!(
        (&frozen.json()["status"], &frozen.json()["changed"]),
        (&json!("frozen"), &json!(true))
    );
    let again = guild.put(GUILD, json!({"status": "frozen"})).await;
    assert_eq!(again.json()["changed"], false);
    assert_eq!(guild.put(GUILD, json!({})).await.json()["status"], "frozen");
    let refused = guild.transfer("k", "user:1", "user:2", 1).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "economy_frozen".into())
    );
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    assert_eq!(guild.get(GUILD).await.json()["status"], "frozen");
    let released = guild
        .post(&format!("holds/{hold}/release"), "release", json!({}))
        .await;
    assert_eq!(released.status, 200);
    guild.put_ok(GUILD, json!({"status": "open"})).await;
    assert_eq!(
        guild.transfer("k2", "user:1", "user:2", 1).await.status,
        201
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_without_open_holds_can_be_closed_for_ever() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5, "expires_in_s": 60,
    });
    let hold = guild.post("holds", "hold", hold).await.json();
    let waits = guild.put(GUILD, json!({"status": "closed"})).await;
    assert_eq!(
        (waits.status.as_u16(), waits.code()),
        (409, "holds_open".into())
    );
    let release = format!("holds/{}/release", hold["id"].as_str().unwrap());
    guild.post(&release, "release", json!({})).await;
    guild.put_ok(GUILD, json!({"status": "closed"})).await;
    let opened = guild.put(GUILD, json!({"status": "open"})).await;
    assert_eq!(
        (opened.status.as_u16(), opened.code()),
        (422, "economy_closed".into())
    );
    let refused = guild.transfer("k", "user:1", "user:2", 1).await;
    assert_eq!(refused.code(), "economy_closed");
    let statement = guild
        .get(&format!("{GUILD}/accounts/user:1/statement"))
        .await;
    assert_eq!(statement.status, 200, "its history stays readable");
    let wrong = guild.put(GUILD, json!({"status": "gone"})).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["pointer"]),
        (400, &json!("/status"))
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_listed_by_asset_day_and_plugin() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let body = json!({"account": "user:1", "asset": "coin", "amount": 100});
    assert_eq!(guild.post("burn", "burn", body).await.status, 201);
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    let flows = guild
        .get(&format!("{GUILD}/assets/coin/flows?days=2"))
        .await;
    assert_eq!(flows.status, 200, "{}", flows.json());
    let flows = flows.json();
    assert_eq!(flows["supply"], 900);
    let sum = |member: &str| {
        let flows = flows["flows"].as_array().unwrap().iter();
        flows
            .map(|flow| flow[member].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((sum("issued"), sum("burned")), (1000, 100));
    assert_eq!(flows["flows"][0]["plugin"], Value::Null);
    let starts = flows["flows"][0]["day_starts_at"].as_u64().unwrap();
    assert_eq!(starts % 86_400_000, 0);
    for (query, status) in [("days=0", 400), ("days=367", 400), ("days=366", 200)] {
        let response = guild
            .get(&format!("{GUILD}/assets/coin/flows?{query}"))
            .await;
        assert_eq!(response.status, status, "{query}");
    }
    server.close().await;
}

/// Creates another economy and an admin key restricted to it.
async fn neighbour(guild: &mut GuildClient) -> String {
    let other = "/v1/economies/other";
    guild.put_ok(other, json!({})).await;
    guild
        .put_ok(&format!("{other}/assets/coin"), currency())
        .await;
    for member in ["user:1", "user:2"] {
        let account = format!("{other}/accounts/{member}");
        guild.put_ok(&account, json!({})).await;
    }
    let scopes = json!({"scopes": ["admin"], "economies": ["other"]});
    let key = guild.put("/v1/keys/neighbour", scopes).await.json();
    key["key"].as_str().unwrap().to_owned()
}

/// Sends requests about the first economy with a key of the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_economy_cannot_read_or_change_another() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5, "expires_in_s": 60,
    });
    let hold = guild.post("holds", "hold", hold).await.json();
    let hold = hold["id"].as_str().unwrap();
    let transfer = guild.transfer("t", "user:1", "user:2", 1).await.json();
    let transfer = transfer["id"].as_str().unwrap();
    let other = "/v1/economies/other";
    let key = neighbour(&mut guild).await;
    let mut client = server.client(&key);
    let before = guild.get(GUILD).await.body;

    // Requests by the economy's name find no economy.
    for path in [
        "",
        "/assets",
        "/accounts/user:1",
        "/accounts/user:1/statement",
        "/holds",
    ] {
        let read = client.get(&format!("{GUILD}{path}")).await.unwrap();
        assert_eq!(
            (read.status.as_u16(), read.code()),
            (404, "economy_not_found".into())
        );
    }
    // Requests by ids of its holds and transfers in the own economy find nothing.
    for (method, path, code) in [
        ("GET", format!("{other}/holds/{hold}"), "hold_not_found"),
        (
            "POST",
            format!("{other}/holds/{hold}/capture"),
            "hold_not_found",
        ),
        (
            "POST",
            format!("{other}/holds/{hold}/release"),
            "hold_not_found",
        ),
        (
            "GET",
            format!("{other}/transfers/{transfer}"),
            "transfer_not_found",
        ),
        (
            "POST",
            format!("{other}/transfers/{transfer}/reverse"),
            "transfer_not_found",
        ),
        ("GET", format!("{other}/outcomes/t"), "outcome_not_found"),
    ] {
        let response = client
            .send(method, &path, Some("k"), "{}".into())
            .await
            .unwrap();
        assert_eq!(
            (response.status.as_u16(), response.code()),
            (404, code.into()),
            "{path}"
        );
    }
    assert_eq!(guild.get(GUILD).await.body, before, "nothing was recorded");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_separate_in_each_economy() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let other = "/v1/economies/other";
    let key = neighbour(&mut guild).await;
    let mut client = server.client(&key);
    assert_eq!(guild.transfer("t", "user:1", "user:2", 1).await.status, 201);
    let issue = json!({"account": "user:1", "asset": "coin", "amount": 10});
    let issued = client.post(&format!("{other}/issue"), "t", &issue).await;
    let issued = issued.unwrap();
    assert_eq!((issued.status.as_u16(), issued.replayed), (201, false));
    let statement = format!("{other}/accounts/user:1/statement");
    let statement = client.get(&statement).await.unwrap().json();
    assert_eq!(statement["entries"].as_array().unwrap().len(), 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_holds_thousands_of_economies() {
    let server = TestServer::new().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let mut economies = Vec::new();
    for number in 0..2_000_u32 {
        let path = format!("/v1/economies/g{number}");
        guild.put_ok(&path, json!({})).await;
        if number % 500 == 0 {
            guild
                .put_ok(&format!("{path}/assets/coin"), currency())
                .await;
            guild
                .put_ok(&format!("{path}/accounts/user:1"), json!({}))
                .await;
            economies.push((path, number));
        }
    }
    for (path, number) in economies {
        let issue = json!({"account": "user:1", "asset": "coin", "amount": number + 1});
        let issued = guild
            .client
            .post(&format!("{path}/issue"), "welcome", &issue)
            .await
            .unwrap();
        assert_eq!(issued.json()["balances"]["user:1"]["coin"], number + 1);
    }
    let listed = guild.get("/v1/economies").await.json();
    assert_eq!(listed["economies"].as_array().unwrap().len(), 2_000);
    let report = server.close().await;
    assert_eq!(report.economies.len(), 2_001, "and the server's own");
}
