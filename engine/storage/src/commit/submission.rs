//! Submissions to the writer, and the replies to them.

use bursar_ledger::{Act, Books, Digest, EconomyId, Timestamp, Verdict};
use bytes::Bytes;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::commit::queue::{Queue, Weight};
use crate::error::SubmitError;
use crate::record::StoredAnswer;
use crate::request::{IdempotencyKey, Request};

/// Work units per whole KiB of a request, in addition to the work of its act, for hashing and writing it.
const KIBIBYTE_WORK: u64 = 1;

/// The number of submissions that are queued under one lock, so that the writer and other clients wait for it only for
/// a moment.
const SUBMITTED_TOGETHER: usize = 256;

/// A request for the writer.
///
/// # Example
///
/// ```
/// use bursar_ledger::{Act, Seed, Timestamp};
/// use bursar_storage::{FileLock, RenderedAnswer, Reply, Request, Storage, Submission, TimeSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("guild.db");
/// let time = TimeSource::even(|| Timestamp(1_764_000_000_000));
/// let storage = Storage::open(&path, FileLock::acquire(&path)?, &time, |_| RenderedAnswer {
///     status: 201,
///     body: "{}".into(),
/// })?;
/// let receiver = storage.submit(Submission {
///     economy: "guild".parse()?,
///     actor: "admin".into(),
///     key: None,
///     request: Request::new("PUT", "/v1/economies/guild", &()),
///     act: Act::OpenEconomy { seed: Seed::new([7; 32]) },
///     component: None,
/// })?;
/// let Reply::Answered(answer) = receiver.blocking_recv()?? else {
///     panic!("a request without a key is answered");
/// };
/// assert_eq!(answer.status, 201);
/// assert!(storage.state().books(&"guild".parse()?).is_some());
/// storage.close();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Submission {
    /// The economy.
    pub economy: EconomyId,
    /// The id of the API key that sent it.
    pub actor: String,
    /// The idempotency key under which its answer is stored. A PUT needs none, because repeating it changes
    /// nothing.
    pub key: Option<IdempotencyKey>,
    /// The canonical request of the client.
    pub request: Request,
    /// The act to decide.
    pub act: Act,
    /// The digest and the bytes of a component that the act registers.
    pub component: Option<(Digest, Bytes)>,
}

impl Submission {
    /// Returns the weight in the queue: the bytes that the client sent, and the work of the act and of those
    /// bytes. The limits of the ledger bound everything else in a submission.
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
    /// The body, which is the same byte for byte each time.
    pub body: Bytes,
    /// True if the answer is a replay of an earlier one under the same key.
    pub replayed: bool,
}

/// The result of a submission. Only an answer leaves a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The answer, decided now or earlier.
    Answered(Answer),
    /// The key belongs to another request. The writer does not compare the two; [`StoredAnswer::answer_to`]
    /// finds the difference.
    KeyReused,
    /// The transcript of the call does not hold any more; the call has to run again.
    Stale,
    /// The economy does not exist.
    NoEconomy,
}

impl StoredAnswer {
    /// Replays the answer if `request` is the request that it answered. Returns the first difference
    /// otherwise: a JSON pointer into the body, or `method` or `path`.
    pub fn answer_to(self, request: &Request) -> Result<Answer, String> {
        match request.difference(&self.request) {
            Some(field) => Err(field),
            None => Ok(self.replay()),
        }
    }

    /// Returns the stored answer, marked as a replay.
    pub fn replay(self) -> Answer {
        Answer {
            status: self.status,
            body: self.body,
            replayed: true,
        }
    }
}

/// An act and its verdict, from which the answer is rendered.
#[derive(Debug)]
pub struct ActOutcome<'a> {
    /// The economy.
    pub economy: &'a EconomyId,
    /// The books after the act.
    pub books: Option<&'a Books>,
    /// The number of its record, or of the newest record if it left none.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The act.
    pub act: &'a Act,
    /// The verdict.
    pub verdict: &'a Verdict,
}

/// A rendered answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RenderedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as JSON.
    pub body: String,
}

/// Renders the answer to an act. It runs on the writer's thread, because the answer is stored in the
/// transaction of its effects.
pub type Render = fn(&ActOutcome<'_>) -> RenderedAnswer;

/// The receiver of a reply.
pub type Receiver = oneshot::Receiver<Result<Reply, SubmitError>>;

/// The sender of a reply.
pub type SingleReplySender = oneshot::Sender<Result<Reply, SubmitError>>;

/// Replies to some submissions of a batch, each with the index of its submission.
type SomeReplies = Vec<(usize, Result<Reply, SubmitError>)>;

/// Submissions that were queued together, and the replies that arrive.
#[derive(Debug)]
pub struct SubmittedBatch {
    replies: UnboundedReceiver<SomeReplies>,
    queued: usize,
    failure: Option<SubmitError>,
}

impl SubmittedBatch {
    /// Queues submissions in their order, up to the first one that the queue refuses.
    pub(crate) fn submit(queue: &Queue<QueuedSubmission>, submissions: Vec<Submission>) -> Self {
        let (sender, replies) = mpsc::unbounded_channel();
        let mut all = (0..).zip(submissions).map(|(index, submission)| {
            let replies = sender.clone();
            let queued = QueuedSubmission {
                submission,
                respond: ReplySender::Batch { index, replies },
            };
            let weight = queued.submission.weight();
            (queued.submission.economy.clone(), weight, queued)
        });
        let mut queued: usize = 0;
        let failure = loop {
            let some: Vec<_> = all.by_ref().take(SUBMITTED_TOGETHER).collect();
            if some.is_empty() {
                break None;
            }
            let (added, failure) = queue.push_all(some);
            queued = queued.saturating_add(added);
            if failure.is_some() {
                break failure;
            }
        };
        Self {
            replies,
            queued,
            failure,
        }
    }

    /// Returns the number of submissions that were queued, which are the first ones.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Returns the reason why the queue refused the others.
    pub fn failure(&self) -> Option<SubmitError> {
        self.failure
    }

    /// Waits for further replies, each with the index of its submission. Returns none if no reply is outstanding, or
    /// if the writer has ended without a reply.
    pub async fn next(&mut self) -> Option<Vec<(usize, Result<Reply, SubmitError>)>> {
        self.replies.recv().await
    }
}

/// The channel of a reply to its client.
#[derive(Debug)]
pub(crate) enum ReplySender {
    /// The reply to a single submission.
    One(SingleReplySender),
    /// The reply to a submission of a batch.
    Batch {
        index: usize,
        replies: UnboundedSender<SomeReplies>,
    },
}

/// A submission in the queue, with the channel of its reply.
pub(crate) struct QueuedSubmission {
    pub(crate) submission: Submission,
    pub(crate) respond: ReplySender,
}

/// Queues a submission.
pub(crate) fn submit(
    queue: &Queue<QueuedSubmission>,
    submission: Submission,
) -> Result<Receiver, SubmitError> {
    let (sender, receiver) = oneshot::channel();
    submit_to(queue, submission, sender)?;
    Ok(receiver)
}

/// Queues a submission whose reply goes to a sender. Drops the sender if the queue refuses the submission.
pub(crate) fn submit_to(
    queue: &Queue<QueuedSubmission>,
    submission: Submission,
    sender: SingleReplySender,
) -> Result<(), SubmitError> {
    let economy = submission.economy.clone();
    let weight = submission.weight();
    let respond = ReplySender::One(sender);
    queue.push(
        &economy,
        weight,
        QueuedSubmission {
            submission,
            respond,
        },
    )
}

/// Sends replies. The commit stands even if a receiver was dropped.
pub(crate) fn send_replies(
    replies: impl IntoIterator<Item = (QueuedSubmission, Result<Reply, SubmitError>)>,
) {
    // A message for each reply would wake the task of a batch again and again.
    let mut open: Option<(UnboundedSender<SomeReplies>, SomeReplies)> = None;
    for (queued, reply) in replies {
        match queued.respond {
            ReplySender::One(sender) => drop(sender.send(reply)),
            ReplySender::Batch { index, replies } => match &mut open {
                Some((sender, some)) if sender.same_channel(&replies) => some.push((index, reply)),
                _ => {
                    if let Some((sender, some)) = open.replace((replies, vec![(index, reply)])) {
                        drop(sender.send(some));
                    }
                }
            },
        }
    }
    if let Some((sender, some)) = open {
        drop(sender.send(some));
    }
}

#[cfg(test)]
mod tests;
