//! Limits on concurrent calls: in total, for each economy and for each plugin. A call with a long request takes several
//! places.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};

use super::calls::CallBounds;

/// Bytes of a request for each place that its call takes. Parsed JSON takes at most about twenty times the memory of its
/// text, so that all places of a server stand for less than 100 MiB.
const BYTES_PER_PLACE: usize = 1_024;

/// Admits calls within their limits.
pub(super) struct CallLimiter {
    bounds: PlaceBounds,
    in_use: Arc<Mutex<PlacesInUse>>,
}

/// The numbers of places.
#[derive(Clone, Copy)]
struct PlaceBounds {
    all: usize,
    per_economy: usize,
    per_plugin: usize,
}

/// The places in use. An economy or plugin without one has no entry.
#[derive(Default)]
struct PlacesInUse {
    all: usize,
    economies: HashMap<EconomyId, EconomyPlaces>,
}

/// The places in use of one economy.
#[derive(Default)]
struct EconomyPlaces {
    all: usize,
    plugins: HashMap<PluginName, usize>,
}

/// The places of a call. They are released when this is dropped.
pub(super) struct CallPermit {
    economy: EconomyId,
    plugin: PluginName,
    count: usize,
    in_use: Arc<Mutex<PlacesInUse>>,
}

impl CallLimiter {
    pub(super) fn new(bounds: &CallBounds) -> Self {
        Self {
            bounds: PlaceBounds {
                all: bounds.calls,
                per_economy: bounds.calls_per_economy,
                per_plugin: bounds.calls_per_plugin,
            },
            in_use: Arc::default(),
        }
    }

    /// Takes the places of a call with a request of `bytes` bytes. Returns none if they are not free.
    pub(super) fn try_acquire(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        bytes: usize,
    ) -> Option<CallPermit> {
        let count = bytes.div_ceil(BYTES_PER_PLACE).max(1);
        lock(&self.in_use).take(&self.bounds, economy, plugin, count)?;
        Some(CallPermit {
            economy: economy.clone(),
            plugin: plugin.clone(),
            count,
            in_use: Arc::clone(&self.in_use),
        })
    }
}

impl PlacesInUse {
    fn take(
        &mut self,
        bounds: &PlaceBounds,
        economy: &EconomyId,
        plugin: &PluginName,
        count: usize,
    ) -> Option<()> {
        let of_economy = self.economies.get(economy);
        let of_plugin = of_economy.and_then(|economy| economy.plugins.get(plugin));
        let all = self.all + count;
        let by_economy = of_economy.map_or(0, |economy| economy.all) + count;
        let by_plugin = of_plugin.copied().unwrap_or(0) + count;
        let left = bounds.all.checked_sub(all)?;
        // An economy has at most as many places as it leaves free: alone it can take half of all, two can take a third
        // each, and so on. A fixed limit would be too low for one economy, or no limit for many of them (Choudhury and
        // Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking,
        // 1998).
        let fits = by_economy <= bounds.per_economy.min(left) && by_plugin <= bounds.per_plugin;
        if !fits {
            return None;
        }
        self.all = all;
        let of_economy = self.economies.entry(economy.clone()).or_default();
        of_economy.all = by_economy;
        of_economy.plugins.insert(plugin.clone(), by_plugin);
        Some(())
    }

    fn release(&mut self, economy: &EconomyId, plugin: &PluginName, count: usize) {
        self.all -= count;
        if let Some(of_economy) = self.economies.get_mut(economy) {
            of_economy.all -= count;
            if let Some(by_plugin) = of_economy.plugins.get_mut(plugin) {
                *by_plugin -= count;
                if *by_plugin == 0 {
                    of_economy.plugins.remove(plugin);
                }
            }
            if of_economy.all == 0 {
                self.economies.remove(economy);
            }
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        lock(&self.in_use).release(&self.economy, &self.plugin, self.count);
    }
}

fn lock(in_use: &Mutex<PlacesInUse>) -> MutexGuard<'_, PlacesInUse> {
    // A panic cannot leave the counts half changed, so a poisoned lock is still valid.
    in_use.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(all: usize, per_economy: usize, per_plugin: usize) -> CallLimiter {
        let bounds = CallBounds {
            calls: all,
            calls_per_economy: per_economy,
            calls_per_plugin: per_plugin,
            ..CallBounds::standard()
        };
        CallLimiter::new(&bounds)
    }

    fn acquire(
        limiter: &CallLimiter,
        economy: &str,
        plugin: &str,
        bytes: usize,
    ) -> Option<CallPermit> {
        let economy = economy.parse().expect("a name");
        let plugin = plugin.parse().expect("a name");
        limiter.try_acquire(&economy, &plugin, bytes)
    }

    /// Acquires permits for requests of one byte until none is free.
    fn fill(limiter: &CallLimiter, economy: &str, plugin: &str) -> Vec<CallPermit> {
        std::iter::from_fn(|| acquire(limiter, economy, plugin, 1)).collect()
    }

    #[test]
    fn calls_are_admitted_up_to_each_bound() {
        let limiter = limiter(100, 10, 6);
        let shop = fill(&limiter, "guild", "shop");
        assert_eq!(shop.len(), 6);
        let game = fill(&limiter, "guild", "game");
        assert_eq!(game.len(), 4, "of the economy's 10");
        let other = fill(&limiter, "other", "shop");
        assert_eq!(
            other.len(),
            6,
            "a plugin of another economy is another plugin"
        );
        drop(shop);
        assert_eq!(fill(&limiter, "guild", "shop").len(), 6);
        drop((game, other));
        let in_use = lock(&limiter.in_use);
        assert!(
            in_use.economies.is_empty() && in_use.all == 0,
            "no entry remains"
        );
    }

    #[test]
    fn busy_economies_leave_a_share_for_one_more() {
        let limiter = limiter(120, 120, 120);
        let alone = fill(&limiter, "a", "shop");
        assert_eq!(alone.len(), 60);
        let second = fill(&limiter, "b", "shop");
        assert_eq!(second.len(), 30, "half of what was left");
        drop(alone);
        let more = fill(&limiter, "b", "shop");
        assert_eq!(
            second.len() + more.len(),
            60,
            "it can take places that were released"
        );
        let newcomers = ["c", "d", "e"].map(|name| acquire(&limiter, name, "shop", 1));
        assert!(newcomers.iter().all(Option::is_some));
    }

    #[test]
    fn a_long_request_takes_the_places_of_several() {
        let limiter = limiter(100, 10, 10);
        let whole = acquire(&limiter, "guild", "shop", 9 * BYTES_PER_PLACE);
        assert!(whole.is_some());
        let two = acquire(&limiter, "guild", "shop", BYTES_PER_PLACE + 1);
        assert!(two.is_none(), "one is left");
        let one = acquire(&limiter, "guild", "shop", BYTES_PER_PLACE);
        assert!(one.is_some());
        assert!(acquire(&limiter, "guild", "shop", 0).is_none());
        drop((whole, one));
        assert!(acquire(&limiter, "guild", "shop", 10 * BYTES_PER_PLACE + 1).is_none());
    }
}
