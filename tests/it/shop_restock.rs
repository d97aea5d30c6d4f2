//! Scheduled restocks of the bundled shop.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::shop::{DAY_MS, potion, shop_with_clock};
use crate::support::{GUILD, GuildClient};
use crate::wait::eventually;

async fn next_restock(guild: &mut GuildClient) -> u64 {
    let plugin = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    plugin["schedules"]["restock"]["next_due"].as_u64().unwrap()
}

/// Sets the clock and waits until all restocks that are due by then have run. Returns the stock and the
/// storeroom.
async fn wait_for_restock(guild: &mut GuildClient, clock: &AtomicU64, at: u64) -> [i64; 2] {
    clock.store(at, Ordering::SeqCst);
    let restocked = eventually("the restock has run", async || {
        (next_restock(guild).await > at).then_some(())
    });
    restocked.await;
    let shelf = guild.posted("plugin:shop", "item:potion").await;
    let store = guild.posted("plugin:shop:storeroom", "item:potion").await;
    [shelf, store]
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_refilled_from_the_storeroom_when_due() {
    let (server, mut guild, clock) =
        shop_with_clock(potion(&json!({"restock": {"to": 5}})), 2).await;
    guild.issue("plugin:shop:storeroom", "item:potion", 7).await;
    let due = next_restock(&mut guild).await;
    assert_eq!(due, 20_001 * DAY_MS, "at midnight");
    assert_eq!(wait_for_restock(&mut guild, &clock, due).await, [5, 4]);
    // The run declines at a full shelf, and the due time is over.
    assert_eq!(
        wait_for_restock(&mut guild, &clock, due + DAY_MS).await,
        [5, 4]
    );
    let all = json!({"item": "item:potion", "quantity": 5});
    let bought = guild.call("shop/buy", "all", "user:1", all).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    // Missed runs are skipped. The next run moves all that the storeroom has, which is less than the level.
    let late = due + 9 * DAY_MS;
    assert_eq!(
        wait_for_restock(&mut guild, &clock, late + DAY_MS / 2).await,
        [0, 4]
    );
    assert_eq!(next_restock(&mut guild).await, late + DAY_MS);
    assert_eq!(
        wait_for_restock(&mut guild, &clock, late + DAY_MS).await,
        [4, 0]
    );
    assert_eq!(
        restock_runs(&mut guild).await,
        ["applied", "declined", "applied"]
    );
    server.close().await;
}

/// Returns the outcomes of all recorded restock runs.
async fn restock_runs(guild: &mut GuildClient) -> Vec<String> {
    let page = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let events = page["events"].as_array().unwrap().iter();
    let runs = events.filter(|event| event["request"]["method"] == "SCHEDULE");
    runs.map(|run| run["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_sixteen_items_are_restocked_in_one_run() {
    let (server, mut guild, clock) = shop_with_clock(potion(&json!({})), 1).await;
    let offer = |number| json!({"item": format!("item:{number}"), "price": {"coin": 1}, "restock": {"to": 3}});
    for number in 1..=17 {
        let item = format!("item:{number}");
        let created = json!({"kind": "item", "name": "It"});
        guild
            .put_ok(&format!("{GUILD}/assets/{item}"), created)
            .await;
        guild.issue("plugin:shop:storeroom", &item, 3).await;
    }
    let path = format!("{GUILD}/plugins/shop");
    let sold = |count| json!({"config": {"items": (1..=count).map(offer).collect::<Vec<_>>()}});
    let refused = guild.put(&path, sold(17)).await;
    assert_eq!(refused.code(), "configuration_refused");
    let pointer = &refused.json()["findings"][0]["pointer"];
    assert_eq!(pointer, "/items/16/restock");
    guild.put_ok(&path, sold(16)).await;
    let due = next_restock(&mut guild).await;
    wait_for_restock(&mut guild, &clock, due).await;
    for (number, stocked) in [(1, 3), (16, 3), (17, 0)] {
        let item = format!("item:{number}");
        assert_eq!(guild.posted("plugin:shop", &item).await, stocked, "{item}");
    }
    assert_eq!(restock_runs(&mut guild).await, ["applied"]);
    server.close().await;
}
