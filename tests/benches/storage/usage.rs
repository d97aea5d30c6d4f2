//! The resources that this process has used: processor time of its threads, bytes written, and memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The name of the thread that commits.
const WRITER: &str = "writer";

/// The interval in which a writer at rest uses at most [`REST_US`].
const REST: Duration = Duration::from_millis(200);
/// The processor time in microseconds that a writer at rest may use for its clock and its notes.
const REST_US: f64 = 4_000.0;
/// The most intervals of a wait for the writers.
const RESTS_MAX: usize = 50;

/// The resources used up to a moment, or between two moments.
pub(crate) struct Usage {
    at: Instant,
    pub(crate) wall: Duration,
    process: Duration,
    threads: BTreeMap<String, Duration>,
    written: u64,
}

impl Usage {
    /// Returns the resources used by this process so far.
    pub(crate) fn now() -> Self {
        let process = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            wall: Duration::ZERO,
            process: Duration::new(process.tv_sec as u64, process.tv_nsec as u32),
            threads: threads(),
            written: written(),
        }
    }

    /// Returns the resources used since this moment.
    pub(crate) fn until_now(&self) -> Self {
        let now = Self::now();
        let used = |(name, time): (String, Duration)| {
            let before = self.threads.get(&name).copied().unwrap_or_default();
            (name, time.saturating_sub(before))
        };
        Self {
            at: now.at,
            wall: now.at.duration_since(self.at),
            process: now.process.saturating_sub(self.process),
            threads: now.threads.into_iter().map(used).collect(),
            written: now.written - self.written,
        }
    }

    /// Returns the processor time of the writer for each of `count` requests, in microseconds.
    pub(crate) fn writer_us(&self, count: usize) -> f64 {
        self.thread_us(WRITER, count)
    }

    /// Returns the processor time of the threads of this name for each of `count` requests, in microseconds.
    pub(crate) fn thread_us(&self, name: &str, count: usize) -> f64 {
        let time = self.threads.get(name).copied().unwrap_or_default();
        time.as_secs_f64() * 1e6 / count as f64
    }

    /// Returns the processor time of the whole process for each of `count` requests, in microseconds.
    pub(crate) fn process_us(&self, count: usize) -> f64 {
        self.process.as_secs_f64() * 1e6 / count as f64
    }

    /// Returns the bytes written to storage devices for each of `count` requests.
    pub(crate) fn written_bytes(&self, count: usize) -> f64 {
        self.written as f64 / count as f64
    }
}

/// Waits until the writers do no maintenance any more, for a limited time.
pub(crate) fn rest() {
    for _ in 0..RESTS_MAX {
        let before = Usage::now();
        std::thread::sleep(REST);
        if before.until_now().writer_us(1) < REST_US {
            return;
        }
    }
}

/// Returns the processor time of the threads of each name. Counters of scheduler ticks would be too coarse for a
/// short measurement, so this reads nanoseconds (`proc_pid_schedstat` in the documentation of Linux).
fn threads() -> BTreeMap<String, Duration> {
    let mut threads = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // A thread may end between the listing and the reads.
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else {
            continue;
        };
        let Ok(times) = std::fs::read_to_string(task.join("schedstat")) else {
            continue;
        };
        let nanoseconds = times.split(' ').next().unwrap().parse().unwrap();
        let time = threads.entry(name.trim().to_owned()).or_default();
        *time += Duration::from_nanos(nanoseconds);
    }
    threads
}

/// Returns the bytes that this process has caused to be written to storage devices.
fn written() -> u64 {
    number("/proc/self/io", "write_bytes:")
}

/// Returns the resident memory of this process in bytes: now, and at most so far.
pub(crate) fn resident_bytes() -> (u64, u64) {
    let kibibytes = |name| number("/proc/self/status", name);
    (kibibytes("VmRSS:") * 1024, kibibytes("VmHWM:") * 1024)
}

fn number(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap().trim().trim_end_matches(" kB");
    value.parse().unwrap()
}

/// Returns the size of all files in a folder in bytes.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            // Storage may remove a file between the listing and this read.
            match entry.metadata() {
                Ok(data) if data.is_dir() => folder_bytes(&entry.path()),
                Ok(data) => data.len(),
                Err(_) => 0,
            }
        })
        .sum()
}
