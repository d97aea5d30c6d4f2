//! What the host keeps for a guest while it runs: its draft, what it has used up, what it said.

use std::fmt;

use bursar_ledger::{
    CallRequest, Document, DrawOrigin, HostRequest, HostResponse, Rejection, shown,
};
use serde::Serialize;
use wasmtime::{Result, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::limits::{
    FUEL_PER_LOG_BYTE, FUEL_PER_LOG_LINE, INSTANCES_MAX, LOG_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES,
    LOG_LINES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::run::responder::Responder;

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

/// The host has met a bug of its own. Nothing is kept of the call: it was not the guest's doing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Bug(pub(crate) String);

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

/// The work of a guest while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Occupation {
    Describing,
    Checking,
    Calling,
}

impl fmt::Display for Occupation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Describing => "describing itself",
            Self::Checking => "checking a configuration",
            Self::Calling => "being called",
        })
    }
}

/// What the host keeps for a guest while it runs.
pub(crate) struct Guest {
    /// None where it is not called, and may import nothing.
    pub(crate) teller: Option<Responder>,
    occupation: Occupation,
    origin: Option<Origin>,
    pub(crate) counts: Counts,
    pub(crate) charged: u64,
    budget: u64,
    log: Vec<LogLine>,
    log_bytes: usize,
    /// Lines that found no room.
    log_dropped: u64,
    pub(crate) limits: StoreLimits,
    /// Whether it has met its deadline and goes on.
    has_more_time: bool,
}

impl Guest {
    /// A guest that is asked to describe itself.
    pub(crate) fn describing(limits: &Limits) -> Self {
        Self::new(None, None, Occupation::Describing, limits)
    }

    /// A guest that is asked to check a configuration.
    pub(crate) fn checking(limits: &Limits) -> Self {
        Self::new(None, None, Occupation::Checking, limits)
    }

    /// A guest that is called.
    pub(crate) fn called(teller: Responder, origin: Origin, limits: &Limits) -> Self {
        Self::new(Some(teller), Some(origin), Occupation::Calling, limits)
    }

    fn new(
        teller: Option<Responder>,
        origin: Option<Origin>,
        occupation: Occupation,
        limits: &Limits,
    ) -> Self {
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
            occupation,
            origin,
            counts: Counts::default(),
            charged: 0,
            budget: limits.fuel,
            log: Vec::new(),
            log_bytes: 0,
            log_dropped: 0,
            limits: store_limits,
            has_more_time: false,
        }
    }

    /// Asks the draft.
    pub(crate) fn ask(&mut self, ask: HostRequest) -> Result<HostResponse> {
        self.teller("asked for something")?.perform(ask)
    }

    /// Has the draft draw. The first draw takes a nonce, unless the call cannot commit anyway.
    pub(crate) fn ask_draw(&mut self, ask: HostRequest) -> Result<HostResponse> {
        let mut origin = self.origin.take();
        let teller = self.teller("drew")?;
        teller.draw_from(|call| origin.take().map(|origin| origin(call)));
        let answer = teller.perform(ask);
        self.origin = origin;
        answer
    }

    /// What was asked of the plugin.
    pub(crate) fn call(&mut self) -> Result<&CallRequest> {
        Ok(self.teller("asked about a call")?.call())
    }

    /// The operator's configuration.
    pub(crate) fn configuration(&mut self) -> Result<&Document> {
        Ok(self.teller("asked for configuration")?.config())
    }

    /// The teller of a guest that is called. For one that is not, asking is a fault.
    fn teller(&mut self, did: &str) -> Result<&mut Responder> {
        let occupation = self.occupation;
        let uncalled = || Fault(format!("it {did} while {occupation}")).into();
        self.teller.as_mut().ok_or_else(uncalled)
    }

    /// What becomes of a guest whose time is over: once it has drawn it has so many ticks more.
    pub(crate) fn deadline_met(&mut self, ticks: u64) -> UpdateDeadline {
        let has_drawn = self.teller.as_ref().is_some_and(Responder::has_drawn);
        if has_drawn && !self.has_more_time {
            self.has_more_time = true;
            return UpdateDeadline::Continue(ticks);
        }
        UpdateDeadline::Interrupt
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

    /// Takes a line for the operator. It costs fuel whether there is room for it or not.
    pub(crate) fn write_line(&mut self, level: LogLevel, message: &str) -> Result<()> {
        match self.occupation {
            // A line that is written while the guest describes itself is charged for, and dropped.
            Occupation::Describing | Occupation::Calling => {}
            Occupation::Checking => drop(self.teller("wrote a line")?),
        }
        let bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
        self.charge(FUEL_PER_LOG_LINE)?;
        self.charge(bytes.saturating_mul(FUEL_PER_LOG_BYTE))?;
        self.keep_line(level, message);
        Ok(())
    }

    /// Keeps a line, escaped, as far as there is room; one without any is counted.
    fn keep_line(&mut self, level: LogLevel, message: &str) {
        let room = LOG_BYTES_MAX
            .saturating_sub(self.log_bytes)
            .checked_sub(LOG_LINE_OVERHEAD_BYTES)
            .filter(|_| self.log.len() < LOG_LINES_MAX);
        let Some(room) = room else {
            self.log_dropped = self.log_dropped.saturating_add(1);
            return;
        };
        let mut kept = String::new();
        for character in message.chars().flat_map(shown) {
            if kept.len() + character.len_utf8() > room {
                break;
            }
            kept.push(character);
        }
        self.log_bytes += kept.len() + LOG_LINE_OVERHEAD_BYTES;
        self.log.push(LogLine {
            level,
            message: kept,
        });
    }

    /// The lines of the call, with one more about those that were dropped.
    pub(crate) fn take_log(&mut self) -> Vec<LogLine> {
        let mut log = std::mem::take(&mut self.log);
        let dropped = std::mem::take(&mut self.log_dropped);
        if dropped > 0 {
            log.push(LogLine {
                level: LogLevel::Warn,
                message: format!(
                    "{dropped} more lines of this call were dropped: a call may write \
                     {LOG_LINES_MAX} lines and {LOG_BYTES_MAX} bytes"
                ),
            });
        }
        log
    }
}
