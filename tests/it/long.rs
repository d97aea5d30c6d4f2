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

/// Checks a property on `cases` values, or on so many again and again for as long as somebody asks.
pub(crate) fn property<S: Strategy>(
    cases: u32,
    values: &S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let until = asked().map(|asked| Instant::now() + asked);
    for seed in 1_u64.. {
        let config = Config {
            cases,
            // The seed stands in what is said of a failure.
            failure_persistence: None,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, random);
        if let Err(failed) = runner.run(values, &check) {
            panic!("with seed {seed}: {failed}");
        }
        if until.is_none_or(|until| Instant::now() >= until) {
            return;
        }
    }
}
