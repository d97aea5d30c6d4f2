//! Threads of their own for guests, so that a guest that thinks long holds up no one else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// Something to be done on a worker.
type Job = Box<dyn FnOnce() + Send>;

/// The queue before the workers is full, or they are ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many calls are waiting")]
pub struct Busy;

/// How much nicer workers are than the rest of the process. Money moves first: with one core left,
/// a transfer gets about nine times the time of a guest.
const NICENESS: i32 = 10;

/// Stack of a worker: the guest's own stack, and room for the host functions on top of it.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// A fixed number of threads and a bounded queue.
pub struct Workers {
    /// None once they are ending.
    jobs: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ending: Arc<AtomicBool>,
}

impl Workers {
    /// Starts the threads.
    pub fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(waiting_max);
        let ending = Arc::new(AtomicBool::new(false));
        let start = |number: usize| {
            let (queue, ending) = (queue.clone(), Arc::clone(&ending));
            std::thread::Builder::new()
                .name(format!("guest-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&queue, &ending))
        };
        let threads = (0..threads.max(1))
            .map(start)
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(threads),
            ending,
        })
    }

    /// Has a job done when a worker is free. It is not waited for.
    pub fn submit(&self, job: Job) -> Result<(), Busy> {
        let jobs = open(&self.jobs);
        jobs.as_ref()
            .ok_or(Busy)?
            .try_send(job)
            .map_err(|error| match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
            })
    }

    /// Lets nothing in any more, drops what waits, and waits until what runs is done.
    pub fn stop(&self) {
        self.ending.store(true, Ordering::Relaxed);
        open(&self.jobs).take();
        let threads = std::mem::take(&mut *open(&self.threads));
        for thread in threads {
            // The last owner may be a job: its own thread ends when the job does.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

fn work(queue: &Receiver<Job>, ending: &AtomicBool) {
    // On Linux this is the calling thread's own niceness. Without it calls are merely less polite.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "guests run at the priority of the process");
    }
    for job in queue {
        if ending.load(Ordering::Relaxed) {
            continue;
        }
        // A bug in one call must not take the worker from the next.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a call panicked in the host");
        }
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

    #[test]
    fn a_panic_costs_its_own_job_only() {
        let workers = Workers::start(1, 4).expect("threads start");
        let (say, heard) = mpsc::channel();
        workers
            .submit(Box::new(|| panic!("a bug")))
            .expect("there is room");
        workers
            .submit(Box::new(move || say.send(7).expect("heard")))
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
        workers.submit(Box::new(job)).expect("there is room");
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
        workers.submit(Box::new(first)).expect("there is room");
        running.recv().expect("the worker has taken it");
        let second = move || say.send(2).expect("heard");
        workers.submit(Box::new(second)).expect("one may wait");
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| workers.stop());
            while open(&workers.jobs).is_some() {
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
        workers.submit(Box::new(job)).expect("the worker is free");
        running.recv().expect("the worker has taken it");
        workers.submit(Box::new(|| {})).expect("one may wait");
        assert_eq!(workers.submit(Box::new(|| {})), Err(Busy));
        drop(release);
    }
}
