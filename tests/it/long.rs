//! Properties that run for as long as somebody asks: `BURSAR_LONG=MINUTES`.
//!
//! In every run a property has the same few cases, so that nothing fails by luck. A long run takes new ones
//! until its minutes are over, and names the seed of a case that fails.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// How long each property is to run; none where one pass is enough.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn asked() -> Option<Duration> {
    let minutes = std::env::var("BURSAR_LONG").ok()?;
    let minutes = minutes.parse().expect("BURSAR_LONG is a number of minutes");
    Some(Duration::from_mins(minutes))
}

/// Seeds of the cases to try: the first one, and further ones for as long as somebody asks.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let until = asked().map(|asked| Instant::now() + asked);
    let goes_on = move || until.is_some_and(|until| Instant::now() < until);
    (1_u64..).take_while(move |seed| *seed == 1 || goes_on())
}

/// A runner that has the same chances in each run.
pub(crate) fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = Config {
        cases,
        // The seed stands in what is said of a failure.
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(config, random)
}

/// Checks a property on `cases` values, or on so many again and again for as long as somebody asks.
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
