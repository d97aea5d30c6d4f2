//! The random histories themselves: each outcome occurs often enough for the properties over them to have an effect.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::history::{SETUP, history, money, play, reuses_an_id};
use super::quotas::refused_for;
use super::script::World;
use crate::{Act, CallEnding, Verdict};

/// Plays as many histories as a property has by default, the same in every run.
const CASES: usize = 256;

fn sample<S: Strategy>(strategy: S, mut look: impl FnMut(S::Value)) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        let tree = strategy.new_tree(&mut runner).expect("a value");
        look(tree.current());
    }
}

/// The number of occurrences of each outcome.
#[derive(Default, Debug)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn check(&self, least: &[(&str, usize)]) {
        for (what, least) in least {
            let times = self.0.get(*what).copied().unwrap_or(0);
            assert!(times >= *least, "{what}: {times} times, {self:#?}");
        }
    }
}

fn came_to(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Applied(_) => "applied",
        Verdict::Unchanged => "unchanged",
        Verdict::Rejected(_) => "rejected",
        Verdict::RejectedWith(..) => "rejected on record",
        Verdict::Declined(_) => "declined",
        Verdict::Faulted(_) => "faulted",
        Verdict::Broken(_) => "broken",
        Verdict::Stale => "stale",
        Verdict::NoEconomy => "no economy",
    }
}

#[test]
fn histories_have_enough_of_everything() {
    let mut tally = Tally::default();
    sample(history(), |steps| {
        play(&steps, |_, act, verdict, _| {
            tally.count(format!("{} {}", act.kind(), came_to(verdict)));
            if let Act::Call(result) = act {
                if result.transcript.draws() > 0 {
                    tally.count("games");
                }
                if matches!(result.ending, CallEnding::Stopped(_)) {
                    tally.count("stopped before a draw");
                }
            }
            if let Some(quota) = refused_for(verdict) {
                tally.count("beyond a quota");
                tally.count(format!("beyond {quota}"));
            }
        });
    });
    tally.check(&[
        ("transfer applied", 70),
        ("transfer rejected", 200),
        ("batch applied", 10),
        ("issue applied", 50),
        ("burn applied", 25),
        ("place_hold applied", 70),
        ("capture_hold applied", 10),
        ("release_hold applied", 2),
        ("expire_hold applied", 4),
        ("reversal applied", 40),
        ("set_account applied", 20),
        ("set_asset applied", 40),
        ("set_plugin applied", 40),
        ("remove_plugin applied", 40),
        ("rotate_seed applied", 20),
        ("reveal_seeds applied", 1),
        ("set_client_seed applied", 20),
        ("set_quotas applied", 70),
        ("call applied", 400),
        ("call rejected", 300),
        ("call declined", 50),
        ("call faulted", 80),
        ("call broken", 4),
        ("call stale", 50),
        ("games", 100),
        ("stopped before a draw", 8),
        ("beyond a quota", 6),
    ]);
}

#[test]
fn random_histories_accept_and_reject_each_kind_often() {
    let mut tally = Tally::default();
    sample(vec(money(), 1..60), |acts| {
        let mut world = World::after(SETUP);
        for act in acts {
            if !reuses_an_id(&world.books, &act) {
                let verdict = world.act(&act);
                tally.count(format!("{} {}", act.kind(), came_to(&verdict)));
            }
        }
    });
    for kind in [
        "transfer",
        "batch",
        "issue",
        "burn",
        "place_hold",
        "capture_hold",
        "expire_hold",
        "reversal",
        "set_account",
    ] {
        for end in ["applied", "rejected"] {
            tally.check(&[(&format!("{kind} {end}"), 20)]);
        }
    }
    tally.check(&[("release_hold applied", 20), ("release_hold rejected", 20)]);
}
