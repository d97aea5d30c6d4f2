//! The bundled coinflip: the validity of a bet never depends on its outcome.

use serde_json::json;

use crate::support::{GUILD, GuildClient, TestServer, decline_code};

async fn open_table(guild: &mut GuildClient, bankroll: u64) {
    let config = json!({"asset": "coin", "max_stake": 100});
    guild.install("coinflip", "bundled:coinflip", config).await;
    if bankroll > 0 {
        guild.issue("plugin:coinflip", "coin", bankroll).await;
    }
}

async fn flip(guild: &mut GuildClient, key: &str, stake: u64) -> bursar_server::client::Response {
    let bet = json!({"stake": stake, "side": "heads"});
    guild.call("coinflip/flip", key, "user:1", bet).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_occur_and_each_flip_moves_the_stake() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 1000).await;
    let mut wins = 0;
    let mut coins = 1000;
    for number in 0..60 {
        let flipped = flip(&mut guild, &format!("k{number}"), 5).await;
        assert_eq!(flipped.status, 200, "{}", flipped.json());
        let won = flipped.json()["reply"]["won"].as_bool().unwrap();
        wins += u32::from(won);
        coins += if won { 5 } else { -5 };
        assert_eq!(guild.posted("user:1", "coin").await, coins);
    }
    // Fewer than 10 or more than 50 wins of 60 fair flips occur once in ten million runs.
    assert!((10..=50).contains(&wins), "{wins} wins of 60");
    assert_eq!(guild.posted("plugin:coinflip", "coin").await, 2000 - coins);
    let report = server.close().await;
    assert!(
        report
            .promises
            .iter()
            .any(|promise| promise.checked == "60 draws repeated")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_does_not_flip_again() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 1000).await;
    for number in 0..10 {
        let key = format!("k{number}");
        let first = flip(&mut guild, &key, 10).await;
        let again = flip(&mut guild, &key, 10).await;
        assert!(again.replayed && again.body == first.body);
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_cannot_pay_a_win_takes_no_bet() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 9).await;
    for number in 0..10 {
        let refused = flip(&mut guild, &format!("k{number}"), 10).await;
        assert_eq!(decline_code(&refused), "house_cannot_cover");
    }
    // With one coin more a win of twice the stake can be paid: the stake itself is part of it.
    guild.issue("plugin:coinflip", "coin", 1).await;
    assert_eq!(flip(&mut guild, "covered", 10).await.status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stake_that_is_not_covered_is_rejected() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 5000).await;
    guild
        .transfer("poor", "user:1", "plugin:coinflip", 995)
        .await;
    for number in 0..20 {
        let refused = flip(&mut guild, &format!("k{number}"), 6).await;
        assert_eq!(
            refused.code(),
            "insufficient_funds",
            "independently of the draw"
        );
    }
    assert_eq!(guild.posted("user:1", "coin").await, 5);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_its_ceiling_cannot_bet() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 5000).await;
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:1"),
            json!({"ceiling": {"coin": 1009}}),
        )
        .await;
    for number in 0..10 {
        let refused = flip(&mut guild, &format!("k{number}"), 10).await;
        assert_eq!(decline_code(&refused), "no_room");
    }
    guild
        .put_ok(
            &format!("{GUILD}/accounts/user:1"),
            json!({"ceiling": {"coin": 1010}}),
        )
        .await;
    assert_eq!(flip(&mut guild, "room", 10).await.status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stakes_are_bounded_by_the_configured_maximum() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 5000).await;
    assert_eq!(flip(&mut guild, "at", 100).await.status, 200);
    assert_eq!(
        decline_code(&flip(&mut guild, "over", 101).await),
        "stake_too_large"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_a_flip_does_not_reveal_the_flip() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    open_table(&mut guild, 1000).await;
    let before = guild.get(GUILD).await.json();
    let body = json!({
        "caller": "user:1", "arguments": {"stake": 5, "side": "heads"}, "preview": true,
    });
    let path = "plugins/coinflip/actions/flip";
    let mut sides = std::collections::BTreeSet::new();
    for _ in 0..40 {
        // The key of a preview is neither looked up nor used.
        let preview = guild.post(path, "k", body.clone()).await.json();
        assert_eq!(preview["preview"], true);
        sides.insert(preview["reply"]["side"].as_str().unwrap().to_owned());
    }
    let query = format!("{GUILD}/{path}?preview=true");
    let body = json!({"caller": "user:1", "arguments": {"stake": 5, "side": "heads"}});
    let preview = guild.client.post(&query, "k", &body).await.unwrap().json();
    assert_eq!(
        preview["preview"], true,
        "preview works as a query parameter too"
    );
    assert_eq!(sides.len(), 2, "each preview draws from its own seed");
    assert_eq!(guild.get(GUILD).await.json(), before, "no record was made");
    assert!(!flip(&mut guild, "k", 5).await.replayed);
    server.close().await;
}
