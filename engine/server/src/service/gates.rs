//! Gates for the calls of a plugin: many calls run at the same time, or one runs alone.

use std::sync::Arc;

use bursar_ledger::{EconomyId, PluginName};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::keyed_shares::{KeyShare, KeyedShares};

/// A plugin in an economy.
type Name = (EconomyId, PluginName);

/// A gate for each plugin with calls.
#[derive(Default)]
pub(super) struct Gates(KeyedShares<Name, RwLock<()>>);

/// The right of a call to run. It ends when this is dropped.
pub(super) struct GateGuard {
    // It is dropped before the share, which removes a gate that no guard holds.
    _mode: GateMode,
    _share: KeyShare<Name, RwLock<()>>,
}

/// The mode in which a guard holds its gate.
enum GateMode {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Gates {
    /// Waits until no call holds the gate alone or waits to do so, then holds it together with others.
    pub(super) async fn enter(&self, name: &Name) -> GateGuard {
        // The share exists before the wait, so that a cancelled wait also removes an unused gate.
        let share = self.0.share(name);
        let gate = Arc::clone(share.value());
        let mode = GateMode::Shared {
            _guard: gate.read_owned().await,
        };
        GateGuard {
            _mode: mode,
            _share: share,
        }
    }

    /// Waits until all calls have left the gate, then holds it alone. Calls that come later wait behind this one, because
    /// the lock is fair.
    pub(super) async fn enter_alone(&self, name: &Name) -> GateGuard {
        let share = self.0.share(name);
        let gate = Arc::clone(share.value());
        let mode = GateMode::Alone {
            _guard: gate.write_owned().await,
        };
        GateGuard {
            _mode: mode,
            _share: share,
        }
    }
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
        let gates = Arc::new(Gates::default());
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
        assert!(gates.0.is_unused(), "no gate remains");
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaves_no_entry() {
        let gates = Gates::default();
        let held = gates.enter(&name("a")).await;
        let nap = std::time::Duration::from_millis(1);
        let waited = tokio::time::timeout(nap, gates.enter_alone(&name("a"))).await;
        assert!(waited.is_err());
        drop(gates.enter(&name("a")).await);
        drop(held);
        assert!(gates.0.is_unused());
    }
}
