//! Lanes: after a conflict, calls of a plugin run one at a time, in order of arrival, each on the books as they will be
//! once the calls before it are committed.
//!
//! If each waited for the commit of the one before, calls that change the same data would commit one at a time, and a
//! crowd of them would take longer than a client waits. In a lane they commit together. The writer repeats each of them
//! as any other call, so a wrong expectation costs another attempt and nothing else: the calls after a stale one wait
//! until all submitted ones have a reply, and then start from the published books.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bursar_ledger::{Books, EconomyId, PluginName};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::keyed_shares::{KeyShare, KeyedShares};

/// The time after a conflict in which first attempts use the lane, too. Outside of it they would make its calls stale.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// A plugin in an economy.
type LaneKey = (EconomyId, PluginName);

/// A lane for each plugin with calls after a conflict.
#[derive(Default)]
pub(super) struct Lanes(KeyedShares<LaneKey, Lane>);

/// The lane of a plugin.
struct Lane {
    /// One permit, for the call that runs.
    turns: Arc<Semaphore>,
    progress: Mutex<LaneProgress>,
    /// Signalled when all submitted calls have a reply.
    settled: Notify,
}

/// The submitted calls of a lane.
struct LaneProgress {
    /// The books after all submitted calls; none if all have a reply.
    ahead: Option<Arc<Books>>,
    /// The number of submitted calls without a reply.
    in_flight: usize,
    /// True after a call that did not commit, until all submitted calls have a reply.
    is_broken: bool,
    /// The time until which first attempts use the lane.
    contended_until: Instant,
}

/// A share in a lane. The lane is removed with its last share.
type LaneShare = KeyShare<LaneKey, Lane>;

/// The turn of a call: no other call of the lane runs until this is dropped.
pub(super) struct LaneTurn {
    share: Arc<LaneShare>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A submitted call of a lane, until it has a reply. It counts as not committed if this is dropped.
pub(super) struct LaneFlight {
    share: Arc<LaneShare>,
    is_committed: bool,
}

impl Lanes {
    /// Returns true if calls of a plugin have conflicted a short time ago and some are still in its lane.
    pub(super) fn is_contended(&self, key: &LaneKey) -> bool {
        let until = self.0.read(key, |lane| lane.progress().contended_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits for the turn of a call.
    pub(super) async fn enter(&self, key: &LaneKey) -> LaneTurn {
        let share = Arc::new(self.0.share(key));
        let lane = share.value();
        let permit = Arc::clone(&lane.turns).acquire_owned().await;
        loop {
            let settled = lane.settled.notified();
            if !lane.progress().must_settle() {
                break;
            }
            settled.await;
        }
        LaneTurn {
            share,
            // An acquire fails only if the semaphore is closed, which never happens here.
            _permit: permit.ok(),
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(1)),
            progress: Mutex::new(LaneProgress {
                ahead: None,
                in_flight: 0,
                is_broken: false,
                contended_until: Instant::now(),
            }),
            settled: Notify::new(),
        }
    }
}

impl Lane {
    fn progress(&self) -> MutexGuard<'_, LaneProgress> {
        // Each change is one short section that cannot stop halfway, so a poisoned lock is still valid.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the reply to a submitted call.
    fn settle(&self, is_committed: bool) {
        let mut progress = self.progress();
        progress.in_flight = progress.in_flight.saturating_sub(1);
        progress.is_broken |= !is_committed;
        if progress.in_flight == 0 {
            progress.ahead = None;
            progress.is_broken = false;
            drop(progress);
            self.settled.notify_waiters();
        }
    }
}

impl LaneProgress {
    /// Returns true if the next call must wait for the replies to all submitted ones.
    fn must_settle(&self) -> bool {
        self.is_broken && self.in_flight > 0
    }
}

impl LaneTurn {
    /// Lets first attempts use the lane for a while, because calls conflict.
    pub(super) fn set_contended(&self) {
        self.share.value().progress().contended_until = Instant::now() + CONTENDED_FOR;
    }

    /// Returns the books after all submitted calls; none if the published books are the newest.
    pub(super) fn ahead(&self) -> Option<Arc<Books>> {
        self.share.value().progress().ahead.clone()
    }

    /// Counts the call as submitted. `ahead` are the books after it. The turn must last until the call is submitted.
    pub(super) fn submit(&self, ahead: Arc<Books>) -> LaneFlight {
        let mut progress = self.share.value().progress();
        progress.ahead = Some(ahead);
        progress.in_flight += 1;
        drop(progress);
        LaneFlight {
            share: Arc::clone(&self.share),
            is_committed: false,
        }
    }
}

impl LaneFlight {
    /// Counts the call as committed.
    pub(super) fn commit(mut self) {
        self.is_committed = true;
    }
}

impl Drop for LaneFlight {
    fn drop(&mut self) {
        self.share.value().settle(self.is_committed);
    }
}

#[cfg(test)]
mod tests {
    use bursar_ledger::{Seed, Timestamp};

    use super::*;

    fn key() -> LaneKey {
        let economy = "guild".parse().expect("a name");
        (economy, "shop".parse().expect("a name"))
    }

    fn books() -> Arc<Books> {
        Arc::new(Books::new(Seed::new([1; 32]), Timestamp(1)))
    }

    #[tokio::test]
    async fn a_call_starts_from_the_books_after_the_submitted_ones() {
        let lanes = Lanes::default();
        let first = lanes.enter(&key()).await;
        assert!(first.ahead().is_none());
        let after_first = books();
        let flight = first.submit(Arc::clone(&after_first));
        drop(first);
        let second = lanes.enter(&key()).await;
        let ahead = second.ahead().expect("the first call has no reply");
        assert!(Arc::ptr_eq(&ahead, &after_first));
        flight.commit();
        assert!(second.ahead().is_none(), "the published books are newer");
        drop(second);
        assert!(lanes.0.is_unused(), "no lane remains");
    }

    #[tokio::test]
    async fn calls_after_a_stale_one_wait_for_the_replies_to_all_submitted_ones() {
        let lanes = Arc::new(Lanes::default());
        let turn = lanes.enter(&key()).await;
        let stale = turn.submit(books());
        let other = turn.submit(books());
        drop(turn);
        drop(stale);
        let waiting = tokio::spawn({
            let lanes = Arc::clone(&lanes);
            async move { lanes.enter(&key()).await.ahead().is_none() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "one has no reply yet");
        other.commit();
        assert!(waiting.await.expect("it enters"));
        assert!(lanes.0.is_unused(), "no lane remains");
    }

    #[tokio::test]
    async fn first_attempts_use_a_lane_for_a_while_after_a_conflict() {
        let lanes = Lanes::default();
        let turn = lanes.enter(&key()).await;
        assert!(!lanes.is_contended(&key()));
        turn.set_contended();
        assert!(lanes.is_contended(&key()));
        turn.share.value().progress().contended_until = Instant::now();
        assert!(!lanes.is_contended(&key()));
    }
}
