//! Fixed terms: a payout follows the configuration that was in force when the money was paid in, not a later one.

use bursar_server::bundled;
use bursar_testkit::Economy;
use serde_json::{Value, json};

const DAY_S: u64 = 86_400;

/// Creates members with 1,000 coins, 1,000 gems and a potion each, and a plugin whose account has as much
/// money.
fn with(name: &str, config: Value) -> Economy {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    let mut economy = Economy::new(name);
    for asset in ["coin", "gem", "item:potion"] {
        economy.asset(asset);
    }
    let balances = [("coin", 1_000), ("gem", 1_000), ("item:potion", 1)];
    for member in 1..=3 {
        economy.member(&format!("user:{member}"), &balances);
    }
    economy.install(bundled.expect("it is bundled").bytes, config);
    for (asset, amount) in &balances[..2] {
        economy.issue(&format!("plugin:{name}"), asset, *amount);
    }
    economy
}

#[test]
fn a_lottery_round_keeps_the_configuration_of_its_first_ticket() {
    let terms = json!({"asset": "coin", "price": 10, "fee_permille": 0});
    let mut economy = with("lottery", terms);
    let tickets = |economy: &mut Economy, member: &str, tickets: u64| {
        let bought = economy.call(member, "lottery/buy", json!({ "tickets": tickets }));
        bought.reply()["paid"].as_u64().expect("an amount")
    };
    assert_eq!(tickets(&mut economy, "user:1", 3), 30);
    let changed = json!({"asset": "gem", "price": 1, "fee_permille": 500, "per_member_limit": 2});
    economy.configure("lottery", changed);
    assert_eq!(tickets(&mut economy, "user:2", 3), 30);
    let status = economy.call("user:3", "lottery/status", json!({}));
    let expected = json!({"round": 0, "tickets": 6, "pot": 60, "asset": "coin", "price": 10, "fee_permille": 0});
    assert_eq!(status.reply(), &expected);
    let drawn = economy.wait(DAY_S);
    assert_eq!(
        (&drawn[0].reply()["prize"], &drawn[0].reply()["asset"]),
        (&json!(60), &json!("coin"))
    );
    assert_eq!(economy.balance("plugin:lottery:fees", "coin"), 0);
    // The next round has the current configuration, and a purchase that names the old round is declined.
    let late = economy.call("user:3", "lottery/buy", json!({"round": 0}));
    assert_eq!(late.declined(), "another_round");
    assert_eq!(tickets(&mut economy, "user:3", 2), 2);
    let more = economy.call("user:3", "lottery/buy", json!({}));
    assert_eq!(more.declined(), "limit_reached");
    let drawn = economy.wait(DAY_S);
    assert_eq!(
        (&drawn[0].reply()["prize"], &drawn[0].reply()["asset"]),
        (&json!(1), &json!("gem"))
    );
    assert_eq!(economy.balance("plugin:lottery:fees", "gem"), 1);
}

#[test]
fn an_auction_keeps_the_configuration_it_was_opened_with() {
    let mut economy = with("auction", json!({"asset": "coin", "increment": 10}));
    let lot = json!({"asset": "item:potion", "amount": 1, "reserve": 50, "lasts_s": 600});
    let bid = |economy: &mut Economy, member: &str, lot: u64, amount: u64| {
        economy.call(member, "auction/bid", json!({"lot": lot, "amount": amount}))
    };
    let opened = economy.call("user:1", "auction/open", lot.clone());
    let ends_ms = opened.reply()["ends_ms"].clone();
    let changed = json!({"asset": "gem", "increment": 1, "extension_s": 3600});
    economy.configure("auction", changed);
    let first = bid(&mut economy, "user:2", 1, 50);
    assert_eq!(first.reply()["ends_ms"], ends_ms, "the end is not extended");
    assert_eq!(economy.held("user:2", "coin"), 50);
    let low = bid(&mut economy, "user:3", 1, 59);
    assert_eq!(low.declined(), "bid_too_low");
    bid(&mut economy, "user:3", 1, 60).reply();
    // A later auction has the current configuration.
    economy.call("user:2", "auction/open", lot).reply();
    let prolonged = bid(&mut economy, "user:3", 2, 50);
    assert!(prolonged.reply()["ends_ms"].as_u64() > ends_ms.as_u64());
    assert_eq!(economy.held("user:3", "gem"), 50);
    bid(&mut economy, "user:1", 2, 51).reply();
}

#[test]
fn a_blackjack_hand_keeps_the_asset_and_limits_it_was_dealt_with() {
    let mut economy = with("blackjack", json!({"asset": "coin"}));
    let deal = |economy: &mut Economy, stake: u64| {
        economy.call("user:1", "blackjack/deal", json!({ "stake": stake }))
    };
    while deal(&mut economy, 10).reply()["outcome"].is_string() {}
    let before = economy.balance("user:1", "coin");
    let changed = json!({"asset": "gem", "stakes": {"max": 5}});
    economy.configure("blackjack", changed);
    // The double exceeds the current maximum and uses an asset that is no longer configured.
    let ended = economy.call("user:1", "blackjack/double", json!({}));
    let paid = ended.reply()["paid"].as_i64().expect("an amount");
    assert_eq!(economy.balance("user:1", "coin"), before - 20 + paid);
    assert_eq!(economy.balance("user:1", "gem"), 1_000);
    assert_eq!(deal(&mut economy, 6).declined(), "stake_too_large");
    deal(&mut economy, 5).reply();
    assert_eq!(
        economy.balance("plugin:blackjack", "coin"),
        2_000 - economy.balance("user:1", "coin")
    );
}

/// Returns a configuration of potions at a price, refundable for a day.
fn shop(price: u64) -> Value {
    json!({"items": [{"item": "item:potion", "price": {"coin": price}, "refund_within_s": DAY_S}]})
}

fn buy(economy: &mut Economy) -> Value {
    let bought = economy.call("user:1", "shop/buy", json!({"item": "item:potion"}));
    bought.reply()["purchase"].clone()
}

fn refund(economy: &mut Economy, purchase: u64) -> Result<u64, String> {
    let arguments = json!({ "purchase": purchase });
    let refunded = economy.call("user:1", "shop/refund", arguments);
    if refunded.postings().is_empty() {
        return Err(refunded.declined().into());
    }
    Ok(refunded.reply()["paid"]["coin"].as_u64().expect("coins"))
}

/// Creates a shop with all potions, and a member without any.
fn potions(price: u64) -> Economy {
    let mut economy = with("shop", shop(price));
    economy.issue("plugin:shop", "item:potion", 50);
    use_up(&mut economy);
    economy
}

/// Transfers a potion from the member to another member.
fn use_up(economy: &mut Economy) {
    economy.transfer("user:1", "user:2", "item:potion", 1);
}

#[test]
fn a_purchase_keeps_the_refund_period_it_was_sold_with() {
    let mut economy = potions(100);
    assert_eq!(buy(&mut economy), 1);
    let never = json!({"items": [{"item": "item:potion", "price": {"coin": 100}}]});
    economy.configure("shop", never);
    assert_eq!(buy(&mut economy), Value::Null);
    economy.wait(DAY_S - 1);
    assert_eq!(refund(&mut economy, 1), Ok(100));
    let mut economy = potions(100);
    assert_eq!(buy(&mut economy), 1);
    let longer = json!({"items": [{"item": "item:potion", "price": {"coin": 1}, "refund_within_s": 2 * DAY_S}]});
    economy.configure("shop", longer);
    economy.wait(DAY_S);
    assert_eq!(refund(&mut economy, 1), Err("not_refundable".into()));
}

#[test]
fn a_newer_purchase_is_not_refunded_at_an_older_price() {
    let mut economy = potions(100);
    assert_eq!(buy(&mut economy), 1);
    use_up(&mut economy);
    economy.configure("shop", shop(50));
    assert_eq!(buy(&mut economy), 2);
    assert_eq!(refund(&mut economy, 1), Err("item_gone".into()));
    assert_eq!(refund(&mut economy, 2), Ok(50));
    assert_eq!(economy.balance("user:1", "coin"), 900);
    // It is not refunded either if the newer purchase is not refundable.
    let never = json!({"items": [{"item": "item:potion", "price": {"coin": 50}}]});
    economy.configure("shop", never);
    assert_eq!(buy(&mut economy), Value::Null);
    assert_eq!(refund(&mut economy, 1), Err("item_gone".into()));
    economy.configure("shop", shop(30));
    assert_eq!(buy(&mut economy), 3);
    assert_eq!(refund(&mut economy, 1), Err("item_gone".into()));
    assert_eq!(refund(&mut economy, 3), Ok(30));
}

#[test]
fn unused_purchases_are_each_refunded_at_their_own_price() {
    let mut economy = potions(100);
    buy(&mut economy);
    economy.configure("shop", shop(50));
    buy(&mut economy);
    assert_eq!(refund(&mut economy, 1), Ok(100));
    assert_eq!(refund(&mut economy, 2), Ok(50));
    assert_eq!(economy.balance("user:1", "coin"), 1_000);
}

#[test]
fn refundable_purchases_beyond_the_limit_do_not_displace_earlier_ones() {
    let mut economy = potions(1);
    for number in 1..=24 {
        assert_eq!(buy(&mut economy), number);
    }
    assert_eq!(
        buy(&mut economy),
        Value::Null,
        "the limit of refundable purchases is reached"
    );
    assert_eq!(refund(&mut economy, 1), Ok(1));
    assert_eq!(buy(&mut economy), 25);
}
