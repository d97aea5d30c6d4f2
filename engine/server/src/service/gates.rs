//! Gates for the calls of a plugin: many calls run at the same time, or one runs alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// A plugin in an economy.
type Name = (EconomyId, PluginName);

type GateMap = HashMap<Name, Arc<RwLock<()>>>;

/// A gate for each plugin with calls.
#[derive(Default)]
pub(super) struct Gates {
    gates: Arc<Mutex<GateMap>>,
}

/// The passage of a call through its gate. It ends when this is dropped.
pub(super) struct GateGuard {
    name: Name,
    mode: GateMode,
    gates: Arc<Mutex<GateMap>>,
}

/// The mode in which a guard holds its gate.
enum GateMode {
    /// The guard does not hold the gate yet.
    Waiting,
    Shared {
        _guard: OwnedRwLockReadGuard<()>,
    },
    Alone {
        _guard: OwnedRwLockWriteGuard<()>,
    },
}

impl Gates {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Waits until no call holds the gate alone or waits to do so, then holds it together with others.
    pub(super) async fn enter(&self, name: &Name) -> GateGuard {
        let (gate, mut guard) = self.prepare(name);
        guard.mode = GateMode::Shared {
            _guard: gate.read_owned().await,
        };
        guard
    }

    /// Waits until all calls have left the gate, then holds it alone. Calls that come later wait behind this one, because
    /// the lock is fair.
    pub(super) async fn enter_alone(&self, name: &Name) -> GateGuard {
        let (gate, mut guard) = self.prepare(name);
        guard.mode = GateMode::Alone {
            _guard: gate.write_owned().await,
        };
        guard
    }

    /// Returns the gate of a plugin, and a guard that does not hold it. The guard exists before the wait, so that a
    /// cancelled wait also removes an unused gate.
    fn prepare(&self, name: &Name) -> (Arc<RwLock<()>>, GateGuard) {
        let gate = Arc::clone(open(&self.gates).entry(name.clone()).or_default());
        let guard = GateGuard {
            name: name.clone(),
            mode: GateMode::Waiting,
            gates: Arc::clone(&self.gates),
        };
        (gate, guard)
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        self.mode = GateMode::Waiting;
        let mut gates = open(&self.gates);
        let gate = gates.get(&self.name);
        // The map is the only owner, so no call holds the gate or waits for it.
        if gate.is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.name);
        }
    }
}

fn open(gates: &Mutex<GateMap>) -> MutexGuard<'_, GateMap> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(plugin: &str) -> Name {
        let economy = "guild".parse().expect("a name");
        (economy, plugin.parse().expect("a name"))
    }

    #[tokio::test]
    async fn an_exclusive_pass_admits_no_other_and_is_not_overtaken() {
        let gates = Arc::new(Gates::new());
        let first = gates.enter(&name("a")).await;
        let second = gates.enter(&name("a")).await;
        let alone = tokio::spawn({
            let gates = Arc::clone(&gates);
            async move { gates.enter_alone(&name("a")).await }
        });
        tokio::task::yield_now().await;
        let third = tokio::spawn({
            let gates = Arc::clone(&gates);
            async move { gates.enter(&name("a")).await }
        });
        drop(gates.enter(&name("b")).await);
        drop(first);
        tokio::task::yield_now().await;
        assert!(!alone.is_finished(), "another one is still there");
        drop(second);
        let alone = alone.await.expect("it enters");
        tokio::task::yield_now().await;
        assert!(!third.is_finished(), "it came later");
        drop(alone);
        drop(third.await.expect("it enters"));
        assert!(open(&gates.gates).is_empty(), "no gate remains");
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_no_entry() {
        let gates = Gates::new();
        let held = gates.enter(&name("a")).await;
        let nap = std::time::Duration::from_millis(1);
        let waited = tokio::time::timeout(nap, gates.enter_alone(&name("a"))).await;
        assert!(waited.is_err());
        drop(gates.enter(&name("a")).await);
        drop(held);
        assert!(open(&gates.gates).is_empty());
    }
}
