//! Random histories of the plugins that hold money, with other configurations at any time: everybody pays
//! and is paid on the terms that were there when the money went in, and in the end nothing is stuck.

use std::collections::{BTreeMap, VecDeque};

use bursar_server::bundled;
use bursar_testkit::{Economy, TestCall};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

const DAY_S: u64 = 86_400;
const MEMBERS: [&str; 3] = ["user:1", "user:2", "user:3"];
const ASSETS: [&str; 3] = ["coin", "gem", "item:sword"];

fn with(name: &str, config: Value) -> Economy {
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

/// What members should have by now.
struct Purses(BTreeMap<(&'static str, String), i64>);

impl Purses {
    fn new() -> Self {
        let places = MEMBERS
            .iter()
            .flat_map(|member| ASSETS.map(|asset| (*member, asset.into())));
        Self(places.map(|place| (place, 500)).collect())
    }

    fn moved(&mut self, member: &str, asset: &str, by: i64) {
        let place = self
            .0
            .iter_mut()
            .find(|((of, what), _)| *of == member && what == asset);
        *place.expect("it is a member's").1 += by;
    }

    /// Everybody has just that, and nothing of it is held.
    fn assert_free(&self, economy: &Economy) {
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

fn member() -> impl Strategy<Value = &'static str> + Clone {
    select(&MEMBERS[..])
}

fn units(value: &Value) -> i64 {
    value.as_i64().expect("an amount")
}

#[derive(Clone, Debug)]
enum Auction {
    Open(&'static str, u64, u64),
    Bid(&'static str, u64, u64),
    End(&'static str, &'static str, u64),
    Collect(&'static str),
    Configure(usize),
    Wait(u64),
    Freeze(&'static str, bool),
    Fill(&'static str, bool),
}

fn auction() -> impl Strategy<Value = Auction> + Clone {
    let ends = select(&["settle", "cancel"][..]);
    prop_oneof![
        3 => (member(), 1..300_u64, 1..20_u64).prop_map(|(who, lasts_s, reserve)| Auction::Open(who, lasts_s, reserve)),
        8 => (member(), 1..8_u64, 1..120_u64).prop_map(|(who, lot, amount)| Auction::Bid(who, lot, amount)),
        2 => (member(), ends, 1..8_u64).prop_map(|(who, end, lot)| Auction::End(who, end, lot)),
        1 => member().prop_map(Auction::Collect),
        3 => (0..3_usize).prop_map(Auction::Configure),
        4 => (1..200_u64).prop_map(Auction::Wait),
        1 => (member(), any::<bool>()).prop_map(|(who, frozen)| Auction::Freeze(who, frozen)),
        1 => (member(), any::<bool>()).prop_map(|(who, full)| Auction::Fill(who, full)),
    ]
}

/// What bids are made in, by how much each passes the one before, and for how long it goes on after one.
const AUCTIONS: [(&str, u64, u64); 3] = [("coin", 1, 0), ("gem", 7, 60), ("coin", 20, 30)];

fn auction_config(number: usize) -> Value {
    let (asset, increment, extension_s) = AUCTIONS[number];
    json!({"asset": asset, "increment": increment, "extension_s": extension_s})
}

/// A lot, with the terms that were configured when it was opened.
struct Lot {
    seller: &'static str,
    terms: (&'static str, u64, u64),
    reserve: u64,
    ends_ms: u64,
    highest: Option<(&'static str, u64)>,
}

struct Auctions {
    economy: Economy,
    purses: Purses,
    lots: BTreeMap<u64, Lot>,
    config: usize,
    sold: usize,
}

impl Auctions {
    fn new() -> Self {
        Self {
            economy: with("auction", auction_config(0)),
            purses: Purses::new(),
            lots: BTreeMap::new(),
            config: 0,
            sold: 0,
        }
    }

    fn play(&mut self, step: &Auction) {
        match *step {
            Auction::Open(seller, lasts_s, reserve) => self.open(seller, lasts_s, reserve),
            Auction::Bid(bidder, lot, amount) => self.bid(bidder, lot, amount),
            Auction::End(who, how, lot) => {
                let asked = json!({ "lot": lot });
                let called = self.economy.call(who, &format!("auction/{how}"), asked);
                if let Some(ended) = called.committed() {
                    self.ended(lot, ended);
                }
            }
            Auction::Collect(who) => drop(self.economy.call(who, "auction/collect", json!({}))),
            Auction::Configure(number) => {
                self.economy.configure("auction", auction_config(number));
                self.config = number;
            }
            Auction::Wait(seconds) => self.wait(seconds),
            Auction::Freeze(who, frozen) => self.economy.freeze(who, frozen),
            Auction::Fill(who, full) => {
                for asset in ASSETS {
                    self.economy.ceiling(who, asset, full.then_some(500));
                }
            }
        }
    }

    fn open(&mut self, seller: &'static str, lasts_s: u64, reserve: u64) {
        let lot =
            json!({"asset": "item:sword", "amount": 1, "reserve": reserve, "lasts_s": lasts_s});
        let opened = self.economy.call(seller, "auction/open", lot);
        if let Some(opened) = opened.committed() {
            let lot = Lot {
                seller,
                terms: AUCTIONS[self.config],
                reserve,
                ends_ms: opened["ends_ms"].as_u64().expect("a time"),
                highest: None,
            };
            let number = opened["lot"].as_u64().expect("a number");
            assert!(self.lots.insert(number, lot).is_none());
        }
    }

    fn bid(&mut self, bidder: &'static str, number: u64, amount: u64) {
        let bid = json!({"lot": number, "amount": amount});
        let called = self.economy.call(bidder, "auction/bid", bid);
        let Some(bidding) = called.committed() else {
            return;
        };
        let lot = self.lots.get_mut(&number).expect("it is open");
        let (asset, increment, extension_s) = lot.terms;
        let least = lot
            .highest
            .map_or(lot.reserve, |(_, before)| before + increment);
        assert!(amount >= least && bidder != lot.seller);
        let ends_ms = bidding["ends_ms"].as_u64().expect("a time");
        assert!(ends_ms == lot.ends_ms || extension_s > 0 && ends_ms > lot.ends_ms);
        assert!(self.economy.held(bidder, asset) >= amount);
        (lot.ends_ms, lot.highest) = (ends_ms, Some((bidder, amount)));
    }

    fn wait(&mut self, seconds: u64) {
        for run in self.economy.wait(seconds) {
            let settled = run.reply()["settled"].as_array().expect("lots").clone();
            for ended in settled {
                self.ended(ended["lot"].as_u64().expect("a number"), &ended);
            }
        }
    }

    fn ended(&mut self, number: u64, ended: &Value) {
        let lot = self.lots.remove(&number).expect("it was open");
        if let Some(winner) = ended["winner"].as_str() {
            let (bidder, amount) = lot.highest.expect("somebody has bid");
            assert_eq!((winner, ended["price"].as_u64()), (bidder, Some(amount)));
            let (price, asset) = (i64::try_from(amount).expect("a small one"), lot.terms.0);
            self.purses.moved(winner, asset, -price);
            self.purses.moved(lot.seller, asset, price);
            self.purses.moved(winner, "item:sword", 1);
            self.purses.moved(lot.seller, "item:sword", -1);
            self.sold += 1;
        }
    }

    /// Time goes on until nothing is open, and who is owed something collects it.
    fn finish(&mut self) {
        self.wait(40 * DAY_S);
        assert!(self.lots.is_empty(), "all are over");
        for member in MEMBERS {
            self.economy.freeze(member, false);
            for asset in ASSETS {
                self.economy.ceiling(member, asset, None);
            }
            while self
                .economy
                .call(member, "auction/collect", json!({}))
                .committed()
                .is_some()
            {}
        }
        self.purses.assert_free(&self.economy);
        for asset in ASSETS {
            assert_eq!(self.economy.balance("plugin:auction", asset), 0);
        }
        let kept = self.economy.state("auction");
        assert!(kept.keys().all(|key| key == "next"), "{kept:?}");
        self.economy.assert_sound();
    }
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
        6 => (member(), 1..6_u64).prop_map(|(who, tickets)| Lottery::Buy(who, tickets)),
        1 => member().prop_map(Lottery::Claim),
        3 => (0..3_usize).prop_map(Lottery::Configure),
        3 => (1..30_u64).prop_map(|hours| Lottery::Wait(hours * 3_600)),
    ]
}

/// What a ticket costs, the most that a member may have, and the operator's share.
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
        5 => (member(), 1..4_u64).prop_map(|(who, quantity)| Shop::Buy(who, quantity)),
        5 => (member(), 1..12_u64).prop_map(|(who, purchase)| Shop::Refund(who, purchase)),
        3 => member().prop_map(Shop::Use),
        2 => (1..30_u64, any::<bool>()).prop_map(|(price, refunds)| Shop::Configure(price, refunds)),
        1 => (1..100_u64).prop_map(Shop::Wait),
    ]
}

/// A shop in which purchases can be given back for two minutes, or never.
fn shop_config(price: u64, refunds: bool) -> Value {
    let within_s = if refunds { 120 } else { 0 };
    json!({"items": [{"item": "item:potion", "price": {"coin": price}, "refund_within_s": within_s}]})
}

/// Potions of a member's that were bought together.
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

/// A hand that is open: in what, how much, and since when.
type OpenHand = Option<(&'static str, i64, u64)>;

/// What came of a call of blackjack: the hand as it is now, and what is settled.
fn played(called: &TestCall, purses: &mut Purses, hand: &mut OpenHand) {
    let Some(round) = called.committed() else {
        return;
    };
    if round["outcome"].is_string() {
        let (asset, ..) = hand.take().expect("a hand was open");
        purses.moved(
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
    let answers = select(&["accept", "withdraw"][..]);
    prop_oneof![
        4 => (member(), member(), 1..300_u64, 1..300_u64)
            .prop_map(|(from, to, give, want)| Trade::Offer(from, to, give, want)),
        5 => (member(), answers, 1..10_u64).prop_map(|(who, answer, number)| Trade::Answer(who, answer, number)),
        1 => (1..50_000_u64).prop_map(Trade::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn auctions_pay_what_was_bid_on_the_terms_of_their_opening(steps in prop::collection::vec(auction(), 1..80)) {
        let mut auctions = Auctions::new();
        for step in &steps {
            auctions.play(step);
        }
        auctions.finish();
    }

    #[test]
    fn rounds_of_the_lottery_pay_on_the_terms_of_their_first_ticket(steps in prop::collection::vec(lottery(), 1..60)) {
        let mut economy = with("lottery", lottery_config(0));
        let (mut purses, mut config) = (Purses::new(), 0);
        let (mut terms, mut sold) = (None, BTreeMap::<&str, u64>::new());
        let mut won = BTreeMap::<(String, String), i64>::new();
        let last = [Lottery::Wait(DAY_S)].into_iter().chain(MEMBERS.map(Lottery::Claim));
        let last = last.chain(MEMBERS.map(Lottery::Claim));
        for step in steps.into_iter().chain(last) {
            match step {
                Lottery::Buy(who, tickets) => {
                    let bought = economy.call(who, "lottery/buy", json!({ "tickets": tickets }));
                    let (asset, price, limit, _) = *terms.get_or_insert(LOTTERIES[config]);
                    let has = sold.entry(who).or_default();
                    if *has + tickets > limit {
                        prop_assert_eq!(bought.declined(), "limit_reached");
                    } else if let Some(reply) = bought.committed() {
                        *has += tickets;
                        let paid = units(&reply["paid"]);
                        prop_assert_eq!(paid, i64::try_from(tickets * price).unwrap());
                        purses.moved(who, asset, -paid);
                    }
                    if sold.values().all(|has| *has == 0) {
                        terms = None;
                    }
                }
                Lottery::Claim(who) => {
                    let claimed = economy.call(who, "lottery/claim", json!({}));
                    if let Some(reply) = claimed.committed() {
                        let asset = reply["asset"].as_str().unwrap().to_owned();
                        let owed = won.remove(&(who.to_owned(), asset.clone()));
                        prop_assert_eq!(owed, Some(units(&reply["amount"])));
                        purses.moved(who, &asset, owed.unwrap());
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
        purses.assert_free(&economy);
        economy.assert_sound();
    }

    #[test]
    fn the_shop_gives_back_what_was_paid_for_what_is_still_there(steps in prop::collection::vec(shop(), 1..80)) {
        let mut economy = with("shop", json!({"items": []}));
        economy.asset("item:potion");
        economy.configure("shop", shop_config(10, true));
        economy.member("user:sink", &[]);
        economy.issue("plugin:shop", "item:potion", 1_000);
        let (mut purses, mut now_s, mut price) = (Purses::new(), 0, 10);
        // What each member has, the oldest first: that is used first.
        let mut potions = BTreeMap::<&str, VecDeque<Bought>>::new();
        for step in steps {
            match step {
                Shop::Buy(who, quantity) => {
                    let asked = json!({"item": "item:potion", "quantity": quantity});
                    let bought = economy.call(who, "shop/buy", asked);
                    let Some(reply) = bought.committed() else { continue };
                    let paid = i64::try_from(price * quantity).unwrap();
                    prop_assert_eq!(&reply["paid"], &json!({ "coin": paid }));
                    purses.moved(who, "coin", -paid);
                    potions.entry(who).or_default().push_back(Bought {
                        purchase: reply["purchase"].as_u64(),
                        quantity,
                        left: quantity,
                        price: price * quantity,
                        until_s: now_s + 120,
                    });
                }
                Shop::Refund(who, purchase) => {
                    let refunded = economy.call(who, "shop/refund", json!({ "purchase": purchase }));
                    let has = potions.entry(who).or_default();
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
                            purses.moved(who, "coin", i64::try_from(back.price).unwrap());
                        }
                    }
                }
                Shop::Use(who) => {
                    let has = potions.entry(who).or_default();
                    if let Some(oldest) = has.iter_mut().find(|it| it.left > 0) {
                        oldest.left -= 1;
                        economy.transfer(who, "user:sink", "item:potion", 1);
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
        purses.assert_free(&economy);
        economy.assert_sound();
    }

    #[test]
    fn hands_of_blackjack_pay_in_what_was_staked(steps in prop::collection::vec(blackjack(), 1..80)) {
        let mut economy = with("blackjack", blackjack_config(false));
        for asset in ["coin", "gem"] {
            economy.issue("plugin:blackjack", asset, 10_000);
        }
        let (mut purses, mut now_s, mut asset) = (Purses::new(), 0, "coin");
        let mut hand: OpenHand = None;
        for step in steps.into_iter().chain([Blackjack::Wait(3_600)]) {
            match step {
                Blackjack::Deal(stake) => {
                    let dealt = economy.call("user:1", "blackjack/deal", json!({ "stake": stake }));
                    if dealt.committed().is_some() {
                        prop_assert!(hand.is_none(), "one at a time");
                        hand = Some((asset, i64::try_from(stake).unwrap(), now_s));
                    }
                    played(&dealt, &mut purses, &mut hand);
                }
                Blackjack::Play(how) => {
                    let called = economy.call("user:1", &format!("blackjack/{how}"), json!({}));
                    played(&called, &mut purses, &mut hand);
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
                        purses.moved("user:1", asset, -stake);
                        hand = None;
                    }
                }
            }
            if hand.is_none() {
                purses.assert_free(&economy);
            }
        }
        for asset in ["coin", "gem"] {
            prop_assert_eq!(economy.held("plugin:blackjack", asset), 0);
        }
        economy.assert_sound();
    }

    #[test]
    fn trades_move_what_was_offered_for_what_was_wanted(steps in prop::collection::vec(trade(), 1..60)) {
        let mut economy = with("trade", json!({}));
        let (mut purses, mut offers) = (Purses::new(), BTreeMap::new());
        for step in steps {
            match step {
                Trade::Offer(from, to, give, want) => {
                    let asked = json!({"to": to, "give": {"coin": give}, "want": {"gem": want}});
                    let offered = economy.call(from, "trade/offer", asked);
                    if let Some(reply) = offered.committed() {
                        offers.insert(reply["trade"].as_u64().unwrap(), (from, to, give, want));
                    }
                }
                Trade::Answer(who, answer, number) => {
                    let asked = json!({ "trade": number });
                    let called = economy.call(who, &format!("trade/{answer}"), asked);
                    if called.committed().is_none() {
                        continue;
                    }
                    let (from, to, give, want) = offers.remove(&number).expect("it was open");
                    prop_assert!(who == to || answer == "withdraw" && who == from);
                    if answer == "accept" {
                        let [give, want] = [give, want].map(|units| i64::try_from(units).unwrap());
                        for (member, by) in [(from, -1), (to, 1)] {
                            purses.moved(member, "coin", by * give);
                            purses.moved(member, "gem", -by * want);
                        }
                    }
                }
                Trade::Wait(seconds) => drop(economy.wait(seconds)),
            }
        }
        economy.wait(DAY_S);
        purses.assert_free(&economy);
        economy.assert_sound();
    }
}

/// The histories above would be worth little if no lot were ever sold in them.
#[test]
fn random_auctions_sell_lots() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(auction(), 80);
    let mut sold = 0;
    for _ in 0..5 {
        let steps = strategy.new_tree(&mut runner).expect("steps").current();
        let mut auctions = Auctions::new();
        for step in &steps {
            auctions.play(step);
        }
        auctions.finish();
        sold += auctions.sold;
    }
    assert!(sold >= 3, "{sold}");
}
