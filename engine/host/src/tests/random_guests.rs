//! Calls of random hostile guests: each ends within its limits, and the host still runs an honest plugin.

use std::time::Duration;

use bursar_ledger::{
    CALL_DRAWS_MAX, CALL_HOLDS_MAX, CALL_POSTINGS_MAX, CALL_READS_MAX, CALL_SECURES_MAX,
    CALL_WRITES_MAX, CallEnding, prints,
};

use super::economy::{checked, draft, host, origin, patient, replied, run};
use super::guest::Guest;
use super::random_guest::hostile;
use crate::limits::{
    DECLINE_BYTES_MAX, EXCERPT_CHARS_MAX, LOG_BYTES_MAX, LOG_LINES_MAX, REPLY_BYTES_MAX,
};
use crate::run::call;
use crate::{CallFailure, CallOutcome, Limits};

/// Guests that are tried by default.
const GUESTS: u64 = 60;

/// Fuel of a call: a fifth of the standard, so that endless loops end soon.
const FUEL: u64 = 10_000_000;

/// The most fuel that one request can use beyond the limit: the largest text, at the highest price of a byte.
const LAST_CHARGE: u64 = 256 * 1024 * 10 + 100_000;

/// The processor time that no call reaches, because its fuel ends much earlier: after some tens of milliseconds.
const CPU_MAX: Duration = Duration::from_secs(20);

fn guests() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "an environment variable sets how long the test runs"
    )]
    let number = std::env::var("BURSAR_GUESTS");
    number.map_or(GUESTS, |number| number.parse().unwrap())
}

/// The most exchanges in one call.
const EXCHANGES_MAX: usize = CALL_READS_MAX
    + CALL_POSTINGS_MAX
    + CALL_SECURES_MAX
    + CALL_WRITES_MAX
    + CALL_DRAWS_MAX
    + CALL_HOLDS_MAX
    // Texts that are mixed into draws. Each has at least one byte or costs fuel.
    + 4_096;

/// Asserts that an outcome is within all limits.
fn assert_bounded(number: u64, outcome: &CallOutcome) {
    assert!(
        outcome.fuel <= 2 * FUEL + LAST_CHARGE,
        "guest {number}: {} fuel",
        outcome.fuel
    );
    assert!(
        outcome.transcript.exchanges().len() <= EXCHANGES_MAX,
        "guest {number}"
    );
    assert!(outcome.log.len() <= LOG_LINES_MAX + 1, "guest {number}");
    let texts = outcome.log.iter().map(|line| line.message.as_str());
    let bytes: usize = texts.clone().map(str::len).sum();
    assert!(
        bytes <= LOG_BYTES_MAX + 200,
        "guest {number}: {bytes} bytes of log"
    );
    assert!(texts.flat_map(str::chars).all(prints), "guest {number}");
    match &outcome.ending {
        CallEnding::Replied { reply } => {
            assert!(reply.to_string().len() <= REPLY_BYTES_MAX, "guest {number}");
        }
        CallEnding::Declined { message, .. } => {
            assert!(message.len() <= DECLINE_BYTES_MAX, "guest {number}");
        }
        CallEnding::Faulted { fault } => {
            assert!(
                fault.chars().count() <= EXCERPT_CHARS_MAX + 1,
                "guest {number}: {fault}"
            );
            assert!(fault.chars().all(prints), "guest {number}: {fault}");
        }
        CallEnding::Stopped(_) => {}
        unexpected @ (CallEnding::NotRun(_) | CallEnding::Broken { .. }) => {
            panic!("guest {number}: not an ending of a run: {unexpected:?}")
        }
    }
}

#[test]
fn hostile_guests_end_within_their_bounds_and_leave_the_host_intact() {
    let limits = Limits {
        fuel: FUEL,
        ..patient()
    };
    let honest = checked(&Guest::new());
    let mut passed = 0;
    let mut kinds = [0; 4];
    for number in 0..guests() {
        let Ok(guest) = host().check(&hostile(number).bytes()) else {
            continue;
        };
        passed += 1;
        let result = call::run(&guest, &limits, draft(), Box::new(origin));
        let (kind, cpu) = match result {
            Ok(outcome) => {
                assert_bounded(number, &outcome);
                let kind = match outcome.ending {
                    CallEnding::Replied { .. } => 0,
                    CallEnding::Declined { .. } => 1,
                    CallEnding::Faulted { .. }
                    | CallEnding::Stopped(_)
                    | CallEnding::NotRun(_)
                    | CallEnding::Broken { .. } => 2,
                };
                (kind, outcome.cpu)
            }
            Err(failed) => {
                let failure = failed.failure;
                assert!(
                    matches!(failure, CallFailure::Deadline | CallFailure::StackOverflow),
                    "guest {number}: {failure}"
                );
                (3, failed.cpu)
            }
        };
        kinds[kind] += 1;
        assert!(cpu < CPU_MAX, "guest {number} hangs: {cpu:?}");
        let honest_outcome = run(&honest, &patient()).unwrap();
        assert!(
            replied(&honest_outcome.ending),
            "after guest {number}: {:?}",
            honest_outcome.ending
        );
    }
    // Most guests must pass the check, or the test shows little.
    assert!(passed * 4 > guests() * 3, "{passed} guests passed");
    let [replied, _, faulted, _] = kinds;
    assert!(
        faulted > 0 && replied > 0,
        "replies, declines, faults, failures: {kinds:?}"
    );
}
