//! The one place that knows both storage and host: how a request becomes an answer.
//!
//! A plain act goes straight to the writer. A call comes by here twice: it looks its key up, so
//! that a replay never wakes a plugin; runs on a worker over the newest snapshot; and what it
//! learned and asked goes to the writer, which commits it or says that something has changed since.
//! Then it runs again, with the same time and the same draws, alone in its plugin's lane.

use std::sync::Arc;
use std::time::Duration;

use bursar_host::{CallFailure, LoadedPlugin, PluginHost, Workers};
use bursar_ledger::{
    Act, CallRequest, CallResult, Digest, Draft, EconomyId, Ending, PluginId, SpendLimit,
    Transcript,
};
use bursar_storage::{
    Answer, Clock, Failure, IdempotencyKey, Receiver, Reply, Request, State, Storage, StorageError,
    Submission,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::keyed_locks::KeyedLocks;
use crate::no_answer::NoAnswer;
use crate::{bundled, random};

/// How long an answer is waited for. A commit takes milliseconds; beyond this something is wrong,
/// and the client asks again with the same key.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// How often a call runs before it is given up as a conflict: once freely, then in its lane.
const TRIES_MAX: usize = 8;

/// Calls that wait for a worker.
const CALLS_WAITING_MAX: usize = 1024;

/// The economy in which keys and components are recorded.
pub const SYSTEM: &str = "system";

/// Everything that answers requests. Cloning shares it.
#[derive(Clone)]
pub struct Bursar {
    parts: Arc<Parts>,
}

struct Parts {
    storage: Storage,
    host: PluginHost,
    workers: Workers,
    clock: Clock,
    system: EconomyId,
    /// Calls under way, by key: the second of two waits for the answer of the first.
    flights: KeyedLocks<(EconomyId, IdempotencyKey)>,
    /// Where calls go that have met a conflict: one at a time, in order of arrival.
    lanes: KeyedLocks<(EconomyId, PluginId)>,
}

/// Who asks, for what, under which key.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Whose books it is for.
    pub economy: EconomyId,
    /// The API key that asks.
    pub actor: String,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// What was asked, in its canonical text.
    pub request: Request,
}

/// A call that is asked for.
#[derive(Clone, Debug)]
pub struct Calling {
    /// Which plugin.
    pub plugin: PluginId,
    /// Which action.
    pub action: String,
    /// On whose behalf.
    pub caller: bursar_ledger::AccountId,
    /// The action's arguments.
    pub arguments: Value,
    /// The most that may leave the caller.
    pub spend_limit: Option<SpendLimit>,
}

/// What a worker has done with a call.
enum Ran {
    /// Its key was used before.
    Before(bursar_storage::Stored),
    /// It has ended and can be submitted.
    Ended(Box<CallResult>),
}

impl Bursar {
    /// Puts the rooms together and prepares every installed plugin.
    pub async fn new(
        storage: Storage,
        host: PluginHost,
        clock: Clock,
        workers: usize,
    ) -> Result<Self, NoAnswer> {
        let workers = Workers::start(workers, CALLS_WAITING_MAX)
            .map_err(|_| NoAnswer::Bug("no threads for guests can be started"))?;
        let system = SYSTEM
            .parse()
            .expect("the name of the system economy is a name");
        let (flights, lanes) = (KeyedLocks::new(), KeyedLocks::new());
        let parts = Parts {
            storage,
            host,
            workers,
            clock,
            system,
            flights,
            lanes,
        };
        let bursar = Self {
            parts: Arc::new(parts),
        };
        bursar.open_system().await?;
        bursar.prepare_plugins().await;
        Ok(bursar)
    }

    /// The newest published state.
    pub fn state(&self) -> Arc<State> {
        self.parts.storage.state()
    }

    /// The room that remembers.
    pub fn storage(&self) -> &Storage {
        &self.parts.storage
    }

    /// Ends calls under way, serves what is queued and closes the file. Blocks until that is done.
    /// False if the file had been given up before.
    pub fn stop(&self) -> bool {
        self.parts.workers.stop();
        self.parts.storage.close()
    }

    /// The economy in which keys and components are recorded.
    pub fn system(&self) -> &EconomyId {
        &self.parts.system
    }

    /// Has an act decided and committed, and waits for its answer.
    pub async fn act(&self, asking: Asking, act: Act) -> Result<Answer, NoAnswer> {
        self.act_with(asking, act, None).await
    }

    async fn act_with(
        &self,
        asking: Asking,
        act: Act,
        component: Option<(Digest, Bytes)>,
    ) -> Result<Answer, NoAnswer> {
        let Asking {
            economy,
            actor,
            key,
            request,
        } = asking;
        let submission = Submission {
            economy,
            actor,
            key,
            request,
            act,
            component,
        };
        match self.submit(submission).await? {
            Reply::Answered(answer) => Ok(answer),
            Reply::KeyReused { field } => Err(NoAnswer::KeyReused { field }),
            Reply::NoEconomy => Err(NoAnswer::NoEconomy),
            Reply::Stale => Err(NoAnswer::Bug("only a call can be stale")),
        }
    }

    async fn submit(&self, submission: Submission) -> Result<Reply, NoAnswer> {
        let receiver: Receiver = self.parts.storage.submit(submission)?;
        match tokio::time::timeout(ANSWER_PATIENCE, receiver).await {
            Ok(Ok(reply)) => Ok(reply?),
            // The writer ended without an answer, or is taking too long.
            Ok(Err(_)) | Err(_) => Err(Failure::Unknown.into()),
        }
    }

    /// Runs an action of a plugin and commits what it asked for.
    ///
    /// It goes on even if whoever asked does not wait: a connection that drops must not decide
    /// whether a bet is kept.
    pub async fn call(&self, asking: Asking, calling: Calling) -> Result<Answer, NoAnswer> {
        let bursar = self.clone();
        let call = tokio::spawn(async move { bursar.call_to_the_end(asking, calling).await });
        call.await
            .unwrap_or_else(|_| Err(NoAnswer::Bug("the call broke off; ask again")))
    }

    async fn call_to_the_end(&self, asking: Asking, calling: Calling) -> Result<Answer, NoAnswer> {
        let Some(key) = asking.key.clone() else {
            return Err(NoAnswer::Bug("a call has a key"));
        };
        let _flight = self
            .parts
            .flights
            .enter((asking.economy.clone(), key.clone()))
            .await;
        let call = CallRequest {
            id: random::call_id(),
            plugin: calling.plugin,
            action: calling.action,
            caller: calling.caller,
            arguments: calling.arguments,
            spend_limit: calling.spend_limit,
            key: key.as_str().into(),
            now: (self.parts.clock)().max(self.state().recorded_at()),
        };
        let mut lane = None;
        for attempt in 0..TRIES_MAX {
            if attempt == 1 {
                let name = (asking.economy.clone(), call.plugin.clone());
                lane = Some(self.parts.lanes.enter(name).await);
            }
            let result = match self.run(&asking.economy, &key, &call).await? {
                Ran::Before(stored) => return replayed(&asking.request, stored),
                Ran::Ended(result) => result,
            };
            let submission = Submission {
                economy: asking.economy.clone(),
                actor: asking.actor.clone(),
                key: Some(key.clone()),
                request: asking.request.clone(),
                act: Act::Call(result),
                component: None,
            };
            match self.submit(submission).await? {
                Reply::Answered(answer) => return Ok(answer),
                Reply::KeyReused { field } => return Err(NoAnswer::KeyReused { field }),
                Reply::NoEconomy => return Err(NoAnswer::NoEconomy),
                Reply::Stale => {
                    tracing::debug!(plugin = %call.plugin, call = %call.id, attempt, "conflict");
                }
            }
        }
        drop(lane);
        tracing::warn!(plugin = %call.plugin, call = %call.id, "gave up after conflicts");
        Err(NoAnswer::Conflict)
    }

    /// One try of a call, on a worker: the key first, then the plugin over the newest snapshot.
    async fn run(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
        call: &CallRequest,
    ) -> Result<Ran, NoAnswer> {
        let (respond, ran) = oneshot::channel();
        let bursar = self.clone();
        let (economy, key, call) = (economy.clone(), key.clone(), call.clone());
        let job = move || drop(respond.send(bursar.run_here(&economy, &key, call)));
        if self.parts.workers.submit(Box::new(job)).is_err() {
            return Err(NoAnswer::Busy);
        }
        ran.await
            .unwrap_or_else(|_| Err(NoAnswer::Bug("the host broke off; nothing has moved")))
    }

    fn run_here(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
        request: CallRequest,
    ) -> Result<Ran, NoAnswer> {
        let stored = self
            .parts
            .storage
            .stored(economy, key)
            .map_err(unreadable)?;
        if let Some(stored) = stored {
            return Ok(Ran::Before(stored));
        }
        let state = self.state();
        let books = state.books(economy).ok_or(NoAnswer::NoEconomy)?;
        let component = books
            .plugin(&request.plugin)
            .map(|plugin| plugin.component)
            .ok_or_else(|| NoAnswer::NoPlugin(request.plugin.clone()))?;
        let plugin = self.loaded(&component)?;
        // Only now: a key that was used under an earlier version of the plugin has its answer.
        check_fits(&plugin, &request)?;
        let result = match Draft::open(books, &request) {
            Err(rejection) => CallResult {
                request,
                component,
                transcript: Transcript::default(),
                ending: Ending::NotRun(rejection),
                fuel: 0,
            },
            Ok(draft) => run_guest(&plugin, draft, component, request)?,
        };
        Ok(Ran::Ended(Box::new(result)))
    }

    /// A component that is ready to run; compiled now if it is not. Blocks.
    pub fn loaded(&self, component: &Digest) -> Result<Arc<LoadedPlugin>, NoAnswer> {
        if let Some(plugin) = self.parts.host.get(component) {
            return Ok(plugin);
        }
        let bytes = self
            .parts
            .storage
            .component(component)
            .map_err(unreadable)?;
        let bytes = bytes.ok_or(NoAnswer::NoComponent(*component))?;
        self.parts
            .host
            .load(*component, &bytes)
            .map_err(NoAnswer::Refused)
    }

    /// A component that is ready to run, from a thread that must not block.
    pub async fn load(&self, component: Digest) -> Result<Arc<LoadedPlugin>, NoAnswer> {
        if let Some(plugin) = self.parts.host.get(&component) {
            return Ok(plugin);
        }
        let bursar = self.clone();
        blocking(move || bursar.loaded(&component)).await?
    }

    /// Checks a component and registers it. Asking twice is asking once: its digest is its name.
    pub async fn add_component(&self, actor: &str, bytes: Bytes) -> Result<Answer, NoAnswer> {
        let host = self.parts.host.clone();
        let digest = Digest::of(&bytes);
        let loaded = {
            let bytes = bytes.clone();
            blocking(move || host.load(digest, &bytes)).await?
        };
        let loaded = loaded.map_err(NoAnswer::Refused)?;
        let manifest = loaded.manifest();
        let act = Act::AddComponent {
            digest,
            bytes: bytes.len() as u64,
            name: manifest.id.to_string(),
            version: manifest.version.clone(),
        };
        let body = serde_json::json!({ "component": digest });
        let asking = self.system_asking(actor, "POST", "/v1/components", &body);
        self.act_with(asking, act, Some((digest, bytes))).await
    }

    /// The digest of a bundled plugin, which is registered if it is not yet.
    pub async fn add_bundled(&self, actor: &str, name: &str) -> Result<Digest, NoAnswer> {
        let Some(bundled) = bundled::find(name) else {
            let names: Vec<_> = bundled::PLUGINS
                .iter()
                .map(|bundled| bundled.name)
                .collect();
            let (name, known) = (name.into(), names.join(", "));
            return Err(NoAnswer::NotBundled { name, known });
        };
        let digest = Digest::of(bundled.bytes);
        let known = self.state().books(self.system()).cloned();
        if !known.is_some_and(|system| system.components().contains_key(&digest)) {
            self.add_component(actor, Bytes::from_static(bundled.bytes))
                .await?;
        }
        Ok(digest)
    }

    /// An act upon the reserved economy.
    pub fn system_asking(&self, actor: &str, method: &str, path: &str, body: &Value) -> Asking {
        Asking {
            economy: self.parts.system.clone(),
            actor: actor.into(),
            key: None,
            request: Request::new(method, path, body),
        }
    }

    async fn open_system(&self) -> Result<(), NoAnswer> {
        if self.state().books(self.system()).is_none() {
            let asking = self.system_asking("bursar", "START", "/", &Value::Null);
            self.act(
                asking,
                Act::OpenEconomy {
                    seed: random::seed(),
                },
            )
            .await?;
        }
        Ok(())
    }

    /// Compiles what is installed before the first call wants it. What does not load is reported
    /// and answers 503 when it is called; it must not keep the money from moving.
    async fn prepare_plugins(&self) {
        let state = self.state();
        let books = state.economies().values();
        let installed: std::collections::BTreeSet<Digest> = books
            .flat_map(|books| books.plugins().values().map(|plugin| plugin.component))
            .collect();
        for component in installed {
            if let Err(problem) = self.load(component).await {
                tracing::error!(%component, %problem, "a plugin does not load");
            }
        }
    }
}

/// Runs what blocks on a thread where it may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| NoAnswer::Bug("the work broke off; nothing has moved"))
}

/// Whether the plugin has such an action, and takes such arguments.
fn check_fits(plugin: &LoadedPlugin, request: &CallRequest) -> Result<(), NoAnswer> {
    let manifest = plugin.manifest();
    if manifest.action(&request.action).is_none() {
        return Err(NoAnswer::NoAction(request.plugin.clone()));
    }
    manifest
        .check_arguments(&request.action, &request.arguments)
        .map_err(NoAnswer::Arguments)
}

/// One run of a plugin, to its end.
fn run_guest(
    plugin: &LoadedPlugin,
    draft: Draft,
    component: Digest,
    request: CallRequest,
) -> Result<CallResult, NoAnswer> {
    let finished = plugin
        .run(draft)
        .map_err(|failure| call_failed(&request, failure))?;
    for line in &finished.log {
        tracing::info!(
            plugin = %request.plugin,
            call = %request.id,
            level = ?line.level,
            message = %line.message,
            "plugin"
        );
    }
    if let Ending::Faulted { fault } = &finished.ending {
        tracing::warn!(plugin = %request.plugin, call = %request.id, %fault, "plugin fault");
    }
    let (transcript, ending, fuel) = (finished.transcript, finished.ending, finished.fuel);
    Ok(CallResult {
        request,
        component,
        transcript,
        ending,
        fuel,
    })
}

fn replayed(request: &Request, stored: bursar_storage::Stored) -> Result<Answer, NoAnswer> {
    match request.difference(&stored.request) {
        Some(field) => Err(NoAnswer::KeyReused { field }),
        None => Ok(Answer {
            status: stored.status,
            body: stored.body,
            replayed: true,
        }),
    }
}

fn unreadable(error: StorageError) -> NoAnswer {
    tracing::error!(%error, "a read failed");
    NoAnswer::Unreadable(error)
}

/// A call that could not be brought to an end is no outcome: nothing of it is kept.
fn call_failed(call: &CallRequest, failure: CallFailure) -> NoAnswer {
    tracing::warn!(plugin = %call.plugin, call = %call.id, %failure, "a call failed");
    NoAnswer::CallFailed(failure)
}
