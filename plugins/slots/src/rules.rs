//! The rules of the game: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::{Value, json};
use bursar_plugin::{AmountError, Odds, Stake, Stakes};

/// Symbols on a reel.
const SYMBOLS_MAX: usize = 32;

/// Turns of a reel, all symbols together.
const TURNS_MAX: u32 = 10_000;

/// Times the stake that a spin may pay.
const PAYS_MAX: u64 = 100_000;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is staked.
    pub(crate) asset: Asset,
    /// The symbols of each reel, and what they pay.
    #[schemars(length(min = 2, max = 32))]
    symbols: Vec<Symbol>,
    /// What it takes as a stake.
    #[serde(default)]
    stakes: Stakes,
}

/// A symbol of each reel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Symbol {
    /// What is shown.
    #[schemars(length(min = 1, max = 32))]
    name: String,
    /// How often it is on the reel.
    #[schemars(range(min = 1, max = 10000))]
    weight: u32,
    /// What three of them pay, in times of the stake.
    #[serde(default)]
    three: u64,
    /// What exactly the first two pay.
    #[serde(default)]
    two: u64,
}

/// A bet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spin {
    /// What is staked.
    pub(crate) stake: Amount,
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Spun {
    /// Where the reels came to rest.
    pub(crate) reels: [String; 3],
    /// What was paid out, or nothing.
    pub(crate) paid: u64,
}

/// What pays.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Table {
    /// The symbols, with their weights and what they pay in times of the stake.
    symbols: Vec<Value>,
    /// What a spin returns on average, in millionths of the stake, rounded down.
    returns_ppm: u64,
}

/// Where a reel comes to rest: the number of a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stop(usize);

/// A reel: each symbol as often as its weight says.
pub(crate) struct Reel(Vec<u32>);

impl Reel {
    /// How many places it can come to rest in.
    pub(crate) fn turns(&self) -> u32 {
        self.0.iter().sum()
    }

    /// The symbol at a place.
    pub(crate) fn symbol(&self, mut place: u32) -> Stop {
        for (number, weight) in self.0.iter().enumerate() {
            match place.checked_sub(*weight) {
                Some(rest) => place = rest,
                None => return Stop(number),
            }
        }
        Stop(0)
    }
}

fn misconfigured(message: String) -> Decline {
    Decline::new("misconfigured", message)
}

impl Config {
    /// Reports what makes no reel and no bet, and the bankroll that the largest win takes.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(no_reel) = self.reel() {
            report.finding("/symbols", no_reel.message());
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            let before = &self.symbols[..index];
            if before.iter().any(|other| other.name == symbol.name) {
                let message = "another symbol has this name, and nobody could tell them apart";
                report.finding(format!("/symbols/{index}/name"), message);
            }
            for (member, times) in [("three", symbol.three), ("two", symbol.two)] {
                if times > PAYS_MAX {
                    let message = format!("nothing pays more than {PAYS_MAX} times the stake");
                    report.finding(format!("/symbols/{index}/{member}"), message);
                }
            }
        }
        let times = self.most_times();
        if times == 0 {
            report.finding("/symbols", "something has to pay");
        }
        self.stakes.report("/stakes/max", report);
        if (1..=PAYS_MAX).contains(&times) && self.jackpot(self.stakes.smallest()).is_err() {
            let message = "no house could pay the jackpot of even the smallest stake";
            report.finding("/stakes/min", message);
        }
        // The stake itself is in the bankroll before the reels turn. What no house could pay is no bet.
        let stake = self.stakes.to_cover();
        let most = self.jackpot(stake).map_or(0, Amount::get);
        if let Some(bank) = Amount::new(most.saturating_sub(stake.get())) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// The reel that the weights make.
    pub(crate) fn reel(&self) -> Result<Reel, Decline> {
        if !(2..=SYMBOLS_MAX).contains(&self.symbols.len()) {
            return Err(misconfigured(format!(
                "A reel has 2 to {SYMBOLS_MAX} symbols."
            )));
        }
        let weights: Vec<u32> = self.symbols.iter().map(|symbol| symbol.weight).collect();
        let turns: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        if weights.contains(&0) || turns > u64::from(TURNS_MAX) {
            let message = format!("Weights are 1 and more, and {TURNS_MAX} together at most.");
            return Err(misconfigured(message));
        }
        Ok(Reel(weights))
    }

    fn most_times(&self) -> u64 {
        let pays = self
            .symbols
            .iter()
            .map(|symbol| symbol.three.max(symbol.two));
        pays.max().unwrap_or(0)
    }

    /// Whether a stake can be taken, and the most that it can win.
    pub(crate) fn check(&self, stake: Amount) -> Result<Amount, Decline> {
        self.stakes.check(stake, &self.asset)?;
        let times = self.most_times();
        if !(1..=PAYS_MAX).contains(&times) {
            let message =
                format!("Something pays, and nothing more than {PAYS_MAX} times the stake.");
            return Err(misconfigured(message));
        }
        let too_large =
            |_| Decline::new("stake_too_large", "No house could pay the jackpot of that.");
        self.jackpot(stake).map_err(too_large)
    }

    /// The most that a stake can win.
    fn jackpot(&self, stake: Amount) -> Result<Amount, AmountError> {
        stake.checked_mul(self.most_times())
    }

    /// How many times the stake three stops pay.
    fn times(&self, [left, middle, right]: [Stop; 3]) -> u64 {
        let symbol = self.symbols.get(left.0).filter(|_| left == middle);
        symbol.map_or(0, |symbol| {
            if middle == right {
                symbol.three
            } else {
                symbol.two
            }
        })
    }

    /// What three stops pay.
    pub(crate) fn pays(&self, stops: [Stop; 3], stake: Amount) -> Option<Amount> {
        stake
            .get()
            .checked_mul(self.times(stops))
            .and_then(Amount::new)
    }

    /// What is shown of a stop.
    pub(crate) fn name(&self, stop: Stop) -> String {
        let symbol = self.symbols.get(stop.0);
        symbol.map(|symbol| symbol.name.clone()).unwrap_or_default()
    }

    /// The paytable, and what it returns.
    pub(crate) fn table(&self) -> Result<Table, Decline> {
        let turns = u128::from(self.reel()?.turns());
        let returned = self.symbols.iter().map(|symbol| {
            let weight = u128::from(symbol.weight);
            let three = weight * u128::from(symbol.three);
            let two = (turns - weight) * u128::from(symbol.two);
            weight * weight * (three + two)
        });
        let returned = returned.sum::<u128>() * 1_000_000 / (turns * turns * turns);
        let symbols = self
            .symbols
            .iter()
            .map(|symbol| bursar_plugin::serde_json::to_value(symbol).expect("a symbol is JSON"));
        Ok(Table {
            symbols: symbols.collect(),
            returns_ppm: u64::try_from(returned).unwrap_or(u64::MAX),
        })
    }
}

/// A paytable to begin with: it returns about 97 of 100.
pub(crate) fn example() -> Value {
    json!({
        "asset": "coin",
        "symbols": [
            {"name": "seven", "weight": 1, "three": 150, "two": 10},
            {"name": "bell", "weight": 3, "three": 40, "two": 3},
            {"name": "plum", "weight": 4, "three": 20, "two": 2},
            {"name": "cherry", "weight": 6, "three": 8, "two": 2},
            {"name": "lemon", "weight": 6, "three": 4, "two": 1},
        ],
    })
}

/// What a spin returns, for the check to play.
pub(crate) fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "spin",
        description: "The paytable of the documentation.",
        arguments: json!({"stake": 10}),
        config: example(),
        stake: Stake {
            asset: "coin",
            amount: 10,
        },
        returns_ppm: RETURNS_PPM,
        follow: None,
    }]
}

/// What the example returns, rounded down.
const RETURNS_PPM: u64 = 971_875;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).expect("a configuration")
    }

    /// Every place of every reel once: what comes back is what is stated.
    #[test]
    fn the_stated_return_is_that_of_the_rules() {
        let config = config(example());
        let reel = config.reel().expect("a reel");
        let turns = reel.turns();
        let mut times = 0;
        for left in 0..turns {
            for middle in 0..turns {
                for right in 0..turns {
                    times += config.times([left, middle, right].map(|place| reel.symbol(place)));
                }
            }
        }
        let returned = times * 1_000_000 / u64::from(turns).pow(3);
        assert_eq!(config.table().expect("a table").returns_ppm, returned);
        assert_eq!(odds()[0].returns_ppm, returned);
        assert!(
            (900_000..1_000_000).contains(&returned),
            "the house lives, and so do members"
        );
    }

    #[test]
    fn each_symbol_comes_up_as_often_as_its_weight_says() {
        let config = config(example());
        let reel = config.reel().expect("a reel");
        for (number, symbol) in config.symbols.iter().enumerate() {
            let places = (0..reel.turns()).filter(|place| reel.symbol(*place) == Stop(number));
            assert_eq!(places.count(), symbol.weight as usize);
        }
    }

    fn report(value: Value) -> ConfigReport {
        let mut report = ConfigReport::new("bandit");
        config(value).check_configuration(&mut report);
        report
    }

    #[test]
    fn what_makes_no_reel_and_no_bet_is_found() {
        let pointers = |symbols: Value, stakes: Value| {
            let value = json!({"asset": "coin", "symbols": symbols, "stakes": stakes});
            let findings = report(value).findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        let symbol = |name: &str, weight: u32, three: u64, two: u64| json!({"name": name, "weight": weight, "three": three, "two": two});
        let good = || json!([symbol("a", 1, 5, 1), symbol("b", 1, 0, 0)]);
        assert_eq!(pointers(good(), json!({})), [""; 0]);
        let cases = [
            (json!([symbol("a", 1, 5, 1)]), "/symbols"),
            (
                json!([symbol("a", 0, 5, 1), symbol("b", 1, 0, 0)]),
                "/symbols",
            ),
            (
                json!([symbol("a", 10_000, 5, 1), symbol("b", 1, 0, 0)]),
                "/symbols",
            ),
            (
                json!([symbol("a", 1, 0, 0), symbol("b", 1, 0, 0)]),
                "/symbols",
            ),
            (
                json!([symbol("a", 1, 5, 1), symbol("a", 1, 0, 0)]),
                "/symbols/1/name",
            ),
            (
                json!([symbol("a", 1, 100_001, 1), symbol("b", 1, 0, 0)]),
                "/symbols/0/three",
            ),
            (
                json!([symbol("a", 1, 1, 0), symbol("b", 1, 0, 100_001)]),
                "/symbols/1/two",
            ),
        ];
        for (symbols, pointer) in cases {
            assert_eq!(pointers(symbols, json!({})), [pointer]);
        }
        let crossed = json!({"min": 5, "max": 4});
        assert_eq!(pointers(good(), crossed), ["/stakes/max"]);
        let unpaid = json!({"min": 1_u64 << 51});
        assert_eq!(pointers(good(), unpaid), ["/stakes/min"]);
    }

    #[test]
    fn the_bankroll_is_to_cover_the_jackpot_of_the_largest_stake() {
        let needs = |stakes: Value| {
            let mut value = example();
            value["stakes"] = stakes;
            let [need] = <[_; 1]>::try_from(report(value).needs).expect("one need");
            assert_eq!((&*need.account, &*need.asset), ("plugin:bandit", "coin"));
            need.at_least
        };
        assert_eq!(needs(json!({"max": 10})), 1_490);
        assert_eq!(needs(json!({})), 149);
        let evens = json!({"asset": "coin", "symbols": [
            {"name": "a", "weight": 1, "three": 1}, {"name": "b", "weight": 1},
        ]});
        assert_eq!(report(evens).needs, [], "the stake pays that");
    }

    #[test]
    fn paytables_end_at_their_limits() {
        let with = |weight: u32, three: u64| {
            config(json!({"asset": "coin", "symbols": [
                {"name": "a", "weight": weight, "three": three}, {"name": "b", "weight": 1},
            ]}))
        };
        let code = |config: Config, stake: u64| {
            let stake = Amount::new(stake).expect("an amount");
            let checked = config.reel().and_then(|_| config.check(stake));
            checked.map(Amount::get).map_err(|decline| decline.code())
        };
        assert_eq!(code(with(9_999, 100_000), 1), Ok(100_000));
        assert_eq!(code(with(10_000, 1), 1), Err("misconfigured"));
        assert_eq!(code(with(0, 1), 1), Err("misconfigured"));
        assert_eq!(code(with(1, 100_001), 1), Err("misconfigured"));
        assert_eq!(code(with(1, 0), 1), Err("misconfigured"));
        assert_eq!(code(with(1, 2), 1 << 52), Err("stake_too_large"));
        let one = json!({"asset": "coin", "symbols": [{"name": "a", "weight": 1, "three": 1}]});
        assert_eq!(code(config(one), 1), Err("misconfigured"));
    }
}
