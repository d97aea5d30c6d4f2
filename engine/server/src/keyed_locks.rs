//! A few places per name, made when somebody needs them and gone when nobody does. With one place
//! it is a lock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Locks<K> = HashMap<K, Arc<Semaphore>>;

/// Places by name. Those who wait for the same name are served in order of arrival.
pub(crate) struct KeyedLocks<K: Hash + Eq> {
    places: usize,
    locks: Arc<Mutex<Locks<K>>>,
}

/// A place under a name.
pub(crate) struct KeyedGuard<K: Hash + Eq> {
    name: K,
    held: Option<OwnedSemaphorePermit>,
    locks: Arc<Mutex<Locks<K>>>,
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    /// So many places for each name.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places,
            locks: Arc::default(),
        }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self, name: K) -> KeyedGuard<K> {
        self.enter_many(name, 1).await
    }

    /// Waits for so many places, of which there must be as many.
    pub(crate) async fn enter_many(&self, name: K, places: u32) -> KeyedGuard<K> {
        let (lock, mut guard) = self.approach(name);
        // Nobody closes these, so there is always a permit in the end.
        guard.held = lock.acquire_many_owned(places).await.ok();
        guard
    }

    /// A place, if one is free now.
    pub(crate) fn try_enter(&self, name: K) -> Option<KeyedGuard<K>> {
        let (lock, mut guard) = self.approach(name);
        guard.held = Some(lock.try_acquire_owned().ok()?);
        Some(guard)
    }

    /// The guard exists before the wait, so that giving up the wait tidies up as well.
    fn approach(&self, name: K) -> (Arc<Semaphore>, KeyedGuard<K>) {
        let new = || Arc::new(Semaphore::new(self.places));
        let lock = Arc::clone(open(&self.locks).entry(name.clone()).or_insert_with(new));
        let guard = KeyedGuard {
            name,
            held: None,
            locks: Arc::clone(&self.locks),
        };
        (lock, guard)
    }
}

impl<K: Hash + Eq> Drop for KeyedGuard<K> {
    fn drop(&mut self) {
        self.held = None;
        let mut locks = open(&self.locks);
        // One owner left means the map itself: nobody holds the lock and nobody waits for it.
        if locks
            .get(&self.name)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.name);
        }
    }
}

fn open<K: Hash + Eq>(locks: &Mutex<Locks<K>>) -> MutexGuard<'_, Locks<K>> {
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_admits_one_at_a_time_and_is_forgotten_after() {
        let locks = Arc::new(KeyedLocks::new(1));
        let first = locks.enter("a").await;
        let _other = locks.enter("b").await;
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.enter("a").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.expect("the second one enters");
        assert_eq!(open(&locks.locks).len(), 1, "only `b` is still held");
    }

    #[tokio::test]
    async fn places_end_at_their_number_and_come_back() {
        let locks = Arc::new(KeyedLocks::new(2));
        let (first, second) = (locks.enter("a").await, locks.enter("a").await);
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.enter("a").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(locks.enter("b").await);
        drop(first);
        waiting.await.expect("the third one enters");
        drop(second);
        assert!(open(&locks.locks).is_empty(), "nobody is there any more");
    }

    #[tokio::test]
    async fn giving_up_the_wait_leaves_nothing_behind() {
        let locks = KeyedLocks::new(1);
        let held = locks.enter("a").await;
        let nap = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(nap, locks.enter("a")).await.is_err());
        drop(held);
        assert!(open(&locks.locks).is_empty());
    }
}
