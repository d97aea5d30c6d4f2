//! Components that were damaged at random, from a seed: whatever comes, the check gives a verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::guest::Guest;
use super::mutants::mutant;
use super::world::{host, patient, run};
use crate::CallFailure;
use crate::check::{check_contract, check_layer, check_sizes, check_validity};
use crate::report::Report;

/// Mutants that are tried unless the environment names another number.
const MUTANTS: u64 = 2_000;

/// Mutants that are compiled, described and called, of those that come so far.
const SURVIVORS: usize = 20;

/// The stages before anything is compiled.
fn stages(bytes: &[u8]) -> Result<(), Report> {
    check_layer(bytes)?;
    check_sizes(bytes)?;
    check_validity(bytes)?;
    check_contract(bytes).map(drop)
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
    let limits = patient();
    for (number, bytes) in survivors.into_iter().take(SURVIVORS) {
        let ended = calmly(number, || {
            let checked = host().check(&bytes).ok()?;
            Some(run(&checked, &limits))
        });
        assert_ne!(ended, Some(Err(CallFailure::Internal)), "mutant {number}");
    }
}
