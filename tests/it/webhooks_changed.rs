//! Webhooks that are changed while something is on its way, or in an economy that is closed.

use std::time::Duration;

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::archive::{bursar, fed, said, text};
use crate::patience::eventually;
use crate::receiver::{ACCEPT, Mood, Receiver, Try};
use crate::support::{GUILD, Guild, House, Process, audited, currency, posting};
use crate::webhooks::{HOOK, hooked, newest, pay};
use crate::webhooks_broken::{disabled, hasty};

async fn removed(guild: &mut Guild) -> Response {
    let asked = guild.client.send("DELETE", HOOK, None, "".into());
    asked.await.expect("an answer")
}

pub(crate) async fn pay_many(guild: &mut Guild, count: usize) {
    let transfers: Vec<Value> = (0..count)
        .map(|number| {
            let mut body = posting("user:1", "user:2", 1);
            body["idempotency_key"] = json!(format!("many {number}"));
            body
        })
        .collect();
    let batch = json!({ "mode": "independent", "transfers": transfers });
    let paid = guild.post("transfers/batch", "unused", batch).await;
    assert_eq!(paid.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_a_closed_economy_is_switched_off_and_removed() {
    let (house, mut guild) = hasty(0).await;
    let receiver = Receiver::new().await;
    receiver.feel(Mood::Status(410));
    hooked(&mut guild, &receiver, json!({"kinds": ["set_economy"]})).await;
    pay_many(&mut guild, 100).await;
    guild.made(GUILD, json!({"status": "closed"})).await;
    let view = disabled(&mut guild).await;
    assert!(
        view["delivery"]["last_error"]["what"]
            .as_str()
            .unwrap()
            .contains("410")
    );
    assert_eq!(receiver.tries().len(), 1, "nobody insists");

    // So does the full list of what was given up.
    receiver.feel(Mood::Cut);
    let after = json!({"after": newest(&mut guild).await - 102});
    let replayed = guild
        .client
        .post(&format!("{HOOK}/replay"), "-", &after)
        .await;
    assert_eq!(replayed.unwrap().status, 200);
    guild
        .made(HOOK, json!({"enabled": true, "kinds": ["transfer"]}))
        .await;
    let view = disabled(&mut guild).await;
    assert_eq!(view["delivery"]["dead_letters"], 100);
    assert_eq!(receiver.tries().len(), 101);

    guild.made(&format!("{HOOK}/secret"), json!({})).await;
    let body = json!({"url": receiver.url});
    let new = guild.put(&format!("{GUILD}/webhooks/new"), body).await;
    assert_eq!(new.code(), "economy_closed");
    assert_eq!(removed(&mut guild).await.json()["removed"], true);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_changed_during_a_long_way_holds_from_then_on() {
    let (house, mut guild) = House::with_guild(2).await;
    let receiver = Receiver::new().await;
    let rare = json!({"kinds": ["set_account"], "enabled": false});
    hooked(&mut guild, &receiver, rare).await;
    pay_many(&mut guild, 900).await;
    guild.made(HOOK, json!({"enabled": true})).await;
    guild.made(HOOK, json!({"kinds": ["set_asset"]})).await;
    guild.made(&format!("{GUILD}/assets/gem"), currency()).await;
    let made = newest(&mut guild).await;
    receiver.until_accepted(made).await;
    assert_eq!(receiver.accepted(), [made]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_before_their_time_do_not_count() {
    let hours = |setup: &mut bursar_server::serve::Setup| {
        setup.webhooks.schedule = vec![Duration::from_hours(1); 2].into();
    };
    let (house, mut guild) = House::set_up(hours).await.furnished(2).await;
    let receiver = Receiver::new().await;
    receiver.feel(Mood::Status(500));
    hooked(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver
        .until("it is tried", |tries| tries.len() == 1)
        .await;
    for kinds in [
        json!(["transfer"]),
        json!(null),
        json!(["transfer"]),
        json!(null),
    ] {
        let tried = receiver.tries().len();
        let same = guild.put(HOOK, json!({"url": receiver.url})).await.json();
        assert_eq!(same["changed"], false);
        guild.made(HOOK, json!({"kinds": kinds})).await;
        receiver
            .until("it is tried again", |tries| tries.len() == tried + 1)
            .await;
    }
    let view = eventually("the last try is noted", async || {
        let view = guild.get(HOOK).await.json();
        (view["delivery"]["last_error"]["seq"] == paid).then_some(view)
    });
    let view = view.await;
    assert_eq!(view["delivery"]["failures"], 1, "{view}");

    // Nor does a start try what failed a moment ago.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    guild.get(HOOK).await;
    receiver.feel(ACCEPT);
    guild.made(HOOK, json!({"kinds": ["transfer"]})).await;
    receiver.until_accepted(paid).await;
    assert_eq!(receiver.tries().len(), 6);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_does_not_end_its_successor() {
    let house = House::set_up(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (house, mut guild) = house.await.furnished(2).await;
    let (old, new) = (Receiver::new().await, Receiver::new().await);
    old.feel(Mood::Held(410));
    hooked(&mut guild, &old, json!({})).await;
    pay(&mut guild, "a").await;
    old.until("a try is held", |tries| tries.len() == 1).await;
    guild.made(HOOK, json!({"url": new.url})).await;
    let moved = newest(&mut guild).await;
    old.let_go();
    new.until_accepted(moved).await;
    assert_eq!(guild.get(HOOK).await.json()["enabled"], true);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_turn_is_signed_when_it_is_sent() {
    let house = House::set_up(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (house, mut guild) = house.await.furnished(2).await;
    let slow = Receiver::new().await;
    slow.feel(Mood::Held(204));
    let kinds = json!({"url": slow.url, "kinds": ["transfer"]});
    for number in 0..4 {
        guild
            .made(&format!("{GUILD}/webhooks/w{number}"), kinds.clone())
            .await;
    }
    let paid = pay(&mut guild, "a").await;
    slow.until("all places are taken", |tries| tries.len() == 4)
        .await;
    let receiver = Receiver::new().await;
    let first = hooked(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let paid = pay(&mut guild, "b").await.max(paid);
    let rotated = guild.put(&format!("{HOOK}/secret"), json!({})).await.json();
    slow.feel(ACCEPT);
    for _ in 0..4 {
        slow.let_go();
    }
    receiver.until_accepted(paid).await;
    let tries: Vec<Try> = receiver.tries();
    assert!(tries[0].is_signed_with(rotated["secret"].as_str().unwrap()));
    assert!(!tries[0].is_signed_with(&first));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_economy_that_has_moved_sends_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (lines, other, list) = (path("guild.jsonl"), path("other.db"), path("list.csv"));
    let (house, mut guild) = House::with_guild(2).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let exported = bursar(&["export", text(&house.file()), "--economy", "guild"]);
    std::fs::write(&lines, said(&exported)).unwrap();
    house.close().await;
    said(&fed(&["import", text(&other)], &lines));

    // Whoever serves the file for a moment sends nothing; a server does, from where it was.
    std::fs::write(&list, "account,asset,amount\nuser:1,coin,5\n").unwrap();
    let arguments = ["--economy", "guild", "--balances", text(&list)];
    said(&bursar(
        &[&["import", text(&other)], &arguments[..]].concat(),
    ));
    assert_eq!(receiver.accepted(), [paid]);
    let server = Process::serve(&other);
    receiver.until_accepted(paid + 1).await;
    assert_eq!(receiver.accepted()[..2], [paid, paid + 1]);
    assert!(server.stop());
    audited(&other);
}
