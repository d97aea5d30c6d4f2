//! The rules of the slot machine, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::{Value, json};
use bursar_plugin::{AmountError, Odds, Stake, Stakes};

/// The largest number of symbols on a reel.
const SYMBOLS_MAX: usize = 32;

/// The largest number of positions of a reel, which is the sum of all weights.
const POSITIONS_MAX: u32 = 10_000;

/// The largest payout of a spin, in multiples of the stake.
const PAYS_MAX: u64 = 100_000;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of stakes.
    pub(crate) asset: Asset,
    /// The symbols of each reel with their payouts.
    #[schemars(length(min = 2, max = 32))]
    symbols: Vec<Symbol>,
    /// The range of stakes.
    #[serde(default)]
    stakes: Stakes,
}

/// A symbol of the reels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Symbol {
    /// The name of the symbol.
    #[schemars(length(min = 1, max = 32))]
    name: String,
    /// The number of positions of the symbol on a reel.
    #[schemars(range(min = 1, max = 10000))]
    weight: u32,
    /// The payout for three of them, in multiples of the stake.
    #[serde(default)]
    three: u64,
    /// The payout if exactly the first two reels show it, in multiples of the stake.
    #[serde(default)]
    two: u64,
}

/// The arguments of `spin`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spin {
    /// The amount of the stake.
    pub(crate) stake: Amount,
}

/// The reply to `spin`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SpinReply {
    /// The names of the three drawn symbols.
    pub(crate) reels: [String; 3],
    /// The payout, or 0.
    pub(crate) paid: u64,
}

/// The reply to `table`: the paytable.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct TableReply {
    /// The symbols with their weights and their payouts in multiples of the stake.
    symbols: Vec<Value>,
    /// The average return of a spin, in millionths of the stake, rounded down.
    returns_ppm: u64,
}

/// The drawn symbol of one reel, as its index in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReelStop(usize);

/// A reel: the weights of its symbols.
pub(crate) struct Reel(Vec<u32>);

impl Reel {
    /// Returns the number of positions.
    pub(crate) fn positions(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Returns the symbol at a position.
    pub(crate) fn symbol(&self, mut position: u32) -> ReelStop {
        for (number, weight) in self.0.iter().enumerate() {
            match position.checked_sub(*weight) {
                Some(rest) => position = rest,
                None => return ReelStop(number),
            }
        }
        ReelStop(0)
    }
}

fn misconfigured(message: String) -> Decline {
    Decline::new("misconfigured", message)
}

impl Config {
    /// Reports invalid reels, payouts and limits, and the balance that the largest win needs.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if let Err(invalid) = self.reel() {
            report.finding("/symbols", invalid.message());
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            let earlier = &self.symbols[..index];
            if earlier.iter().any(|other| other.name == symbol.name) {
                let message = "another symbol has this name";
                report.finding(format!("/symbols/{index}/name"), message);
            }
            for (member, times) in [("three", symbol.three), ("two", symbol.two)] {
                if times > PAYS_MAX {
                    let message = format!("a payout is at most {PAYS_MAX} times the stake");
                    report.finding(format!("/symbols/{index}/{member}"), message);
                }
            }
        }
        let times = self.most_times();
        if times == 0 {
            report.finding("/symbols", "at least one symbol must have a payout");
        }
        self.stakes.report("/stakes/max", report);
        if (1..=PAYS_MAX).contains(&times) && self.jackpot(self.stakes.smallest()).is_err() {
            let message = "the jackpot of the smallest stake exceeds the largest amount";
            report.finding("/stakes/min", message);
        }
        // The stake is in the bank before the draw. A bet whose jackpot exceeds the largest amount is declined.
        let stake = self.stakes.to_cover();
        let most = self.jackpot(stake).map_or(0, Amount::get);
        if let Some(bank) = Amount::new(most.saturating_sub(stake.get())) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// Returns the reel, and declines invalid weights.
    pub(crate) fn reel(&self) -> Result<Reel, Decline> {
        if !(2..=SYMBOLS_MAX).contains(&self.symbols.len()) {
            return Err(misconfigured(format!(
                "A reel has 2 to {SYMBOLS_MAX} symbols."
            )));
        }
        let weights: Vec<u32> = self.symbols.iter().map(|symbol| symbol.weight).collect();
        let positions: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        if weights.contains(&0) || positions > u64::from(POSITIONS_MAX) {
            let message =
                format!("Each weight is at least 1, and their sum at most {POSITIONS_MAX}.");
            return Err(misconfigured(message));
        }
        Ok(Reel(weights))
    }

    /// Returns the largest payout, in multiples of the stake.
    fn most_times(&self) -> u64 {
        let pays = self
            .symbols
            .iter()
            .map(|symbol| symbol.three.max(symbol.two));
        pays.max().unwrap_or(0)
    }

    /// Returns the largest win of a stake. Declines a stake outside the limits.
    pub(crate) fn check(&self, stake: Amount) -> Result<Amount, Decline> {
        self.stakes.check(stake, &self.asset)?;
        let times = self.most_times();
        if !(1..=PAYS_MAX).contains(&times) {
            let message = format!("The largest payout must be 1 to {PAYS_MAX} times the stake.");
            return Err(misconfigured(message));
        }
        let too_large = |_| {
            Decline::new(
                "stake_too_large",
                "The jackpot of that stake exceeds the largest amount.",
            )
        };
        self.jackpot(stake).map_err(too_large)
    }

    /// Returns the largest win of a stake.
    fn jackpot(&self, stake: Amount) -> Result<Amount, AmountError> {
        stake.checked_mul(self.most_times())
    }

    /// Returns the payout of three stops, in multiples of the stake.
    fn times(&self, [left, middle, right]: [ReelStop; 3]) -> u64 {
        let symbol = self.symbols.get(left.0).filter(|_| left == middle);
        symbol.map_or(0, |symbol| {
            if middle == right {
                symbol.three
            } else {
                symbol.two
            }
        })
    }

    /// Returns the payout of three stops, if there is one.
    pub(crate) fn pays(&self, stops: [ReelStop; 3], stake: Amount) -> Option<Amount> {
        stake
            .get()
            .checked_mul(self.times(stops))
            .and_then(Amount::new)
    }

    /// Returns the name of the symbol at a stop.
    pub(crate) fn name(&self, stop: ReelStop) -> String {
        let symbol = self.symbols.get(stop.0);
        symbol.map(|symbol| symbol.name.clone()).unwrap_or_default()
    }

    /// Returns the paytable and the average return.
    pub(crate) fn table(&self) -> Result<TableReply, Decline> {
        let positions = u128::from(self.reel()?.positions());
        let returned = self.symbols.iter().map(|symbol| {
            let weight = u128::from(symbol.weight);
            let three = weight * u128::from(symbol.three);
            let two = (positions - weight) * u128::from(symbol.two);
            weight * weight * (three + two)
        });
        let returned = returned.sum::<u128>() * 1_000_000 / positions.pow(3);
        let symbols = self
            .symbols
            .iter()
            .map(|symbol| bursar_plugin::serde_json::to_value(symbol).expect("a symbol is JSON"));
        Ok(TableReply {
            symbols: symbols.collect(),
            returns_ppm: u64::try_from(returned).unwrap_or(u64::MAX),
        })
    }
}

/// Returns an example of a configuration, which returns about 97 %.
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

/// Returns the stated odds of a spin.
pub(crate) fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "spin",
        description: "The example paytable of the documentation.",
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

/// The average return of the example, in millionths, rounded down.
const RETURNS_PPM: u64 = 971_875;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).expect("a configuration")
    }

    /// The average payout over all positions of all reels equals the stated return.
    #[test]
    fn the_stated_return_follows_from_the_rules() {
        let config = config(example());
        let reel = config.reel().expect("a reel");
        let positions = reel.positions();
        let mut times = 0;
        for left in 0..positions {
            for middle in 0..positions {
                for right in 0..positions {
                    times += config.times([left, middle, right].map(|stop| reel.symbol(stop)));
                }
            }
        }
        let returned = times * 1_000_000 / u64::from(positions).pow(3);
        assert_eq!(config.table().expect("a table").returns_ppm, returned);
        assert_eq!(odds()[0].returns_ppm, returned);
        assert!(
            (900_000..1_000_000).contains(&returned),
            "the bank keeps a small part"
        );
    }

    #[test]
    fn each_symbol_has_as_many_positions_as_its_weight() {
        let config = config(example());
        let reel = config.reel().expect("a reel");
        for (number, symbol) in config.symbols.iter().enumerate() {
            let positions = 0..reel.positions();
            let found = positions.filter(|position| reel.symbol(*position) == ReelStop(number));
            assert_eq!(found.count(), symbol.weight as usize);
        }
    }

    fn report(value: Value) -> ConfigReport {
        let mut report = ConfigReport::new("bandit");
        config(value).check_configuration(&mut report);
        report
    }

    #[test]
    fn invalid_reels_and_limits_are_reported() {
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
    fn the_bank_needs_the_jackpot_of_the_largest_stake() {
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
        assert_eq!(report(evens).needs, [], "the stake pays a win");
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
            let result = config.reel().and_then(|_| config.check(stake));
            result.map(Amount::get).map_err(|decline| decline.code())
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
