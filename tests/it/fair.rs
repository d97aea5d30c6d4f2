//! Fair draws: no draw is free, and no draw is discarded, whether by the member, the plugin, the operator or
//! a crash.

use bursar_ledger::Seed;
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, decline_code};

pub(crate) async fn open_table(guild: &mut GuildClient) {
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 100_000).await;
}

async fn flip(guild: &mut GuildClient, key: &str) -> Response {
    let bet = json!({"stake": 5, "side": "heads"});
    guild.call("coinflip/flip", key, "user:1", bet).await
}

async fn seeds(guild: &mut GuildClient) -> Value {
    guild.get(&format!("{GUILD}/seeds")).await.json()
}

/// Flips once and returns the nonce, which shows how many nonces were used.
pub(crate) async fn nonce_of_next_flip(guild: &mut GuildClient, key: &str) -> u64 {
    let flipped = flip(guild, key).await.json();
    flipped["draws"]["nonce"]
        .as_u64()
        .expect("the nonce of a draw")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_committed_to_before_its_draws_and_matches_when_revealed() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    let before = seeds(&mut guild).await;
    let commitments: Vec<Value> = before["seeds"].as_array().unwrap().clone();
    assert_eq!(commitments.len(), 2, "the active seed and the next");
    assert!(commitments.iter().all(|seed| seed.get("seed").is_none()));
    let flipped = flip(&mut guild, "a").await.json();
    assert_eq!(flipped["draws"]["seed"], 1);
    assert_eq!(flipped["draws"]["commitment"], commitments[1]["commitment"]);
    let rotated = guild.post("seeds/rotate", "r", json!({})).await;
    assert_eq!(
        (rotated.status.as_u16(), rotated.json()["active"].clone()),
        (200, json!(2))
    );
    let after = seeds(&mut guild).await;
    let first = after["seeds"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (first["number"].clone(), first["status"].clone()),
        (json!(1), json!("revealed"))
    );
    let seed = Seed::try_from(first["seed"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!(json!(seed.commitment()), first["commitment"]);
    assert_eq!(first["commitment"], flipped["draws"]["commitment"]);
    assert_eq!(flip(&mut guild, "b").await.json()["draws"]["seed"], 2);
    let older = guild.get(&format!("{GUILD}/seeds?before=2")).await.json();
    assert_eq!(older["seeds"], json!([first]));
    let most = (1_u64 << 53) - 1;
    let all = guild.get(&format!("{GUILD}/seeds?before={most}")).await;
    assert_eq!(all.json()["seeds"].as_array().unwrap().len(), 3);
    let path = format!("{GUILD}/seeds?before={}", most + 1);
    assert_eq!(guild.get(&path).await.code(), "malformed");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_seed_counts_as_the_members_own_until_the_next_commitment() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    let path = format!("{GUILD}/accounts/user:1/client-seed");
    let house_seeded = guild.get(&path).await.json();
    assert_eq!(house_seeded["client_seed"], "user:1");
    assert_eq!(house_seeded["by_member"], false);
    let set = guild
        .put(&path, json!({"client_seed": "luck"}))
        .await
        .json();
    assert_eq!(
        (set["changed"].clone(), set["by_member"].clone()),
        (json!(true), json!(true))
    );
    let flipped = flip(&mut guild, "a").await.json();
    assert_eq!(flipped["draws"]["client_seed"], "luck");
    assert_eq!(flipped["draws"]["by_member"], true);
    for key in ["r1", "r2"] {
        guild.post("seeds/rotate", key, json!({})).await;
    }
    assert_eq!(guild.get(&path).await.json()["by_member"], false);
    for wrong in [json!(""), json!("x".repeat(65)), json!("tab\t"), json!(7)] {
        let refused = guild.put(&path, json!({"client_seed": wrong})).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_spend_limit_draws_nothing() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    for number in 0..10 {
        let body = json!({
            "caller": "user:1", "arguments": {"stake": 5, "side": "heads"}, "spend_limit": {},
        });
        let path = "plugins/coinflip/actions/flip";
        let refused = guild.post(path, &format!("k{number}"), body).await;
        assert_eq!(decline_code(&refused), "over_limit");
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_funds_draws_nothing() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    guild
        .put_ok(&format!("{GUILD}/accounts/user:2"), json!({}))
        .await;
    for number in 0..10 {
        let bet = json!({"stake": 5, "side": "heads"});
        let refused = guild
            .call("coinflip/flip", &format!("k{number}"), "user:2", bet)
            .await;
        assert_eq!(refused.code(), "insufficient_funds");
        assert_eq!(refused.json()["required"], 5);
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_uses_and_reveals_no_nonce() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    let body = json!({
        "caller": "user:1", "arguments": {"stake": 5, "side": "heads"}, "preview": true,
    });
    for _ in 0..5 {
        let preview = guild
            .post("plugins/coinflip/actions/flip", "k", body.clone())
            .await
            .json();
        assert_eq!(
            (preview["preview"].clone(), preview.get("draws")),
            (json!(true), None)
        );
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    server.close().await;
}

/// Makes this many flips one after the other and returns the number of records in the file.
async fn records_with(flips: u64) -> u64 {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild).await;
    for number in 0..flips {
        let flipped = flip(&mut guild, &format!("k{number}")).await;
        assert_eq!(flipped.status, 200, "{}", flipped.json());
    }
    server.close().await.records
}

/// Each commit adds a record, and each flip had its response after its own commit. One record per flip
/// therefore means one commit: no nonce is stored before the plugin runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_draws_is_one_record_and_one_commit() {
    assert_eq!(records_with(20).await, records_with(0).await + 20);
}
