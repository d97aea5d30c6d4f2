//! Random configurations of bundled plugins: each is either refused at once, or no call ever fails because of
//! it. The stated needs cover the largest stake.

use bursar_server::bundled;
use bursar_testkit::{Economy, TestCall};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use crate::long_runs;

/// Amounts near which rules change: small ones, and large ones whose multiples overflow.
const AMOUNTS: [u64; 10] = [
    1,
    2,
    5,
    10,
    100,
    1 << 44,
    1 << 50,
    1 << 51,
    1 << 52,
    (1 << 53) - 1,
];

/// Assets; the last one is in no economy.
const ASSETS: [&str; 3] = ["coin", "item:sword", "gem"];

/// The balance of members and plugins before needs are added.
const STARTING_BALANCE: u64 = 1 << 45;

/// A plugin, a configuration and calls of it.
#[derive(Clone, Debug)]
struct Case {
    plugin: &'static str,
    config: Value,
    calls: Vec<(&'static str, Value)>,
    /// Seconds that pass after each call.
    rest_s: u64,
}

fn amount() -> impl Strategy<Value = u64> + Clone {
    select(&AMOUNTS[..])
}

fn asset() -> impl Strategy<Value = &'static str> + Clone {
    select(&ASSETS[..])
}

/// Builds an object from the members that have a value.
fn object(members: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let there = members.into_iter();
    let there = there.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn maybe() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(amount())
}

fn stakes() -> impl Strategy<Value = Value> {
    (maybe(), maybe()).prop_map(|(min, max)| {
        object([("min", min.map(Value::from)), ("max", max.map(Value::from))])
    })
}

fn bet(action: &'static str, more: BoxedStrategy<Value>) -> BoxedStrategy<(&'static str, Value)> {
    let bet = (amount(), more).prop_map(move |(stake, mut arguments)| {
        arguments["stake"] = stake.into();
        (action, arguments)
    });
    bet.boxed()
}

fn of_game(
    plugin: &'static str,
    config: BoxedStrategy<Value>,
    call: BoxedStrategy<(&'static str, Value)>,
) -> BoxedStrategy<Case> {
    let calls = prop::collection::vec(call, 1..8);
    let case = (config, calls).prop_map(move |(config, calls)| Case {
        plugin,
        config,
        calls,
        rest_s: 0,
    });
    case.boxed()
}

fn coinflip() -> BoxedStrategy<Case> {
    let config = (asset(), maybe(), maybe()).prop_map(|(asset, min, max)| {
        object([
            ("asset", Some(asset.into())),
            ("min_stake", min.map(Value::from)),
            ("max_stake", max.map(Value::from)),
        ])
    });
    let side = select(&["heads", "tails"][..]);
    let side = side.prop_map(|side| json!({ "side": side }));
    of_game(
        "coinflip",
        config.boxed(),
        bet("coinflip/flip", side.boxed()),
    )
}

fn dice() -> BoxedStrategy<Case> {
    let edge = prop::option::of(select(&[0, 10, 200, 201][..]));
    let config = (asset(), edge, stakes()).prop_map(|(asset, edge, stakes)| {
        object([
            ("asset", Some(asset.into())),
            ("edge_permille", edge.map(Value::from)),
            ("stakes", Some(stakes)),
        ])
    });
    let under = select(&[2, 50, 98][..]).prop_map(|under| json!({ "under": under }));
    of_game("dice", config.boxed(), bet("dice/roll", under.boxed()))
}

fn blackjack() -> BoxedStrategy<Case> {
    let config = (asset(), stakes());
    let config = config.prop_map(|(asset, stakes)| json!({"asset": asset, "stakes": stakes}));
    let play = select(&["blackjack/hit", "blackjack/stand", "blackjack/double"][..]);
    let call = Union::new([
        bet("blackjack/deal", Just(json!({})).boxed()),
        play.prop_map(|action| (action, json!({}))).boxed(),
    ]);
    of_game("blackjack", config.boxed(), call.boxed())
}

fn slots() -> BoxedStrategy<Case> {
    // Most values are valid; otherwise hardly any paytable would be.
    let times = || prop_oneof![20 => select(&[0, 1, 2, 100, 100_000][..]), 1 => Just(100_001)];
    let weight =
        prop_oneof![20 => select(&[1, 2, 4_000][..]), 1 => select(&[0, 9_999, 10_001][..])];
    let symbol = (weight, times(), times(), prop::bool::weighted(0.05));
    let symbols = prop::collection::vec(symbol, 1..4).prop_map(|symbols| {
        let symbols = symbols.into_iter().enumerate();
        let symbols = symbols.map(|(index, (weight, three, two, has_anothers_name))| {
            let name = if has_anothers_name { 0 } else { index }.to_string();
            json!({"name": name, "weight": weight, "three": three, "two": two})
        });
        symbols.collect::<Vec<_>>()
    });
    let config = (asset(), symbols, stakes());
    let config = config.prop_map(
        |(asset, symbols, stakes)| json!({"asset": asset, "symbols": symbols, "stakes": stakes}),
    );
    let call = Union::new([
        bet("slots/spin", Just(json!({})).boxed()),
        Just(("slots/table", json!({}))).boxed(),
    ]);
    of_game("slots", config.boxed(), call.boxed())
}

fn auction() -> BoxedStrategy<Case> {
    let extension = prop::option::of(select(&[0, 60, 2_592_000, 2_592_001, u64::MAX >> 11][..]));
    let config = (asset(), maybe(), extension).prop_map(|(asset, increment, extension)| {
        object([
            ("asset", Some(asset.into())),
            ("increment", increment.map(Value::from)),
            ("extension_s", extension.map(Value::from)),
        ])
    });
    let known = select(&ASSETS[..2]);
    let open = (known, amount(), 1..=2_592_000_u64).prop_map(|(asset, reserve, lasts_s)| {
        let lot = json!({"asset": asset, "amount": 1, "reserve": reserve, "lasts_s": lasts_s});
        ("auction/open", lot)
    });
    let bid = amount().prop_map(|amount| ("auction/bid", json!({"lot": 1, "amount": amount})));
    let of = select(&["auction/look", "auction/settle", "auction/cancel"][..]);
    let of = of.prop_map(|action| (action, json!({"lot": 1})));
    let call = Union::new([open.boxed(), bid.boxed(), of.boxed()]);
    of_game("auction", config.boxed(), call.boxed())
}

/// Returns a plugin with one action without arguments, called once a day.
fn once_a_day(
    plugin: &'static str,
    config: BoxedStrategy<Value>,
    action: &'static str,
) -> BoxedStrategy<Case> {
    let case = of_game(plugin, config, Just((action, json!({}))).boxed());
    let case = case.prop_map(|case| Case {
        rest_s: 86_400,
        ..case
    });
    case.boxed()
}

fn work() -> BoxedStrategy<Case> {
    let config = (asset(), amount(), amount()).prop_map(|(asset, least, most)| {
        json!({"asset": asset, "pay_min": least, "pay_max": most, "cooldown_s": 60})
    });
    once_a_day("work", config.boxed(), "work/work")
}

fn daily() -> BoxedStrategy<Case> {
    let bonus = select(&[0_u64, 1, 1 << 50, (1 << 53) - 1][..]);
    let streak = select(&[0, 1, 2, 7, u32::MAX][..]);
    let zone = prop::option::weighted(0.3, select(&["Europe/Berlin", "Europe/Berln"][..]));
    let offset = prop::option::weighted(0.3, select(&[0, 840, 841][..]));
    let money = (asset(), amount(), bonus, streak, any::<bool>());
    let config = (money, zone, offset).prop_map(|(money, zone, offset)| {
        let (asset, amount, bonus, streak, issue) = money;
        object([
            ("asset", Some(asset.into())),
            ("amount", Some(amount.into())),
            ("streak_bonus", Some(bonus.into())),
            ("streak_max", Some(streak.into())),
            ("issue", Some(issue.into())),
            ("time_zone", zone.map(Value::from)),
            ("utc_offset_min", offset.map(Value::from)),
        ])
    });
    once_a_day("daily", config.boxed(), "daily/claim")
}

fn lottery() -> BoxedStrategy<Case> {
    let most = prop::option::of(select(&[0, 1, 5][..]));
    let fee = select(&[0, 1, 500, 501][..]);
    let config = (asset(), amount(), most, fee).prop_map(|(asset, price, most, fee)| {
        object([
            ("asset", Some(asset.into())),
            ("price", Some(price.into())),
            ("per_member_limit", most.map(Value::from)),
            ("fee_permille", Some(fee.into())),
        ])
    });
    let call = Union::new([
        amount()
            .prop_map(|tickets| ("lottery/buy", json!({ "tickets": tickets })))
            .boxed(),
        Just(("lottery/status", json!({}))).boxed(),
        Just(("lottery/claim", json!({}))).boxed(),
    ]);
    let case = of_game("lottery", config.boxed(), call.boxed());
    let case = case.prop_map(|case| Case {
        rest_s: 43_200,
        ..case
    });
    case.boxed()
}

fn trade() -> BoxedStrategy<Case> {
    let config = select(&["{}", r#"{"asset": "coin"}"#][..]);
    let config = config.prop_map(|text| serde_json::from_str::<Value>(text).unwrap());
    let known = || select(&ASSETS[..2]);
    let offer = (known(), amount(), known(), amount()).prop_map(|(give, gives, want, wants)| {
        let offer = json!({"to": "user:2", "give": {give: gives}, "want": {want: wants}});
        ("trade/offer", offer)
    });
    let of = select(&["trade/accept", "trade/withdraw"][..]);
    let of = of.prop_map(|action| (action, json!({"trade": 1})));
    let call = Union::new([offer.boxed(), of.boxed()]);
    of_game("trade", config.boxed(), call.boxed())
}

fn shop() -> BoxedStrategy<Case> {
    // Most assets exist; otherwise hardly any list of offers would be valid.
    let known = || prop_oneof![8 => select(&ASSETS[..2]), 1 => Just(ASSETS[2])];
    let role = prop::option::of(select(&["vip", "mod"][..]));
    let moment = || prop::option::weighted(0.2, select(&[0, 5, 1 << 50][..]));
    let offer = (
        known(),
        known(),
        amount(),
        role,
        moment(),
        moment(),
        maybe(),
    );
    let offer = offer.prop_map(|(item, asset, price, role, from, until, restock)| {
        let terms = object([
            ("role", role.map(Value::from)),
            ("from_ms", from.map(|moment: u64| moment.into())),
            ("until_ms", until.map(|moment: u64| moment.into())),
        ]);
        object([
            ("item", Some(item.into())),
            ("price", Some(json!({ asset: price }))),
            ("terms", Some(terms)),
            ("restock", restock.map(|to| json!({ "to": to }))),
        ])
    });
    let items = prop::collection::vec(offer, 0..4);
    let items = items.prop_map(|items| json!({ "items": items }));
    let buy = (select(&ASSETS[..2]), 1..1_000_u64)
        .prop_map(|(item, quantity)| ("shop/buy", json!({"item": item, "quantity": quantity})));
    let refund = Just(("shop/refund", json!({"purchase": 1})));
    let call = Union::new([buy.boxed(), refund.boxed()]);
    of_game("shop", items.boxed(), call.boxed())
}

fn component(name: &str) -> &'static [u8] {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    bundled.expect("it is bundled").bytes
}

fn economy() -> Economy {
    let mut economy = Economy::new("configured");
    for asset in &ASSETS[..2] {
        economy.asset(asset);
    }
    economy.member(
        "user:1",
        &[("coin", STARTING_BALANCE), ("item:sword", STARTING_BALANCE)],
    );
    economy.member("user:2", &[]);
    economy
}

/// Asserts that a call did not fail because of a wrong configuration.
fn assert_configured(called: &TestCall) -> Result<(), TestCaseError> {
    let wrong = ["misconfigured", "unknown_asset", "unknown_account"];
    match (called.committed(), called.decline_code()) {
        (Some(_), _) => {}
        (None, Some(code)) => prop_assert!(!wrong.contains(&code), "{code}"),
        // Panics if the call ended with a fault.
        (None, None) => {
            let reason = called.rejected();
            prop_assert!(!reason.contains("no such"), "{reason}");
        }
    }
    Ok(())
}

fn check(case: &Case) -> Result<bool, TestCaseError> {
    let mut economy = economy();
    let report = economy.check(component(case.plugin), &case.config);
    if !report.findings.is_empty() {
        return Ok(false);
    }
    economy.install(component(case.plugin), case.config.clone());
    for (account, asset, at_least) in economy.needs(case.plugin) {
        // The rest of the maximum supply.
        let room = (1 << 53) - 1 - STARTING_BALANCE;
        economy.issue(&account, &asset, at_least.min(room));
    }
    for (action, arguments) in &case.calls {
        assert_configured(&economy.call("user:1", action, arguments.clone()))?;
        economy.wait(case.rest_s);
    }
    economy.assert_sound();
    Ok(true)
}

/// Checks many configurations and asserts that enough are accepted and enough refused.
fn check_configurations(cases: &BoxedStrategy<Case>) {
    let taken = std::cell::Cell::new(0_u32);
    let refused = std::cell::Cell::new(0_u32);
    long_runs::property(200, cases, |case| {
        let count = if check(&case)? { &taken } else { &refused };
        count.set(count.get() + 1);
        Ok(())
    });
    assert!(
        taken.get() >= 10 && refused.get() >= 10,
        "{taken:?} {refused:?}"
    );
}

#[test]
fn coinflip_refuses_every_wrong_configuration() {
    check_configurations(&coinflip());
}

#[test]
fn dice_refuses_every_wrong_configuration() {
    check_configurations(&dice());
}

#[test]
fn blackjack_refuses_every_wrong_configuration() {
    check_configurations(&blackjack());
}

#[test]
fn slots_refuses_every_wrong_configuration() {
    check_configurations(&slots());
}

#[test]
fn auction_refuses_every_wrong_configuration() {
    check_configurations(&auction());
}

#[test]
fn work_refuses_every_wrong_configuration() {
    check_configurations(&work());
}

#[test]
fn daily_refuses_every_wrong_configuration() {
    check_configurations(&daily());
}

#[test]
fn lottery_refuses_every_wrong_configuration() {
    check_configurations(&lottery());
}

#[test]
fn trade_refuses_every_wrong_configuration() {
    check_configurations(&trade());
}

#[test]
fn shop_refuses_every_wrong_configuration() {
    check_configurations(&shop());
}

/// With one unit less than needed the largest stake is declined.
#[test]
fn needs_are_exactly_enough_for_the_largest_stake() {
    let games = [
        (
            "coinflip",
            "coinflip/flip",
            json!({"asset": "coin", "max_stake": 50}),
            json!({"stake": 50, "side": "heads"}),
        ),
        (
            "dice",
            "dice/roll",
            json!({"asset": "coin", "stakes": {"max": 50}}),
            json!({"stake": 50, "under": 2}),
        ),
        (
            "blackjack",
            "blackjack/deal",
            json!({"asset": "coin", "stakes": {"max": 50}}),
            json!({"stake": 50}),
        ),
        (
            "slots",
            "slots/spin",
            json!({"asset": "coin", "stakes": {"max": 50}, "symbols": [
                {"name": "a", "weight": 1, "three": 30}, {"name": "b", "weight": 9},
            ]}),
            json!({"stake": 50}),
        ),
    ];
    for (plugin, action, config, arguments) in games {
        for short in [1, 0] {
            let mut economy = economy();
            economy.install(component(plugin), config.clone());
            let [(account, asset, at_least)] = <[_; 1]>::try_from(economy.needs(plugin)).unwrap();
            economy.issue(&account, &asset, at_least - short);
            let called = economy.call("user:1", action, arguments.clone());
            assert_eq!(called.committed().is_some(), short == 0, "{plugin} {short}");
            if short == 1 {
                let poor = ["house_cannot_cover", "bank_too_small"];
                assert!(poor.contains(&called.declined()), "{plugin}");
            }
        }
    }
}
