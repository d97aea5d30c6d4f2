//! The bundled games and rewards, as a community plays them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar_host::{Manifest, discord_warnings};
use bursar_ledger::Timestamp;
use bursar_server::client::Response;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::race::{RACERS, crowded, race};
use crate::support::{GUILD, Guild, House, decline_code};

async fn call(guild: &mut Guild, action: &str, key: &str, arguments: Value) -> Response {
    guild.call(action, key, "user:1", arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bundled_plugin_installs_by_name_and_says_what_it_is() {
    let (house, mut guild) = House::with_guild(1).await;
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
    assert_eq!(named, bundled, "each has its line here");
    for (name, config) in configs {
        guild
            .install(name, &format!("bundled:{name}"), config)
            .await;
        let plugin = guild.get(&format!("{GUILD}/plugins/{name}")).await.json();
        assert_eq!(plugin["manifest"]["id"], name);
        assert_eq!(plugin["enabled"], true);
        // Where something is kept of members, 1 MiB would be full with some ten thousand of them.
        let keeps = !["coinflip", "dice", "slots"].contains(&name);
        let state_bytes = keeps.then_some(16 << 20);
        assert_eq!(plugin["grants"]["state_bytes"].as_u64(), state_bytes);
        // Strict validators refuse a schema with a format that they do not know.
        let mut formats = BTreeSet::new();
        collect_formats(&plugin["manifest"], &mut formats);
        let known = ["account", "amount", "asset"].into();
        assert!(formats.is_subset(&known), "{name}: {formats:?}");
        // A bot can make its commands from them, but for the two sides of a trade.
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
    house.close().await;
}

/// All formats of a manifest's schemas.
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
async fn a_roll_pays_by_its_chance_and_moves_the_stake() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
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
async fn a_spin_pays_what_the_table_says() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_claims_at_once_are_one_reward() {
    let (house, mut guild) = House::with_guild(1).await;
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
    let claims = race(&house, "daily/claim", |_| (1, json!({}))).await;
    claims.ended(&[("committed", 1), ("already_claimed", 999)]);
    assert_eq!(guild.posted("user:1", "coin").await, 1005);
    assert_eq!(guild.posted("plugin:daily", "coin").await, 9_995);
    let plugin = guild.get(&format!("{GUILD}/plugins/daily")).await.json();
    assert_eq!(plugin["conflicts"]["given_up"], 0);
    house.close().await;
}

/// What may be issued in a day is counted where calls commit: as many get it as there is, whoever comes
/// first, and nobody runs again because of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_days_budget_is_for_exactly_as_many_as_it_covers() {
    const MEMBERS: u64 = 250;
    let (house, mut guild) = crowded(House::new().await, MEMBERS).await;
    let config = json!({"asset": "coin", "amount": 5, "issue": true});
    guild.install("daily", "bundled:daily", config).await;
    let grants = json!({"debit": ["issuer:coin"], "issue_per_day": {"coin": 50}});
    let path = format!("{GUILD}/plugins/daily");
    guild.made(&path, json!({ "grants": grants })).await;
    let claim = |number: u64| (number % MEMBERS + 1, json!({}));
    let claims = race(&house, "daily/claim", claim).await;
    // Each member claims four times: who has it is told so, also when the day's budget is spent.
    claims.ended(&[
        ("committed", 10),
        ("already_claimed", 30),
        ("budget_exceeded", 960),
    ]);
    let coins = guild.coins(MEMBERS).await;
    assert_eq!(coins.iter().filter(|coins| **coins == 1005).count(), 10);
    assert_eq!(coins.iter().sum::<i64>(), 250 * 1000 + 50);
    let plugin = guild.get(&path).await.json();
    assert_eq!(plugin["conflicts"]["given_up"], 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_is_issued_where_the_operator_has_said_and_granted_so() {
    let (house, mut guild) = House::with_guild(1).await;
    let config = json!({"asset": "coin", "amount": 5, "issue": true});
    guild.install("daily", "bundled:daily", config).await;
    let path = format!("{GUILD}/plugins/daily");
    guild.made(&path, json!({"grants": {}})).await;
    let refused = call(&mut guild, "daily/claim", "no grant", json!({})).await;
    assert_eq!(decline_code(&refused), "not_granted");
    guild.made(&path, json!({"grants": "requested"})).await;
    assert_eq!(
        call(&mut guild, "daily/claim", "granted", json!({}))
            .await
            .status,
        200
    );
    assert_eq!(guild.posted("user:1", "coin").await, 1005);
    house.close().await;
}

/// The manifest can only ask for an issuer by name. Who configures another asset to be issued learns it
/// then, and not from members who are refused their reward.
#[tokio::test(flavor = "multi_thread")]
async fn a_reward_in_another_asset_is_paid_and_cannot_be_issued() {
    let (house, mut guild) = House::with_guild(1).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.made(&format!("{GUILD}/assets/gem"), gem).await;
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
    guild.made(&path, body(false)).await;
    guild.issue("plugin:daily", "gem", 5).await;
    let claimed = call(&mut guild, "daily/claim", "paid", json!({})).await;
    assert_eq!(claimed.status, 200, "{}", claimed.json());
    assert_eq!(guild.posted("user:1", "gem").await, 5);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_shifts_at_once_are_one_and_an_empty_purse_draws_nothing() {
    let (house, mut guild) = House::with_guild(1).await;
    let config = json!({"asset": "coin", "pay_min": 3, "pay_max": 9, "cooldown_s": 3600});
    guild.install("work", "bundled:work", config).await;
    guild.issue("plugin:work", "coin", 8).await;
    let poor = call(&mut guild, "work/work", "poor", json!({})).await;
    assert_eq!(decline_code(&poor), "house_cannot_cover");
    guild.issue("plugin:work", "coin", 1).await;
    let shifts = race(&house, "work/work", |_| (1, json!({}))).await;
    shifts.ended(&[("committed", 1), ("too_soon", 999)]);
    let (_, worked) = shifts.winners()[0];
    let pay = worked.json()["reply"]["pay"].as_i64().unwrap();
    assert!((3..=9).contains(&pay));
    assert_eq!(guild.posted("user:1", "coin").await, 1000 + pay);
    assert_eq!(guild.posted("plugin:work", "coin").await, 9 - pay);
    house.close().await;
}

/// A guild of three in which the first member has a sword.
async fn armed() -> (House, Guild) {
    let (house, mut guild) = House::with_guild(3).await;
    let sword = json!({"kind": "item", "name": "Sword", "max_supply": 1});
    guild
        .made(&format!("{GUILD}/assets/item:sword"), sword)
        .await;
    guild.issue("user:1", "item:sword", 1).await;
    (house, guild)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trade_moves_both_sides_or_nothing() {
    let (house, mut guild) = armed().await;
    guild.install("trade", "bundled:trade", json!({})).await;
    let offer = json!({"to": "user:2", "give": {"item:sword": 1}, "want": {"coin": 1001}});
    let offered = guild
        .call("trade/offer", "o1", "user:1", offer)
        .await
        .json();
    assert_eq!(offered["reply"]["trade"], 1);
    // What is offered is held: it cannot be offered twice, nor be given away.
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
        "neither side has moved"
    );
    let stranger = guild
        .call("trade/accept", "a2", "user:3", json!({"trade": 1}))
        .await;
    assert_eq!(decline_code(&stranger), "not_yours");
    guild.transfer("help", "user:3", "user:2", 1).await;
    let made = guild
        .call("trade/accept", "a3", "user:2", json!({"trade": 1}))
        .await;
    assert_eq!(made.status, 200, "{}", made.json());
    assert_eq!(guild.posted("user:2", "item:sword").await, 1);
    assert_eq!(guild.coins(2).await, [2001, 0]);
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
    house.close().await;
}

/// An auction of a sword, whose clock stands still until somebody moves it.
async fn auction() -> (House, Guild, Arc<AtomicU64>) {
    let config = json!({"asset": "coin", "increment": 10});
    auction_for(3, config, 50).await
}

/// The same among so many members, with a smallest bid.
async fn auction_for(members: u64, config: Value, reserve: u64) -> (House, Guild, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let hands = Arc::clone(&clock);
    let house = House::set_up(|setup| {
        setup.clock = TimeSource::even(move || Timestamp(hands.load(Ordering::SeqCst)));
        // Lots are settled by hand here.
        setup.schedules = None;
    });
    let (house, mut guild) = crowded(house.await, members).await;
    let sword = json!({"kind": "item", "name": "Sword", "max_supply": 1});
    guild
        .made(&format!("{GUILD}/assets/item:sword"), sword)
        .await;
    guild.issue("user:1", "item:sword", 1).await;
    guild.install("auction", "bundled:auction", config).await;
    let lot = json!({"asset": "item:sword", "amount": 1, "reserve": reserve, "lasts_s": 60});
    let opened = guild.call("auction/open", "open", "user:1", lot).await;
    assert_eq!(opened.status, 200, "{}", opened.json());
    (house, guild, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_gives_each_bid_back_but_the_highest_and_settles_once() {
    let (house, mut guild, clock) = auction().await;
    let bid = json!({"lot": 1, "amount": 50});
    let first = guild.call("auction/bid", "first", "user:2", bid).await;
    assert_eq!(first.status, 200, "{}", first.json());
    let held = |account: Value| account["balances"]["coin"]["held"].clone();
    let second = format!("{GUILD}/accounts/user:2");
    assert_eq!(held(guild.get(&second).await.json()), 50);
    let higher = json!({"lot": 1, "amount": 60});
    let higher = guild.call("auction/bid", "higher", "user:3", higher).await;
    assert_eq!(higher.status, 200, "{}", higher.json());
    assert_eq!(
        held(guild.get(&second).await.json()),
        0,
        "who is outbid has the bid back"
    );
    let early = guild
        .call("auction/settle", "early", "user:2", json!({"lot": 1}))
        .await;
    assert_eq!(decline_code(&early), "not_over");
    clock.fetch_add(60_000, Ordering::SeqCst);
    let late = guild
        .call(
            "auction/bid",
            "late",
            "user:2",
            json!({"lot": 1, "amount": 500}),
        )
        .await;
    assert_eq!(decline_code(&late), "over");
    let settled = race(&house, "auction/settle", |_| (2, json!({"lot": 1}))).await;
    settled.ended(&[("committed", 1), ("already_settled", 999)]);
    assert_eq!(guild.posted("user:3", "item:sword").await, 1);
    assert_eq!(guild.coins(3).await, [1060, 1000, 940]);
    house.close().await;
}

/// The bids that were made, in the order of the journal: how much, and whether it counted.
async fn bids(guild: &mut Guild) -> Vec<(u64, bool)> {
    let is_bid = |event: &&Value| {
        let path = event["request"]["path"].as_str();
        path.is_some_and(|path| path.ends_with("/auction/actions/bid"))
    };
    let bid = |event: &Value| {
        let amount = event["request"]["body"]["arguments"]["amount"].as_u64();
        (amount.unwrap(), event["outcome"] == "applied")
    };
    let events = guild.events().await;
    events.iter().filter(is_bid).map(bid).collect()
}

/// A thousand members bid at one moment, each another amount. Whoever comes first: a bid counts if it is
/// above all those before it and not otherwise, the highest of all has the lot, and everybody else has all of
/// their money.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_bids_the_highest_wins_and_all_others_are_given_back() {
    let config = json!({"asset": "coin", "increment": 1});
    let (house, mut guild, clock) = auction_for(RACERS + 1, config, 1).await;
    // 387 and 1,000 have no divisor in common, so each amount from 1 to 1,000 is bid once.
    let amount = |number: u64| number * 387 % RACERS + 1;
    let bid = |number: u64| (number + 2, json!({"lot": 1, "amount": amount(number)}));
    let race_of_bids = race(&house, "auction/bid", bid).await;
    let counted = race_of_bids.winners().len();
    race_of_bids.ended(&[("committed", counted), ("bid_too_low", 1_000 - counted)]);
    let bids = bids(&mut guild).await;
    assert_eq!(bids.len(), 1_000, "each has its place in the journal");
    let mut highest = 0;
    for (amount, counts) in bids {
        assert_eq!(counts, amount > highest, "{amount} after {highest}");
        highest = highest.max(amount);
    }
    assert_eq!(highest, 1_000);
    clock.fetch_add(60_000, Ordering::SeqCst);
    let settled = guild
        .call("auction/settle", "settle", "user:1", json!({"lot": 1}))
        .await
        .json();
    let winner = (0..RACERS).find(|number| amount(*number) == 1_000).unwrap() + 2;
    assert_eq!(settled["reply"]["winner"], format!("user:{winner}"));
    for member in 2..=RACERS + 1 {
        let path = format!("{GUILD}/accounts/user:{member}");
        let balances = guild.get(&path).await.json()["balances"].clone();
        let (coins, swords) = if member == winner { (0, 1) } else { (1_000, 0) };
        assert_eq!(balances["coin"]["posted"], coins, "{member}");
        assert_eq!(balances["coin"]["available"], coins, "{member}");
        let sword = balances["item:sword"]["posted"].as_i64().unwrap_or(0);
        assert_eq!(sword, swords, "{member}");
    }
    assert_eq!(guild.posted("user:1", "coin").await, 2_000);
    house.close().await;
}

/// What an admin does to the first hold of an account: captures a part, or releases it.
async fn interfere(guild: &mut Guild, account: &str, what: &str, body: Value) {
    let path = format!("{GUILD}/holds?account={account}");
    let listed = guild.get(&path).await.json();
    let of_account = |hold: &&Value| hold["from"] == account;
    let hold = listed["holds"].as_array().unwrap().iter().find(of_account);
    let id = hold.expect("something is held")["id"].as_str().unwrap();
    let path = format!("holds/{id}/{what}");
    let done = guild.post(&path, &path, body).await;
    assert!(done.status.is_success(), "{}", done.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_which_an_admin_took_a_part_is_no_trade_any_more() {
    let (house, mut guild) = House::with_guild(2).await;
    guild.install("trade", "bundled:trade", json!({})).await;
    let gem = json!({"kind": "currency", "name": "Gem"});
    guild.made(&format!("{GUILD}/assets/gem"), gem).await;
    guild.issue("user:2", "gem", 10).await;
    let offer = json!({"to": "user:2", "give": {"coin": 100}, "want": {"gem": 10}});
    let offered = guild.call("trade/offer", "o", "user:1", offer).await;
    assert_eq!(offered.status, 200, "{}", offered.json());
    interfere(&mut guild, "user:1", "capture", json!({"amount": 1})).await;
    let trade = json!({"trade": 1});
    let refused = guild.call("trade/accept", "a", "user:2", trade.clone());
    assert_eq!(decline_code(&refused.await), "too_late");
    assert_eq!(guild.posted("user:2", "gem").await, 10);
    // Who made it has the rest back.
    let withdrawn = guild.call("trade/withdraw", "w", "user:1", trade).await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.json());
    let account = guild.get(&format!("{GUILD}/accounts/user:1")).await.json();
    assert_eq!(account["balances"]["coin"]["available"], 999);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bid_that_an_admin_released_is_outbid_like_any_other() {
    let (house, mut guild, clock) = auction().await;
    let bid = |amount: u64| json!({"lot": 1, "amount": amount});
    guild.call("auction/bid", "b1", "user:2", bid(50)).await;
    interfere(&mut guild, "user:2", "release", json!({})).await;
    let next = guild.call("auction/bid", "b2", "user:3", bid(60)).await;
    assert_eq!(next.status, 200, "{}", next.json());
    clock.fetch_add(60_000, Ordering::SeqCst);
    let of = json!({"lot": 1});
    let settled = guild.call("auction/settle", "s", "user:1", of).await;
    assert_eq!(settled.json()["reply"]["winner"], "user:3");
    assert_eq!(guild.coins(3).await, [1060, 1000, 940]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_that_an_admin_took_away_is_not_bid_for_and_ends_at_once() {
    let (house, mut guild, _clock) = auction().await;
    let bid = |amount: u64| json!({"lot": 1, "amount": amount});
    guild.call("auction/bid", "b1", "user:2", bid(50)).await;
    interfere(&mut guild, "user:1", "release", json!({})).await;
    let next = guild.call("auction/bid", "b2", "user:3", bid(60)).await;
    assert_eq!(decline_code(&next), "lot_gone");
    let of = json!({"lot": 1});
    let settled = guild.call("auction/settle", "s", "user:3", of).await;
    assert_eq!(settled.status, 200, "{}", settled.json());
    assert_eq!(settled.json()["reply"]["winner"], Value::Null);
    let account = guild.get(&format!("{GUILD}/accounts/user:2")).await.json();
    assert_eq!(account["balances"]["coin"]["available"], 1000);
    house.close().await;
}
