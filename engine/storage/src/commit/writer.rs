//! The writer: a thread that takes a batch from the queue, decides it, makes it durable with one sync, publishes the
//! state and sends all answers.
//!
//! An internal error in one request ends that request alone. If a commit fails, nothing of the batch is published
//! and every client of the batch gets an answer that asks for the same request with the same key. The queue rejects new
//! submissions until the state is rebuilt, because only the disk knows if the batch was committed. A failed sync is
//! never repeated: after a failure the kernel may have dropped the dirty pages, so that a second sync succeeds
//! without writing them (<https://wiki.postgresql.org/wiki/Fsync_Errors>).

mod recovery;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bursar_ledger::{Act, EconomyId, Timestamp};

use crate::commit::batch::{Batch, NewRecord, Replies};
use crate::commit::maintenance::{Advance, MaintenanceConfig, Slices, Tidying};
use crate::commit::queue::Taken;
use crate::commit::shared::{NONE_IN_HAND, STAMPING, Shared, WriterState};
use crate::commit::submission::{QueuedSubmission, Render, Submission, send_replies};
use crate::error::{StorageError, SubmitError};
use crate::log::compressor::FrameCompressor;
use crate::log::store::{Commit, Log};
use crate::record::EconomyNumber;
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

/// A function that opens the log again after a failure.
pub(crate) type Reopen<L> = Box<dyn FnMut() -> Result<L, StorageError> + Send>;

pub(crate) struct Writer<L> {
    shared: Arc<Shared>,
    /// `None` after a failure, until the file has been opened again.
    log: Option<L>,
    reopen: Reopen<L>,
    state: State,
    clock: Clock,
    render: Render,
    pace: MaintenanceConfig,
    compressor: FrameCompressor,
    checkpoint: Option<Slices>,
    /// The record of the newest checkpoint, closed or not.
    checkpointed: u64,
    has_old_pieces: bool,
    /// True if the last search for due holds ended none.
    none_ended: bool,
    /// True while requests are refused because the index cannot be written.
    is_refusing: bool,
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

impl<L: Log> Writer<L> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        log: L,
        reopen: Reopen<L>,
        state: State,
        clock: Clock,
        render: Render,
        pace: MaintenanceConfig,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            compressor: FrameCompressor::new()?,
            shared,
            checkpointed: log.checkpointed(),
            log: Some(log),
            reopen,
            checkpoint: None,
            has_old_pieces: true,
            none_ended: false,
            is_refusing: false,
            tidying: Tidying::default(),
            noted: Instant::now(),
            marked: Instant::now(),
            pause: Duration::ZERO,
            tries: 0,
            state,
            clock,
            render,
            pace,
        })
    }

    /// Works until the queue is closed and empty. Returns false if the file could not be opened again.
    pub(crate) fn run(mut self) -> bool {
        let mut last = CloseOnDrop {
            shared: Arc::clone(&self.shared),
            ended: WriterState::GaveUp,
        };
        loop {
            match self.waits_for_index() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the index cannot be completed; giving the file up");
                    return false;
                }
            }
            let mut taken = self.shared.queue.take(WORK_MAX, self.patience());
            if let Taken::Batch(jobs) = &mut taken {
                self.gather(jobs);
            }
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

    /// Adds requests to a batch that arrive while the threads of clients get a turn.
    fn gather(&self, jobs: &mut Vec<QueuedSubmission>) {
        let began = Instant::now();
        let more = || {
            std::thread::yield_now();
            self.shared.queue.take_more(WORK_MAX)
        };
        self.pace.gathering.gather(jobs, || began.elapsed(), more);
    }

    /// Returns the time that the writer waits for a request before it does other work.
    fn patience(&self) -> Duration {
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.patience()
        } else if self.has_old_pieces {
            Duration::ZERO
        } else if self.shared.log_gate.is_wanted() {
            GATE_PATIENCE
        } else {
            self.until_due().min(PATIENCE)
        }
    }

    /// Decides a batch, makes it durable, publishes, and answers.
    fn commit(&mut self, jobs: Vec<QueuedSubmission>) -> Result<(), StorageError> {
        // After a panic in the log it is unknown if the txn was committed.
        self.shared.in_hand.store(STAMPING, Ordering::SeqCst);
        let written = catch_unwind(AssertUnwindSafe(|| self.write(&jobs)));
        let written =
            written.unwrap_or_else(|_| Err(StorageError::damaged(0, "a commit panicked")));
        match written {
            Ok((state, moved, replies)) => {
                self.state = state;
                self.pause = Duration::ZERO;
                self.tries = 0;
                self.shared.publish(&self.state, &moved);
                self.shared.in_hand.store(NONE_IN_HAND, Ordering::SeqCst);
                send_replies(jobs.into_iter().zip(replies));
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
        let log = self.log.as_mut().ok_or_else(closed)?;
        let batch = Batch::new(self.state.clone(), at, log.epoch(), self.render);
        let submissions: Vec<&Submission> = jobs.iter().map(|job| &job.submission).collect();
        let mut find =
            |economy: EconomyNumber, key: &str, asked: &Request| log.find(economy, key, asked);
        let (mut batch, replies) = batch.end_holds().decide_all(&submissions, &mut find)?;
        if let Some(commit) = batch.commit(&mut self.compressor)? {
            let bytes = commit.bytes();
            log.append(commit, &notes, mark.as_ref())?;
            self.tidying.add(bytes);
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
        if let Some(log) = self.log.as_mut() {
            log.append(Commit::default(), &notes, mark.as_ref())?;
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

    /// Does the work between batches: a slice of a checkpoint, or a copy of the write-ahead log into the file. It does
    /// one kind at a time, so that the sum is bounded, too.
    fn upkeep(&mut self, idle: bool) -> Result<(), StorageError> {
        if idle {
            self.write_notes()?;
        }
        let Some(log) = self.log.as_mut() else {
            return Ok(());
        };
        let gate = &self.shared.log_gate;
        if gate.is_granted() || self.tidying.is_next(&self.pace) {
            gate.settle(log.tidy()? > self.pace.log_frames_left);
        } else {
            self.advance_checkpoint()?;
        }
        Ok(())
    }

    /// Writes a slice of the checkpoint that is due, or removes one of those before it.
    fn advance_checkpoint(&mut self) -> Result<(), StorageError> {
        let Some(log) = self.log.as_mut() else {
            return Ok(());
        };
        let tail = self.state.record.saturating_sub(self.checkpointed);
        if let Some(checkpoint) = self.checkpoint.as_mut() {
            if checkpoint.advance(log)? == Advance::Closed {
                self.checkpoint = None;
                self.has_old_pieces = true;
            }
        } else if self.has_old_pieces {
            self.has_old_pieces = log.remove_old_pieces(self.pace.removed)?;
        } else if tail >= self.pace.checkpoint_due(&self.state) {
            self.checkpoint = Some(Slices::begin(log, &self.state, self.pace.piece_bytes)?);
            self.checkpointed = self.state.record;
        }
        Ok(())
    }

    /// Writes a last checkpoint, so that the next start is quick.
    fn finish(mut self) -> bool {
        let Some(mut log) = self.log.take() else {
            return false;
        };
        let shared = Arc::clone(&self.shared);
        let notes = &shared.notes;
        let mut leave = || -> Result<(), StorageError> {
            loop {
                let left = notes.unwritten();
                log.append(Commit::default(), &left, Some(&self.clock.mark()))?;
                if left.is_empty() {
                    break;
                }
                notes.wrote(&left);
            }
            let mut checkpoint = match self.checkpoint.take() {
                Some(checkpoint) => checkpoint,
                None if self.state.record == self.checkpointed => return Ok(()),
                None => Slices::begin(&mut log, &self.state, self.pace.piece_bytes)?,
            };
            let hurried = || self.shared.hurried.load(Ordering::SeqCst);
            while !hurried() && checkpoint.advance_now(&mut log)? != Advance::Closed {}
            if hurried() {
                tracing::warn!("no checkpoint is left behind; the next start takes longer");
            }
            Ok(())
        };
        if let Err(error) = leave() {
            // Everything acknowledged is in the log; only the next start takes longer.
            tracing::warn!(%error, "the last checkpoint was not written");
        }
        if let Err(error) = log.close() {
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
    send_replies(jobs.into_iter().map(|job| (job, Err(failure))));
}

fn closed() -> StorageError {
    StorageError::damaged(0, "the log is closed")
}
