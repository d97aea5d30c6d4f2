//! Acts that are submitted together, each with an answer of its own.

use bursar_ledger::Act;
use bursar_storage::{Answer, Reply, Submission, SubmitError, SubmittedBatch};
use tokio::time::{Instant, timeout_at};

use super::error::ServiceError;
use super::{ANSWER_PATIENCE, PendingRequest, RequestContext, Service, submission};

/// Submitted acts whose answers have not been received.
pub struct PendingAnswers {
    requests: Vec<PendingRequest>,
    submitted: SubmittedBatch,
}

impl Service {
    /// Submits independent acts to the writer, in order. After the first act that the full queue rejects, none is
    /// submitted, so that the order holds. [`Service::answers`] waits for their answers.
    pub fn send_all(&self, acts: Vec<(RequestContext, Act)>) -> PendingAnswers {
        let requests = acts.iter().map(|(context, _)| PendingRequest::of(context));
        let requests = requests.collect();
        let submissions = acts
            .into_iter()
            .map(|(context, act)| submission(context, act, None));
        let submissions: Vec<Submission> = submissions.collect();
        PendingAnswers {
            requests,
            submitted: self.storage().submit_all(submissions),
        }
    }

    /// Waits for the answers to acts, and gives them to `each` in the order of the acts.
    pub async fn answers(
        &self,
        pending: PendingAnswers,
        mut each: impl FnMut(Result<Answer, ServiceError>),
    ) {
        let mut replies = OrderedReplies::new(pending.submitted);
        for request in pending.requests {
            each(match replies.next().await {
                Ok(reply) => self.answer_of(request, reply).await,
                Err(failure) => Err(failure.into()),
            });
        }
    }
}

/// The replies to acts that were submitted together, in the order of the acts.
struct OrderedReplies {
    submitted: SubmittedBatch,
    /// The replies that have arrived and were not taken.
    arrived: Vec<Option<Result<Reply, SubmitError>>>,
    taken: usize,
    /// The end of the wait. It starts again with each reply: many acts are many commits, and each reply shows that the
    /// writer works.
    deadline: Instant,
}

impl OrderedReplies {
    fn new(submitted: SubmittedBatch) -> Self {
        let mut arrived = Vec::new();
        arrived.resize_with(submitted.queued(), || None);
        Self {
            submitted,
            arrived,
            taken: 0,
            deadline: Instant::now() + ANSWER_PATIENCE,
        }
    }

    /// Returns the reply to the next act.
    async fn next(&mut self) -> Result<Reply, SubmitError> {
        let index = self.taken;
        self.taken += 1;
        loop {
            let Some(slot) = self.arrived.get_mut(index) else {
                return Err(self.submitted.failure().unwrap_or(SubmitError::Unknown));
            };
            if let Some(reply) = slot.take() {
                return reply;
            }
            // The writer has ended without a reply, or the deadline has passed. The act may still be committed.
            let next = timeout_at(self.deadline, self.submitted.next()).await;
            let some = next.ok().flatten().ok_or(SubmitError::Unknown)?;
            for (index, reply) in some {
                if let Some(slot) = self.arrived.get_mut(index) {
                    *slot = Some(reply);
                }
            }
            self.deadline = Instant::now() + ANSWER_PATIENCE;
        }
    }
}
