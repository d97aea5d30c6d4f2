//! A batch: the decisions on some requests, without any access to the disk. The results are new records,
//! replies and the next state.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bursar_ledger::{
    Act, Books, Decision, Digest, EconomyId, HoldId, SubjectId, Timestamp, Verdict, decide,
};
use bytes::Bytes;

use crate::commit::submission::{ActOutcome, Answer, Render, RenderedAnswer, Reply, Submission};
use crate::error::{StorageError, SubmitError};
use crate::index::entries::{entries_of, ids_of};
use crate::log::compressor::FrameCompressor;
use crate::log::frame::FrameBuilder;
use crate::log::store::{Commit, Epoch};
use crate::record::{ChainLink, EconomyNumber, KeyLookup, Outcome, Record, StoredAnswer, VERSION};
use crate::request::{IdempotencyKey, Request};
use crate::roundtrip;
use crate::state::State;

/// A function that looks up an idempotency key in the log.
pub(crate) type Find<'a> =
    dyn FnMut(EconomyNumber, &str, &Request) -> Result<Option<KeyLookup>, StorageError> + 'a;

/// A record that is to be appended.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    pub(crate) record: Record,
    pub(crate) link: ChainLink,
    /// The ids by which the record can be found.
    pub(crate) ids: Vec<SubjectId>,
    /// The component that it registers.
    pub(crate) component: Option<(Digest, Bytes)>,
}

/// The replies to the requests of a batch, in their order.
pub(crate) type Replies = Vec<Result<Reply, SubmitError>>;

/// The largest number of holds that one batch ends; others wait for the next batch. Their work is additional to
/// that of the requests, and is less than half of the work that a commit may have.
pub(crate) const HOLDS_ENDED_MAX: usize = 128;

/// The actor in records of the writer's own acts.
const WRITER: &str = "bursar";

/// The reason why a request could not be decided.
#[derive(Debug)]
enum BatchError {
    /// The key could not be looked up in the log.
    Log(StorageError),
    /// An internal error.
    Bug(String),
}

/// A batch to which requests are added.
#[derive(Clone)]
pub(crate) struct Batch {
    /// The state after all requests so far.
    pub(crate) state: State,
    /// The records to append.
    pub(crate) appended: Vec<NewRecord>,
    /// The idempotency keys of this batch by economy, each with the index of its record.
    keys: HashMap<EconomyId, HashMap<IdempotencyKey, usize>>,
    at: Timestamp,
    epoch: Epoch,
    render: Render,
}

impl Batch {
    pub(crate) fn new(state: State, at: Timestamp, epoch: Epoch, render: Render) -> Self {
        Self {
            state,
            appended: Vec::new(),
            keys: HashMap::new(),
            at,
            epoch,
            render,
        }
    }

    /// Ends due holds, oldest due time first, up to the limit of a batch. This precedes all requests. A hold
    /// that cannot be ended, because of an internal error or an altered log, delays only other holds of
    /// its economy.
    pub(crate) fn end_holds(mut self) -> Self {
        let mut passed = BTreeSet::new();
        for _ in 0..HOLDS_ENDED_MAX {
            let Some((economy, hold)) = self.state.first_due(self.at, &passed) else {
                break;
            };
            let state = self.state.clone();
            let records = self.appended.len();
            let ended = catch_unwind(AssertUnwindSafe(|| {
                self.decide(&end_of_hold(economy.clone(), hold))
            }));
            let recorded = self.state.record > state.record;
            if !(matches!(ended, Ok(Ok(_))) && recorded) {
                tracing::error!(%economy, %hold, "a hold could not be ended; it stays as it is");
                self.state = state;
                self.appended.truncate(records);
                passed.insert(economy);
            }
        }
        self
    }

    /// Decides requests in order. An internal error in a request fails that request alone: it has no effect,
    /// and the others are decided without it.
    pub(crate) fn decide_all(
        self,
        submissions: &[&Submission],
        find: &mut Find<'_>,
    ) -> Result<(Self, Replies), StorageError> {
        let mut together = self.clone();
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let each = submissions.iter();
            each.map(|submission| together.process(submission, find).map(Ok))
                .collect::<Result<Replies, BatchError>>()
        }));
        match decided {
            Ok(Ok(replies)) => Ok((together, replies)),
            Ok(Err(BatchError::Log(error))) if concerns_all(&error) => Err(error),
            Ok(Err(_)) | Err(_) => self.decide_apart(submissions, find),
        }
    }

    /// Decides requests like [`Batch::decide_all`], but keeps the state before each one to return to it after
    /// an error. This copies each part of the state that a request changes, so it is done only after an
    /// error.
    fn decide_apart(
        mut self,
        submissions: &[&Submission],
        find: &mut Find<'_>,
    ) -> Result<(Self, Replies), StorageError> {
        let mut replies = Replies::with_capacity(submissions.len());
        for submission in submissions {
            let state = self.state.clone();
            let records = self.appended.len();
            let decided = catch_unwind(AssertUnwindSafe(|| self.process(submission, find)));
            let (failure, what) = match decided {
                Ok(Ok(reply)) => {
                    replies.push(Ok(reply));
                    continue;
                }
                Ok(Err(BatchError::Log(error))) if concerns_all(&error) => return Err(error),
                Ok(Err(BatchError::Log(error))) => (SubmitError::Unknown, error.to_string()),
                Ok(Err(BatchError::Bug(what))) => (SubmitError::Bug, what),
                Err(_) => (SubmitError::Bug, "a rule panicked".into()),
            };
            let economy = &submission.economy;
            let kind = submission.act.kind();
            tracing::error!(%economy, kind, what, "internal error in a request; nothing of it is kept");
            self.state = state;
            self.appended.truncate(records);
            for keys in self.keys.values_mut() {
                keys.retain(|_, record| *record < records);
            }
            replies.push(Err(failure));
        }
        Ok((self, replies))
    }

    /// Decides one request. After an error the batch may contain a part of its effects.
    fn process(
        &mut self,
        submission: &Submission,
        find: &mut Find<'_>,
    ) -> Result<Reply, BatchError> {
        if let Some(key) = &submission.key {
            // The key is looked up before any rule is applied, so that a replay never gets another answer.
            let economy = &submission.economy;
            let request = &submission.request;
            let number = self.state.number(economy);
            let kept = match (self.kept_here(economy, key, request), number) {
                (Some(kept), _) => Some(kept),
                // An economy that was never opened has no keys.
                (None, None) => None,
                (None, Some(number)) => {
                    find(number, key.as_str(), request).map_err(BatchError::Log)?
                }
            };
            match kept {
                Some(KeyLookup::Same(stored)) => return Ok(Reply::Answered(stored.replay())),
                Some(KeyLookup::Other) => return Ok(Reply::KeyReused),
                None => {}
            }
        }
        self.decide(submission)
    }

    fn kept_here(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
        request: &Request,
    ) -> Option<KeyLookup> {
        let index = self.keys.get(economy)?.get(key)?;
        let record = &self.appended.get(*index)?.record;
        if record.request != request.as_str() {
            return Some(KeyLookup::Other);
        }
        Some(KeyLookup::Same(StoredAnswer {
            request: record.request.clone(),
            status: record.status,
            body: record.answer.clone(),
        }))
    }

    fn decide(&mut self, submission: &Submission) -> Result<Reply, BatchError> {
        let books = self.state.books(&submission.economy);
        let at = self.stamp(books.map(|books| &**books), &submission.act);
        let verdict = decide(books.map(|books| &**books), at, &submission.act);
        let keyed = submission.key.is_some();
        let outcome = match &verdict {
            Verdict::Stale => return Ok(Reply::Stale),
            Verdict::NoEconomy => return Ok(Reply::NoEconomy),
            Verdict::Unchanged => None,
            Verdict::Applied(_) => Some(Outcome::Applied),
            // A rejection without a key is not recorded, because it cannot be replayed.
            Verdict::Rejected(_) => keyed.then_some(Outcome::Rejected),
            // Draws are recorded even without a key.
            Verdict::RejectedWith(..) => Some(Outcome::Rejected),
            Verdict::Declined(decision) => kept(decision, keyed).then_some(Outcome::Declined),
            Verdict::Faulted(decision) => kept(decision, keyed).then_some(Outcome::Faulted),
            Verdict::Broken(_) => Some(Outcome::Broken),
        };
        let answer = match outcome {
            None => answer(self.render(submission, at, &verdict, None)),
            Some(outcome) => self.record(submission, at, &verdict, outcome)?,
        };
        Ok(Reply::Answered(answer))
    }

    /// Returns the time of an act: that of the batch, but not before the economy's newest record. An act that
    /// sets the clock has the new time.
    fn stamp(&self, books: Option<&Books>, act: &Act) -> Timestamp {
        match (act, books) {
            (Act::SetClock { to, .. }, _) => *to,
            (_, Some(books)) => self.at.max(books.recorded_at()),
            (_, None) => self.at,
        }
    }

    fn render(
        &self,
        submission: &Submission,
        at: Timestamp,
        verdict: &Verdict,
        seq: Option<u64>,
    ) -> RenderedAnswer {
        let books = self.state.books(&submission.economy).map(|books| &**books);
        (self.render)(&ActOutcome {
            economy: &submission.economy,
            books,
            seq: seq.or(books.map(Books::seq)).unwrap_or(0),
            recorded_at: at,
            act: &submission.act,
            verdict,
        })
    }

    /// Applies a verdict to the state and adds its record. The verdict was decided on the same state, so it
    /// is an internal error if it does not apply.
    fn record(
        &mut self,
        submission: &Submission,
        at: Timestamp,
        verdict: &Verdict,
        outcome: Outcome,
    ) -> Result<Answer, BatchError> {
        let nothing = Decision::default();
        let decision = verdict.decision().unwrap_or(&nothing);
        let id = self.state.record + 1;
        let first_movement = self.state.movement + 1;
        let economy = &submission.economy;
        let books = self
            .state
            .books_mut(economy, decision.changes(), at)
            .ok_or_else(|| bug("decided without books"))?;
        let seq = books.seq() + 1;
        let previous = books.head();
        let movements = books.apply(decision, seq, at).map_err(bug)?;
        let texts = roundtrip::write(submission, decision, books).map_err(bug)?;
        let number = self.state.number(economy);
        let number = number.ok_or_else(|| bug("an economy without a number"))?;
        self.state.movement += movements.len() as u64;
        self.state.record = id;
        self.state.recorded_at = at;
        let answer = answer(self.render(submission, at, verdict, Some(seq)));
        let record = Record {
            id,
            economy: economy.clone(),
            number,
            seq,
            epoch: self.epoch.number,
            version: VERSION.into(),
            recorded_at: at,
            kind: submission.act.kind().into(),
            outcome,
            status: answer.status,
            salt: self.epoch.salts.of(id),
            actor: submission.actor.clone(),
            key: submission.key.as_ref().map(|key| key.as_str().into()),
            request: submission.request.as_str().into(),
            act: texts.act,
            changes: texts.changes,
            answer: answer.body.clone(),
            first_movement,
            movements,
        };
        let link = record.link(previous);
        self.state.seal(economy, seq, at, link.hash);
        if let Some(key) = &submission.key {
            let place = self.appended.len();
            if let Some(keys) = self.keys.get_mut(economy) {
                keys.insert(key.clone(), place);
            } else {
                let first = HashMap::from([(key.clone(), place)]);
                self.keys.insert(economy.clone(), first);
            }
        }
        let component = match (&submission.act, verdict) {
            (Act::AddComponent { .. }, Verdict::Applied(_)) => submission.component.clone(),
            _ => None,
        };
        self.appended.push(NewRecord {
            ids: ids_of(&submission.act, outcome),
            record,
            link,
            component,
        });
        Ok(answer)
    }

    /// Encodes the new records as a commit and links it to the log. Returns none if there are no records.
    pub(crate) fn commit(
        &mut self,
        compressor: &mut FrameCompressor,
    ) -> Result<Option<Commit>, StorageError> {
        if self.appended.is_empty() {
            return Ok(None);
        }
        self.state.batch += 1;
        encode(&mut self.state, &self.appended, compressor).map(Some)
    }
}

/// Encodes records as frames of the newest commit of a state, which has the records applied already.
pub(crate) fn encode(
    state: &mut State,
    records: &[NewRecord],
    compressor: &mut FrameCompressor,
) -> Result<Commit, StorageError> {
    let mut commit = Commit::default();
    let batch = state.batch;
    let mut open: Option<FrameBuilder> = None;
    for new in records {
        let is_large = FrameBuilder::is_large(&new.record);
        if let Some(frame) = open.take_if(|frame| is_large || frame.is_full()) {
            let frame = frame.finish(batch, &state.log_head, compressor)?;
            state.log_head = frame.head;
            commit.frames.push(frame);
        }
        match &mut open {
            Some(frame) => frame.add(&new.record, &new.link),
            None => open = Some(FrameBuilder::begin(batch, &new.record, &new.link, is_large)),
        }
        commit.components.extend(new.component.clone());
        commit.entries.push(entries_of(&new.record, &new.ids));
    }
    if let Some(frame) = open {
        let frame = frame.finish(batch, &state.log_head, compressor)?;
        state.log_head = frame.head;
        commit.frames.push(frame);
    }
    Ok(commit)
}

/// Returns the answer that is sent and stored, in one buffer.
fn answer(rendered: RenderedAnswer) -> Answer {
    Answer {
        status: rendered.status,
        body: rendered.body.into(),
        replayed: false,
    }
}

/// Returns true if a declined or faulted call is recorded.
fn kept(decision: &Decision, keyed: bool) -> bool {
    keyed || !decision.changes().is_empty()
}

/// Returns the writer's own submission that ends a hold.
fn end_of_hold(economy: EconomyId, hold: HoldId) -> Submission {
    let path = format!("/v1/economies/{economy}/holds/{hold}");
    let request = Request::new("EXPIRE", &path, &serde_json::Value::Null);
    own_submission(economy, request, Act::ExpireHold { hold })
}

/// Returns a submission of the writer itself.
pub(crate) fn own_submission(economy: EconomyId, request: Request, act: Act) -> Submission {
    Submission {
        economy,
        actor: WRITER.into(),
        key: None,
        request,
        act,
        component: None,
    }
}

fn bug(what: impl std::fmt::Display) -> BatchError {
    BatchError::Bug(what.to_string())
}

/// Returns true if a failed lookup of a key concerns all requests. A damaged record concerns only its own
/// key.
fn concerns_all(error: &StorageError) -> bool {
    !matches!(error, StorageError::Damaged { .. })
}
