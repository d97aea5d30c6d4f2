//! The test kit for plugin authors with the bundled components, and the fuel of calls.

use bursar_server::bundled;
use bursar_testkit::{Economy, Grants, TestCall, posting};
use expect_test::expect;
use serde_json::{Value, json};

fn component(name: &str) -> &'static [u8] {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    bundled.expect("it is bundled").bytes
}

/// Creates a member with 1,000 coins and a plugin whose account has 10,000.
fn with(name: &str, config: Value) -> Economy {
    let mut economy = Economy::new(name);
    economy.asset("coin");
    economy.asset("item:potion");
    economy.member("user:1", &[("coin", 1000)]);
    economy.install(component(name), config);
    economy.issue(&format!("plugin:{name}"), "coin", 10_000);
    economy
}

fn a_shop() -> Economy {
    let potion = json!({"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 2});
    let mut economy = with("shop", json!({ "items": [potion] }));
    economy.issue("plugin:shop", "item:potion", 10);
    economy
}

#[test]
fn a_purchase_moves_what_its_reply_states() {
    let mut economy = a_shop();
    let potions = json!({"item": "item:potion", "quantity": 2});
    let bought = economy.call("user:1", "shop/buy", potions.clone());
    assert_eq!(bought.reply()["quantity"], 2);
    assert_eq!(
        bought.postings(),
        [
            posting("user:1", "plugin:shop:till", "coin", 100),
            posting("plugin:shop", "user:1", "item:potion", 2),
        ]
    );
    assert_eq!(economy.balance("user:1", "coin"), 900);
    assert_eq!(economy.balance("user:1", "item:potion"), 2);
    let again = economy.call("user:1", "shop/buy", potions);
    assert_eq!(
        (again.declined(), again.postings()),
        ("limit_reached", vec![])
    );
}

/// Returns an offer with every member that an offer can have.
fn full_offer(number: usize) -> Value {
    let mut offer = json!({
        "item": format!("item:potion-of-strength-{number}"),
        "price": {"coin": 5_000, "gem": 25, "token:season": 3},
        "per_member_limit": 10, "cooldown_s": 3_600, "refund_within_s": 86_400,
        "terms": {
            "from_ms": 1_600_000_000_000_u64, "until_ms": 9_007_199_254_740_991_u64,
            "role": "113847887657123840", "item": "item:card-of-members",
        },
    });
    if number < 16 {
        offer["restock"] = json!({"to": 100});
    }
    offer
}

#[test]
fn a_shop_sells_as_many_items_as_its_schema_allows() {
    let mut economy = Economy::new("a large shop");
    for asset in ["coin", "gem", "token:season", "item:card-of-members"] {
        economy.asset(asset);
    }
    let offers: Vec<Value> = (0..256).map(full_offer).collect();
    for offer in &offers {
        economy.asset(offer["item"].as_str().unwrap());
    }
    let last = offers[255]["item"].as_str().unwrap().to_owned();
    let has = [
        ("coin", 5_000),
        ("gem", 25),
        ("token:season", 3),
        ("item:card-of-members", 1),
    ];
    economy.member("user:1", &has);
    economy.roles(&["113847887657123840"]);
    economy.install(component("shop"), json!({ "items": offers }));
    economy.issue("plugin:shop", &last, 1);
    let bought = economy.call("user:1", "shop/buy", json!({ "item": last }));
    assert_eq!(bought.reply()["purchase"], 1);
    // Parsing this configuration leaves most of a call's fuel.
    assert!(bought.fuel() < 50_000_000 / 2, "{}", bought.fuel());
}

#[test]
fn an_offer_for_a_role_has_its_own_price() {
    let mut economy = a_shop();
    economy.issue("user:1", "coin", 1000);
    economy.configure(
        "shop",
        json!({"items": [
            {"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3},
            {"item": "item:potion", "price": {"coin": 40}, "terms": {"role": "vip"}},
            {"item": "item:potion", "price": {"coin": 30}, "terms": {"role": "mod"}},
        ]}),
    );
    let paid = |economy: &mut Economy, roles: &[&str]| {
        economy.roles(roles);
        let potion = json!({"item": "item:potion"});
        economy.call("user:1", "shop/buy", potion)
    };
    assert_eq!(paid(&mut economy, &[]).reply()["paid"]["coin"], 50);
    assert_eq!(paid(&mut economy, &["mod"]).reply()["paid"]["coin"], 30);
    assert_eq!(
        paid(&mut economy, &["mod", "vip"]).reply()["paid"]["coin"],
        40
    );
    // The three offers are for one item, and only one of them has a limit.
    assert_eq!(paid(&mut economy, &[]).declined(), "limit_reached");
    assert_eq!(paid(&mut economy, &["vip"]).reply()["paid"]["coin"], 40);
}

#[test]
fn a_rejected_call_moves_nothing() {
    let mut economy = a_shop();
    economy.member("user:2", &[("coin", 49)]);
    let potion = json!({"item": "item:potion"});
    let poor = economy.call("user:2", "shop/buy", potion.clone());
    assert_eq!(
        poor.rejected(),
        "`user:2` can spend 49 coin, and 50 are required"
    );
    economy.spend_limit(Some(&[("coin", 49)]));
    let limited = economy.call("user:1", "shop/buy", potion.clone());
    assert_eq!(limited.postings(), []);
    economy.spend_limit(None);
    assert_eq!(
        economy.call("user:1", "shop/buy", potion).postings().len(),
        2
    );
}

#[test]
fn equal_seeds_draw_equally_and_different_seeds_differently() {
    let drawn = |seed: &str| -> Vec<Value> {
        let mut economy = Economy::new(seed);
        economy.asset("coin");
        economy.member("user:1", &[("coin", 1000)]);
        economy.install(component("coinflip"), json!({"asset": "coin"}));
        economy.issue("plugin:coinflip", "coin", 10_000);
        let flips = (0..20).map(|_| {
            let bet = json!({"stake": 10, "side": "heads"});
            let flipped = economy.call("user:1", "coinflip/flip", bet);
            assert_eq!(flipped.draws(), 1);
            flipped.reply()["side"].clone()
        });
        flips.collect()
    };
    assert_eq!(drawn("one"), drawn("one"));
    assert_ne!(drawn("one"), drawn("another"));
}

#[test]
fn waiting_expires_holds_and_runs_each_due_schedule_once() {
    let mut economy = with("lottery", json!({"asset": "coin", "price": 5}));
    let entered = economy.call("user:1", "lottery/buy", json!({"tickets": 2}));
    assert_eq!(entered.postings().len(), 1);
    assert!(!economy.state("lottery").is_empty());
    let draws = economy.wait(3 * 86_400);
    let [first, second, third] = draws.as_slice() else {
        panic!("one draw a day: {draws:?}");
    };
    first.reply();
    let later_draws = [second.declined(), third.declined()];
    assert_eq!(later_draws, ["no_tickets"; 2]);
    assert!(economy.wait(1).is_empty());
}

#[test]
fn offers_that_cannot_be_sold_or_restocked_are_findings() {
    let offer = |item| json!({"item": item, "price": {"coin": 1}, "restock": {"to": 5}});
    let items = ["item:ghost", "item:potion", "item:potion"].map(offer);
    let economy = a_shop();
    let report = economy.check(component("shop"), &json!({ "items": items }));
    let findings = report.findings.iter();
    let pointers: Vec<_> = findings.map(|finding| &*finding.pointer).collect();
    assert_eq!(
        pointers,
        ["/items/2/item", "/items/2/restock", "/items/0/item"]
    );
}

/// Claims a reward that has to be issued, after `grant` installed the plugin.
fn claimed(grant: impl FnOnce(&mut Economy, Value)) -> TestCall {
    let mut economy = Economy::new("daily");
    economy.asset("coin");
    economy.member("user:1", &[]);
    grant(
        &mut economy,
        json!({"asset": "coin", "amount": 5, "issue": true}),
    );
    economy.call("user:1", "daily/claim", json!({}))
}

#[test]
fn an_action_without_its_grant_is_declined() {
    let daily = component("daily");
    let refused =
        claimed(|economy, config| economy.install_granting(daily, config, Grants::default()));
    assert_eq!(
        (refused.declined(), refused.postings()),
        ("not_granted", vec![])
    );
    // Only the grant was missing.
    let granted = claimed(|economy, config| economy.install(daily, config));
    assert_eq!(
        granted.postings(),
        [posting("issuer:coin", "user:1", "coin", 5)]
    );
}

#[test]
#[should_panic(expected = "the configuration is wrong")]
fn an_invalid_configuration_panics_at_installation() {
    with("coinflip", json!({"coin": "asset"}));
}

/// Makes one call of a plugin that transfers between members.
fn between_members(action: &str, config: Value, arguments: Value) -> TestCall {
    let (name, _) = action.split_once('/').expect("a plugin and its action");
    let mut economy = with(name, config);
    economy.member("user:2", &[]);
    economy.issue("user:1", "item:potion", 1);
    economy.call("user:1", action, arguments)
}

/// Calls that need only one member: action, configuration and arguments.
fn lone_calls() -> Vec<(&'static str, Value, Value)> {
    let bet = json!({"stake": 10, "side": "heads"});
    vec![
        (
            "blackjack/deal",
            json!({"asset": "coin"}),
            json!({"stake": 10}),
        ),
        ("coinflip/flip", json!({"asset": "coin"}), bet),
        (
            "daily/claim",
            json!({"asset": "coin", "amount": 5}),
            json!({}),
        ),
        (
            "dice/roll",
            json!({"asset": "coin"}),
            json!({"stake": 10, "under": 25}),
        ),
        (
            "lottery/buy",
            json!({"asset": "coin", "price": 5}),
            json!({"tickets": 2}),
        ),
        (
            "slots/spin",
            json!({"asset": "coin", "symbols": [
                {"name": "seven", "weight": 1, "three": 50},
                {"name": "lemon", "weight": 3, "three": 2, "two": 1},
            ]}),
            json!({"stake": 10}),
        ),
        (
            "work/work",
            json!({"asset": "coin", "pay_min": 1, "pay_max": 3, "cooldown_s": 60}),
            json!({}),
        ),
    ]
}

/// The fuel of one call of each plugin. The numbers are equal in debug and release builds of the host. They
/// change with a plugin's code, with the compiler of its language and with the prices of host functions. If
/// none of these changed, the numbers must not change.
#[test]
fn the_fuel_of_calls_is_unchanged() {
    let mut burned: Vec<String> = lone_calls()
        .into_iter()
        .map(|(action, config, arguments)| {
            let (name, _) = action.split_once('/').expect("a plugin and its action");
            let called = with(name, config).call("user:1", action, arguments);
            called.reply();
            format!("{action} {}", called.fuel())
        })
        .collect();
    let bought = a_shop().call("user:1", "shop/buy", json!({"item": "item:potion"}));
    let swap = json!({"to": "user:2", "give": {"coin": 5}, "want": {"item:potion": 1}});
    let lot = json!({"asset": "item:potion", "amount": 1, "reserve": 50, "lasts_s": 60});
    let others = [
        ("shop/buy", bought),
        (
            "trade/offer",
            between_members("trade/offer", json!({}), swap),
        ),
        (
            "auction/open",
            between_members("auction/open", json!({"asset": "coin"}), lot),
        ),
    ];
    for (action, called) in others {
        called.reply();
        burned.push(format!("{action} {}", called.fuel()));
    }
    expect![[r"
        blackjack/deal 83882
        coinflip/flip 30997
        daily/claim 31500
        dice/roll 31104
        lottery/buy 86485
        slots/spin 57542
        work/work 44488
        shop/buy 54751
        trade/offer 60316
        auction/open 72248"]]
    .assert_eq(&burned.join("\n"));
}
