//! Webhooks with failing receivers and killed servers: no event is skipped or out of order.

use std::time::Duration;

use bursar_server::client::{Address, Client};
use bursar_server::serve::Setup;
use serde_json::{Value, json};

use crate::server_process::ServerProcess;
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes, currency};
use crate::wait::eventually;
use crate::webhook_receiver::{ACCEPT, Reaction, ReceivedAttempt, Receiver};
use crate::webhooks::{HOOK, create_webhook, newest, pay};

/// Starts a server that retries immediately, this many times.
pub(crate) async fn server_with_fast_retries(retries: usize) -> (TestServer, GuildClient) {
    let server = TestServer::with_setup(|setup| retry_fast(setup, retries)).await;
    server.with_members(2).await
}

fn retry_fast(setup: &mut Setup, retries: usize) {
    setup.webhooks.schedule = vec![Duration::from_millis(1); retries].into();
    setup.webhooks.pace = Duration::from_millis(20);
}

/// Asserts that attempts never return to an earlier event and that every event was accepted at least once.
/// (An answer that arrives too late is followed by a second delivery.)
fn check_order(attempts: &[ReceivedAttempt], first: u64, last: u64) {
    let seqs: Vec<u64> = attempts.iter().map(ReceivedAttempt::seq).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let accepted = attempts.iter().filter(|one| one.accepted());
    let mut accepted: Vec<u64> = accepted.map(ReceivedAttempt::seq).collect();
    accepted.dedup();
    assert_eq!(accepted, (first..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_at_random_gets_every_event_in_order() {
    let server = TestServer::with_setup(|setup| {
        retry_fast(setup, 1_000);
        setup.webhooks.patience = Duration::from_millis(300);
    });
    let (server, mut guild) = server.await.with_members(2).await;
    let receiver = Receiver::new().await;
    let reactions = [
        ACCEPT,
        Reaction::Cut,
        Reaction::Status(500),
        Reaction::Status(302),
        Reaction::Status(404),
        Reaction::Endless,
        Reaction::Silent,
    ];
    // A pseudo-random order of reactions.
    let mut state = 0x2545_f491_u64;
    receiver.react_by(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state % 10).unwrap();
        reactions.get(index).copied().unwrap_or(ACCEPT)
    });
    let secret = create_webhook(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    for number in 0..40 {
        pay(&mut guild, &format!("pay {number}")).await;
    }
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    let attempts = receiver.attempts();
    check_order(&attempts, first, last);
    assert!(attempts.len() > 50, "some attempts failed");
    assert!(attempts.iter().all(|one| one.is_signed_with(&secret)));
    // All attempts of an event have the same id, and no other event has it.
    for pair in attempts.windows(2) {
        assert_eq!(pair[0].seq() == pair[1].seq(), pair[0].id == pair[1].id);
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_a_dead_letter_after_its_last_retry_and_delivery_continues() {
    let (server, mut guild) = server_with_fast_retries(2).await;
    let receiver = Receiver::new().await;
    receiver.react_by(|attempts| {
        if attempts < 3 {
            Reaction::Status(500)
        } else {
            ACCEPT
        }
    });
    create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let lost = pay(&mut guild, "a").await;
    let next = pay(&mut guild, "b").await;
    receiver.until_accepted(next).await;
    let seqs: Vec<u64> = receiver
        .attempts()
        .iter()
        .map(ReceivedAttempt::seq)
        .collect();
    assert_eq!(
        seqs,
        [lost, lost, lost, next],
        "one attempt, and one after each delay"
    );
    let letters = guild.get(&format!("{HOOK}/dead-letters")).await.json();
    let letter = &letters["dead_letters"][0];
    assert_eq!(
        (&letter["seq"], &letter["attempts"]),
        (&json!(lost), &json!(3))
    );
    assert_eq!(
        (&letter["error"], &letter["kind"]),
        (
            &json!("the receiver answered with the status 500"),
            &json!("transfer")
        )
    );
    assert_eq!(letters["dead_letters"].as_array().unwrap().len(), 1);

    // The dead letter survives a restart, and a replay sends it again.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let view = guild.get(HOOK).await.json();
    assert_eq!(view["delivery"]["dead_letters"], 1);
    assert_eq!(view["delivery"]["next_seq"], next + 1);
    let replay = format!("{HOOK}/replay");
    let after = json!({"after": lost - 1});
    let replayed = guild.client.post(&replay, "-", &after).await.unwrap();
    assert_eq!(replayed.status, 200, "{}", replayed.json());
    receiver.until_accepted(lost).await;
    receiver
        .until("both events were sent again", |attempts| {
            attempts.len() == 6
        })
        .await;
    assert_eq!(receiver.accepted(), [next, lost, next]);
    let letters = guild.get(&format!("{HOOK}/dead-letters")).await.json();
    assert_eq!(letters["dead_letters"], json!([]));
    // The replay is recorded with its actor.
    let events = guild.events().await;
    let replay_record = events.last().unwrap();
    assert_eq!(replay_record["kind"], "replay_webhook");
    assert_eq!(replay_record["actor"], "admin");
    assert_eq!(replay_record["request"]["body"], after);
    let beyond = json!({"after": next + 2});
    let refused = guild.client.post(&replay, "-", &beyond).await.unwrap();
    assert_eq!(
        (refused.code(), &refused.json()["pointer"]),
        ("malformed".into(), &json!("/after"))
    );
    server.close().await;
}

pub(crate) async fn wait_until_disabled(guild: &mut GuildClient) -> Value {
    let disabled = eventually("the webhook is disabled", async || {
        let view = guild.get(HOOK).await.json();
        (view["enabled"] == false).then_some(view)
    });
    disabled.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_answers_410_disables_its_webhook() {
    let (server, mut guild) = server_with_fast_retries(5).await;
    let receiver = Receiver::new().await;
    receiver.react_with(Reaction::Status(410));
    create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    let view = wait_until_disabled(&mut guild).await;
    assert_eq!(view["delivery"]["next_seq"], paid);
    assert_eq!(receiver.attempts().len(), 1, "there is no further attempt");
    pay(&mut guild, "b").await;
    // Enabled again, it continues where it was.
    receiver.react_with(ACCEPT);
    guild.put_ok(HOOK, json!({"enabled": true})).await;
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    assert_eq!(receiver.accepted(), (paid..=last).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_list_of_dead_letters_disables_the_webhook() {
    let (server, mut guild) = server_with_fast_retries(0).await;
    let receiver = Receiver::new().await;
    receiver.react_with(Reaction::Cut);
    create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let mut paid = Vec::new();
    for number in 0..102 {
        paid.push(pay(&mut guild, &format!("pay {number}")).await);
    }
    let view = wait_until_disabled(&mut guild).await;
    assert_eq!(view["delivery"]["dead_letters"], 100);
    assert_eq!(
        receiver.attempts().len(),
        100,
        "the event beyond the list is not attempted"
    );
    // No event is lost: after a replay has emptied the list, all are sent.
    receiver.react_with(ACCEPT);
    let replay = json!({"after": paid[0] - 1});
    let replayed = guild
        .client
        .post(&format!("{HOOK}/replay"), "-", &replay)
        .await;
    assert_eq!(replayed.unwrap().status, 200);
    guild.put_ok(HOOK, json!({"enabled": true})).await;
    receiver
        .until("all events arrive", |attempts| attempts.len() == 202)
        .await;
    assert_eq!(receiver.accepted(), paid);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_from_before_a_replay_does_not_advance_it() {
    let server = TestServer::with_setup(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (server, mut guild) = server.await.with_members(2).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let first = pay(&mut guild, "a").await;
    receiver.until_accepted(first).await;
    receiver.react_with(Reaction::Held(204));
    let second = pay(&mut guild, "b").await;
    receiver
        .until("an attempt is held", |attempts| attempts.len() == 2)
        .await;
    let after = json!({"after": first - 1});
    let replay = format!("{HOOK}/replay");
    let replayed = guild.client.post(&replay, "-", &after).await.unwrap();
    assert_eq!(replayed.json()["delivery"]["next_seq"], first);
    // An answer to an attempt from before the replay does not advance it.
    receiver.react_with(ACCEPT);
    receiver.release();
    receiver.until_accepted(second).await;
    let seqs: Vec<u64> = receiver
        .attempts()
        .iter()
        .map(ReceivedAttempt::seq)
        .collect();
    assert_eq!(seqs, [first, second, first, second]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_continue_after_a_restart() {
    let (server, mut guild) = server_with_fast_retries(1_000).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    receiver.react_with(Reaction::Silent);
    pay(&mut guild, "b").await;
    receiver
        .until("an attempt hangs", |attempts| attempts.len() > 1)
        .await;
    let server = server.restart().await;
    receiver.react_with(ACCEPT);
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let last = pay(&mut guild, "c").await;
    receiver.until_accepted(last).await;
    check_order(&receiver.attempts(), first, last);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_skips_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let receiver = Receiver::new().await;
    let mut server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let guild_of = |server: &ServerProcess| GuildClient {
        client: Client::new(Address::Tcp(server.address.clone()), admin.clone()),
    };
    let mut guild = guild_of(&server);
    guild.put_ok(GUILD, json!({})).await;
    guild
        .put_ok(&format!("{GUILD}/assets/coin"), currency())
        .await;
    for member in ["user:1", "user:2"] {
        guild
            .put_ok(&format!("{GUILD}/accounts/{member}"), json!({}))
            .await;
    }
    guild.issue("user:1", "coin", 1000).await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    let mut last = first;
    for kill in 0..4 {
        for number in 0..25 {
            last = pay(&mut guild, &format!("pay {kill} {number}")).await;
        }
        server.kill();
        server = ServerProcess::serve(&file);
        guild = guild_of(&server);
    }
    receiver.until_accepted(last).await;
    let mut accepted = receiver.accepted();
    accepted.sort_unstable();
    accepted.dedup();
    assert_eq!(accepted, (first..=last).collect::<Vec<_>>());
    // After a kill an event may be sent again, but never before its predecessor.
    let mut most = first - 1;
    for seq in receiver.accepted() {
        assert!(seq <= most + 1, "{seq} after {most}");
        most = most.max(seq);
    }
    assert!(server.stop());
    assert_audit_passes(&file);
}
