//! A commit wakes those who follow its economy, and no others.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use super::failures::{disk_full, rebuilt, send};
use super::watched::{Step, pace, prepare};
use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Polls a wait once; what wakes it later is counted.
fn poll(wait: &mut Waiting<'_>, counter: &Arc<Wakes>) -> bool {
    let waker = Waker::from(Arc::clone(counter));
    wait.as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
}

#[test]
fn a_commit_wakes_only_the_followers_of_its_economy() {
    let (_folder, path, storage) = open_guild();
    let quiet: EconomyId = name("quiet");
    let open = Submission {
        economy: quiet.clone(),
        ..submission(None, founding().remove(0))
    };
    let opened = storage.submit(open).expect("room").blocking_recv();
    answered(opened.expect("an answer").expect("no failure"));

    // Each follower begins at the newest record of its economy: one has one record, the other five.
    let mut silent: Vec<EconomyNews> = (0..256).map(|_| storage.follow(&quiet)).collect();
    let mut moved: Vec<EconomyNews> = (0..3).map(|_| storage.follow(&guild())).collect();
    assert_eq!((silent[0].newest(), moved[0].newest()), (1, 5));
    let mut silent: Vec<Waiting<'_>> = silent
        .iter_mut()
        .map(|news| Box::pin(news.beyond(1)) as Waiting<'_>)
        .collect();
    let mut moved: Vec<Waiting<'_>> = moved
        .iter_mut()
        .map(|news| Box::pin(news.beyond(5)) as Waiting<'_>)
        .collect();
    let undisturbed = Arc::new(Wakes::default());
    let woken = Arc::new(Wakes::default());
    assert!(!silent.iter_mut().any(|wait| poll(wait, &undisturbed)));
    assert!(!moved.iter_mut().any(|wait| poll(wait, &woken)));
    for number in 0..50 {
        let key = format!("pay {number}");
        answered(ask(&storage, Some(&key), transfer("user:1", "user:2", 1)));
    }
    assert_eq!((undisturbed.count(), woken.count()), (0, 3), "once each");
    assert!(moved.iter_mut().all(|wait| poll(wait, &woken)));
    assert!(!silent.iter_mut().any(|wait| poll(wait, &undisturbed)));
    assert_eq!(storage.event_reads(), 0);

    // A late follower is notified at once. Nothing is stored for followers that were dropped.
    let mut late = storage.follow(&guild());
    assert!(matches!(
        pin!(late.beyond(54)).poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(())
    ));
    drop((silent, moved));
    storage.close();
    all_promises_hold(&path);
}

#[test]
fn nothing_is_kept_of_those_who_follow_no_more() {
    let news = Arc::new(crate::news::News::default());
    let published = || Arc::new(State::default());
    let first = news.follow(&guild(), published);
    let second = news.follow(&guild(), published);
    let other = news.follow(&name("other"), published);
    assert_eq!(news.followed(), 2);
    drop(first);
    assert_eq!(news.followed(), 2, "one is left");
    drop((second, other));
    assert_eq!(news.followed(), 0);
}

/// After a failure only the disk shows which commits are stored: if the batch is, its followers are notified.
#[test]
fn a_state_that_is_rebuilt_wakes_who_has_missed_a_commit() {
    let (_folder, path, storage) = open_guild();
    storage.close();
    drop(storage);
    let mut failed = false;
    let (writer, shared) = prepare(&path, render, pace(), move |_, step| {
        if step == Step::Appended && !std::mem::replace(&mut failed, true) {
            return Err(disk_full());
        }
        Ok(())
    });
    let published = || shared.published.load_full();
    let mut news = shared.news.follow(&guild(), published);
    let wakes = Arc::new(Wakes::default());
    let mut wait: Waiting<'_> = Box::pin(news.beyond(5));
    assert!(!poll(&mut wait, &wakes));
    let thread = std::thread::spawn(move || writer.run());
    let lost = send(&shared, "pay", transfer("user:1", "user:2", 1));
    assert_eq!(lost, Err(SubmitError::Unknown));
    rebuilt(&shared);
    assert_eq!(wakes.count(), 1);
    assert!(poll(&mut wait, &wakes));
    shared.queue.close();
    assert!(thread.join().expect("the writer ends"));
    all_promises_hold(&path);
}

#[test]
fn a_page_of_events_ends_at_its_number_and_at_its_bytes() {
    let (_folder, path, storage) = open_guild();
    for number in 0..20 {
        let key = format!("pay {number}");
        answered(ask(&storage, Some(&key), transfer("user:1", "user:2", 1)));
    }
    let page = |after, upto, bytes_max, limit| -> Vec<u64> {
        let range = EventRange {
            after,
            upto,
            bytes_max,
        };
        let events = storage.events(&guild(), range, limit).expect("a read");
        events.iter().map(|event| event.seq).collect()
    };
    assert_eq!(page(0, 25, usize::MAX, 3), [1, 2, 3]);
    assert_eq!(page(22, 25, usize::MAX, 9), [23, 24, 25]);
    // A page has no unpublished event, and at least one event, however large it is.
    assert_eq!(page(22, 23, usize::MAX, 9), [23]);
    assert_eq!(page(7, 25, 1, 9), [8]);
    let read = storage.events(
        &guild(),
        EventRange {
            after: 7,
            upto: 25,
            bytes_max: usize::MAX,
        },
        2,
    );
    let bytes = |event: &Event| event.request.to_string().len() + event.answer.to_string().len();
    let two: usize = read.expect("a read").iter().map(bytes).sum();
    assert_eq!(page(7, 25, two, 9), [8, 9]);
    assert_eq!(page(7, 25, two - 1, 9), [8]);
    storage.close();
    all_promises_hold(&path);
}
