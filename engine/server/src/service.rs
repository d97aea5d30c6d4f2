//! The service: it carries out requests with storage (the database file) and host (the plugin runtime).
//!
//! An act goes directly to the writer. A call runs its plugin first, in `calls` and `attempts`.

mod attempt;
pub(crate) mod attempts;
mod batches;
mod blocking;
mod call_bounds;
pub(crate) mod call_limits;
mod call_pool;
mod calls;
mod checks;
mod components;
mod conflicts;
pub mod error;
mod follower_reads;
mod followers;
mod gates;
pub(crate) mod interval;
mod keyed_shares;
mod lanes;
mod nonces;
pub(crate) mod opening_balances;
mod plugin_work;
mod preview;
mod schedules;
mod seeds;
mod shared_breaker;
mod start;
mod switch_off;
pub(crate) mod updates;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use bursar_host::PluginHost;
use bursar_ledger::{Act, Digest, EconomyId, PluginName};
use bursar_storage::{
    Answer, IdempotencyKey, Receiver, Render, Reply, Request, State, Storage, StorageError,
    StoredAnswer, Submission, SubmitError,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::service::error::ServiceError;
pub use blocking::blocking;
pub use call_bounds::CallBounds;
use call_pool::CallPool;
pub use calls::CallCommand;
pub use conflicts::ConflictCount;
use conflicts::Conflicts;
use follower_reads::FollowerReads;
use nonces::Nonces;
pub use opening_balances::{OpeningList, OpeningRow, RowOutcome, check_closed};
use plugin_work::PluginWork;
use shared_breaker::SharedBreaker;

/// The longest wait for an answer of the writer. A commit takes milliseconds, so a longer wait means a failure, and the
/// client must repeat the request with the same key.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// The name of the system economy, which records API keys and components.
pub const SYSTEM: &str = "system";

/// The service, which carries out requests with the storage and the plugin host. Clones share its parts.
#[derive(Clone)]
pub struct Service {
    parts: Arc<ServiceParts>,
}

struct ServiceParts {
    storage: Storage,
    host: PluginHost,
    render: Render,
    system: EconomyId,
    calls: CallPool,
    plugin_work: PluginWork,
    nonces: Nonces,
    conflicts: Conflicts,
    follower_reads: FollowerReads,
    breaker: SharedBreaker,
}

/// The data of a request that its record keeps.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The economy.
    pub economy: EconomyId,
    /// The name of the API key.
    pub actor: String,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The request in its canonical text.
    pub request: Request,
}

impl Service {
    /// Creates the service, and the system economy if the file is new. A server calls [`Service::bring_up`] next.
    pub async fn new(
        storage: Storage,
        host: PluginHost,
        render: Render,
        bounds: CallBounds,
    ) -> Result<Self, ServiceError> {
        let system = SYSTEM
            .parse()
            .expect("the name of the system economy is valid");
        let breaker = SharedBreaker::new(host.limits().deadline);
        let parts = ServiceParts {
            storage,
            host,
            render,
            system,
            calls: CallPool::new(bounds)?,
            plugin_work: PluginWork::default(),
            nonces: Nonces::default(),
            conflicts: Conflicts::default(),
            follower_reads: FollowerReads::new(),
            breaker,
        };
        let service = Self {
            parts: Arc::new(parts),
        };
        service.open_system().await?;
        Ok(service)
    }

    /// Returns the newest published state.
    pub fn state(&self) -> Arc<State> {
        self.parts.storage.state()
    }

    /// Returns the number of conflicts of a plugin's calls since the start of the server.
    pub fn conflicts(&self, economy: &EconomyId, plugin: &PluginName) -> ConflictCount {
        self.parts.conflicts.of(economy, plugin)
    }

    /// Returns the storage of the service.
    pub fn storage(&self) -> &Storage {
        &self.parts.storage
    }

    /// Rejects waiting calls and waits for running ones. Blocks. Returns false if a call has not ended within the limit of
    /// this wait.
    pub fn end_calls(&self) -> bool {
        self.parts.calls.stop()
    }

    /// Ends calls as [`Service::end_calls`] does, commits queued submissions and closes the file. Blocks. Returns false if
    /// the writer had given the file up before.
    pub fn stop(&self) -> bool {
        if !self.end_calls() {
            // The result of the call is lost, since the file is closed then. The next start burns the nonce of its draws.
            tracing::warn!("a call is still running; the service stops without waiting for it");
        }
        self.parts.storage.close()
    }

    /// Returns the name of the system economy, which records API keys and components.
    pub fn system(&self) -> &EconomyId {
        &self.parts.system
    }

    /// Submits an act to the writer and waits for its answer.
    pub async fn act(&self, context: RequestContext, act: Act) -> Result<Answer, ServiceError> {
        self.act_with(context, act, None).await
    }

    /// Returns the stored answer of a request that was answered before under its key. A request that is costly to parse
    /// looks this up first.
    pub async fn answered_before(
        &self,
        context: &RequestContext,
    ) -> Result<Option<Answer>, ServiceError> {
        let Some(key) = context.key.clone() else {
            return Ok(None);
        };
        self.replay(context.economy.clone(), key, context.request.clone())
            .await
    }

    /// Returns the stored answer of a key. Fails if the key was used for another request. Requests may be long, so they
    /// are compared on this thread and not on the writer's.
    async fn replay(
        &self,
        economy: EconomyId,
        key: IdempotencyKey,
        request: Request,
    ) -> Result<Option<Answer>, ServiceError> {
        let stored = self.read(move |storage| {
            let stored = storage.stored(&economy, &key)?;
            Ok(stored.map(|stored| stored.answer_to(&request)))
        });
        let answer = stored.await?.transpose();
        answer.map_err(|field| ServiceError::KeyReused { field })
    }

    async fn act_with(
        &self,
        context: RequestContext,
        act: Act,
        component: Option<(Digest, Bytes)>,
    ) -> Result<Answer, ServiceError> {
        let request = PendingRequest::of(&context);
        let reply = self.submit(submission(context, act, component)).await?;
        self.answer_of(request, reply).await
    }

    /// Turns the reply of the writer into the answer to a request.
    async fn answer_of(
        &self,
        request: PendingRequest,
        reply: Reply,
    ) -> Result<Answer, ServiceError> {
        match reply {
            Reply::Answered(answer) => Ok(answer),
            Reply::KeyReused => self.replay_or_difference(request).await,
            Reply::NoEconomy => Err(ServiceError::NoEconomy),
            Reply::Stale => Err(ServiceError::Bug("only a call can be stale")),
        }
    }

    /// Returns the stored answer of a key that is in use, or an error that names the field in which the requests differ.
    async fn replay_or_difference(&self, request: PendingRequest) -> Result<Answer, ServiceError> {
        let PendingRequest {
            economy,
            key,
            request,
        } = request;
        let key = key.ok_or(ServiceError::Bug(
            "the writer reports a reused key for a request without a key",
        ))?;
        let answer = self.replay(economy, key, request).await?;
        answer.ok_or(ServiceError::Bug(
            "the writer reports a reused key that has no stored answer",
        ))
    }

    /// Returns the stored request and answer of a key. Blocks for one small read.
    fn look_up(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, ServiceError> {
        self.parts.storage.stored(economy, key).map_err(unreadable)
    }

    /// Reads from storage on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let storage = self.parts.storage.clone();
        let result = blocking(move || read(&storage)).await?;
        result.map_err(unreadable)
    }

    async fn submit(&self, submission: Submission) -> Result<Reply, ServiceError> {
        self.receive(self.parts.storage.submit(submission)).await
    }

    /// Waits for the reply to a submission.
    async fn receive(
        &self,
        submitted: Result<Receiver, SubmitError>,
    ) -> Result<Reply, ServiceError> {
        received(submitted?, Instant::now() + ANSWER_PATIENCE).await
    }

    /// Returns the context of a request to the system economy.
    pub fn system_context(
        &self,
        actor: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> RequestContext {
        RequestContext {
            economy: self.parts.system.clone(),
            actor: actor.into(),
            key: None,
            request: Request::new(method, path, body),
        }
    }

    /// Returns the context of a request that the server itself makes to an economy.
    fn own_context(
        &self,
        economy: &EconomyId,
        method: &str,
        path: &str,
        body: &Value,
    ) -> RequestContext {
        RequestContext {
            economy: economy.clone(),
            ..self.system_context("bursar", method, path, body)
        }
    }
}

/// The part of a submitted request that is needed to look up its idempotency key.
struct PendingRequest {
    economy: EconomyId,
    key: Option<IdempotencyKey>,
    request: Request,
}

impl PendingRequest {
    fn of(context: &RequestContext) -> Self {
        Self {
            economy: context.economy.clone(),
            key: context.key.clone(),
            request: context.request.clone(),
        }
    }
}

fn submission(context: RequestContext, act: Act, component: Option<(Digest, Bytes)>) -> Submission {
    let RequestContext {
        economy,
        actor,
        key,
        request,
    } = context;
    Submission {
        economy,
        actor,
        key,
        request,
        act,
        component,
    }
}

/// Waits for a reply until a deadline.
async fn received(receiver: Receiver, deadline: Instant) -> Result<Reply, ServiceError> {
    match tokio::time::timeout_at(deadline, receiver).await {
        Ok(Ok(reply)) => Ok(reply?),
        // The writer has ended without a reply, or the deadline has passed. The submission may still be committed.
        Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown.into()),
    }
}

fn unreadable(error: StorageError) -> ServiceError {
    tracing::error!(%error, "the database file could not be read");
    ServiceError::Unreadable(error)
}
