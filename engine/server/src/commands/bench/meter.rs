//! The processor time and the writes of a server's process, as the kernel counts them.
//!
//! Only Linux reports them (`proc(5)`). Elsewhere the figures are absent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// The milliseconds of a tick, in which the kernel shows times to programs (`USER_HZ`, `time(7)`).
const TICK_MS: u64 = 10;

/// The parts of a server, by the names of its threads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ServerPart {
    /// Connections, HTTP and JSON.
    Front,
    /// The one thread that decides and commits.
    Writer,
    /// The thread that merges the index.
    Index,
    /// The threads that run plugins.
    Guests,
    /// All others, and threads that have ended.
    Other,
}

impl ServerPart {
    /// All parts.
    pub(super) const ALL: [Self; 5] = [
        Self::Front,
        Self::Writer,
        Self::Index,
        Self::Guests,
        Self::Other,
    ];

    /// Returns the name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Writer => "writer",
            Self::Index => "index",
            Self::Guests => "guests",
            Self::Other => "other",
        }
    }

    /// Returns the part to which a thread with this name belongs.
    fn of_thread(name: &str) -> Self {
        match name {
            "writer" => Self::Writer,
            "index" => Self::Index,
            _ if name.starts_with("tokio-") || name.starts_with("front") => Self::Front,
            _ if name.starts_with("guest") => Self::Guests,
            _ => Self::Other,
        }
    }
}

/// The use of the machine by a process since its start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ProcessUsage {
    /// Processor time of living threads, by part.
    threads: BTreeMap<ServerPart, Duration>,
    /// Processor time of all threads.
    all: Duration,
    /// Bytes that were sent to the disk.
    written: u64,
}

/// The use of the machine by a process between two moments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct UsedBetween {
    pub(super) processor: BTreeMap<ServerPart, Duration>,
    pub(super) written: u64,
}

impl ProcessUsage {
    /// Reads the figures of a process. Returns none if the system does not report them.
    pub(super) fn of(process: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let mut threads: BTreeMap<ServerPart, Duration> = BTreeMap::new();
        for thread in std::fs::read_dir(folder.join("task")).ok()? {
            let thread = thread.ok()?.path();
            // A thread may end between the listing and the reading.
            let Ok(name) = std::fs::read_to_string(thread.join("comm")) else {
                continue;
            };
            let time = threads
                .entry(ServerPart::of_thread(name.trim()))
                .or_default();
            *time = time.saturating_add(thread_time(&thread).unwrap_or_default());
        }
        let io = std::fs::read_to_string(folder.join("io")).ok()?;
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        Some(Self {
            threads,
            all: ticks(&std::fs::read_to_string(folder.join("stat")).ok()?)?,
            written: written?.trim().parse().ok()?,
        })
    }

    /// Returns the use from an earlier moment to this one.
    pub(super) fn since(&self, earlier: &Self) -> UsedBetween {
        let mut processor = BTreeMap::new();
        let mut named = Duration::ZERO;
        for part in ServerPart::ALL {
            let time = |usage: &Self| usage.threads.get(&part).copied().unwrap_or_default();
            let used = time(self).saturating_sub(time(earlier));
            named = named.saturating_add(used);
            processor.insert(part, used);
        }
        // The kernel adds the times of threads that have ended to the process only, in ticks of 10 ms.
        let all = self.all.saturating_sub(earlier.all);
        let other = processor.entry(ServerPart::Other).or_default();
        *other = other.saturating_add(all.saturating_sub(named));
        UsedBetween {
            processor,
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

impl UsedBetween {
    /// Returns the processor time of all parts.
    pub(super) fn all(&self) -> Duration {
        self.processor.values().sum()
    }

    /// Adds the use of another time.
    pub(super) fn add(&mut self, other: &Self) {
        for (part, used) in &other.processor {
            let time = self.processor.entry(*part).or_default();
            *time = time.saturating_add(*used);
        }
        self.written = self.written.saturating_add(other.written);
    }
}

/// Returns the processor time of the calling thread.
pub(super) fn own_thread_time() -> Option<Duration> {
    thread_time(Path::new("/proc/thread-self"))
}

/// Returns the processor time of a thread, in nanoseconds where the kernel keeps them.
fn thread_time(thread: &Path) -> Option<Duration> {
    if let Ok(text) = std::fs::read_to_string(thread.join("schedstat"))
        && let Some(Ok(nanoseconds)) = text.split_whitespace().next().map(str::parse)
    {
        return Some(Duration::from_nanos(nanoseconds));
    }
    ticks(&std::fs::read_to_string(thread.join("stat")).ok()?)
}

/// Returns the user and system time in a `stat` file.
fn ticks(stat: &str) -> Option<Duration> {
    // The name of a process stands in parentheses and may contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = user.saturating_add(system);
    Some(Duration::from_millis(ticks.saturating_mul(TICK_MS)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn threads_belong_to_parts_by_their_names() {
        for (name, part) in [
            ("tokio-rt-worker", ServerPart::Front),
            ("writer", ServerPart::Writer),
            ("index", ServerPart::Index),
            ("guest-0", ServerPart::Guests),
            ("checkpoint", ServerPart::Other),
            ("bursar", ServerPart::Other),
        ] {
            assert_eq!(ServerPart::of_thread(name), part, "{name}");
        }
    }

    #[test]
    fn times_are_read_past_a_strange_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(ticks(stat), Some(Duration::from_secs(2)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn threads_that_have_ended_count_as_other() {
        let usage = |front: u64, all: u64, written| ProcessUsage {
            threads: BTreeMap::from([(ServerPart::Front, Duration::from_millis(front))]),
            all: Duration::from_millis(all),
            written,
        };
        let used = usage(30, 70, 9).since(&usage(10, 20, 4));
        assert_eq!(
            used.processor[&ServerPart::Front],
            Duration::from_millis(20)
        );
        assert_eq!(
            used.processor[&ServerPart::Other],
            Duration::from_millis(30)
        );
        assert_eq!(used.all(), Duration::from_millis(50));
        assert_eq!(used.written, 5);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_works_uses_time() {
        let own = std::process::id();
        let before = ProcessUsage::of(own).unwrap();
        let begun = own_thread_time().unwrap();
        while own_thread_time().unwrap() < begun + Duration::from_millis(50) {}
        let used = ProcessUsage::of(own).unwrap().since(&before);
        assert!(used.all() >= Duration::from_millis(40), "{used:?}");
    }
}
