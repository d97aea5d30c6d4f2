//! Counts how calls end, and has a plugin switched off whose calls keep failing: on record, by the server.
//!
//! Previews are not counted: anybody may ask for one, they leave no record, and a switch-off that rests on
//! them could not be explained from the journal. Their time counts where turns are given.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bursar_host::CallFailure;
use bursar_ledger::{Act, CallEnding, CallRequest, EconomyId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Service;
use crate::breaker::{Breaker, CallEnd, CallSource, CallVerdict, Trip};
use crate::random;

/// The breaker of a service, with the moment from which it counts time.
pub(super) struct Breakers {
    breaker: Mutex<Breaker>,
    began: Instant,
}

impl Breakers {
    /// For calls that may take so long.
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(random::bytes(), deadline)),
            began: Instant::now(),
        }
    }

    fn note(&self, end: CallEnd) -> Option<Trip> {
        // What is counted of a plugin is whole at any time.
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.note(end, self.began.elapsed())
    }
}

/// A run of a call, as far as it speaks for or against its plugin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The version of the installation that ran.
    pub(super) version: u64,
    /// Processor time that it took.
    pub(super) cpu: Duration,
}

/// Returns the verdict of an ending on its plugin; nothing, if the plugin has not run to it.
pub(super) fn verdict_of(ending: &CallEnding) -> Option<CallVerdict> {
    match ending {
        CallEnding::Replied { .. } | CallEnding::Declined { .. } | CallEnding::Stopped(_) => {
            Some(CallVerdict::Good)
        }
        CallEnding::Faulted { .. } => Some(CallVerdict::Fault),
        CallEnding::NotRun(_) | CallEnding::Broken { .. } => None,
    }
}

/// Returns the verdict of a failure on its plugin; nothing, if it is the server's own.
pub(super) fn verdict_of_failure(failure: CallFailure) -> Option<CallVerdict> {
    match failure {
        CallFailure::Deadline => Some(CallVerdict::Deadline),
        CallFailure::StackOverflow => Some(CallVerdict::Fault),
        CallFailure::Exhausted | CallFailure::Internal => None,
    }
}

impl Service {
    /// Counts how a call ended. With the one that is once too many, its plugin is off when this returns.
    pub(super) async fn count_end(
        &self,
        economy: &EconomyId,
        call: &CallRequest,
        verdict: Option<CallVerdict>,
        run: Run,
    ) {
        let Some(verdict) = verdict else {
            return;
        };
        let source = match call.due {
            Some(_) => CallSource::Schedule(call.action.clone()),
            None => CallSource::Caller(call.caller.clone()),
        };
        let end = CallEnd {
            of: (economy.clone(), call.plugin.clone()),
            version: run.version,
            source,
            verdict,
            cpu: run.cpu,
        };
        if let Some(trip) = self.parts.breakers.note(end) {
            self.switch_off(trip).await;
        }
    }

    async fn switch_off(&self, trip: Trip) {
        let Trip {
            of: (economy, plugin),
            as_of,
            why,
        } = trip;
        let path = format!("/v1/economies/{economy}/plugins/{plugin}");
        let body = serde_json::to_value(&why).unwrap_or(Value::Null);
        let context = self.own_context(&economy, "SWITCH_OFF", &path, &body);
        let act = Act::SwitchOffPlugin {
            plugin: plugin.clone(),
            as_of,
            why: Box::new(why),
        };
        let why = json!(body);
        match self.act(context, act).await {
            Ok(_) => tracing::warn!(
                %economy, %plugin, %why,
                "a plugin was switched off, since its calls keep failing; look at its faults, then \
                 PUT {path} with `enabled: true`"
            ),
            Err(problem) => tracing::error!(
                %economy, %plugin, %why, %problem,
                "a plugin whose calls keep failing could not be switched off; it is tried again"
            ),
        }
    }
}
