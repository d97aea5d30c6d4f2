//! Instructions per transfer of the parts of a server, compared with committed figures. Unlike times, they are the
//! same on a busy machine.
//!
//! This program runs itself under callgrind, which counts the instructions below each function of interest. With
//! `UPDATE_EXPECT=1` it writes the figures to `expected.txt` instead. The fuel of plugins is compared exactly, by
//! `tests/it/bundled.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by a panic"
)]

mod callgrind;
mod figures;
mod pipe;
mod scenario;

use std::process::ExitCode;

use figures::Figures;

// The allocator of the server: it is a part of each count.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The argument with which this program runs the scenario only.
const SCENARIO: &str = "--scenario";

#[allow(
    clippy::disallowed_methods,
    reason = "the variable of `expect-test`, as in the tests of this repository"
)]
fn is_update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == SCENARIO) {
        scenario::run();
        return ExitCode::SUCCESS;
    }
    let profile = callgrind::profile(SCENARIO);
    let measured = Figures::measured(&profile);
    println!("{measured}");
    if is_update() {
        measured.write();
        return ExitCode::SUCCESS;
    }
    let differences = measured.differences(&Figures::expected());
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("If the change is intended, write the new figures: make instructions UPDATE_EXPECT=1");
    ExitCode::FAILURE
}
