//! The attempts of a call, until it commits or is given up.
//!
//! All attempts have the same time, and the same draws as long as these can commit. The first attempt runs
//! beside other calls of the plugin, unless these conflict. Later ones run one at a time, in the lane of the plugin. The
//! last ones run while no other call of the plugin runs, so that only calls of other plugins and plain acts can make
//! them stale. When a call ends, all its draws are on record. No data that depends on them leaves the process
//! before that.

use bursar_host::{CallFailure, LogLine};
use bursar_ledger::{
    Act, Books, CallEnding, CallRequest, CallResult, Digest, DrawOrigin, EconomyId, PluginName,
    Transcript,
};
use bursar_storage::Reply;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Attempt, AttemptOutcome};
use super::lanes::LaneTurn;
use super::switch_off::{RunStats, verdict_of_failure};
use super::{RequestContext, Service, submission};
use crate::service::error::ServiceError;

/// The most attempts of a call before it fails with a conflict.
const ATTEMPTS_MAX: usize = 8;

/// The index of the first attempt during which no other call of the plugin runs. Attempts before it do not
/// delay other calls, but any of them may become stale if all calls of a plugin change the same data, as bids
/// do.
const ALONE_FROM: usize = 3;

impl Service {
    /// Runs a call until it commits, while `is_valid` holds for the books. An attempt has to start before
    /// `until`. A call that has drawn waits without a limit, because it is completed if possible.
    pub(super) async fn run_until_committed(
        &self,
        context: &RequestContext,
        call: CallRequest,
        until: Instant,
        is_valid: &(dyn Fn(&Books) -> bool + Send + Sync),
    ) -> Result<Reply, ServiceError> {
        let mut drawn = None;
        let result = self
            .run_attempts(context, &call, until, is_valid, &mut drawn)
            .await;
        match (&result, drawn) {
            (Ok(Reply::Answered(_)), _) => self.parts.nonces.forget(&context.economy, &call),
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy) | Err(_), None) => {}
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy), Some(origin)) => {
                let ending = CallEnding::Broken {
                    failure: "the call was no longer due".into(),
                    by_plugin: false,
                };
                self.record_draws(context, call, origin, ending).await;
            }
            (Err(error), Some(origin)) => {
                self.record_draws(context, call, origin, aborted_by(error))
                    .await;
            }
        }
        result
    }

    /// Makes attempts until one commits. Sets `drawn` to the origin of draws that are not on record.
    async fn run_attempts(
        &self,
        context: &RequestContext,
        call: &CallRequest,
        until: Instant,
        is_valid: &(dyn Fn(&Books) -> bool + Send + Sync),
        drawn: &mut Option<DrawOrigin>,
    ) -> Result<Reply, ServiceError> {
        let economy = &context.economy;
        let calls = &self.parts.calls;
        let name = (economy.clone(), call.plugin.clone());
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                self.parts.conflicts.count_repeated(economy, &call.plugin);
            }
            // A call that has drawn is completed if possible, so it waits without a limit.
            let until = drawn.is_none().then_some(until);
            // The gate is held until the writer has replied. Otherwise another call of the plugin could commit between
            // the run and the commit of a call that runs alone.
            let _gate = if attempt < ALONE_FROM {
                wait_until(until, calls.gates.enter(&name)).await?
            } else {
                wait_until(until, calls.gates.enter_alone(&name)).await?
            };
            let turn = self.lane_turn(&name, attempt, until).await?;
            let attempted = Attempt {
                looks_up: attempt == 0,
                drawn: drawn.clone(),
                turn,
            };
            let outcome = self.run_attempt(context, call, attempted, until);
            let (decided, reply) = match outcome.await? {
                AttemptOutcome::Replayed(stored) => {
                    let answer = stored.answer_to(&context.request);
                    let answer = answer.map_err(|field| ServiceError::KeyReused { field })?;
                    return Ok(Reply::Answered(answer));
                }
                AttemptOutcome::Failed(failed, run) => {
                    self.count_failure(economy, call, failed.failure, run).await;
                    // If this attempt has not drawn, the draws of an earlier one still have to be recorded.
                    *drawn = failed.origin.or_else(|| drawn.take());
                    return Err(ServiceError::CallFailed(failed.failure));
                }
                AttemptOutcome::Decided(decided, reply) => (decided, reply),
            };
            *drawn = decided.origin;
            let reply = reply?;
            if let (Some(flight), Reply::Answered(_)) = (decided.flight, &reply) {
                flight.commit();
            }
            match reply {
                Reply::Stale => {
                    tracing::debug!(plugin = %call.plugin, call = %call.id, attempt, "conflict");
                }
                reply @ Reply::Answered(_) => {
                    write_log(economy, call, decided.fault.as_deref(), &decided.log);
                    self.count_end(economy, call, decided.verdict, decided.run)
                        .await;
                    return Ok(reply);
                }
                reply @ (Reply::KeyReused | Reply::NoEconomy) => return Ok(reply),
            }
            let state = self.state();
            let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
            if !is_valid(books) {
                return Ok(Reply::Stale);
            }
            // These draws can never commit, because their seed has become public, or the member has changed the client seed
            // twice. No data that depends on them has left the process, so the next attempt draws from another nonce.
            if let Some(lost) = drawn.take_if(|origin| !books.may_draw(call, origin)) {
                self.burn(economy, call, &lost).await;
            }
        }
        tracing::warn!(
            %economy, plugin = %call.plugin, call = %call.id,
            "a call was given up after {ATTEMPTS_MAX} conflicts; nothing has moved"
        );
        self.parts.conflicts.count_given_up(economy, &call.plugin);
        Err(ServiceError::Conflict)
    }

    /// Waits for the turn of an attempt in the lane of its plugin. Returns none for an attempt outside of the lane: a first
    /// one while no calls conflict, and one that runs alone.
    async fn lane_turn(
        &self,
        name: &(EconomyId, PluginName),
        attempt: usize,
        until: Option<Instant>,
    ) -> Result<Option<LaneTurn>, ServiceError> {
        let lanes = &self.parts.calls.lanes;
        let is_repeated = attempt > 0;
        if attempt >= ALONE_FROM || !(is_repeated || lanes.is_contended(name)) {
            return Ok(None);
        }
        let turn = wait_until(until, lanes.enter(name)).await?;
        if is_repeated {
            turn.set_contended();
        }
        Ok(Some(turn))
    }

    /// Logs and counts a call that did not complete.
    async fn count_failure(
        &self,
        economy: &EconomyId,
        call: &CallRequest,
        failure: CallFailure,
        run: RunStats,
    ) {
        tracing::warn!(
            %economy, plugin = %call.plugin, call = %call.id, %failure,
            "a call did not complete; nothing has moved"
        );
        let verdict = verdict_of_failure(failure);
        self.count_end(economy, call, verdict, run).await;
    }

    /// Records the draws of a call that did not commit. The record has no idempotency key, so a request with the key of
    /// the call runs it again, with the same draws.
    async fn record_draws(
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
            // The nonce stays assigned, and the next start burns it.
            Err(error) => tracing::error!(
                %economy, %error,
                "the draws of a call could not be recorded; their nonce is burned at the next start"
            ),
        }
    }

    /// Burns the nonce of draws that can never be committed.
    async fn burn(&self, economy: &EconomyId, call: &CallRequest, origin: &DrawOrigin) {
        self.parts.nonces.forget(economy, call);
        let nonces = vec![origin.nonce];
        let context = self.seed_context(economy, "BURN");
        if let Err(error) = self.act(context, Act::BurnNonces { nonces }).await {
            tracing::warn!(
                %economy, %error,
                "a nonce could not be burned; it is burned at the next start"
            );
        }
    }
}

/// Waits for a future until a time, if there is one. Fails with [`ServiceError::Busy`] after that time.
async fn wait_until<T>(
    until: Option<Instant>,
    waiting: impl Future<Output = T>,
) -> Result<T, ServiceError> {
    match until {
        Some(until) => {
            let result = timeout_at(until, waiting).await;
            result.map_err(|_| ServiceError::Busy)
        }
        None => Ok(waiting.await),
    }
}

/// Returns the ending of a call that has drawn and failed. To avoid the commit of an unfavourable draw, a
/// malicious plugin could run until its deadline, or read data that an accomplice keeps changing. Both
/// therefore count as faults of the plugin.
fn aborted_by(error: &ServiceError) -> CallEnding {
    let (failure, by_plugin) = match error {
        ServiceError::CallFailed(failure) => {
            let by_plugin = match failure {
                CallFailure::Deadline | CallFailure::StackOverflow => true,
                CallFailure::Exhausted | CallFailure::Internal => false,
            };
            (failure.to_string(), by_plugin)
        }
        ServiceError::Conflict => (error.to_string(), true),
        error => (error.to_string(), false),
    };
    CallEnding::Broken { failure, by_plugin }
}

/// Logs the lines and the fault of a committed call.
fn write_log(economy: &EconomyId, call: &CallRequest, fault: Option<&str>, log: &[LogLine]) {
    let plugin = &call.plugin;
    let id = call.id;
    for LogLine { level, message } in log {
        tracing::info!(%economy, %plugin, call = %id, ?level, line = %message, "plugin");
    }
    if let Some(fault) = fault {
        tracing::warn!(%economy, %plugin, call = %id, %fault, "plugin fault");
    }
}
