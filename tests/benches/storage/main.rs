//! The commit path of storage, through its public functions and through HTTP: rates, latencies, processor time,
//! bytes written and kept, starts, and commits beside maintenance.
//!
//! `cargo bench --package bursar-tests --bench storage -- --help` lists the sections and the sizes. The defaults
//! take one to two minutes; `--accounts 1000000 --transfers 10000000` is the long run. Machines and their other
//! load differ, so figures of one run are compared with each other.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints figures with few digits, and fails by a panic"
)]

mod audit;
mod batches;
mod beside;
mod commit;
mod files;
mod filled;
mod http;
mod large;
mod load;
mod opening;
mod options;
mod start;
mod submissions;
mod table;
mod usage;

use std::time::Duration;

use clap::Parser;

use files::Files;
use options::{Options, Section};

// Memory is measured, so the benchmark uses the allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let options = Options::parse();
    if let Some(path) = &options.open {
        return start::open_and_report(path, Duration::from_secs_f64(options.settle));
    }
    if let Some(path) = &options.commit_until_killed {
        return start::commit_until_killed(path, &options);
    }
    let mut files = Files::new(&options);
    if options.runs(Section::Commit) {
        commit::run(&options, &mut files);
    }
    if options.runs(Section::Http) {
        http::run(&options, &mut files);
    }
    if options.runs(Section::Batches) {
        batches::run(&options, &mut files);
    }
    if options.runs(Section::Large) {
        large::run(&options, &mut files);
    }
    if options.runs(Section::Audit) {
        audit::run(&options, &mut files);
    }
    if options.runs(Section::Beside) {
        beside::run(&options, &mut files);
    }
    // Starts come last, because a process is killed in the large file.
    if options.runs(Section::Start) {
        start::run(&options, &mut files);
    }
}
