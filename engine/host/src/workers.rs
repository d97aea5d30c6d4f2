//! Threads of their own for guests, so that a guest that thinks long holds up no one else. Who is next is
//! decided here: economies take turns, and in each of them its plugins.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bursar_ledger::{EconomyId, PluginId};

use crate::turns::{Line, Turns};

/// Something to be done on a worker.
type Job = Box<dyn FnOnce() + Send>;

/// The line before the workers is full, or they are ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many calls are waiting")]
pub struct Busy;

/// How much nicer workers are than the rest of the process. Money moves first: with one core left,
/// a transfer gets about nine times the time of a guest.
const NICENESS: i32 = 10;

/// Stack of a worker: the guest's own stack, and room for the host functions on top of it.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A fixed number of threads, and a bounded number of jobs before them.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    lines: Turns<EconomyId, Turns<PluginId, VecDeque<Job>>>,
    /// How many more may wait; none once the workers are ending.
    room: Option<usize>,
}

impl Workers {
    /// Starts the threads.
    pub fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let waiting = Waiting {
            lines: Turns::default(),
            room: Some(waiting_max),
        };
        let shared = Arc::new(Shared {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        });
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("guest-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&shared))
        };
        let threads = (0..threads.max(1))
            .map(start)
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
        })
    }

    /// Has a job of a plugin's done when a worker is free and it is its turn. It is not waited for.
    pub fn submit(&self, economy: &EconomyId, plugin: &PluginId, job: Job) -> Result<(), Busy> {
        let mut waiting = open(&self.shared.waiting);
        let room = waiting.room.and_then(|room| room.checked_sub(1));
        waiting.room = Some(room.ok_or(Busy)?);
        waiting.lines.line(economy).line(plugin).push_back(job);
        drop(waiting);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Lets nothing in any more, drops what waits, and waits until what runs is done.
    pub fn stop(&self) {
        let dropped = {
            let mut waiting = open(&self.shared.waiting);
            waiting.room = None;
            std::mem::take(&mut waiting.lines)
        };
        self.shared.changed.notify_all();
        // Not while the lines are locked: a job may be the last owner of these very workers.
        drop(dropped);
        let threads = std::mem::take(&mut *open(&self.threads));
        for thread in threads {
            // The last owner may be a job: its own thread ends when the job does.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

fn work(shared: &Shared) {
    // On Linux this is the calling thread's own niceness. Without it calls are merely less polite.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "guests run at the priority of the process");
    }
    while let Some(job) = next(shared) {
        // A bug in one call must not take the worker from the next.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a call panicked in the host");
        }
    }
}

/// Waits for the next job; none once the workers are ending.
fn next(shared: &Shared) -> Option<Job> {
    let mut waiting = open(&shared.waiting);
    loop {
        let room = waiting.room?;
        if let Some(job) = waiting.lines.next() {
            waiting.room = Some(room.saturating_add(1));
            return Some(job);
        }
        let woken = shared.changed.wait(waiting);
        waiting = woken.unwrap_or_else(PoisonError::into_inner);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here is whole at any time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    impl Workers {
        /// Has a job of some plugin's done.
        fn take(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
            let (economy, plugin) = ("guild".parse(), "game".parse());
            let (economy, plugin) = (economy.expect("a name"), plugin.expect("a name"));
            self.submit(&economy, &plugin, Box::new(job))
        }
    }

    #[test]
    fn a_panic_costs_its_own_job_only() {
        let workers = Workers::start(1, 4).expect("threads start");
        let (say, heard) = mpsc::channel();
        workers.take(|| panic!("a bug")).expect("there is room");
        workers
            .take(move || say.send(7).expect("heard"))
            .expect("there is room");
        assert_eq!(heard.recv(), Ok(7));
    }

    #[test]
    fn the_last_owner_may_be_a_job() {
        let workers = Arc::new(Workers::start(1, 4).expect("threads start"));
        let (release, wait) = mpsc::channel::<()>();
        let (say, heard) = mpsc::channel();
        let job = {
            let workers = Arc::clone(&workers);
            move || {
                wait.recv().expect_err("the sender is gone");
                drop(workers);
                say.send(7).expect("heard");
            }
        };
        workers.take(job).expect("there is room");
        drop(workers);
        drop(release);
        assert_eq!(heard.recv(), Ok(7));
    }

    #[test]
    fn stopping_waits_for_what_runs_and_drops_what_waits() {
        let workers = Workers::start(1, 4).expect("threads start");
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel::<()>();
        let (say, heard) = mpsc::channel();
        let first = {
            let say = say.clone();
            move || {
                started.send(()).expect("heard");
                wait.recv().expect_err("the sender is gone");
                say.send(1).expect("heard");
            }
        };
        workers.take(first).expect("there is room");
        running.recv().expect("the worker has taken it");
        let second = move || say.send(2).expect("heard");
        workers.take(second).expect("one may wait");
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| workers.stop());
            while open(&workers.shared.waiting).room.is_some() {
                std::thread::yield_now();
            }
            drop(release);
            stopping.join().expect("it stops");
        });
        assert_eq!(heard.iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_full_queue_turns_jobs_away() {
        let workers = Workers::start(1, 1).expect("threads start");
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel::<()>();
        let job = move || {
            started.send(()).expect("heard");
            wait.recv().expect_err("nothing is ever sent");
        };
        workers.take(job).expect("the worker is free");
        running.recv().expect("the worker has taken it");
        workers.take(|| {}).expect("one may wait");
        assert_eq!(workers.take(|| {}), Err(Busy));
        drop(release);
    }
}
