//! Gates through which the calls of a plugin pass while they run: many at once, or one alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// A plugin in an economy.
type Name = (EconomyId, PluginName);

type Open = HashMap<Name, Arc<RwLock<()>>>;

/// A gate for each plugin that has calls.
#[derive(Default)]
pub(super) struct Gates {
    gates: Arc<Mutex<Open>>,
}

/// A call in its gate, until this is dropped.
pub(super) struct Passing {
    name: Name,
    held: Held,
    gates: Arc<Mutex<Open>>,
}

enum Held {
    No,
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Gates {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Waits until no call is alone in the gate, or waits to be.
    pub(super) async fn pass(&self, name: &Name) -> Passing {
        let (gate, mut passing) = self.approach(name);
        passing.held = Held::Shared {
            _guard: gate.read_owned().await,
        };
        passing
    }

    /// Waits until all that are in the gate have left it, and lets no other in.
    pub(super) async fn pass_alone(&self, name: &Name) -> Passing {
        let (gate, mut passing) = self.approach(name);
        passing.held = Held::Alone {
            _guard: gate.write_owned().await,
        };
        passing
    }

    /// The guard that tidies up exists before the wait, which may be given up.
    fn approach(&self, name: &Name) -> (Arc<RwLock<()>>, Passing) {
        let gate = Arc::clone(open(&self.gates).entry(name.clone()).or_default());
        let passing = Passing {
            name: name.clone(),
            held: Held::No,
            gates: Arc::clone(&self.gates),
        };
        (gate, passing)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.held = Held::No;
        let mut gates = open(&self.gates);
        let gate = gates.get(&self.name);
        // One owner left means the map itself: nobody is in the gate and nobody waits for it.
        if gate.is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.name);
        }
    }
}

fn open(gates: &Mutex<Open>) -> MutexGuard<'_, Open> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(plugin: &str) -> Name {
        let (economy, plugin) = ("guild".parse(), plugin.parse());
        (economy.expect("a name"), plugin.expect("a name"))
    }

    #[tokio::test]
    async fn one_that_is_alone_lets_no_other_in_and_none_overtakes_it() {
        let gates = Arc::new(Gates::new());
        let first = gates.pass(&name("a")).await;
        let second = gates.pass(&name("a")).await;
        let alone = tokio::spawn({
            let gates = Arc::clone(&gates);
            async move { gates.pass_alone(&name("a")).await }
        });
        tokio::task::yield_now().await;
        let third = tokio::spawn({
            let gates = Arc::clone(&gates);
            async move { gates.pass(&name("a")).await }
        });
        drop(gates.pass(&name("b")).await);
        drop(first);
        tokio::task::yield_now().await;
        assert!(!alone.is_finished(), "another one is still there");
        drop(second);
        let alone = alone.await.expect("it enters");
        tokio::task::yield_now().await;
        assert!(!third.is_finished(), "it came later");
        drop(alone);
        drop(third.await.expect("it enters"));
        assert!(open(&gates.gates).is_empty(), "none is kept");
    }

    #[tokio::test]
    async fn giving_up_the_wait_leaves_nothing_behind() {
        let gates = Gates::new();
        let held = gates.pass(&name("a")).await;
        let nap = std::time::Duration::from_millis(1);
        let waited = tokio::time::timeout(nap, gates.pass_alone(&name("a"))).await;
        assert!(waited.is_err());
        drop(gates.pass(&name("a")).await);
        drop(held);
        assert!(open(&gates.gates).is_empty());
    }
}
