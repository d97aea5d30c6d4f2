//! One lock per name, made when somebody needs it and gone when nobody does.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Locks<K> = HashMap<K, Arc<AsyncMutex<()>>>;

/// Locks by name. Those who wait for the same name are served in order of arrival.
pub(crate) struct KeyedLocks<K: Hash + Eq> {
    locks: Arc<Mutex<Locks<K>>>,
}

/// The right to go on under a name.
pub(crate) struct KeyedGuard<K: Hash + Eq> {
    name: K,
    held: Option<OwnedMutexGuard<()>>,
    locks: Arc<Mutex<Locks<K>>>,
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    pub(crate) fn new() -> Self {
        Self {
            locks: Arc::default(),
        }
    }

    /// Waits for the name to be free.
    pub(crate) async fn enter(&self, name: K) -> KeyedGuard<K> {
        let lock = Arc::clone(open(&self.locks).entry(name.clone()).or_default());
        // The guard exists before the wait, so that giving up the wait tidies up as well.
        let mut guard = KeyedGuard {
            name,
            held: None,
            locks: Arc::clone(&self.locks),
        };
        guard.held = Some(lock.lock_owned().await);
        guard
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
        let locks = Arc::new(KeyedLocks::new());
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
    async fn giving_up_the_wait_leaves_nothing_behind() {
        let locks = KeyedLocks::new();
        let held = locks.enter("a").await;
        let nap = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(nap, locks.enter("a")).await.is_err());
        drop(held);
        assert!(open(&locks.locks).is_empty());
    }
}
