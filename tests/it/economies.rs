//! Economies as a whole: frozen and closed, apart from each other, and what came and went in them.

use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, currency};

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_economy_is_read_and_moves_nothing() {
    let (house, mut guild) = House::with_guild(2).await;
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
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    assert_eq!(guild.get(GUILD).await.json()["status"], "frozen");
    let released = guild
        .post(&format!("holds/{hold}/release"), "release", json!({}))
        .await;
    assert_eq!(released.status, 200);
    guild.made(GUILD, json!({"status": "open"})).await;
    assert_eq!(
        guild.transfer("k2", "user:1", "user:2", 1).await.status,
        201
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_is_closed_for_ever_once_nothing_in_it_waits() {
    let (house, mut guild) = House::with_guild(2).await;
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
    guild.made(GUILD, json!({"status": "closed"})).await;
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
    assert_eq!(statement.status, 200, "its history stays");
    let wrong = guild.put(GUILD, json!({"status": "gone"})).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["pointer"]),
        (400, &json!("/status"))
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_and_went_is_told_by_asset_day_and_plugin() {
    let (house, mut guild) = House::with_guild(1).await;
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
        let answer = guild
            .get(&format!("{GUILD}/assets/coin/flows?{query}"))
            .await;
        assert_eq!(answer.status, status, "{query}");
    }
    house.close().await;
}

/// Opens another guild, and makes a key for everything in it.
async fn neighbour(guild: &mut Guild) -> String {
    let other = "/v1/economies/other";
    guild.made(other, json!({})).await;
    guild
        .made(&format!("{other}/assets/coin"), currency())
        .await;
    for member in ["user:1", "user:2"] {
        let account = format!("{other}/accounts/{member}");
        guild.made(&account, json!({})).await;
    }
    let scopes = json!({"scopes": ["admin"], "economies": ["other"]});
    let key = guild.put("/v1/keys/neighbour", scopes).await.json();
    key["key"].as_str().unwrap().to_owned()
}

/// Everything that can be asked about a guild, asked of the neighbour's with its own key.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_one_guild_reads_or_touches_anything_of_another() {
    let (house, mut guild) = House::with_guild(2).await;
    let hold = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 5, "expires_in_s": 60,
    });
    let hold = guild.post("holds", "hold", hold).await.json();
    let hold = hold["id"].as_str().unwrap();
    let transfer = guild.transfer("t", "user:1", "user:2", 1).await.json();
    let transfer = transfer["id"].as_str().unwrap();
    let other = "/v1/economies/other";
    let key = neighbour(&mut guild).await;
    let mut client = house.client(&key);
    let before = guild.get(GUILD).await.body;

    // By its name the other economy is not there at all.
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
    // By the ids of what is in it, asked for in one's own, neither.
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
        let answer = client
            .send(method, &path, Some("k"), "{}".into())
            .await
            .unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, code.into()),
            "{path}"
        );
    }
    assert_eq!(guild.get(GUILD).await.body, before, "nothing was recorded");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_names_an_intent_in_each_guild() {
    let (house, mut guild) = House::with_guild(2).await;
    let other = "/v1/economies/other";
    let key = neighbour(&mut guild).await;
    let mut client = house.client(&key);
    assert_eq!(guild.transfer("t", "user:1", "user:2", 1).await.status, 201);
    let issue = json!({"account": "user:1", "asset": "coin", "amount": 10});
    let issued = client.post(&format!("{other}/issue"), "t", &issue).await;
    let issued = issued.unwrap();
    assert_eq!((issued.status.as_u16(), issued.replayed), (201, false));
    let statement = format!("{other}/accounts/user:1/statement");
    let statement = client.get(&statement).await.unwrap().json();
    assert_eq!(statement["entries"].as_array().unwrap().len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_guilds_live_in_one_file() {
    let house = House::new().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    let mut asks = Vec::new();
    for number in 0..2_000_u32 {
        let path = format!("/v1/economies/g{number}");
        guild.made(&path, json!({})).await;
        if number % 500 == 0 {
            guild.made(&format!("{path}/assets/coin"), currency()).await;
            guild
                .made(&format!("{path}/accounts/user:1"), json!({}))
                .await;
            asks.push((path, number));
        }
    }
    for (path, number) in asks {
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
    let report = house.close().await;
    assert_eq!(report.economies.len(), 2_001, "and the server's own");
}
