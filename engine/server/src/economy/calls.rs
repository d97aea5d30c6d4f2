//! A call's way: from the request to a proposal, and from there to the writer.
//!
//! On a worker the key comes first, so that a replay never wakes a plugin. Then the plugin runs over the
//! newest snapshot, and what it learned and asked goes from there to the writer, which commits it or says
//! that something has changed since. Then it runs again, with the same time and the same draws, alone in
//! its plugin's lane.
//!
//! Calls are bounded in all, per economy and per plugin before anything of them is kept, and economies
//! and the plugins in them take turns at the workers: a plugin that thinks long holds up its own calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bursar_host::{Attempted, Busy, LoadedPlugin, Unfinished, WORKERS_MAX, Workers};
use bursar_ledger::{
    AccountId, Books, CallRequest, DrawOrigin, EconomyId, PluginId, SpendLimit, Timestamp,
    TransferCap,
};
use bursar_storage::{Answer, Failure, IdempotencyKey};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Asked, Asking, Bursar};
use crate::keyed_locks::{KeyedGuard, KeyedLocks};
use crate::no_answer::NoAnswer;
use crate::random;

/// How many calls there may be at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallBounds {
    /// Threads on which plugins run.
    pub workers: usize,
    /// Calls under way, of all economies together; one more is turned away.
    pub calls: usize,
    /// Calls under way in one economy; one more is turned away.
    pub calls_per_economy: usize,
    /// Calls under way of one plugin in one economy; one more is turned away.
    pub calls_per_plugin: usize,
}

impl CallBounds {
    /// The bounds of a server: plugins get all cores but one, so that the writer and the API always
    /// have somewhere to run, and at most [`WORKERS_MAX`]; 512 calls, 256 of them in one economy
    /// and 192 of one plugin there.
    pub fn standard() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores.saturating_sub(1).clamp(1, WORKERS_MAX),
            calls: 512,
            calls_per_economy: 256,
            calls_per_plugin: 192,
        }
    }
}

/// What calls share.
pub(super) struct Calls {
    workers: Workers,
    all: Arc<Semaphore>,
    per_economy: KeyedLocks<EconomyId>,
    per_plugin: KeyedLocks<(EconomyId, PluginId)>,
    /// Calls under way, by key: the second of two waits for the answer of the first.
    flights: KeyedLocks<(EconomyId, IdempotencyKey)>,
    /// Where calls go that have met a conflict: one at a time, in order of arrival.
    pub(super) lanes: KeyedLocks<(EconomyId, PluginId)>,
}

impl Calls {
    pub(super) fn new(bounds: CallBounds) -> Result<Self, NoAnswer> {
        Ok(Self {
            workers: Workers::start(bounds.workers, bounds.calls)
                .map_err(|_| NoAnswer::Bug("no threads for guests can be started"))?,
            all: Arc::new(Semaphore::new(bounds.calls)),
            per_economy: KeyedLocks::new(bounds.calls_per_economy),
            per_plugin: KeyedLocks::new(bounds.calls_per_plugin),
            flights: KeyedLocks::new(1),
            lanes: KeyedLocks::new(1),
        })
    }

    /// Ends what runs and drops what waits.
    pub(super) fn stop(&self) {
        self.workers.stop();
    }
}

/// A place for a call. It is free again when this is dropped.
pub(super) struct Admitted {
    _in_all: OwnedSemaphorePermit,
    _of_economy: KeyedGuard<EconomyId>,
    _of_plugin: KeyedGuard<(EconomyId, PluginId)>,
}

/// A call that is asked for.
#[derive(Clone, Debug)]
pub struct Calling {
    /// Which plugin.
    pub plugin: PluginId,
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

impl Calling {
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

impl Bursar {
    /// Runs an action of a plugin and commits what it asked for.
    ///
    /// It goes on even if whoever asked does not wait: a connection that drops must not decide
    /// whether a bet is kept.
    pub async fn call(&self, asking: Asking, calling: Calling) -> Result<Answer, NoAnswer> {
        let Some(key) = asking.key.clone() else {
            return Err(NoAnswer::Bug("a call has a key"));
        };
        let admitted = self.admit(&asking.economy, &calling.plugin)?;
        let bursar = self.clone();
        let call = tokio::spawn(async move {
            let _admitted = admitted;
            bursar.call_to_the_end(asking, key, calling).await
        });
        call.await
            .unwrap_or_else(|_| Err(NoAnswer::Bug("the call broke off; ask again")))
    }

    /// A place for a call, in all, in its economy and of its plugin, before anything of it is kept.
    pub(super) fn admit(
        &self,
        economy: &EconomyId,
        plugin: &PluginId,
    ) -> Result<Admitted, NoAnswer> {
        let calls = &self.parts.calls;
        let in_all = Arc::clone(&calls.all).try_acquire_owned();
        let of_plugin = (economy.clone(), plugin.clone());
        Ok(Admitted {
            _in_all: in_all.map_err(|_| NoAnswer::Busy)?,
            _of_economy: calls
                .per_economy
                .try_enter(economy.clone())
                .ok_or(NoAnswer::Busy)?,
            _of_plugin: calls
                .per_plugin
                .try_enter(of_plugin)
                .ok_or(NoAnswer::Busy)?,
        })
    }

    async fn call_to_the_end(
        &self,
        asking: Asking,
        key: IdempotencyKey,
        calling: Calling,
    ) -> Result<Answer, NoAnswer> {
        let flight = (asking.economy.clone(), key.clone());
        let _flight = self.parts.calls.flights.enter(flight).await;
        let call = calling.into_request(key.as_str(), self.now());
        let reply = self.try_until_it_commits(&asking, call, &|_| true).await?;
        self.answered(Asked::of(&asking), reply).await
    }

    /// Has something done on a worker, when it is the turn of a plugin and its economy.
    pub(super) async fn on_worker<T: Send + 'static>(
        &self,
        economy: &EconomyId,
        plugin: &PluginId,
        work: impl FnOnce(&Self) -> Result<T, NoAnswer> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (respond, done) = oneshot::channel();
        let bursar = self.clone();
        let job = move || {
            let bug = Err(NoAnswer::Bug("a bug was met in a call; nothing has moved"));
            let worked = catch_unwind(AssertUnwindSafe(|| work(&bursar)));
            drop(respond.send(worked.unwrap_or(bug)));
        };
        let workers = &self.parts.calls.workers;
        let submitted = workers.submit(economy, plugin, Box::new(job));
        submitted.map_err(|Busy| NoAnswer::Busy)?;
        // Without an answer the job was dropped: the service is ending.
        done.await
            .unwrap_or(Err(NoAnswer::Writer(Failure::Unavailable)))
    }

    /// Runs a call over these books, on this very thread. `draw_from` says where draws come from, if it
    /// draws.
    pub(super) fn run_here(
        &self,
        books: &Arc<Books>,
        request: CallRequest,
        draw_from: impl FnOnce(&Books, &CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<Ended, NoAnswer> {
        let component = books
            .plugin(&request.plugin)
            .map(|plugin| plugin.installation.component)
            .ok_or_else(|| NoAnswer::NoPlugin(request.plugin.clone()))?;
        let plugin = self
            .loaded(&component)
            .map_err(|no_answer| match no_answer {
                NoAnswer::Compiling | NoAnswer::CompilerBusy => no_answer,
                no_answer => {
                    tracing::error!(plugin = %request.plugin, problem = %no_answer, "does not load");
                    NoAnswer::NotLoaded
                }
            })?;
        check_fits(&plugin, &request)?;
        let over = Arc::clone(books);
        let draw_from = move |request: &CallRequest| draw_from(&over, request);
        Ok(plugin.attempt(books, request, self.now(), draw_from))
    }
}

/// How a call has ended, unless it could not be brought to an end.
pub(super) type Ended = Result<Attempted, Box<Unfinished>>;

/// Whether the plugin has such an action, and takes such arguments.
fn check_fits(plugin: &LoadedPlugin, request: &CallRequest) -> Result<(), NoAnswer> {
    let manifest = plugin.manifest();
    if request.due.is_some() {
        // What is due is in the books because the manifest names it.
        return Ok(());
    }
    if manifest.action(&request.action).is_none() {
        return Err(NoAnswer::NoAction(request.plugin.clone()));
    }
    manifest
        .check_arguments(&request.action, &request.arguments)
        .map_err(NoAnswer::Arguments)
}
