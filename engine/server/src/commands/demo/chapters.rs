//! The story, chapter by chapter. Each ends in checks; none is decoration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stage::{Broken, GUILD, Stage};
use super::stakes;
use crate::bundled;
use crate::client::{Client, Response};
use crate::commands::{audit, style};
use crate::http::render;

type Told = Result<(), Broken>;

/// Members of the guild.
const MEMBERS: u64 = 20;
/// Coins that each begins with.
const PURSE: u64 = 1000;
/// Clicks that are made twice.
const DOUBLE_CLICKS: u64 = 200;
/// Connections that click and that carry the load.
const CONNECTIONS: u64 = 32;

/// All chapters, in order.
pub(super) async fn all(stage: &mut Stage) -> Told {
    opening(stage).await?;
    purchase(stage).await?;
    last_item(stage).await?;
    double_clicks(stage).await?;
    stakes::told(stage).await?;
    malicious_plugin(stage).await?;
    coinflip(stage).await?;
    sudden_death(stage).await?;
    books_are_right(stage).await
}

fn user(number: u64) -> String {
    format!("user:{number}")
}

/// The plugin's own code in a decline.
fn decline_code(response: &Response) -> String {
    let body = response.json();
    body.pointer("/decline/code")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .into()
}

async fn opening(stage: &mut Stage) -> Told {
    style::title("An economy is opened");
    stage.make(GUILD, json!({})).await?;
    stage
        .make(
            &format!("{GUILD}/assets/coin"),
            json!({"kind": "currency", "name": "Coin"}),
        )
        .await?;
    for item in ["potion", "crown"] {
        let asset = format!("{GUILD}/assets/item:{item}");
        stage
            .make(&asset, json!({"kind": "item", "name": item}))
            .await?;
    }
    for number in 1..=MEMBERS {
        stage
            .make(&format!("{GUILD}/accounts/{}", user(number)), json!({}))
            .await?;
        stage.issue(&user(number), "coin", PURSE).await?;
    }
    let config = json!({"items": [
        {"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3},
        {"item": "item:crown", "price": {"coin": 500}},
    ]});
    let shop = json!({"component": "bundled:shop", "grants": "requested", "config": config, "enabled": true});
    stage.make(&format!("{GUILD}/plugins/shop"), shop).await?;
    stage.issue("plugin:shop", "item:potion", 10).await?;
    stage.issue("plugin:shop", "item:crown", 1).await?;
    let coin = stage
        .client
        .get(&format!("{GUILD}/assets/coin"))
        .await?
        .json();
    let supply = coin.get("supply").and_then(Value::as_u64);
    stage.check(
        supply == Some(MEMBERS * PURSE),
        format!("{MEMBERS} members with {PURSE} coins each; a shop with 10 potions and 1 crown"),
    );
    Ok(())
}

async fn purchase(stage: &mut Stage) -> Told {
    style::title("A member buys a potion, and the request is sent again");
    let ask = json!({"item": "item:potion", "quantity": 1});
    let first = stage
        .call("shop/buy", "click-1", "user:1", ask.clone())
        .await?;
    let (coins, potions) = (
        stage.posted("user:1", "coin").await?,
        stage.posted("user:1", "item:potion").await?,
    );
    stage.check(
        first.status.is_success() && (coins, potions) == (950, 1),
        format!("the shop sold it: user:1 has {coins} coins and {potions} potion"),
    );
    let again = stage.call("shop/buy", "click-1", "user:1", ask).await?;
    let coins = stage.posted("user:1", "coin").await?;
    stage.check(
        again.replayed && again.body == first.body && coins == 950,
        "sent again: the same bytes, marked as a replay; nothing moved",
    );
    let other = stage
        .call(
            "shop/buy",
            "click-1",
            "user:1",
            json!({"item": "item:crown"}),
        )
        .await?;
    stage.check(
        other.code() == "idempotency_key_reused",
        format!(
            "the same key for something else: {} {}",
            other.status.as_u16(),
            other.code()
        ),
    );
    Ok(())
}

async fn last_item(stage: &mut Stage) -> Told {
    style::title("Two members race for the last crown");
    let path = format!("{GUILD}/plugins/shop/actions/buy");
    let race = |mut client: Client, member: &str| {
        let (path, key) = (path.clone(), format!("crown {member}"));
        let body = json!({"caller": member, "arguments": {"item": "item:crown"}});
        async move { client.post(&path, &key, &body).await }
    };
    let (one, two) = tokio::join!(
        race(stage.connection(), "user:2"),
        race(stage.connection(), "user:3")
    );
    let (one, two) = (one?, two?);
    let (won, lost) = if one.status.is_success() {
        (&one, &two)
    } else {
        (&two, &one)
    };
    let decline = decline_code(lost);
    stage.check(won.status.is_success(), "one of them has it");
    stage.check(
        lost.code() == "declined" && decline == "out_of_stock",
        format!("the other was told {} {decline}", lost.status.as_u16()),
    );
    let crowns =
        stage.posted("user:2", "item:crown").await? + stage.posted("user:3", "item:crown").await?;
    stage.check(crowns == 1, "there is still one crown");
    Ok(())
}

/// Transfers, each sent by two connections at the same moment.
async fn double_clicks(stage: &mut Stage) -> Told {
    style::title(format!(
        "{DOUBLE_CLICKS} double clicks at once, from {CONNECTIONS} connections"
    ));
    let before = stage.posted("user:5", "coin").await?;
    let mut clicks = JoinSet::new();
    for lane in 0..CONNECTIONS {
        let mut client = stage.connection();
        clicks.spawn(async move {
            let mut answers = Vec::new();
            // Half of the connections click first, the other half click again.
            for click in (0..DOUBLE_CLICKS).filter(|click| click % (CONNECTIONS / 2) == lane / 2) {
                let key = format!("double {click}");
                let body = json!({"postings": [
                    {"from": "user:4", "to": "user:5", "asset": "coin", "amount": 1}
                ]});
                answers.push((
                    key.clone(),
                    client
                        .post(&format!("{GUILD}/transfers"), &key, &body)
                        .await,
                ));
            }
            answers
        });
    }
    let mut by_key: BTreeMap<String, Vec<Response>> = BTreeMap::new();
    while let Some(lane) = clicks.join_next().await {
        for (key, answer) in lane.unwrap_or_default() {
            by_key.entry(key).or_default().push(answer?);
        }
    }
    let once = by_key.values().filter(|answers| match answers.as_slice() {
        [one, two] => {
            one.status.as_u16() == 201 && one.body == two.body && one.replayed != two.replayed
        }
        _ => false,
    });
    let once = u64::try_from(once.count()).unwrap_or(0);
    stage.check(
        once == DOUBLE_CLICKS,
        format!("{once} pairs of answers: equal bytes, one of each marked as a replay"),
    );
    let paid = stage.posted("user:5", "coin").await? - before;
    stage.check(
        u64::try_from(paid) == Ok(DOUBLE_CLICKS),
        format!("{paid} coins were paid for {} requests", 2 * DOUBLE_CLICKS),
    );
    Ok(())
}

async fn malicious_plugin(stage: &mut Stage) -> Told {
    style::title("A hostile plugin is installed");
    let bytes = bytes::Bytes::from_static(bundled::MALICIOUS);
    let uploaded = stage
        .client
        .send("POST", "/v1/components", None, bytes)
        .await?;
    let component = uploaded
        .json()
        .get("component")
        .cloned()
        .unwrap_or_default();
    let install = json!({"component": component, "grants": "requested", "enabled": true});
    stage
        .make(&format!("{GUILD}/plugins/malicious"), install)
        .await?;
    let victim = stage.posted("user:6", "coin").await?;
    let loot = json!({"from": "user:6", "asset": "coin", "amount": 100});
    let tried = stage
        .call("malicious/steal", "v1", "user:7", loot.clone())
        .await?
        .json();
    let told = tried
        .pointer("/reply/told")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    stage.check(
        told.contains("NotGranted"),
        format!("it asks for another member's coins: {told}"),
    );
    let tricks = [
        ("steal_anyway", loot, "it insists and panics"),
        ("spin", json!({}), "it loops for ever"),
        ("eat", json!({}), "it eats memory"),
        ("flood_log", json!({}), "it floods the log"),
        (
            "forge",
            json!({"asset": "coin", "amount": 100}),
            "it issues money to itself",
        ),
    ];
    for (trick, arguments, what) in tricks {
        let answer = stage
            .call(&format!("malicious/{trick}"), trick, "user:7", arguments)
            .await?;
        let answer_json = answer.json();
        let fault = answer_json
            .get("fault")
            .or_else(|| answer_json.pointer("/reply/told"));
        let fault = fault.and_then(Value::as_str).unwrap_or_default().to_owned();
        let stopped = answer.code() == "plugin_fault" || fault.contains("NotGranted");
        stage.check(
            stopped,
            format!("{what}: {} {fault}", answer.status.as_u16()),
        );
    }
    let (after, loot) = (
        stage.posted("user:6", "coin").await?,
        stage.posted("plugin:malicious", "coin").await?,
    );
    stage.check(
        (after, loot) == (victim, 0),
        format!("user:6 still has {after} coins, the malicious plugin has {loot}"),
    );
    Ok(())
}

async fn coinflip(stage: &mut Stage) -> Told {
    style::title("A member bets against the house");
    let config = json!({"asset": "coin", "max_stake": 100});
    let install = json!({"component": "bundled:coinflip", "grants": "requested", "config": config, "enabled": true});
    stage
        .make(&format!("{GUILD}/plugins/coinflip"), install)
        .await?;
    let bet = json!({"stake": 40, "side": "heads"});
    let uncovered = stage
        .call("coinflip/flip", "flip 0", "user:8", bet.clone())
        .await?;
    let decline = decline_code(&uncovered);
    stage.check(
        decline == "house_cannot_cover",
        "with an empty bankroll no bet is taken",
    );
    stage.issue("plugin:coinflip", "coin", 500).await?;
    let before = stage.posted("user:8", "coin").await?;
    let flipped = stage
        .call("coinflip/flip", "flip 1", "user:8", bet.clone())
        .await?;
    let reply = flipped.json().get("reply").cloned().unwrap_or_default();
    let side = reply
        .get("side")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let won = reply.get("won").and_then(Value::as_bool).unwrap_or(false);
    let after = stage.posted("user:8", "coin").await?;
    let moved = if won { 40 } else { -40 };
    stage.check(
        flipped.status.is_success() && after - before == moved,
        format!("40 coins on heads: {side} came up, {moved:+} coins"),
    );
    let again = stage.call("coinflip/flip", "flip 1", "user:8", bet).await?;
    stage.check(
        again.replayed && again.body == flipped.body,
        "asked again, the coin stays where it fell",
    );
    Ok(())
}

/// What one connection of the load knows when the server dies.
struct Known {
    acknowledged: Vec<(String, bytes::Bytes)>,
    open: Option<String>,
}

fn payment() -> Value {
    json!({"postings": [{"from": "user:9", "to": "user:10", "asset": "coin", "amount": 1}]})
}

async fn pay_until_it_breaks(mut client: Client, lane: u64) -> Known {
    let mut known = Known {
        acknowledged: Vec::new(),
        open: None,
    };
    for number in 0_u64.. {
        let key = format!("load {lane} {number}");
        let paid = client
            .post(&format!("{GUILD}/transfers"), &key, &payment())
            .await;
        let Ok(answer) = paid else {
            known.open = Some(key);
            break;
        };
        known.acknowledged.push((key, answer.body));
    }
    known
}

async fn sudden_death(stage: &mut Stage) -> Told {
    style::title("kill -9 in the middle of the load");
    stage.issue("user:9", "coin", 1_000_000).await?;
    let before = stage.posted("user:10", "coin").await?;
    let mut load = JoinSet::new();
    for lane in 0..CONNECTIONS {
        load.spawn(pay_until_it_breaks(stage.connection(), lane));
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    stage.kill().await?;
    let known: Vec<Known> = load.join_all().await;
    let acknowledged: Vec<_> = known.iter().flat_map(|known| &known.acknowledged).collect();
    stage.check(
        !acknowledged.is_empty(),
        format!(
            "the server was killed after {} acknowledged payments",
            acknowledged.len()
        ),
    );
    stage.restart().await?;
    let mut kept = 0;
    for (key, body) in &acknowledged {
        let path = format!("{GUILD}/outcomes/{}", key.replace(' ', "%20"));
        kept += usize::from(stage.client.get(&path).await?.body == body);
    }
    stage.check(
        kept == acknowledged.len(),
        format!(
            "started again: {kept} of {} answers are there, byte for byte",
            acknowledged.len()
        ),
    );
    let open: Vec<_> = known
        .iter()
        .filter_map(|known| known.open.as_ref())
        .collect();
    let mut done_before = 0;
    for key in &open {
        let answer = stage
            .client
            .post(&format!("{GUILD}/transfers"), key, &payment())
            .await?;
        done_before += usize::from(answer.replayed);
    }
    let paid = stage.posted("user:10", "coin").await? - before;
    let expected = acknowledged.len() + open.len();
    stage.check(
        usize::try_from(paid) == Ok(expected),
        format!(
            "{} payments whose answer was lost were sent again: {done_before} had been made, the \
             others were made now; {paid} coins moved for {expected} keys",
            open.len()
        ),
    );
    Ok(())
}

async fn books_are_right(stage: &mut Stage) -> Told {
    let stopped = stage.stop().await?;
    let report = bursar_storage::audit_file(&stage.file(), &[], render, &mut |_, _| {});
    let report = report.map_err(|error| Broken::Unexpected(error.to_string()))?;
    audit::print(&serde_json::to_value(&report).unwrap_or_default());
    stage.check(
        stopped && report.ok,
        "the server stopped in order, and every promise holds",
    );
    Ok(())
}
