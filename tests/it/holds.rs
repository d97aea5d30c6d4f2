//! Holds: a held amount cannot be spent and is captured at most once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_ledger::{HOLD_SECONDS_MAX, Timestamp};
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer};
use crate::wait::eventually;

fn stake(amount: u64, seconds: u64) -> Value {
    json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": amount,
        "expires_in_s": seconds,
    })
}

async fn place_hold(guild: &mut GuildClient, key: &str, body: Value) -> String {
    let placed = guild.post("holds", key, body).await;
    assert_eq!(placed.status, 201, "{}", placed.json());
    placed.json()["id"].as_str().unwrap().to_owned()
}

async fn account(guild: &mut GuildClient, member: u64) -> Value {
    let path = format!("{GUILD}/accounts/user:{member}");
    guild.get(&path).await.json()["balances"]["coin"].clone()
}

fn balance(posted: i64, held: i64) -> Value {
    json!({ "posted": posted, "held": held, "available": posted - held })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_stake_cannot_be_spent_during_the_game() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = place_hold(&mut guild, "bet", stake(900, 60)).await;
    assert_eq!(account(&mut guild, 1).await, balance(1000, 900));
    let spent = guild.transfer("spend", "user:1", "user:2", 101).await;
    assert_eq!(spent.code(), "insufficient_funds");
    assert_eq!(spent.json()["available"], 100);
    let again = guild.post("holds", "again", stake(101, 60)).await;
    assert_eq!(again.code(), "insufficient_funds");
    assert_eq!(
        guild.transfer("rest", "user:1", "user:2", 100).await.status,
        201
    );

    let lost = guild
        .post(&format!("holds/{hold}/capture"), "lost", json!({}))
        .await;
    assert_eq!(lost.status, 201, "{}", lost.json());
    assert_eq!(lost.json()["balances"]["user:2"]["coin"], 2000);
    assert_eq!(
        lost.json()["hold"],
        json!({ "id": hold, "status": "captured", "remaining": 0 })
    );
    assert_eq!(account(&mut guild, 1).await, balance(0, 0));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_captured_in_parts_and_never_above_its_amount() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = place_hold(&mut guild, "bet", stake(100, 60)).await;
    let path = format!("holds/{hold}/capture");
    let above = guild.post(&path, "above", json!({"amount": 101})).await;
    assert_eq!(
        (above.status.as_u16(), above.code()),
        (422, "hold_exceeded".into())
    );
    assert_eq!(above.json()["remaining"], 100);
    let part = guild.post(&path, "part", json!({"amount": 30})).await;
    assert_eq!(part.json()["hold"]["remaining"], 70);
    let replay = guild.post(&path, "part", json!({"amount": 30})).await;
    assert!(replay.replayed && replay.body == part.body);
    let open = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
    assert_eq!(
        (&open["status"], &open["captured"], &open["remaining"]),
        (&json!("open"), &json!(30), &json!(70))
    );
    let above = guild.post(&path, "above 2", json!({"amount": 71})).await;
    assert_eq!(above.code(), "hold_exceeded");
    let released = guild
        .post(&format!("holds/{hold}/release"), "release", json!({}))
        .await;
    assert_eq!(released.status, 200, "{}", released.json());
    for (action, key) in [("capture", "late"), ("release", "late release")] {
        let late = guild
            .post(&format!("holds/{hold}/{action}"), key, json!({}))
            .await;
        assert_eq!(
            (late.status.as_u16(), late.code()),
            (409, "hold_closed".into())
        );
        assert_eq!(late.json()["ended"], "released");
    }
    let closed = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
    assert_eq!(
        (&closed["status"], &closed["captured"], &closed["amount"]),
        (&json!("released"), &json!(30), &json!(100))
    );
    // The same key after the hold has ended still gets the first response.
    let replay = guild.post(&path, "part", json!({"amount": 30})).await;
    assert!(replay.replayed && replay.body == part.body);
    assert_eq!(guild.coin_balances(2).await, [970, 1030]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_concurrent_captures_of_a_hold_succeeds() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = place_hold(&mut guild, "bet", stake(100, 60)).await;
    let ask = |number| {
        let path = format!("holds/{hold}/capture");
        (path, format!("capture {number}"), json!({"amount": 100}))
    };
    let responses = server.post_concurrently((0..32).map(ask).collect()).await;
    let won = responses
        .iter()
        .filter(|response| response.status == 201)
        .count();
    assert_eq!(won, 1);
    let closed = responses
        .iter()
        .filter(|response| response.code() == "hold_closed");
    assert_eq!(closed.count(), 31);
    assert_eq!(guild.coin_balances(2).await, [900, 1100]);
    server.close().await;
}

/// Returns a clock that a test moves, and its time source.
fn standing_clock() -> (Arc<AtomicU64>, TimeSource) {
    let now = Arc::new(AtomicU64::new(1_764_000_000_000));
    let read = Arc::clone(&now);
    let clock = TimeSource::even(move || Timestamp(read.load(Ordering::SeqCst)));
    (now, clock)
}

/// Waits until a hold has ended and returns it.
async fn wait_until_ended(guild: &mut GuildClient, hold: &str) -> Value {
    let ended = eventually("the hold ends", async || {
        let view = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        (view["status"] != "open").then_some(view)
    });
    ended.await
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_expire_without_requests_and_across_restarts() {
    let (now, clock) = standing_clock();
    let server = TestServer::with_setup(|setup| setup.clock = clock).await;
    let (server, mut guild) = server.with_members(2).await;
    let refunded = place_hold(&mut guild, "a", stake(100, 10)).await;
    let mut rule = stake(50, 20);
    rule["on_expiry"] = json!("capture");
    let taken = place_hold(&mut guild, "b", rule).await;
    let later = place_hold(&mut guild, "c", stake(7, 30)).await;

    now.fetch_add(10_000, Ordering::SeqCst);
    let view = wait_until_ended(&mut guild, &refunded).await;
    assert_eq!(view["status"], "expired");
    assert_eq!(account(&mut guild, 1).await, balance(1000, 57));

    let server = server.restart().await;
    now.fetch_add(10_000, Ordering::SeqCst);
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let view = wait_until_ended(&mut guild, &taken).await;
    assert_eq!(
        (&view["status"], &view["captured"]),
        (&json!("expired"), &json!(50))
    );
    assert_eq!(account(&mut guild, 1).await, balance(950, 7));

    // The expiry of a hold is a transfer with the hold's id and can be reversed.
    let seen = guild
        .get(&format!("{GUILD}/transfers/{taken}"))
        .await
        .json();
    assert_eq!(
        (&seen["kind"], &seen["hold"], &seen["postings"][0]["amount"]),
        (&json!("expire_hold"), &json!(taken), &json!(50))
    );
    let back = guild
        .post(&format!("transfers/{taken}/reverse"), "back", json!({}))
        .await;
    assert_eq!(back.status, 201, "{}", back.json());
    assert_eq!(account(&mut guild, 1).await, balance(1000, 7));

    // Time passes while the server is down.
    drop(guild);
    now.fetch_add(3_600_000, Ordering::SeqCst);
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let view = wait_until_ended(&mut guild, &later).await;
    assert_eq!(view["status"], "expired");
    assert_eq!(account(&mut guild, 1).await, balance(1000, 0));
    let events = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let expired = events["events"].as_array().unwrap().iter();
    let expired: Vec<&Value> = expired
        .filter(|event| event["kind"] == "expire_hold")
        .collect();
    assert_eq!(expired.len(), 3);
    assert!(expired.iter().all(|event| event["actor"] == "bursar"));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_cannot_be_captured() {
    let (now, clock) = standing_clock();
    let server = TestServer::with_setup(|setup| setup.clock = clock).await;
    let (server, mut guild) = server.with_members(2).await;
    let hold = place_hold(&mut guild, "a", stake(100, 10)).await;
    now.fetch_add(10_000, Ordering::SeqCst);
    let late = guild
        .post(&format!("holds/{hold}/capture"), "late", json!({}))
        .await;
    assert_eq!(
        (late.status.as_u16(), late.code()),
        (409, "hold_closed".into())
    );
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_the_receiver_cannot_take_leaves_the_hold_open() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let hold = place_hold(&mut guild, "bet", stake(100, 60)).await;
    let receiver = format!("{GUILD}/accounts/user:2");
    for (number, (change, code)) in [
        (json!({"ceiling": {"coin": 1050}}), "ceiling_exceeded"),
        (
            json!({"ceiling": {"coin": null}, "status": "frozen"}),
            "account_frozen",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        guild.put_ok(&receiver, change).await;
        let refused = guild
            .post(
                &format!("holds/{hold}/capture"),
                &format!("try {number}"),
                json!({}),
            )
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, code.into())
        );
    }
    let view = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
    assert_eq!(
        (&view["status"], &view["remaining"]),
        (&json!("open"), &json!(100))
    );
    let released = guild
        .post(&format!("holds/{hold}/release"), "release", json!({}))
        .await;
    assert_eq!(released.status, 200);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_holds_are_listed_by_account_page_by_page() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(place_hold(&mut guild, &format!("h{number}"), stake(1, 60)).await);
    }
    let mut other = stake(1, 60);
    other["from"] = json!("user:2");
    other["to"] = json!("user:1");
    let others = place_hold(&mut guild, "other", other).await;
    let mut found = Vec::new();
    let mut query = "account=user:1&limit=3".to_owned();
    loop {
        let page = guild.get(&format!("{GUILD}/holds?{query}")).await.json();
        let holds = page["holds"].as_array().unwrap();
        assert!(holds.len() <= 3);
        found.extend(
            holds
                .iter()
                .map(|hold| hold["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
    let all = guild.get(&format!("{GUILD}/holds?limit=200")).await.json();
    let all: Vec<&Value> = all["holds"].as_array().unwrap().iter().collect();
    assert_eq!(all.len(), 8);
    assert_eq!(all[7]["id"], json!(others));
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=00", "cursor"),
        ("account=-", "account"),
    ] {
        let wrong = guild.get(&format!("{GUILD}/holds?{query}")).await;
        assert_eq!(wrong.status, 400);
        assert_eq!(wrong.json()["parameter"], parameter);
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_unknown_holds_are_named() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut same = stake(1, 60);
    same["to"] = json!("user:1");
    for (body, pointer) in [
        (stake(0, 60), "/amount"),
        (stake(1, 0), "/expires_in_s"),
        (stake(1, HOLD_SECONDS_MAX + 1), "/expires_in_s"),
        (same, "/to"),
    ] {
        let refused = guild.post("holds", "k", body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
        assert_eq!(refused.json()["pointer"], pointer);
    }
    place_hold(&mut guild, "longest", stake(1, HOLD_SECONDS_MAX)).await;
    let transfer = guild.transfer("t", "user:1", "user:2", 1).await.json();
    let transfer = transfer["id"].as_str().unwrap();
    for unknown in ["00000000-0000-7000-8000-000000000000", transfer] {
        for action in ["capture", "release"] {
            let path = format!("holds/{unknown}/{action}");
            let response = guild.post(&path, "u", json!({})).await;
            assert_eq!(
                (response.status.as_u16(), response.code()),
                (404, "hold_not_found".into())
            );
        }
        let read = guild.get(&format!("{GUILD}/holds/{unknown}")).await;
        assert_eq!(read.code(), "hold_not_found");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_a_hold_reserves_nothing() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let preview = guild.post("holds?preview=true", "k", stake(100, 60)).await;
    assert_eq!(preview.status, 200);
    assert_eq!(
        (&preview.json()["preview"], &preview.json()["remaining"]),
        (&json!(true), &json!(100))
    );
    let refused = guild.post("holds?preview=true", "k", stake(1001, 60)).await;
    assert_eq!(refused.code(), "insufficient_funds");
    assert_eq!(account(&mut guild, 1).await, balance(1000, 0));
    let hold = place_hold(&mut guild, "k", stake(100, 60)).await;
    let capture = format!("holds/{hold}/capture?preview=true");
    assert_eq!(guild.post(&capture, "c", json!({})).await.status, 200);
    assert_eq!(account(&mut guild, 1).await, balance(1000, 100));
    server.close().await;
}
