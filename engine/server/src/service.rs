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
    Answer, Failure, IdempotencyKey, Receiver, Render, Reply, Request, State, Storage,
    StorageError, Stored, Submission,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::service::error::NoAnswer;
use calls::Calls;
pub use calls::{CallBounds, Calling};
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
pub struct Bursar {
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

impl Bursar {
    /// Puts the rooms together, over a file with its reserved economy. What a service does when it begins is
    /// [`Bursar::bring_up`]'s.
    pub async fn new(
        storage: Storage,
        host: PluginHost,
        render: Render,
        bounds: CallBounds,
    ) -> Result<Self, NoAnswer> {
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
        let bursar = Self {
            parts: Arc::new(parts),
        };
        bursar.open_system().await?;
        Ok(bursar)
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
    pub async fn act(&self, asking: Asking, act: Act) -> Result<Answer, NoAnswer> {
        self.act_with(asking, act, None).await
    }

    /// The answer that a request's key stands for already, for a request that takes much to understand.
    pub async fn answered_before(&self, asking: &Asking) -> Result<Option<Answer>, NoAnswer> {
        let Some(key) = asking.key.clone() else {
            return Ok(None);
        };
        self.kept(asking.economy.clone(), key, asking.request.clone())
            .await
    }

    /// The answer that is kept under a key, if the request is the one that was answered. Both may be long:
    /// they are compared here, beside the writer.
    async fn kept(
        &self,
        economy: EconomyId,
        key: IdempotencyKey,
        request: Request,
    ) -> Result<Option<Answer>, NoAnswer> {
        let compared = self.read(move |storage| {
            let stored = storage.stored(&economy, &key)?;
            Ok(stored.map(|stored| stored.answer_to(&request)))
        });
        let answer = compared.await?.transpose();
        answer.map_err(|field| NoAnswer::KeyReused { field })
    }

    /// Sends several acts to the writer, in this order, each as if it were alone. Nothing is waited
    /// for; that is [`Bursar::answers`].
    pub fn send_all(&self, asks: Vec<(Asking, Act)>) -> Vec<Sent> {
        // After one that finds no room none is sent, so that the order holds.
        let (mut sent, mut full) = (Vec::with_capacity(asks.len()), None);
        for (asking, act) in asks {
            let asked = Asked::of(&asking);
            let submitted = match full {
                Some(failure) => Err(failure),
                None => self.parts.storage.submit(submission(asking, act, None)),
            };
            full = submitted.as_ref().err().copied();
            sent.push(Sent { asked, submitted });
        }
        sent
    }

    /// The answers to what was sent, in the same order. Each may take its time after the one before it:
    /// many at once are many commits, and a writer that answers is a writer that works.
    pub async fn answers(&self, sent: Vec<Sent>) -> Vec<Result<Answer, NoAnswer>> {
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
        asking: Asking,
        act: Act,
        component: Option<(Digest, Bytes)>,
    ) -> Result<Answer, NoAnswer> {
        let asked = Asked::of(&asking);
        let reply = self.submit(submission(asking, act, component)).await?;
        self.answered(asked, reply).await
    }

    /// What a plain act comes to.
    async fn answered(&self, asked: Asked, reply: Reply) -> Result<Answer, NoAnswer> {
        match reply {
            Reply::Answered(answer) => Ok(answer),
            Reply::KeyReused => self.difference(asked).await,
            Reply::NoEconomy => Err(NoAnswer::NoEconomy),
            Reply::Stale => Err(NoAnswer::Bug("only a call can be stale")),
        }
    }

    /// The answer to a request whose key is in use, or in what it differs from the one that the key stands for.
    async fn difference(&self, asked: Asked) -> Result<Answer, NoAnswer> {
        let Asked {
            economy,
            key,
            request,
        } = asked;
        let key = key.ok_or(NoAnswer::Bug("without a key none can be reused"))?;
        let kept = self.kept(economy, key, request).await?;
        kept.ok_or(NoAnswer::Bug("a key stands for a request that is not kept"))
    }

    /// The answer that is kept under a key. Blocks for one small read.
    fn look_up(
        &self,
        economy: &EconomyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Stored>, NoAnswer> {
        self.parts.storage.stored(economy, key).map_err(unreadable)
    }

    /// Reads something from the file, on a thread where that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let storage = self.parts.storage.clone();
        let read = blocking(move || read(&storage)).await?;
        read.map_err(unreadable)
    }

    async fn submit(&self, submission: Submission) -> Result<Reply, NoAnswer> {
        self.receive(self.parts.storage.submit(submission)).await
    }

    /// Waits for what the writer makes of something that was sent.
    async fn receive(&self, sent: Result<Receiver, Failure>) -> Result<Reply, NoAnswer> {
        received(sent?, Instant::now() + ANSWER_PATIENCE).await
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

    /// What the server asks of an economy by itself.
    fn own_asking(&self, economy: &EconomyId, method: &str, path: &str, body: &Value) -> Asking {
        Asking {
            economy: economy.clone(),
            ..self.system_asking("bursar", method, path, body)
        }
    }
}

/// An act that was sent to the writer, if there was room.
pub struct Sent {
    asked: Asked,
    submitted: Result<Receiver, Failure>,
}

/// What is kept of a request while it is under way, to find out what became of its key.
struct Asked {
    economy: EconomyId,
    key: Option<IdempotencyKey>,
    request: Request,
}

impl Asked {
    fn of(asking: &Asking) -> Self {
        Self {
            economy: asking.economy.clone(),
            key: asking.key.clone(),
            request: asking.request.clone(),
        }
    }
}

fn submission(asking: Asking, act: Act, component: Option<(Digest, Bytes)>) -> Submission {
    let Asking {
        economy,
        actor,
        key,
        request,
    } = asking;
    Submission {
        economy,
        actor,
        key,
        request,
        act,
        component,
    }
}

async fn received(receiver: Receiver, deadline: Instant) -> Result<Reply, NoAnswer> {
    match tokio::time::timeout_at(deadline, receiver).await {
        Ok(Ok(reply)) => Ok(reply?),
        // The writer ended without an answer, or is taking too long.
        Ok(Err(_)) | Err(_) => Err(Failure::Unknown.into()),
    }
}

/// Runs what blocks on a thread where it may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| NoAnswer::Bug("the work broke off; nothing has moved"))
}

fn unreadable(error: StorageError) -> NoAnswer {
    tracing::error!(%error, "a read failed");
    NoAnswer::Unreadable(error)
}
