//! Work in the background of the writer: threads of low priority, and a pace with pauses.
//!
//! A low priority decides which thread runs next, but not at once: a thread that runs may go on for a few milliseconds
//! after a thread of a higher priority wakes (`EEVDF` in `sched(7)`). So long work also pauses often by itself while
//! requests are committed.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::state::State;

/// The niceness of background threads above the rest of the process, which gives them about a third of the time of other
/// threads (`sched(7)`, a factor of 1.25 for each step). With a higher one they would hardly go on beside other programs.
const NICENESS: i32 = 5;

/// The time after which background work pauses while requests are committed.
const STRETCH: Duration = Duration::from_micros(500);

/// The longest pause. Work that took longer was itself waiting for its turn.
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// Lowers the priority of the calling thread. On Linux this changes no other thread (`setpriority(2)`, C library/kernel
/// differences), and threads that it starts later have the same priority.
fn lower_priority() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the priority of a background thread could not be lowered");
    }
}

/// Runs work on a thread of low priority and waits for its end.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            lower_priority();
            work()
        });
        // A panic continues on the thread that waits, as it would without the other thread.
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The pace of long work: it goes on without pauses while the writer is idle, and works half of the time otherwise.
#[derive(Clone)]
pub(crate) struct BackgroundPace<'a> {
    /// The state that the writer publishes after each commit; none if no process writes to the file.
    published: Option<&'a ArcSwap<State>>,
    /// The newest commit at the last look.
    batch: Cell<u64>,
    /// The end of the last pause.
    resumed: Cell<Instant>,
}

impl<'a> BackgroundPace<'a> {
    /// Creates the pace of work beside a writer.
    pub(crate) fn beside(published: &'a ArcSwap<State>) -> Self {
        Self {
            batch: Cell::new(published.load().batch),
            published: Some(published),
            resumed: Cell::new(Instant::now()),
        }
    }

    /// Creates a pace without pauses.
    pub(crate) fn unhindered() -> Self {
        Self {
            published: None,
            batch: Cell::new(0),
            resumed: Cell::new(Instant::now()),
        }
    }

    /// Pauses if the work has lasted long enough and requests were committed meanwhile. Returns true if it has paused.
    pub(crate) fn step(&self) -> bool {
        let Some(published) = self.published else {
            return false;
        };
        let worked = self.resumed.get().elapsed();
        if worked < STRETCH {
            return false;
        }
        let batch = published.load().batch;
        let is_busy = self.batch.replace(batch) != batch;
        if is_busy {
            thread::sleep(worked.min(PAUSE_MAX));
        }
        self.resumed.set(Instant::now());
        is_busy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn long_work_pauses_only_while_requests_are_committed() {
        let published = ArcSwap::from_pointee(State::default());
        let pace = BackgroundPace::beside(&published);
        let commit = |batch| {
            published.store(Arc::new(State {
                batch,
                ..State::default()
            }));
        };
        commit(1);
        pace.resumed.set(Instant::now() + STRETCH);
        assert!(!pace.step(), "the stretch is not over");
        thread::sleep(3 * STRETCH);
        assert!(pace.step(), "a request was committed");
        thread::sleep(STRETCH);
        assert!(!pace.step(), "the writer is idle");
        thread::sleep(STRETCH);
        commit(2);
        assert!(pace.step());
        assert!(!BackgroundPace::unhindered().step());
    }

    #[test]
    fn background_threads_have_a_low_priority_and_others_keep_theirs() {
        let here = || rustix::process::nice(0).expect("a priority");
        let before = here();
        let there = run(here);
        assert_eq!(there, (before + NICENESS).min(19));
        assert_eq!(here(), before);
    }

    #[test]
    fn a_panic_in_the_background_reaches_the_caller() {
        let caught = std::panic::catch_unwind(|| run(|| panic!("in the background")));
        assert!(caught.is_err());
    }
}
