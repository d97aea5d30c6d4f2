//! Semaphores by key, created when a key is first used and removed with its last user. With one permit a semaphore is
//! a lock.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Locks<K> = HashMap<K, Arc<Semaphore>>;

/// A semaphore for each key. Waiters for a key are served in order of arrival.
pub(crate) struct KeyedLocks<K: Hash + Eq> {
    permits: usize,
    locks: Arc<Mutex<Locks<K>>>,
}

/// Permits of the semaphore of a key. They are released when this is dropped.
pub(crate) struct KeyedGuard<K: Hash + Eq> {
    key: K,
    permit: Option<OwnedSemaphorePermit>,
    locks: Arc<Mutex<Locks<K>>>,
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    /// Creates semaphores with `permits` permits for each key.
    pub(crate) fn new(permits: usize) -> Self {
        Self {
            permits,
            locks: Arc::default(),
        }
    }

    /// Waits for one permit.
    pub(crate) async fn enter(&self, key: K) -> KeyedGuard<K> {
        self.enter_many(key, 1).await
    }

    /// Waits for several permits. A semaphore must have at least that many.
    pub(crate) async fn enter_many(&self, key: K, permits: u32) -> KeyedGuard<K> {
        let (lock, mut guard) = self.prepare(key);
        // An acquire fails only if the semaphore is closed, which never happens here.
        guard.permit = lock.acquire_many_owned(permits).await.ok();
        guard
    }

    /// Takes one permit if one is free now.
    pub(crate) fn try_enter(&self, key: K) -> Option<KeyedGuard<K>> {
        let (lock, mut guard) = self.prepare(key);
        guard.permit = Some(lock.try_acquire_owned().ok()?);
        Some(guard)
    }

    /// Returns the semaphore of a key, and a guard without permits. The guard exists before the wait, so that a
    /// cancelled wait also removes an unused semaphore.
    fn prepare(&self, key: K) -> (Arc<Semaphore>, KeyedGuard<K>) {
        let new = || Arc::new(Semaphore::new(self.permits));
        let lock = Arc::clone(open(&self.locks).entry(key.clone()).or_insert_with(new));
        let guard = KeyedGuard {
            key,
            permit: None,
            locks: Arc::clone(&self.locks),
        };
        (lock, guard)
    }
}

impl<K: Hash + Eq> Drop for KeyedGuard<K> {
    fn drop(&mut self) {
        self.permit = None;
        let mut locks = open(&self.locks);
        // The map is the only owner, so the semaphore has no user and no waiter.
        if locks
            .get(&self.key)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.key);
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
    async fn a_key_admits_one_at_a_time_and_is_removed_after_use() {
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
    async fn places_are_limited_and_can_be_reused() {
        let locks = Arc::new(KeyedLocks::new(2));
        let first = locks.enter("a").await;
        let second = locks.enter("a").await;
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
        assert!(open(&locks.locks).is_empty(), "all semaphores are removed");
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_no_entry() {
        let locks = KeyedLocks::new(1);
        let held = locks.enter("a").await;
        let nap = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(nap, locks.enter("a")).await.is_err());
        drop(held);
        assert!(open(&locks.locks).is_empty());
    }
}
