//! Quotas: limits on what an economy keeps in memory, so that one economy cannot use up the memory of the
//! others.
//!
//! Each quota has a default, a maximum to which an operator can raise it, and a place in [`Quota::ALL`]. A
//! quota below the amount in use stops growth and removes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{
    ACCOUNTS_QUOTA, ACCOUNTS_QUOTA_MAX, ASSETS_QUOTA, ASSETS_QUOTA_MAX, BALANCES_QUOTA,
    BALANCES_QUOTA_MAX, BUDGET_COUNTERS_QUOTA, BUDGET_COUNTERS_QUOTA_MAX, HOLDS_QUOTA,
    HOLDS_QUOTA_MAX, METADATA_BYTES_QUOTA, METADATA_BYTES_QUOTA_MAX, PLUGINS_QUOTA,
    PLUGINS_QUOTA_MAX, REVERSALS_QUOTA, REVERSALS_QUOTA_MAX, STATE_BYTES_QUOTA,
    STATE_BYTES_QUOTA_MAX, STREAMS_QUOTA, STREAMS_QUOTA_MAX, WEBHOOKS_QUOTA, WEBHOOKS_QUOTA_MAX,
};

/// A kind of thing that is limited in each economy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quota {
    /// Accounts, including those of issuers and plugins. They are never removed.
    Accounts,
    /// Bytes of the metadata of all accounts and assets, as JSON.
    MetadataBytes,
    /// Assets. They are never removed.
    Assets,
    /// Balances: pairs of an account and an asset that the account ever had, or that a hold ever reserved from
    /// it or for it.
    Balances,
    /// Bytes of the state of all plugins: keys, values, and
    /// [`STATE_ENTRY_BYTES`](crate::STATE_ENTRY_BYTES) for each entry.
    StateBytes,
    /// Installed plugins.
    Plugins,
    /// Open holds.
    Holds,
    /// Reversed transfers. Each is kept, so that none is reversed twice.
    Reversals,
    /// Counters of what plugins have taken from members today, for grants with a budget.
    BudgetCounters,
    /// Webhooks.
    Webhooks,
    /// Concurrent event streams. The server counts them.
    Streams,
}

/// The error of a text that is not the name of a quota.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no quota of this name: the quotas are {}", Quota::ALL.map(Quota::name).join(", "))]
pub struct UnknownQuota;

/// The error of a limit above a quota's maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the quota `{quota}` can be raised to {} and no further", quota.max_limit())]
pub struct QuotaTooHigh {
    /// The quota.
    pub quota: Quota,
}

/// The fixed properties of a quota.
struct QuotaTerms {
    name: &'static str,
    counts: &'static str,
    default: u64,
    max: u64,
}

impl Quota {
    /// All quotas, in the order of the variants.
    pub const ALL: [Self; 11] = [
        Self::Accounts,
        Self::MetadataBytes,
        Self::Assets,
        Self::Balances,
        Self::StateBytes,
        Self::Plugins,
        Self::Holds,
        Self::Reversals,
        Self::BudgetCounters,
        Self::Webhooks,
        Self::Streams,
    ];

    fn terms(self) -> QuotaTerms {
        let (name, counts, default, max) = match self {
            Self::Accounts => ("accounts", "accounts", ACCOUNTS_QUOTA, ACCOUNTS_QUOTA_MAX),
            Self::MetadataBytes => (
                "metadata_bytes",
                "bytes of metadata",
                METADATA_BYTES_QUOTA,
                METADATA_BYTES_QUOTA_MAX,
            ),
            Self::Assets => ("assets", "assets", ASSETS_QUOTA, ASSETS_QUOTA_MAX),
            Self::Balances => ("balances", "balances", BALANCES_QUOTA, BALANCES_QUOTA_MAX),
            Self::StateBytes => (
                "state_bytes",
                "bytes of plugin state",
                STATE_BYTES_QUOTA,
                STATE_BYTES_QUOTA_MAX,
            ),
            Self::Plugins => ("plugins", "plugins", PLUGINS_QUOTA, PLUGINS_QUOTA_MAX),
            Self::Holds => ("holds", "open holds", HOLDS_QUOTA, HOLDS_QUOTA_MAX),
            Self::Reversals => (
                "reversals",
                "reversals",
                REVERSALS_QUOTA,
                REVERSALS_QUOTA_MAX,
            ),
            Self::BudgetCounters => (
                "budget_counters",
                "budget counters of the day",
                BUDGET_COUNTERS_QUOTA,
                BUDGET_COUNTERS_QUOTA_MAX,
            ),
            Self::Webhooks => ("webhooks", "webhooks", WEBHOOKS_QUOTA, WEBHOOKS_QUOTA_MAX),
            Self::Streams => (
                "streams",
                "open event streams",
                STREAMS_QUOTA,
                STREAMS_QUOTA_MAX,
            ),
        };
        QuotaTerms {
            name,
            counts,
            default,
            max,
        }
    }

    /// Returns the name in requests and records.
    pub fn name(self) -> &'static str {
        self.terms().name
    }

    /// Returns the words for the counted things, as they follow a number.
    pub fn counts(self) -> &'static str {
        self.terms().counts
    }

    /// Returns the limit of an economy whose quota was not set.
    pub fn default_limit(self) -> u64 {
        self.terms().default
    }

    /// Returns the highest limit that can be set.
    pub fn max_limit(self) -> u64 {
        self.terms().max
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quota {
    type Err = UnknownQuota;

    fn from_str(text: &str) -> Result<Self, UnknownQuota> {
        let named = Self::ALL.into_iter().find(|quota| quota.name() == text);
        named.ok_or(UnknownQuota)
    }
}

impl TryFrom<String> for Quota {
    type Error = UnknownQuota;

    fn try_from(text: String) -> Result<Self, UnknownQuota> {
        text.parse()
    }
}

impl From<Quota> for String {
    fn from(quota: Quota) -> Self {
        quota.name().into()
    }
}

/// The limits that an operator has set for an economy. A quota that is not set has its default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Quota, u64>", into = "BTreeMap<Quota, u64>")]
pub struct Quotas([Option<u64>; Quota::ALL.len()]);

impl Quotas {
    /// Returns the limit that was set for a quota.
    pub fn set(&self, quota: Quota) -> Option<u64> {
        self.0.get(quota as usize).copied().flatten()
    }

    /// Returns the limit of a quota: the one that was set, or the default.
    pub fn limit(&self, quota: Quota) -> u64 {
        self.set(quota).unwrap_or(quota.default_limit())
    }

    /// Returns true if no limit is set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns these limits after a patch.
    #[must_use]
    pub(crate) fn patched(mut self, patch: &QuotaPatch) -> Self {
        for (quota, limit) in &patch.0 {
            if let Some(present) = self.0.get_mut(*quota as usize) {
                *present = *limit;
            }
        }
        self
    }
}

impl From<BTreeMap<Quota, u64>> for Quotas {
    fn from(set: BTreeMap<Quota, u64>) -> Self {
        Self(Quota::ALL.map(|quota| set.get(&quota).copied()))
    }
}

impl From<Quotas> for BTreeMap<Quota, u64> {
    fn from(quotas: Quotas) -> Self {
        let set = Quota::ALL.into_iter();
        set.filter_map(|quota| Some((quota, quotas.set(quota)?)))
            .collect()
    }
}

/// Limits to set: an absent quota keeps its limit, and `null` restores its default. No limit is above its quota's
/// maximum.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Quota, Option<u64>>")]
pub struct QuotaPatch(BTreeMap<Quota, Option<u64>>);

impl TryFrom<BTreeMap<Quota, Option<u64>>> for QuotaPatch {
    type Error = QuotaTooHigh;

    fn try_from(patch: BTreeMap<Quota, Option<u64>>) -> Result<Self, QuotaTooHigh> {
        let too_high = |(quota, limit): &(&Quota, &Option<u64>)| {
            limit.is_some_and(|limit| limit > quota.max_limit())
        };
        match patch.iter().find(too_high) {
            Some((quota, _)) => Err(QuotaTooHigh { quota: *quota }),
            None => Ok(Self(patch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_indexed_by_their_kind() {
        for (index, quota) in Quota::ALL.into_iter().enumerate() {
            assert_eq!(quota as usize, index, "{quota}");
            assert_eq!(quota.name().parse(), Ok(quota));
            assert!(quota.default_limit() <= quota.max_limit(), "{quota}");
        }
        assert_eq!("account".parse::<Quota>(), Err(UnknownQuota));
    }

    #[test]
    fn limits_end_at_their_maximum() {
        for quota in Quota::ALL {
            let patch = |limit| QuotaPatch::try_from(BTreeMap::from([(quota, Some(limit))]));
            let raised = patch(quota.max_limit()).expect("the maximum can be set");
            assert_eq!(
                Quotas::default().patched(&raised).limit(quota),
                quota.max_limit()
            );
            assert_eq!(patch(quota.max_limit() + 1), Err(QuotaTooHigh { quota }));
        }
    }

    #[test]
    fn unset_quotas_are_not_serialised() {
        let json = |quotas: Quotas| serde_json::to_string(&quotas).expect("quotas are JSON");
        assert_eq!(json(Quotas::default()), "{}");
        let patch: QuotaPatch =
            serde_json::from_str(r#"{"holds":5,"accounts":null}"#).expect("a patch");
        let quotas = Quotas::default().patched(&patch);
        assert_eq!(json(quotas), r#"{"holds":5}"#);
        let back: Quotas = serde_json::from_str(r#"{"holds":5}"#).expect("quotas");
        assert_eq!(back, quotas);
        let reset: QuotaPatch = serde_json::from_str(r#"{"holds":null}"#).expect("a patch");
        assert!(quotas.patched(&reset).is_empty());
    }
}
