//! What plugins do by themselves: each due time has one run, whatever the clock and the server do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, decline_code};

/// Noon of some day; the lottery draws at eight in the evening.
const NOON_MS: u64 = 20_000 * DAY_MS + 12 * HOUR_MS;
const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A server whose clock stands still until somebody moves it, and a lottery in it.
async fn lottery() -> (House, Guild, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(NOON_MS));
    let hands = Arc::clone(&clock);
    let house = House::set_up(|setup| {
        setup.clock = Arc::new(move || Timestamp(hands.load(Ordering::SeqCst)));
        setup.schedules = Some(Duration::from_millis(10));
    });
    let (house, mut guild) = house.await.furnished(3).await;
    let config = json!({"asset": "coin", "price": 10, "fee_permille": 100});
    guild.install("lottery", "bundled:lottery", config).await;
    (house, guild, clock)
}

async fn status(guild: &mut Guild, key: &str) -> Value {
    let body = json!({"caller": "user:1", "arguments": {}, "preview": true});
    let answer = guild
        .post("plugins/lottery/actions/status", key, body)
        .await;
    answer.json()["reply"].clone()
}

async fn next_due(guild: &mut Guild) -> u64 {
    let plugin = guild.get(&format!("{GUILD}/plugins/lottery")).await.json();
    plugin["schedules"]["draw"]["next_due"]
        .as_u64()
        .expect("it is scheduled")
}

/// Waits until a due time has had its run.
async fn wait_for(guild: &mut Guild, due: u64) {
    for _ in 0..1_000 {
        if next_due(guild).await > due {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was due at {due} has not run");
}

/// How many runs are on record, and how they ended.
async fn runs(guild: &mut Guild) -> Vec<String> {
    let page = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let events = page["events"].as_array().unwrap();
    let runs = events
        .iter()
        .filter(|event| event["request"]["method"] == "SCHEDULE");
    runs.map(|run| run["outcome"].as_str().unwrap().to_owned())
        .collect()
}

async fn buy(guild: &mut Guild, member: u64, tickets: u64) {
    let key = format!("{member} buys {tickets}");
    let member = format!("user:{member}");
    let bought = guild
        .call("lottery/buy", &key, &member, json!({ "tickets": tickets }))
        .await;
    assert_eq!(bought.status, 200, "{}", bought.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lottery_draws_once_when_it_is_due_and_the_winner_claims() {
    let (house, mut guild, clock) = lottery().await;
    for (member, tickets) in [(1, 3), (2, 1), (3, 6)] {
        buy(&mut guild, member, tickets).await;
    }
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 8 * HOUR_MS);
    assert_eq!(
        status(&mut guild, "before").await,
        json!({"round": 0, "tickets": 10, "pot": 100})
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        runs(&mut guild).await.is_empty(),
        "nothing runs before it is due"
    );
    clock.store(due, Ordering::SeqCst);
    wait_for(&mut guild, due).await;
    assert_eq!(
        status(&mut guild, "after").await,
        json!({"round": 1, "tickets": 0, "pot": 0})
    );
    assert_eq!(guild.posted("plugin:lottery:fees", "coin").await, 10);
    assert_eq!(guild.posted("plugin:lottery:prizes", "coin").await, 90);
    let mut claimed = 0;
    for member in 1..=3 {
        let member = format!("user:{member}");
        let claim = guild
            .call(
                "lottery/claim",
                &format!("claim {member}"),
                &member,
                json!({}),
            )
            .await;
        if claim.status == 200 {
            assert_eq!(claim.json()["reply"]["amount"], 90);
            claimed += 1;
        } else {
            assert_eq!(decline_code(&claim), "nothing_won");
        }
    }
    assert_eq!(claimed, 1);
    // A step back does not run it again, nor does a new start.
    clock.store(NOON_MS, Ordering::SeqCst);
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(runs(&mut guild).await, ["applied"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_nobody_plays_leaves_the_pot_and_days_that_were_missed_are_left_out() {
    let (house, mut guild, clock) = lottery().await;
    let first = next_due(&mut guild).await;
    clock.store(first + HOUR_MS, Ordering::SeqCst);
    wait_for(&mut guild, first).await;
    assert_eq!(
        runs(&mut guild).await,
        ["declined"],
        "a run that comes to nothing counts"
    );
    // Ten days later one draw is due, not ten.
    clock.store(first + 10 * DAY_MS + HOUR_MS, Ordering::SeqCst);
    wait_for(&mut guild, first + 10 * DAY_MS).await;
    assert_eq!(next_due(&mut guild).await, first + 11 * DAY_MS);
    assert_eq!(
        runs(&mut guild).await.len(),
        1,
        "what was missed has no run"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_other_times_and_a_plugin_that_is_off_does_nothing() {
    let (house, mut guild, clock) = lottery().await;
    let path = format!("{GUILD}/plugins/lottery");
    guild
        .made(
            &path,
            json!({"schedules": {"draw": {"every_s": 3600, "offset_s": 60}}}),
        )
        .await;
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 60_000);
    guild.made(&path, json!({"enabled": false})).await;
    clock.store(due, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(runs(&mut guild).await.is_empty());
    guild.made(&path, json!({"enabled": true})).await;
    assert_eq!(
        next_due(&mut guild).await,
        due + HOUR_MS,
        "it counts from then on"
    );
    for (times, status, code) in [
        (json!({"none": {"every_s": 60}}), 422, "schedule_unknown"),
        (json!({"draw": {"every_s": 0}}), 400, "malformed"),
        (
            json!({"draw": {"every_s": 60, "offset_s": 60}}),
            400,
            "malformed",
        ),
    ] {
        let refused = guild.put(&path, json!({ "schedules": times })).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (status, code.into())
        );
    }
    house.close().await;
}
