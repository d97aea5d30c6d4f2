//! Limits of an account, each on its balance in one asset.

use std::collections::BTreeMap;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::asset::CurrencyId;
use crate::id::AssetId;

/// The limits of an account. In an asset that is not named it has no credit, and its balance may rise
/// to 2^53 − 1.
///
/// A credit limit is never of an item, and each asset that is named has a balance, be it zero: so the
/// quota of balances bounds the limits of an economy, too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// The most that a balance may be below zero.
    #[serde(skip_serializing_if = "OrdMap::is_empty")]
    credit_limit: OrdMap<CurrencyId, Amount>,
    /// The most that a balance may be.
    #[serde(skip_serializing_if = "OrdMap::is_empty")]
    ceiling: OrdMap<AssetId, Limit>,
}

impl AccountLimits {
    /// Returns whether no limit is set.
    pub fn is_empty(&self) -> bool {
        self.credit_limit.is_empty() && self.ceiling.is_empty()
    }

    /// Returns the most that the balance in an asset may be below zero.
    pub fn credit_limit(&self, asset: &AssetId) -> Limit {
        self.credit_limit
            .get(asset)
            .map_or(Limit::ZERO, |credit| credit.as_limit())
    }

    /// Returns the most that the balance in an asset may be.
    pub fn ceiling(&self, asset: &AssetId) -> Limit {
        self.ceiling.get(asset).copied().unwrap_or(Limit::MAX)
    }

    /// All credit limits, by asset.
    pub fn credit_limits(&self) -> &OrdMap<CurrencyId, Amount> {
        &self.credit_limit
    }

    /// All ceilings, by asset.
    pub fn ceilings(&self) -> &OrdMap<AssetId, Limit> {
        &self.ceiling
    }

    /// These limits after a change.
    #[must_use]
    pub(crate) fn changed(mut self, change: &LimitsChange) -> Self {
        for (asset, credit) in &change.credit_limit {
            match credit {
                Some(credit) => drop(self.credit_limit.insert(asset.clone(), *credit)),
                None => drop(self.credit_limit.remove(asset)),
            }
        }
        for (asset, ceiling) in &change.ceiling {
            match ceiling {
                Some(ceiling) => drop(self.ceiling.insert(asset.clone(), *ceiling)),
                None => drop(self.ceiling.remove(asset)),
            }
        }
        self
    }
}

/// A change of an account's limits: the limits that become others, and those that go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsChange {
    /// The most that a balance may be below zero.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub credit_limit: BTreeMap<CurrencyId, Option<Amount>>,
    /// The most that a balance may be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ceiling: BTreeMap<AssetId, Option<Limit>>,
}

impl LimitsChange {
    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.credit_limit.is_empty() && self.ceiling.is_empty()
    }

    /// The assets of which a limit changes. One that has both kinds comes twice.
    pub fn assets(&self) -> impl Iterator<Item = &AssetId> {
        self.credit_limit
            .keys()
            .map(CurrencyId::as_asset)
            .chain(self.ceiling.keys())
    }

    /// The assets on which a limit is set rather than removed. One that has both kinds comes twice.
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

/// Limits of one kind in a PUT, by asset: an asset that is absent keeps its limit, `null` removes it.
pub type LimitsPatch = BTreeMap<AssetId, Option<Limit>>;
