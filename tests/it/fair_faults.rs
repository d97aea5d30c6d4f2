//! Draws of calls that fail afterwards: a plugin cannot avoid a loss by a fault, a decline or its deadline.

use std::time::Duration;

use bursar_server::client::Response;
use serde_json::json;

use crate::fair::{nonce_of_next_flip, open_table};
use crate::support::{GUILD, GuildClient, TestServer, install_malicious};

/// Repeats a member's bet with an action that fails after a loss, until it has failed three times. Returns
/// the failed responses and the number of wins.
async fn play(trick: &str) -> (TestServer, GuildClient, Vec<Response>, u64) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    guild.issue("plugin:malicious", "coin", 100_000).await;
    let mut lost = Vec::new();
    let mut won = 0;
    for number in 0..200 {
        let bet = json!({"asset": "coin", "amount": 10});
        let response = guild
            .call(
                &format!("malicious/{trick}"),
                &format!("k{number}"),
                "user:1",
                bet,
            )
            .await;
        if response.status == 200 {
            won += 1;
            continue;
        }
        lost.push(response);
        if lost.len() == 3 {
            break;
        }
    }
    (server, guild, lost, won)
}

/// Asserts that an action which fails after a loss cannot be used for long: each loss uses a nonce and
/// returns the stake, and the third one disables the plugin.
async fn assert_loss_is_recorded(trick: &str, expected: &str) {
    let (server, mut guild, lost, won) = play(trick).await;
    assert_eq!(lost.len(), 3, "{trick} has lost three times");
    for (number, response) in lost.iter().enumerate() {
        assert_eq!(
            (response.status.as_u16(), response.code()),
            (502, "plugin_fault".into())
        );
        let fault = response.json()["fault"].as_str().unwrap().to_owned();
        assert!(fault.contains(expected), "{trick} {number}: {fault}");
    }
    let coins = 1000 + 10 * i64::try_from(won).unwrap();
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    let bet = json!({"asset": "coin", "amount": 10});
    let off = guild
        .call(&format!("malicious/{trick}"), "off", "user:1", bet)
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    open_table(&mut guild).await;
    // Each win and each loss has used a nonce.
    assert_eq!(nonce_of_next_flip(&mut guild, "next").await, won + 4);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_after_losing_is_recorded_and_disabled() {
    assert_loss_is_recorded("trap_if_lost", "gave up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_declines_after_losing_is_recorded_and_disabled() {
    assert_loss_is_recorded("decline_if_lost", "declined after a draw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_loops_after_losing_is_recorded_and_disabled() {
    assert_loss_is_recorded("spin_if_lost", "out of fuel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_overflows_its_stack_after_losing_is_recorded_and_disabled() {
    assert_loss_is_recorded("recurse_if_lost", "stack overflowed after a draw").await;
}

/// Starts a server whose calls reach the deadline long before they run out of fuel, with the malicious plugin
/// installed.
async fn server_with_short_deadline() -> (TestServer, GuildClient) {
    let server = TestServer::with_setup(|setup| {
        setup.limits.deadline = Duration::from_millis(60);
        setup.limits.fuel = 1 << 40;
    });
    let (server, mut guild) = server.await.with_members(1).await;
    install_malicious(&mut guild).await;
    (server, guild)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_after_a_draw_burns_the_nonce_and_the_same_key_draws_the_same() {
    let (server, mut guild) = server_with_short_deadline().await;
    let pace = |slow: bool| json!({ "slow": slow });
    guild
        .call("malicious/take_time", "slow", "user:1", pace(true))
        .await;
    let late = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(
        (late.status.as_u16(), late.code()),
        (503, "call_failed".into())
    );
    let outcome = guild.get(&format!("{GUILD}/outcomes/k")).await;
    assert_eq!(
        outcome.code(),
        "outcome_not_found",
        "a failed call has no outcome"
    );
    assert_draws_are_hidden(&mut guild).await;
    guild
        .call("malicious/take_time", "fast", "user:1", pace(false))
        .await;
    // Another key gets another nonce. Meanwhile the member changes the client seed.
    let other = guild
        .call("malicious/slowly", "other", "user:1", json!({}))
        .await
        .json();
    assert_eq!(other["draws"]["nonce"], 2);
    let path = format!("{GUILD}/accounts/user:1/client-seed");
    guild
        .put_ok(&path, json!({"client_seed": "better luck"}))
        .await;
    let again = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(again.status, 200, "{}", again.json());
    let draws = again.json()["draws"].clone();
    assert_eq!(
        (draws["nonce"].clone(), draws["client_seed"].clone()),
        (json!(1), json!("user:1"))
    );
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let replayed = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert!(replayed.replayed && replayed.body == again.body);
    server.close().await;
}

/// A call that exceeds its deadline after a draw counts as a fault of the plugin. A repeated bet draws the
/// same numbers, and a changed bet draws new ones, so a member cannot profit from knowledge of the loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_exceeds_its_deadline_after_losing_is_disabled() {
    let (server, mut guild) = server_with_short_deadline().await;
    guild.issue("plugin:malicious", "coin", 100_000).await;
    let bet = |amount: u64| json!({"asset": "coin", "amount": amount});
    let mut lost = Vec::new();
    let mut won = 0;
    while lost.len() < 3 {
        let key = format!("k{}", lost.len() + won);
        let response = guild
            .call("malicious/spin_if_lost", &key, "user:1", bet(10))
            .await;
        match response.status.as_u16() {
            200 => won += 1,
            _lost => {
                assert_eq!(response.code(), "call_failed");
                lost.push(key);
            }
        }
    }
    let coins = 1000 + 10 * i64::try_from(won).unwrap();
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    let off = guild
        .call("malicious/spin_if_lost", "off", "user:1", bet(10))
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    let path = format!("{GUILD}/plugins/malicious");
    guild.put_ok(&path, json!({"enabled": true})).await;
    let again = guild
        .call("malicious/spin_if_lost", &lost[0], "user:1", bet(10))
        .await;
    assert_eq!(
        again.code(),
        "call_failed",
        "a repeated bet has the same draws"
    );
    guild
        .call("malicious/spin_if_lost", &lost[0], "user:1", bet(11))
        .await;
    open_table(&mut guild).await;
    let nonces = u64::try_from(won).unwrap() + 3;
    assert_eq!(
        nonce_of_next_flip(&mut guild, "next").await,
        nonces + 2,
        "another bet under the same key has its own nonce"
    );
    server.close().await;
}

/// Asserts that the record of a broken call contains no draws. A member who knew them could use the same key
/// for a request that profits from them.
async fn assert_draws_are_hidden(guild: &mut GuildClient) {
    let page = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let events = page["events"].as_array().unwrap();
    let mut broken = events.iter().filter(|event| event["outcome"] == "broken");
    let call = broken.next().expect("the broken call is recorded")["answer"]["call"].clone();
    let path = format!("{GUILD}/calls/{}", call.as_str().unwrap());
    let receipt = guild.get(&path).await.json();
    assert_eq!(receipt["call"]["origin"]["nonce"], 1, "{receipt}");
    assert_eq!(receipt["call"]["transcript"]["facts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burned_nonce_is_kept_for_its_key_across_a_restart() {
    let (server, mut guild) = server_with_short_deadline().await;
    guild
        .call(
            "malicious/take_time",
            "slow",
            "user:1",
            json!({"slow": true}),
        )
        .await;
    let late = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(late.code(), "call_failed");
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    guild
        .call(
            "malicious/take_time",
            "fast",
            "user:1",
            json!({"slow": false}),
        )
        .await;
    let again = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await
        .json();
    assert_eq!(again["draws"]["nonce"], 1);
    let other = guild
        .call("malicious/slowly", "other", "user:1", json!({}))
        .await
        .json();
    assert_eq!(other["draws"]["nonce"], 2);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_released_if_the_game_traps_after_its_draw_and_by_no_bot() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let staked = guild
        .call(
            "malicious/stake",
            "s",
            "user:1",
            json!({"asset": "coin", "amount": 100}),
        )
        .await
        .json();
    let hold = staked["reply"]["text"].as_str().unwrap().to_owned();
    let path = format!("{GUILD}/holds/{hold}");
    let open = guild.get(&path).await.json();
    assert_eq!(
        (
            open["status"].clone(),
            open["plugin"].clone(),
            open["on_expiry"].clone()
        ),
        (json!("open"), json!("malicious"), json!("capture"))
    );
    // A bot without the required scope cannot return the stake to a losing member.
    let key = json!({"scopes": ["transfer"], "economies": ["guild"]});
    let bot = guild.put("/v1/keys/bot", key).await.json();
    let mut bot = server.client(bot["key"].as_str().unwrap());
    let refused = bot
        .post(&format!("{path}/release"), "r", &json!({}))
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "plugin_hold".into())
    );
    // The call draws for the game and traps, which releases the hold.
    let broken = guild
        .call("malicious/draw_for", "d", "user:1", json!({"hold": hold}))
        .await;
    assert_eq!(broken.code(), "plugin_fault");
    let ended = guild.get(&path).await.json();
    assert_eq!(
        (ended["status"].clone(), ended["remaining"].clone()),
        (json!("released"), json!(0))
    );
    assert_eq!(guild.coin_balances(1).await, [1000]);
    server.close().await;
}
