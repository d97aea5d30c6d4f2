//! The duration of a start: after an orderly close, after `kill -9`, and without the index; and the memory of an
//! account. Each start is a process of its own, so that nothing is left in memory from the one before.

use std::fs::{read_dir, remove_dir_all, remove_file};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::files::Files;
use crate::load::pipeline;
use crate::opening::{close, open};
use crate::options::Options;
use crate::submissions::{Guild, Random};
use crate::table::{Column, Table};
use crate::usage::resident_bytes;

/// The line of a process that has committed enough to be killed.
const COMMITTED: &str = "committed";

const COLUMNS: &[Column] = &[
    ("records", "records", 0),
    ("open_ms", "open ms", 0),
    ("resident_mib", "MiB", 1),
    ("peak_mib", "peak MiB", 1),
];
const MEMORY: &[Column] = &[
    ("accounts", "accounts", 0),
    ("empty_mib", "empty MiB", 1),
    ("full_mib", "full MiB", 1),
    ("account_bytes", "B/account", 0),
];

/// Opens a file, prints the duration and the memory as a line of JSON, and closes it.
pub(crate) fn open_and_report(path: &Path, settle: Duration) {
    let began = Instant::now();
    let storage = open(path);
    let time = began.elapsed();
    let (resident, peak) = resident_bytes();
    std::thread::sleep(settle);
    let (settled, _) = resident_bytes();
    let report = json!({
        "records": storage.state().records(),
        "open_ms": time.as_secs_f64() * 1e3,
        "resident": resident,
        "peak": peak,
        "settled": settled,
    });
    println!("{report}");
    close(&storage);
}

/// Commits transfers until the process is killed. Prints a line after the wanted number.
pub(crate) fn commit_until_killed(path: &Path, options: &Options) {
    let storage = open(path);
    let guild = Guild::new(options.accounts);
    let mut random = Random::new();
    let mut committed = 0;
    let transfers = std::iter::repeat_with(|| guild.transfer(&mut random));
    pipeline(&storage, transfers, |_| {
        committed += 1;
        if committed == options.unclean {
            println!("{COMMITTED}");
        }
    });
}

/// Starts this program again with other arguments.
fn child(arguments: &[&str], path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).arg(path);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// A process that opens a file.
struct Opening(Child);

impl Opening {
    fn start(path: &Path, settle: f64) -> Self {
        Self(child(&["--settle", &settle.to_string(), "--open"], path))
    }

    fn report(self) -> Value {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "the file was opened and closed");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn number(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap()
}

fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn open_row(table: &Table, name: &str, path: &Path) {
    let report = Opening::start(path, 0.0).report();
    let figures = [
        number(&report, "records"),
        number(&report, "open_ms"),
        mebibytes(number(&report, "resident")),
        mebibytes(number(&report, "peak")),
    ];
    table.row(name, &figures);
}

/// Commits to a file in another process, and kills that process.
fn leave_unclean(options: &Options, path: &Path) {
    let accounts = options.accounts.to_string();
    let unclean = options.unclean.to_string();
    let arguments = [
        "--accounts",
        &accounts,
        "--unclean",
        &unclean,
        "--commit-until-killed",
    ];
    let mut child = child(&arguments, path);
    let output = BufReader::new(child.stdout.take().unwrap());
    let first = output.lines().next().unwrap().unwrap();
    assert_eq!(first, COMMITTED);
    // `kill` sends SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Removes the index next to a file. Returns true if there was one.
fn remove_index(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut removed = false;
    for entry in read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let found = entry.file_name().into_string().unwrap();
        if !found
            .strip_prefix(name)
            .is_some_and(|rest| rest.contains("-index"))
        {
            continue;
        }
        removed = true;
        if entry.file_type().unwrap().is_dir() {
            remove_dir_all(entry.path()).unwrap();
        } else {
            remove_file(entry.path()).unwrap();
        }
    }
    removed
}

pub(crate) fn run(options: &Options, files: &mut Files) {
    let base = files.base();
    let large = files.large().path.clone();
    let title = "the duration of an opening, and the memory right after it";
    let table = Table::begin("start", title, COLUMNS, options.json);
    open_row(&table, "accounts without transfers", &base);
    open_row(&table, "after an orderly close", &large);
    leave_unclean(options, &large);
    open_row(
        &table,
        &format!("after kill -9 at {}", options.unclean),
        &large,
    );
    if remove_index(&large) {
        open_row(&table, "without the index", &large);
    } else {
        table.row("without the index: there is none", &[f64::NAN; 4]);
    }
    let title = "the memory of an account, with one balance and no transfers";
    let table = Table::begin("memory", title, MEMORY, options.json);
    let empty = Opening::start(&files.path("empty"), options.settle);
    let full = Opening::start(&base, options.settle).report();
    let empty = number(&empty.report(), "settled");
    let full = number(&full, "settled");
    let accounts = options.accounts as f64;
    let each = (full - empty) / accounts;
    let figures = [accounts, mebibytes(empty), mebibytes(full), each];
    table.row("after a wait", &figures);
}
