//! One attempt of a call: its run on a worker, and the reply of the writer to its result.
//!
//! The worker submits the result to the writer itself, and the task of the call wakes up once: when the writer replies,
//! or when there is nothing to commit. Waking a thread costs about as much as a small call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_host::{CallAttempt, FailedCall, LogLine};
use bursar_ledger::{Act, Books, CallEnding, CallRequest, DrawOrigin};
use bursar_storage::{Reply, SingleReplySender, StoredAnswer, Submission, SubmitError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::lanes::{LaneFlight, LaneTurn};
use super::switch_off::{RunStats, verdict_of};
use super::workers::{QueueFull, WorkerJob};
use super::{ANSWER_PATIENCE, RequestContext, Service, submission};
use crate::breaker::CallVerdict;
use crate::service::error::ServiceError;

/// The result of one attempt of a call.
pub(super) enum AttemptOutcome {
    /// The key of the call has a stored answer.
    Replayed(StoredAnswer),
    /// The run did not complete.
    Failed(Box<FailedCall>, RunStats),
    /// The run has completed, and the writer has replied to its result.
    Decided(CompletedRun, Result<Reply, SubmitError>),
}

/// A run that has completed.
pub(super) struct CompletedRun {
    /// The origin of its draws, if the call has drawn in this attempt or an earlier one.
    pub(super) origin: Option<DrawOrigin>,
    /// The verdict for the counts of failed calls.
    pub(super) verdict: Option<CallVerdict>,
    /// The fault of the plugin, if the run ended in one.
    pub(super) fault: Option<String>,
    /// The log lines of the plugin. They may reveal draws, so they are written only after the commit.
    pub(super) log: Vec<LogLine>,
    pub(super) run: RunStats,
    /// The submitted call in the lane, if it ran in one.
    pub(super) flight: Option<LaneFlight>,
}

/// The conditions of one attempt.
pub(super) struct Attempt {
    /// True if the key of the call is looked up first.
    pub(super) looks_up: bool,
    /// The origin of the draws of an earlier attempt.
    pub(super) drawn: Option<DrawOrigin>,
    /// The turn in the lane of the plugin, if the attempt runs in it.
    pub(super) turn: Option<LaneTurn>,
}

/// The result of a run, as its worker leaves it for the task of the call.
enum RunOutcome {
    Replayed(StoredAnswer),
    Failed(Box<FailedCall>, RunStats),
    /// The result was submitted to the writer at this time. The writer replies to the task.
    Submitted(CompletedRun, Instant),
    /// The writer did not accept the result.
    NotSubmitted(CompletedRun, SubmitError),
}

/// The slot in which the task of a call finds the result of a run. It is empty until the run has ended, and stays empty
/// if the run is dropped.
type RunSlot = Arc<Mutex<Option<Result<RunOutcome, ServiceError>>>>;

/// The result of a run before anything is submitted.
enum RunEnd {
    /// There is nothing to commit.
    Ended(RunOutcome),
    /// The run has completed, with its submission to the writer, and its turn in the lane.
    Completed(CompletedRun, Box<Submission>, Option<LaneTurn>),
}

/// A run of a call on a worker.
struct Run {
    service: Service,
    context: RequestContext,
    request: CallRequest,
    attempt: Attempt,
}

impl Service {
    /// Runs one attempt on a worker and waits for the reply of the writer. Fails with [`ServiceError::Busy`] if the run has
    /// not started at `until`.
    pub(super) async fn run_attempt(
        &self,
        context: &RequestContext,
        call: &CallRequest,
        attempt: Attempt,
        until: Option<Instant>,
    ) -> Result<AttemptOutcome, ServiceError> {
        let run = Run {
            service: self.clone(),
            context: context.clone(),
            request: call.clone(),
            attempt,
        };
        let slot = RunSlot::default();
        let (respond, mut receiver) = oneshot::channel();
        let job = run.into_job(Arc::clone(&slot), respond);
        let workers = &self.parts.calls.workers;
        let ticket = workers.submit(&context.economy, &call.plugin, job);
        let ticket = ticket.map_err(|QueueFull| ServiceError::Busy)?;
        let mut until = until;
        loop {
            let patience = Instant::now() + ANSWER_PATIENCE;
            let wake = until.map_or(patience, |until| until.min(patience));
            if let Ok(reply) = timeout_at(wake, &mut receiver).await {
                let reply = reply.unwrap_or(Err(SubmitError::Unknown));
                return outcome(open(&slot).take(), reply);
            }
            if until.take_if(|until| *until <= Instant::now()).is_some() && workers.cancel(&ticket)
            {
                return Err(ServiceError::Busy);
            }
            if is_overdue(&slot) {
                return outcome(open(&slot).take(), Err(SubmitError::Unknown));
            }
        }
    }
}

/// Returns the outcome of an attempt from the result of its run and the reply of the writer.
fn outcome(
    run: Option<Result<RunOutcome, ServiceError>>,
    reply: Result<Reply, SubmitError>,
) -> Result<AttemptOutcome, ServiceError> {
    match run {
        Some(Ok(RunOutcome::Submitted(run, _))) => Ok(AttemptOutcome::Decided(run, reply)),
        Some(Ok(RunOutcome::NotSubmitted(run, error))) => {
            Ok(AttemptOutcome::Decided(run, Err(error)))
        }
        Some(Ok(RunOutcome::Replayed(stored))) => Ok(AttemptOutcome::Replayed(stored)),
        Some(Ok(RunOutcome::Failed(failed, run))) => Ok(AttemptOutcome::Failed(failed, run)),
        Some(Err(error)) => Err(error),
        // The workers have dropped the job, because the service stops.
        None => Err(ServiceError::Writer(SubmitError::Unavailable)),
    }
}

/// Returns true if the writer should have replied to a submitted result by now. The writer may still commit the result.
fn is_overdue(slot: &RunSlot) -> bool {
    match &*open(slot) {
        Some(Ok(RunOutcome::Submitted(_, at))) => at.elapsed() >= ANSWER_PATIENCE,
        Some(_) | None => false,
    }
}

impl Run {
    /// Turns the run into a job for a worker.
    fn into_job(self, slot: RunSlot, respond: SingleReplySender) -> WorkerJob {
        Box::new(move || {
            let service = self.service.clone();
            // A panic must become an error here: if the slot stayed empty, the call would look like one that was rejected
            // because the service stops.
            let ran = catch_unwind(AssertUnwindSafe(|| self.run()));
            let panicked = Err(ServiceError::Bug(
                "a call panicked in the server; nothing has moved",
            ));
            // The task wakes up when `respond` is used or dropped. The slot is locked meanwhile, so that the task finds the
            // result in it.
            let mut slot = open(&slot);
            // A turn in the lane lasts until the result is submitted, since the writer must get the calls in their order.
            let mut submitted_turn = None;
            *slot = Some(match ran.unwrap_or(panicked) {
                Ok(RunEnd::Ended(outcome)) => Ok(outcome),
                Ok(RunEnd::Completed(run, submission, turn)) => {
                    submitted_turn = turn;
                    let submitted = service.parts.storage.submit_to(*submission, respond);
                    Ok(match submitted {
                        Ok(()) => RunOutcome::Submitted(run, Instant::now()),
                        Err(error) => RunOutcome::NotSubmitted(run, error),
                    })
                }
                Err(error) => Err(error),
            });
            drop(submitted_turn);
        })
    }

    /// Runs the plugin, unless the key has a stored answer.
    fn run(self) -> Result<RunEnd, ServiceError> {
        let Self {
            service,
            context,
            request,
            attempt:
                Attempt {
                    looks_up,
                    drawn,
                    turn,
                },
        } = self;
        if let Some(key) = context.key.as_ref().filter(|_| looks_up)
            && let Some(stored) = service.look_up(&context.economy, key)?
        {
            return Ok(RunEnd::Ended(RunOutcome::Replayed(stored)));
        }
        // The lane is read first: if all its calls have a reply, the published books contain them.
        let ahead = turn.as_ref().and_then(LaneTurn::ahead);
        let state = service.state();
        let books = ahead.as_ref().or(state.books(&context.economy));
        let books = books.ok_or(ServiceError::NoEconomy)?;
        let version = books
            .plugin(&request.plugin)
            .map_or(0, |found| found.version);
        let earlier = drawn.clone();
        let nonces = service.clone();
        let economy = context.economy.clone();
        let draw_from = move |books: &Books, request: &CallRequest| {
            earlier.unwrap_or_else(|| nonces.parts.nonces.origin(&economy, books, request))
        };
        let CallAttempt {
            mut result,
            log,
            cpu,
        } = match service.run_here(books, request, draw_from)? {
            Ok(attempt) => attempt,
            Err(failed) => {
                let cpu = failed.cpu;
                let outcome = RunOutcome::Failed(failed, RunStats { version, cpu });
                return Ok(RunEnd::Ended(outcome));
            }
        };
        result.origin = result.origin.or(drawn);
        let fault = match &result.ending {
            CallEnding::Faulted { fault } => Some(fault.clone()),
            CallEnding::Replied { .. }
            | CallEnding::Declined { .. }
            | CallEnding::NotRun(_)
            | CallEnding::Stopped(_)
            | CallEnding::Broken { .. } => None,
        };
        let mut run = CompletedRun {
            origin: result.origin.clone(),
            verdict: verdict_of(&result.ending),
            fault,
            log,
            run: RunStats { version, cpu },
            flight: None,
        };
        let act = Act::Call(Box::new(result));
        if let Some(turn) = &turn {
            let (_, after) = service.try_act(books, &act);
            run.flight = Some(turn.submit(Arc::new(after)));
        }
        let submission = submission(context, act, None);
        Ok(RunEnd::Completed(run, Box::new(submission), turn))
    }
}

fn open(slot: &RunSlot) -> MutexGuard<'_, Option<Result<RunOutcome, ServiceError>>> {
    // The slot is replaced as a whole, so a poisoned lock is still valid.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
