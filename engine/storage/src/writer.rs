//! The one writer: an OS thread of its own that takes the whole queue at once, decides it, makes it
//! durable with one fsync, publishes the state and sends all answers.
//!
//! If a commit fails, nothing of the batch is published. Everybody in it is told to ask again with
//! the same key, nobody is let in, and the state is rebuilt from disk before anything else happens:
//! the disk alone knows whether the batch is there. A failed fsync is never tried again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bursar_ledger::{Act, EconomyId, Item, Timestamp};

use crate::Clock;
use crate::batch::Batch;
use crate::error::{Failure, StorageError};
use crate::journal::Journal;
use crate::queue::{Queue, Taken};
use crate::state::State;
use crate::submission::{Job, Render, Reply};

/// Requests in one commit.
pub const BATCH_MAX: usize = 4096;

/// Records after which the state is written out again.
const CHECKPOINT_RECORDS: u64 = 50_000;

/// Pieces of a checkpoint that are written between two batches.
const SLICE_PIECES: usize = 512;

/// How often the write-ahead log is copied into the file.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// How long the writer sleeps when there is nothing to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens the journal again after a failure.
pub(crate) type Reopen<J> = Box<dyn FnMut() -> Result<J, StorageError> + Send>;

/// What the writer shares with everyone else.
pub(crate) struct Shared {
    pub(crate) queue: Queue<Job>,
    pub(crate) published: ArcSwap<State>,
}

/// A checkpoint on its way to disk, while requests go on.
struct Checkpoint {
    id: u64,
    written: u64,
    pieces: Box<dyn Iterator<Item = (EconomyId, Item)> + Send>,
}

pub(crate) struct Writer<J> {
    shared: Arc<Shared>,
    /// None after a failure, until the file has been opened again.
    journal: Option<J>,
    reopen: Reopen<J>,
    state: State,
    clock: Clock,
    render: Render,
    checkpoint: Option<Checkpoint>,
    /// The record that the newest checkpoint stands at, closed or on its way.
    checkpointed: u64,
    has_old_pieces: bool,
    tidied: Instant,
}

impl<J: Journal> Writer<J> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: J,
        reopen: Reopen<J>,
        state: State,
        clock: Clock,
        render: Render,
    ) -> Result<Self, StorageError> {
        let checkpointed = journal.checkpointed()?;
        Ok(Self {
            shared,
            journal: Some(journal),
            reopen,
            checkpointed,
            checkpoint: None,
            has_old_pieces: true,
            tidied: Instant::now(),
            state,
            clock,
            render,
        })
    }

    /// Works until the queue is closed and empty. False if the file was given up.
    pub(crate) fn run(mut self) -> bool {
        loop {
            let busy = self.checkpoint.is_some() || self.has_old_pieces;
            let patience = if busy { Duration::ZERO } else { PATIENCE };
            let worked = match self.shared.queue.take(BATCH_MAX, patience) {
                Taken::Batch(jobs) => self.commit(jobs),
                Taken::Idle => Ok(()),
                Taken::Finished => return self.finish(),
            };
            let done = worked.and_then(|()| self.upkeep());
            if let Err(error) = done
                && !self.recover(&error)
            {
                return false;
            }
        }
    }

    /// Decides a batch, makes it durable, publishes, and answers.
    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), StorageError> {
        // A bug in a rule must not take the writer with it: what it had begun is thrown away.
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(&jobs)));
        let decided = decided.unwrap_or_else(|_| Err(StorageError::damaged(0, "a rule panicked")));
        match decided {
            Ok((state, replies)) => {
                self.state = state;
                self.shared.published.store(Arc::new(self.state.clone()));
                for (job, reply) in jobs.into_iter().zip(replies) {
                    job.finish(Ok(reply));
                }
                Ok(())
            }
            Err(error) => {
                // Nobody may come in between the failure and the rebuilt state.
                let shut_out = self.shared.queue.shut();
                refuse(jobs, Failure::Unknown);
                refuse(shut_out, Failure::Unavailable);
                Err(error)
            }
        }
    }

    fn decide(&mut self, jobs: &[Job]) -> Result<(State, Vec<Reply>), StorageError> {
        let at = self.stamp(jobs);
        let journal = self.journal.as_mut().ok_or_else(closed)?;
        let mut batch = Batch::new(self.state.clone(), at, journal.epoch(), self.render);
        let mut replies = Vec::with_capacity(jobs.len());
        for job in jobs {
            let find = |economy: &EconomyId, key: &str| journal.find(economy, key);
            replies.push(batch.process(&job.submission, find)?);
        }
        if !batch.appended.is_empty() {
            journal.append(&batch.appended)?;
        }
        Ok((batch.state, replies))
    }

    /// The batch's moment: it never decreases, and no call is recorded before its own time.
    fn stamp(&self, jobs: &[Job]) -> Timestamp {
        let calls = jobs.iter().filter_map(|job| match &job.submission.act {
            Act::Call(result) => Some(result.request.now),
            _ => None,
        });
        let now = (self.clock)().max(self.state.recorded_at);
        calls.fold(now, Timestamp::max)
    }

    /// What is done between batches: a slice of a checkpoint, a look at the write-ahead log.
    fn upkeep(&mut self) -> Result<(), StorageError> {
        let Some(journal) = self.journal.as_mut() else {
            return Ok(());
        };
        if self.checkpoint.is_none()
            && self.state.record.saturating_sub(self.checkpointed) >= CHECKPOINT_RECORDS
        {
            self.checkpoint = Some(begin(journal, &self.state)?);
            self.checkpointed = self.state.record;
        }
        if let Some(checkpoint) = self.checkpoint.as_mut() {
            if advance(journal, checkpoint)? {
                self.checkpoint = None;
                self.has_old_pieces = true;
            }
        } else if self.has_old_pieces {
            self.has_old_pieces = journal.remove_old_pieces()?;
        }
        if self.tidied.elapsed() >= TIDY_EVERY {
            journal.tidy()?;
            self.tidied = Instant::now();
        }
        Ok(())
    }

    /// Rebuilds the state from disk. False if that fails too: then nobody is let in any more.
    fn recover(&mut self, error: &StorageError) -> bool {
        tracing::error!(%error, "a commit failed; rebuilding the state from disk");
        refuse(self.shared.queue.shut(), Failure::Unavailable);
        self.checkpoint = None;
        // The old connection goes first: there is never more than one that writes.
        self.journal = None;
        let rebuilt = (self.reopen)()
            .and_then(|mut journal| Ok((journal.load()?, journal.checkpointed()?, journal)));
        match rebuilt {
            Ok((state, checkpointed, journal)) => {
                tracing::warn!(
                    record = state.record,
                    "the state is rebuilt; taking requests again"
                );
                self.state = state;
                self.checkpointed = checkpointed;
                self.shared.published.store(Arc::new(self.state.clone()));
                self.journal = Some(journal);
                self.shared.queue.reopen();
                true
            }
            Err(error) => {
                tracing::error!(%error, "the state could not be rebuilt; taking no more requests");
                self.shared.queue.close();
                refuse(self.shared.queue.shut(), Failure::Unavailable);
                false
            }
        }
    }

    /// Leaves a fresh checkpoint behind, so that the next start is quick.
    fn finish(mut self) -> bool {
        let Some(mut journal) = self.journal.take() else {
            return false;
        };
        let mut leave = || -> Result<(), StorageError> {
            let mut checkpoint = match self.checkpoint.take() {
                Some(checkpoint) => checkpoint,
                None if self.state.record == self.checkpointed => return journal.tidy(),
                None => begin(&mut journal, &self.state)?,
            };
            while !advance(&mut journal, &mut checkpoint)? {}
            journal.tidy()
        };
        if let Err(error) = leave() {
            // Everything acknowledged is in the journal; only the next start takes longer.
            tracing::warn!(%error, "the last checkpoint was not written");
        }
        true
    }
}

fn refuse(jobs: Vec<Job>, failure: Failure) {
    for job in jobs {
        job.finish(Err(failure));
    }
}

fn closed() -> StorageError {
    StorageError::damaged(0, "the journal is closed")
}

fn begin(journal: &mut impl Journal, state: &State) -> Result<Checkpoint, StorageError> {
    let id = journal.begin_checkpoint(state)?;
    Ok(Checkpoint {
        id,
        written: 0,
        pieces: Box::new(state.clone().into_pieces()),
    })
}

/// Writes the next slice. True once the checkpoint is closed.
fn advance(journal: &mut impl Journal, checkpoint: &mut Checkpoint) -> Result<bool, StorageError> {
    let slice: Vec<_> = checkpoint.pieces.by_ref().take(SLICE_PIECES).collect();
    if slice.is_empty() {
        journal.close_checkpoint(checkpoint.id, checkpoint.written)?;
        return Ok(true);
    }
    journal.add_pieces(checkpoint.id, checkpoint.written, &slice)?;
    checkpoint.written += slice.len() as u64;
    Ok(false)
}
