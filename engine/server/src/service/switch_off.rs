//! The counts of failed calls, and the switch-off of plugins whose calls keep failing. A switch-off is a record of the
//! log.
//!
//! Previews are not counted. They leave no record, so a switch-off because of previews could not be explained from the
//! log. Their worker time counts for the fair queue.

use std::time::Duration;

use bursar_host::CallFailure;
use bursar_ledger::{Act, CallEnding, CallRequest, EconomyId};
use serde_json::{Value, json};

use super::Service;
use crate::breaker::{CallEnd, CallSource, CallVerdict, Trip};

/// The data of a run that the counts need.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunStats {
    /// The version of the installation that ran.
    pub(super) version: u64,
    /// The processor time of the run.
    pub(super) cpu: Duration,
}

/// Returns the verdict for an ending, or none if the plugin did not run. A broken call has none here, because it is
/// counted by its failure.
pub(super) fn verdict_of(ending: &CallEnding) -> Option<CallVerdict> {
    match ending {
        CallEnding::Replied { .. } | CallEnding::Declined { .. } | CallEnding::Stopped(_) => {
            Some(CallVerdict::Good)
        }
        CallEnding::Faulted { .. } => Some(CallVerdict::Fault),
        CallEnding::NotRun(_) | CallEnding::Broken { .. } => None,
    }
}

/// Returns the verdict for a failure, or none if the server caused it.
pub(super) fn verdict_of_failure(failure: CallFailure) -> Option<CallVerdict> {
    match failure {
        CallFailure::Deadline => Some(CallVerdict::Deadline),
        CallFailure::StackOverflow => Some(CallVerdict::Fault),
        CallFailure::Exhausted | CallFailure::Internal => None,
    }
}

impl Service {
    /// Counts the end of a call. If that switches the plugin off, it is off when this returns.
    pub(super) async fn count_end(
        &self,
        economy: &EconomyId,
        call: &CallRequest,
        verdict: Option<CallVerdict>,
        run: RunStats,
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
        if let Some(trip) = self.parts.breaker.count(end) {
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
                "a plugin was switched off, because its calls keep failing; check its faults, then PUT {path} with \
                 `enabled: true`"
            ),
            Err(error) => tracing::error!(
                %economy, %plugin, %why, %error,
                "a plugin whose calls keep failing could not be switched off; it is tried again"
            ),
        }
    }
}
