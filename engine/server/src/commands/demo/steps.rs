//! The steps of the demonstration. Each ends with checks of its results.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::holds::holds;
use super::run::{DemoError, DemoRun, GUILD};
use crate::bundled;
use crate::client::{Client, Response};
use crate::commands::audit::print;
use crate::commands::style;
use crate::http::render;

/// The result of a step.
type StepResult = Result<(), DemoError>;

/// Number of members of the guild.
const MEMBERS: u64 = 20;
/// Coins of each member at the start.
const STARTING_BALANCE: u64 = 1000;
/// Number of requests that are sent twice.
const DOUBLE_CLICKS: u64 = 200;
/// Number of concurrent connections.
const CONNECTIONS: u64 = 32;

/// Runs all steps in order.
pub(super) async fn all(run: &mut DemoRun) -> StepResult {
    economy(run).await?;
    purchase(run).await?;
    last_item(run).await?;
    duplicates(run).await?;
    holds(run).await?;
    malicious_plugin(run).await?;
    coinflip(run).await?;
    crash(run).await?;
    audit(run)
}

fn user(number: u64) -> String {
    format!("user:{number}")
}

/// Returns the code of a plugin's decline.
fn decline_code(response: &Response) -> String {
    let body = response.json();
    body.pointer("/decline/code")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .into()
}

async fn economy(run: &mut DemoRun) -> StepResult {
    style::title("An economy is opened");
    run.create(GUILD, json!({})).await?;
    run.create(
        &format!("{GUILD}/assets/coin"),
        json!({"kind": "currency", "name": "Coin"}),
    )
    .await?;
    for item in ["potion", "crown"] {
        let asset = format!("{GUILD}/assets/item:{item}");
        run.create(&asset, json!({"kind": "item", "name": item}))
            .await?;
    }
    for number in 1..=MEMBERS {
        run.create(&format!("{GUILD}/accounts/{}", user(number)), json!({}))
            .await?;
        run.issue(&user(number), "coin", STARTING_BALANCE).await?;
    }
    let config = json!({"items": [
        {"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3},
        {"item": "item:crown", "price": {"coin": 500}},
    ]});
    let shop = json!({"component": "bundled:shop", "grants": "requested", "config": config, "enabled": true});
    run.create(&format!("{GUILD}/plugins/shop"), shop).await?;
    run.issue("plugin:shop", "item:potion", 10).await?;
    run.issue("plugin:shop", "item:crown", 1).await?;
    let coin = run
        .client
        .get(&format!("{GUILD}/assets/coin"))
        .await?
        .json();
    let supply = coin.get("supply").and_then(Value::as_u64);
    run.check(
        supply == Some(MEMBERS * STARTING_BALANCE),
        format!("{MEMBERS} members have {STARTING_BALANCE} coins each; the shop has 10 potions and 1 crown"),
    );
    Ok(())
}

async fn purchase(run: &mut DemoRun) -> StepResult {
    style::title("A member buys a potion, and the request is repeated");
    let arguments = json!({"item": "item:potion", "quantity": 1});
    let first = run
        .call("shop/buy", "click-1", "user:1", arguments.clone())
        .await?;
    let coins = run.posted("user:1", "coin").await?;
    let potions = run.posted("user:1", "item:potion").await?;
    run.check(
        first.status.is_success() && (coins, potions) == (950, 1),
        format!("the purchase succeeds: user:1 has {coins} coins and {potions} potion"),
    );
    let again = run.call("shop/buy", "click-1", "user:1", arguments).await?;
    let coins = run.posted("user:1", "coin").await?;
    run.check(
        again.replayed && again.body == first.body && coins == 950,
        "the repeated request gets the same bytes, marked as a replay; no coins move",
    );
    let other = run
        .call(
            "shop/buy",
            "click-1",
            "user:1",
            json!({"item": "item:crown"}),
        )
        .await?;
    run.check(
        other.code() == "idempotency_key_reused",
        format!(
            "another request with the same idempotency key: {} {}",
            other.status.as_u16(),
            other.code()
        ),
    );
    Ok(())
}

async fn last_item(run: &mut DemoRun) -> StepResult {
    style::title("Two members buy the last crown at the same time");
    let path = format!("{GUILD}/plugins/shop/actions/buy");
    let buy = |mut client: Client, member: &str| {
        let path = path.clone();
        let key = format!("crown {member}");
        let body = json!({"caller": member, "arguments": {"item": "item:crown"}});
        async move { client.post(&path, &key, &body).await }
    };
    let (one, two) = tokio::join!(
        buy(run.connection()?, "user:2"),
        buy(run.connection()?, "user:3")
    );
    let one = one?;
    let two = two?;
    let (success, rejection) = if one.status.is_success() {
        (&one, &two)
    } else {
        (&two, &one)
    };
    let decline = decline_code(rejection);
    run.check(success.status.is_success(), "one purchase succeeds");
    run.check(
        rejection.code() == "declined" && decline == "out_of_stock",
        format!(
            "the other one is declined: {} {decline}",
            rejection.status.as_u16()
        ),
    );
    let crowns =
        run.posted("user:2", "item:crown").await? + run.posted("user:3", "item:crown").await?;
    run.check(crowns == 1, "there is still one crown in total");
    Ok(())
}

/// Sends transfers, each by two connections at the same time.
async fn duplicates(run: &mut DemoRun) -> StepResult {
    style::title(format!(
        "{DOUBLE_CLICKS} transfers are sent twice, by {CONNECTIONS} connections at the same time"
    ));
    let before = run.posted("user:5", "coin").await?;
    let mut clicks = JoinSet::new();
    for lane in 0..CONNECTIONS {
        let mut client = run.connection()?;
        clicks.spawn(async move {
            let mut responses = Vec::new();
            // Two connections share each transfer, so that both send it at about the same time.
            for click in (0..DOUBLE_CLICKS).filter(|click| click % (CONNECTIONS / 2) == lane / 2) {
                let key = format!("double {click}");
                let body = json!({"postings": [
                    {"from": "user:4", "to": "user:5", "asset": "coin", "amount": 1}
                ]});
                responses.push((
                    key.clone(),
                    client
                        .post(&format!("{GUILD}/transfers"), &key, &body)
                        .await,
                ));
            }
            responses
        });
    }
    let mut by_key: BTreeMap<String, Vec<Response>> = BTreeMap::new();
    while let Some(lane) = clicks.join_next().await {
        for (key, response) in lane.unwrap_or_default() {
            by_key.entry(key).or_default().push(response?);
        }
    }
    let once = by_key
        .values()
        .filter(|responses| match responses.as_slice() {
            [one, two] => {
                one.status.as_u16() == 201 && one.body == two.body && one.replayed != two.replayed
            }
            _ => false,
        });
    let once = u64::try_from(once.count()).unwrap_or(0);
    run.check(
        once == DOUBLE_CLICKS,
        format!("{once} pairs of responses are equal, and one of each pair is marked as a replay"),
    );
    let paid = run.posted("user:5", "coin").await? - before;
    run.check(
        u64::try_from(paid) == Ok(DOUBLE_CLICKS),
        format!("{} requests move {paid} coins", 2 * DOUBLE_CLICKS),
    );
    Ok(())
}

async fn malicious_plugin(run: &mut DemoRun) -> StepResult {
    style::title("A malicious plugin is installed");
    let bytes = bytes::Bytes::from_static(bundled::MALICIOUS);
    let uploaded = run
        .client
        .send("POST", "/v1/components", None, bytes)
        .await?;
    let component = uploaded
        .json()
        .get("component")
        .cloned()
        .unwrap_or_default();
    let install = json!({"component": component, "grants": "requested", "enabled": true});
    run.create(&format!("{GUILD}/plugins/malicious"), install)
        .await?;
    let before = run.posted("user:6", "coin").await?;
    let loot = json!({"from": "user:6", "asset": "coin", "amount": 100});
    let response = run
        .call("malicious/steal", "v1", "user:7", loot.clone())
        .await?
        .json();
    let refusal = response
        .pointer("/reply/text")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    run.check(
        refusal.contains("NotGranted"),
        format!("it requests coins of another member: {refusal}"),
    );
    let attacks = [
        ("steal_anyway", loot, "it panics after the refusal"),
        ("spin", json!({}), "it loops without end"),
        ("eat", json!({}), "it allocates memory without end"),
        ("flood_log", json!({}), "it floods the log"),
        (
            "forge",
            json!({"asset": "coin", "amount": 100}),
            "it issues coins to itself",
        ),
    ];
    for (attack, arguments, what) in attacks {
        let response = run
            .call(&format!("malicious/{attack}"), attack, "user:7", arguments)
            .await?;
        let body = response.json();
        let fault = body.get("fault").or_else(|| body.pointer("/reply/text"));
        let fault = fault.and_then(Value::as_str).unwrap_or_default().to_owned();
        let stopped = response.code() == "plugin_fault" || fault.contains("NotGranted");
        run.check(
            stopped,
            format!("{what}: {} {fault}", response.status.as_u16()),
        );
    }
    let after = run.posted("user:6", "coin").await?;
    let stolen = run.posted("plugin:malicious", "coin").await?;
    run.check(
        (after, stolen) == (before, 0),
        format!("user:6 still has {after} coins, the malicious plugin has {stolen}"),
    );
    Ok(())
}

async fn coinflip(run: &mut DemoRun) -> StepResult {
    style::title("A member bets in the coinflip game");
    let config = json!({"asset": "coin", "max_stake": 100});
    let install = json!({"component": "bundled:coinflip", "grants": "requested", "config": config, "enabled": true});
    run.create(&format!("{GUILD}/plugins/coinflip"), install)
        .await?;
    let bet = json!({"stake": 40, "side": "heads"});
    let uncovered = run
        .call("coinflip/flip", "flip 0", "user:8", bet.clone())
        .await?;
    let decline = decline_code(&uncovered);
    run.check(
        decline == "house_cannot_cover",
        "while the bankroll of the game is empty, it declines the bet",
    );
    run.issue("plugin:coinflip", "coin", 500).await?;
    let before = run.posted("user:8", "coin").await?;
    let flipped = run
        .call("coinflip/flip", "flip 1", "user:8", bet.clone())
        .await?;
    let reply = flipped.json().get("reply").cloned().unwrap_or_default();
    let side = reply
        .get("side")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let won = reply.get("won").and_then(Value::as_bool).unwrap_or(false);
    let after = run.posted("user:8", "coin").await?;
    let moved = if won { 40 } else { -40 };
    run.check(
        flipped.status.is_success() && after - before == moved,
        format!("40 coins on heads: the result is {side}, {moved:+} coins"),
    );
    let again = run.call("coinflip/flip", "flip 1", "user:8", bet).await?;
    run.check(
        again.replayed && again.body == flipped.body,
        "the repeated request gets the same result",
    );
    Ok(())
}

/// The payments of one connection until the server was killed.
struct PaymentLog {
    /// Idempotency keys of acknowledged payments, with the response bodies.
    acknowledged: Vec<(String, bytes::Bytes)>,
    /// The key of the payment without a response.
    unanswered: Option<String>,
}

fn payment() -> Value {
    json!({"postings": [{"from": "user:9", "to": "user:10", "asset": "coin", "amount": 1}]})
}

/// Sends payments until the connection fails.
async fn pay_until_failure(mut client: Client, lane: u64) -> PaymentLog {
    let mut log = PaymentLog {
        acknowledged: Vec::new(),
        unanswered: None,
    };
    for number in 0_u64.. {
        let key = format!("load {lane} {number}");
        let response = client
            .post(&format!("{GUILD}/transfers"), &key, &payment())
            .await;
        let Ok(response) = response else {
            log.unanswered = Some(key);
            break;
        };
        log.acknowledged.push((key, response.body));
    }
    log
}

async fn crash(run: &mut DemoRun) -> StepResult {
    style::title("The server is killed (kill -9) during payments");
    run.issue("user:9", "coin", 1_000_000).await?;
    let before = run.posted("user:10", "coin").await?;
    let mut load = JoinSet::new();
    for lane in 0..CONNECTIONS {
        load.spawn(pay_until_failure(run.connection()?, lane));
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    run.kill();
    let logs: Vec<PaymentLog> = load.join_all().await;
    let acknowledged: Vec<_> = logs.iter().flat_map(|log| &log.acknowledged).collect();
    run.check(
        !acknowledged.is_empty(),
        format!(
            "the server was killed after {} acknowledged payments",
            acknowledged.len()
        ),
    );
    run.restart()?;
    let mut found = 0;
    for (key, body) in &acknowledged {
        let path = format!("{GUILD}/outcomes/{}", key.replace(' ', "%20"));
        found += usize::from(run.client.get(&path).await?.body == body);
    }
    run.check(
        found == acknowledged.len(),
        format!(
            "after the restart: {found} of {} outcomes are stored, byte for byte",
            acknowledged.len()
        ),
    );
    let unanswered: Vec<_> = logs
        .iter()
        .filter_map(|log| log.unanswered.as_ref())
        .collect();
    let mut replayed = 0;
    for key in &unanswered {
        let response = run
            .client
            .post(&format!("{GUILD}/transfers"), key, &payment())
            .await?;
        replayed += usize::from(response.replayed);
    }
    let paid = run.posted("user:10", "coin").await? - before;
    let expected = acknowledged.len() + unanswered.len();
    run.check(
        usize::try_from(paid) == Ok(expected),
        format!(
            "{} payments without a response are sent again: {replayed} had been made before, the others are \
             made now; {paid} coins have moved for {expected} keys",
            unanswered.len()
        ),
    );
    Ok(())
}

fn audit(run: &mut DemoRun) -> StepResult {
    let stopped = run.stop()?;
    let report = bursar_storage::audit_file(&run.file(), &[], render, &mut |_, _| {});
    let report = report.map_err(|error| DemoError::Unexpected(error.to_string()))?;
    print(&serde_json::to_value(&report).unwrap_or_default());
    run.check(
        stopped && report.ok,
        "the server stops in order, and every promise holds",
    );
    Ok(())
}
