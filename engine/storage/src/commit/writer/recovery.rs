//! The recovery of the writer from failures of the disk.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Recovered, Writer, refuse};
use crate::commit::shared::NONE_IN_HAND;
use crate::error::{StorageError, SubmitError};
use crate::log::store::Log;

/// The time that the writer waits for the index.
const BEHIND_PAUSE: Duration = Duration::from_millis(2);

impl<L: Log> Writer<L> {
    /// Waits for a moment if the index is behind, and then returns true unless the queue is closed. The wait bounds the
    /// memory of the records that are not indexed yet. Fails if the index can never be written.
    ///
    /// Waiting requests fill the queue meanwhile. They are refused once the index cannot be written, as on a full disk,
    /// because their clients would wait for an unknown time.
    pub(super) fn waits_for_index(&mut self) -> Result<bool, StorageError> {
        match self.log.as_ref().map_or(Ok(false), Log::is_behind) {
            Err(error) if !error.may_heal() => return Err(error),
            Err(error) => {
                if !self.is_refusing {
                    tracing::error!(%error, "no requests are accepted until the index can be written");
                }
                self.is_refusing = true;
                refuse(self.shared.queue.shut(), SubmitError::Unavailable);
            }
            Ok(true) => {}
            Ok(false) => {
                if std::mem::take(&mut self.is_refusing) {
                    tracing::warn!("the index is written again; accepting requests");
                    self.shared.queue.reopen();
                }
                return Ok(false);
            }
        }
        Ok(!self.shared.queue.rest(BEHIND_PAUSE))
    }

    /// Rebuilds the state from disk, and tries again for a while: a full disk may be emptied, a lock
    /// may be released. The queue rejects submissions meanwhile.
    pub(super) fn recover(&mut self, error: &StorageError) -> Recovered {
        refuse(self.shared.queue.shut(), SubmitError::Unavailable);
        if matches!(
            error,
            StorageError::Index {
                may_heal: false,
                ..
            }
        ) {
            // To rebuild the state would not repair the index. The next start checks all of it, and rebuilds it.
            tracing::error!(%error, "the index is not sound; giving the file up");
            return Recovered::GaveUp;
        }
        tracing::error!(%error, "work on the file failed; rebuilding the state from disk");
        self.checkpoint = None;
        // The old connection is closed first, since at most one may write.
        self.log = None;
        // On a nearly full disk a file opens and then fails again, so the pause comes before the attempt.
        if !self.pause.is_zero() && self.shared.queue.rest(self.pause) {
            return Recovered::Closed;
        }
        self.lengthen_pause();
        loop {
            if self.tries >= self.pace.reopen_tries {
                let tries = self.tries;
                tracing::error!(
                    tries,
                    "work on the file failed in each attempt; giving the file up"
                );
                return Recovered::GaveUp;
            }
            self.tries = self.tries.saturating_add(1);
            let error = match self.rebuild() {
                Ok(()) => return Recovered::Rebuilt,
                Err(error) => error,
            };
            if !error.may_heal() {
                tracing::error!(%error, "the state cannot be rebuilt; giving the file up");
                return Recovered::GaveUp;
            }
            let pause_ms = self.pause.as_millis();
            tracing::warn!(%error, pause_ms, "the state could not be rebuilt yet; trying again");
            if self.shared.queue.rest(self.pause) {
                return Recovered::Closed;
            }
            self.lengthen_pause();
        }
    }

    fn lengthen_pause(&mut self) {
        let longer = self.pause.saturating_mul(2).max(self.pace.reopen_pause);
        self.pause = longer.min(self.pace.reopen_pause_max);
    }

    fn rebuild(&mut self) -> Result<(), StorageError> {
        let mut log = (self.reopen)()?;
        let state = log.load()?;
        if state.record < self.state.record {
            let what = "it was acknowledged, and is not in the file any more";
            return Err(StorageError::damaged(self.state.record, what));
        }
        self.state = state;
        self.checkpointed = log.checkpointed();
        self.has_old_pieces = true;
        self.log = Some(log);
        self.shared.publish(&self.state, &[]);
        self.shared.news.tell_all(&self.state);
        self.shared.in_hand.store(NONE_IN_HAND, Ordering::SeqCst);
        let record = self.state.record;
        tracing::warn!(record, "the state is rebuilt; taking requests again");
        self.shared.queue.reopen();
        Ok(())
    }
}
