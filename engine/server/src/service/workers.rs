//! Threads of their own for guests, so that a guest that thinks long holds up no one else. Whose job is next
//! is decided in [`fair_queue`].

mod fair_queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bursar_host::thread_cpu_time;
use bursar_ledger::{EconomyId, PluginName};

use fair_queue::{FairQueue, Place, Started, Took};

/// Something to be done on a worker.
type Job = Box<dyn FnOnce() + Send>;

type Queue = FairQueue<EconomyId, PluginName, Job>;

/// The line before the workers is full, or they are ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many calls are waiting")]
pub(super) struct Busy;

/// A job that was submitted.
pub(super) type Submitted = Place<EconomyId, PluginName>;

/// The niceness of workers above the rest of the process. Money moves first: with one core left,
/// a transfer gets about nine times the time of a guest.
const NICENESS: i32 = 10;

/// Stack of a worker: the guest's own stack, and room for the host functions on top of it.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A fixed number of threads, and a bounded number of jobs before them.
pub(super) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// A job was added or has ended, or the workers are ending.
    changed: Condvar,
    /// A worker has ended.
    ended: Condvar,
    waiting_max: usize,
    began: Instant,
}

struct State {
    queue: Queue,
    /// Nothing is let in any more.
    closed: bool,
    /// Threads that have not ended.
    alive: usize,
}

impl Workers {
    /// Starts the threads.
    pub(super) fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let state = State {
            queue: FairQueue::new(threads),
            closed: false,
            alive: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: Condvar::new(),
            waiting_max,
            began: Instant::now(),
        });
        // If one of them cannot be started, dropping this ends those before it.
        let workers = Self { shared };
        for number in 0..threads {
            let alive = Alive::new(&workers.shared);
            std::thread::Builder::new()
                .name(format!("guest-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let alive = alive;
                    work(&alive.shared);
                })?;
        }
        Ok(workers)
    }

    /// Has a job of a plugin's done when a worker is free and it is its turn. It is not waited for.
    pub(super) fn submit(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        job: Job,
    ) -> Result<Submitted, Busy> {
        let mut state = self.shared.open();
        if state.closed || state.queue.waiting() >= self.shared.waiting_max {
            return Err(Busy);
        }
        let place = state.queue.push(economy.clone(), plugin.clone(), job);
        drop(state);
        self.shared.changed.notify_one();
        Ok(place)
    }

    /// Takes a job back; false if it does not wait any more.
    pub(super) fn take_back(&self, submitted: &Submitted) -> bool {
        let job = self.shared.open().queue.take_back(submitted);
        // It is dropped only now: with what it holds it may be the last owner of these very workers.
        job.is_some()
    }

    /// Lets nothing in any more, drops what waits, and waits until what runs is done, but not for longer
    /// than `patience`. False if something was still running then; its thread ends by itself.
    pub(super) fn stop(&self, patience: Duration) -> bool {
        self.close();
        // The last owner may be a job, which cannot wait for itself.
        let within = usize::from(ON_WORKER.get());
        let state = self.shared.open();
        let waited = self
            .shared
            .ended
            .wait_timeout_while(state, patience, |state| state.alive > within);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.alive <= within
    }

    fn close(&self) {
        let dropped = {
            let mut state = self.shared.open();
            state.closed = true;
            state.queue.drain()
        };
        self.shared.changed.notify_all();
        // Not while the state is locked: a job may be the last owner of these very workers.
        drop(dropped);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, State> {
        // What is kept here is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back the job that was done before, and waits for the next one; none once the workers are
    /// ending.
    fn next(&self, done: Option<(Turn, Took)>) -> Option<(Turn, Job)> {
        let mut state = self.open();
        if let Some((turn, took)) = done {
            state.queue.end(turn, took, self.began.elapsed());
            if state.queue.waiting() > 1 {
                // What has ended may have kept more than one from starting.
                self.changed.notify_one();
            }
        }
        loop {
            if state.closed {
                return None;
            }
            if let Some(started) = state.queue.start(self.began.elapsed()) {
                return Some(started);
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

type Turn = Started<EconomyId, PluginName>;

std::thread_local! {
    static ON_WORKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Counts a thread among those that have not ended, until this is dropped: also if it never starts.
struct Alive {
    shared: Arc<Shared>,
}

impl Alive {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open().alive += 1;
        Self {
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.open().alive -= 1;
        self.shared.ended.notify_all();
    }
}

fn work(shared: &Shared) {
    ON_WORKER.set(true);
    // On Linux this is the calling thread's own niceness. Without it calls are merely less polite.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "guests run at the priority of the process");
    }
    let mut done = None;
    while let Some((turn, job)) = shared.next(done.take()) {
        let (began, cpu_before) = (Instant::now(), thread_cpu_time());
        // A bug in one call must not take the worker from the next.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a call panicked in the host");
        }
        let took = Took {
            held: began.elapsed(),
            cpu: thread_cpu_time().saturating_sub(cpu_before),
        };
        done = Some((turn, took));
    }
}

#[cfg(test)]
mod tests;
