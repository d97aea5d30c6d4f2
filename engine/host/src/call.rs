//! One call: a fresh store, one action, one end.

use bursar_ledger::{Answer, Ask, CallRequest, Draft, Ending, Transcript};
use serde::Serialize;
use serde_json::Value;
use wasmtime::{Result, Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::bindings::PluginPre;
use crate::bindings::exports::bursar::plugin::handler::Decline;
use crate::imports::{Counts, Fault};
use crate::limits::{
    ARGUMENTS_BYTES_MAX, DECLINE_BYTES_MAX, DECLINE_CODE_CHARS_MAX, FAULT_CHARS_MAX, INSTANCES_MAX,
    LOG_BYTES_MAX, Limits, MEMORIES_MAX, REPLY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::manifest::Manifest;
use crate::sandbox::HANDLES;

/// How loud a line of a plugin's is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever writes the plugin.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth looking at.
    Warn,
    /// Wrong.
    Error,
}

/// A line that a plugin wrote for the operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// What it says, with control characters escaped.
    pub message: String,
}

/// A call that has come to an end.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// What it learned and asked.
    pub transcript: Transcript,
    /// How it ended: a reply, a decline, or a fault. The same in every run.
    pub ending: Ending,
    /// What it burned: the guest's fuel and what its requests cost.
    pub fuel: u64,
    /// What it wrote for the operator.
    pub log: Vec<LogLine>,
}

/// A call that could not be brought to an end. It depends on the machine and the moment, so it is
/// no outcome: nothing of it is kept, and the same request may go well a moment later.
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

/// What the host keeps for a guest while it runs.
pub(crate) struct Guest {
    /// None while it only describes itself.
    draft: Option<Draft>,
    pub(crate) counts: Counts,
    charged: u64,
    budget: u64,
    log: Vec<LogLine>,
    log_bytes: usize,
    limits: StoreLimits,
}

impl Guest {
    pub(crate) fn new(draft: Option<Draft>, limits: &Limits) -> Self {
        let store_limits = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(TABLE_ELEMENTS_MAX)
            .instances(INSTANCES_MAX)
            .memories(MEMORIES_MAX)
            .tables(TABLES_MAX)
            // A guest that is refused memory could go on and do something else in each run.
            .trap_on_grow_failure(true)
            .build();
        Self {
            draft,
            counts: Counts::default(),
            charged: 0,
            budget: limits.fuel,
            log: Vec::new(),
            log_bytes: 0,
            limits: store_limits,
        }
    }

    /// Asks the draft.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Answer> {
        let describing = || Fault("it asked for something while describing itself".into());
        Ok(self.draft.as_mut().ok_or_else(describing)?.perform(ask))
    }

    /// What was asked of the plugin.
    pub(crate) fn call(&self) -> Result<&CallRequest> {
        let describing = || Fault("it asked about a call while describing itself".into());
        Ok(self.draft.as_ref().ok_or_else(describing)?.call())
    }

    /// The operator's configuration, as JSON.
    pub(crate) fn configuration_text(&self) -> Result<String> {
        let describing = || Fault("it asked for configuration while describing itself".into());
        Ok(self
            .draft
            .as_ref()
            .ok_or_else(describing)?
            .config()
            .to_string())
    }

    /// Charges for a host call: the guest's own fuel does not see what that costs.
    pub(crate) fn charge(&mut self, fuel: u64) -> Result<()> {
        self.charged = self.charged.saturating_add(fuel);
        if self.charged > self.budget {
            return Err(Fault("its requests to the host have used up its fuel".into()).into());
        }
        Ok(())
    }

    /// Charges for bytes that cross the border.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<()> {
        self.charge(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Keeps a line for the operator, as far as there is room.
    pub(crate) fn keep_line(&mut self, level: LogLevel, message: &str) {
        let room = LOG_BYTES_MAX.saturating_sub(self.log_bytes);
        if room == 0 {
            return;
        }
        let escaped = message.chars().flat_map(shown);
        let mut message = String::new();
        for character in escaped {
            if message.len() + character.len_utf8() > room {
                break;
            }
            message.push(character);
        }
        self.log_bytes += message.len().max(1);
        self.log.push(LogLine { level, message });
    }
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
    store.set_max_component_handles(HANDLES);
    Ok(store)
}

/// Runs one call to its end.
pub(crate) fn run(
    plugin: &PluginPre<Guest>,
    manifest: &Manifest,
    limits: &Limits,
    draft: Draft,
) -> std::result::Result<Finished, CallFailure> {
    let arguments = draft.call().arguments.to_string();
    let action = draft.call().action.clone();
    let mut store = store(plugin.engine(), Guest::new(Some(draft), limits), limits)
        .map_err(|_| CallFailure::Internal)?;
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
    let draft = guest.draft.ok_or(CallFailure::Internal)?;
    let ending = match handled {
        Ok(answer) => judge(answer, manifest, &action, draft.has_drawn()),
        Err(error) => Ending::Faulted {
            fault: told(&explain(&error)?),
        },
    };
    Ok(Finished {
        transcript: draft.close(),
        ending,
        fuel: burned.saturating_add(guest.charged),
        log: guest.log,
    })
}

/// A character of a stranger's as it may be shown: whatever does not print is an escape, so that no
/// text can turn around, hide or colour what stands beside it.
fn shown(character: char) -> impl Iterator<Item = char> {
    let prints = matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1;
    let escape = (!prints).then(|| character.escape_default());
    let itself = prints.then_some(character);
    escape.into_iter().flatten().chain(itself)
}

/// What is told of a fault. It may repeat what the plugin said, and is kept for ever: so it is short.
fn told(fault: &str) -> String {
    let mut characters = fault.chars().flat_map(shown);
    let mut told: String = characters.by_ref().take(FAULT_CHARS_MAX).collect();
    if characters.next().is_some() {
        told.push('…');
    }
    told
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
