//! The limits of the host.

use std::time::Duration;

use bursar_ledger::FuelClass;

/// Bytes of an uploaded component. A component in Python contains an interpreter, which needs most of them.
pub const UPLOAD_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Bytes of all code in a component.
pub(crate) const CODE_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Bytes of one function's body. The compiler's time grows faster than the size of a body.
pub(crate) const BODY_BYTES_MAX: usize = 512 * 1024;
/// Functions in a component.
pub(crate) const FUNCTIONS_MAX: usize = 80_000;
/// Core modules and components nested in a component.
pub(crate) const PARTS_MAX: usize = 64;

/// Levels of components nested in components.
pub(crate) const NESTING_MAX: usize = 16;
/// Types of all modules and components together.
pub(crate) const TYPES_MAX: usize = 16_384;
/// Imports of one module or component. A plugin in Rust has some dozens; one library of a plugin in Python has 918.
pub(crate) const IMPORTS_MAX: usize = 4_096;
/// Locals of one function. The compiler tracks each local in every block.
pub(crate) const LOCALS_MAX: usize = 50_000;
/// Targets of all `br_table` instructions in one function. Each takes one byte and is an edge of the compiler's graph.
pub(crate) const BRANCHES_MAX: usize = 65_536;
/// Findings of one code that a report contains. Further ones are counted.
pub(crate) const FINDINGS_OF_A_KIND_MAX: usize = 16;
/// Characters of a signature in a finding.
pub(crate) const SIGNATURE_CHARS_MAX: usize = 1_000;

/// Threads on which guests run at the same time.
pub const WORKERS_MAX: usize = 23;
/// Configurations that are checked at the same time.
pub const CONFIGURATION_CHECKS_MAX: usize = 4;
/// Component instances that exist at the same time: one for each worker, for each component that is checked and for each
/// configuration that is checked.
pub(crate) const SLOTS: usize = WORKERS_MAX + COMPONENTS_WAITING_MAX + 1 + CONFIGURATION_CHECKS_MAX;
/// Components that stay loaded. The least recently used one is unloaded for a further one, and loaded again when it is
/// called.
pub(crate) const READY_MAX: usize = 256;

/// Seconds of processor time to compile a component.
pub(crate) const COMPILE_CPU_S: u64 = 60;
/// Seconds of processor time to parse a manifest in the child process.
pub(crate) const MANIFEST_CPU_S: u64 = 5;
/// Bytes of memory to parse a manifest in the child process.
pub(crate) const MANIFEST_DATA_BYTES: u64 = 256 << 20;
/// Wall-clock time to compile a component, on a machine that is busy with other work.
pub(crate) const COMPILE_WALL: Duration = Duration::from_mins(3);
/// Bytes of memory to compile a component.
pub(crate) const COMPILE_DATA_BYTES: u64 = 2 << 30;
/// Components that wait while one is compiled. Each takes at most a minute of processor time and 24 MiB of memory.
pub(crate) const COMPONENTS_WAITING_MAX: usize = 8;
/// Bytes of machine code of one component.
pub(crate) const ARTIFACT_BYTES_MAX: u64 = 192 << 20;
/// Bytes of machine code in a cache.
pub(crate) const CACHE_BYTES_MAX: u64 = 512 << 20;

/// Levels of nested blocks in a function. The compiler's time grows faster than the depth.
pub(crate) const BLOCKS_NESTED_MAX: usize = 1_000;
/// Bytes of one section of component types. Types nest in such a section, and parsers recurse into them.
pub(crate) const TYPES_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the stack of the thread that checks an upload. It suffices for the deepest types that fit into a section.
pub(crate) const CHECK_STACK_BYTES: usize = 128 * 1024 * 1024;

/// Parts of a schema: its subschemas and the values in their keywords, with every reference expanded.
pub(crate) const SCHEMA_PARTS_MAX: usize = 10_000;
/// Levels of nested subschemas, with every reference expanded.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 64;
/// Steps to check a value. The most steps take about 20 ms.
pub(crate) const SCHEMA_STEPS_MAX: usize = 1_000_000;
/// The largest value of `multipleOf`.
pub(crate) const MULTIPLE_MAX: u64 = bursar_ledger::AMOUNT_MAX;
/// Bytes of the value of `format`.
pub(crate) const FORMAT_BYTES_MAX: usize = 64;
/// Bytes of a value that an error quotes.
pub(crate) const SHOWN_VALUE_BYTES_MAX: usize = 200;
/// Bytes of a pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 512;
/// Levels of nested groups in a pattern.
pub(crate) const PATTERN_NESTING_MAX: u32 = 32;
/// Bytes of a compiled pattern.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 128 * 1024;
/// Different patterns in a manifest.
pub(crate) const PATTERNS_MAX: usize = 64;
/// Bytes of all compiled patterns of a manifest.
pub(crate) const PATTERNS_PROGRAM_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a manifest.
pub(crate) const MANIFEST_BYTES_MAX: usize = 128 * 1024;
/// JSON values in a manifest. Each object takes about a hundred bytes of memory.
pub(crate) const MANIFEST_VALUES_MAX: usize = 8_192;
/// Actions in a manifest.
pub(crate) const ACTIONS_MAX: usize = 64;
/// Odds in a manifest.
pub(crate) const ODDS_MAX: usize = 16;
/// Characters of a text in a manifest.
pub(crate) const TEXT_CHARS_MAX: usize = 1024;

/// Bytes of the arguments of a call, as JSON.
pub(crate) const ARGUMENTS_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a reply, as JSON.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a decline's message.
pub(crate) const DECLINE_BYTES_MAX: usize = 512;
/// Characters of a decline's code.
pub(crate) const DECLINE_CODE_CHARS_MAX: usize = 64;
/// Findings of a plugin about its configuration.
pub(crate) const CONFIGURATION_FINDINGS_MAX: usize = 64;
/// Balances that a plugin declares as needs of its configuration.
pub(crate) const NEEDS_MAX: usize = 64;
/// Bytes of the pointer and of the message of a finding about a configuration.
pub(crate) const CONFIGURATION_TEXT_BYTES_MAX: usize = 512;
/// Characters of an excerpt of an untrusted text, such as in a fault.
pub(crate) const EXCERPT_CHARS_MAX: usize = 300;
/// Log lines of a call. Further ones are dropped, and a last line says how many.
pub(crate) const LOG_LINES_MAX: usize = 32;
/// Bytes of the log lines of a call, with [`LOG_LINE_OVERHEAD_BYTES`] for each.
pub(crate) const LOG_BYTES_MAX: usize = 8 * 1024;
/// Bytes that a log line counts in addition to its text: a log adds the time, the level and names.
pub(crate) const LOG_LINE_OVERHEAD_BYTES: usize = 128;

/// Fuel of a read, in addition to the guest's instructions.
pub(crate) const FUEL_PER_READ: u64 = 2_000;
/// Fuel of a request: a transfer, a secured amount, a draw or a write.
pub(crate) const FUEL_PER_REQUEST: u64 = 5_000;
/// Fuel of a log line, even a dropped one. Space in the operator's log is scarcer than reads.
pub(crate) const FUEL_PER_LOG_LINE: u64 = 20_000;
/// Fuel of each byte of a log line, which is copied, escaped and written.
pub(crate) const FUEL_PER_LOG_BYTE: u64 = 10;
/// Fuel of each number of a shuffle.
pub(crate) const FUEL_PER_SHUFFLED: u64 = 100;

/// Memories in a component instance. Each may grow to the limit.
pub(crate) const MEMORIES_MAX: usize = 2;
/// Tables in a component instance.
pub(crate) const TABLES_MAX: usize = 32;
/// Core instances in a component instance, and component instances nested in it.
pub(crate) const INSTANCES_MAX: usize = 128;
/// Elements of each table.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Resource handles. The contract has no resources, so no plugin needs any.
pub(crate) const HANDLES_MAX: usize = 64;
/// Bytes of the guest's stack.
pub(crate) const STACK_BYTES: usize = 512 * 1024;

/// Deadlines by which a call is extended once it has drawn. A plugin that runs on to discard a draw reaches its fuel limit
/// first, and that fault is recorded with the draw.
pub(crate) const DEADLINES_AFTER_DRAW: u64 = 9;

/// The interval at which the clock of deadlines ticks.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Fuel of a call with the standard grant.
pub(crate) const FUEL: u64 = 50_000_000;
/// The divisor of the standard fuel for the `small` grant.
pub(crate) const FUEL_SMALL_SHARE: u64 = 5;
/// The factor of the standard fuel for the `large` grant.
pub(crate) const FUEL_LARGE_TIMES: u64 = 10;
/// Wall-clock time of a call.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of one linear memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that one call of a host function or an export may copy to the host.
pub(crate) const HOSTCALL_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the runtime's data about one instance, without its memories and tables.
pub(crate) const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The limits of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Fuel of the guest, about one unit for each instruction, and the same amount again for its requests to the host.
    /// Running out is a fault and the same in every run.
    pub fuel: u64,
    /// Wall-clock time, in case fuel does not stop a call. Reaching it is a failure of the host and not an outcome, because
    /// it depends on the load of the machine. A call that has drawn has ten times as much.
    pub deadline: Duration,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
    /// Bytes that one call of a host function or an export may copy to the host.
    pub hostcall_bytes: usize,
    /// Component instances that exist at the same time. Each reserves addresses.
    pub slots: usize,
}

impl Limits {
    /// Returns the limits with the fuel of a grant.
    #[must_use]
    pub(crate) fn with_fuel(self, class: FuelClass) -> Self {
        let fuel = match class {
            FuelClass::Small => self.fuel / FUEL_SMALL_SHARE,
            FuelClass::Standard => self.fuel,
            FuelClass::Large => self.fuel.saturating_mul(FUEL_LARGE_TIMES),
        };
        Self { fuel, ..self }
    }

    /// Returns the limits of a server: 50 million units of fuel (about 10 ms), 2 s, 16 MiB and 256 KiB.
    pub const fn standard() -> Self {
        Self {
            fuel: FUEL,
            deadline: DEADLINE,
            memory_bytes: MEMORY_BYTES_MAX,
            hostcall_bytes: HOSTCALL_BYTES_MAX,
            slots: SLOTS,
        }
    }

    /// Returns the deadline in ticks, at least one.
    pub(crate) fn deadline_ticks(&self) -> u64 {
        let ticks = self.deadline.as_millis() / TICK.as_millis();
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }
}
