//! Checks `docs/limits.md`: every numeric constant is in it with its value and its tests. A missing constant,
//! a different value or a missing test fails.

mod constants;
mod page;

use crate::workspace::root;
use constants::Constant;

/// The crates and their sources.
const CRATES: [(&str, &str); 6] = [
    ("ledger", "engine/ledger/src"),
    ("storage", "engine/storage/src"),
    ("host", "engine/host/src"),
    ("workbench", "engine/workbench/src"),
    ("server", "engine/server/src"),
    ("sdk", "plugins/sdk/src"),
];

/// Constants that are no limits, each with the reason.
const NO_LIMITS: &[(&str, &str)] = &[
    (
        "host::cache::MAC_BYTES",
        "the size of a SHA-256, part of a format",
    ),
    ("host::task::MACHINE_FAILURE_CODE", "an exit code"),
    ("server::serve::GAVE_UP", "an exit code"),
    ("server::serve::LATE", "an exit code"),
    ("host::parts::INTEGER", "a bit of a set of types"),
    ("host::parts::NUMBER", "a bit of a set of types"),
    (
        "server::position::MARK_DIGITS",
        "part of the format of positions",
    ),
    ("server::workers::NICENESS", "a priority of threads"),
    ("storage::NICENESS", "a priority of threads"),
    (
        "sdk::arena::ARENA_BYTES",
        "a capacity: beyond it the allocator of the standard library takes over",
    ),
    ("ledger::economy::MILLISECONDS", "a day, as a unit"),
    (
        "ledger::persistent_array::BITS",
        "the shape of a tree, which shows in speed only",
    ),
    (
        "ledger::persistent_array::WIDTH",
        "the shape of a tree, which shows in speed only",
    ),
    ("ledger::digest::FIELDS_BYTES", "the size of a buffer"),
    ("server::setup::MINUTE", "a unit of time"),
    ("server::setup::HOUR", "a unit of time"),
    ("server::steps::MEMBERS", "part of the demonstration"),
    (
        "server::steps::STARTING_BALANCE",
        "part of the demonstration",
    ),
    ("server::steps::DOUBLE_CLICKS", "part of the demonstration"),
    ("server::steps::CONNECTIONS", "part of the demonstration"),
    ("server::CAPTURES", "part of the demonstration"),
    (
        "server::child_server::START_PATIENCE",
        "the wait of the demo and of a benchmark for their own server",
    ),
    (
        "server::progress::RECORDS_A_LINE",
        "records between two progress messages",
    ),
    ("server::options::DEFAULT_CONNECTIONS", "part of a load"),
    ("server::sampler::ZIPF_EXPONENT", "part of a load"),
    ("server::sampler::PAYMENT_MAX", "part of a load"),
    ("server::driver::EVENTS", "the size of a buffer"),
    ("server::load_counts::DIGITS", "a precision"),
    ("server::load_counts::UNSENT_STEPS", "a precision"),
    ("server::requests::READS_PERCENT", "part of a load"),
    ("server::requests::STARTING_BALANCE", "part of a load"),
    ("server::set_up::OPENING_CONNECTIONS", "part of a load"),
    ("server::set_up::FUNDED_AT_ONCE", "part of a load"),
    ("server::set_up::FILL_CONNECTIONS", "part of a load"),
    ("server::set_up::FILL_BATCH", "part of a load"),
    ("server::set_up::STOCK", "part of a load"),
    ("server::send_times::NANOSECONDS", "a unit of time"),
    ("server::wire::READ_BYTES", "the size of a buffer"),
    (
        "server::own_server::LOG_LINES",
        "lines that an error repeats",
    ),
    ("server::measure::PAUSE", "part of a measurement"),
    (
        "server::results::DOCUMENT_VERSION",
        "the version of a format",
    ),
    ("server::meter::TICK_MS", "a unit of time"),
    ("server::alarm::TICK", "the step of a wait"),
    ("server::template::ECONOMY_DIGITS", "part of a load"),
    ("server::template::MEMBER_DIGITS", "part of a load"),
    ("server::template::FIRST_MEMBER", "part of a load"),
    ("server::template::KEY_DIGITS", "part of a load"),
    ("server::pictures::WIDTH", "a size in a picture"),
    ("server::pictures::HEIGHT", "a size in a picture"),
    ("server::pictures::LEFT", "a size in a picture"),
    ("server::pictures::RIGHT", "a size in a picture"),
    ("server::pictures::TOP", "a size in a picture"),
    ("server::pictures::BOTTOM", "a size in a picture"),
    (
        "server::table::DRIVER_BUSY",
        "the share from which on a table warns",
    ),
    ("server::durability::SYNCS", "part of a measurement"),
    ("server::durability::SYNC_BYTES", "part of a measurement"),
    ("server::status::BAR_CELLS", "a width on a terminal"),
    (
        "server::status::UPDATE_PAUSE",
        "the pause between two updates on a terminal",
    ),
    ("storage::archive::FORMAT", "the version of a format"),
    (
        "storage::archive::earlier::FORMAT",
        "the version of a format",
    ),
    ("storage::log::frame::FORMAT", "the version of a format"),
    ("storage::schema::FIRST", "the version of a format"),
    ("storage::checkpoint::LEVEL", "a level of compression"),
    ("storage::log::compressor::LEVEL", "a level of compression"),
    ("storage::SINGLE_LEVEL", "a level of compression"),
    (
        "storage::frame::CHECKSUM_BYTES",
        "part of the format of frames",
    ),
    ("storage::codec::MEMBERS", "part of the format of records"),
    (
        "storage::codec::MOVEMENT_MEMBERS",
        "part of the format of records",
    ),
    (
        "storage::codec::CHECK_BYTES",
        "part of the format of records",
    ),
    (
        "server::random::POOL_BYTES",
        "a portion of the reads of randomness",
    ),
    (
        "server::transfer_text::TRANSFER_BYTES",
        "a capacity, so that most answers are written without growing",
    ),
    (
        "server::batches::RESULT_BYTES",
        "the size of a buffer at first, which grows",
    ),
    (
        "storage::submission::SUBMITTED_TOGETHER",
        "a portion of the work under a lock; the queue has bounds of its own",
    ),
    (
        "server::http::render::call_text::CALL_BYTES",
        "a capacity, so that most answers are written without growing",
    ),
    (
        "server::http::render::ANSWER_BYTES",
        "a capacity, so that most answers are written without growing",
    ),
    (
        "storage::roundtrip::TEXT_BYTES",
        "a capacity, so that most acts are written without growing",
    ),
    (
        "storage::log::store::COMMIT_BYTES",
        "an estimate of pages, for the copies of the write-ahead log",
    ),
    (
        "storage::index::page::PAGE_BYTES",
        "part of the format of runs",
    ),
    (
        "storage::index::page::HEADER_BYTES",
        "part of the format of runs",
    ),
    ("storage::index::entry::FULL", "part of the format of runs"),
    (
        "storage::index::filter::FILTER_PAGES",
        "part of the format of runs",
    ),
    (
        "storage::index::filter::SLOTS_MAX",
        "a bound on damage: a filter of the format is far smaller",
    ),
    (
        "storage::index::run::FOOTER_BYTES",
        "part of the format of runs",
    ),
    (
        "storage::index::run::DIRECTORY_PLACE",
        "part of the format of runs",
    ),
    (
        "storage::index::run::FOOTER_PLACE",
        "part of the format of runs",
    ),
    (
        "storage::index::varint::BYTES_MAX",
        "the longest integer of the format",
    ),
    (
        "storage::index::manifest::BYTES_MAX",
        "a bound on damage: a manifest is far smaller",
    ),
    (
        "storage::index::run::DIRECTORY_BUFFER",
        "the size of a buffer",
    ),
    (
        "storage::index::run_writer::WRITE_BYTES",
        "the size of a buffer",
    ),
    ("storage::index::verify::READ_BYTES", "the size of a buffer"),
    ("storage::index::scan::SCAN_PAGES", "the size of a buffer"),
    (
        "storage::index::merge::STEP_ENTRIES",
        "the step after which a merge looks for other work",
    ),
    ("storage::error::PRIMARY_CODE", "a mask of SQLite's codes"),
    ("storage::error::SQLITE_FULL", "a code of SQLite"),
    ("storage::error::SQLITE_CORRUPT", "a code of SQLite"),
    ("storage::error::SQLITE_NOTADB", "a code of SQLite"),
    (
        "storage::commit::shared::NONE_IN_HAND",
        "a state of the writer",
    ),
    ("storage::commit::shared::STAMPING", "a state of the writer"),
    (
        "storage::schema::APPLICATION_ID",
        "the mark of Bursar's files",
    ),
    ("storage::stamp::OPEN_BIT", "part of the format of a file"),
    (
        "storage::stamp::GENERATION_SHIFT",
        "part of the format of a file",
    ),
    (
        "storage::stamp::GENERATIONS",
        "part of the format of a file",
    ),
    ("storage::file::header::HEADER_BYTES", "a format of SQLite"),
    ("storage::file::header::STAMP_AT", "a format of SQLite"),
    ("storage::file::header::PAGE_BYTES_AT", "a format of SQLite"),
    (
        "storage::file::header::APPLICATION_AT",
        "a format of SQLite",
    ),
    (
        "storage::log_origin::LOG_HEADER_BYTES",
        "a format of SQLite",
    ),
    (
        "storage::log_origin::FRAME_HEADER_BYTES",
        "a format of SQLite",
    ),
    ("storage::log_origin::MAGIC", "a format of SQLite"),
    ("storage::log_origin::PAGE_BYTES_MAX", "a format of SQLite"),
    ("server::listen::PORT", "the port of `bursar serve`"),
    (
        "server::balances::ROWS_A_LINE",
        "records between two progress messages",
    ),
    (
        "workbench::simulation::STARTING_BALANCE",
        "the balance of simulated players, more than they can lose",
    ),
    (
        "workbench::simulation::PROGRESS_ROUNDS",
        "rounds between two progress messages",
    ),
];

fn constants() -> Vec<Constant> {
    let crates = CRATES.iter();
    crates
        .flat_map(|(name, folder)| constants::of_crate(name, &root().join(folder)))
        .collect()
}

#[test]
fn every_limit_is_documented_with_its_value_and_tests() {
    let all = constants();
    assert!(all.len() > 100, "{} constants", all.len());
    let page = std::fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let wrong = page::check(&page, &all, NO_LIMITS, crate::named_tests::find);
    assert!(wrong.is_empty(), "docs/limits.md:\n{}", wrong.join("\n"));
}

/// A page that matches the crates below.
const PAGE: &str = "
| Limit | Bound | Beyond the bound | Constant | Tests |
|---|---|---|---|---|
| bodies | 64 KiB | 413 | `a::BODY_BYTES_MAX` | `t.rs`: `at_it`, `beyond` |
| waits | 10 s, then 2 min | closed | `a::PATIENCE`, `a::inner::PATIENCE_S` | `t.rs`: `at_it` |
| parts | 7 | 400 | `b::TEXT_MAX`, `b::PART` | `t.rs`: `at_it` |
| parts of others | 13, 9 of these | 400 | `b::LONG_MAX`, `c::PART` | `t.rs`: `at_it` |
| holds | 1,024 | 422 | `b::HOLDS_MAX` | No test: a row of this test, which is about rows. |
";
const A: &str = "
    pub const BODY_BYTES_MAX: usize = 2 * HALF;
    /// Listed as no limit.
    const HALF: usize = 32 << 10;
    const PATIENCE: Duration = Duration::from_secs(10);
    const TEXT: &str = \"no number\";
    mod inner { const PATIENCE_S: u64 = 2 * 60; }
    #[cfg(test)]
    mod tests { const EXAMPLE: u64 = 7; }
    #[cfg(test)]
    const OTHER: u64 = 7;
";
const B: &str = "
    impl Holds { const HOLDS_MAX: u32 = 0x4_00; }
    mod same { const PART: u8 = 7; const TEXT_MAX: u8 = PART; }
    mod other { use bursar_c::{PART, X}; const LONG_MAX: u8 = PART + \"four\".len(); }
";
const C: &str = "const PART: u8 = 9;";

/// Returns the errors of the page after one replacement in the page or the sources.
fn wrong(replaced: &str, by: &str) -> String {
    let text = |whole: &str| whole.replacen(replaced, by, 1);
    let mut all = constants::of_text("a", &text(A));
    all.extend(constants::of_text("b", &text(B)));
    all.extend(constants::of_text("c", &text(C)));
    let no_limits = [("a::HALF", "half of another constant")];
    let find = |file: &str, test: &str| {
        let is_there = file == "t.rs" && ["at_it", "beyond"].contains(&test);
        is_there
            .then_some(())
            .ok_or_else(|| format!("{file} has no test {test}"))
    };
    page::check(&text(PAGE), &all, &no_limits, find).join("\n")
}

#[test]
fn a_correct_page_passes() {
    assert_eq!(wrong("nothing of this", ""), "");
}

/// The replaced text, its replacement, and the expected error.
const WRONG: &str = r"
# A constant without a row, in each place where constants stand.
const HALF => const MORE_MAX: u8 = 1; const HALF => a::MORE_MAX is not in the page
mod inner { => mod inner { const NEW: u8 = 1; => a::inner::NEW is not in the page
impl Holds { => fn f() { const IN: u8 = 1; } impl Holds { => b::IN is not in the page
impl Holds { => impl Holds { const IN: u8 = 1; => b::IN is not in the page
u64 = 2 * 60; => u64 = 2 * 60; const A: Duration = B; => a::inner::A is not in the page
# A row whose constant is gone, or of which there are several.
const HOLDS_MAX => const HELD_MAX => there is no constant b::HOLDS_MAX
const PATIENCE: => mod x { const PATIENCE: u8 = 1; } const PATIENCE: => is several
# Values that differ.
32 << 10 => 32 << 11 => a::BODY_BYTES_MAX is Number(131072)
from_secs(10) => from_millis(10) => a::PATIENCE is Microseconds(10000)
2 * 60 => 2 * 61 => a::inner::PATIENCE_S is Microseconds(122000000)
0x4_00 => 1_025 => b::HOLDS_MAX is Number(1025)
1,024 => 1024 => the page says 1024
1,024 => 11,024 => the page says 11,024
64 KiB => 64 MiB => the page says 64 MiB
10 s => 10 min => the page says 10 min
32 << 10 => window() => a call without an argument
PART: u8 = 9 => PART: u8 = 10 => b::other::LONG_MAX is Number(14)
PART +  => bursar_b::PART +  => b::other::LONG_MAX is Number(11)
use bursar_c::{PART, X} => use std::X => b::other::LONG_MAX is Number(11)
# Tests that are gone.
`at_it`, `beyond` => `at_it`, `after` => t.rs has no test after
`t.rs`: `at_it` | => none | => neither a test nor a reason
No test: a row of this test, which is about rows. => No test: none. => neither a test
# Rows that are none.
| 413  =>  => not 5 cells
| 413 | => | | => says too little
`a::BODY_BYTES_MAX` => 64 KiB => bodies: no constant
# The list of those that limit nothing.
const HALF => const HALVES => a::HALF is listed as no limit and is not one constant
`b::HOLDS_MAX` => `b::HOLDS_MAX`, `a::HALF` => a::HALF is in the page and listed
";

#[test]
fn missing_and_stale_rows_are_reported() {
    let mut seen = 0;
    for line in WRONG.lines().filter(|line| line.contains(" => ")) {
        let parts: Vec<&str> = line.split(" => ").collect();
        let [replaced, by, expected] = parts[..] else {
            panic!("{line}");
        };
        let errors = wrong(replaced, by);
        assert!(errors.contains(expected), "{line}\n{errors}");
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}
