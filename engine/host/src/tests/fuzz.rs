//! Components that were damaged at random, from a seed: whatever comes, the check gives a verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::guest::Guest;
use super::world::{host, run};
use crate::check::{check_contract, check_layer, check_sizes, check_validity};
use crate::report::Report;
use crate::{CallFailure, Limits};

/// Mutants that are tried unless the environment names another number.
const MUTANTS: u64 = 2_000;

/// Mutants that are compiled, described and called, of those that come so far.
const SURVIVORS: usize = 20;

/// A small generator of numbers, from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Seeds that follow each other would begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let n = u64::try_from(n.max(1)).unwrap();
        usize::try_from((self.0 >> 11) % n).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// The mutant of a number: one to three damages.
fn mutant(good: &[u8], number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(40)).min(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let range = bytes[at..end].to_vec();
                bytes.splice(at..at, range);
            }
            3 => bytes.insert(at, dice.byte()),
            4 => bytes[at] = dice.byte(),
            _ => bytes[at] ^= 1 << dice.below(8),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// The stages before anything is compiled.
fn stages(bytes: &[u8]) -> Result<(), Report> {
    check_layer(bytes)?;
    check_sizes(bytes)?;
    check_validity(bytes)?;
    check_contract(bytes)
}

fn mutants() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "how long to try is for whoever runs the test"
    )]
    let number = std::env::var("BURSAR_MUTANTS");
    number.map_or(MUTANTS, |number| number.parse().unwrap())
}

/// A guest that has something of everything in it that can be damaged.
fn good() -> Guest {
    let mut guest = Guest::new();
    let [account, asset] = ["plugin:tester", "coin"].map(|text| guest.text(text));
    guest.does(&format!(
        "(call $host-ledger-balance {account} {asset} (i32.const 64))
        (call $host-state-set {asset} {account})
        (call $host-fair-secure {account} {asset} (i64.const 3) (i32.const 64))
        (drop (call $host-fair-below (i32.const 6) {asset}))
        (drop (call $host-call-now))
        (call $host-log-write (i32.const 1) {account})"
    ));
    guest
}

/// Runs something that must not panic.
fn calmly<T>(number: u64, what: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| panic!("mutant {number} made it panic"))
}

#[test]
fn damaged_component_gets_a_verdict_and_never_a_panic() {
    let good = good().bytes();
    stages(&good).unwrap();
    let (mut refused, mut survivors) = (0, Vec::new());
    for number in 0..mutants() {
        let bytes = mutant(&good, number);
        match calmly(number, || stages(&bytes)) {
            Ok(()) => survivors.push((number, bytes)),
            Err(report) => {
                assert!(!report.findings.is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > survivors.len(), "most damage is seen: {refused}");
    assert!(
        survivors.len() >= SURVIVORS,
        "some is not: {}",
        survivors.len()
    );
    let limits = Limits::standard();
    for (number, bytes) in survivors.into_iter().take(SURVIVORS) {
        let ended = calmly(number, || {
            let checked = host().check(&bytes).ok()?;
            Some(run(&checked, &limits))
        });
        assert_ne!(ended, Some(Err(CallFailure::Internal)), "mutant {number}");
    }
}
