//! The one place that knows both storage and host: how a request becomes an answer.
//!
//! A plain act goes straight to the writer; a call takes the way in `calls`.

pub(crate) mod attempts;
pub(crate) mod call_limits;
mod calls;
mod checks;
mod components;
mod conflicts;
pub mod error;
mod followers;
mod gates;
pub(crate) mod interval;
mod nonces;
pub(crate) mod opening_balances;
mod preview;
mod schedules;
mod seeds;
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
use calls::Calls;
pub use calls::{CallBounds, CallCommand};
use checks::Checks;
pub use conflicts::ConflictCount;
use conflicts::Conflicts;
use followers::FollowerReads;
use nonces::Nonces;
pub use opening_balances::{OpeningList, OpeningRow, RowOutcome, check_closed};
use switch_off::Breakers;

/// How long an answer is waited for. A commit takes milliseconds; beyond this something is wrong,
/// and the client asks again with the same key.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// The economy in which keys and components are recorded.
pub const SYSTEM: &str = "system";

/// Everything that answers requests. Cloning shares it.
#[derive(Clone)]
pub struct Service {
    parts: Arc<Parts>,
}

struct Parts {
    storage: Storage,
    host: PluginHost,
    render: Render,
    system: EconomyId,
    calls: Calls,
    checks: Checks,
    nonces: Nonces,
    conflicts: Conflicts,
    follower_reads: FollowerReads,
    breakers: Breakers,
}

/// Who asks, for what, under which key.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Whose books it is for.
    pub economy: EconomyId,
    /// The API key that asks.
    pub actor: String,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// What was asked, in its canonical text.
    pub request: Request,
}

impl Service {
    /// Puts the rooms together, over a file with its reserved economy. What a service does when it begins is
    /// [`Service::bring_up`]'s.
    pub async fn new(
        storage: Storage,
        host: PluginHost,
        render: Render,
        bounds: CallBounds,
    ) -> Result<Self, ServiceError> {
        let system = SYSTEM
            .parse()
            .expect("the name of the system economy is a name");
        let breakers = Breakers::new(host.limits().deadline);
        let parts = Parts {
            storage,
            host,
            render,
            system,
            calls: Calls::new(bounds)?,
            checks: Checks::default(),
            nonces: Nonces::default(),
            conflicts: Conflicts::default(),
            follower_reads: FollowerReads::new(),
            breakers,
        };
        let service = Self {
            parts: Arc::new(parts),
        };
        service.open_system().await?;
        Ok(service)
    }

    /// The newest published state.
    pub fn state(&self) -> Arc<State> {
        self.parts.storage.state()
    }

    /// How often calls of a plugin met a conflict since the server has started.
    pub fn conflicts(&self, economy: &EconomyId, plugin: &PluginName) -> ConflictCount {
        self.parts.conflicts.of(economy, plugin)
    }

    /// The room that remembers.
    pub fn storage(&self) -> &Storage {
        &self.parts.storage
    }

    /// Ends calls under way. Blocks until that is done, but not for a plugin that does not end: then
    /// false.
    pub fn end_calls(&self) -> bool {
        self.parts.calls.stop()
    }

    /// Ends calls under way, serves what is queued and closes the file. Blocks until that is done, but not
    /// for a plugin that does not end. False if the file had been given up before.
    pub fn stop(&self) -> bool {
        if !self.end_calls() {
            // What it comes to finds the file closed; what it has drawn is burned at the next start.
            tracing::warn!("a plugin is still running; the service ends without it");
        }
        self.parts.storage.close()
    }

    /// The economy in which keys and components are recorded.
    pub fn system(&self) -> &EconomyId {
        &self.parts.system
    }

    /// Has an act decided and committed, and waits for its answer.
    pub async fn act(&self, context: RequestContext, act: Act) -> Result<Answer, ServiceError> {
        self.act_with(context, act, None).await
    }

    /// The answer that a request's key stands for already, for a request that takes much to understand.
    pub async fn answered_before(
        &self,
        context: &RequestContext,
    ) -> Result<Option<Answer>, ServiceError> {
        let Some(key) = context.key.clone() else {
            return Ok(None);
        };
        self.kept(context.economy.clone(), key, context.request.clone())
            .await
    }

    /// The answer that is kept under a key, if the request is the one that was answered. Both may be long:
    /// they are compared here, beside the writer.
    async fn kept(
        &self,
        economy: EconomyId,
        key: IdempotencyKey,
        request: Request,
    ) -> Result<Option<Answer>, ServiceError> {
        let compared = self.read(move |storage| {
            let stored = storage.stored(&economy, &key)?;
            Ok(stored.map(|stored| stored.answer_to(&request)))
        });
        let answer = compared.await?.transpose();
        answer.map_err(|field| ServiceError::KeyReused { field })
    }

    /// Sends several acts to the writer, in this order, each as if it were alone. Nothing is waited
    /// for; that is [`Service::answers`].
    pub fn send_all(&self, asks: Vec<(RequestContext, Act)>) -> Vec<Sent> {
        // After one that finds no room none is sent, so that the order holds.
        let (mut sent, mut full) = (Vec::with_capacity(asks.len()), None);
        for (context, act) in asks {
            let asked = PendingRequest::of(&context);
            let submitted = match full {
                Some(failure) => Err(failure),
                None => self.parts.storage.submit(submission(context, act, None)),
            };
            full = submitted.as_ref().err().copied();
            sent.push(Sent { asked, submitted });
        }
        sent
    }

    /// The answers to what was sent, in the same order. Each may take its time after the one before it:
    /// many at once are many commits, and a writer that answers is a writer that works.
    pub async fn answers(&self, sent: Vec<Sent>) -> Vec<Result<Answer, ServiceError>> {
        let mut deadline = Instant::now() + ANSWER_PATIENCE;
        let mut answers = Vec::with_capacity(sent.len());
        for Sent { asked, submitted } in sent {
            let reply = match submitted {
                Ok(receiver) => received(receiver, deadline).await,
                Err(failure) => Err(failure.into()),
            };
            answers.push(match reply {
                Ok(reply) => {
                    deadline = Instant::now() + ANSWER_PATIENCE;
                    self.answered(asked, reply).await
                }
                Err(no_answer) => Err(no_answer),
            });
        }
        answers
    }

    async fn act_with(
        &self,
        context: RequestContext,
        act: Act,
        component: Option<(Digest, Bytes)>,
    ) -> Result<Answer, ServiceError> {
        let asked = PendingRequest::of(&context);
        let reply = self.submit(submission(context, act, component)).await?;
        self.answered(asked, reply).await
    }

    /// What a plain act comes to.
    async fn answered(&self, asked: PendingRequest, reply: Reply) -> Result<Answer, ServiceError> {
        match reply {
            Reply::Answered(answer) => Ok(answer),
            Reply::KeyReused => self.difference(asked).await,
            Reply::NoEconomy => Err(ServiceError::NoEconomy),
            Reply::Stale => Err(ServiceError::Bug("only a call can be stale")),
        }
    }

    /// The answer to a request whose key is in use, or in what it differs from the one that the key stands for.
    async fn difference(&self, asked: PendingRequest) -> Result<Answer, ServiceError> {
        let PendingRequest {
            economy,
            key,
            request,
        } = asked;
        let key = key.ok_or(ServiceError::Bug("without a key none can be reused"))?;
        let kept = self.kept(economy, key, request).await?;
        kept.ok_or(ServiceError::Bug(
            "a key stands for a request that is not kept",
        ))
    }

    /// The answer that is kept under a key. Blocks for one small read.
    fn look_up(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<StoredAnswer>, ServiceError> {
        self.parts.storage.stored(economy, key).map_err(unreadable)
    }

    /// Reads something from the file, on a thread where that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let storage = self.parts.storage.clone();
        let read = blocking(move || read(&storage)).await?;
        read.map_err(unreadable)
    }

    async fn submit(&self, submission: Submission) -> Result<Reply, ServiceError> {
        self.receive(self.parts.storage.submit(submission)).await
    }

    /// Waits for what the writer makes of something that was sent.
    async fn receive(&self, sent: Result<Receiver, SubmitError>) -> Result<Reply, ServiceError> {
        received(sent?, Instant::now() + ANSWER_PATIENCE).await
    }

    /// An act upon the reserved economy.
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

    /// What the server asks of an economy by itself.
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

/// An act that was sent to the writer, if there was room.
pub struct Sent {
    asked: PendingRequest,
    submitted: Result<Receiver, SubmitError>,
}

/// What is kept of a request while it is under way, to find out what became of its key.
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

async fn received(receiver: Receiver, deadline: Instant) -> Result<Reply, ServiceError> {
    match tokio::time::timeout_at(deadline, receiver).await {
        Ok(Ok(reply)) => Ok(reply?),
        // The writer ended without an answer, or is taking too long.
        Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown.into()),
    }
}

/// Runs what blocks on a thread where it may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ServiceError::Bug("the work broke off; nothing has moved"))
}

fn unreadable(error: StorageError) -> ServiceError {
    tracing::error!(%error, "a read failed");
    ServiceError::Unreadable(error)
}
