//! Calls of plugins, from the request to the commit.
//!
//! A worker first looks up the idempotency key, so that a replay runs no plugin. Then the plugin runs on the newest
//! snapshot, and the worker submits its reads and requests to the writer. The writer commits them, or reports that a read
//! is stale. A stale call runs again, with the same time and the same draws, in the lane of its plugin (`attempts`, `lanes`).
//!
//! The number of calls is limited in total, for each economy and for each plugin before a call takes memory
//! (`call_limits`), and the time for which a call may wait is limited too. Economies, and the plugins in them, share the
//! workers fairly by the worker time that they use (`workers`), so a plugin with long calls delays mostly its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bursar_host::{CallAttempt, FailedCall, LoadedPlugin};
use bursar_ledger::{
    AccountId, Books, CallRequest, DrawOrigin, EconomyId, PluginName, SpendLimit, Timestamp,
    TransferCap,
};
use bursar_storage::{Answer, IdempotencyKey, SubmitError};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::call_limits::CallPermit;
use super::workers::QueueFull;
use super::{PendingRequest, RequestContext, Service};
use crate::random;
use crate::service::error::ServiceError;

/// A requested call.
#[derive(Clone, Debug)]
pub struct CallCommand {
    /// The name of the plugin.
    pub plugin: PluginName,
    /// The name of the action.
    pub action: String,
    /// The account of the caller.
    pub caller: AccountId,
    /// The arguments of the action.
    pub arguments: Value,
    /// The caller's roles, as the bot states them.
    pub roles: Vec<String>,
    /// The most that the call may debit from the caller.
    pub spend_limit: Option<SpendLimit>,
    /// The transfer cap of the API key.
    pub cap: Option<TransferCap>,
}

impl CallCommand {
    /// Creates the request to the host, which all attempts share.
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
    /// Runs an action of a plugin and commits its effects.
    ///
    /// The call runs on a task of its own and is completed even if the request is cancelled: a client must not be able to
    /// undo a bet by closing its connection.
    pub async fn call(
        &self,
        context: RequestContext,
        command: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let Some(key) = context.key.clone() else {
            return Err(ServiceError::Bug("a call has no idempotency key"));
        };
        let bytes = context.request.as_str().len();
        let permit = self.admit(&context.economy, &command.plugin, bytes)?;
        let service = self.clone();
        let call = tokio::spawn(async move {
            let _permit = permit;
            service.complete_call(context, key, command).await
        });
        call.await.unwrap_or_else(|_| {
            Err(ServiceError::Bug(
                "the call panicked; repeat the request with the same key",
            ))
        })
    }

    /// Takes the places of a call with a request of `bytes` bytes. Fails with [`ServiceError::Busy`] if they are not free.
    pub(super) fn admit(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        bytes: usize,
    ) -> Result<CallPermit, ServiceError> {
        let permit = self.parts.calls.limiter.try_acquire(economy, plugin, bytes);
        permit.ok_or(ServiceError::Busy)
    }

    async fn complete_call(
        &self,
        context: RequestContext,
        key: IdempotencyKey,
        command: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let until = self.parts.calls.start_deadline();
        let flight = (context.economy.clone(), key.clone());
        let _in_flight = self.parts.calls.in_flight.enter(flight).await;
        let call = command.into_request(key.as_str(), self.now());
        let reply = self
            .run_until_committed(&context, call, until, &|_| true)
            .await?;
        self.answer_of(PendingRequest::of(&context), reply).await
    }

    /// Runs work on a worker, in the queue of a plugin. Fails with [`ServiceError::Busy`] if it has not started at
    /// `until`.
    pub(super) async fn on_worker<T: Send + 'static>(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        until: Option<Instant>,
        work: impl FnOnce(&Self) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (sender, mut receiver) = oneshot::channel();
        let service = self.clone();
        let job = move || {
            // A panic must become an error here: if the sender were dropped, the call would look like one that was
            // rejected because the service stops.
            let panicked = Err(ServiceError::Bug(
                "a call panicked in the server; nothing has moved",
            ));
            let result = catch_unwind(AssertUnwindSafe(|| work(&service)));
            drop(sender.send(result.unwrap_or(panicked)));
        };
        let workers = &self.parts.calls.workers;
        let ticket = workers.submit(economy, plugin, Box::new(job));
        let ticket = ticket.map_err(|QueueFull| ServiceError::Busy)?;
        let in_time = match until {
            Some(until) => timeout_at(until, &mut receiver).await.ok(),
            None => None,
        };
        let result = match in_time {
            Some(result) => result,
            None if until.is_some() && workers.cancel(&ticket) => {
                return Err(ServiceError::Busy);
            }
            // There is no limit, or the work has started and completes.
            None => receiver.await,
        };
        // The sender is dropped without a result if the workers drop the job, because the service stops.
        result.unwrap_or(Err(ServiceError::Writer(SubmitError::Unavailable)))
    }

    /// Runs a call on books, on the current thread. `draw_from` returns the origin of draws and is called at the first
    /// draw.
    pub(super) fn run_here(
        &self,
        books: &Arc<Books>,
        request: CallRequest,
        draw_from: impl FnOnce(&Books, &CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<RunResult, ServiceError> {
        let component = books
            .plugin(&request.plugin)
            .map(|plugin| plugin.installation.component)
            .ok_or_else(|| ServiceError::NoPlugin(request.plugin.clone()))?;
        let plugin = self.loaded(&component).map_err(|error| match error {
            ServiceError::Compiling | ServiceError::CompilerBusy => error,
            error => {
                tracing::error!(
                    plugin = %request.plugin, %component, %error,
                    "the component of a plugin cannot be loaded, so its calls fail"
                );
                ServiceError::NotLoaded
            }
        })?;
        check_request(&plugin, &request)?;
        let snapshot = Arc::clone(books);
        let draw_from = move |request: &CallRequest| draw_from(&snapshot, request);
        Ok(plugin.attempt(books, request, self.now(), draw_from))
    }
}

/// The result of a run, or its failure to complete.
pub(super) type RunResult = Result<CallAttempt, Box<FailedCall>>;

/// Checks that a plugin has the requested action and accepts the arguments.
fn check_request(plugin: &LoadedPlugin, request: &CallRequest) -> Result<(), ServiceError> {
    let manifest = plugin.manifest();
    if request.due.is_some() {
        // Only schedules that the manifest names are in the books, and they have no arguments.
        return Ok(());
    }
    if manifest.action(&request.action).is_none() {
        return Err(ServiceError::NoAction(request.plugin.clone()));
    }
    manifest
        .check_arguments(&request.action, &request.arguments)
        .map_err(ServiceError::Arguments)
}
