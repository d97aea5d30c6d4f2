//! The clock of a file.
//!
//! It starts at the wall clock and then follows elapsed time, including time in suspend. It corrects a small
//! difference from the wall clock slowly. It reports a larger one and ignores it, because the process cannot
//! know which of the two is right. So no timestamp is ever before an older one,
//! and nothing that waits ends early or late because a clock was set.
//!
//! A [`Mark`] is written periodically. It tells the next start how long the service was down and if the wall
//! clock can be right.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bursar_ledger::Timestamp;
use serde::Serialize;

/// The largest difference from the wall clock that is corrected, slowly.
pub const CLOCK_FOLLOWED_MAX: Duration = Duration::from_mins(1);

/// The rate of correction relative to elapsed time, in parts per million. 500 is the maximum rate of the NTP
/// reference implementation as well (RFC 5905, section 11.3).
pub const CLOCK_SLEW_PPM: u32 = 500;

/// The time between two comparisons with the wall clock.
const CLOCK_LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest downtime that a start accepts on a machine that was rebooted meanwhile.
pub const OUTAGE_MAX: Duration = Duration::from_hours(31 * 24);

/// A reading of a machine's clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The wall clock: the time since 1970-01-01 UTC.
    pub wall: Duration,
    /// The time since boot, including time in suspend.
    pub elapsed: Duration,
}

/// The clocks of a machine.
#[derive(Clone)]
pub struct TimeSource {
    /// The id of this boot of the machine, or an empty text if it is unknown.
    boot: Arc<str>,
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
}

impl TimeSource {
    /// Creates a source for the clocks of a machine during the boot `boot`.
    pub fn new(boot: &str, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self {
            boot: boot.into(),
            read: Arc::new(read),
        }
    }

    /// Creates a source whose wall clock agrees with elapsed time.
    pub fn even(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self::new("even", move || {
            let wall = Duration::from_millis(read().0);
            Reading {
                wall,
                elapsed: wall,
            }
        })
    }

    /// Reads the clocks.
    pub fn read(&self) -> Reading {
        (self.read)()
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeSource").field(&self.read()).finish()
    }
}

/// The time at which a file was last served. It is a note next to the log and no record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mark {
    /// The time of the file's clock.
    pub kept: Timestamp,
    /// The wall clock.
    pub wall: Timestamp,
    /// The id of the boot, or an empty text if it was unknown.
    pub boot: String,
    /// The time since that boot in milliseconds.
    pub elapsed_ms: u64,
}

/// A file's clock compared with the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ClockView {
    /// The time of the file's clock, which records carry.
    pub kept: Timestamp,
    /// The time of the wall clock.
    pub wall: Timestamp,
    /// The milliseconds by which the wall clock is ahead.
    pub difference_ms: i64,
    /// True if the difference is small enough to be corrected.
    pub followed: bool,
}

impl ClockView {
    fn new(kept: Duration, wall: Duration) -> Self {
        let kept = stamp(kept);
        let wall = stamp(wall);
        let difference = i128::from(wall.0) - i128::from(kept.0);
        Self {
            kept,
            wall,
            difference_ms: i64::try_from(difference).unwrap_or(i64::MAX),
            followed: is_followed(kept, wall),
        }
    }
}

/// The clock of an open file. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    source: TimeSource,
    kept: Arc<Mutex<KeptTime>>,
}

/// The time of a file since an anchor, which each comparison with the wall clock replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct KeptTime {
    /// The time of the file at the anchor.
    kept: Duration,
    /// The elapsed time at the anchor.
    elapsed: Duration,
    /// The time to gain since the anchor.
    behind: Duration,
    /// The time to lose since the anchor.
    ahead: Duration,
    /// The last reported difference from the wall clock in milliseconds, or `None` while it is corrected.
    reported_ms: Option<i64>,
}

/// A finding of a comparison with the wall clock, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ClockFinding {
    /// The difference is too large to be corrected, or has grown since it was reported.
    Away(ClockView),
    /// The difference is corrected again.
    Back(ClockView),
}

impl KeptTime {
    fn new(kept: Duration, reading: Reading) -> Self {
        Self {
            kept,
            elapsed: reading.elapsed,
            behind: Duration::ZERO,
            ahead: Duration::ZERO,
            reported_ms: None,
        }
    }

    /// Returns the time of the file for an elapsed time. It never decreases as the elapsed time grows.
    fn at(&self, elapsed: Duration) -> Duration {
        let passed = elapsed.saturating_sub(self.elapsed);
        let most = passed * CLOCK_SLEW_PPM / 1_000_000;
        self.kept
            .saturating_add(passed)
            .saturating_add(self.behind.min(most))
            .saturating_sub(self.ahead.min(most))
    }

    /// Compares with the wall clock if the interval has passed.
    fn look(&mut self, reading: Reading) -> Option<ClockFinding> {
        if reading.elapsed.saturating_sub(self.elapsed) < CLOCK_LOOK_EVERY {
            return None;
        }
        self.kept = self.at(reading.elapsed);
        self.elapsed = reading.elapsed;
        self.behind = Duration::ZERO;
        self.ahead = Duration::ZERO;
        let view = ClockView::new(self.kept, reading.wall);
        if view.followed {
            self.behind = reading.wall.saturating_sub(self.kept);
            self.ahead = self.kept.saturating_sub(reading.wall);
            return self.reported_ms.take().map(|_| ClockFinding::Back(view));
        }
        let further =
            |reported: i64| reported.abs_diff(view.difference_ms) > millis(CLOCK_FOLLOWED_MAX);
        if self.reported_ms.is_none_or(further) {
            self.reported_ms = Some(view.difference_ms);
            return Some(ClockFinding::Away(view));
        }
        None
    }
}

impl Clock {
    fn new(source: TimeSource, kept: Duration) -> Self {
        let kept = KeptTime::new(kept, source.read());
        Self {
            source,
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// Creates the clock of a new file.
    #[cfg(test)]
    pub(crate) fn begin(source: TimeSource) -> Self {
        let wall = source.read().wall;
        Self::new(source, wall)
    }

    /// Returns the current time of the file. It never decreases.
    pub fn now(&self) -> Timestamp {
        stamp(self.advance().0)
    }

    /// Returns a file's clock compared with the wall clock.
    pub fn view(&self) -> ClockView {
        let (kept, reading) = self.advance();
        ClockView::new(kept, reading.wall)
    }

    /// Creates the mark of this moment.
    pub(crate) fn mark(&self) -> Mark {
        let (kept, reading) = self.advance();
        Mark {
            kept: stamp(kept),
            wall: stamp(reading.wall),
            boot: self.source.boot.to_string(),
            elapsed_ms: millis(reading.elapsed),
        }
    }

    fn advance(&self) -> (Duration, Reading) {
        let mut kept = self.kept();
        // The clocks are read under the lock, so that no older reading follows a newer one.
        let reading = self.source.read();
        let found = kept.look(reading);
        let now = kept.at(reading.elapsed);
        drop(kept);
        match found {
            None => {}
            Some(ClockFinding::Away(ClockView {
                kept,
                wall,
                difference_ms,
                ..
            })) => tracing::error!(
                %kept, %wall, difference_ms,
                "the clock of the machine was set; the clock of the file ignores that and follows elapsed \
                 time. If the machine is right now, stop the server, run `bursar clock set` and start it again"
            ),
            Some(ClockFinding::Back(ClockView { difference_ms, .. })) => tracing::warn!(
                difference_ms,
                "the clock of the machine agrees again and is followed"
            ),
        }
        (now, reading)
    }

    fn kept(&self) -> MutexGuard<'_, KeptTime> {
        // Each change is complete, so a poisoned lock is still valid.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The knowledge of the time when a file is opened.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    source: TimeSource,
    /// The latest time in the file.
    last: Timestamp,
    /// The last time at which the file was served.
    served: Timestamp,
    /// The current time as derived from the file, or `None` if the file holds no time.
    expected: Option<Duration>,
    reading: Reading,
    /// True if that time is exact, because the machine was not rebooted since the mark.
    same_boot: bool,
}

/// A period without service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Beginning {
    /// Derives the time from the file's mark, its newest record and the clocks of the machine.
    pub(crate) fn new(source: &TimeSource, mark: Option<&Mark>, newest: Timestamp) -> Self {
        let reading = source.read();
        let last = mark.map_or(newest, |mark| mark.kept.max(newest));
        let since_mark = mark.and_then(|mark| {
            let known = !mark.boot.is_empty() && *mark.boot == *source.boot;
            let since = reading
                .elapsed
                .checked_sub(Duration::from_millis(mark.elapsed_ms))?;
            known.then(|| Duration::from_millis(mark.kept.0).saturating_add(since))
        });
        let oldest = Duration::from_millis(last.0);
        let expected = match since_mark {
            Some(expected) => Some(expected.max(oldest)),
            None if last == Timestamp(0) => None,
            None => {
                let longest = oldest.saturating_add(OUTAGE_MAX);
                let is_possible = (oldest..=longest).contains(&reading.wall);
                Some(if is_possible { reading.wall } else { oldest })
            }
        };
        Self {
            source: source.clone(),
            last,
            served: mark.map_or(newest, |mark| mark.kept),
            expected,
            reading,
            same_boot: since_mark.is_some(),
        }
    }

    /// Returns true if the mark was written during the present boot of the machine.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.same_boot
    }

    /// Returns the latest time in the file.
    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    /// Compares the time with which the file would continue with the wall clock.
    pub(crate) fn view(&self) -> ClockView {
        ClockView::new(self.kept(), self.reading.wall)
    }

    /// Returns the time with which the file continues.
    fn kept(&self) -> Duration {
        self.expected.unwrap_or(self.reading.wall)
    }

    /// Returns the time from which `clock set` counts. After a reboot the length of the downtime is unknown, so
    /// it does not count.
    pub(crate) fn known(&self) -> Timestamp {
        if self.same_boot {
            stamp(self.kept())
        } else {
            self.last
        }
    }

    /// Starts the clock, if the wall clock can be right.
    pub(crate) fn clock(&self) -> Result<Clock, ClockError> {
        let view = self.view();
        if view.followed {
            return Ok(Clock::new(self.source.clone(), self.kept()));
        }
        Err(ClockError {
            view,
            last: self.last,
        })
    }

    /// Starts the clock at the wall clock, without a check.
    pub(crate) fn adopted(&self) -> Clock {
        Clock::new(self.source.clone(), self.reading.wall)
    }

    /// Returns the period without service, if it is longer than a restart takes.
    pub(crate) fn outage(&self, until: Timestamp, least: Duration) -> Option<Outage> {
        let outage = Outage {
            from: self.served,
            until,
        };
        let lasted = until.0.saturating_sub(self.served.0);
        (self.served > Timestamp(0) && lasted > millis(least)).then_some(outage)
    }
}

/// The error for a machine whose clock is far from the time of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockError {
    /// The time with which the file would continue, and the time of the machine.
    pub view: ClockView,
    /// The latest time in the file.
    pub last: Timestamp,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockError { view, last } = self;
        let way = if view.difference_ms > 0 {
            "ahead of"
        } else {
            "behind"
        };
        write!(
            f,
            "the clock of this machine ({wall}) is {apart} {way} the time of the file ({kept}, last served \
             at {last}; milliseconds since 1970-01-01 UTC). If the machine is wrong, set its clock. If it \
             is right, run `bursar clock set`",
            wall = view.wall,
            kept = view.kept,
            apart = apart(view.difference_ms.unsigned_abs()),
        )
    }
}

impl std::error::Error for ClockError {}

/// Formats a duration for people.
fn apart(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Returns true if a time is further ahead than a correction can follow.
pub(crate) fn is_ahead(moment: Timestamp, now: Timestamp) -> bool {
    moment > now && !is_followed(now, moment)
}

fn is_followed(kept: Timestamp, wall: Timestamp) -> bool {
    kept.0.abs_diff(wall.0) <= millis(CLOCK_FOLLOWED_MAX)
}

fn stamp(moment: Duration) -> Timestamp {
    Timestamp(millis(moment))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
