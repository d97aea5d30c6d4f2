//! One call: a fresh store, one action, one end.

use std::time::Duration;

use bursar_ledger::{
    CallEnding, CallRequest, CallResult, Digest, Draft, DrawOrigin, Transcript, check_document,
    read_strictly,
};
use serde_json::Value;
use wasmtime::{Result, Store, Trap};

use crate::check::CheckedComponent;
use crate::limits::{
    ARGUMENTS_BYTES_MAX, DEADLINES_AFTER_DRAW, DECLINE_BYTES_MAX, DECLINE_CODE_CHARS_MAX,
    HANDLES_MAX, Limits, REPLY_BYTES_MAX,
};
use crate::manifest::{Manifest, Task};
use crate::run::cpu_time;
use crate::run::exports::Decline;
use crate::run::guest::{Bug, Fault, Guest, LogLine, Origin, Stopped};
use crate::run::responder::{Divergence, Responder, TranscriptReplay};
use crate::text::excerpt;

/// A call that has come to an end.
#[derive(Clone, PartialEq, Debug)]
pub struct CallOutcome {
    /// What it learned and asked.
    pub transcript: Transcript,
    /// How it ended: a reply, a decline, a fault, or before its first draw. The same in every run.
    pub ending: CallEnding,
    /// Where its draws come from, if it has drawn.
    pub origin: Option<DrawOrigin>,
    /// What it burned: the guest's fuel and what its requests cost.
    pub fuel: u64,
    /// What it wrote for the operator.
    pub log: Vec<LogLine>,
    /// Processor time that it took: the guest's own and that of the host on its behalf.
    pub cpu: Duration,
}

impl CallOutcome {
    /// The call as it is to be committed.
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

/// A call that could not be brought to an end. What it learned and drew is not told: whoever asked could
/// still think better of it.
#[derive(Clone, PartialEq, Debug)]
pub struct FailedCall {
    /// Why.
    pub failure: CallFailure,
    /// Where its draws come from, if it has drawn.
    pub origin: Option<DrawOrigin>,
    /// Processor time that it took: the guest's own and that of the host on its behalf.
    pub cpu: Duration,
}

/// Why a call could not be brought to an end. It depends on the machine and the moment, so it is
/// no outcome: nothing of it is kept but what it has drawn, and the same request may go well a
/// moment later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallFailure {
    /// It ran longer than the deadline.
    #[error("it ran into its deadline")]
    Deadline,
    /// Its calls were nested too deep for the stack, the depth of which depends on the build.
    #[error("its stack overflowed")]
    StackOverflow,
    /// No room for another instance.
    #[error("no room to run it")]
    Exhausted,
    /// A bug in the host.
    #[error("a bug in the host")]
    Internal,
}

/// A store with everything that bounds a guest set before anything of it runs.
pub(crate) fn store(
    engine: &wasmtime::Engine,
    guest: Guest,
    limits: &Limits,
) -> Result<Store<Guest>> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_fuel(limits.fuel)?;
    let ticks = limits.deadline_ticks();
    store.set_epoch_deadline(ticks);
    let after_draw = ticks.saturating_mul(DEADLINES_AFTER_DRAW);
    store.epoch_deadline_callback(move |mut store| Ok(store.data_mut().deadline_met(after_draw)));
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(HANDLES_MAX);
    Ok(store)
}

/// Runs one call to its end.
pub(crate) fn run(
    plugin: &CheckedComponent,
    limits: &Limits,
    draft: Draft,
    origin: Origin,
) -> std::result::Result<CallOutcome, Box<FailedCall>> {
    let begun = cpu_time::of_this_thread();
    let teller = Responder::Draft(Box::new(draft));
    let (ran, guest) = run_guest(plugin, limits, teller, origin);
    let cpu = cpu_time::of_this_thread().saturating_sub(begun);
    let Some(teller) = guest.and_then(|guest| guest.teller) else {
        return Err(Box::new(FailedCall {
            failure: CallFailure::Internal,
            origin: None,
            cpu,
        }));
    };
    let origin = teller.origin().cloned();
    match ran {
        Ok(ran) => Ok(CallOutcome {
            origin,
            transcript: teller.close(),
            ending: ran.ending,
            fuel: ran.fuel,
            log: ran.log,
            cpu,
        }),
        Err(broken) => Err(Box::new(FailedCall {
            failure: broken.failure(),
            origin,
            cpu,
        })),
    }
}

/// What a call came to that was run again.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayedCall {
    /// How it ended.
    pub ending: CallEnding,
    /// What it burned.
    pub fuel: u64,
    /// What it wrote for the operator.
    pub log: Vec<LogLine>,
}

/// Why a call does not go as it did before.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// It asks something else.
    #[error("{0}")]
    Diverged(String),
    /// It ends before it has asked all that it asked before.
    #[error("it ends {left} questions early")]
    Early {
        /// How many were not asked.
        left: usize,
    },
    /// It could not be brought to an end here.
    #[error(transparent)]
    Failed(#[from] CallFailure),
}

/// Runs a call again, over the answers that it was given.
pub(crate) fn repeat(
    plugin: &CheckedComponent,
    limits: &Limits,
    telling: TranscriptReplay,
) -> std::result::Result<ReplayedCall, ReplayError> {
    let teller = Responder::Record(Box::new(telling));
    let nowhere: Origin = Box::new(|_| unreachable!("a record says what was drawn"));
    let (ran, guest) = run_guest(plugin, limits, teller, nowhere);
    let ran = ran.map_err(|broken| match broken {
        RunError::Diverged(what) => ReplayError::Diverged(what),
        RunError::Failed(failure) => ReplayError::Failed(failure),
    })?;
    match guest.and_then(|guest| guest.teller) {
        Some(Responder::Record(telling)) if telling.untold() > 0 => Err(ReplayError::Early {
            left: telling.untold(),
        }),
        _ => Ok(ran),
    }
}

/// Why a run came to no end.
enum RunError {
    Failed(CallFailure),
    Diverged(String),
}

impl RunError {
    fn failure(self) -> CallFailure {
        match self {
            Self::Failed(failure) => failure,
            // A draft answers whatever it is asked.
            Self::Diverged(_) => CallFailure::Internal,
        }
    }
}

/// One run of a guest, and what is kept of it.
fn run_guest(
    plugin: &CheckedComponent,
    limits: &Limits,
    teller: Responder,
    origin: Origin,
) -> (std::result::Result<ReplayedCall, RunError>, Option<Guest>) {
    let limits = &limits.with_fuel(teller.fuel());
    let arguments = teller.call().arguments.to_string();
    let (action, due) = (teller.call().action.clone(), teller.call().due);
    let guest = Guest::called(teller, origin, limits);
    let Ok(mut store) = store(plugin.exports.engine(), guest, limits) else {
        return (Err(RunError::Failed(CallFailure::Internal)), None);
    };
    let handled = if arguments.len() > ARGUMENTS_BYTES_MAX {
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
    let burned = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let mut guest = store.into_data();
    let drew = guest.teller.as_ref().is_some_and(Responder::has_drawn);
    let task = match due {
        None => Task::Action(&action),
        Some(_) => Task::Schedule(&action),
    };
    let ending = match handled {
        Ok(answer) => Ok(judge(answer, &plugin.manifest, task, drew)),
        Err(error) => broke(&error, drew),
    };
    let ran = ending.map(|ending| ReplayedCall {
        ending,
        fuel: burned.saturating_add(guest.charged),
        log: guest.take_log(),
    });
    (ran, Some(guest))
}

/// How a broken call ended, unless it could not be brought to an end. A plugin that has drawn and then
/// calls itself without end does so to be rid of what it drew: that is its fault.
fn broke(error: &wasmtime::Error, drew: bool) -> std::result::Result<CallEnding, RunError> {
    if let Some(Stopped(rejection)) = error.downcast_ref() {
        return Ok(CallEnding::Stopped(rejection.clone()));
    }
    if let Some(Divergence(what)) = error.downcast_ref() {
        return Err(RunError::Diverged(what.clone()));
    }
    let fault = match explain(error) {
        Err(CallFailure::StackOverflow) if drew => "its stack overflowed after a draw".into(),
        Ok(fault) => fault,
        Err(failure) => return Err(RunError::Failed(failure)),
    };
    Ok(CallEnding::Faulted {
        fault: excerpt(&fault),
    })
}

/// What a guest's answer amounts to: an answer that breaks the contract is a fault.
fn judge(
    answer: std::result::Result<String, Decline>,
    manifest: &Manifest,
    task: Task<'_>,
    drew: bool,
) -> CallEnding {
    let judged = match answer {
        Ok(reply) => judge_reply(&reply, manifest, task),
        Err(_) if drew => Err("it declined after a draw".into()),
        Err(decline) => judge_decline(decline),
    };
    judged.unwrap_or_else(|fault| CallEnding::Faulted {
        fault: excerpt(&fault),
    })
}

fn judge_reply(
    reply: &str,
    manifest: &Manifest,
    task: Task<'_>,
) -> std::result::Result<CallEnding, String> {
    if reply.len() > REPLY_BYTES_MAX {
        return Err(format!(
            "its reply has {} bytes, of at most {REPLY_BYTES_MAX}",
            reply.len()
        ));
    }
    let reply: Value = read_strictly(reply.as_bytes())
        .map_err(|error| format!("its reply cannot be read as JSON: {error}"))?;
    // A record has to be read again.
    check_document(&reply, REPLY_BYTES_MAX).map_err(|error| format!("its reply: {error}"))?;
    manifest
        .check_reply(task, &reply)
        .map_err(|error| format!("its reply does not fit its schema at {error}"))?;
    Ok(CallEnding::Replied { reply })
}

fn judge_decline(decline: Decline) -> std::result::Result<CallEnding, String> {
    let Decline { code, message } = decline;
    let speaks = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if code.is_empty() || code.len() > DECLINE_CODE_CHARS_MAX || !code.bytes().all(speaks) {
        return Err("the code of its decline is not 1 to 64 of [a-z0-9_]".into());
    }
    if message.len() > DECLINE_BYTES_MAX {
        return Err(format!(
            "the sentence of its decline has more than {DECLINE_BYTES_MAX} bytes"
        ));
    }
    Ok(CallEnding::Declined { code, message })
}

/// What a broken call was: a fault, the same in every run, or a failure of ours.
pub(crate) fn explain(error: &wasmtime::Error) -> std::result::Result<String, CallFailure> {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return Ok(fault.to_string());
    }
    if let Some(bug) = error.downcast_ref::<Bug>() {
        tracing::error!(%bug, "a bug in the host");
        return Err(CallFailure::Internal);
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Err(CallFailure::Exhausted);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Err(CallFailure::Deadline),
        Some(Trap::StackOverflow) => Err(CallFailure::StackOverflow),
        Some(Trap::OutOfFuel) => Ok("it ran out of fuel".into()),
        Some(Trap::UnreachableCodeReached) => Ok("it gave up (panic or unreachable code)".into()),
        Some(trap) => Ok(format!("it trapped: {trap}")),
        // What wasmtime says without a type of its own: memory that was refused, too much copied.
        None => Ok(format!("it was stopped: {}", error.root_cause())),
    }
}
