//! Every limit of the host, in one place.

use std::time::Duration;

use bursar_ledger::FuelClass;

/// Bytes of an uploaded component: room for an interpreter, as components in Python need it.
pub const UPLOAD_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Bytes of all code in a component.
pub(crate) const CODE_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Bytes of one function's body: the compiler's time grows faster than the body.
pub(crate) const BODY_BYTES_MAX: usize = 512 * 1024;
/// Functions in a component.
pub(crate) const FUNCTIONS_MAX: usize = 80_000;
/// Core modules and components nested in a component.
pub(crate) const PARTS_MAX: usize = 64;

/// Components within components.
pub(crate) const NESTING_MAX: usize = 16;
/// Types of all modules and components, each section counted for itself.
pub(crate) const TYPES_MAX: usize = 16_384;
/// Imports of one module or component: a plugin in Rust has some dozens, one of the libraries of a
/// plugin in Python 918.
pub(crate) const IMPORTS_MAX: usize = 4_096;
/// Locals of one function: the compiler keeps track of each in every block.
pub(crate) const LOCALS_MAX: usize = 50_000;
/// Targets of all `br_table` in one function: each is an edge for the compiler, from a byte.
pub(crate) const BRANCHES_MAX: usize = 65_536;
/// Findings of one kind that a report has in full.
pub(crate) const FINDINGS_OF_A_KIND_MAX: usize = 16;
/// Characters of a signature in a finding.
pub(crate) const SIGNATURE_CHARS_MAX: usize = 1_000;

/// Threads on which guests may run at the same time.
pub const WORKERS_MAX: usize = 23;
/// Configurations that may be checked at the same time.
pub const CONFIGURATION_CHECKS_MAX: usize = 4;
/// Component instances that live at the same time: one a worker, and one for each component and each
/// configuration that is being checked.
pub(crate) const SLOTS: usize = WORKERS_MAX + COMPONENTS_WAITING_MAX + 1 + CONFIGURATION_CHECKS_MAX;
/// Components that are kept ready. Beyond, the longest unused one makes room, and is loaded again when it
/// is called.
pub(crate) const READY_MAX: usize = 256;

/// Seconds of a processor that compiling a component may take.
pub(crate) const COMPILE_CPU_S: u64 = 60;
/// Seconds of a processor that reading a manifest may take, in the child.
pub(crate) const MANIFEST_CPU_S: u64 = 5;
/// Bytes of memory that reading a manifest may take, in the child.
pub(crate) const MANIFEST_DATA_BYTES: u64 = 256 << 20;
/// How long compiling a component may take altogether, on a machine that is busy with other things.
pub(crate) const COMPILE_WALL: Duration = Duration::from_mins(3);
/// Bytes of memory that compiling a component may take.
pub(crate) const COMPILE_DATA_BYTES: u64 = 2 << 30;
/// Components that wait while one is compiled. Each is a minute of a processor at worst, and up
/// to 24 MiB of memory.
pub(crate) const COMPONENTS_WAITING_MAX: usize = 8;
/// Bytes of machine code of one component.
pub(crate) const ARTIFACT_BYTES_MAX: u64 = 192 << 20;
/// Bytes of machine code that are kept in a cache.
pub(crate) const CACHE_BYTES_MAX: u64 = 512 << 20;

/// Blocks within blocks in a function: the compiler's time grows faster than their depth.
pub(crate) const BLOCKS_NESTED_MAX: usize = 1_000;
/// Bytes of one section of component types: types stand within types there, and are read so.
pub(crate) const TYPES_BYTES_MAX: usize = 16 * 1024;
/// Stack of the thread that checks an upload: room for the deepest types that fit a section.
pub(crate) const CHECK_STACK_BYTES: usize = 128 * 1024 * 1024;

/// Parts of a schema: its schemas, and what stands in their keywords, with every reference written out.
pub(crate) const SCHEMA_PARTS_MAX: usize = 10_000;
/// Schemas within each other, with every reference written out.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 64;
/// Steps that a value may take to be checked: some 20 ms at worst.
pub(crate) const SCHEMA_STEPS_MAX: usize = 1_000_000;
/// The largest `multipleOf`.
pub(crate) const MULTIPLE_MAX: u64 = bursar_ledger::AMOUNT_MAX;
/// Bytes of a `format`.
pub(crate) const FORMAT_BYTES_MAX: usize = 64;
/// Bytes of a value that are repeated when it does not fit.
pub(crate) const SHOWN_VALUE_BYTES_MAX: usize = 200;
/// Bytes of a pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 512;
/// Groups within each other in a pattern.
pub(crate) const PATTERN_NESTING_MAX: u32 = 32;
/// Bytes of what a pattern compiles to.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 128 * 1024;
/// Different patterns in a manifest.
pub(crate) const PATTERNS_MAX: usize = 64;
/// Bytes of what all patterns of a manifest compile to.
pub(crate) const PATTERNS_PROGRAM_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a manifest.
pub(crate) const MANIFEST_BYTES_MAX: usize = 128 * 1024;
/// Values in a manifest: each object takes some hundred bytes of memory.
pub(crate) const MANIFEST_VALUES_MAX: usize = 8_192;
/// Actions in a manifest.
pub(crate) const ACTIONS_MAX: usize = 64;
/// Odds in a manifest.
pub(crate) const ODDS_MAX: usize = 16;
/// Characters in a manifest's texts.
pub(crate) const TEXT_CHARS_MAX: usize = 1024;

/// Bytes of the arguments of a call, as JSON.
pub(crate) const ARGUMENTS_BYTES_MAX: usize = 32 * 1024;
/// Bytes of a reply, as JSON.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the sentence of a decline.
pub(crate) const DECLINE_BYTES_MAX: usize = 512;
/// Characters in the code of a decline.
pub(crate) const DECLINE_CODE_CHARS_MAX: usize = 64;
/// Findings of a plugin about its configuration.
pub(crate) const CONFIGURATION_FINDINGS_MAX: usize = 64;
/// Balances that a plugin says it needs.
pub(crate) const NEEDS_MAX: usize = 64;
/// Bytes of the pointer and of the sentence of a finding about a configuration.
pub(crate) const CONFIGURATION_TEXT_BYTES_MAX: usize = 512;
/// Characters of a stranger's text that is repeated, as in a fault.
pub(crate) const EXCERPT_CHARS_MAX: usize = 300;
/// Lines that are kept of a call. Further ones are counted, and one last line says how many they were.
pub(crate) const LOG_LINES_MAX: usize = 32;
/// Bytes of log lines that are kept of a call, each with [`LOG_LINE_OVERHEAD_BYTES`].
pub(crate) const LOG_BYTES_MAX: usize = 8 * 1024;
/// Bytes that a line counts for beside its text: time, level and names stand around it in a log.
pub(crate) const LOG_LINE_OVERHEAD_BYTES: usize = 128;

/// Fuel that a read costs beside what the guest burns.
pub(crate) const FUEL_PER_READ: u64 = 2_000;
/// Fuel that a request costs: a transfer, a secured amount, a draw, a write.
pub(crate) const FUEL_PER_REQUEST: u64 = 5_000;
/// Fuel that a log line costs, kept or not: the operator's log is dearer than a read.
pub(crate) const FUEL_PER_LOG_LINE: u64 = 20_000;
/// Fuel that each byte of a log line costs: it is copied, escaped and written.
pub(crate) const FUEL_PER_LOG_BYTE: u64 = 10;
/// Fuel that each number of a shuffle costs.
pub(crate) const FUEL_PER_SHUFFLED: u64 = 100;

/// Memories in a component instance; each may grow to the limit.
pub(crate) const MEMORIES_MAX: usize = 2;
/// Tables in a component instance.
pub(crate) const TABLES_MAX: usize = 32;
/// Core instances in a component instance, and instances of components within it.
pub(crate) const INSTANCES_MAX: usize = 128;
/// Elements of each table.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Resource handles; the contract has no resources.
pub(crate) const HANDLES_MAX: usize = 64;
/// Bytes of the guest's stack.
pub(crate) const STACK_BYTES: usize = 512 * 1024;

/// Deadlines more that a call has once it has drawn: it is to run out of fuel before, which is a fault and
/// no way to be rid of a draw.
pub(crate) const DEADLINES_AFTER_DRAW: u64 = 9;

/// How often the clock of deadlines ticks.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Fuel of a call whose plugin was granted nothing else.
pub(crate) const FUEL: u64 = 50_000_000;
/// A plugin with little fuel has a part of it: one in so many.
pub(crate) const FUEL_SMALL_SHARE: u64 = 5;
/// A plugin with much fuel has so many times as much.
pub(crate) const FUEL_LARGE_TIMES: u64 = 10;
/// Wall-clock time of a call.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of one linear memory.
pub(crate) const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that one crossing of the border may copy to the host.
pub(crate) const HOSTCALL_BYTES_MAX: usize = 256 * 1024;
/// Bytes that the runtime keeps of one instance beside its memories and tables.
pub(crate) const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one call may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Fuel of the guest, about one unit an instruction, and as much again for what it asks of the
    /// host. Running out is a fault, and the same in every run.
    pub fuel: u64,
    /// Wall-clock time, as a safety net. Running into it is a failure of the host's, not an
    /// outcome: it depends on how busy the machine is. A call that has drawn has ten times as much.
    pub deadline: Duration,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
    /// Bytes that one crossing of the border may copy to the host.
    pub hostcall_bytes: usize,
}

impl Limits {
    /// The limits of a plugin that was granted more fuel, or less.
    #[must_use]
    pub(crate) fn with_fuel(self, class: FuelClass) -> Self {
        let fuel = match class {
            FuelClass::Small => self.fuel / FUEL_SMALL_SHARE,
            FuelClass::Standard => self.fuel,
            FuelClass::Large => self.fuel.saturating_mul(FUEL_LARGE_TIMES),
        };
        Self { fuel, ..self }
    }

    /// The limits of a server: 50 million units of fuel (some 10 ms), 2 s, 16 MiB, 256 KiB.
    pub const fn standard() -> Self {
        Self {
            fuel: FUEL,
            deadline: DEADLINE,
            memory_bytes: MEMORY_BYTES_MAX,
            hostcall_bytes: HOSTCALL_BYTES_MAX,
        }
    }

    /// The deadline in ticks of the clock of deadlines, at least one.
    pub(crate) fn deadline_ticks(&self) -> u64 {
        let ticks = self.deadline.as_millis() / TICK.as_millis();
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }
}
