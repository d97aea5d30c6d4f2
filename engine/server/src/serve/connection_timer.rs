//! The timers of one connection.
//!
//! hyper starts a timer for the head of each request, and nearly all of them are dropped long before they are due.
//! Starting or dropping a timer of tokio takes a lock that all connections share. So the timers of a connection share
//! one sleep, which is set again only when it ends before the timer that waits for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// The sleep that the timers of a connection share. It wakes the connection's task.
type SharedSleep = Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>;

/// The timers of a connection, for hyper.
pub(super) struct ConnectionTimer {
    sleep: SharedSleep,
}

/// A future that ends at a deadline.
struct Deadline {
    at: Instant,
    sleep: SharedSleep,
}

impl ConnectionTimer {
    /// Creates the timers of a connection.
    pub(super) fn new() -> Self {
        let sleep = tokio::time::sleep(Duration::ZERO);
        Self {
            sleep: Arc::new(Mutex::new(Box::pin(sleep))),
        }
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline {
            at: deadline,
            sleep: Arc::clone(&self.sleep),
        })
    }
}

impl Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.at.into();
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() == at {
                return Poll::Ready(());
            }
            // The sleep was set for an earlier timer.
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn each_timer_ends_at_its_own_deadline() {
        let timer = ConnectionTimer::new();
        let hour = Duration::from_hours(1);
        let before = Instant::now();
        let mut late = timer.sleep(hour);
        assert!(poll!(&mut late).is_pending());
        timer.sleep(Duration::from_millis(2)).await;
        assert!(before.elapsed() >= Duration::from_millis(2));
        assert!(poll!(&mut late).is_pending(), "the sleep is set again");
        let deadline = timer.sleep.lock().expect("no test panicked").deadline();
        assert!(deadline.into_std() >= before + hour);
    }

    #[tokio::test]
    async fn a_dropped_timer_leaves_the_sleep_for_the_next_one() {
        let timer = ConnectionTimer::new();
        let deadline = || timer.sleep.lock().expect("no test panicked").deadline();
        let mut first = timer.sleep(Duration::from_mins(1));
        assert!(poll!(&mut first).is_pending());
        let set = deadline();
        drop(first);
        let mut second = timer.sleep(Duration::from_mins(2));
        assert!(poll!(&mut second).is_pending());
        assert_eq!(deadline(), set, "no lock of all connections is taken");
    }
}
