//! Webhooks whose receivers fail, and servers that die: nothing is left out, and nothing out of order.

use std::time::Duration;

use bursar_server::client::{Address, Client};
use bursar_server::serve::Setup;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::receiver::{ACCEPT, Mood, Receiver, Try};
use crate::support::{GUILD, Guild, House, Process, audited, currency};
use crate::webhooks::{HOOK, hooked, newest, pay};

/// A server that tries again at once, so often.
pub(crate) async fn hasty(retries: usize) -> (House, Guild) {
    let house = House::set_up(|setup| hurry(setup, retries)).await;
    house.furnished(2).await
}

fn hurry(setup: &mut Setup, retries: usize) {
    setup.webhooks.schedule = vec![Duration::from_millis(1); retries].into();
    setup.webhooks.pace = Duration::from_millis(20);
}

/// Never back to an event that was dealt with, and every one of them was accepted once at least. (An
/// answer that comes too late makes it twice.)
fn check_order(tries: &[Try], first: u64, last: u64) {
    let seqs: Vec<u64> = tries.iter().map(Try::seq).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let accepted = tries.iter().filter(|one| one.accepted());
    let mut accepted: Vec<u64> = accepted.map(Try::seq).collect();
    accepted.dedup();
    assert_eq!(accepted, (first..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_at_random_gets_every_event_in_order() {
    let house = House::set_up(|setup| {
        hurry(setup, 1_000);
        setup.webhooks.patience = Duration::from_millis(300);
    });
    let (house, mut guild) = house.await.furnished(2).await;
    let receiver = Receiver::new().await;
    let moods = [
        ACCEPT,
        Mood::Cut,
        Mood::Status(500),
        Mood::Status(302),
        Mood::Status(404),
        Mood::Endless,
        Mood::Silent,
    ];
    // A walk through all residues, in an order that looks like none.
    let mut state = 0x2545_f491_u64;
    receiver.feel_by(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state % 10).unwrap();
        moods.get(index).copied().unwrap_or(ACCEPT)
    });
    let secret = hooked(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    for number in 0..40 {
        pay(&mut guild, &format!("pay {number}")).await;
    }
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    let tries = receiver.tries();
    check_order(&tries, first, last);
    assert!(tries.len() > 50, "it has failed now and then");
    assert!(tries.iter().all(|one| one.is_signed_with(&secret)));
    // Each try of an event has the same id, and no other event has it.
    for pair in tries.windows(2) {
        assert_eq!(pair[0].seq() == pair[1].seq(), pair[0].id == pair[1].id);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_given_up_after_its_last_retry_and_the_next_one_goes_on() {
    let (house, mut guild) = hasty(2).await;
    let receiver = Receiver::new().await;
    receiver.feel_by(|tries| if tries < 3 { Mood::Status(500) } else { ACCEPT });
    hooked(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let lost = pay(&mut guild, "a").await;
    let next = pay(&mut guild, "b").await;
    receiver.until_accepted(next).await;
    let seqs: Vec<u64> = receiver.tries().iter().map(Try::seq).collect();
    assert_eq!(
        seqs,
        [lost, lost, lost, next],
        "once, and after each wait of the schedule"
    );
    let letters = guild.get(&format!("{HOOK}/dead-letters")).await.json();
    let letter = &letters["dead_letters"][0];
    assert_eq!(
        (&letter["seq"], &letter["attempts"]),
        (&json!(lost), &json!(3))
    );
    assert_eq!(
        (&letter["error"], &letter["kind"]),
        (&json!("it answered 500"), &json!("transfer"))
    );
    assert_eq!(letters["dead_letters"].as_array().unwrap().len(), 1);

    // It is still there after a restart, and a replay sends it again.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
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
        .until("both came again", |tries| tries.len() == 6)
        .await;
    assert_eq!(receiver.accepted(), [next, lost, next]);
    let letters = guild.get(&format!("{HOOK}/dead-letters")).await.json();
    assert_eq!(letters["dead_letters"], json!([]));
    // The replay is on record, and says who asked for it.
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
    house.close().await;
}

pub(crate) async fn disabled(guild: &mut Guild) -> Value {
    let disabled = eventually("the webhook is switched off", async || {
        let view = guild.get(HOOK).await.json();
        (view["enabled"] == false).then_some(view)
    });
    disabled.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_switches_its_webhook_off() {
    let (house, mut guild) = hasty(5).await;
    let receiver = Receiver::new().await;
    receiver.feel(Mood::Status(410));
    hooked(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    let view = disabled(&mut guild).await;
    assert_eq!(view["delivery"]["next_seq"], paid);
    assert_eq!(receiver.tries().len(), 1, "nobody insists");
    pay(&mut guild, "b").await;
    // Switched on again, it goes on where it was.
    receiver.feel(ACCEPT);
    guild.made(HOOK, json!({"enabled": true})).await;
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    assert_eq!(receiver.accepted(), (paid..=last).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_list_of_dead_letters_switches_the_webhook_off() {
    let (house, mut guild) = hasty(0).await;
    let receiver = Receiver::new().await;
    receiver.feel(Mood::Cut);
    hooked(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let mut paid = Vec::new();
    for number in 0..102 {
        paid.push(pay(&mut guild, &format!("pay {number}")).await);
    }
    let view = disabled(&mut guild).await;
    assert_eq!(view["delivery"]["dead_letters"], 100);
    assert_eq!(receiver.tries().len(), 100, "one beyond is not tried");
    // None is forgotten: with the list emptied by a replay, all of them are sent.
    receiver.feel(ACCEPT);
    let replay = json!({"after": paid[0] - 1});
    let replayed = guild
        .client
        .post(&format!("{HOOK}/replay"), "-", &replay)
        .await;
    assert_eq!(replayed.unwrap().status, 200);
    guild.made(HOOK, json!({"enabled": true})).await;
    receiver
        .until("all arrive", |tries| tries.len() == 202)
        .await;
    assert_eq!(receiver.accepted(), paid);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_overtakes_does_not_count() {
    let house = House::set_up(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (house, mut guild) = house.await.furnished(2).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let first = pay(&mut guild, "a").await;
    receiver.until_accepted(first).await;
    receiver.feel(Mood::Held(204));
    let second = pay(&mut guild, "b").await;
    receiver
        .until("a try is held", |tries| tries.len() == 2)
        .await;
    let after = json!({"after": first - 1});
    let replay = format!("{HOOK}/replay");
    let replayed = guild.client.post(&replay, "-", &after).await.unwrap();
    assert_eq!(replayed.json()["delivery"]["next_seq"], first);
    // The receiver accepts what was asked before: that does not end the replay.
    receiver.feel(ACCEPT);
    receiver.let_go();
    receiver.until_accepted(second).await;
    let seqs: Vec<u64> = receiver.tries().iter().map(Try::seq).collect();
    assert_eq!(seqs, [first, second, first, second]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let (house, mut guild) = hasty(1_000).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    receiver.feel(Mood::Silent);
    pay(&mut guild, "b").await;
    receiver.until("a try hangs", |tries| tries.len() > 1).await;
    let house = house.restarted().await;
    receiver.feel(ACCEPT);
    let mut guild = Guild {
        client: house.admin(),
    };
    let last = pay(&mut guild, "c").await;
    receiver.until_accepted(last).await;
    check_order(&receiver.tries(), first, last);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_no_event_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let receiver = Receiver::new().await;
    let mut server = Process::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let guild_of = |server: &Process| Guild {
        client: Client::new(Address::Tcp(server.address.clone()), admin.clone()),
    };
    let mut guild = guild_of(&server);
    guild.made(GUILD, json!({})).await;
    guild
        .made(&format!("{GUILD}/assets/coin"), currency())
        .await;
    for member in ["user:1", "user:2"] {
        guild
            .made(&format!("{GUILD}/accounts/{member}"), json!({}))
            .await;
    }
    guild.issue("user:1", "coin", 1000).await;
    hooked(&mut guild, &receiver, json!({})).await;
    let first = newest(&mut guild).await + 1;
    let mut last = first;
    for death in 0..4 {
        for number in 0..25 {
            last = pay(&mut guild, &format!("pay {death} {number}")).await;
        }
        server.kill();
        server = Process::serve(&file);
        guild = guild_of(&server);
    }
    receiver.until_accepted(last).await;
    let mut accepted = receiver.accepted();
    accepted.sort_unstable();
    accepted.dedup();
    assert_eq!(accepted, (first..=last).collect::<Vec<_>>());
    // An event comes again after a death, and never before the one that stands before it has come.
    let mut most = first - 1;
    for seq in receiver.accepted() {
        assert!(seq <= most + 1, "{seq} after {most}");
        most = most.max(seq);
    }
    assert!(server.stop());
    audited(&file);
}
