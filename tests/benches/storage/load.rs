//! Load on an open file: a closed loop of tasks, a pipeline, and an open loop at a fixed rate.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bursar_storage::{Answer, Receiver, Reply, Storage, Submission, SubmitError};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::submissions::{Guild, Random};

/// The submissions of a pipeline that wait for their answers. One economy may have 8,192 in the queue.
const IN_FLIGHT: usize = 4_096;
/// The wait of an open loop while the queue is full.
const RETRY: Duration = Duration::from_millis(1);

/// The latencies of all requests of a measurement, sorted.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns a quantile in milliseconds, given in thousandths.
    pub(crate) fn at(&self, per_mille: usize) -> f64 {
        let place = (self.0.len() * per_mille / 1000).min(self.0.len() - 1);
        self.0[place].as_secs_f64() * 1e3
    }
}

/// Returns a runtime whose threads have this name, by which their processor time is found.
pub(crate) fn runtime(name: &str) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name(name).build().unwrap()
}

/// Returns the answer of a reply, which must be there.
pub(crate) fn answer(reply: Result<Reply, SubmitError>) -> Answer {
    match reply.unwrap() {
        Reply::Answered(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

/// Checks that a request was committed for the first time.
fn check_committed(answer: &Answer) {
    let body = String::from_utf8_lossy(&answer.body);
    assert!(
        (200..300).contains(&answer.status) && !answer.replayed,
        "{body}"
    );
}

/// Submits transfers from several tasks, each of which waits for its answer before the next submission.
pub(crate) async fn closed_loop(
    storage: &Storage,
    guild: &Guild,
    tasks: usize,
    span: Duration,
) -> Latencies {
    let began = Instant::now();
    let mut load = JoinSet::new();
    for _ in 0..tasks {
        let storage = storage.clone();
        let guild = guild.clone();
        load.spawn(async move {
            let mut random = Random::new();
            let mut times = Vec::new();
            while began.elapsed() < span {
                let submission = guild.transfer(&mut random);
                let sent = Instant::now();
                let reply = storage.submit(submission).unwrap().await.unwrap();
                times.push(sent.elapsed());
                check_committed(&answer(reply));
            }
            times
        });
    }
    Latencies::new(load.join_all().await.into_iter().flatten().collect())
}

/// Submits everything with thousands of submissions in flight, and passes each answer to `take` in order.
pub(crate) fn pipeline(
    storage: &Storage,
    submissions: impl Iterator<Item = Submission>,
    mut take: impl FnMut(Answer),
) {
    let mut waiting: VecDeque<Receiver> = VecDeque::with_capacity(IN_FLIGHT);
    let mut receive = |receiver: Receiver| {
        let answer = answer(receiver.blocking_recv().unwrap());
        check_committed(&answer);
        take(answer);
    };
    for submission in submissions {
        if waiting.len() == IN_FLIGHT {
            waiting.pop_front().map(&mut receive);
        }
        let receiver = loop {
            match storage.submit(submission.clone()) {
                Ok(receiver) => break receiver,
                // Large batches reach the limit on work with few submissions.
                Err(SubmitError::Overloaded) => match waiting.pop_front() {
                    Some(receiver) => receive(receiver),
                    None => thread::sleep(RETRY),
                },
                Err(error) => panic!("{error}"),
            }
        };
        waiting.push_back(receiver);
    }
    waiting.into_iter().for_each(receive);
}

/// Submits transfers at a fixed rate until `is_over` returns true for their number. A latency begins at the time
/// at which the transfer was due, so that a pause of the writer counts for all transfers of that time.
pub(crate) fn open_loop(
    storage: &Storage,
    guild: &Guild,
    per_second: f64,
    is_over: impl Fn(u64) -> bool,
) -> Latencies {
    let (sender, sent) = mpsc::channel::<(Instant, Receiver)>();
    // The answers of one economy arrive in the order of its submissions, so one thread waits for all of them.
    let times = thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let received = sent.into_iter().map(|(due, receiver)| {
                check_committed(&answer(receiver.blocking_recv().unwrap()));
                due.elapsed()
            });
            received.collect()
        });
        let mut random = Random::new();
        let began = Instant::now();
        let mut number = 0;
        while !is_over(number) {
            let submission = guild.transfer(&mut random);
            let due = began + Duration::from_secs_f64(number as f64 / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let receiver = loop {
                match storage.submit(submission.clone()) {
                    Ok(receiver) => break receiver,
                    Err(SubmitError::Overloaded) => thread::sleep(RETRY),
                    Err(error) => panic!("{error}"),
                }
            };
            sender.send((due, receiver)).unwrap();
            number += 1;
        }
        drop(sender);
        waiting.join().unwrap()
    });
    Latencies::new(times)
}
