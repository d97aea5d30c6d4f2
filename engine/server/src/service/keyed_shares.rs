//! Values that all users of a key share, such as the gate of a plugin's calls.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type SharedValues<K, V> = HashMap<K, Arc<V>>;

/// A value for each key that has users.
pub(super) struct KeyedShares<K, V> {
    values: Arc<Mutex<SharedValues<K, V>>>,
}

/// A share in the value of a key. The value is removed with its last share.
pub(super) struct KeyShare<K: Hash + Eq, V> {
    key: K,
    value: Option<Arc<V>>,
    values: Arc<Mutex<SharedValues<K, V>>>,
}

impl<K, V> Default for KeyedShares<K, V> {
    fn default() -> Self {
        Self {
            values: Arc::default(),
        }
    }
}

impl<K: Hash + Eq + Clone, V: Default> KeyedShares<K, V> {
    /// Returns a share in the value of a key. The first share creates the value.
    pub(super) fn share(&self, key: &K) -> KeyShare<K, V> {
        let value = Arc::clone(open(&self.values).entry(key.clone()).or_default());
        KeyShare {
            key: key.clone(),
            value: Some(value),
            values: Arc::clone(&self.values),
        }
    }

    /// Reads the value of a key; none if the key has no users.
    pub(super) fn read<T>(&self, key: &K, read: impl FnOnce(&V) -> T) -> Option<T> {
        // The value is read under the lock and not cloned: the last share would not remove a value with another owner.
        open(&self.values).get(key).map(|value| read(value))
    }

    /// Returns true if no key has users.
    #[cfg(test)]
    pub(super) fn is_unused(&self) -> bool {
        open(&self.values).is_empty()
    }
}

impl<K: Hash + Eq, V> KeyShare<K, V> {
    /// Returns the value. Every owner of a clone must drop it before the share.
    pub(super) fn value(&self) -> &Arc<V> {
        self.value
            .as_ref()
            .expect("a share holds its value until it is dropped")
    }
}

impl<K: Hash + Eq, V> Drop for KeyShare<K, V> {
    fn drop(&mut self) {
        self.value = None;
        let mut values = open(&self.values);
        let value = values.get(&self.key);
        // The map is the only owner, so the key has no other user.
        if value.is_some_and(|value| Arc::strong_count(value) == 1) {
            values.remove(&self.key);
        }
    }
}

fn open<K, V>(values: &Mutex<SharedValues<K, V>>) -> MutexGuard<'_, SharedValues<K, V>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}
