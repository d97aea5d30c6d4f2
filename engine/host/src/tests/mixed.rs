//! Hostile guests, mixed at random from a seed: whatever they do, each call comes to an end within bounds
//! that were counted, and the host still answers an honest plugin.

use std::time::Duration;

use bursar_ledger::{
    CALL_DRAWS_MAX, CALL_HOLDS_MAX, CALL_POSTINGS_MAX, CALL_READS_MAX, CALL_SECURES_MAX,
    CALL_WRITES_MAX, CallEnding, prints,
};

use super::guest::Guest;
use super::mixes::hostile;
use super::world::{checked, draft, host, origin, patient, replied, run};
use crate::limits::{
    DECLINE_BYTES_MAX, EXCERPT_CHARS_MAX, LOG_BYTES_MAX, LOG_LINES_MAX, REPLY_BYTES_MAX,
};
use crate::run::call;
use crate::{CallFailure, CallOutcome, Limits};

/// Guests that are tried unless the environment names another number.
const GUESTS: u64 = 60;

/// Fuel of a call: a fifth of the standard, so that loops without end take little of the machine.
const FUEL: u64 = 10_000_000;

/// The most that a single request may be charged beyond what is left: the largest text that crosses the
/// border, at the dearest price of a byte.
const LAST_CHARGE: u64 = 256 * 1024 * 10 + 100_000;

/// Processor time of one call after which something hangs that fuel does not see. A call of this much fuel
/// takes some tens of milliseconds.
const HANGS: Duration = Duration::from_secs(20);

fn guests() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "how long to try is for whoever runs the test"
    )]
    let number = std::env::var("BURSAR_GUESTS");
    number.map_or(GUESTS, |number| number.parse().unwrap())
}

/// All that one call may ask for and be told.
const FACTS_MAX: usize = CALL_READS_MAX
    + CALL_POSTINGS_MAX
    + CALL_SECURES_MAX
    + CALL_WRITES_MAX
    + CALL_DRAWS_MAX
    + CALL_HOLDS_MAX
    // Texts that are mixed into draws: each has a byte at least, or costs as a request.
    + 4_096;

/// Insists on every bound of a call that has come to an end.
fn assert_bounded(number: u64, finished: &CallOutcome) {
    assert!(
        finished.fuel <= 2 * FUEL + LAST_CHARGE,
        "guest {number}: {} fuel",
        finished.fuel
    );
    assert!(
        finished.transcript.facts().len() <= FACTS_MAX,
        "guest {number}"
    );
    assert!(finished.log.len() <= LOG_LINES_MAX + 1, "guest {number}");
    let texts = finished.log.iter().map(|line| line.message.as_str());
    let kept: usize = texts.clone().map(str::len).sum();
    assert!(
        kept <= LOG_BYTES_MAX + 200,
        "guest {number}: {kept} bytes of log"
    );
    assert!(texts.flat_map(str::chars).all(prints), "guest {number}");
    match &finished.ending {
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
        never @ (CallEnding::NotRun(_) | CallEnding::Broken { .. }) => {
            panic!("guest {number}: no end of a run: {never:?}")
        }
    }
}

#[test]
fn hostile_guests_end_within_their_bounds_and_leave_the_host_as_it_was() {
    let limits = Limits {
        fuel: FUEL,
        ..patient()
    };
    let honest = checked(&Guest::new());
    let (mut let_in, mut kinds) = (0, [0; 4]);
    for number in 0..guests() {
        let Ok(guest) = host().check(&hostile(number).bytes()) else {
            continue;
        };
        let_in += 1;
        let ran = call::run(&guest, &limits, draft(), Box::new(origin));
        let (kind, cpu) = match ran {
            Ok(finished) => {
                assert_bounded(number, &finished);
                let kind = match finished.ending {
                    CallEnding::Replied { .. } => 0,
                    CallEnding::Declined { .. } => 1,
                    CallEnding::Faulted { .. }
                    | CallEnding::Stopped(_)
                    | CallEnding::NotRun(_)
                    | CallEnding::Broken { .. } => 2,
                };
                (kind, finished.cpu)
            }
            Err(unfinished) => {
                let failure = unfinished.failure;
                assert!(
                    matches!(failure, CallFailure::Deadline | CallFailure::StackOverflow),
                    "guest {number}: {failure}"
                );
                (3, unfinished.cpu)
            }
        };
        kinds[kind] += 1;
        assert!(cpu < HANGS, "guest {number} hangs: {cpu:?}");
        let answered = run(&honest, &patient()).unwrap();
        assert!(
            replied(&answered.ending),
            "after guest {number}: {:?}",
            answered.ending
        );
    }
    // Else the mix has lost its point.
    assert!(let_in * 4 > guests() * 3, "{let_in} are let in");
    let [replied, _, faulted, _] = kinds;
    assert!(
        faulted > 0 && replied > 0,
        "replies, declines, faults, failures: {kinds:?}"
    );
}
