//! The progress of webhooks: noted beside the journal, so that nothing grows by it.

use std::time::Duration;

use serde_json::json;

use crate::receiver::Receiver;
use crate::support::{GUILD, Guild, House};
use crate::webhooks::{HOOK, hooked, newest, pay};
use crate::webhooks_broken::hasty;
use crate::webhooks_changed::pay_many;

/// A note a second for each webhook was 65 MB of records a day, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_leave_no_records() {
    let (house, mut guild) = hasty(5).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({})).await;
    let before = house.storage.state().records();
    for number in 0..30 {
        let paid = pay(&mut guild, &format!("pay {number}")).await;
        receiver.until_accepted(paid).await;
    }
    let last = newest(&mut guild).await;
    let house = house.restarted().await;
    assert_eq!(house.storage.state().records(), before + 30);
    let mut guild = Guild {
        client: house.admin(),
    };
    let view = guild.get(HOOK).await.json();
    assert_eq!(
        view["delivery"]["next_seq"],
        last + 1,
        "it is known all the same"
    );
    assert_eq!(receiver.tries().len(), 30);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_gone_leaves_no_note() {
    let house = House::set_up(|setup| setup.webhooks.sweep = Duration::from_millis(20));
    let (house, mut guild) = house.await.furnished(2).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let noted = async |some: bool| {
        let waited = tokio::time::timeout(Duration::from_mins(1), async {
            while house.storage.noted_webhooks().is_empty() == some {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.expect("the note comes and goes");
    };
    noted(true).await;
    let removed = guild.client.send("DELETE", HOOK, None, "".into()).await;
    assert_eq!(removed.unwrap().status, 200);
    noted(false).await;
    house.close().await;
}

/// However seldom notes are written, a crash makes a bounded number of events come again.
#[tokio::test(flavor = "multi_thread")]
async fn at_most_a_thousand_deliveries_are_without_a_note() {
    let house = House::set_up(|setup| setup.webhooks.pace = Duration::from_hours(1));
    let (house, mut guild) = house.await.furnished(2).await;
    let receiver = Receiver::new().await;
    hooked(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    guild.issue("user:1", "coin", 1_000_000).await;
    pay_many(&mut guild, 1_000).await;
    pay(&mut guild, "further").await;
    let last = pay(&mut guild, "last").await;
    receiver.until_accepted(last).await;
    let place = (
        GUILD.rsplit('/').next().unwrap().parse().unwrap(),
        HOOK.rsplit('/').next().unwrap().parse().unwrap(),
    );
    let noted = house.storage.delivery(&place).expect("a note");
    assert!(last - noted.done <= 1_000, "{} of {last}", noted.done);
    house.close().await;
}
