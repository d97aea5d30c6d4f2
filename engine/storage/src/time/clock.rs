//! The time that a file goes by.
//!
//! It begins with the wall clock and goes on by the time that has elapsed, also while the machine was
//! suspended. A small difference from the wall clock is made up for slowly; a larger one is told and not
//! followed, since nobody can know here which of the two is right. So no stamp is ever before an older one,
//! and nothing that waits ends early or late because a clock was set.
//!
//! A [`Mark`] is written now and then. By it a start knows for how long nobody was served, and whether the
//! wall clock can be right.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bursar_ledger::Timestamp;
use serde::Serialize;

/// The difference from the wall clock up to which it is followed, slowly.
pub const CLOCK_FOLLOWED_MAX: Duration = Duration::from_mins(1);

/// How much faster or slower than elapsed time the kept time goes while it follows: 500 millionths.
pub const CLOCK_SLEW_PPM: u32 = 500;

/// The time between two looks at the wall clock.
const CLOCK_LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest time without service that a start on a machine that was booted since believes.
pub const OUTAGE_MAX: Duration = Duration::from_hours(31 * 24);

/// What the clocks of a machine say at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The wall clock: the time since 1970-01-01 UTC.
    pub wall: Duration,
    /// The time since the machine was booted, suspended or not.
    pub elapsed: Duration,
}

/// The clocks of a machine.
#[derive(Clone)]
pub struct TimeSource {
    /// What tells this boot of the machine from others; empty where that cannot be known.
    boot: Arc<str>,
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
}

impl TimeSource {
    /// The clocks of a machine since it was booted, as `boot` names it.
    pub fn new(boot: &str, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self {
            boot: boot.into(),
            read: Arc::new(read),
        }
    }

    /// Clocks that agree: the wall clock shows what has elapsed.
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

/// What a file knows of the time at which it was last served. A note and no record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mark {
    /// The kept time.
    pub kept: Timestamp,
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot of the machine; empty where that was not known.
    pub boot: String,
    /// Milliseconds since then.
    pub elapsed_ms: u64,
}

/// The kept time beside the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ClockView {
    /// The time that records are stamped with.
    pub kept: Timestamp,
    /// The time that the machine shows.
    pub wall: Timestamp,
    /// Milliseconds by which the machine is ahead of it.
    pub difference_ms: i64,
    /// Whether the difference is small enough to be made up for.
    pub followed: bool,
}

impl ClockView {
    fn new(kept: Duration, wall: Duration) -> Self {
        let (kept, wall) = (stamp(kept), stamp(wall));
        let difference = i128::from(wall.0) - i128::from(kept.0);
        Self {
            kept,
            wall,
            difference_ms: i64::try_from(difference).unwrap_or(i64::MAX),
            followed: is_followed(kept, wall),
        }
    }
}

/// The time of an open file. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    source: TimeSource,
    kept: Arc<Mutex<KeptTime>>,
}

/// Kept time from an anchor on. The anchor is laid anew at each look at the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct KeptTime {
    /// The kept time at the anchor.
    kept: Duration,
    /// The elapsed time at the anchor.
    elapsed: Duration,
    /// What is to be made up for since then.
    behind: Duration,
    /// What is to be waited for since then.
    ahead: Duration,
    /// The difference from the wall clock in milliseconds that was last told; none while it is followed.
    told_ms: Option<i64>,
}

/// What a look at the wall clock has found that somebody should know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ClockFinding {
    /// It is not followed, or is further away than it was told.
    Away(ClockView),
    /// It is followed again.
    Back(ClockView),
}

impl KeptTime {
    fn new(kept: Duration, reading: Reading) -> Self {
        Self {
            kept,
            elapsed: reading.elapsed,
            behind: Duration::ZERO,
            ahead: Duration::ZERO,
            told_ms: None,
        }
    }

    /// The kept time after so much has elapsed. It never decreases as that grows.
    fn at(&self, elapsed: Duration) -> Duration {
        let passed = elapsed.saturating_sub(self.elapsed);
        let most = passed * CLOCK_SLEW_PPM / 1_000_000;
        self.kept
            .saturating_add(passed)
            .saturating_add(self.behind.min(most))
            .saturating_sub(self.ahead.min(most))
    }

    /// Looks at the wall clock, if it is time to.
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
            return self.told_ms.take().map(|_| ClockFinding::Back(view));
        }
        let further = |told: i64| told.abs_diff(view.difference_ms) > millis(CLOCK_FOLLOWED_MAX);
        if self.told_ms.is_none_or(further) {
            self.told_ms = Some(view.difference_ms);
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

    /// The clock of a file that knows nothing of time.
    #[cfg(test)]
    pub(crate) fn begin(source: TimeSource) -> Self {
        let wall = source.read().wall;
        Self::new(source, wall)
    }

    /// The kept time now. It never decreases.
    pub fn now(&self) -> Timestamp {
        stamp(self.advance().0)
    }

    /// The kept time beside the wall clock.
    pub fn view(&self) -> ClockView {
        let (kept, reading) = self.advance();
        ClockView::new(kept, reading.wall)
    }

    /// What to write down of this moment.
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
        // Read under the lock, so that nobody comes with an older reading after a newer one.
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
                "the clock of the machine was set; time goes on here as it passes. Where the machine is \
                 right now, stop the server, run `bursar clock set` and start it again"
            ),
            Some(ClockFinding::Back(ClockView { difference_ms, .. })) => tracing::warn!(
                difference_ms,
                "the clock of the machine is right again, and is followed"
            ),
        }
        (now, reading)
    }

    fn kept(&self) -> MutexGuard<'_, KeptTime> {
        // Each change of it is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the time as a file is opened.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    source: TimeSource,
    /// The latest moment that the file knows of.
    last: Timestamp,
    /// The last moment at which it is known to have been served.
    served: Timestamp,
    /// The time that it is by all that the file knows; none if it knows nothing.
    expected: Option<Duration>,
    reading: Reading,
    /// Whether that is more than a guess: the machine was not booted since the mark.
    same_boot: bool,
}

/// Time in which nobody was served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Beginning {
    /// What the file's mark and its newest record say, held against the clocks.
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
                let believed = (oldest..=longest).contains(&reading.wall);
                Some(if believed { reading.wall } else { oldest })
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

    /// Returns true if the mark is of the present boot of the machine.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.same_boot
    }

    /// The latest moment that the file knows of.
    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    /// The kept time as it would go on, beside the wall clock.
    pub(crate) fn view(&self) -> ClockView {
        ClockView::new(self.kept(), self.reading.wall)
    }

    /// The kept time with which the file goes on.
    fn kept(&self) -> Duration {
        self.expected.unwrap_or(self.reading.wall)
    }

    /// The time from which the repair counts: after another boot nobody knows for how long the file lay
    /// there, and what is not known does not count.
    pub(crate) fn known(&self) -> Timestamp {
        if self.same_boot {
            stamp(self.kept())
        } else {
            self.last
        }
    }

    /// The clock from here on, if the wall clock can be right.
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

    /// The clock that takes the wall clock at its word.
    pub(crate) fn adopted(&self) -> Clock {
        Clock::new(self.source.clone(), self.reading.wall)
    }

    /// The time in which nobody was served, if it is long enough to be told from a restart.
    pub(crate) fn outage(&self, until: Timestamp, least: Duration) -> Option<Outage> {
        let outage = Outage {
            from: self.served,
            until,
        };
        let lasted = until.0.saturating_sub(self.served.0);
        (self.served > Timestamp(0) && lasted > millis(least)).then_some(outage)
    }
}

/// The clock of the machine is far from the time that the file knows of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockError {
    /// The time that the file would go on with, and that of the machine.
    pub view: ClockView,
    /// The latest moment that the file knows of.
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

/// A span of time for people.
fn apart(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Whether a moment lies further ahead of the time than is made up for.
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
