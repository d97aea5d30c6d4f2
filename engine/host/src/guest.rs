//! What the host keeps for a guest while it runs: its draft, what it has used up, what it said.

use bursar_ledger::{Answer, Ask, CallRequest, DrawOrigin, Rejection};
use serde::Serialize;
use wasmtime::{Result, StoreLimits, StoreLimitsBuilder};

use crate::limits::{
    FAULT_CHARS_MAX, INSTANCES_MAX, LOG_BYTES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX,
    TABLES_MAX,
};
use crate::teller::Teller;

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

/// The guest did something that no plugin may do. The text is for the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

/// The call ends before its first draw: what it has asked for cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stopped(pub(crate) Rejection);

/// Where the draws of a call come from, asked for when it first draws.
pub(crate) type Origin = Box<dyn FnOnce(&CallRequest) -> DrawOrigin + Send>;

/// What a guest has asked for so far, by kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) reads: usize,
    pub(crate) postings: usize,
    pub(crate) secures: usize,
    pub(crate) writes: usize,
    pub(crate) draws: usize,
    pub(crate) holds: usize,
    pub(crate) mixed: usize,
}

/// What the host keeps for a guest while it runs.
pub(crate) struct Guest {
    /// None while it only describes itself.
    pub(crate) teller: Option<Teller>,
    origin: Option<Origin>,
    pub(crate) counts: Counts,
    pub(crate) charged: u64,
    budget: u64,
    pub(crate) log: Vec<LogLine>,
    log_bytes: usize,
    pub(crate) limits: StoreLimits,
}

impl Guest {
    /// A guest that is asked to describe itself.
    pub(crate) fn describing(limits: &Limits) -> Self {
        Self::new(None, None, limits)
    }

    /// A guest that is called.
    pub(crate) fn called(teller: Teller, origin: Origin, limits: &Limits) -> Self {
        Self::new(Some(teller), Some(origin), limits)
    }

    fn new(teller: Option<Teller>, origin: Option<Origin>, limits: &Limits) -> Self {
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
            teller,
            origin,
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
        self.teller.as_mut().ok_or_else(describing)?.perform(ask)
    }

    /// Has the draft draw. The first draw takes a nonce, unless the call cannot commit anyway.
    pub(crate) fn ask_draw(&mut self, ask: Ask) -> Result<Answer> {
        let describing = || Fault("it drew while describing itself".into());
        let teller = self.teller.as_mut().ok_or_else(describing)?;
        teller.draw_from(|call| self.origin.take().map(|origin| origin(call)));
        teller.perform(ask)
    }

    /// What was asked of the plugin.
    pub(crate) fn call(&self) -> Result<&CallRequest> {
        let describing = || Fault("it asked about a call while describing itself".into());
        Ok(self.teller.as_ref().ok_or_else(describing)?.call())
    }

    /// The operator's configuration, as JSON.
    pub(crate) fn configuration_text(&self) -> Result<String> {
        let describing = || Fault("it asked for configuration while describing itself".into());
        Ok(self
            .teller
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

/// A character of a stranger's as it may be shown: whatever does not print is an escape, so that no
/// text can turn around, hide or colour what stands beside it.
fn shown(character: char) -> impl Iterator<Item = char> {
    let prints = matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1;
    let escape = (!prints).then(|| character.escape_default());
    let itself = prints.then_some(character);
    escape.into_iter().flatten().chain(itself)
}

/// What is told of a fault. It may repeat what the plugin said, and is kept for ever: so it is short.
pub(crate) fn told(fault: &str) -> String {
    let mut characters = fault.chars().flat_map(shown);
    let mut told: String = characters.by_ref().take(FAULT_CHARS_MAX).collect();
    if characters.next().is_some() {
        told.push('…');
    }
    told
}
