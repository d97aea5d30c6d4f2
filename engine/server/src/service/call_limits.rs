//! Limits on concurrent calls: in total, for each economy and for each plugin. A call with a long request takes several
//! places.

use bursar_ledger::{EconomyId, PluginName};

use super::call_bounds::CallBounds;
use crate::admission::{Admission, AdmissionBounds, Permit};

/// Bytes of a request for each place that its call takes. Parsed JSON takes at most about twenty times the memory of its
/// text, so that all places of a server stand for less than 100 MiB.
const BYTES_PER_PLACE: usize = 1_024;

/// Admits calls within their limits.
pub(super) struct CallLimiter {
    economies: Admission<EconomyId>,
    plugins: Admission<(EconomyId, PluginName)>,
}

/// The places of a call. They are released when this is dropped.
pub(super) struct CallPermit {
    _of_economy: Permit<EconomyId>,
    _of_plugin: Permit<(EconomyId, PluginName)>,
}

impl CallLimiter {
    pub(super) fn new(bounds: &CallBounds) -> Self {
        let economies = AdmissionBounds::new(bounds.calls, bounds.calls_per_economy);
        let plugins = AdmissionBounds::new(bounds.calls, bounds.calls_per_plugin);
        Self {
            economies: Admission::new(economies),
            plugins: Admission::new(plugins),
        }
    }

    /// Takes the places of a call with a request of `bytes` bytes. Returns none if they are not free.
    pub(super) fn try_acquire(
        &self,
        economy: &EconomyId,
        plugin: &PluginName,
        bytes: usize,
    ) -> Option<CallPermit> {
        let places = bytes.div_ceil(BYTES_PER_PLACE).max(1);
        let plugin = (economy.clone(), plugin.clone());
        Some(CallPermit {
            _of_economy: self.economies.try_acquire_share(economy, places).ok()?,
            _of_plugin: self.plugins.try_acquire(&plugin, places).ok()?,
        })
    }
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
        assert!(limiter.economies.is_unused() && limiter.plugins.is_unused());
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
