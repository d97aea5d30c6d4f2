//! Random histories of the bundled auction, reconfigured at any time: each lot keeps the configuration it was opened
//! with, and in the end nothing stays held.

use std::collections::BTreeMap;

use bursar_testkit::Economy;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use crate::random_terms::{ASSETS, DAY_S, ExpectedBalances, MEMBERS, member, with};

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
        3 => (member(), 1..300_u64, 1..20_u64).prop_map(|(account, lasts_s, reserve)| Auction::Open(account, lasts_s, reserve)),
        8 => (member(), 1..8_u64, 1..120_u64).prop_map(|(account, lot, amount)| Auction::Bid(account, lot, amount)),
        2 => (member(), ends, 1..8_u64).prop_map(|(account, end, lot)| Auction::End(account, end, lot)),
        1 => member().prop_map(Auction::Collect),
        3 => (0..3_usize).prop_map(Auction::Configure),
        4 => (1..200_u64).prop_map(Auction::Wait),
        1 => (member(), any::<bool>()).prop_map(|(account, frozen)| Auction::Freeze(account, frozen)),
        1 => (member(), any::<bool>()).prop_map(|(account, full)| Auction::Fill(account, full)),
    ]
}

/// Asset, increment and extension of each configuration.
const AUCTIONS: [(&str, u64, u64); 3] = [("coin", 1, 0), ("gem", 7, 60), ("coin", 20, 30)];

fn auction_config(number: usize) -> Value {
    let (asset, increment, extension_s) = AUCTIONS[number];
    json!({"asset": asset, "increment": increment, "extension_s": extension_s})
}

/// A lot with the configuration in force when it was opened.
struct Lot {
    seller: &'static str,
    terms: (&'static str, u64, u64),
    reserve: u64,
    ends_ms: u64,
    highest: Option<(&'static str, u64)>,
}

struct Auctions {
    economy: Economy,
    expected: ExpectedBalances,
    lots: BTreeMap<u64, Lot>,
    config: usize,
    sold: usize,
}

impl Auctions {
    fn new() -> Self {
        Self {
            economy: with("auction", auction_config(0)),
            expected: ExpectedBalances::new(),
            lots: BTreeMap::new(),
            config: 0,
            sold: 0,
        }
    }

    fn play(&mut self, step: &Auction) {
        match *step {
            Auction::Open(seller, lasts_s, reserve) => self.open(seller, lasts_s, reserve),
            Auction::Bid(bidder, lot, amount) => self.bid(bidder, lot, amount),
            Auction::End(account, how, lot) => {
                let arguments = json!({ "lot": lot });
                let called = self
                    .economy
                    .call(account, &format!("auction/{how}"), arguments);
                if let Some(ended) = called.committed() {
                    self.ended(lot, ended);
                }
            }
            Auction::Collect(account) => {
                drop(self.economy.call(account, "auction/collect", json!({})));
            }
            Auction::Configure(number) => {
                self.economy.configure("auction", auction_config(number));
                self.config = number;
            }
            Auction::Wait(seconds) => self.wait(seconds),
            Auction::Freeze(account, frozen) => self.economy.freeze(account, frozen),
            Auction::Fill(account, full) => {
                for asset in ASSETS {
                    self.economy.ceiling(account, asset, full.then_some(500));
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
        lot.ends_ms = ends_ms;
        lot.highest = Some((bidder, amount));
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
            let (bidder, amount) = lot.highest.expect("the lot has a bid");
            assert_eq!((winner, ended["price"].as_u64()), (bidder, Some(amount)));
            let price = i64::try_from(amount).expect("a small one");
            let asset = lot.terms.0;
            self.expected.moved(winner, asset, -price);
            self.expected.moved(lot.seller, asset, price);
            self.expected.moved(winner, "item:sword", 1);
            self.expected.moved(lot.seller, "item:sword", -1);
            self.sold += 1;
        }
    }

    /// Waits until nothing is open; then everyone collects what is owed.
    fn finish(&mut self) {
        self.wait(40 * DAY_S);
        assert!(self.lots.is_empty(), "all lots have ended");
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
        self.expected.assert_free(&self.economy);
        for asset in ASSETS {
            assert_eq!(self.economy.balance("plugin:auction", asset), 0);
        }
        let state = self.economy.state("auction");
        assert!(state.keys().all(|key| key == "next"), "{state:?}");
        self.economy.assert_sound();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_auctions_pay_by_their_opening_configuration(steps in prop::collection::vec(auction(), 1..80)) {
        let mut auctions = Auctions::new();
        for step in &steps {
            auctions.play(step);
        }
        auctions.finish();
    }
}

/// The histories above prove little unless lots are sold in them.
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
