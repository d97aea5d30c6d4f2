//! Places for calls, bounded in number and in bytes: in all, for each economy and for each plugin in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{EconomyId, PluginName};

use super::calls::CallBounds;

/// Bytes of a request for which a call takes one place. JSON that is read takes some twenty times as much
/// at worst, so that all places of a server stand for less than 100 MiB.
const BYTES_PER_PLACE: usize = 1_024;

/// Places that calls take and leave.
pub(super) struct CallLimiter {
    bounds: Bounds,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Clone, Copy)]
struct Bounds {
    all: usize,
    per_economy: usize,
    per_plugin: usize,
}

/// The places taken. A name is here as long as it has something.
#[derive(Default)]
struct Taken {
    all: usize,
    economies: HashMap<EconomyId, TakenByEconomy>,
}

#[derive(Default)]
struct TakenByEconomy {
    all: usize,
    plugins: HashMap<PluginName, usize>,
}

/// Places that a call has. They are free again when this is dropped.
pub(super) struct Place {
    economy: EconomyId,
    plugin: PluginName,
    count: usize,
    taken: Arc<Mutex<Taken>>,
}

impl CallLimiter {
    pub(super) fn new(bounds: &CallBounds) -> Self {
        Self {
            bounds: Bounds {
                all: bounds.calls,
                per_economy: bounds.calls_per_economy,
                per_plugin: bounds.calls_per_plugin,
            },
            taken: Arc::default(),
        }
    }

    /// Places for a call whose request has so many bytes, if they are free.
    pub(super) fn take(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        bytes: usize,
    ) -> Option<Place> {
        let count = bytes.div_ceil(BYTES_PER_PLACE).max(1);
        open(&self.taken).take(&self.bounds, economy, plugin, count)?;
        Some(Place {
            economy: economy.clone(),
            plugin: plugin.clone(),
            count,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl Taken {
    fn take(
        &mut self,
        bounds: &Bounds,
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
        // One that has the server for itself has half of it; two have a third each; and so on. A bound that
        // is as fixed would be either low or, with enough economies, none (Choudhury and Hahne, "Dynamic
        // Queue Length Thresholds", 1998).
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

    fn leave(&mut self, economy: &EconomyId, plugin: &PluginName, count: usize) {
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

impl Drop for Place {
    fn drop(&mut self) {
        open(&self.taken).leave(&self.economy, &self.plugin, self.count);
    }
}

fn open(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // What is kept here is whole at any time.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: usize, per_economy: usize, per_plugin: usize) -> CallLimiter {
        let bounds = CallBounds {
            calls: all,
            calls_per_economy: per_economy,
            calls_per_plugin: per_plugin,
            ..CallBounds::standard()
        };
        CallLimiter::new(&bounds)
    }

    fn take(places: &CallLimiter, economy: &str, plugin: &str, bytes: usize) -> Option<Place> {
        let (economy, plugin) = (economy.parse(), plugin.parse());
        places.take(&economy.expect("a name"), &plugin.expect("a name"), bytes)
    }

    /// Takes places of one byte until there is no more.
    fn fill(places: &CallLimiter, economy: &str, plugin: &str) -> Vec<Place> {
        std::iter::from_fn(|| take(places, economy, plugin, 1)).collect()
    }

    #[test]
    fn each_bound_is_reached_and_no_further() {
        let places = places(100, 10, 6);
        let shop = fill(&places, "guild", "shop");
        assert_eq!(shop.len(), 6);
        let game = fill(&places, "guild", "game");
        assert_eq!(game.len(), 4, "of the economy's 10");
        let other = fill(&places, "other", "shop");
        assert_eq!(other.len(), 6, "names are the economy's own");
        drop(shop);
        assert_eq!(fill(&places, "guild", "shop").len(), 6);
        drop((game, other));
        let taken = open(&places.taken);
        assert!(taken.economies.is_empty() && taken.all == 0, "none is kept");
    }

    #[test]
    fn the_economies_that_take_all_they_can_leave_as_much_for_one_more() {
        let places = places(120, 120, 120);
        let alone = fill(&places, "a", "shop");
        assert_eq!(alone.len(), 60);
        let second = fill(&places, "b", "shop");
        assert_eq!(second.len(), 30, "half of what was left");
        drop(alone);
        let more = fill(&places, "b", "shop");
        assert_eq!(second.len() + more.len(), 60, "it has grown into the room");
        let newcomers = ["c", "d", "e"].map(|name| take(&places, name, "shop", 1));
        assert!(newcomers.iter().all(Option::is_some));
    }

    #[test]
    fn a_long_request_takes_the_places_of_several() {
        let places = places(100, 10, 10);
        let whole = take(&places, "guild", "shop", 9 * BYTES_PER_PLACE);
        assert!(whole.is_some());
        let two = take(&places, "guild", "shop", BYTES_PER_PLACE + 1);
        assert!(two.is_none(), "one is left");
        let one = take(&places, "guild", "shop", BYTES_PER_PLACE);
        assert!(one.is_some());
        assert!(take(&places, "guild", "shop", 0).is_none());
        drop((whole, one));
        assert!(take(&places, "guild", "shop", 10 * BYTES_PER_PLACE + 1).is_none());
    }
}
