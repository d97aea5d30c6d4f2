//! The threads on which plugins run. They are separate from the threads of the API, so that a long call delays only other
//! calls. [`fair_queue`] decides which job starts next.

mod fair_queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bursar_host::thread_cpu_time;
use bursar_ledger::{EconomyId, PluginName};

use fair_queue::{FairQueue, JobTimes, QueueTicket, RunningTicket};

/// A job of a worker.
pub(super) type WorkerJob = Box<dyn FnOnce() + Send>;

type JobQueue = FairQueue<EconomyId, PluginName, WorkerJob>;

/// A rejected job: the queue is full, or the workers are stopping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many calls are waiting")]
pub(super) struct QueueFull;

/// A ticket by which a waiting job can be cancelled.
pub(super) type JobTicket = QueueTicket<EconomyId, PluginName>;

/// The niceness of workers above the rest of the process, so that the writer and the API run first: on one shared core
/// they get about nine times the time of a plugin (`sched(7)`, a factor of 1.25 for each step).
const NICENESS: i32 = 10;

/// The stack of a worker in bytes: the stack of the plugin, and space for the host functions that it calls.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A fixed number of threads with a bounded queue of jobs.
pub(super) struct Workers {
    shared: Arc<WorkerShared>,
}

/// The data that all workers share.
struct WorkerShared {
    state: Mutex<WorkerState>,
    /// Signalled when a job was added or has ended, or when the workers stop.
    changed: Condvar,
    /// Signalled when a worker has ended.
    ended: Condvar,
    waiting_max: usize,
    started: Instant,
}

/// The queue, and the state of the threads.
struct WorkerState {
    queue: JobQueue,
    /// True once the workers stop; no job is accepted then.
    closed: bool,
    /// The number of threads that have not ended.
    alive: usize,
    /// The number of threads that wait for a job. A signal is a system call, so none is sent if no thread waits.
    idle: usize,
}

impl Workers {
    /// Starts the threads.
    pub(super) fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let state = WorkerState {
            queue: FairQueue::new(threads),
            closed: false,
            alive: 0,
            idle: 0,
        };
        let shared = Arc::new(WorkerShared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: Condvar::new(),
            waiting_max,
            started: Instant::now(),
        });
        // If a thread cannot be started, dropping this value stops those before it.
        let workers = Self { shared };
        for number in 0..threads {
            let alive = LiveWorker::new(&workers.shared);
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

    /// Adds a job to the queue of a plugin.
    pub(super) fn submit(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        job: WorkerJob,
    ) -> Result<JobTicket, QueueFull> {
        let mut state = self.shared.lock();
        if state.closed || state.queue.waiting() >= self.shared.waiting_max {
            return Err(QueueFull);
        }
        let ticket = state.queue.push(economy.clone(), plugin.clone(), job);
        let is_awaited = state.idle > 0;
        drop(state);
        if is_awaited {
            self.shared.changed.notify_one();
        }
        Ok(ticket)
    }

    /// Cancels a waiting job. Returns false if the job has started.
    pub(super) fn cancel(&self, ticket: &JobTicket) -> bool {
        let job = self.shared.lock().queue.cancel(ticket);
        // The job is dropped after the lock is released: it may be the last owner of these workers, whose drop takes the
        // lock again.
        job.is_some()
    }

    /// Rejects new jobs, drops waiting ones, and waits for running ones for at most `patience`. Returns false
    /// if one of them still runs then; its thread ends with the job.
    pub(super) fn stop(&self, patience: Duration) -> bool {
        self.close();
        // A job may be the last owner of the workers and stop them. Its own thread cannot end before this
        // returns.
        let own_thread = usize::from(ON_WORKER.get());
        let state = self.shared.lock();
        let waited = self
            .shared
            .ended
            .wait_timeout_while(state, patience, |state| state.alive > own_thread);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.alive <= own_thread
    }

    fn close(&self) {
        let dropped = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.queue.drain()
        };
        self.shared.changed.notify_all();
        // The jobs are dropped after the lock is released, for the reason in `cancel`.
        drop(dropped);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

impl WorkerShared {
    fn lock(&self) -> MutexGuard<'_, WorkerState> {
        // Jobs run without the lock, so a panic cannot leave the state half changed; a poisoned lock is still valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the previous job and waits for the next one. Returns none once the workers stop.
    fn next(
        &self,
        previous: Option<(WorkerTicket, JobTimes)>,
    ) -> Option<(WorkerTicket, WorkerJob)> {
        let mut state = self.lock();
        if let Some((ticket, times)) = previous {
            state.queue.end(ticket, times, self.started.elapsed());
            if state.queue.waiting() > 1 && state.idle > 0 {
                // The end of a job may let more than one waiting job start: this worker takes one, and another worker
                // must wake up for a second.
                self.changed.notify_one();
            }
        }
        loop {
            if state.closed {
                return None;
            }
            if let Some(started) = state.queue.start(self.started.elapsed()) {
                return Some(started);
            }
            state.idle += 1;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// A running job.
type WorkerTicket = RunningTicket<EconomyId, PluginName>;

std::thread_local! {
    /// True on the threads of workers.
    static ON_WORKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The entry of a worker in the count of live threads, until this is dropped. A worker is counted before its
/// thread starts, so that the count is right even if the start fails.
struct LiveWorker {
    shared: Arc<WorkerShared>,
}

impl LiveWorker {
    fn new(shared: &Arc<WorkerShared>) -> Self {
        shared.lock().alive += 1;
        Self {
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for LiveWorker {
    fn drop(&mut self) {
        self.shared.lock().alive -= 1;
        self.shared.ended.notify_all();
    }
}

/// Runs jobs until the workers stop.
fn work(shared: &WorkerShared) {
    ON_WORKER.set(true);
    // On Linux this changes only the calling thread (`setpriority(2)`, C library/kernel differences). A failure only means
    // that plugins compete with the writer on equal terms.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the priority of a worker could not be lowered; plugins run at that of the process");
    }
    let mut previous = None;
    while let Some((ticket, job)) = shared.next(previous.take()) {
        let started = Instant::now();
        let cpu_before = thread_cpu_time();
        // A panic in one call must not end the worker.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("internal error: a call panicked in the server");
        }
        let times = JobTimes {
            held: started.elapsed(),
            cpu: thread_cpu_time().saturating_sub(cpu_before),
        };
        previous = Some((ticket, times));
    }
}

#[cfg(test)]
mod tests;
