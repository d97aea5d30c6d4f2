//! A call's tries: until it commits, or comes to nothing.
//!
//! All of them have the same time and the same draws. The first runs freely, each further one alone in its
//! plugin's lane, and the later ones while no other call of the plugin runs at all: then only others than the
//! plugin's own calls can overtake it. However it ends, what was drawn in any of them is on record then; and nothing that
//! could tell of it has left the process before.

use bursar_host::{CallAttempt, CallFailure, FailedCall, LogLine};
use bursar_ledger::{
    Act, Books, CallEnding, CallRequest, CallResult, Digest, DrawOrigin, EconomyId, Transcript,
};
use bursar_storage::{Receiver, Reply, StoredAnswer, SubmitError};
use tokio::time::{Instant, timeout_at};

use super::switch_off::{Run, verdict_of, verdict_of_failure};
use super::{RequestContext, Service, submission};
use crate::service::error::ServiceError;

/// How often a call runs before it is given up as a conflict: once freely, then in its lane.
const TRIES_MAX: usize = 8;

/// The first try for which no other call of the plugin runs. Those before it cost the others nothing; but
/// where all calls of a plugin change the same thing, as bids do, each may be overtaken every time.
const ALONE_FROM: usize = 3;

/// What one try of a call came to.
enum AttemptOutcome {
    /// Its key had an answer before.
    Known(StoredAnswer),
    /// It could not be brought to an end.
    Unfinished(Box<FailedCall>, Run),
    /// It has ended, and the writer has it.
    Sent(SentCall),
}

/// A call that was sent to the writer.
struct SentCall {
    /// Where its draws come from, if it has drawn in this try or an earlier one.
    origin: Option<DrawOrigin>,
    ending: CallEnding,
    /// What the plugin wrote for the operator. It may tell what was drawn.
    log: Vec<LogLine>,
    run: Run,
    reply: Result<Receiver, SubmitError>,
}

impl Service {
    /// Runs a call until it commits, as long as it is wanted. It waits `until` then to be begun, and before
    /// its first draw to be begun again.
    pub(super) async fn try_until_it_commits(
        &self,
        context: &RequestContext,
        call: CallRequest,
        until: Instant,
        wanted: &(dyn Fn(&Books) -> bool + Send + Sync),
    ) -> Result<Reply, ServiceError> {
        let mut drawn = None;
        let tried = self.tries(context, &call, until, wanted, &mut drawn).await;
        match (&tried, drawn) {
            (Ok(Reply::Answered(_)), _) => self.parts.nonces.forget(&context.economy, &call),
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy) | Err(_), None) => {}
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy), Some(origin)) => {
                let ending = CallEnding::Broken {
                    failure: "it was not wanted any more".into(),
                    by_plugin: false,
                };
                self.keep_draws(context, call, origin, ending).await;
            }
            (Err(problem), Some(origin)) => {
                self.keep_draws(context, call, origin, broken_by(problem))
                    .await;
            }
        }
        tried
    }

    async fn tries(
        &self,
        context: &RequestContext,
        call: &CallRequest,
        until: Instant,
        wanted: &(dyn Fn(&Books) -> bool + Send + Sync),
        drawn: &mut Option<DrawOrigin>,
    ) -> Result<Reply, ServiceError> {
        let (economy, conflicts) = (&context.economy, &self.parts.conflicts);
        let calls = &self.parts.calls;
        let name = (economy.clone(), call.plugin.clone());
        let mut _lane = None;
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                conflicts.count_again(economy, &call.plugin);
            }
            // One that has drawn is brought to an end, if it can be.
            let until = drawn.is_none().then_some(until);
            if attempt == 1 {
                let entering = calls.lanes.enter(name.clone());
                _lane = Some(no_later(until, entering).await?);
            }
            // Held until the writer has answered: one that is alone must find nothing changed.
            let _passed = if attempt < ALONE_FROM {
                no_later(until, calls.gates.pass(&name)).await?
            } else {
                no_later(until, calls.gates.pass_alone(&name)).await?
            };
            let tried = self.try_once(context, call, attempt, until, drawn.clone());
            let sent = match tried.await? {
                AttemptOutcome::Known(stored) => {
                    let answer = stored.answer_to(&context.request);
                    let answer = answer.map_err(|field| ServiceError::KeyReused { field })?;
                    return Ok(Reply::Answered(answer));
                }
                AttemptOutcome::Unfinished(unfinished, run) => {
                    tracing::warn!(
                        %economy, plugin = %call.plugin, call = %call.id,
                        failure = %unfinished.failure, "a call could not be brought to an end"
                    );
                    // What was drawn in an earlier try is drawn, whatever this one came to.
                    *drawn = unfinished.origin.or_else(|| drawn.take());
                    let verdict = verdict_of_failure(unfinished.failure);
                    self.count_end(economy, call, verdict, run).await;
                    return Err(ServiceError::CallFailed(unfinished.failure));
                }
                AttemptOutcome::Sent(sent) => sent,
            };
            *drawn = sent.origin;
            match self.receive(sent.reply).await? {
                Reply::Stale => {
                    tracing::debug!(plugin = %call.plugin, call = %call.id, attempt, "conflict");
                }
                answered @ Reply::Answered(_) => {
                    tell(economy, call, &sent.ending, &sent.log);
                    let verdict = verdict_of(&sent.ending);
                    self.count_end(economy, call, verdict, sent.run).await;
                    return Ok(answered);
                }
                reply @ (Reply::KeyReused | Reply::NoEconomy) => return Ok(reply),
            }
            let state = self.state();
            let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
            if !wanted(books) {
                return Ok(Reply::Stale);
            }
            // Its seed is public by now, or the member has put something else in, twice: it can never
            // commit, and nobody was told of it.
            if let Some(lost) = drawn.take_if(|origin| !books.may_draw(call, origin)) {
                self.burn(economy, call, &lost).await;
            }
        }
        tracing::warn!(
            %economy, plugin = %call.plugin, call = %call.id, "gave up after conflicts"
        );
        conflicts.count_given_up(economy, &call.plugin);
        Err(ServiceError::Conflict)
    }

    /// One try of a call. The key is looked up before the first; what the plugin comes to goes to the
    /// writer from the worker itself, without waiting for anybody.
    async fn try_once(
        &self,
        context: &RequestContext,
        call: &CallRequest,
        attempt: usize,
        until: Option<Instant>,
        drawn: Option<DrawOrigin>,
    ) -> Result<AttemptOutcome, ServiceError> {
        let (of, context, request) = (context.economy.clone(), context.clone(), call.clone());
        let work = move |service: &Self| {
            let economy = context.economy.clone();
            if let Some(key) = context.key.as_ref().filter(|_| attempt == 0)
                && let Some(stored) = service.look_up(&economy, key)?
            {
                return Ok(AttemptOutcome::Known(stored));
            }
            let state = service.state();
            let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
            let version = books
                .plugin(&request.plugin)
                .map_or(0, |found| found.version);
            let (first, nonces) = (drawn.clone(), service.clone());
            let draw_from = move |books: &Books, request: &CallRequest| {
                first.unwrap_or_else(|| nonces.parts.nonces.origin(&economy, books, request))
            };
            let CallAttempt {
                mut result,
                log,
                cpu,
            } = match service.run_here(books, request, draw_from)? {
                Ok(attempted) => attempted,
                Err(unfinished) => {
                    let cpu = unfinished.cpu;
                    return Ok(AttemptOutcome::Unfinished(unfinished, Run { version, cpu }));
                }
            };
            result.origin = result.origin.or(drawn);
            let (origin, ending) = (result.origin.clone(), result.ending.clone());
            let act = Act::Call(Box::new(result));
            let reply = service.parts.storage.submit(submission(context, act, None));
            Ok(AttemptOutcome::Sent(SentCall {
                origin,
                ending,
                log,
                run: Run { version, cpu },
                reply,
            }))
        };
        self.on_worker(&of, &call.plugin, until, work).await
    }

    /// Puts on record that a call has drawn which came to nothing. It has no answer that is kept: another
    /// try with its key draws the same.
    async fn keep_draws(
        &self,
        context: &RequestContext,
        call: CallRequest,
        origin: DrawOrigin,
        ending: CallEnding,
    ) {
        let economy = &context.economy;
        let keyless = RequestContext {
            key: None,
            ..context.clone()
        };
        let result = CallResult {
            request: call.clone(),
            component: Digest::ZERO,
            transcript: Transcript::default(),
            ending,
            fuel: 0,
            origin: Some(origin.clone()),
        };
        let act = Act::Call(Box::new(result));
        match self.submit(submission(keyless, act, None)).await {
            Ok(Reply::Answered(_)) => self.parts.nonces.forget(economy, &call),
            Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy) => {
                self.burn(economy, &call, &origin).await;
            }
            // It stays remembered, and the next start burns the nonce.
            Err(problem) => tracing::error!(%economy, %problem, "draws are not on record"),
        }
    }

    /// Gives up what was drawn and can never be committed.
    async fn burn(&self, economy: &EconomyId, call: &CallRequest, origin: &DrawOrigin) {
        self.parts.nonces.forget(economy, call);
        let nonces = vec![origin.nonce];
        let context = self.seeds_asking(economy, "BURN");
        if let Err(problem) = self.act(context, Act::BurnNonces { nonces }).await {
            tracing::warn!(%economy, %problem, "a nonce is burned at the next start");
        }
    }
}

/// The latest moment of the wait.
async fn no_later<T>(
    until: Option<Instant>,
    waiting: impl Future<Output = T>,
) -> Result<T, ServiceError> {
    match until {
        Some(until) => {
            let waited = timeout_at(until, waiting).await;
            waited.map_err(|_| ServiceError::Busy)
        }
        None => Ok(waiting.await),
    }
}

/// How a call has ended that has drawn and has no answer. A plugin can think until its deadline, or read
/// what somebody else keeps changing, only when it has lost: so either counts like a fault.
fn broken_by(problem: &ServiceError) -> CallEnding {
    let (failure, by_plugin) = match problem {
        ServiceError::CallFailed(failure) => {
            let by_plugin = match failure {
                CallFailure::Deadline | CallFailure::StackOverflow => true,
                CallFailure::Exhausted | CallFailure::Internal => false,
            };
            (failure.to_string(), by_plugin)
        }
        ServiceError::Conflict => (problem.to_string(), true),
        problem => (problem.to_string(), false),
    };
    CallEnding::Broken { failure, by_plugin }
}

/// What a plugin has to say to the operator: once it is on record.
fn tell(economy: &EconomyId, call: &CallRequest, ending: &CallEnding, log: &[LogLine]) {
    let (plugin, id) = (&call.plugin, call.id);
    for LogLine { level, message } in log {
        tracing::info!(%economy, %plugin, call = %id, ?level, line = %message, "plugin");
    }
    if let CallEnding::Faulted { fault } = ending {
        tracing::warn!(%economy, %plugin, call = %id, %fault, "plugin fault");
    }
}
