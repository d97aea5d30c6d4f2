//! Changes of webhooks while deliveries are in flight, and webhooks of closed economies.

use std::time::Duration;

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::archive::{bursar, bursar_with_input, stdout_of, text};
use crate::server_process::ServerProcess;
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes, currency, posting};
use crate::wait::eventually;
use crate::webhook_failures::{server_with_fast_retries, wait_until_disabled};
use crate::webhook_receiver::{ACCEPT, Reaction, ReceivedAttempt, Receiver};
use crate::webhooks::{HOOK, create_webhook, newest, pay};

async fn remove_webhook(guild: &mut GuildClient) -> Response {
    let request = guild.client.send("DELETE", HOOK, None, "".into());
    request.await.expect("a response")
}

pub(crate) async fn pay_many(guild: &mut GuildClient, count: usize) {
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
async fn a_webhook_of_a_closed_economy_can_be_disabled_and_removed() {
    let (server, mut guild) = server_with_fast_retries(0).await;
    let receiver = Receiver::new().await;
    receiver.react_with(Reaction::Status(410));
    create_webhook(&mut guild, &receiver, json!({"kinds": ["set_economy"]})).await;
    pay_many(&mut guild, 100).await;
    guild.put_ok(GUILD, json!({"status": "closed"})).await;
    let view = wait_until_disabled(&mut guild).await;
    assert!(
        view["delivery"]["last_error"]["what"]
            .as_str()
            .unwrap()
            .contains("410")
    );
    assert_eq!(receiver.attempts().len(), 1, "there is no further attempt");

    // A full list of dead letters disables it as well.
    receiver.react_with(Reaction::Cut);
    let after = json!({"after": newest(&mut guild).await - 102});
    let replayed = guild
        .client
        .post(&format!("{HOOK}/replay"), "-", &after)
        .await;
    assert_eq!(replayed.unwrap().status, 200);
    guild
        .put_ok(HOOK, json!({"enabled": true, "kinds": ["transfer"]}))
        .await;
    let view = wait_until_disabled(&mut guild).await;
    assert_eq!(view["delivery"]["dead_letters"], 100);
    assert_eq!(receiver.attempts().len(), 101);

    guild.put_ok(&format!("{HOOK}/secret"), json!({})).await;
    let body = json!({"url": receiver.url});
    let new = guild.put(&format!("{GUILD}/webhooks/new"), body).await;
    assert_eq!(new.code(), "economy_closed");
    assert_eq!(remove_webhook(&mut guild).await.json()["removed"], true);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_changed_during_a_long_scan_applies_from_then_on() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    let rare = json!({"kinds": ["set_account"], "enabled": false});
    create_webhook(&mut guild, &receiver, rare).await;
    pay_many(&mut guild, 900).await;
    guild.put_ok(HOOK, json!({"enabled": true})).await;
    guild.put_ok(HOOK, json!({"kinds": ["set_asset"]})).await;
    guild
        .put_ok(&format!("{GUILD}/assets/gem"), currency())
        .await;
    let created = newest(&mut guild).await;
    receiver.until_accepted(created).await;
    assert_eq!(receiver.accepted(), [created]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_before_their_scheduled_time_do_not_count() {
    let hours = |setup: &mut bursar_server::serve::Setup| {
        setup.webhooks.schedule = vec![Duration::from_hours(1); 2].into();
    };
    let (server, mut guild) = TestServer::with_setup(hours).await.with_members(2).await;
    let receiver = Receiver::new().await;
    receiver.react_with(Reaction::Status(500));
    create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver
        .until("an attempt is made", |attempts| attempts.len() == 1)
        .await;
    for kinds in [
        json!(["transfer"]),
        json!(null),
        json!(["transfer"]),
        json!(null),
    ] {
        let tried = receiver.attempts().len();
        let same = guild.put(HOOK, json!({"url": receiver.url})).await.json();
        assert_eq!(same["changed"], false);
        guild.put_ok(HOOK, json!({"kinds": kinds})).await;
        receiver
            .until("another attempt is made", |attempts| {
                attempts.len() == tried + 1
            })
            .await;
    }
    let view = eventually("the last attempt is stored", async || {
        let view = guild.get(HOOK).await.json();
        (view["delivery"]["last_error"]["seq"] == paid).then_some(view)
    });
    let view = view.await;
    assert_eq!(view["delivery"]["failures"], 1, "{view}");

    // A restart does not retry a recent failure either.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    guild.get(HOOK).await;
    receiver.react_with(ACCEPT);
    guild.put_ok(HOOK, json!({"kinds": ["transfer"]})).await;
    receiver.until_accepted(paid).await;
    assert_eq!(receiver.attempts().len(), 6);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_receiver_that_answers_410_does_not_disable_the_new_one() {
    let server = TestServer::with_setup(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (server, mut guild) = server.await.with_members(2).await;
    let old = Receiver::new().await;
    let new = Receiver::new().await;
    old.react_with(Reaction::Held(410));
    create_webhook(&mut guild, &old, json!({})).await;
    pay(&mut guild, "a").await;
    old.until("an attempt is held", |attempts| attempts.len() == 1)
        .await;
    guild.put_ok(HOOK, json!({"url": new.url})).await;
    let moved = newest(&mut guild).await;
    old.release();
    new.until_accepted(moved).await;
    assert_eq!(guild.get(HOOK).await.json()["enabled"], true);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_delivery_is_signed_when_it_is_sent() {
    let server = TestServer::with_setup(|setup| setup.webhooks.patience = Duration::from_mins(1));
    let (server, mut guild) = server.await.with_members(2).await;
    let slow = Receiver::new().await;
    slow.react_with(Reaction::Held(204));
    let kinds = json!({"url": slow.url, "kinds": ["transfer"]});
    for number in 0..4 {
        guild
            .put_ok(&format!("{GUILD}/webhooks/w{number}"), kinds.clone())
            .await;
    }
    let paid = pay(&mut guild, "a").await;
    slow.until("all attempts are in flight", |attempts| attempts.len() == 4)
        .await;
    let receiver = Receiver::new().await;
    let first = create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let paid = pay(&mut guild, "b").await.max(paid);
    let rotated = guild.put(&format!("{HOOK}/secret"), json!({})).await.json();
    slow.react_with(ACCEPT);
    for _ in 0..4 {
        slow.release();
    }
    receiver.until_accepted(paid).await;
    let attempts: Vec<ReceivedAttempt> = receiver.attempts();
    assert!(attempts[0].is_signed_with(rotated["secret"].as_str().unwrap()));
    assert!(!attempts[0].is_signed_with(&first));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_economy_delivers_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lines = path("guild.jsonl");
    let other = path("other.db");
    let list = path("list.csv");
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let exported = bursar(&["export", text(&server.file()), "--economy", "guild"]);
    std::fs::write(&lines, stdout_of(&exported)).unwrap();
    server.close().await;
    stdout_of(&bursar_with_input(&["import", text(&other)], &lines));

    // A command that opens the file sends nothing; a server continues where the progress was.
    std::fs::write(&list, "account,asset,amount\nuser:1,coin,5\n").unwrap();
    let arguments = ["--economy", "guild", "--balances", text(&list)];
    stdout_of(&bursar(
        &[&["import", text(&other)], &arguments[..]].concat(),
    ));
    assert_eq!(receiver.accepted(), [paid]);
    let server = ServerProcess::serve(&other);
    receiver.until_accepted(paid + 1).await;
    assert_eq!(receiver.accepted()[..2], [paid, paid + 1]);
    assert!(server.stop());
    assert_audit_passes(&other);
}
