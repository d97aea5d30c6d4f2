//! Tests of workers with threads, and with jobs that wait for a signal.

use std::sync::mpsc;

use super::*;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_mins(5);

impl Workers {
    /// Submits a job of a plugin.
    fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<JobTicket, QueueFull> {
        self.run_for("guild", job)
    }

    fn run_for(
        &self,
        economy: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<JobTicket, QueueFull> {
        let economy = economy.parse().expect("a name");
        let plugin = "game".parse().expect("a name");
        self.submit(&economy, &plugin, Box::new(job))
    }
}

/// Starts a job that runs until the returned sender is dropped.
fn start_blocked(workers: &Workers) -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel::<()>();
    let job = move || {
        started.send(()).expect("it is received");
        wait.recv().expect_err("the sender is gone");
    };
    workers.run(job).expect("the queue has space");
    running.recv().expect("a worker has started it");
    release
}

#[test]
fn a_panic_ends_only_its_own_job() {
    let workers = Workers::start(1, 4).expect("threads start");
    let (sender, receiver) = mpsc::channel();
    workers
        .run(|| panic!("an error of this test"))
        .expect("the queue has space");
    workers
        .run(move || sender.send(7).expect("it is received"))
        .expect("the queue has space");
    assert_eq!(receiver.recv(), Ok(7));
}

#[test]
fn a_job_can_be_the_last_owner_of_the_workers() {
    let workers = Arc::new(Workers::start(1, 4).expect("threads start"));
    let (release, wait) = mpsc::channel::<()>();
    let (sender, receiver) = mpsc::channel();
    let job = {
        let workers = Arc::clone(&workers);
        move || {
            wait.recv().expect_err("the sender is gone");
            let stopped = workers.stop(LONG);
            drop(workers);
            sender.send(stopped).expect("it is received");
        }
    };
    workers.run(job).expect("the queue has space");
    drop(workers);
    drop(release);
    assert_eq!(receiver.recv(), Ok(true), "it does not wait for itself");
}

#[test]
fn stopping_waits_for_running_jobs_and_drops_queued_ones() {
    let workers = Workers::start(1, 4).expect("threads start");
    let release = start_blocked(&workers);
    let (sender, receiver) = mpsc::channel();
    let second = move || sender.send(2).expect("it is received");
    workers.run(second).expect("one may wait");
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| workers.stop(LONG));
        while !workers.shared.lock().closed {
            std::thread::yield_now();
        }
        drop(release);
        assert!(stopping.join().expect("it stops"));
    });
    assert_eq!(receiver.iter().count(), 0);
    assert_eq!(workers.run(|| {}), Err(QueueFull), "no job is accepted");
}

#[test]
fn stopping_reports_jobs_that_do_not_end_in_time() {
    let workers = Workers::start(2, 4).expect("threads start");
    let release = start_blocked(&workers);
    assert!(
        !workers.stop(Duration::from_millis(1)),
        "one is still running"
    );
    drop(release);
    assert!(workers.stop(LONG), "it has ended by itself");
}

#[test]
fn a_full_queue_rejects_jobs() {
    let workers = Workers::start(1, 1).expect("threads start");
    let release = start_blocked(&workers);
    workers.run(|| {}).expect("one may wait");
    assert_eq!(workers.run(|| {}), Err(QueueFull));
    drop(release);
}

#[test]
fn a_cancelled_job_does_not_run_and_frees_its_place() {
    let workers = Workers::start(1, 1).expect("threads start");
    let release = start_blocked(&workers);
    let (sender, receiver) = mpsc::channel();
    let ticket = workers.run(move || sender.send(1).expect("it is received"));
    let ticket = ticket.expect("one may wait");
    assert!(workers.cancel(&ticket));
    assert!(!workers.cancel(&ticket), "it no longer waits");
    let next = workers.run(|| {}).expect("its place is free again");
    drop(release);
    assert!(workers.stop(LONG));
    assert!(!workers.cancel(&next));
    assert!(receiver.recv().is_err(), "it was dropped");
}

#[test]
fn a_job_without_an_end_leaves_the_other_worker_free() {
    let workers = Workers::start(2, 64).expect("threads start");
    let _release = start_blocked(&workers);
    let (sender, receiver) = mpsc::channel();
    for number in 0..32 {
        let sender = sender.clone();
        let other = move || sender.send(number).expect("it is received");
        workers
            .run_for("other", other)
            .expect("the queue has space");
    }
    let numbers: Vec<_> = receiver.iter().take(32).collect();
    assert_eq!(numbers, (0..32).collect::<Vec<_>>());
    assert!(!workers.stop(Duration::ZERO));
}
