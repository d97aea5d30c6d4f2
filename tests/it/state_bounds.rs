//! Bounds of the state that bundled plugins keep about members, and fixed terms of what was already won,
//! offered or sold.

use bursar_server::bundled;
use bursar_testkit::{Economy, Grants, TestCall, posting};
use serde_json::{Value, json};

const DAY_S: u64 = 86_400;

fn component(name: &str) -> &'static [u8] {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    bundled.expect("it is bundled").bytes
}

/// Creates an economy with coins, gems and potions, three members with 1,000 of each, and a plugin.
fn with(name: &str, config: Value) -> Economy {
    let mut economy = Economy::new(name);
    for asset in ["coin", "gem", "item:potion"] {
        economy.asset(asset);
    }
    for member in ["user:1", "user:2", "user:3"] {
        economy.member(
            member,
            &[("coin", 1000), ("gem", 1000), ("item:potion", 1000)],
        );
    }
    economy.install(component(name), config);
    economy
}

/// Returns an account name of this many characters.
fn long_name(chars: usize) -> String {
    format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65))
}

/// Returns the number of a plugin's state keys with a prefix.
fn key_count(economy: &Economy, plugin: &str, prefix: &str) -> usize {
    let state = economy.state(plugin);
    state.keys().filter(|key| key.starts_with(prefix)).count()
}

/// Returns the size of a plugin's state in bytes.
fn state_bytes(economy: &Economy, plugin: &str) -> u64 {
    let state = economy.state(plugin);
    let bytes = state.iter().map(|(key, value)| key.len() + value.len());
    bytes.sum::<usize>() as u64
}

fn buy(economy: &mut Economy, member: &str, tickets: u64) -> TestCall {
    let bought = economy.call(member, "lottery/buy", json!({ "tickets": tickets }));
    bought.reply();
    bought
}

/// Waits a day, in which the lottery draws once, and returns the reply of the draw.
fn draw(economy: &mut Economy) -> Value {
    let drawn = economy.wait(DAY_S);
    let [drawn] = drawn.as_slice() else {
        panic!("one draw a day: {drawn:?}");
    };
    drawn.reply().clone()
}

#[test]
fn a_lottery_keeps_its_current_round_and_removes_earlier_ones() {
    let mut economy = with("lottery", json!({"asset": "coin", "price": 1}));
    // Many small purchases in one round, and one in each later round.
    for _ in 0..60 {
        buy(&mut economy, "user:1", 1);
    }
    let mut before = economy.state("lottery").len();
    assert_eq!(
        before, 62,
        "a key per range, one per owner and one of the round"
    );
    while before > 10 {
        draw(&mut economy);
        buy(&mut economy, "user:2", 1);
        let now = economy.state("lottery").len();
        assert!(now < before, "{now} keys after {before}");
        before = now;
    }
    // With rounds of equal size the state holds at most one round and the prizes.
    for _ in 0..10 {
        for member in ["user:1", "user:2", "user:3"].repeat(4) {
            buy(&mut economy, member, 1);
        }
        let keys = economy.state("lottery").len();
        assert!(keys <= 12 + 3 + 3 + 1, "{keys} keys");
        draw(&mut economy);
    }
}

#[test]
fn a_draw_can_store_its_prize_although_the_state_quota_is_full() {
    let config = json!({"asset": "coin", "price": 1});
    let mut economy = with("lottery", config.clone());
    let winner = long_name(115);
    economy.member(&winner, &[("coin", 10)]);
    buy(&mut economy, &winner, 1);
    let full = Grants {
        state_bytes: Some(state_bytes(&economy, "lottery")),
        ..Grants::default()
    };
    economy.install_granting(component("lottery"), config, full);
    let more = economy.call("user:1", "lottery/buy", json!({}));
    assert!(
        more.rejected().contains("bytes of state"),
        "the state quota is reached"
    );
    assert_eq!(draw(&mut economy)["winner"], winner);
    let claimed = economy.call(&winner, "lottery/claim", json!({}));
    let expected = posting("plugin:lottery:prizes", &winner, "coin", 1);
    assert_eq!(claimed.postings(), [expected]);
    // The state of the drawn round is freed for the next one.
    buy(&mut economy, "user:1", 1);
}

#[test]
fn a_prize_is_paid_in_the_asset_it_was_won_in() {
    let mut economy = with("lottery", json!({"asset": "coin", "price": 5}));
    buy(&mut economy, "user:1", 2);
    draw(&mut economy);
    let gems = json!({"asset": "gem", "price": 7});
    economy.install(component("lottery"), gems.clone());
    buy(&mut economy, "user:1", 3);
    let drawn = draw(&mut economy);
    assert_eq!(
        (&drawn["asset"], &drawn["prize"]),
        (&json!("gem"), &json!(21))
    );
    let claim = |economy: &mut Economy| economy.call("user:1", "lottery/claim", json!({}));
    let first = claim(&mut economy);
    assert_eq!(
        *first.reply(),
        json!({"asset": "coin", "amount": 10, "more": true})
    );
    let from = "plugin:lottery:prizes";
    assert_eq!(first.postings(), [posting(from, "user:1", "coin", 10)]);
    let second = claim(&mut economy);
    assert_eq!(second.reply()["more"], false);
    assert_eq!(second.postings(), [posting(from, "user:1", "gem", 21)]);
    assert_eq!(claim(&mut economy).declined(), "nothing_won");
}

#[test]
fn a_round_keeps_the_asset_and_price_it_began_with() {
    let mut economy = with("lottery", json!({"asset": "coin", "price": 5}));
    buy(&mut economy, "user:1", 1);
    let gems = json!({"asset": "gem", "price": 7});
    economy.install(component("lottery"), gems);
    let later = buy(&mut economy, "user:2", 1);
    let pot = "plugin:lottery:pot";
    assert_eq!(later.postings(), [posting("user:2", pot, "coin", 5)]);
    let status = economy.call("user:3", "lottery/status", json!({}));
    let expected = json!({"round": 0, "tickets": 2, "pot": 10,
        "asset": "coin", "price": 5, "fee_permille": 0});
    assert_eq!(*status.reply(), expected);
    let drawn = draw(&mut economy);
    assert_eq!(
        (&drawn["asset"], &drawn["prize"]),
        (&json!("coin"), &json!(10))
    );
    let next = buy(&mut economy, "user:2", 1);
    assert_eq!(next.postings(), [posting("user:2", pot, "gem", 7)]);
}

#[test]
fn an_account_name_too_long_for_a_reward_or_a_job_is_declined() {
    let job = json!({"asset": "coin", "pay_min": 1, "pay_max": 3, "cooldown_s": 60});
    let plugins = [
        ("daily/claim", json!({"asset": "coin", "amount": 5})),
        ("work/work", job),
    ];
    for (action, config) in plugins {
        let (name, _) = action.split_once('/').expect("a plugin and its action");
        let mut economy = with(name, config);
        economy.issue(&format!("plugin:{name}"), "coin", 1000);
        for chars in [126, 127] {
            economy.member(&long_name(chars), &[]);
        }
        economy.call(&long_name(126), action, json!({})).reply();
        let long = economy.call(&long_name(127), action, json!({}));
        assert_eq!(long.declined(), "name_too_long");
        assert_eq!(long.sentence(), "A name is too long to be stored.");
    }
}

fn offer(economy: &mut Economy, member: &str) -> TestCall {
    let gift = json!({"to": "user:3", "give": {"coin": 1}});
    economy.call(member, "trade/offer", gift)
}

#[test]
fn a_member_has_at_most_ten_open_offers() {
    let mut economy = with("trade", json!({}));
    for number in 1..=10 {
        assert_eq!(offer(&mut economy, "user:1").reply()["trade"], number);
    }
    assert_eq!(offer(&mut economy, "user:1").declined(), "too_many_offers");
    offer(&mut economy, "user:2").reply();
    for (member, action) in [("user:1", "trade/withdraw"), ("user:3", "trade/accept")] {
        let trade = if member == "user:1" { 4 } else { 5 };
        economy
            .call(member, action, json!({ "trade": trade }))
            .reply();
        offer(&mut economy, "user:1").reply();
        assert_eq!(offer(&mut economy, "user:1").declined(), "too_many_offers");
    }
    economy.wait(DAY_S - 1);
    assert_eq!(offer(&mut economy, "user:1").declined(), "too_many_offers");
    economy.wait(1);
    offer(&mut economy, "user:1").reply();
}

#[test]
fn ended_offers_are_removed_by_later_ones() {
    let mut economy = with("trade", json!({}));
    for _ in 0..10 {
        offer(&mut economy, "user:1").reply();
    }
    economy.wait(DAY_S);
    for left in [7, 4, 3, 4] {
        offer(&mut economy, "user:2").reply();
        assert_eq!(key_count(&economy, "trade", "t/"), left);
    }
    // A member without open offers has no key, and no open offer was removed.
    assert_eq!(key_count(&economy, "trade", "o/"), 1);
    for trade in 11..=14 {
        let accept = json!({ "trade": trade });
        economy.call("user:3", "trade/accept", accept).reply();
    }
    assert_eq!(
        key_count(&economy, "trade", "o/") + key_count(&economy, "trade", "t/"),
        0
    );
}

#[test]
fn the_assets_wanted_by_an_offer_must_exist() {
    let mut economy = with("trade", json!({}));
    let want = |asset: &str| json!({"to": "user:2", "give": {"coin": 1}, "want": {asset: 2000}});
    let unknown = economy.call("user:1", "trade/offer", want("item:dragon"));
    assert_eq!(unknown.declined(), "unknown_asset");
    // No member needs to own the asset yet.
    economy.call("user:1", "trade/offer", want("gem")).reply();
}

fn open(economy: &mut Economy, lasts_s: u64) -> TestCall {
    let lot = json!({"asset": "item:potion", "amount": 1, "reserve": 50, "lasts_s": lasts_s});
    economy.call("user:1", "auction/open", lot)
}

fn bid(economy: &mut Economy, member: &str, amount: u64) -> TestCall {
    economy.call(member, "auction/bid", json!({"lot": 1, "amount": amount}))
}

fn settle(economy: &mut Economy) -> TestCall {
    economy.call("user:3", "auction/settle", json!({"lot": 1}))
}

/// Returns how the only lot was settled by the schedule.
fn settled_lot(runs: &[TestCall]) -> &Value {
    let lots = runs.iter().map(|run| &run.reply()["settled"][0]);
    let mut lots = lots.filter(|lot| !lot.is_null());
    lots.next().expect("it was settled")
}

#[test]
fn late_bids_extend_an_auction_up_to_a_limit() {
    let config = json!({"asset": "coin", "extension_s": 30 * DAY_S});
    let mut economy = with("auction", config);
    let ends_ms = open(&mut economy, 60).reply()["ends_ms"]
        .as_u64()
        .expect("a time");
    let after = |days: u64| json!(ends_ms - 60_000 + days * DAY_S * 1000);
    assert_eq!(
        bid(&mut economy, "user:2", 50).reply()["ends_ms"],
        after(30)
    );
    economy.wait(30 * DAY_S - 1);
    assert_eq!(
        bid(&mut economy, "user:3", 51).reply()["ends_ms"],
        after(31)
    );
    economy.wait(DAY_S);
    assert_eq!(
        bid(&mut economy, "user:2", 52).reply()["ends_ms"],
        after(31)
    );
    assert_eq!(settle(&mut economy).declined(), "not_over");
    let runs = economy.wait(1);
    assert_eq!(settled_lot(&runs)["winner"], "user:2");
    assert_eq!(
        bid(&mut economy, "user:3", 53).declined(),
        "already_settled"
    );
    assert_eq!(economy.balance("user:2", "item:potion"), 1001);
    assert_eq!(economy.balance("user:1", "coin"), 1052);
}

#[test]
fn a_lot_is_bid_for_and_paid_in_the_asset_it_was_opened_with() {
    let mut economy = with("auction", json!({"asset": "coin"}));
    open(&mut economy, 60).reply();
    bid(&mut economy, "user:2", 50).reply();
    economy.install(component("auction"), json!({"asset": "gem"}));
    let low = bid(&mut economy, "user:3", 50);
    assert_eq!(low.sentence(), "Bid at least 51 coin.");
    bid(&mut economy, "user:3", 60).reply();
    assert_eq!(
        [
            economy.held("user:3", "coin"),
            economy.held("user:3", "gem")
        ],
        [60, 0]
    );
    let runs = economy.wait(60);
    assert_eq!(settled_lot(&runs)["price"], 60);
    assert_eq!(economy.balance("user:1", "coin"), 1060);
    assert_eq!(economy.balance("user:1", "gem"), 1000);
}

#[test]
fn a_seller_has_at_most_twenty_open_lots() {
    let mut economy = with("auction", json!({"asset": "coin"}));
    for number in 1..=20 {
        assert_eq!(open(&mut economy, 60).reply()["lot"], number);
    }
    assert_eq!(open(&mut economy, 60).declined(), "too_many_lots");
    economy
        .call("user:1", "auction/cancel", json!({"lot": 20}))
        .reply();
    open(&mut economy, 60).reply();
    bid(&mut economy, "user:2", 50).reply();
    economy.wait(59);
    assert_eq!(open(&mut economy, 60).declined(), "too_many_lots");
    economy.wait(100);
    assert_eq!(key_count(&economy, "auction", "l/"), 0);
    assert_eq!(open(&mut economy, 60).reply()["lot"], 22);
    assert_eq!(economy.held("user:2", "coin"), 0, "the bid was captured");
}
