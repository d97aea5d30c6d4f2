//! The state of the host for one running guest: its responder, its limits and its log.

use std::fmt;

use bursar_ledger::{CallRequest, Document, DrawOrigin, HostRequest, HostResponse, shown};
use serde::Serialize;
use wasmtime::{Result, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::limits::{
    FUEL_PER_LOG_BYTE, FUEL_PER_LOG_LINE, INSTANCES_MAX, LOG_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES,
    LOG_LINES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::run::failure::Fault;
use crate::run::responder::Responder;

/// The level of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Details for the plugin's author.
    Debug,
    /// An event that is expected.
    Info,
    /// An event that may need attention.
    Warn,
    /// An error.
    Error,
}

/// A log line of a plugin, for the operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LogLine {
    /// The level.
    pub level: LogLevel,
    /// The text, with unprintable characters escaped.
    pub message: String,
}

/// A function that returns the origin of a call's draws. It is called before the first draw.
pub(crate) type DrawOriginFn = Box<dyn FnOnce(&CallRequest) -> DrawOrigin + Send>;

/// The number of requests that a guest has made, by kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct RequestCounts {
    pub(crate) reads: usize,
    pub(crate) postings: usize,
    pub(crate) secures: usize,
    pub(crate) writes: usize,
    pub(crate) draws: usize,
    pub(crate) holds: usize,
    /// Bytes of text mixed into draws.
    pub(crate) mixed: usize,
}

/// The export that a guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum GuestTask {
    Description,
    ConfigurationCheck,
    Call,
}

impl fmt::Display for GuestTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Description => "describing itself",
            Self::ConfigurationCheck => "checking a configuration",
            Self::Call => "being called",
        })
    }
}

/// The state of the host for one running guest.
pub(crate) struct Guest {
    /// `None` if the guest does not run a call. It may then use no import.
    pub(crate) responder: Option<Responder>,
    task: GuestTask,
    origin: Option<DrawOriginFn>,
    pub(crate) counts: RequestCounts,
    /// Fuel for host calls, which the guest's own fuel does not count.
    pub(crate) charged: u64,
    /// The most fuel that host calls may cost.
    budget: u64,
    log: Vec<LogLine>,
    log_bytes: usize,
    /// The number of lines that were dropped.
    log_dropped: u64,
    pub(crate) limits: StoreLimits,
    /// True once the deadline has been extended.
    deadline_extended: bool,
}

impl Guest {
    /// Returns the state for a guest that describes itself.
    pub(crate) fn for_description(limits: &Limits) -> Self {
        Self::new(None, None, GuestTask::Description, limits)
    }

    /// Returns the state for a guest that checks a configuration.
    pub(crate) fn for_configuration_check(limits: &Limits) -> Self {
        Self::new(None, None, GuestTask::ConfigurationCheck, limits)
    }

    /// Returns the state for a guest that runs a call.
    pub(crate) fn for_call(responder: Responder, origin: DrawOriginFn, limits: &Limits) -> Self {
        Self::new(Some(responder), Some(origin), GuestTask::Call, limits)
    }

    fn new(
        responder: Option<Responder>,
        origin: Option<DrawOriginFn>,
        task: GuestTask,
        limits: &Limits,
    ) -> Self {
        let store_limits = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(TABLE_ELEMENTS_MAX)
            .instances(INSTANCES_MAX)
            .memories(MEMORIES_MAX)
            .tables(TABLES_MAX)
            // Without a trap the guest could handle the failed `memory.grow` and continue. Whether it fails can depend
            // on the machine, so runs would differ.
            .trap_on_grow_failure(true)
            .build();
        Self {
            responder,
            task,
            origin,
            counts: RequestCounts::default(),
            charged: 0,
            budget: limits.fuel,
            log: Vec::new(),
            log_bytes: 0,
            log_dropped: 0,
            limits: store_limits,
            deadline_extended: false,
        }
    }

    /// Sends a request to the responder.
    pub(crate) fn request(&mut self, request: HostRequest) -> Result<HostResponse> {
        self.responder("made a request")?.answer(request)
    }

    /// Sends a request for a draw. The first draw takes a nonce, unless the call is certain to be rejected.
    pub(crate) fn request_draw(&mut self, request: HostRequest) -> Result<HostResponse> {
        let mut origin = self.origin.take();
        let responder = self.responder("drew")?;
        responder.draw_from(|call| origin.take().map(|origin| origin(call)));
        let response = responder.answer(request);
        self.origin = origin;
        response
    }

    /// Returns the request of the call.
    pub(crate) fn call(&mut self) -> Result<&CallRequest> {
        Ok(self.responder("read the call")?.call())
    }

    /// Returns the operator's configuration.
    pub(crate) fn configuration(&mut self) -> Result<&Document> {
        Ok(self.responder("read the configuration")?.config())
    }

    /// Returns the responder, or a fault if the guest does not run a call.
    fn responder(&mut self, action: &str) -> Result<&mut Responder> {
        let task = self.task;
        let no_call = || Fault(format!("it {action} while {task}")).into();
        self.responder.as_mut().ok_or_else(no_call)
    }

    /// Interrupts a guest that has reached its deadline, or extends the deadline once by `ticks` if the guest has drawn.
    ///
    /// Without the extension a plugin could discard a draw that it dislikes by running until the deadline. With it, such a
    /// plugin runs out of fuel, which is a fault and is recorded.
    pub(crate) fn on_deadline(&mut self, ticks: u64) -> UpdateDeadline {
        let has_drawn = self.responder.as_ref().is_some_and(Responder::has_drawn);
        if has_drawn && !self.deadline_extended {
            self.deadline_extended = true;
            return UpdateDeadline::Continue(ticks);
        }
        UpdateDeadline::Interrupt
    }

    /// Charges fuel for a host call. wasmtime counts only the guest's own instructions.
    pub(crate) fn charge(&mut self, fuel: u64) -> Result<()> {
        self.charged = self.charged.saturating_add(fuel);
        if self.charged > self.budget {
            return Err(Fault("its requests to the host have used up its fuel".into()).into());
        }
        Ok(())
    }

    /// Charges fuel for bytes that are copied between guest and host.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<()> {
        self.charge(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Writes a log line. It costs fuel even if it is dropped.
    pub(crate) fn write_line(&mut self, level: LogLevel, message: &str) -> Result<()> {
        match self.task {
            // A guest that describes itself may write lines. They are charged for and dropped.
            GuestTask::Description | GuestTask::Call => {}
            GuestTask::ConfigurationCheck => drop(self.responder("wrote a line")?),
        }
        let bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
        self.charge(FUEL_PER_LOG_LINE)?;
        self.charge(bytes.saturating_mul(FUEL_PER_LOG_BYTE))?;
        self.store_line(level, message);
        Ok(())
    }

    /// Stores a line, escaped and cut to the bytes that are left. Counts it as dropped if none are left.
    fn store_line(&mut self, level: LogLevel, message: &str) {
        let bytes_left = LOG_BYTES_MAX
            .saturating_sub(self.log_bytes)
            .checked_sub(LOG_LINE_OVERHEAD_BYTES)
            .filter(|_| self.log.len() < LOG_LINES_MAX);
        let Some(bytes_left) = bytes_left else {
            self.log_dropped = self.log_dropped.saturating_add(1);
            return;
        };
        let mut text = String::new();
        for character in message.chars().flat_map(shown) {
            if text.len() + character.len_utf8() > bytes_left {
                break;
            }
            text.push(character);
        }
        self.log_bytes += text.len() + LOG_LINE_OVERHEAD_BYTES;
        self.log.push(LogLine {
            level,
            message: text,
        });
    }

    /// Takes the lines of the call. If lines were dropped, the last line says how many.
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
