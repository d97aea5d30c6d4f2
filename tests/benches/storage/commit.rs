//! Single transfers through storage: a closed loop of 1 to 512 tasks.

use std::path::Path;
use std::time::Duration;

use crate::files::Files;
use crate::load::{Latencies, closed_loop, runtime};
use crate::opening::{close, open, remove};
use crate::options::Options;
use crate::table::{Column, Table};
use crate::usage::{Usage, folder_bytes};

/// The numbers of tasks.
const TASKS: [usize; 4] = [1, 16, 64, 512];
/// The duration of the load before the first measurement.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);

const COLUMNS: &[Column] = &[
    ("per_second", "/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("writer_us", "writer µs", 1),
    ("storage_us", "storage µs", 1),
    ("process_us", "process µs", 1),
    ("written_bytes", "written B", 0),
    ("kept_bytes", "kept B", 0),
];

/// A measurement of single transfers.
pub(crate) struct Measured {
    pub(crate) latencies: Latencies,
    pub(crate) usage: Usage,
    kept: u64,
}

impl Measured {
    /// Runs a load on the file at `path`.
    pub(crate) fn of(path: &Path, load: impl FnOnce() -> Latencies) -> Self {
        let folder = path.parent().unwrap();
        let kept = folder_bytes(folder);
        let before = Usage::now();
        let latencies = load();
        Self {
            latencies,
            usage: before.until_now(),
            kept: folder_bytes(folder).saturating_sub(kept),
        }
    }

    /// Returns the transfers per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.usage.wall.as_secs_f64()
    }

    /// Returns the growth of all files for each transfer. It contains the write-ahead log, which grows in steps.
    pub(crate) fn kept_bytes(&self) -> f64 {
        self.kept as f64 / self.latencies.count() as f64
    }

    fn figures(&self) -> [f64; 8] {
        let count = self.latencies.count();
        [
            self.per_second(),
            self.latencies.at(500),
            self.latencies.at(990),
            self.usage.writer_us(count),
            self.usage.process_us(count) - self.usage.thread_us("clients", count),
            self.usage.process_us(count),
            self.usage.written_bytes(count),
            self.kept_bytes(),
        ]
    }
}

pub(crate) fn run(options: &Options, files: &mut Files) {
    let path = files.copy("commit");
    let guild = files.guild();
    let storage = open(&path);
    let runtime = runtime("clients");
    runtime.block_on(closed_loop(&storage, &guild, 64, WARM_UP));
    let title = "single transfers through storage, by tasks; the process contains the tasks";
    let table = Table::begin("commit", title, COLUMNS, options.json);
    for tasks in TASKS {
        let load = || runtime.block_on(closed_loop(&storage, &guild, tasks, options.span()));
        let measured = Measured::of(&path, load);
        table.row(&tasks.to_string(), &measured.figures());
    }
    close(&storage);
    remove(&path);
}
