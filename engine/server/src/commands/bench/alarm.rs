//! A wait for sockets that ends at an exact time.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};

/// The longest wait without a look at the clock.
const TICK: Duration = Duration::from_millis(50);

/// A timer for a poll. `epoll_wait` counts in milliseconds, in which an open loop sends several requests, so that their
/// latency would be the error of the timer; Linux has a timer that is polled like a socket (`timerfd_create(2)`).
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// Creates a timer that wakes a poll, as an event of this token.
    pub(super) fn new(poll: &Poll, token: mio::Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        poll.registry()
            .register(&mut source, token, mio::Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Waits for events, up to `wait` if there is a next time, and never longer than a tick.
    pub(super) fn poll(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        wait: Option<Duration>,
    ) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        if let Some(wait) = wait.filter(|wait| *wait < TICK) {
            // A time of zero would disarm the timer.
            let nanoseconds = wait.subsec_nanos().max(1);
            let it_value = Timespec {
                tv_sec: 0,
                tv_nsec: nanoseconds.into(),
            };
            let it_interval = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let time = Itimerspec {
                it_interval,
                it_value,
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        }
        poll.poll(events, Some(TICK))
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// Creates a timer of whole milliseconds.
    #[expect(clippy::unnecessary_wraps, reason = "it fails on Linux")]
    pub(super) fn new(_: &Poll, _: mio::Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for events, up to `wait` if there is a next time, and never longer than a tick.
    pub(super) fn poll(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        wait: Option<Duration>,
    ) -> io::Result<()> {
        poll.poll(events, Some(wait.unwrap_or(TICK).min(TICK)))
    }
}
