//! A call's tries: until it commits, or comes to nothing.
//!
//! All of them have the same time and the same draws. The first runs freely, each further one alone in its
//! plugin's lane, and the later ones while no other call of the plugin runs at all: then only others than the
//! plugin's own calls can overtake it. However it ends, what was drawn in any of them is on record then; and nothing that
//! could tell of it has left the process before.

use bursar_host::{Attempted, CallFailure, LogLine, Unfinished};
use bursar_ledger::{
    Act, Books, CallRequest, CallResult, Digest, DrawOrigin, EconomyId, Ending, Transcript,
};
use bursar_storage::{Failure, Receiver, Reply, Stored};
use tokio::time::{Instant, timeout_at};

use super::switch_off::{Run, verdict_of, verdict_of_failure};
use super::{Asking, Bursar, submission};
use crate::service::error::NoAnswer;

/// How often a call runs before it is given up as a conflict: once freely, then in its lane.
const TRIES_MAX: usize = 8;

/// The first try for which no other call of the plugin runs. Those before it cost the others nothing; but
/// where all calls of a plugin change the same thing, as bids do, each may be overtaken every time.
const ALONE_FROM: usize = 3;

/// What one try of a call came to.
enum Tried {
    /// Its key had an answer before.
    Known(Stored),
    /// It could not be brought to an end.
    Unfinished(Box<Unfinished>, Run),
    /// It has ended, and the writer has it.
    Sent(Sent),
}

/// A call that was sent to the writer.
struct Sent {
    /// Where its draws come from, if it has drawn in this try or an earlier one.
    origin: Option<DrawOrigin>,
    ending: Ending,
    /// What the plugin wrote for the operator. It may tell what was drawn.
    log: Vec<LogLine>,
    run: Run,
    reply: Result<Receiver, Failure>,
}

impl Bursar {
    /// Runs a call until it commits, as long as it is wanted. It waits `until` then to be begun, and before
    /// its first draw to be begun again.
    pub(super) async fn try_until_it_commits(
        &self,
        asking: &Asking,
        call: CallRequest,
        until: Instant,
        wanted: &(dyn Fn(&Books) -> bool + Send + Sync),
    ) -> Result<Reply, NoAnswer> {
        let mut drawn = None;
        let tried = self.tries(asking, &call, until, wanted, &mut drawn).await;
        match (&tried, drawn) {
            (Ok(Reply::Answered(_)), _) => self.parts.nonces.forget(&asking.economy, &call),
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy) | Err(_), None) => {}
            (Ok(Reply::Stale | Reply::KeyReused | Reply::NoEconomy), Some(origin)) => {
                let ending = Ending::Broken {
                    failure: "it was not wanted any more".into(),
                    by_plugin: false,
                };
                self.keep_draws(asking, call, origin, ending).await;
            }
            (Err(problem), Some(origin)) => {
                self.keep_draws(asking, call, origin, broken_by(problem))
                    .await;
            }
        }
        tried
    }

    async fn tries(
        &self,
        asking: &Asking,
        call: &CallRequest,
        until: Instant,
        wanted: &(dyn Fn(&Books) -> bool + Send + Sync),
        drawn: &mut Option<DrawOrigin>,
    ) -> Result<Reply, NoAnswer> {
        let (economy, conflicts) = (&asking.economy, &self.parts.conflicts);
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
            let tried = self.try_once(asking, call, attempt, until, drawn.clone());
            let sent = match tried.await? {
                Tried::Known(stored) => {
                    let answer = stored.answer_to(&asking.request);
                    let answer = answer.map_err(|field| NoAnswer::KeyReused { field })?;
                    return Ok(Reply::Answered(answer));
                }
                Tried::Unfinished(unfinished, run) => {
                    tracing::warn!(
                        %economy, plugin = %call.plugin, call = %call.id,
                        failure = %unfinished.failure, "a call could not be brought to an end"
                    );
                    // What was drawn in an earlier try is drawn, whatever this one came to.
                    *drawn = unfinished.origin.or_else(|| drawn.take());
                    let verdict = verdict_of_failure(unfinished.failure);
                    self.count_end(economy, call, verdict, run).await;
                    return Err(NoAnswer::CallFailed(unfinished.failure));
                }
                Tried::Sent(sent) => sent,
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
            let books = state.books(economy).ok_or(NoAnswer::NoEconomy)?;
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
        Err(NoAnswer::Conflict)
    }

    /// One try of a call. The key is looked up before the first; what the plugin comes to goes to the
    /// writer from the worker itself, without waiting for anybody.
    async fn try_once(
        &self,
        asking: &Asking,
        call: &CallRequest,
        attempt: usize,
        until: Option<Instant>,
        drawn: Option<DrawOrigin>,
    ) -> Result<Tried, NoAnswer> {
        let (of, asking, request) = (asking.economy.clone(), asking.clone(), call.clone());
        let work = move |bursar: &Self| {
            let economy = asking.economy.clone();
            if let Some(key) = asking.key.as_ref().filter(|_| attempt == 0)
                && let Some(stored) = bursar.look_up(&economy, key)?
            {
                return Ok(Tried::Known(stored));
            }
            let state = bursar.state();
            let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
            let version = books
                .plugin(&request.plugin)
                .map_or(0, |found| found.version);
            let (first, nonces) = (drawn.clone(), bursar.clone());
            let draw_from = move |books: &Books, request: &CallRequest| {
                first.unwrap_or_else(|| nonces.parts.nonces.origin(&economy, books, request))
            };
            let Attempted {
                mut result,
                log,
                cpu,
            } = match bursar.run_here(books, request, draw_from)? {
                Ok(attempted) => attempted,
                Err(unfinished) => {
                    let cpu = unfinished.cpu;
                    return Ok(Tried::Unfinished(unfinished, Run { version, cpu }));
                }
            };
            result.origin = result.origin.or(drawn);
            let (origin, ending) = (result.origin.clone(), result.ending.clone());
            let act = Act::Call(Box::new(result));
            let reply = bursar.parts.storage.submit(submission(asking, act, None));
            Ok(Tried::Sent(Sent {
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
        asking: &Asking,
        call: CallRequest,
        origin: DrawOrigin,
        ending: Ending,
    ) {
        let economy = &asking.economy;
        let keyless = Asking {
            key: None,
            ..asking.clone()
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
        let asking = self.seeds_asking(economy, "BURN");
        if let Err(problem) = self.act(asking, Act::BurnNonces { nonces }).await {
            tracing::warn!(%economy, %problem, "a nonce is burned at the next start");
        }
    }
}

/// The latest moment of the wait.
async fn no_later<T>(
    until: Option<Instant>,
    waiting: impl Future<Output = T>,
) -> Result<T, NoAnswer> {
    match until {
        Some(until) => {
            let waited = timeout_at(until, waiting).await;
            waited.map_err(|_| NoAnswer::Busy)
        }
        None => Ok(waiting.await),
    }
}

/// How a call has ended that has drawn and has no answer. A plugin can think until its deadline, or read
/// what somebody else keeps changing, only when it has lost: so either counts like a fault.
fn broken_by(problem: &NoAnswer) -> Ending {
    let (failure, by_plugin) = match problem {
        NoAnswer::CallFailed(failure) => {
            let by_plugin = match failure {
                CallFailure::Deadline | CallFailure::StackOverflow => true,
                CallFailure::Exhausted | CallFailure::Internal => false,
            };
            (failure.to_string(), by_plugin)
        }
        NoAnswer::Conflict => (problem.to_string(), true),
        problem => (problem.to_string(), false),
    };
    Ending::Broken { failure, by_plugin }
}

/// What a plugin has to say to the operator: once it is on record.
fn tell(economy: &EconomyId, call: &CallRequest, ending: &Ending, log: &[LogLine]) {
    let (plugin, id) = (&call.plugin, call.id);
    for LogLine { level, message } in log {
        tracing::info!(%economy, %plugin, call = %id, ?level, line = %message, "plugin");
    }
    if let Ending::Faulted { fault } = ending {
        tracing::warn!(%economy, %plugin, call = %id, %fault, "plugin fault");
    }
}
