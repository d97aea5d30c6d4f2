//! One call: a fresh store, one action, one end.

use bursar_ledger::{Draft, DrawOrigin, Ending, Transcript};
use serde_json::Value;
use wasmtime::{Result, Store, Trap};

use crate::bindings::PluginPre;
use crate::bindings::exports::bursar::plugin::handler::Decline;
use crate::guest::{Fault, Guest, LogLine, Origin, Stopped, told};
use crate::limits::{
    ARGUMENTS_BYTES_MAX, DECLINE_BYTES_MAX, DECLINE_CODE_CHARS_MAX, HANDLES_MAX, Limits,
    REPLY_BYTES_MAX,
};
use crate::manifest::Manifest;

/// A call that has come to an end.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// What it learned and asked.
    pub transcript: Transcript,
    /// How it ended: a reply, a decline, a fault, or before its first draw. The same in every run.
    pub ending: Ending,
    /// Where its draws come from, if it has drawn.
    pub origin: Option<DrawOrigin>,
    /// What it burned: the guest's fuel and what its requests cost.
    pub fuel: u64,
    /// What it wrote for the operator.
    pub log: Vec<LogLine>,
}

/// A call that could not be brought to an end, and how far it came.
#[derive(Clone, PartialEq, Debug)]
pub struct Unfinished {
    /// Why.
    pub failure: CallFailure,
    /// What it had learned and asked by then.
    pub transcript: Transcript,
    /// Where its draws come from, if it has drawn.
    pub origin: Option<DrawOrigin>,
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
    store.set_epoch_deadline(limits.deadline_ticks());
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(HANDLES_MAX);
    Ok(store)
}

/// Runs one call to its end.
pub(crate) fn run(
    plugin: &PluginPre<Guest>,
    manifest: &Manifest,
    limits: &Limits,
    draft: Draft,
    origin: Origin,
) -> std::result::Result<Finished, Box<Unfinished>> {
    let limits = &limits.with_fuel(draft.plugin().grants.fuel);
    let arguments = draft.call().arguments.to_string();
    let action = draft.call().action.clone();
    let mut store = store(
        plugin.engine(),
        Guest::called(draft, origin, limits),
        limits,
    )
    .map_err(|_| Box::new(unfinished(CallFailure::Internal, None)))?;
    let handled = if arguments.len() > ARGUMENTS_BYTES_MAX {
        Err(Fault(format!(
            "its arguments have more than {ARGUMENTS_BYTES_MAX} bytes"
        ))
        .into())
    } else {
        plugin.instantiate(&mut store).and_then(|instance| {
            instance
                .bursar_plugin_handler()
                .call_handle(&mut store, &arguments)
        })
    };
    let burned = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let guest = store.into_data();
    let Some(draft) = guest.draft else {
        return Err(Box::new(unfinished(CallFailure::Internal, None)));
    };
    let ending = match handled {
        Ok(answer) => judge(answer, manifest, &action, draft.has_drawn()),
        Err(error) => match broke(&error, draft.has_drawn()) {
            Ok(ending) => ending,
            Err(failure) => return Err(Box::new(unfinished(failure, Some(draft)))),
        },
    };
    let origin = draft.origin().cloned();
    Ok(Finished {
        origin,
        transcript: draft.close(),
        ending,
        fuel: burned.saturating_add(guest.charged),
        log: guest.log,
    })
}

fn unfinished(failure: CallFailure, draft: Option<Draft>) -> Unfinished {
    let origin = draft.as_ref().and_then(Draft::origin).cloned();
    Unfinished {
        failure,
        origin,
        transcript: draft.map(Draft::close).unwrap_or_default(),
    }
}

/// How a broken call ended, unless it could not be brought to an end. A plugin that has drawn and then
/// calls itself without end does so to be rid of what it drew: that is its fault.
fn broke(error: &wasmtime::Error, drew: bool) -> std::result::Result<Ending, CallFailure> {
    if let Some(Stopped(rejection)) = error.downcast_ref() {
        return Ok(Ending::Stopped(rejection.clone()));
    }
    let fault = match explain(error) {
        Err(CallFailure::StackOverflow) if drew => "its stack overflowed after a draw".into(),
        Ok(fault) => fault,
        Err(failure) => return Err(failure),
    };
    Ok(Ending::Faulted {
        fault: told(&fault),
    })
}

/// What a guest's answer amounts to: an answer that breaks the contract is a fault.
fn judge(
    answer: std::result::Result<String, Decline>,
    manifest: &Manifest,
    action: &str,
    drew: bool,
) -> Ending {
    let judged = match answer {
        Ok(reply) => judge_reply(&reply, manifest, action),
        Err(_) if drew => Err("it declined after a draw".into()),
        Err(decline) => judge_decline(decline),
    };
    judged.unwrap_or_else(|fault| Ending::Faulted {
        fault: told(&fault),
    })
}

fn judge_reply(
    reply: &str,
    manifest: &Manifest,
    action: &str,
) -> std::result::Result<Ending, String> {
    if reply.len() > REPLY_BYTES_MAX {
        return Err(format!(
            "its reply has {} bytes, of at most {REPLY_BYTES_MAX}",
            reply.len()
        ));
    }
    let reply: Value =
        serde_json::from_str(reply).map_err(|error| format!("its reply is not JSON: {error}"))?;
    manifest
        .check_reply(action, &reply)
        .map_err(|error| format!("its reply does not fit its schema at {error}"))?;
    Ok(Ending::Replied { reply })
}

fn judge_decline(decline: Decline) -> std::result::Result<Ending, String> {
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
    Ok(Ending::Declined { code, message })
}

/// What a broken call was: a fault, the same in every run, or a failure of ours.
pub(crate) fn explain(error: &wasmtime::Error) -> std::result::Result<String, CallFailure> {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return Ok(fault.to_string());
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
