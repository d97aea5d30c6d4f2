//! Property tests that can run longer: `BURSAR_LONG=MINUTES`.
//!
//! By default a property runs a few fixed cases, so that no run fails by chance. A long run tries new cases
//! until its time is over and prints the seed of a failing case.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Returns the duration of a long run; none for a single pass.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn requested_duration() -> Option<Duration> {
    let minutes = std::env::var("BURSAR_LONG").ok()?;
    let minutes = minutes.parse().expect("BURSAR_LONG is a number of minutes");
    Some(Duration::from_mins(minutes))
}

/// Returns the seeds of the cases to try: the first, and further ones during a long run.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let until = requested_duration().map(|duration| Instant::now() + duration);
    let goes_on = move || until.is_some_and(|until| Instant::now() < until);
    (1_u64..).take_while(move |seed| *seed == 1 || goes_on())
}

/// Returns a runner whose random values depend only on `seed`.
pub(crate) fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = Config {
        cases,
        // The panic message has the seed.
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(config, random)
}

/// Checks a property on `cases` values, and repeatedly on new values during a long run.
pub(crate) fn property<S: Strategy>(
    cases: u32,
    values: &S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    for seed in seeds() {
        if let Err(failed) = runner(seed, cases).run(values, &check) {
            panic!("with seed {seed}: {failed}");
        }
    }
}
