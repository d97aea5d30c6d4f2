//! What goes to the writer, and what comes back.

use bursar_ledger::{Act, Books, Digest, EconomyId, Timestamp, Verdict};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::commit::queue::Weight;
use crate::error::SubmitError;
use crate::record::StoredAnswer;
use crate::request::{IdempotencyKey, Request};

/// Work of each whole KiB of a request, beside that of its act: it is hashed and written.
const KIBIBYTE_WORK: u64 = 1;

/// One request, ready to be decided.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose books it is for.
    pub economy: EconomyId,
    /// Who asks: the id of an API key.
    pub actor: String,
    /// The key under which its answer is kept. A PUT needs none: asking twice is asking once.
    pub key: Option<IdempotencyKey>,
    /// What the client asked.
    pub request: Request,
    /// What is to be decided.
    pub act: Act,
    /// The bytes of a component that is to be registered.
    pub component: Option<(Digest, Bytes)>,
}

impl Submission {
    /// Returns its weight in the queue: the bytes that the client sent, and the work that they and the
    /// act make. What else a submission holds is bounded by the ledger's limits.
    pub(crate) fn weight(&self) -> Weight {
        let component = self.component.as_ref();
        let component = component.map_or(0, |(_, bytes)| bytes.len());
        let bytes = self.request.as_str().len().saturating_add(component);
        let kibibytes = u64::try_from(bytes / 1024).unwrap_or(u64::MAX);
        let work = kibibytes.saturating_mul(KIBIBYTE_WORK);
        Weight {
            bytes,
            work: self.act.work().saturating_add(work),
        }
    }
}

/// An answer to a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, byte for byte the same each time.
    pub body: Bytes,
    /// Whether it was given before, under the same key.
    pub replayed: bool,
}

/// What came of a submission. All but an answer leave no trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It was decided, now or before.
    Answered(Answer),
    /// Its key stands for another request. In what they differ is told by the stored one, which the
    /// writer has no time to look into.
    KeyReused,
    /// What the call learned is no longer true; it is to run again.
    Stale,
    /// There is no such economy.
    NoEconomy,
}

impl StoredAnswer {
    /// The answer once more, if the request is the one that it was given to; else the first member in
    /// which they differ: a JSON pointer into the body, or `method` or `path`.
    pub fn answer_to(self, request: &Request) -> Result<Answer, String> {
        match request.difference(&self.request) {
            Some(field) => Err(field),
            None => Ok(self.replay()),
        }
    }

    pub(crate) fn replay(self) -> Answer {
        Answer {
            status: self.status,
            body: self.body,
            replayed: true,
        }
    }
}

/// What came of an act, for whoever renders the answer.
#[derive(Debug)]
pub struct ActOutcome<'a> {
    /// Whose books.
    pub economy: &'a EconomyId,
    /// The books right after it.
    pub books: Option<&'a Books>,
    /// The number of its record; of the newest one if it left none.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What was decided upon.
    pub act: &'a Act,
    /// What was decided.
    pub verdict: &'a Verdict,
}

/// An answer in the making.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RenderedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: String,
}

/// Puts what came of an act into the words of the API. It runs on the writer's thread, since the
/// answer is kept in the txn of its effects.
pub type Render = fn(&ActOutcome<'_>) -> RenderedAnswer;

/// Where a reply will arrive.
pub type Receiver = oneshot::Receiver<Result<Reply, SubmitError>>;

/// A submission with the way back.
pub(crate) struct QueuedSubmission {
    pub(crate) submission: Submission,
    pub(crate) respond: oneshot::Sender<Result<Reply, SubmitError>>,
}

impl QueuedSubmission {
    /// Sends the reply. Whoever asked may have gone; the commit stands all the same.
    pub(crate) fn finish(self, reply: Result<Reply, SubmitError>) {
        drop(self.respond.send(reply));
    }
}
