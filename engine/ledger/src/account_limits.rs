//! Limits on the balances of an account.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::asset::CurrencyId;
use crate::id::AssetId;

/// The limits of an account. By default an asset has no credit limit, and a ceiling of 2^53 − 1.
///
/// Items never have a credit limit. Each asset with a limit also has a balance, even if it is zero, so that
/// the quota of balances bounds the number of limits of an economy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "LimitMaps", into = "LimitMaps")]
pub struct AccountLimits(
    /// The limits; none if no limit is set, as on most accounts.
    Option<Arc<LimitMaps>>,
);

/// Limits by asset.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct LimitMaps {
    /// The most that balances may be below zero.
    #[serde(skip_serializing_if = "OrdMap::is_empty")]
    credit_limit: OrdMap<CurrencyId, Amount>,
    /// The most that balances may be.
    #[serde(skip_serializing_if = "OrdMap::is_empty")]
    ceiling: OrdMap<AssetId, Limit>,
}

impl From<LimitMaps> for AccountLimits {
    fn from(maps: LimitMaps) -> Self {
        let is_empty = maps.credit_limit.is_empty() && maps.ceiling.is_empty();
        Self((!is_empty).then(|| Arc::new(maps)))
    }
}

impl From<AccountLimits> for LimitMaps {
    fn from(limits: AccountLimits) -> Self {
        limits.0.map(Arc::unwrap_or_clone).unwrap_or_default()
    }
}

static NO_LIMITS: LazyLock<LimitMaps> = LazyLock::new(LimitMaps::default);

impl AccountLimits {
    /// Returns true if no limit is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn maps(&self) -> &LimitMaps {
        self.0.as_deref().unwrap_or_else(|| &NO_LIMITS)
    }

    /// Returns the most that the balance in an asset may be below zero.
    pub fn credit_limit(&self, asset: &AssetId) -> Limit {
        let credit = self
            .0
            .as_ref()
            .and_then(|maps| maps.credit_limit.get(asset));
        credit.map_or(Limit::ZERO, |credit| credit.as_limit())
    }

    /// Returns the most that the balance in an asset may be.
    pub fn ceiling(&self, asset: &AssetId) -> Limit {
        let ceiling = self.0.as_ref().and_then(|maps| maps.ceiling.get(asset));
        ceiling.copied().unwrap_or(Limit::MAX)
    }

    /// Returns all credit limits, by asset.
    pub fn credit_limits(&self) -> &OrdMap<CurrencyId, Amount> {
        &self.maps().credit_limit
    }

    /// Returns all ceilings, by asset.
    pub fn ceilings(&self) -> &OrdMap<AssetId, Limit> {
        &self.maps().ceiling
    }

    /// Returns these limits after a change.
    #[must_use]
    pub(crate) fn changed(self, change: &LimitsChange) -> Self {
        if change.is_empty() {
            return self;
        }
        let mut maps = LimitMaps::from(self);
        for (asset, credit) in &change.credit_limit {
            match credit {
                Some(credit) => drop(maps.credit_limit.insert(asset.clone(), *credit)),
                None => drop(maps.credit_limit.remove(asset)),
            }
        }
        for (asset, ceiling) in &change.ceiling {
            match ceiling {
                Some(ceiling) => drop(maps.ceiling.insert(asset.clone(), *ceiling)),
                None => drop(maps.ceiling.remove(asset)),
            }
        }
        maps.into()
    }
}

/// A change of an account's limits: new limits, and removed ones.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsChange {
    /// The new credit limits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub credit_limit: BTreeMap<CurrencyId, Option<Amount>>,
    /// The new ceilings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ceiling: BTreeMap<AssetId, Option<Limit>>,
}

impl LimitsChange {
    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.credit_limit.is_empty() && self.ceiling.is_empty()
    }

    /// Returns the assets of which a limit changes. An asset with both kinds of limits occurs twice.
    pub fn assets(&self) -> impl Iterator<Item = &AssetId> {
        self.credit_limit
            .keys()
            .map(CurrencyId::as_asset)
            .chain(self.ceiling.keys())
    }

    /// Returns the assets of which a limit is set, not removed. An asset with both kinds of limits occurs
    /// twice.
    pub(crate) fn assets_set(&self) -> impl Iterator<Item = &AssetId> {
        let credit = self.credit_limit.iter();
        let credit = credit.filter(|(_, credit)| credit.is_some());
        let ceiling = self.ceiling.iter();
        let ceiling = ceiling.filter(|(_, ceiling)| ceiling.is_some());
        credit
            .map(|(asset, _)| asset.as_asset())
            .chain(ceiling.map(|(asset, _)| asset))
    }
}

/// Limits of one kind in a patch, by asset: an absent asset keeps its limit, and `null` removes it.
pub type LimitsPatch = BTreeMap<AssetId, Option<Limit>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_limits_have_the_size_of_a_pointer() {
        assert_eq!(size_of::<AccountLimits>(), size_of::<usize>());
    }

    #[test]
    fn limits_without_an_entry_are_those_of_a_new_account() {
        let asset: AssetId = "coin".parse().expect("an asset");
        let set = LimitsChange {
            ceiling: [(asset.clone(), Some(Limit::ZERO))].into(),
            ..LimitsChange::default()
        };
        let removed = LimitsChange {
            ceiling: [(asset, None)].into(),
            ..LimitsChange::default()
        };
        let limited = AccountLimits::default().changed(&set);
        assert!(!limited.is_empty());
        assert_eq!(limited.changed(&removed), AccountLimits::default());
        let read: AccountLimits = serde_json::from_str("{}").expect("JSON");
        assert_eq!(read, AccountLimits::default());
    }
}
