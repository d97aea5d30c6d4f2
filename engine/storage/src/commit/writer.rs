//! The writer: a thread that takes a batch from the queue, decides it, makes it durable with one sync, publishes the
//! state and sends all answers.
//!
//! An internal error in one request ends that request alone. If a commit fails, nothing of the batch is published
//! and every client of the batch is told to send the request again with the same key. The queue rejects new
//! submissions until the state is rebuilt, because only the disk knows if the batch was committed. A failed sync is
//! never repeated: after a failure the kernel may have dropped the dirty pages, so that a second sync succeeds
//! without writing them (<https://wiki.postgresql.org/wiki/Fsync_Errors>).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bursar_ledger::{Act, EconomyId, Timestamp};

use crate::commit::batch::{Batch, Replies};
use crate::commit::maintenance::{MaintenanceConfig, Slices, Tidying};
use crate::commit::queue::Taken;
use crate::commit::shared::{NONE_IN_HAND, STAMPING, Shared, WriterState};
use crate::commit::submission::{QueuedSubmission, Render, Submission};
use crate::error::{StorageError, SubmitError};
use crate::journal::{Journal, NewRecord};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::{Clock, Mark};
use crate::webhooks::notes::Note;

/// The maximum work of one commit in units of about 10 µs, unless a single request exceeds it. A commit therefore
/// lasts some 10 ms.
pub const WORK_MAX: u64 = 1_024;

/// The longest sleep of an idle writer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time that the writer sleeps while a slice of a long read is about to end.
const GATE_PATIENCE: Duration = Duration::from_millis(1);

/// A function that opens the journal again after a failure.
pub(crate) type Reopen<J> = Box<dyn FnMut() -> Result<J, StorageError> + Send>;

pub(crate) struct Writer<J> {
    shared: Arc<Shared>,
    /// `None` after a failure, until the file has been opened again.
    journal: Option<J>,
    reopen: Reopen<J>,
    state: State,
    clock: Clock,
    render: Render,
    pace: MaintenanceConfig,
    checkpoint: Option<Slices>,
    /// The record of the newest checkpoint, closed or not.
    checkpointed: u64,
    has_old_pieces: bool,
    /// True while movements are added to the index by account.
    ordering: bool,
    /// The newest movement at the last maintenance of the index by account.
    movement_before: u64,
    /// True if the last search for due holds ended none.
    none_ended: bool,
    tidying: Tidying,
    /// The time at which notes were last written.
    noted: Instant,
    /// The time at which the mark was last written, or at which the file was opened. A server that ends soon
    /// after its start thus writes no mark.
    marked: Instant,
    /// The pause before the next attempt to open the file; zero after a success.
    pause: Duration,
    /// The number of attempts to open the file since the last success.
    tries: u32,
}

/// The outcome of a failure.
enum Recovered {
    /// The state is rebuilt, and requests are accepted again.
    Rebuilt,
    /// The queue was closed before that.
    Closed,
    /// The state can never be rebuilt, or could not be rebuilt in time.
    GaveUp,
}

impl<J: Journal> Writer<J> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: J,
        reopen: Reopen<J>,
        state: State,
        clock: Clock,
        render: Render,
        pace: MaintenanceConfig,
    ) -> Self {
        Self {
            shared,
            checkpointed: journal.checkpointed(),
            journal: Some(journal),
            reopen,
            checkpoint: None,
            has_old_pieces: true,
            ordering: false,
            movement_before: state.movement,
            none_ended: false,
            tidying: Tidying::default(),
            noted: Instant::now(),
            marked: Instant::now(),
            pause: Duration::ZERO,
            tries: 0,
            state,
            clock,
            render,
            pace,
        }
    }

    /// Works until the queue is closed and empty. Returns false if the file could not be opened again.
    pub(crate) fn run(mut self) -> bool {
        let mut last = CloseOnDrop {
            shared: Arc::clone(&self.shared),
            ended: WriterState::GaveUp,
        };
        loop {
            let busy = self.checkpoint.is_some() || self.has_old_pieces || self.ordering;
            let patience = if busy {
                Duration::ZERO
            } else if self.shared.log_gate.is_wanted() {
                GATE_PATIENCE
            } else {
                self.until_due().min(PATIENCE)
            };
            let taken = self.shared.queue.take(WORK_MAX, patience);
            let idle = matches!(taken, Taken::Idle);
            let worked = match taken {
                Taken::Batch(jobs) => {
                    self.none_ended = false;
                    self.commit(jobs)
                }
                // Holds end even if there are no requests.
                Taken::Idle if self.until_due().is_zero() => self.end_holds(),
                Taken::Idle => Ok(()),
                Taken::Finished => {
                    let finished = self.finish();
                    last.ended = WriterState::Closed;
                    return finished;
                }
            };
            let done = worked.and_then(|()| self.upkeep(idle));
            if let Err(error) = done {
                match self.recover(&error) {
                    Recovered::Rebuilt => {}
                    Recovered::Closed => {
                        last.ended = WriterState::Closed;
                        return false;
                    }
                    Recovered::GaveUp => return false,
                }
            }
        }
    }

    /// Decides a batch, makes it durable, publishes, and answers.
    fn commit(&mut self, jobs: Vec<QueuedSubmission>) -> Result<(), StorageError> {
        // After a panic in the journal it is unknown if the txn was committed.
        self.shared.in_hand.store(STAMPING, Ordering::SeqCst);
        let written = catch_unwind(AssertUnwindSafe(|| self.write(&jobs)));
        let written =
            written.unwrap_or_else(|_| Err(StorageError::damaged(0, "a commit panicked")));
        match written {
            Ok((state, moved, replies)) => {
                let work = jobs.iter().map(|job| job.submission.weight().work);
                self.tidying.add(work.fold(0, u64::saturating_add));
                self.state = state;
                self.pause = Duration::ZERO;
                self.tries = 0;
                self.shared.publish(&self.state, &moved);
                self.shared.in_hand.store(NONE_IN_HAND, Ordering::SeqCst);
                for (job, reply) in jobs.into_iter().zip(replies) {
                    job.finish(reply);
                }
                Ok(())
            }
            Err(error) => {
                // No request may be accepted between the failure and the rebuilt state.
                let shut_out = self.shared.queue.shut();
                refuse(jobs, SubmitError::Unknown);
                refuse(shut_out, SubmitError::Unavailable);
                Err(error)
            }
        }
    }

    /// Returns the state after the batch, the economies with new records, and the replies.
    fn write(
        &mut self,
        jobs: &[QueuedSubmission],
    ) -> Result<(State, Vec<EconomyId>, Replies), StorageError> {
        let notes = self.due_notes();
        let mark = self.due_mark();
        let at = self.stamp(jobs);
        self.shared.in_hand.store(at.0, Ordering::SeqCst);
        let journal = self.journal.as_mut().ok_or_else(closed)?;
        let batch = Batch::new(self.state.clone(), at, journal.epoch(), self.render);
        let submissions: Vec<&Submission> = jobs.iter().map(|job| &job.submission).collect();
        let mut find =
            |economy: &EconomyId, key: &str, asked: &Request| journal.find(economy, key, asked);
        let (batch, replies) = batch.end_holds().decide_all(&submissions, &mut find)?;
        if !batch.appended.is_empty() {
            journal.append(&batch.appended, &notes, mark.as_ref())?;
            self.wrote(&notes, mark.as_ref());
        }
        Ok((batch.state, moved(&batch.appended), replies))
    }

    /// Returns the notes to write with the next txn.
    fn due_notes(&self) -> Vec<Note> {
        if self.noted.elapsed() < self.pace.notes_every {
            return Vec::new();
        }
        self.shared.notes.unwritten()
    }

    /// Returns the mark to write with the next txn, if one is due.
    fn due_mark(&self) -> Option<Mark> {
        (self.marked.elapsed() >= self.pace.mark_every).then(|| self.clock.mark())
    }

    fn wrote(&mut self, notes: &[Note], mark: Option<&Mark>) {
        if !notes.is_empty() {
            self.shared.notes.wrote(notes);
            self.noted = Instant::now();
        }
        if mark.is_some() {
            self.marked = Instant::now();
        }
    }

    /// Writes notes and the mark in a txn of their own, if no batch has committed them.
    fn write_notes(&mut self) -> Result<(), StorageError> {
        let notes = self.due_notes();
        let mark = self.due_mark();
        if notes.is_empty() && mark.is_none() {
            return Ok(());
        }
        if let Some(journal) = self.journal.as_mut() {
            journal.append(&[], &notes, mark.as_ref())?;
            self.wrote(&notes, mark.as_ref());
        }
        Ok(())
    }

    /// Commits a batch that only ends due holds.
    fn end_holds(&mut self) -> Result<(), StorageError> {
        let before = self.state.record;
        let ended = self.commit(Vec::new());
        self.none_ended = self.state.record == before;
        ended
    }

    /// Returns the time until the next hold is due. A hold that could not be ended waits for the next
    /// request, because attempts without a pause would keep the thread busy.
    fn until_due(&self) -> Duration {
        let due = self.state.next_due().filter(|_| !self.none_ended);
        due.map_or(Duration::MAX, |due_at| {
            let now = self.clock.now();
            Duration::from_millis(due_at.0.saturating_sub(now.0))
        })
    }

    /// Returns the time of the batch. It is not before the times of its calls, which come from the same
    /// clock.
    fn stamp(&self, jobs: &[QueuedSubmission]) -> Timestamp {
        let calls = jobs.iter().filter_map(|job| match &job.submission.act {
            Act::Call(result) => Some(result.request.now),
            _ => None,
        });
        calls.fold(self.clock.now(), Timestamp::max)
    }

    /// Does the work between batches: a slice of a checkpoint, a look at the write-ahead log. It does one
    /// kind at a time, so that the sum is bounded too, but for the order of accounts, which must keep up
    /// with what is committed.
    fn upkeep(&mut self, idle: bool) -> Result<(), StorageError> {
        if idle {
            self.write_notes()?;
        }
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        let gate = &self.shared.log_gate;
        if gate.is_granted() || self.tidying.is_next(&self.pace) {
            gate.settle(journal.tidy()? > self.pace.log_frames_left);
        } else {
            self.advance_checkpoint()?;
        }
        self.order_movements(idle)
    }

    /// Writes a slice of the checkpoint that is due, or removes one of those before it.
    fn advance_checkpoint(&mut self) -> Result<(), StorageError> {
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        let tail = self.state.record.saturating_sub(self.checkpointed);
        if let Some(checkpoint) = self.checkpoint.as_mut() {
            if checkpoint.advance(journal, self.pace.written)? {
                self.checkpoint = None;
                self.has_old_pieces = true;
            }
        } else if self.has_old_pieces {
            self.has_old_pieces = journal.remove_old_pieces(self.pace.removed)?;
        } else if tail >= self.pace.checkpoint_records {
            self.checkpoint = Some(Slices::begin(journal, &self.state)?);
            self.checkpointed = self.state.record;
        }
        Ok(())
    }

    /// Adds a slice of the waiting movements to the index by account.
    fn order_movements(&mut self, idle: bool) -> Result<(), StorageError> {
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        let gathered = self.state.movement.saturating_sub(journal.ordered());
        self.ordering = gathered >= self.pace.ordered_anyway
            || (idle && gathered >= self.pace.ordered_when_idle);
        if self.ordering {
            let came = self.state.movement.saturating_sub(self.movement_before);
            journal.order_movements(self.pace.ordered(gathered, came))?;
        }
        self.movement_before = self.state.movement;
        Ok(())
    }

    /// Rebuilds the state from disk, and tries again for a while: a full disk may be emptied, a lock
    /// may be released. Nobody is let in meanwhile.
    fn recover(&mut self, error: &StorageError) -> Recovered {
        tracing::error!(%error, "work on the file failed; rebuilding the state from disk");
        refuse(self.shared.queue.shut(), SubmitError::Unavailable);
        self.checkpoint = None;
        // The old connection goes first: there is never more than one that writes.
        self.journal = None;
        // A file that opens and then fails again, as on a disk that is nearly full, is not hurried.
        if !self.pause.is_zero() && self.shared.queue.rest(self.pause) {
            return Recovered::Closed;
        }
        self.lengthen_pause();
        loop {
            if self.tries >= self.pace.reopen_tries {
                let tries = self.tries;
                tracing::error!(
                    tries,
                    "work on the file went on failing; giving the file up"
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
        let mut journal = (self.reopen)()?;
        let state = journal.load()?;
        if state.record < self.state.record {
            let what = "it was acknowledged, and is not in the file any more";
            return Err(StorageError::damaged(self.state.record, what));
        }
        self.state = state;
        self.checkpointed = journal.checkpointed();
        self.has_old_pieces = true;
        self.journal = Some(journal);
        self.shared.publish(&self.state, &[]);
        self.shared.news.tell_all(&self.state);
        self.shared.in_hand.store(NONE_IN_HAND, Ordering::SeqCst);
        let record = self.state.record;
        tracing::warn!(record, "the state is rebuilt; taking requests again");
        self.shared.queue.reopen();
        Ok(())
    }

    /// Writes a last checkpoint, so that the next start is quick.
    fn finish(mut self) -> bool {
        let Some(mut journal) = self.journal.take() else {
            return false;
        };
        let shared = Arc::clone(&self.shared);
        let notes = &shared.notes;
        let mut leave = || -> Result<(), StorageError> {
            loop {
                let left = notes.unwritten();
                journal.append(&[], &left, Some(&self.clock.mark()))?;
                if left.is_empty() {
                    break;
                }
                notes.wrote(&left);
            }
            let mut checkpoint = match self.checkpoint.take() {
                Some(checkpoint) => checkpoint,
                None if self.state.record == self.checkpointed => return Ok(()),
                None => Slices::begin(&mut journal, &self.state)?,
            };
            let hurried = || self.shared.hurried.load(Ordering::SeqCst);
            while !hurried() && !checkpoint.advance(&mut journal, self.pace.written)? {}
            if hurried() {
                tracing::warn!("no checkpoint is left behind; the next start takes longer");
            }
            Ok(())
        };
        if let Err(error) = leave() {
            // Everything acknowledged is in the journal; only the next start takes longer.
            tracing::warn!(%error, "the last checkpoint was not written");
        }
        if let Err(error) = journal.close() {
            tracing::warn!(%error, "the write-ahead log could not be brought into the file and stays beside it");
        }
        true
    }
}

/// A guard that closes the queue when the writer ends, including by a panic, so that no client waits for an answer
/// that will not come, and that reports the end.
struct CloseOnDrop {
    shared: Arc<Shared>,
    ended: WriterState,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let queue = &self.shared.queue;
        queue.close();
        refuse(queue.shut(), SubmitError::Unavailable);
        self.shared.writer.send_replace(self.ended);
    }
}

/// Returns the economies of some records. Adjacent records of one economy count once.
fn moved(appended: &[NewRecord]) -> Vec<EconomyId> {
    let economies = appended.iter().map(|appended| &appended.record.economy);
    let mut moved: Vec<EconomyId> = Vec::new();
    for economy in economies {
        if moved.last() != Some(economy) {
            moved.push(economy.clone());
        }
    }
    moved
}

fn refuse(jobs: Vec<QueuedSubmission>, failure: SubmitError) {
    for job in jobs {
        job.finish(Err(failure));
    }
}

fn closed() -> StorageError {
    StorageError::damaged(0, "the journal is closed")
}
