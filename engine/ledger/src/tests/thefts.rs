//! Random histories of a plugin that debits by patterns, with and without draws. Its debits are counted here a
//! second time, from the records alone: no cap is exceeded, and no account gets a debt.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::counted::{Seen, check_histories};
use super::script::{World, id};
use crate::{
    AccountId, AccountKind, AccountPattern, AssetId, Books, Caps, Decision, Grants, PluginName,
    check,
};

const SETUP: &str = "
    asset coin
    asset gem
    account user:1
    account user:2 credit_limit=coin/40
    account user:3
    account user:vip:1 credit_limit=coin/40
    plugin rob component=a requests=debit/user:3 enabled=true \
        grants=take/user:*/coin/20/30/60,take/user:*/gem/5/9/9
    issue user:1 coin 60
    issue user:1 gem 20
    issue user:2 coin 60
    issue user:2 gem 20
    issue user:3 coin 60
    issue user:vip:1 coin 60
    issue plugin:rob coin 30";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Acts between two calls.
const LINES: [&str; 22] = [
    "wait 86400",
    "wait 40000",
    "plugin rob grants=take/user:*/coin/20/30/60,take/user:*/gem/5/9/9",
    "plugin rob grants=take/user:*/coin/20/30/60,take/user:*/gem/5/9/9",
    "plugin rob grants=take/user:*/coin/30/30/40,take/user:vip:*/coin/12/20/25",
    "plugin rob grants=take/user:vip:*/coin/30/40/50",
    "plugin rob grants=debit/user:3,take/user:*/coin/9/12/30",
    "plugin rob grants=requested",
    "account user:1 ceiling=coin/60",
    "account user:1 ceiling=coin/30",
    "account user:1 ceiling=coin/null",
    "account user:2 credit_limit=coin/10",
    "account user:2 credit_limit=coin/40",
    "transfer user:2 -> user:3 coin 50",
    "transfer user:3 -> user:2 coin 30",
    "transfer user:vip:1 -> user:3 coin 45",
    "issue user:vip:1 coin 20",
    "hold 1 user:1 -> user:3 coin 25",
    "release 1",
    "capture 1 5",
    "burn plugin:rob coin 10",
    "issue plugin:rob coin 30",
];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Line(&'static str),
    Theft(Theft),
    /// The oldest open call ends.
    End,
}

/// A call that debits by patterns, and may draw and pay back.
#[derive(Clone, Debug)]
struct Theft {
    caller: &'static str,
    takes: Vec<(&'static str, &'static str, u64)>,
    /// The amount that is secured before a draw, if the call draws.
    secures: Option<u64>,
    gives_back: bool,
    waits: bool,
}

fn theft() -> impl Strategy<Value = Step> {
    let victim = select(vec!["user:1", "user:2", "user:2", "user:3", "user:vip:1"]);
    let take = (
        victim,
        select(vec!["coin", "coin", "coin", "gem"]),
        1..=14_u64,
    );
    let take = take.prop_map(|(victim, asset, amount)| {
        let amount = if asset == "gem" {
            1 + amount / 4
        } else {
            amount
        };
        (victim, asset, amount)
    });
    let caller = select(vec!["user:1", "user:2", "user:3"]);
    (
        caller,
        vec(take, 1..4),
        proptest::option::weighted(0.6, 1..=30_u64),
        any::<bool>(),
        proptest::bool::weighted(0.3),
    )
        .prop_map(|(caller, takes, secures, gives_back, waits)| {
            Step::Theft(Theft {
                caller,
                takes,
                secures,
                gives_back,
                waits,
            })
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let line = select(LINES.to_vec()).prop_map(Step::Line);
    vec(
        prop_oneof![3 => line, 5 => theft(), 1 => Just(Step::End)],
        1..40,
    )
}

/// The debits so far, counted from the records.
#[derive(Default)]
struct Watch {
    of_accounts: BTreeMap<(u64, AccountId, AssetId), u64>,
    of_patterns: BTreeMap<(u64, AccountPattern, AssetId), u64>,
}

fn check_cap(caps: &Caps, asset: &AssetId, taken: u64) {
    let most = caps.get(asset).copied().unwrap_or_default().get();
    assert!(taken <= most, "{taken} {asset}, of at most {most}");
}

impl Watch {
    fn look(&mut self, before: &Books, caller: &AccountId, decision: &Decision, at: u64) -> u64 {
        let rob: PluginName = id("rob");
        let plugin = before.plugin(&rob).expect("it has committed");
        let grants: &Grants = &plugin.installation.grants;
        let day = at / DAY_MS;
        let mut in_call: BTreeMap<(AccountPattern, AssetId), u64> = BTreeMap::new();
        let mut taken = 0;
        for movement in decision.movements() {
            let source = &movement.posting.source;
            let asset = &movement.posting.asset;
            let by_name = source == caller || grants.debit.contains(source);
            if by_name || source.kind() != AccountKind::Open {
                continue;
            }
            let amount = movement.posting.amount.get();
            taken += 1;
            let held = before.account(source).expect("it pays").balance(asset).held;
            let left = movement.source_after - i64::try_from(held.get()).expect("a limit");
            assert!(left >= 0, "{source} was run into debt: {left} {asset}");
            let of_account = (day, source.clone(), asset.clone());
            let of_account = self.of_accounts.entry(of_account).or_default();
            *of_account += amount;
            let mut bound = false;
            for grant in grants.patterns.as_slice() {
                let Some(caps) = grant
                    .debit
                    .as_ref()
                    .filter(|_| grant.accounts.matches(source))
                else {
                    continue;
                };
                bound = true;
                check_cap(&caps.per_member_per_day, asset, *of_account);
                let place = (grant.accounts.clone(), asset.clone());
                let sum = in_call.entry(place.clone()).or_default();
                *sum += amount;
                check_cap(&caps.per_call, asset, *sum);
                let of_all = self.of_patterns.entry((day, place.0, place.1)).or_default();
                *of_all += amount;
                check_cap(&caps.per_day, asset, *of_all);
            }
            assert!(bound, "no pattern covers {source}");
        }
        taken
    }
}

/// A history in progress.
struct Play<'a> {
    world: World,
    watch: Watch,
    seen: &'a mut Seen,
    /// Calls that have not ended yet: their names and callers.
    waiting: Vec<(String, AccountId)>,
    calls: u32,
}

impl Play<'_> {
    /// Runs a line and returns its output.
    fn run(&mut self, line: &str) -> String {
        let before = self.world.output.len();
        self.world.run(line);
        self.world.output[before..].to_owned()
    }

    fn steal(&mut self, theft: &Theft) {
        self.calls += 1;
        let name = format!("R{}", self.calls);
        let output = self.run(&format!("call {name} rob {}", theft.caller));
        assert_eq!(output, "", "the call starts");
        let mut owed: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (victim, asset, amount) in &theft.takes {
            let take = format!("{name} pay {victim} -> plugin:rob {asset} {amount}");
            if self.run(&take).is_empty() && *victim != theft.caller {
                *owed.entry((victim, asset)).or_default() += amount;
            }
        }
        if let Some(secures) = theft.secures {
            let mut secured = BTreeMap::new();
            for (asset, amount) in [("coin", secures), ("gem", secures / 6 + 1)] {
                let secure = format!("{name} secure plugin:rob {asset} {amount}");
                if self.run(&secure).is_empty() {
                    secured.insert(asset, amount);
                }
            }
            let drawn = self.run(&format!("{name} draw 2"));
            if drawn.contains("ends, ") {
                self.seen.count(if drawn.contains("may hold") {
                    "ended before a draw for want of room"
                } else {
                    "ended before a draw"
                });
                self.end(&name, "stop", &id(theft.caller));
                return;
            }
            let back = ways_back(&name, &owed, secured);
            self.check_both_ways(&name, &back);
            if theft.gives_back {
                for line in &back {
                    assert_eq!(self.run(line), "", "what was taken goes back");
                    self.seen.count("given back after a draw");
                }
            }
        }
        if theft.waits {
            self.waiting.push((name, id(theft.caller)));
        } else {
            self.end(&name, "reply", &id(theft.caller));
        }
    }

    /// Checks that a call commits regardless of its payments back after the draw.
    fn check_both_ways(&self, name: &str, back: &[String]) {
        let reply = format!("{name} reply");
        let mut keeps = self.world.clone();
        let mut gives = self.world.clone();
        for line in back {
            gives.run(line);
        }
        for world in [&mut keeps, &mut gives] {
            world.run(&reply);
            let committed = format!("{reply}: committed\n");
            assert!(world.output.ends_with(&committed), "{}", world.output);
        }
    }

    fn end(&mut self, name: &str, how: &str, caller: &AccountId) {
        let before = self.world.books.clone();
        let at = self.world.at().0;
        let records = self.world.decisions.len();
        let output = self.run(&format!("{name} {how}"));
        if output.ends_with("committed\n") {
            let decision = self.world.decisions[records..].first();
            let decision = decision.expect("it is on record");
            if self.watch.look(&before, caller, decision, at) > 0 {
                self.seen.count("taken by patterns");
            }
        }
        for (what, words) in [
            (
                "refused by the cap of a call",
                "by `patterns.debit.per_call`",
            ),
            (
                "refused by the cap of a member",
                "by `patterns.debit.per_member_per_day`",
            ),
            ("refused by the cap of a day", "by `patterns.debit.per_day`"),
            ("refused for want of funds", "can spend"),
            ("gone stale", ": stale"),
        ] {
            if output.contains(words) {
                self.seen.count(what);
            }
        }
        let wrong = check(&self.world.books);
        assert!(
            wrong.iter().all(crate::Violation::is_of_limits),
            "{wrong:?}"
        );
    }
}

/// Returns the lines that pay back all debits, up to the secured amounts.
fn ways_back<'a>(
    name: &str,
    owed: &BTreeMap<(&str, &'a str), u64>,
    mut secured: BTreeMap<&'a str, u64>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for ((victim, asset), taken) in owed {
        let Some(left) = secured.get_mut(asset) else {
            continue;
        };
        let amount = (*taken).min(*left);
        *left -= amount;
        if amount > 0 {
            lines.push(format!(
                "{name} pay plugin:rob -> {victim} {asset} {amount}"
            ));
        }
    }
    lines
}

fn play(steps: &[Step], seen: &mut Seen) {
    let mut play = Play {
        world: World::after(SETUP),
        watch: Watch::default(),
        seen,
        waiting: Vec::new(),
        calls: 0,
    };
    for step in steps {
        match step {
            // An id of a hold is used once.
            Step::Line("hold 1 user:1 -> user:3 coin 25") if play.world.books.holds_open() > 0 => {}
            Step::Line(line) => drop(play.run(line)),
            Step::Theft(theft) => play.steal(theft),
            Step::End if play.waiting.is_empty() => {}
            Step::End => {
                let (name, caller) = play.waiting.remove(0);
                play.end(&name, "reply", &caller);
            }
        }
    }
    for (name, caller) in std::mem::take(&mut play.waiting) {
        play.end(&name, "reply", &caller);
    }
}

#[test]
fn any_history_of_thefts_keeps_caps_and_takes_no_credit() {
    check_histories(file!(), &steps(), |steps, seen| play(steps, seen), &LEAST);
}

/// The minimum number of occurrences in a hundred histories.
const LEAST: [(&str, u64); 9] = [
    ("taken by patterns", 100),
    ("given back after a draw", 50),
    ("ended before a draw", 20),
    ("ended before a draw for want of room", 1),
    ("refused by the cap of a call", 10),
    ("refused by the cap of a member", 10),
    ("refused by the cap of a day", 10),
    ("refused for want of funds", 10),
    ("gone stale", 10),
];
