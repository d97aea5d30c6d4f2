//! Locks by key, created when a key is first used and removed with its last user.

use std::hash::Hash;

use crate::admission::{Admission, AdmissionBounds, Permit};

/// A lock for each key. Waiters for a key are served in order of arrival.
pub(crate) struct KeyedLocks<K: Hash + Eq + Clone>(Admission<K>);

/// The lock of a key. It is released when this is dropped.
pub(crate) struct KeyedGuard<K: Hash + Eq + Clone> {
    _permit: Option<Permit<K>>,
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    /// Creates the locks.
    pub(crate) fn new() -> Self {
        Self(Admission::new(AdmissionBounds::new(usize::MAX, 1)))
    }

    /// Waits for the lock of a key.
    pub(crate) async fn enter(&self, key: K) -> KeyedGuard<K> {
        // There is no limit on waiters, so the lock is always acquired.
        let permit = self.0.acquire(&key, 1).await;
        KeyedGuard {
            _permit: permit.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_key_admits_one_at_a_time_and_is_removed_after_use() {
        let locks = Arc::new(KeyedLocks::new());
        let first = locks.enter("a").await;
        let other = locks.enter("b").await;
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.enter("a").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.expect("the second one enters");
        drop(other);
        assert!(locks.0.is_unused());
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_no_entry() {
        let locks = KeyedLocks::new();
        let held = locks.enter("a").await;
        let nap = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(nap, locks.enter("a")).await.is_err());
        drop(held);
        assert!(locks.0.is_unused());
    }
}
