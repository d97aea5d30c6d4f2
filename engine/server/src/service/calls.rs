//! A call's way: from the request to a proposal, and from there to the writer.
//!
//! On a worker the key comes first, so that a replay never wakes a plugin. Then the plugin runs over the
//! newest snapshot, and what it learned and asked goes from there to the writer, which commits it or says
//! that something has changed since. Then it runs again, with the same time and the same draws, alone in
//! its plugin's lane.
//!
//! Calls are bounded in all, per economy and per plugin before anything of them is kept (`places`), and in the
//! time for which they wait. Economies and the plugins in them take turns at the workers by the time that
//! they use (`workers`): a plugin that thinks long holds up its own calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bursar_host::{CallAttempt, FailedCall, LoadedPlugin, WORKERS_MAX};
use bursar_ledger::{
    AccountId, Books, CallRequest, DrawOrigin, EconomyId, PluginName, SpendLimit, Timestamp,
    TransferCap,
};
use bursar_storage::{Answer, IdempotencyKey, SubmitError};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::call_limits::{CallLimiter, Place};
use super::gates::Gates;
use super::workers::{Busy, Workers};
use super::{PendingRequest, RequestContext, Service};
use crate::keyed_locks::KeyedLocks;
use crate::random;
use crate::service::error::ServiceError;

/// Threads on which plugins run, also on a machine with fewer cores: who has a single one is waited for.
const WORKERS_MIN: usize = 2;

/// Places for calls, of all economies together.
const CALLS_MAX: usize = 4_096;

/// Places for calls of one economy.
const CALLS_PER_ECONOMY_MAX: usize = 1_536;

/// Places for calls of one plugin in one economy: twice a crowd of 512.
const CALLS_PER_PLUGIN_MAX: usize = 1_024;

/// The longest wait of a call to be begun. Most clients have given up by then.
const CALL_WAIT: Duration = Duration::from_secs(30);

/// The most calls at the same time, and their longest wait.
///
/// A call takes one place for each KiB of its request, or part of one, from the moment that it is let in
/// until it has ended. One that finds no place is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallBounds {
    /// Threads on which plugins run.
    pub workers: usize,
    /// Places of all economies together.
    pub calls: usize,
    /// Places of one economy. It also never has more than it leaves free, so that however few economies
    /// keep the server busy, there is room for one more.
    pub calls_per_economy: usize,
    /// Places of one plugin in one economy.
    pub calls_per_plugin: usize,
    /// The longest wait of a call to be begun; then it is turned away.
    pub wait: Duration,
}

impl CallBounds {
    /// The bounds of a server. Plugins get all cores but one, so that the writer and the API always have
    /// somewhere to run, but at least [`WORKERS_MIN`] threads and at most [`WORKERS_MAX`].
    pub fn standard() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores.saturating_sub(1).clamp(WORKERS_MIN, WORKERS_MAX),
            calls: CALLS_MAX,
            calls_per_economy: CALLS_PER_ECONOMY_MAX,
            calls_per_plugin: CALLS_PER_PLUGIN_MAX,
            wait: CALL_WAIT,
        }
    }
}

/// The time that the end of the service gives to calls that run: longer than the deadline of one that has not
/// drawn.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What calls share.
pub(super) struct Calls {
    workers: Workers,
    places: CallLimiter,
    wait: Duration,
    /// Calls under way, by key: the second of two waits for the answer of the first.
    in_flight: KeyedLocks<(EconomyId, IdempotencyKey)>,
    /// Where calls go that have met a conflict: one at a time, in order of arrival.
    pub(super) lanes: KeyedLocks<(EconomyId, PluginName)>,
    /// Through which the calls of a plugin pass when they run, so that one can be alone.
    pub(super) gates: Gates,
}

impl Calls {
    pub(super) fn new(bounds: CallBounds) -> Result<Self, ServiceError> {
        Ok(Self {
            workers: Workers::start(bounds.workers, bounds.calls)
                .map_err(|_| ServiceError::Bug("no threads for guests can be started"))?,
            places: CallLimiter::new(&bounds),
            wait: bounds.wait,
            in_flight: KeyedLocks::new(1),
            lanes: KeyedLocks::new(1),
            gates: Gates::new(),
        })
    }

    /// Drops what waits, and waits a while for what runs. False if something was still running then.
    pub(super) fn stop(&self) -> bool {
        self.workers.stop(STOP_PATIENCE)
    }

    /// Until when a call that arrives now may wait to be begun.
    pub(super) fn patience(&self) -> Instant {
        Instant::now() + self.wait
    }
}

/// A call that is asked for.
#[derive(Clone, Debug)]
pub struct CallCommand {
    /// Which plugin.
    pub plugin: PluginName,
    /// Which action.
    pub action: String,
    /// On whose behalf.
    pub caller: AccountId,
    /// The action's arguments.
    pub arguments: Value,
    /// The caller's roles, as the bot says.
    pub roles: Vec<String>,
    /// The most that may leave the caller.
    pub spend_limit: Option<SpendLimit>,
    /// The most that the key that asks may move.
    pub cap: Option<TransferCap>,
}

impl CallCommand {
    /// The call as the host runs it: the same in every try.
    pub(super) fn into_request(self, key: &str, now: Timestamp) -> CallRequest {
        CallRequest {
            id: random::call_id(),
            plugin: self.plugin,
            action: self.action,
            caller: self.caller,
            arguments: self.arguments,
            roles: self.roles,
            due: None,
            spend_limit: self.spend_limit,
            cap: self.cap,
            key: key.into(),
            now,
        }
    }
}

impl Service {
    /// Runs an action of a plugin and commits what it asked for.
    ///
    /// It goes on even if whoever asked does not wait: a connection that drops must not decide
    /// whether a bet is kept.
    pub async fn call(
        &self,
        context: RequestContext,
        calling: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let Some(key) = context.key.clone() else {
            return Err(ServiceError::Bug("a call has a key"));
        };
        let bytes = context.request.as_str().len();
        let place = self.admit(&context.economy, &calling.plugin, bytes)?;
        let service = self.clone();
        let call = tokio::spawn(async move {
            let _place = place;
            service.call_to_the_end(context, key, calling).await
        });
        call.await
            .unwrap_or_else(|_| Err(ServiceError::Bug("the call broke off; ask again")))
    }

    /// A place for a call whose request has so many bytes, before anything of it is kept.
    pub(super) fn admit(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        bytes: usize,
    ) -> Result<Place, ServiceError> {
        let place = self.parts.calls.places.take(economy, plugin, bytes);
        place.ok_or(ServiceError::Busy)
    }

    async fn call_to_the_end(
        &self,
        context: RequestContext,
        key: IdempotencyKey,
        calling: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let until = self.parts.calls.patience();
        let flight = (context.economy.clone(), key.clone());
        let _in_flight = self.parts.calls.in_flight.enter(flight).await;
        let call = calling.into_request(key.as_str(), self.now());
        let reply = self
            .try_until_it_commits(&context, call, until, &|_| true)
            .await?;
        self.answered(PendingRequest::of(&context), reply).await
    }

    /// Has something done on a worker, when it is the turn of a plugin and its economy. If that is not
    /// `until` then, it is not done.
    pub(super) async fn on_worker<T: Send + 'static>(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        until: Option<Instant>,
        work: impl FnOnce(&Self) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (respond, mut done) = oneshot::channel();
        let service = self.clone();
        let job = move || {
            let bug = Err(ServiceError::Bug(
                "a bug was met in a call; nothing has moved",
            ));
            let worked = catch_unwind(AssertUnwindSafe(|| work(&service)));
            drop(respond.send(worked.unwrap_or(bug)));
        };
        let workers = &self.parts.calls.workers;
        let submitted = workers.submit(economy, plugin, Box::new(job));
        let submitted = submitted.map_err(|Busy| ServiceError::Busy)?;
        let in_time = match until {
            Some(until) => timeout_at(until, &mut done).await.ok(),
            None => None,
        };
        let done = match in_time {
            Some(done) => done,
            None if until.is_some() && workers.take_back(&submitted) => {
                return Err(ServiceError::Busy);
            }
            // It may wait, or it has begun: then it comes to an end.
            None => done.await,
        };
        // Without an answer the job was dropped: the service is ending.
        done.unwrap_or(Err(ServiceError::Writer(SubmitError::Unavailable)))
    }

    /// Runs a call over these books, on this very thread. `draw_from` says where draws come from, if it
    /// draws.
    pub(super) fn run_here(
        &self,
        books: &Arc<Books>,
        request: CallRequest,
        draw_from: impl FnOnce(&Books, &CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<Ended, ServiceError> {
        let component = books
            .plugin(&request.plugin)
            .map(|plugin| plugin.installation.component)
            .ok_or_else(|| ServiceError::NoPlugin(request.plugin.clone()))?;
        let plugin = self
            .loaded(&component)
            .map_err(|no_answer| match no_answer {
                ServiceError::Compiling | ServiceError::CompilerBusy => no_answer,
                no_answer => {
                    tracing::error!(plugin = %request.plugin, problem = %no_answer, "does not load");
                    ServiceError::NotLoaded
                }
            })?;
        check_fits(&plugin, &request)?;
        let over = Arc::clone(books);
        let draw_from = move |request: &CallRequest| draw_from(&over, request);
        Ok(plugin.attempt(books, request, self.now(), draw_from))
    }
}

/// How a call has ended, unless it could not be brought to an end.
pub(super) type Ended = Result<CallAttempt, Box<FailedCall>>;

/// Whether the plugin has such an action, and takes such arguments.
fn check_fits(plugin: &LoadedPlugin, request: &CallRequest) -> Result<(), ServiceError> {
    let manifest = plugin.manifest();
    if request.due.is_some() {
        // What is due is in the books because the manifest names it.
        return Ok(());
    }
    if manifest.action(&request.action).is_none() {
        return Err(ServiceError::NoAction(request.plugin.clone()));
    }
    manifest
        .check_arguments(&request.action, &request.arguments)
        .map_err(ServiceError::Arguments)
}
