//! A call's way: from the request to a proposal, and from there to the writer.
//!
//! First the key, so that a replay never wakes a plugin. Then the plugin runs on a worker over the
//! newest snapshot, and what it learned and asked goes to the writer, which commits it or says that
//! something has changed since. Then it runs again, with the same time and the same draws, alone in
//! its plugin's lane.
//!
//! Calls are bounded in all, per economy and per plugin before anything of them is kept, and economies
//! and the plugins in them take turns at the workers: a plugin that thinks long holds up its own calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bursar_host::{Attempted, LoadedPlugin, Unfinished, WORKERS_MAX, Workers};
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
    /// Calls of an economy that a worker has or will take next.
    turns: KeyedLocks<EconomyId>,
    /// Calls of a plugin among those: one fewer, so that its neighbours always have one.
    plugin_turns: KeyedLocks<(EconomyId, PluginId)>,
    /// Calls under way, by key: the second of two waits for the answer of the first.
    flights: KeyedLocks<(EconomyId, IdempotencyKey)>,
    /// Where calls go that have met a conflict: one at a time, in order of arrival.
    pub(super) lanes: KeyedLocks<(EconomyId, PluginId)>,
}

impl Calls {
    pub(super) fn new(bounds: CallBounds) -> Result<Self, NoAnswer> {
        // One more than there are workers, so that none of them waits for the next to be sent.
        let turns = bounds.workers.saturating_add(1);
        Ok(Self {
            workers: Workers::start(bounds.workers, bounds.calls)
                .map_err(|_| NoAnswer::Bug("no threads for guests can be started"))?,
            all: Arc::new(Semaphore::new(bounds.calls)),
            per_economy: KeyedLocks::new(bounds.calls_per_economy),
            per_plugin: KeyedLocks::new(bounds.calls_per_plugin),
            turns: KeyedLocks::new(turns),
            plugin_turns: KeyedLocks::new(bounds.workers),
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
        if let Some(stored) = self.look_up(&asking.economy, &key).await? {
            let replayed = stored.answer_to(&asking.request);
            return replayed.map_err(|field| NoAnswer::KeyReused { field });
        }
        let call = calling.into_request(key.as_str(), self.now());
        let reply = self.try_until_it_commits(&asking, call, &|_| true).await?;
        self.answered(Asked::of(&asking), reply).await
    }

    /// One try of a call that is to be committed.
    pub(super) async fn try_once(
        &self,
        economy: &EconomyId,
        call: &CallRequest,
        origin: Option<DrawOrigin>,
    ) -> Result<Ran, NoAnswer> {
        let (bursar, of) = (self.clone(), economy.clone());
        let draw_from = move |books: &Books, request: &CallRequest| {
            origin.unwrap_or_else(|| bursar.parts.nonces.origin(&of, books, request))
        };
        self.run(economy, call, Books::clone, draw_from).await
    }

    /// One try of a call, when it is its plugin's and its economy's turn at a worker: over the books that are newest
    /// then, as `prepare` gives them. `draw_from` says where draws come from, if it draws.
    pub(super) async fn run(
        &self,
        economy: &EconomyId,
        call: &CallRequest,
        prepare: impl FnOnce(&Books) -> Books + Send + 'static,
        draw_from: impl FnOnce(&Books, &CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<Ran, NoAnswer> {
        let calls = &self.parts.calls;
        let of_plugin = (economy.clone(), call.plugin.clone());
        let plugin_turn = calls.plugin_turns.enter(of_plugin).await;
        let turn = calls.turns.enter(economy.clone()).await;
        let (respond, ran) = oneshot::channel();
        let (bursar, economy, call) = (self.clone(), economy.clone(), call.clone());
        let job = move || {
            let run = AssertUnwindSafe(|| {
                let state = bursar.state();
                let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
                let books = prepare(books);
                bursar.run_here(books, call, draw_from)
            });
            let bug = Err(NoAnswer::Bug("a bug was met in a call; nothing has moved"));
            drop(respond.send(catch_unwind(run).unwrap_or(bug)));
            // It is the next one's turn when the worker is free, whoever has left meanwhile.
            drop((plugin_turn, turn));
        };
        if calls.workers.submit(Box::new(job)).is_err() {
            return Err(NoAnswer::Busy);
        }
        // Without an answer the job was dropped: the service is ending.
        ran.await
            .unwrap_or(Err(NoAnswer::Writer(Failure::Unavailable)))
    }

    fn run_here(
        &self,
        books: Books,
        request: CallRequest,
        draw_from: impl FnOnce(&Books, &CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<Ran, NoAnswer> {
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
        let over = books.clone();
        let draw_from = move |request: &CallRequest| draw_from(&over, request);
        let ended = plugin.attempt(&books, request, self.now(), draw_from);
        Ok(Ran { ended, books })
    }
}

/// What one try of a call came to, and over which books.
pub(super) struct Ran {
    /// How it ended, unless it could not be brought to an end.
    pub(super) ended: Result<Attempted, Box<Unfinished>>,
    pub(super) books: Books,
}

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
