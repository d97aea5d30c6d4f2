//! Admission of work that occupies units of something, with a limit for all keys together and one for each key, such as
//! an economy.
//!
//! Work that does not fit is rejected, or waits in order of arrival. It waits for the units of its key first: as long as
//! those are not free it holds nothing, and so does not delay other keys.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The limits of an admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionBounds {
    /// The most units of all keys together.
    pub(crate) all: usize,
    /// The most units of one key.
    pub(crate) per_key: usize,
    /// The most requests that wait.
    pub(crate) waiting: usize,
    /// The most requests of one key that wait.
    pub(crate) waiting_per_key: usize,
}

impl AdmissionBounds {
    /// Creates limits in total and for each key, without a limit on waiting requests.
    pub(crate) const fn new(all: usize, per_key: usize) -> Self {
        Self {
            all,
            per_key,
            waiting: usize::MAX,
            waiting_per_key: usize::MAX,
        }
    }
}

/// Admits work within its limits. A key without units and waiting requests has no entry.
pub(crate) struct Admission<K: Hash + Eq + Clone> {
    parts: Arc<AdmissionParts<K>>,
}

/// The units of admitted work. They are released when this is dropped.
pub(crate) struct Permit<K: Hash + Eq + Clone> {
    parts: Arc<AdmissionParts<K>>,
    key: K,
    units: usize,
    /// The place in a line, until the wait has ended.
    ticket: Option<Ticket>,
}

/// The limit that a request exceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// The limit on the units of all keys.
    All,
    /// The limit on the units of the key, which has this many.
    Key(usize),
    /// A limit on waiting requests.
    Waiting,
}

struct AdmissionParts<K> {
    bounds: AdmissionBounds,
    units: Mutex<Units<K>>,
}

/// The number of a waiting request. Later requests have larger numbers.
type Ticket = u64;

/// The units in use, and the requests that wait.
struct Units<K> {
    used: usize,
    keys: HashMap<K, KeyUnits>,
    /// The requests that have the units of their key, and wait for those of all keys.
    line: BTreeMap<Ticket, (K, Waiter)>,
    waiting: usize,
    next: Ticket,
}

/// The units in use of one key.
#[derive(Default)]
struct KeyUnits {
    used: usize,
    /// The requests that wait for units of this key.
    line: BTreeMap<Ticket, Waiter>,
    /// The number of requests in this line and in the line of all keys.
    waiting: usize,
}

/// A request that waits.
struct Waiter {
    units: usize,
    granted: oneshot::Sender<()>,
}

impl<K: Hash + Eq + Clone> Admission<K> {
    /// Creates an admission with limits.
    pub(crate) fn new(bounds: AdmissionBounds) -> Self {
        let units = Units {
            used: 0,
            keys: HashMap::new(),
            line: BTreeMap::new(),
            waiting: 0,
            next: 0,
        };
        Self {
            parts: Arc::new(AdmissionParts {
                bounds,
                units: Mutex::new(units),
            }),
        }
    }

    /// Takes units of a key if they are free now.
    pub(crate) fn try_acquire(&self, key: &K, units: usize) -> Result<Permit<K>, Full> {
        self.try_acquire_within(key, units, self.parts.bounds.per_key)
    }

    /// Takes units of a key if they are free now, with another limit on the units of this key.
    pub(crate) fn try_acquire_within(
        &self,
        key: &K,
        units: usize,
        per_key: usize,
    ) -> Result<Permit<K>, Full> {
        let mut held = self.parts.lock();
        held.take(self.parts.bounds.all, per_key, key, units)?;
        drop(held);
        Ok(self.permit(key, units, None))
    }

    /// Takes units of a key if they are free now and the key then has at most as many as are left.
    ///
    /// Alone a key can take half of all units, two can take a third each, and so on. A fixed limit would be too low for one
    /// key, or no limit for many of them (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet
    /// Switches", IEEE/ACM Transactions on Networking, 1998).
    pub(crate) fn try_acquire_share(&self, key: &K, units: usize) -> Result<Permit<K>, Full> {
        let AdmissionBounds { all, per_key, .. } = self.parts.bounds;
        let mut held = self.parts.lock();
        let left = all.saturating_sub(held.used).saturating_sub(units);
        held.take(all, per_key.min(left), key, units)?;
        drop(held);
        Ok(self.permit(key, units, None))
    }

    /// Waits until units of a key are free. No limit may be smaller than `units`.
    pub(crate) async fn acquire(&self, key: &K, units: usize) -> Result<Permit<K>, Full> {
        let (ticket, granted) = {
            let mut held = self.parts.lock();
            let AdmissionBounds { all, per_key, .. } = self.parts.bounds;
            if held.take(all, per_key, key, units).is_ok() {
                drop(held);
                return Ok(self.permit(key, units, None));
            }
            held.wait(&self.parts.bounds, key, units)?
        };
        // The permit exists before the wait, so that a cancelled wait leaves its line.
        let mut permit = self.permit(key, units, Some(ticket));
        // The sender is dropped only with the request in the line, which the permit removes.
        drop(granted.await);
        permit.ticket = None;
        Ok(permit)
    }

    /// Returns the number of units in use of a key.
    pub(crate) fn used(&self, key: &K) -> usize {
        self.parts.lock().keys.get(key).map_or(0, |of| of.used)
    }

    /// Returns the number of requests that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.parts.lock().waiting
    }

    /// Returns true if nothing is in use and nothing is stored.
    #[cfg(test)]
    pub(crate) fn is_unused(&self) -> bool {
        let units = self.parts.lock();
        units.used == 0 && units.waiting == 0 && units.keys.is_empty() && units.line.is_empty()
    }

    fn permit(&self, key: &K, units: usize, ticket: Option<Ticket>) -> Permit<K> {
        Permit {
            parts: Arc::clone(&self.parts),
            key: key.clone(),
            units,
            ticket,
        }
    }
}

impl<K> AdmissionParts<K> {
    fn lock(&self) -> MutexGuard<'_, Units<K>> {
        // A panic cannot leave the counts half changed, so a poisoned lock is still valid.
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if `units` more fit beside those in use.
fn fits(used: usize, units: usize, most: usize) -> bool {
    most.checked_sub(used).is_some_and(|left| units <= left)
}

impl<K: Hash + Eq + Clone> Units<K> {
    /// Takes units within the limits on all units and on those of the key.
    fn take(&mut self, all: usize, per_key: usize, key: &K, units: usize) -> Result<(), Full> {
        let of_key = self.keys.get_mut(key);
        let (used, waits) = of_key
            .as_ref()
            .map_or((0, false), |of| (of.used, of.waiting > 0));
        // Earlier requests that wait go first.
        if waits || !fits(used, units, per_key) {
            return Err(Full::Key(used));
        }
        if !self.line.is_empty() || !fits(self.used, units, all) {
            return Err(Full::All);
        }
        self.used += units;
        if let Some(of_key) = of_key {
            of_key.used += units;
        } else {
            let used = KeyUnits {
                used: units,
                ..KeyUnits::default()
            };
            self.keys.insert(key.clone(), used);
        }
        Ok(())
    }

    /// Adds a request to the line of its key.
    fn wait(
        &mut self,
        bounds: &AdmissionBounds,
        key: &K,
        units: usize,
    ) -> Result<(Ticket, oneshot::Receiver<()>), Full> {
        let waiting = self.keys.get(key).map_or(0, |of| of.waiting);
        if self.waiting >= bounds.waiting || waiting >= bounds.waiting_per_key {
            return Err(Full::Waiting);
        }
        let ticket = self.next;
        self.next += 1;
        let (granted, receiver) = oneshot::channel();
        let of_key = self.keys.entry(key.clone()).or_default();
        of_key.line.insert(ticket, Waiter { units, granted });
        of_key.waiting += 1;
        self.waiting += 1;
        self.advance(bounds, key);
        Ok((ticket, receiver))
    }

    /// Releases the units of a permit, or removes its request from the line.
    fn leave(&mut self, bounds: &AdmissionBounds, key: &K, units: usize, ticket: Option<Ticket>) {
        let Some(of_key) = self.keys.get_mut(key) else {
            return;
        };
        let waited_for_key = ticket.and_then(|ticket| of_key.line.remove(&ticket));
        let waited_for_all = ticket.and_then(|ticket| self.line.remove(&ticket));
        if waited_for_key.is_some() || waited_for_all.is_some() {
            of_key.waiting -= 1;
            self.waiting -= 1;
        } else {
            self.used -= units;
        }
        if waited_for_key.is_none() {
            of_key.used -= units;
        }
        self.advance(bounds, key);
    }

    /// Gives free units to the requests that wait for them, after a change of a key.
    fn advance(&mut self, bounds: &AdmissionBounds, key: &K) {
        if let Some(of_key) = self.keys.get_mut(key) {
            while let Some(first) = of_key.line.first_entry() {
                if !fits(of_key.used, first.get().units, bounds.per_key) {
                    break;
                }
                let (ticket, waiter) = first.remove_entry();
                of_key.used += waiter.units;
                self.line.insert(ticket, (key.clone(), waiter));
            }
            if of_key.used == 0 && of_key.waiting == 0 {
                self.keys.remove(key);
            }
        }
        while let Some(first) = self.line.first_entry() {
            if !fits(self.used, first.get().1.units, bounds.all) {
                break;
            }
            let (key, waiter) = first.remove();
            self.used += waiter.units;
            self.waiting -= 1;
            if let Some(of_key) = self.keys.get_mut(&key) {
                of_key.waiting -= 1;
            }
            // If the wait was cancelled, its permit is being dropped and releases the units.
            let _is_received = waiter.granted.send(());
        }
    }
}

impl<K: Hash + Eq + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut units = self.parts.lock();
        units.leave(&self.parts.bounds, &self.key, self.units, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    fn admission(all: usize, per_key: usize) -> Admission<&'static str> {
        Admission::new(AdmissionBounds::new(all, per_key))
    }

    #[test]
    fn units_end_at_the_bound_of_a_key_and_at_that_of_all_keys() {
        let admission = admission(5, 3);
        let first = admission.try_acquire(&"a", 3).expect("they are free");
        assert_eq!(admission.try_acquire(&"a", 1).err(), Some(Full::Key(3)));
        let second = admission.try_acquire(&"b", 2).expect("they are free");
        assert_eq!(admission.try_acquire(&"c", 1).err(), Some(Full::All));
        assert_eq!((admission.used(&"a"), admission.used(&"c")), (3, 0));
        drop(first);
        assert!(admission.try_acquire(&"c", 3).is_ok());
        drop(second);
        assert!(admission.is_unused(), "nothing is left behind");
    }

    #[test]
    fn a_request_can_have_another_bound_on_its_key() {
        let admission = admission(5, 5);
        let _two = admission
            .try_acquire_within(&"a", 2, 2)
            .expect("they are free");
        let third = admission.try_acquire_within(&"a", 1, 2).err();
        assert_eq!(third, Some(Full::Key(2)));
        assert!(admission.try_acquire_within(&"a", 1, 3).is_ok());
    }

    #[test]
    fn keys_that_take_all_they_can_leave_as_much_for_one_more() {
        let admission = admission(120, 120);
        let fill = |key: &'static str| -> Vec<_> {
            std::iter::from_fn(|| admission.try_acquire_share(&key, 1).ok()).collect()
        };
        let alone = fill("a");
        assert_eq!(alone.len(), 60);
        let second = fill("b");
        assert_eq!(second.len(), 30, "half of the units that were free");
        drop(alone);
        assert_eq!(second.len() + fill("b").len(), 60);
    }

    #[tokio::test]
    async fn requests_of_a_key_are_admitted_in_order_and_do_not_delay_others() {
        let admission = admission(4, 2);
        let held = admission.try_acquire(&"a", 1).expect("it is free");
        let mut both = pin!(admission.acquire(&"a", 2));
        assert!(poll!(&mut both).is_pending());
        let mut one = pin!(admission.acquire(&"a", 1));
        assert!(poll!(&mut one).is_pending(), "an earlier request waits");
        assert!(admission.try_acquire(&"a", 1).is_err(), "so does this one");
        assert!(admission.try_acquire(&"b", 2).is_ok());
        drop(held);
        let both = both.await.expect("they are free");
        assert!(poll!(&mut one).is_pending());
        drop(both);
        drop(one.await.expect("it is free"));
        assert!(admission.is_unused());
    }

    #[tokio::test]
    async fn requests_of_all_keys_are_admitted_in_order() {
        let admission = admission(4, 4);
        let held = admission.try_acquire(&"a", 3).expect("they are free");
        let mut large = pin!(admission.acquire(&"b", 4));
        assert!(poll!(&mut large).is_pending());
        let mut small = pin!(admission.acquire(&"c", 1));
        assert!(poll!(&mut small).is_pending(), "an earlier request waits");
        drop(held);
        drop(large.await.expect("they are free"));
        drop(small.await.expect("it is free"));
        assert!(admission.is_unused());
    }

    #[tokio::test]
    async fn few_requests_wait() {
        let bounds = AdmissionBounds {
            waiting: 3,
            waiting_per_key: 2,
            ..AdmissionBounds::new(1, 1)
        };
        let admission = Admission::new(bounds);
        let held = admission.try_acquire(&"a", 1).expect("it is free");
        let mut waiting = Vec::new();
        for key in &["a", "a", "b"] {
            let mut wait = Box::pin(admission.acquire(key, 1));
            assert!(poll!(&mut wait).is_pending());
            waiting.push(wait);
            let full = admission.acquire(&"a", 1);
            if waiting.len() == 2 {
                assert_eq!(full.await.err(), Some(Full::Waiting), "of its key");
            }
        }
        assert_eq!(admission.acquire(&"c", 1).await.err(), Some(Full::Waiting));
        assert_eq!(admission.waiting(), 3);
        drop(held);
        for wait in waiting {
            drop(wait.await.expect("it is free"));
        }
        assert!(admission.is_unused());
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_nothing_behind() {
        let admission = admission(2, 1);
        let first = admission.try_acquire(&"a", 1).expect("it is free");
        let second = admission.try_acquire(&"b", 1).expect("it is free");
        {
            let mut of_key = Box::pin(admission.acquire(&"a", 1));
            let mut of_all = Box::pin(admission.acquire(&"c", 1));
            let mut granted = Box::pin(admission.acquire(&"d", 1));
            assert!(poll!(&mut of_key).is_pending());
            assert!(poll!(&mut of_all).is_pending());
            assert!(poll!(&mut granted).is_pending());
            drop(of_all);
            drop(second);
            assert_eq!(admission.used(&"d"), 1, "granted and not yet received");
        }
        drop(first);
        assert!(admission.is_unused());
    }
}
