//! Random histories of the plugins that hold money, reconfigured at any time: everyone pays and is paid by
//! the configuration in force when the money was paid in, and in the end nothing stays held.

use std::collections::{BTreeMap, VecDeque};

use bursar_server::bundled;
use bursar_testkit::{Economy, TestCall};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub(crate) const DAY_S: u64 = 86_400;
pub(crate) const MEMBERS: [&str; 3] = ["user:1", "user:2", "user:3"];
pub(crate) const ASSETS: [&str; 3] = ["coin", "gem", "item:sword"];

pub(crate) fn with(name: &str, config: Value) -> Economy {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == name);
    let mut economy = Economy::new(name);
    for asset in ASSETS {
        economy.asset(asset);
    }
    for member in MEMBERS {
        economy.member(member, &ASSETS.map(|asset| (asset, 500)));
    }
    economy.install(bundled.expect("it is bundled").bytes, config);
    economy
}

/// The expected balances of the members.
pub(crate) struct ExpectedBalances(BTreeMap<(&'static str, String), i64>);

impl ExpectedBalances {
    pub(crate) fn new() -> Self {
        let places = MEMBERS
            .iter()
            .flat_map(|member| ASSETS.map(|asset| (*member, asset.into())));
        Self(places.map(|place| (place, 500)).collect())
    }

    pub(crate) fn moved(&mut self, member: &str, asset: &str, by: i64) {
        let place = self
            .0
            .iter_mut()
            .find(|((of, what), _)| *of == member && what == asset);
        *place.expect("a balance of a member").1 += by;
    }

    /// Asserts that every member has exactly the expected balance and no holds.
    pub(crate) fn assert_free(&self, economy: &Economy) {
        for ((member, asset), expected) in &self.0 {
            assert_eq!(
                economy.balance(member, asset),
                *expected,
                "{member} {asset}"
            );
            assert_eq!(economy.held(member, asset), 0, "{member} {asset}");
        }
    }
}

pub(crate) fn member() -> impl Strategy<Value = &'static str> + Clone {
    select(&MEMBERS[..])
}

fn units(value: &Value) -> i64 {
    value.as_i64().expect("an amount")
}

#[derive(Clone, Debug)]
enum Lottery {
    Buy(&'static str, u64),
    Claim(&'static str),
    Configure(usize),
    Wait(u64),
}

fn lottery() -> impl Strategy<Value = Lottery> + Clone {
    prop_oneof![
        6 => (member(), 1..6_u64).prop_map(|(account, tickets)| Lottery::Buy(account, tickets)),
        1 => member().prop_map(Lottery::Claim),
        3 => (0..3_usize).prop_map(Lottery::Configure),
        3 => (1..30_u64).prop_map(|hours| Lottery::Wait(hours * 3_600)),
    ]
}

/// Asset, ticket price, limit per member and fee of each configuration.
const LOTTERIES: [(&str, u64, u64, u64); 3] =
    [("coin", 10, 8, 0), ("coin", 3, 5, 500), ("gem", 7, 20, 125)];

fn lottery_config(number: usize) -> Value {
    let (asset, price, limit, fee) = LOTTERIES[number];
    json!({"asset": asset, "price": price, "per_member_limit": limit, "fee_permille": fee})
}

#[derive(Clone, Debug)]
enum Shop {
    Buy(&'static str, u64),
    Refund(&'static str, u64),
    Use(&'static str),
    Configure(u64, bool),
    Wait(u64),
}

fn shop() -> impl Strategy<Value = Shop> + Clone {
    prop_oneof![
        5 => (member(), 1..4_u64).prop_map(|(account, quantity)| Shop::Buy(account, quantity)),
        5 => (member(), 1..12_u64).prop_map(|(account, purchase)| Shop::Refund(account, purchase)),
        3 => member().prop_map(Shop::Use),
        2 => (1..30_u64, any::<bool>()).prop_map(|(price, refunds)| Shop::Configure(price, refunds)),
        1 => (1..100_u64).prop_map(Shop::Wait),
    ]
}

/// Returns a configuration with refunds for two minutes or none.
fn shop_config(price: u64, refunds: bool) -> Value {
    let within_s = if refunds { 120 } else { 0 };
    json!({"items": [{"item": "item:potion", "price": {"coin": price}, "refund_within_s": within_s}]})
}

/// Potions that a member bought together.
struct Bought {
    purchase: Option<u64>,
    quantity: u64,
    left: u64,
    price: u64,
    until_s: u64,
}

#[derive(Clone, Debug)]
enum Blackjack {
    Deal(u64),
    Play(&'static str),
    Configure(bool),
    Wait(u64),
}

fn blackjack() -> impl Strategy<Value = Blackjack> + Clone {
    let plays = select(&["hit", "stand", "double"][..]);
    prop_oneof![
        4 => (1..20_u64).prop_map(Blackjack::Deal),
        5 => plays.prop_map(Blackjack::Play),
        3 => any::<bool>().prop_map(Blackjack::Configure),
        1 => (1..3_000_u64).prop_map(Blackjack::Wait),
    ]
}

fn blackjack_config(gems: bool) -> Value {
    let asset = if gems { "gem" } else { "coin" };
    json!({"asset": asset, "stakes": {"max": if gems { 5 } else { 20 }}})
}

/// The asset, the stake and the start of an open hand.
type OpenHand = Option<(&'static str, i64, u64)>;

/// Applies a call of blackjack to the open hand and the expected balances.
fn apply_blackjack(called: &TestCall, expected: &mut ExpectedBalances, hand: &mut OpenHand) {
    let Some(round) = called.committed() else {
        return;
    };
    if round["outcome"].is_string() {
        let (asset, ..) = hand.take().expect("a hand was open");
        expected.moved(
            "user:1",
            asset,
            units(&round["paid"]) - units(&round["staked"]),
        );
    }
}

#[derive(Clone, Debug)]
enum Trade {
    Offer(&'static str, &'static str, u64, u64),
    Answer(&'static str, &'static str, u64),
    Wait(u64),
}

fn trade() -> impl Strategy<Value = Trade> + Clone {
    let responses = select(&["accept", "withdraw"][..]);
    prop_oneof![
        4 => (member(), member(), 1..300_u64, 1..300_u64)
            .prop_map(|(from, to, give, want)| Trade::Offer(from, to, give, want)),
        5 => (member(), responses, 1..10_u64).prop_map(|(account, response, number)| Trade::Answer(account, response, number)),
        1 => (1..50_000_u64).prop_map(Trade::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_lotteries_pay_by_the_configuration_of_their_first_ticket(steps in prop::collection::vec(lottery(), 1..60)) {
        let mut economy = with("lottery", lottery_config(0));
        let mut expected = ExpectedBalances::new();
        let mut config = 0;
        let mut terms = None;
        let mut sold = BTreeMap::<&str, u64>::new();
        let mut won = BTreeMap::<(String, String), i64>::new();
        let last = [Lottery::Wait(DAY_S)].into_iter().chain(MEMBERS.map(Lottery::Claim));
        let last = last.chain(MEMBERS.map(Lottery::Claim));
        for step in steps.into_iter().chain(last) {
            match step {
                Lottery::Buy(account, tickets) => {
                    let bought = economy.call(account, "lottery/buy", json!({ "tickets": tickets }));
                    let (asset, price, limit, _) = *terms.get_or_insert(LOTTERIES[config]);
                    let has = sold.entry(account).or_default();
                    if *has + tickets > limit {
                        prop_assert_eq!(bought.declined(), "limit_reached");
                    } else if let Some(reply) = bought.committed() {
                        *has += tickets;
                        let paid = units(&reply["paid"]);
                        prop_assert_eq!(paid, i64::try_from(tickets * price).unwrap());
                        expected.moved(account, asset, -paid);
                    }
                    if sold.values().all(|has| *has == 0) {
                        terms = None;
                    }
                }
                Lottery::Claim(account) => {
                    let claimed = economy.call(account, "lottery/claim", json!({}));
                    if let Some(reply) = claimed.committed() {
                        let asset = reply["asset"].as_str().unwrap().to_owned();
                        let owed = won.remove(&(account.to_owned(), asset.clone()));
                        prop_assert_eq!(owed, Some(units(&reply["amount"])));
                        expected.moved(account, &asset, owed.unwrap());
                    }
                }
                Lottery::Configure(number) => {
                    economy.configure("lottery", lottery_config(number));
                    config = number;
                }
                Lottery::Wait(seconds) => for run in economy.wait(seconds) {
                    let Some(drawn) = run.committed() else {
                        prop_assert_eq!(run.declined(), "no_tickets");
                        continue;
                    };
                    let (asset, price, _, fee) = terms.take().expect("a ticket was sold");
                    let pot = price * std::mem::take(&mut sold).values().sum::<u64>();
                    let prize = i64::try_from(pot - pot * fee / 1000).unwrap();
                    prop_assert_eq!((&drawn["asset"], units(&drawn["prize"])), (&json!(asset), prize));
                    let winner = drawn["winner"].as_str().unwrap().to_owned();
                    *won.entry((winner, asset.to_owned())).or_default() += prize;
                },
            }
        }
        prop_assert!(won.is_empty() && terms.is_none());
        expected.assert_free(&economy);
        economy.assert_sound();
    }

    #[test]
    fn random_shops_refund_the_price_paid_for_unused_items(steps in prop::collection::vec(shop(), 1..80)) {
        let mut economy = with("shop", json!({"items": []}));
        economy.asset("item:potion");
        economy.configure("shop", shop_config(10, true));
        economy.member("user:sink", &[]);
        economy.issue("plugin:shop", "item:potion", 1_000);
        let mut expected = ExpectedBalances::new();
        let mut now_s = 0;
        let mut price = 10;
        // The potions of each member, the oldest first: that is the order in which they are used.
        let mut potions = BTreeMap::<&str, VecDeque<Bought>>::new();
        for step in steps {
            match step {
                Shop::Buy(account, quantity) => {
                    let arguments = json!({"item": "item:potion", "quantity": quantity});
                    let bought = economy.call(account, "shop/buy", arguments);
                    let Some(reply) = bought.committed() else { continue };
                    let paid = i64::try_from(price * quantity).unwrap();
                    prop_assert_eq!(&reply["paid"], &json!({ "coin": paid }));
                    expected.moved(account, "coin", -paid);
                    potions.entry(account).or_default().push_back(Bought {
                        purchase: reply["purchase"].as_u64(),
                        quantity,
                        left: quantity,
                        price: price * quantity,
                        until_s: now_s + 120,
                    });
                }
                Shop::Refund(account, purchase) => {
                    let refunded = economy.call(account, "shop/refund", json!({ "purchase": purchase }));
                    let has = potions.entry(account).or_default();
                    let found = has.iter().position(|it| it.purchase == Some(purchase));
                    let found = found.filter(|at| has[*at].until_s > now_s);
                    match found {
                        None => prop_assert_eq!(refunded.declined(), "not_refundable"),
                        Some(at) if has[at].left < has[at].quantity => {
                            prop_assert_eq!(refunded.declined(), "item_gone");
                        }
                        Some(at) => {
                            let back = has.remove(at).unwrap();
                            prop_assert_eq!(&refunded.reply()["paid"], &json!({ "coin": back.price }));
                            expected.moved(account, "coin", i64::try_from(back.price).unwrap());
                        }
                    }
                }
                Shop::Use(account) => {
                    let has = potions.entry(account).or_default();
                    if let Some(oldest) = has.iter_mut().find(|it| it.left > 0) {
                        oldest.left -= 1;
                        economy.transfer(account, "user:sink", "item:potion", 1);
                    }
                }
                Shop::Configure(other, refunds) => {
                    economy.configure("shop", shop_config(other, refunds));
                    price = other;
                }
                Shop::Wait(seconds) => {
                    economy.wait(seconds);
                    now_s += seconds;
                }
            }
        }
        expected.assert_free(&economy);
        economy.assert_sound();
    }

    #[test]
    fn random_blackjack_hands_pay_in_the_staked_asset(steps in prop::collection::vec(blackjack(), 1..80)) {
        let mut economy = with("blackjack", blackjack_config(false));
        for asset in ["coin", "gem"] {
            economy.issue("plugin:blackjack", asset, 10_000);
        }
        let mut expected = ExpectedBalances::new();
        let mut now_s = 0;
        let mut asset = "coin";
        let mut hand: OpenHand = None;
        for step in steps.into_iter().chain([Blackjack::Wait(3_600)]) {
            match step {
                Blackjack::Deal(stake) => {
                    let dealt = economy.call("user:1", "blackjack/deal", json!({ "stake": stake }));
                    if dealt.committed().is_some() {
                        prop_assert!(hand.is_none(), "one hand at a time");
                        hand = Some((asset, i64::try_from(stake).unwrap(), now_s));
                    }
                    apply_blackjack(&dealt, &mut expected, &mut hand);
                }
                Blackjack::Play(how) => {
                    let called = economy.call("user:1", &format!("blackjack/{how}"), json!({}));
                    apply_blackjack(&called, &mut expected, &mut hand);
                }
                Blackjack::Configure(gems) => {
                    economy.configure("blackjack", blackjack_config(gems));
                    asset = if gems { "gem" } else { "coin" };
                }
                Blackjack::Wait(seconds) => {
                    economy.wait(seconds);
                    now_s += seconds;
                    if let Some((asset, stake, since_s)) = hand
                        && now_s >= since_s + 3_600
                    {
                        expected.moved("user:1", asset, -stake);
                        hand = None;
                    }
                }
            }
            if hand.is_none() {
                expected.assert_free(&economy);
            }
        }
        for asset in ["coin", "gem"] {
            prop_assert_eq!(economy.held("plugin:blackjack", asset), 0);
        }
        economy.assert_sound();
    }

    #[test]
    fn random_trades_move_both_sides_of_an_accepted_offer(steps in prop::collection::vec(trade(), 1..60)) {
        let mut economy = with("trade", json!({}));
        let mut expected = ExpectedBalances::new();
        let mut offers = BTreeMap::new();
        for step in steps {
            match step {
                Trade::Offer(from, to, give, want) => {
                    let arguments = json!({"to": to, "give": {"coin": give}, "want": {"gem": want}});
                    let offered = economy.call(from, "trade/offer", arguments);
                    if let Some(reply) = offered.committed() {
                        offers.insert(reply["trade"].as_u64().unwrap(), (from, to, give, want));
                    }
                }
                Trade::Answer(account, response, number) => {
                    let arguments = json!({ "trade": number });
                    let called = economy.call(account, &format!("trade/{response}"), arguments);
                    if called.committed().is_none() {
                        continue;
                    }
                    let (from, to, give, want) = offers.remove(&number).expect("it was open");
                    prop_assert!(account == to || response == "withdraw" && account == from);
                    if response == "accept" {
                        let [give, want] = [give, want].map(|units| i64::try_from(units).unwrap());
                        for (member, by) in [(from, -1), (to, 1)] {
                            expected.moved(member, "coin", by * give);
                            expected.moved(member, "gem", -by * want);
                        }
                    }
                }
                Trade::Wait(seconds) => drop(economy.wait(seconds)),
            }
        }
        economy.wait(DAY_S);
        expected.assert_free(&economy);
        economy.assert_sound();
    }
}
