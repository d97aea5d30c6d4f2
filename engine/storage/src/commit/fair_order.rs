//! The order in which economies are served: by virtual time (start-time fair queueing).
//!
//! Each waiting economy has a virtual time, at which its next request begins. The economy with the earliest
//! time is served, and its time advances by the work of the served requests. So waiting economies get equal
//! work, even if the sizes of their requests differ. An economy that begins to wait starts at the present
//! virtual time, so that it cannot save turns. If an economy was served ahead of the others and no longer
//! waits, its time is kept until they have caught up.

use std::collections::BTreeMap;

use bursar_ledger::EconomyId;

/// The order of the waiting economies.
#[derive(Default)]
pub(crate) struct Turns {
    /// The virtual time at which the last served request began.
    now: u64,
    /// The waiting economies, by the virtual time of their next request, then by arrival.
    order: BTreeMap<(u64, u64), EconomyId>,
    arrivals: u64,
    /// The virtual times up to which economies that no longer wait were served.
    ahead: BTreeMap<EconomyId, u64>,
}

impl Turns {
    /// Adds an economy that begins to wait.
    pub(crate) fn join(&mut self, economy: EconomyId) {
        let served = self.ahead.remove(&economy).unwrap_or_default();
        self.stand(served.max(self.now), economy);
    }

    /// Returns the economy whose turn it is.
    pub(crate) fn first(&self) -> Option<&EconomyId> {
        self.order.first_key_value().map(|(_, economy)| economy)
    }

    /// Returns true if at most one economy waits, so that it has every turn.
    pub(crate) fn has_one(&self) -> bool {
        self.order.len() <= 1
    }

    /// Counts the work of requests that were served to the first economy one after another: that of the last one, and
    /// that of those before it. Removes the economy if it no longer waits.
    pub(crate) fn served(&mut self, before: u64, last: u64, waits: bool) {
        let Some(((start, _), economy)) = self.order.pop_first() else {
            return;
        };
        self.now = start.saturating_add(before);
        let finish = self.now.saturating_add(last.max(1));
        if waits {
            self.stand(finish, economy);
        } else {
            self.ahead.insert(economy, finish);
        }
    }

    /// Removes the times with which the others have caught up. Removes all of them if no economy has waited
    /// since the last one was served.
    pub(crate) fn catch_up(&mut self) {
        if self.order.is_empty() {
            let latest = self.ahead.values().max().copied().unwrap_or_default();
            self.now = self.now.max(latest);
        }
        let now = self.now;
        self.ahead.retain(|_, finish| *finish > now);
    }

    fn stand(&mut self, start: u64, economy: EconomyId) {
        self.arrivals = self.arrivals.wrapping_add(1);
        self.order.insert((start, self.arrivals), economy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn economy(name: &str) -> EconomyId {
        name.parse().expect("a name")
    }

    fn serve(turns: &mut Turns, work: u64, waits: bool) -> String {
        let first = turns.first().expect("one waits").to_string();
        turns.served(0, work, waits);
        first
    }

    #[test]
    fn economies_get_the_same_work_however_large_their_requests_are() {
        let mut turns = Turns::default();
        turns.join(economy("bulk"));
        turns.join(economy("small"));
        let mut work = BTreeMap::<String, u64>::new();
        for _ in 0..1_000 {
            let first = turns.first().expect("both wait").clone();
            let each = if first.as_str() == "bulk" { 66 } else { 3 };
            turns.served(0, each, true);
            *work.entry(first.to_string()).or_default() += each;
        }
        let bulk = work["bulk"];
        let small = work["small"];
        assert!(bulk.abs_diff(small) <= 66, "{work:?}");
    }

    #[test]
    fn requests_served_in_one_step_count_like_those_served_one_by_one() {
        let mut one_by_one = Turns::default();
        let mut together = Turns::default();
        for turns in [&mut one_by_one, &mut together] {
            turns.join(economy("a"));
        }
        for work in [5, 0, 3] {
            one_by_one.served(0, work, true);
        }
        // A request without work counts as one unit.
        together.served(5 + 1, 3, true);
        for turns in [one_by_one, together] {
            assert_eq!(turns.now, 6);
            assert!(turns.order.keys().map(|(start, _)| *start).eq([9]));
        }
    }

    #[test]
    fn one_that_returns_starts_at_the_present_and_has_saved_nothing() {
        let mut turns = Turns::default();
        turns.join(economy("a"));
        for _ in 0..100 {
            serve(&mut turns, 10, true);
        }
        turns.join(economy("b"));
        let served: Vec<_> = (0..4).map(|_| serve(&mut turns, 10, true)).collect();
        assert_eq!(served, ["b", "a", "b", "a"]);
    }

    #[test]
    fn one_that_was_served_ahead_waits_until_the_others_have_caught_up() {
        let mut turns = Turns::default();
        turns.join(economy("a"));
        turns.join(economy("b"));
        assert_eq!(serve(&mut turns, 100, false), "a");
        turns.join(economy("a"));
        for _ in 0..10 {
            assert_eq!(serve(&mut turns, 10, true), "b");
        }
        assert_eq!(serve(&mut turns, 10, true), "a");
    }

    #[test]
    fn what_was_served_is_forgotten_once_it_no_longer_matters() {
        let mut turns = Turns::default();
        for number in 0..1_000 {
            turns.join(economy(&format!("e{number}")));
            serve(&mut turns, 3, false);
        }
        assert_eq!(turns.ahead.len(), 1_000, "one virtual moment for them all");
        turns.join(economy("last"));
        serve(&mut turns, 3, true);
        serve(&mut turns, 3, false);
        turns.catch_up();
        assert!(turns.ahead.is_empty(), "no one waits: all begin again");
        turns.join(economy("a"));
        turns.join(economy("b"));
        serve(&mut turns, 10, false);
        turns.catch_up();
        assert_eq!(turns.ahead.len(), 1, "`b` has not caught up yet");
        serve(&mut turns, 10, true);
        serve(&mut turns, 10, true);
        turns.catch_up();
        assert!(turns.ahead.is_empty(), "and now it has");
    }
}
