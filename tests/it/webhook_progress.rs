//! The progress of webhooks is stored outside the log, so that deliveries add no records.

use std::time::Duration;

use serde_json::json;

use crate::support::{GUILD, GuildClient, TestServer};
use crate::webhook_changes::pay_many;
use crate::webhook_failures::server_with_fast_retries;
use crate::webhook_receiver::Receiver;
use crate::webhooks::{HOOK, create_webhook, newest, pay};

/// The log would grow by 65 MB a day if a webhook added one record per second.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_add_no_records() {
    let (server, mut guild) = server_with_fast_retries(5).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    let before = server.storage.state().records();
    for number in 0..30 {
        let paid = pay(&mut guild, &format!("pay {number}")).await;
        receiver.until_accepted(paid).await;
    }
    let last = newest(&mut guild).await;
    let server = server.restart().await;
    assert_eq!(server.storage.state().records(), before + 30);
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let view = guild.get(HOOK).await.json();
    assert_eq!(
        view["delivery"]["next_seq"],
        last + 1,
        "the progress is known after a restart"
    );
    assert_eq!(receiver.attempts().len(), 30);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_progress_of_a_removed_webhook_is_deleted() {
    let server = TestServer::with_setup(|setup| setup.webhooks.sweep = Duration::from_millis(20));
    let (server, mut guild) = server.await.with_members(2).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let noted = async |some: bool| {
        let waited = tokio::time::timeout(Duration::from_mins(1), async {
            while server.storage.noted_webhooks().is_empty() == some {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.expect("the progress is stored and deleted");
    };
    noted(true).await;
    let removed = guild.client.send("DELETE", HOOK, None, "".into()).await;
    assert_eq!(removed.unwrap().status, 200);
    noted(false).await;
    server.close().await;
}

/// A crash repeats a bounded number of deliveries, even if progress is stored rarely.
#[tokio::test(flavor = "multi_thread")]
async fn at_most_a_thousand_deliveries_are_not_yet_stored_as_progress() {
    let server = TestServer::with_setup(|setup| setup.webhooks.pace = Duration::from_hours(1));
    let (server, mut guild) = server.await.with_members(2).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    guild.issue("user:1", "coin", 1_000_000).await;
    pay_many(&mut guild, 1_000).await;
    pay(&mut guild, "further").await;
    let last = pay(&mut guild, "last").await;
    receiver.until_accepted(last).await;
    let place = (
        GUILD.rsplit('/').next().unwrap().parse().unwrap(),
        HOOK.rsplit('/').next().unwrap().parse().unwrap(),
    );
    let noted = server.storage.delivery(&place).expect("stored progress");
    assert!(last - noted.done <= 1_000, "{} of {last}", noted.done);
    server.close().await;
}
