//! Randomly damaged components, from a seed: the check must return a result for each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::economy::{host, patient, run};
use super::guest::Guest;
use super::mutants::mutant;
use crate::CallFailure;
use crate::check::{check_contract, check_layer, check_sizes, check_validity};
use crate::report::Report;

/// Mutants that are tried by default.
const MUTANTS: u64 = 2_000;

/// Mutants that are compiled, described and called, of those that pass the earlier stages.
const SURVIVORS: usize = 20;

/// Runs the stages before the compiler.
fn stages(bytes: &[u8]) -> Result<(), Report> {
    check_layer(bytes)?;
    check_sizes(bytes)?;
    check_validity(bytes)?;
    check_contract(bytes).map(drop)
}

fn mutants() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "an environment variable sets how long the test runs"
    )]
    let number = std::env::var("BURSAR_MUTANTS");
    number.map_or(MUTANTS, |number| number.parse().unwrap())
}

/// Returns a guest with many kinds of content that can be damaged.
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

/// Runs a function that must not panic.
fn without_panic<T>(number: u64, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| panic!("mutant {number} caused a panic"))
}

#[test]
fn damaged_component_never_makes_the_check_panic() {
    let good = good().bytes();
    stages(&good).unwrap();
    let mut rejected = 0;
    let mut survivors = Vec::new();
    for number in 0..mutants() {
        let bytes = mutant(&good, number);
        match without_panic(number, || stages(&bytes)) {
            Ok(()) => survivors.push((number, bytes)),
            Err(report) => {
                assert!(!report.findings.is_empty());
                rejected += 1;
            }
        }
    }
    assert!(
        rejected > survivors.len(),
        "most damage is found: {rejected}"
    );
    assert!(
        survivors.len() >= SURVIVORS,
        "some damage passes: {}",
        survivors.len()
    );
    let limits = patient();
    for (number, bytes) in survivors.into_iter().take(SURVIVORS) {
        let result = without_panic(number, || {
            let checked = host().check(&bytes).ok()?;
            Some(run(&checked, &limits))
        });
        assert_ne!(result, Some(Err(CallFailure::Internal)), "mutant {number}");
    }
}
