//! The run of one call in a new store, and its outcome.

use std::time::Duration;

use bursar_ledger::{
    CallEnding, CallRequest, CallResult, Digest, Draft, DrawOrigin, Transcript, check_document,
    read_strictly,
};
use serde_json::Value;

use crate::checked_component::CheckedComponent;
use crate::limits::{
    ARGUMENTS_BYTES_MAX, DECLINE_BYTES_MAX, DECLINE_CODE_CHARS_MAX, Limits, REPLY_BYTES_MAX,
};
use crate::manifest::{EntryPoint, Manifest};
use crate::run::cpu_time::thread_cpu_time;
use crate::run::exports::Decline;
use crate::run::failure::{CallFailure, Fault, RejectedBeforeDraw, describe_error};
use crate::run::guest::{DrawOriginFn, Guest, LogLine};
use crate::run::responder::{Divergence, Responder, TranscriptReplay};
use crate::sandbox::new_store;
use crate::text::excerpt;

/// A call that has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct CallOutcome {
    /// The plugin's requests and the responses to them.
    pub transcript: Transcript,
    /// The ending: a reply, a decline, a fault, or a rejection at the first draw. Every run has the same one.
    pub ending: CallEnding,
    /// The origin of its draws, if it has drawn.
    pub origin: Option<DrawOrigin>,
    /// The fuel that the guest and its requests used.
    pub fuel: u64,
    /// The plugin's log lines.
    pub log: Vec<LogLine>,
    /// Processor time that it took: the guest's own and that of the host on its behalf.
    pub cpu: Duration,
}

impl CallOutcome {
    /// Returns the result that the ledger decides about.
    pub fn into_result(self, request: CallRequest, component: Digest) -> CallResult {
        CallResult {
            request,
            component,
            transcript: self.transcript,
            ending: self.ending,
            fuel: self.fuel,
            origin: self.origin,
        }
    }
}

/// A call that could not be finished.
///
/// It does not contain the transcript: a caller who knew the draws could decide not to repeat the call.
#[derive(Clone, PartialEq, Debug)]
pub struct FailedCall {
    /// The cause.
    pub failure: CallFailure,
    /// The origin of its draws, if it has drawn.
    pub origin: Option<DrawOrigin>,
    /// Processor time that it took: the guest's own and that of the host on its behalf.
    pub cpu: Duration,
}

/// Runs one call.
pub(crate) fn run(
    plugin: &CheckedComponent,
    limits: &Limits,
    draft: Draft,
    origin: DrawOriginFn,
) -> Result<CallOutcome, Box<FailedCall>> {
    let cpu_before = thread_cpu_time();
    let responder = Responder::Draft(Box::new(draft));
    let (result, guest) = run_guest(plugin, limits, responder, origin);
    let cpu = thread_cpu_time().saturating_sub(cpu_before);
    let Some(responder) = guest.and_then(|guest| guest.responder) else {
        return Err(Box::new(FailedCall {
            failure: CallFailure::Internal,
            origin: None,
            cpu,
        }));
    };
    let origin = responder.origin().cloned();
    match result {
        Ok(run) => Ok(CallOutcome {
            origin,
            transcript: responder.close(),
            ending: run.ending,
            fuel: run.fuel,
            log: run.log,
            cpu,
        }),
        Err(error) => Err(Box::new(FailedCall {
            failure: error.failure(),
            origin,
            cpu,
        })),
    }
}

/// A recorded call that was run again.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayedCall {
    /// The ending.
    pub ending: CallEnding,
    /// The fuel that the guest and its requests used.
    pub fuel: u64,
    /// The plugin's log lines.
    pub log: Vec<LogLine>,
}

/// The reason that a replay could not be completed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// The plugin made another request than the recorded one.
    #[error("{0}")]
    Diverged(String),
    /// The plugin ended before it had made all recorded requests.
    #[error("it ends {left} requests early")]
    Early {
        /// The number of recorded requests that it did not make.
        left: usize,
    },
    /// The run could not be finished on this machine.
    #[error(transparent)]
    Failed(#[from] CallFailure),
}

/// Runs a call again and answers its requests from the record.
pub(crate) fn replay(
    plugin: &CheckedComponent,
    limits: &Limits,
    replay: TranscriptReplay,
) -> Result<ReplayedCall, ReplayError> {
    let responder = Responder::Replay(Box::new(replay));
    let no_origin: DrawOriginFn =
        Box::new(|_| unreachable!("the draws of a replay come from the record"));
    let (result, guest) = run_guest(plugin, limits, responder, no_origin);
    let run = result.map_err(|error| match error {
        RunError::Diverged(difference) => ReplayError::Diverged(difference),
        RunError::Failed(failure) => ReplayError::Failed(failure),
    })?;
    match guest.and_then(|guest| guest.responder) {
        Some(Responder::Replay(replay)) if replay.remaining() > 0 => Err(ReplayError::Early {
            left: replay.remaining(),
        }),
        _ => Ok(run),
    }
}

/// The reason that a run could not be finished.
enum RunError {
    Failed(CallFailure),
    Diverged(String),
}

impl RunError {
    fn failure(self) -> CallFailure {
        match self {
            Self::Failed(failure) => failure,
            // Only a replay diverges, and a draft responds to every request.
            Self::Diverged(_) => CallFailure::Internal,
        }
    }
}

/// Runs a guest once. Returns the result and the state of the host, unless the store could not be created.
fn run_guest(
    plugin: &CheckedComponent,
    limits: &Limits,
    responder: Responder,
    origin: DrawOriginFn,
) -> (Result<ReplayedCall, RunError>, Option<Guest>) {
    let limits = &limits.with_fuel(responder.fuel());
    let arguments = responder.call().arguments.to_string();
    let action = responder.call().action.clone();
    let due = responder.call().due;
    let guest = Guest::for_call(responder, origin, limits);
    let Ok(mut store) = new_store(plugin.exports.engine(), guest, limits) else {
        return (Err(RunError::Failed(CallFailure::Internal)), None);
    };
    let returned = if arguments.len() > ARGUMENTS_BYTES_MAX {
        Err(Fault(format!(
            "its arguments have more than {ARGUMENTS_BYTES_MAX} bytes"
        ))
        .into())
    } else {
        match due {
            None => plugin.exports.handle(&mut store, &arguments),
            Some(due) => plugin.exports.run(&mut store, &action, due),
        }
    };
    let guest_fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let mut guest = store.into_data();
    let has_drawn = guest.responder.as_ref().is_some_and(Responder::has_drawn);
    let entry_point = match due {
        None => EntryPoint::Action(&action),
        Some(_) => EntryPoint::Schedule(&action),
    };
    let ending = match returned {
        Ok(result) => Ok(ending_of_result(
            result,
            &plugin.manifest,
            entry_point,
            has_drawn,
        )),
        Err(error) => ending_of_error(&error, has_drawn),
    };
    let run = ending.map(|ending| ReplayedCall {
        ending,
        fuel: guest_fuel.saturating_add(guest.charged),
        log: guest.take_log(),
    });
    (run, Some(guest))
}

/// Returns the ending of a call whose guest returned an error.
///
/// A stack overflow after a draw is a fault: otherwise a plugin could discard a draw by recursing without end.
fn ending_of_error(error: &wasmtime::Error, has_drawn: bool) -> Result<CallEnding, RunError> {
    if let Some(RejectedBeforeDraw(rejection)) = error.downcast_ref() {
        return Ok(CallEnding::Stopped(rejection.clone()));
    }
    if let Some(Divergence(difference)) = error.downcast_ref() {
        return Err(RunError::Diverged(difference.clone()));
    }
    let fault = match describe_error(error) {
        Err(CallFailure::StackOverflow) if has_drawn => "its stack overflowed after a draw".into(),
        Ok(fault) => fault,
        Err(failure) => return Err(RunError::Failed(failure)),
    };
    Ok(CallEnding::Faulted {
        fault: excerpt(&fault),
    })
}

/// Returns the ending of a call whose guest returned. A result that violates the contract is a fault.
fn ending_of_result(
    result: Result<String, Decline>,
    manifest: &Manifest,
    entry_point: EntryPoint<'_>,
    has_drawn: bool,
) -> CallEnding {
    let ending = match result {
        Ok(reply) => parse_reply(&reply, manifest, entry_point),
        Err(_) if has_drawn => Err("it declined after a draw".into()),
        Err(decline) => check_decline(decline),
    };
    ending.unwrap_or_else(|fault| CallEnding::Faulted {
        fault: excerpt(&fault),
    })
}

fn parse_reply(
    reply: &str,
    manifest: &Manifest,
    entry_point: EntryPoint<'_>,
) -> Result<CallEnding, String> {
    if reply.len() > REPLY_BYTES_MAX {
        return Err(format!(
            "its reply has {} bytes, of at most {REPLY_BYTES_MAX}",
            reply.len()
        ));
    }
    let reply: Value = read_strictly(reply.as_bytes())
        .map_err(|error| format!("its reply cannot be read as JSON: {error}"))?;
    // The reply is recorded, and a record must be readable again.
    check_document(&reply, REPLY_BYTES_MAX).map_err(|error| format!("its reply: {error}"))?;
    manifest
        .check_reply(entry_point, &reply)
        .map_err(|error| format!("its reply does not fit its schema at {error}"))?;
    Ok(CallEnding::Replied { reply })
}

fn check_decline(decline: Decline) -> Result<CallEnding, String> {
    let Decline { code, message } = decline;
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if code.is_empty() || code.len() > DECLINE_CODE_CHARS_MAX || !code.bytes().all(is_code) {
        return Err("the code of its decline is not 1 to 64 of [a-z0-9_]".into());
    }
    if message.len() > DECLINE_BYTES_MAX {
        return Err(format!(
            "the sentence of its decline has more than {DECLINE_BYTES_MAX} bytes"
        ));
    }
    Ok(CallEnding::Declined { code, message })
}
