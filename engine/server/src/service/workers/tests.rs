//! Workers with real threads, and jobs that wait until they are told.

use std::sync::mpsc;

use super::*;

/// Longer than any of these tests takes.
const FOR_EVER: Duration = Duration::from_mins(5);

impl Workers {
    /// Has a job of some plugin's done.
    fn take(&self, job: impl FnOnce() + Send + 'static) -> Result<Submitted, Busy> {
        self.take_for("guild", job)
    }

    fn take_for(
        &self,
        economy: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<Submitted, Busy> {
        let (economy, plugin) = (economy.parse(), "game".parse());
        let (economy, plugin) = (economy.expect("a name"), plugin.expect("a name"));
        self.submit(&economy, &plugin, Box::new(job))
    }
}

/// A job that says that it has begun and then waits until it is let go, with what lets it go.
fn stuck(workers: &Workers) -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel::<()>();
    let job = move || {
        started.send(()).expect("heard");
        wait.recv().expect_err("the sender is gone");
    };
    workers.take(job).expect("there is room");
    running.recv().expect("a worker has taken it");
    release
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
            let stopped = workers.stop(FOR_EVER);
            drop(workers);
            say.send(stopped).expect("heard");
        }
    };
    workers.take(job).expect("there is room");
    drop(workers);
    drop(release);
    assert_eq!(heard.recv(), Ok(true), "it does not wait for itself");
}

#[test]
fn stopping_waits_for_what_runs_and_drops_what_waits() {
    let workers = Workers::start(1, 4).expect("threads start");
    let release = stuck(&workers);
    let (say, heard) = mpsc::channel();
    let second = move || say.send(2).expect("heard");
    workers.take(second).expect("one may wait");
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| workers.stop(FOR_EVER));
        while !workers.shared.open().closed {
            std::thread::yield_now();
        }
        drop(release);
        assert!(stopping.join().expect("it stops"));
    });
    assert_eq!(heard.iter().count(), 0);
    assert_eq!(workers.take(|| {}), Err(Busy), "nothing is let in any more");
}

#[test]
fn stopping_says_that_it_has_given_up_waiting() {
    let workers = Workers::start(2, 4).expect("threads start");
    let release = stuck(&workers);
    assert!(
        !workers.stop(Duration::from_millis(1)),
        "one is still running"
    );
    drop(release);
    assert!(workers.stop(FOR_EVER), "it has ended by itself");
}

#[test]
fn a_full_queue_turns_jobs_away() {
    let workers = Workers::start(1, 1).expect("threads start");
    let release = stuck(&workers);
    workers.take(|| {}).expect("one may wait");
    assert_eq!(workers.take(|| {}), Err(Busy));
    drop(release);
}

#[test]
fn a_job_that_was_taken_back_is_not_done_and_leaves_its_room() {
    let workers = Workers::start(1, 1).expect("threads start");
    let release = stuck(&workers);
    let (say, heard) = mpsc::channel();
    let submitted = workers.take(move || say.send(1).expect("heard"));
    let submitted = submitted.expect("one may wait");
    assert!(workers.take_back(&submitted));
    assert!(!workers.take_back(&submitted), "it waits no more");
    let next = workers.take(|| {}).expect("the room is free again");
    drop(release);
    assert!(workers.stop(FOR_EVER));
    assert!(!workers.take_back(&next));
    assert!(heard.recv().is_err(), "it was dropped");
}

#[test]
fn a_job_that_does_not_end_leaves_the_other_worker_to_the_others() {
    let workers = Workers::start(2, 64).expect("threads start");
    let _release = stuck(&workers);
    let (say, heard) = mpsc::channel();
    for number in 0..32 {
        let say = say.clone();
        let other = move || say.send(number).expect("heard");
        workers.take_for("other", other).expect("there is room");
    }
    let heard: Vec<_> = heard.iter().take(32).collect();
    assert_eq!(heard, (0..32).collect::<Vec<_>>());
    assert!(!workers.stop(Duration::ZERO));
}
