//! The bundled games and rewards on a real server.

use std::collections::BTreeSet;

use bursar_host::{Manifest, discord_warnings};
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::race::{race, with_many_members};
use crate::support::{GUILD, GuildClient, TestServer, decline_code};

async fn call(guild: &mut GuildClient, action: &str, key: &str, arguments: Value) -> Response {
    guild.call(action, key, "user:1", arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bundled_plugin_installs_by_name_with_its_manifest() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let configs = [
        ("shop", json!({"items": []})),
        ("coinflip", json!({"asset": "coin"})),
        ("daily", json!({"asset": "coin", "amount": 5})),
        ("dice", json!({"asset": "coin"})),
        ("blackjack", json!({"asset": "coin"})),
        ("lottery", json!({"asset": "coin", "price": 5})),
        ("slots", paytable()),
        ("trade", json!({})),
        ("auction", json!({"asset": "coin"})),
        (
            "work",
            json!({"asset": "coin", "pay_min": 1, "pay_max": 3, "cooldown_s": 60}),
        ),
    ];
    let named: BTreeSet<&str> = configs.iter().map(|(name, _)| *name).collect();
    let bundled: BTreeSet<&str> = bursar_server::bundled::PLUGINS
        .iter()
        .map(|each| each.name)
        .collect();
    assert_eq!(named, bundled, "every bundled plugin is listed here");
    for (name, config) in configs {
        guild
            .install(name, &format!("bundled:{name}"), config)
            .await;
        let plugin = guild.get(&format!("{GUILD}/plugins/{name}")).await.json();
        assert_eq!(plugin["manifest"]["id"], name);
        assert_eq!(plugin["enabled"], true);
        // Plugins that keep state about members need more than the default 1 MiB, which some ten thousand
        // members fill.
        let keeps = !["coinflip", "dice", "slots"].contains(&name);
        let state_bytes = keeps.then_some(16 << 20);
        assert_eq!(plugin["grants"]["state_bytes"].as_u64(), state_bytes);
        // Strict validators refuse a schema with an unknown format.
        let mut formats = BTreeSet::new();
        collect_formats(&plugin["manifest"], &mut formats);
        let known = ["account", "amount", "asset"].into();
        assert!(formats.is_subset(&known), "{name}: {formats:?}");
        // A bot can generate its Discord commands from the manifest, except for the two sides of a trade.
        let manifest: Manifest = serde_json::from_value(plugin["manifest"].clone()).unwrap();
        let warnings = discord_warnings(&manifest).into_iter();
        let places: Vec<_> = warnings.filter_map(|warning| warning.pointer).collect();
        let baskets: &[&str] = match name {
            "trade" => &["give", "want"],
            _ => &[],
        };
        let options = "/actions/0/arguments/properties";
        let baskets: Vec<_> = baskets.iter().map(|it| format!("{options}/{it}")).collect();
        assert_eq!(places, baskets, "{name}");
    }
    server.close().await;
}

/// Collects all formats in a manifest's schemas.
fn collect_formats<'v>(value: &'v Value, formats: &mut BTreeSet<&'v str>) {
    formats.extend(value["format"].as_str());
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_formats(item, formats)),
        Value::Object(members) => {
            let values = members.values();
            values.for_each(|value| collect_formats(value, formats));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_pays_by_its_odds_and_moves_the_stake() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild
        .install("dice", "bundled:dice", json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:dice", "coin", 10_000).await;
    let mut coins = 1000;
    for number in 0..30 {
        let bet = json!({"stake": 10, "under": 25});
        let rolled = call(&mut guild, "dice/roll", &format!("k{number}"), bet)
            .await
            .json();
        let reply = &rolled["reply"];
        let won = reply["number"].as_u64().unwrap() < 25;
        assert_eq!(reply["won"], won);
        assert_eq!(reply["paid"], if won { 39 } else { 0 });
        coins += if won { 29 } else { -10 };
        assert_eq!(guild.posted("user:1", "coin").await, coins);
    }
    let refused = call(
        &mut guild,
        "dice/roll",
        "wrong",
        json!({"stake": 10, "under": 99}),
    )
    .await;
    assert_eq!(refused.code(), "malformed");
    server.close().await;
}

fn paytable() -> Value {
    json!({
        "asset": "coin", "stakes": {"max": 10},
        "symbols": [
            {"name": "seven", "weight": 1, "three": 50},
            {"name": "lemon", "weight": 3, "three": 2, "two": 1},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spin_pays_by_the_paytable() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild.install("slots", "bundled:slots", paytable()).await;
    let poor = call(&mut guild, "slots/spin", "poor", json!({"stake": 10})).await;
    assert_eq!(decline_code(&poor), "house_cannot_cover");
    guild.issue("plugin:slots", "coin", 10_000).await;
    let table = call(&mut guild, "slots/table", "table", json!({}))
        .await
        .json();
    // 1/64 * 50 + 27/64 * 2 + 9/64 * 1
    assert_eq!(table["reply"]["returns_ppm"], 1_765_625);
    let mut coins = 1000;
    for number in 0..30 {
        let key = format!("k{number}");
        let spun = call(&mut guild, "slots/spin", &key, json!({"stake": 10}))
            .await
            .json();
        let reels: Vec<&str> = spun["reply"]["reels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reel| reel.as_str().unwrap())
            .collect();
        let paid = match reels.as_slice() {
            ["seven", "seven", "seven"] => 500,
            ["lemon", "lemon", "lemon"] => 20,
            ["lemon", "lemon", _] => 10,
            _ => 0,
        };
        assert_eq!(spun["reply"]["paid"], paid, "{reels:?}");
        coins += paid - 10;
    }
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    let over = call(&mut guild, "slots/spin", "over", json!({"stake": 11})).await;
    assert_eq!(decline_code(&over), "stake_too_large");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_claims_pay_one_reward() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild
        .install(
            "daily",
            "bundled:daily",
            json!({"asset": "coin", "amount": 5}),
        )
        .await;
    let empty = call(&mut guild, "daily/claim", "empty", json!({})).await;
    assert_eq!(empty.code(), "insufficient_funds");
    guild.issue("plugin:daily", "coin", 10_000).await;
    let claims = race(&server, "daily/claim", |_| (1, json!({}))).await;
    claims.assert_outcomes(&[("committed", 1), ("already_claimed", 999)]);
    assert_eq!(guild.posted("user:1", "coin").await, 1005);
    assert_eq!(guild.posted("plugin:daily", "coin").await, 9_995);
    let plugin = guild.get(&format!("{GUILD}/plugins/daily")).await.json();
    assert_eq!(plugin["conflicts"]["given_up"], 0);
    server.close().await;
}

/// The daily issue budget is counted at commit: exactly as many claims succeed as it covers, in any order and
/// without conflicts.
#[tokio::test(flavor = "multi_thread")]
async fn the_daily_issue_budget_covers_exactly_as_many_claims_as_it_can_pay() {
    const MEMBERS: u64 = 250;
    let (server, mut guild) = with_many_members(TestServer::new().await, MEMBERS).await;
    let config = json!({"asset": "coin", "amount": 5, "issue": true});
    guild.install("daily", "bundled:daily", config).await;
    let grants = json!({"debit": ["issuer:coin"], "issue_per_day": {"coin": 50}});
    let path = format!("{GUILD}/plugins/daily");
    guild.put_ok(&path, json!({ "grants": grants })).await;
    let claim = |number: u64| (number % MEMBERS + 1, json!({}));
    let claims = race(&server, "daily/claim", claim).await;
    // Each member claims four times. A member who has the reward gets `already_claimed`, even after the
    // budget is used up.
    claims.assert_outcomes(&[
        ("committed", 10),
        ("already_claimed", 30),
        ("budget_exceeded", 960),
    ]);
    let coins = guild.coin_balances(MEMBERS).await;
    assert_eq!(coins.iter().filter(|coins| **coins == 1005).count(), 10);
    assert_eq!(coins.iter().sum::<i64>(), 250 * 1000 + 50);
    let plugin = guild.get(&path).await.json();
    assert_eq!(plugin["conflicts"]["given_up"], 0);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_is_issued_if_the_operator_configures_and_grants_it() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin", "amount": 5, "issue": true});
    guild.install("daily", "bundled:daily", config).await;
    let path = format!("{GUILD}/plugins/daily");
    guild.put_ok(&path, json!({"grants": {}})).await;
    let refused = call(&mut guild, "daily/claim", "no grant", json!({})).await;
    assert_eq!(decline_code(&refused), "not_granted");
    guild.put_ok(&path, json!({"grants": "requested"})).await;
    assert_eq!(
        call(&mut guild, "daily/claim", "granted", json!({}))
            .await
            .status,
        200
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1005);
    server.close().await;
}

/// The manifest can only request an issuer by its name, so issuing another asset is refused at configuration
/// and not at the first claim.
#[tokio::test(flavor = "multi_thread")]
async fn a_reward_in_another_asset_can_be_paid_but_not_issued() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.put_ok(&format!("{GUILD}/assets/gem"), gem).await;
    let body = |issue: bool| {
        let config = json!({"asset": "gem", "amount": 5, "issue": issue});
        json!({"component": "bundled:daily", "grants": "requested", "config": config, "enabled": true})
    };
    let path = format!("{GUILD}/plugins/daily");
    let refused = guild.put(&path, body(true)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "configuration_refused".into())
    );
    assert_eq!(refused.json()["findings"][0]["pointer"], "/issue");
    guild.put_ok(&path, body(false)).await;
    guild.issue("plugin:daily", "gem", 5).await;
    let claimed = call(&mut guild, "daily/claim", "paid", json!({})).await;
    assert_eq!(claimed.status, 200, "{}", claimed.json());
    assert_eq!(guild.posted("user:1", "gem").await, 5);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_shifts_pay_once_and_an_empty_payroll_draws_nothing() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let config = json!({"asset": "coin", "pay_min": 3, "pay_max": 9, "cooldown_s": 3600});
    guild.install("work", "bundled:work", config).await;
    guild.issue("plugin:work", "coin", 8).await;
    let poor = call(&mut guild, "work/work", "poor", json!({})).await;
    assert_eq!(decline_code(&poor), "house_cannot_cover");
    guild.issue("plugin:work", "coin", 1).await;
    let shifts = race(&server, "work/work", |_| (1, json!({}))).await;
    shifts.assert_outcomes(&[("committed", 1), ("too_soon", 999)]);
    let (_, worked) = shifts.winners()[0];
    let pay = worked.json()["reply"]["pay"].as_i64().unwrap();
    assert!((3..=9).contains(&pay));
    assert_eq!(guild.posted("user:1", "coin").await, 1000 + pay);
    assert_eq!(guild.posted("plugin:work", "coin").await, 9 - pay);
    server.close().await;
}

/// Creates three members, the first of whom has a sword.
async fn guild_with_sword() -> (TestServer, GuildClient) {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let sword = json!({"kind": "item", "name": "Sword", "max_supply": 1});
    guild
        .put_ok(&format!("{GUILD}/assets/item:sword"), sword)
        .await;
    guild.issue("user:1", "item:sword", 1).await;
    (server, guild)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_moves_both_sides_or_nothing() {
    let (server, mut guild) = guild_with_sword().await;
    guild.install("trade", "bundled:trade", json!({})).await;
    let offer = json!({"to": "user:2", "give": {"item:sword": 1}, "want": {"coin": 1001}});
    let offered = guild
        .call("trade/offer", "o1", "user:1", offer)
        .await
        .json();
    assert_eq!(offered["reply"]["trade"], 1);
    // The offered item is held: it can be neither offered again nor transferred.
    let again = json!({"to": "user:3", "give": {"item:sword": 1}});
    let again = guild.call("trade/offer", "o2", "user:1", again).await;
    assert_eq!(again.code(), "insufficient_funds");
    let poor = guild
        .call("trade/accept", "a1", "user:2", json!({"trade": 1}))
        .await;
    assert_eq!(poor.code(), "insufficient_funds");
    assert_eq!(
        guild.posted("user:1", "item:sword").await,
        1,
        "neither side was transferred"
    );
    let outsider = guild
        .call("trade/accept", "a2", "user:3", json!({"trade": 1}))
        .await;
    assert_eq!(decline_code(&outsider), "not_yours");
    guild.transfer("help", "user:3", "user:2", 1).await;
    let created = guild
        .call("trade/accept", "a3", "user:2", json!({"trade": 1}))
        .await;
    assert_eq!(created.status, 200, "{}", created.json());
    assert_eq!(guild.posted("user:2", "item:sword").await, 1);
    assert_eq!(guild.coin_balances(2).await, [2001, 0]);
    let gone = guild
        .call("trade/accept", "a4", "user:2", json!({"trade": 1}))
        .await;
    assert_eq!(decline_code(&gone), "no_such_trade");
    let back = json!({"to": "user:3", "give": {"item:sword": 1}});
    guild.call("trade/offer", "o3", "user:2", back).await;
    let withdrawn = guild
        .call("trade/withdraw", "w", "user:2", json!({"trade": 2}))
        .await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.json());
    let account = guild.get(&format!("{GUILD}/accounts/user:2")).await.json();
    assert_eq!(account["balances"]["item:sword"]["available"], 1);
    server.close().await;
}

/// Captures a part of an account's first hold, or releases it, as an admin.
pub(crate) async fn change_hold_as_admin(
    guild: &mut GuildClient,
    account: &str,
    what: &str,
    body: Value,
) {
    let path = format!("{GUILD}/holds?account={account}");
    let listed = guild.get(&path).await.json();
    let of_account = |hold: &&Value| hold["from"] == account;
    let hold = listed["holds"].as_array().unwrap().iter().find(of_account);
    let id = hold.expect("the account has a hold")["id"]
        .as_str()
        .unwrap();
    let path = format!("holds/{id}/{what}");
    let done = guild.post(&path, &path, body).await;
    assert!(done.status.is_success(), "{}", done.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_partly_captured_by_an_admin_cannot_be_accepted() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    guild.install("trade", "bundled:trade", json!({})).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.put_ok(&format!("{GUILD}/assets/gem"), gem).await;
    guild.issue("user:2", "gem", 10).await;
    let offer = json!({"to": "user:2", "give": {"coin": 100}, "want": {"gem": 10}});
    let offered = guild.call("trade/offer", "o", "user:1", offer).await;
    assert_eq!(offered.status, 200, "{}", offered.json());
    change_hold_as_admin(&mut guild, "user:1", "capture", json!({"amount": 1})).await;
    let trade = json!({"trade": 1});
    let refused = guild.call("trade/accept", "a", "user:2", trade.clone());
    assert_eq!(decline_code(&refused.await), "too_late");
    assert_eq!(guild.posted("user:2", "gem").await, 10);
    // The member who made the offer gets the rest back.
    let withdrawn = guild.call("trade/withdraw", "w", "user:1", trade).await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.json());
    let account = guild.get(&format!("{GUILD}/accounts/user:1")).await.json();
    assert_eq!(account["balances"]["coin"]["available"], 999);
    server.close().await;
}
