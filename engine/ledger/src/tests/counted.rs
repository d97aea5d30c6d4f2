//! Properties over random histories that also count events, so that a property cannot hold for lack of events.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The number of histories from which the counts are checked. In fewer histories an event may be missing by chance.
const COUNTED_FROM: u64 = 64;

/// The number of occurrences of each event over all histories.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// Plays random histories, the same in each run, and checks the number of events: `least` has the lowest number of
/// each event in a hundred histories. `source` is the file of the property.
pub(super) fn check_histories<S: Strategy>(
    source: &'static str,
    histories: &S,
    play: impl Fn(&S::Value, &mut Seen),
    least: &[(&str, u64)],
) {
    let config = Config::with_source_file(source);
    let cases = u64::from(config.cases);
    let seen = RefCell::new(Seen::default());
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let ran = runner.run(histories, |history| {
        play(&history, &mut seen.borrow_mut());
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    let Seen(seen) = seen.into_inner();
    if cases < COUNTED_FROM {
        return;
    }
    for (what, least) in least {
        let times = seen.get(what).copied().unwrap_or(0);
        assert!(
            times >= least * cases / 100,
            "{what}: {times} times in {cases} histories, {seen:#?}"
        );
    }
}
