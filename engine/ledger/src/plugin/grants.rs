//! Grants: the rights of a plugin beyond its own accounts and the caller's.

mod caps;
mod patterns;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::limits::STATE_BYTES_MAX;

pub use caps::Caps;
pub use patterns::{PatternCaps, PatternGrant, Patterns, PatternsError, RequestedDebit};
pub(crate) use patterns::{grant_of_debit, grant_of_read};

/// The rights that an operator grants to a plugin, beyond its own accounts and the caller's.
///
/// `D` describes a debit by a pattern: its caps in grants, and a mere request in a manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    bound(
        serialize = "D: Serialize + Clone",
        deserialize = "D: Deserialize<'de>"
    )
)]
pub struct Grants<D = PatternCaps> {
    /// The accounts whose balances the plugin may read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub read: BTreeSet<AccountId>,
    /// The issuers that the plugin may credit, which burns the amount. Other accounts need no grant.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub credit: BTreeSet<AccountId>,
    /// The accounts that the plugin may debit. A debit of an issuer issues the amount.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub debit: BTreeSet<AccountId>,
    /// The members' accounts that the plugin may read and debit by patterns. Only the operator chooses
    /// them.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub patterns: Patterns<D>,
    /// The most that may leave the caller in one call, by asset. An asset without an entry may not leave at
    /// all; without caps there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_call: Option<Caps>,
    /// The most that may leave one member in a day (UTC), by asset, with the same defaults as in
    /// `spend_per_call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_member_per_day: Option<Caps>,
    /// The most that may be issued in a day (UTC), by asset, with the same defaults as in `spend_per_call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_per_day: Option<Caps>,
    /// The bytes of state that the plugin may keep; 1 MiB by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<u64>,
    /// The computation that the plugin may use in one call.
    #[serde(skip_serializing_if = "FuelClass::is_standard")]
    pub fuel: FuelClass,
}

/// The rights that a manifest requests. Its patterns are shown to the operator, who grants them only
/// explicitly.
pub type Permissions = Grants<RequestedDebit>;

/// A class of the computation that a plugin may use in one call.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum FuelClass {
    /// A fifth of the standard.
    Small,
    /// Many times the need of a shop or a game.
    #[default]
    Standard,
    /// Ten times the standard.
    Large,
}

impl FuelClass {
    /// Returns the name of the class in grants.
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Standard => "standard",
            Self::Large => "large",
        }
    }

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference"
    )]
    fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

/// A part of some grants that exceeds what the manifest requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excess {
    /// The member of the grants.
    pub member: &'static str,
    /// A description of what the manifest requests, and of what the operator can do.
    pub asks: String,
}

impl<D> Default for Grants<D> {
    fn default() -> Self {
        Self {
            read: BTreeSet::new(),
            credit: BTreeSet::new(),
            debit: BTreeSet::new(),
            patterns: Patterns::default(),
            spend_per_call: None,
            spend_per_member_per_day: None,
            issue_per_day: None,
            state_bytes: None,
            fuel: FuelClass::default(),
        }
    }
}

impl<D> Grants<D> {
    /// Returns the bytes of state that the plugin may keep.
    pub fn state_quota(&self) -> u64 {
        self.state_bytes.unwrap_or(STATE_BYTES_MAX)
    }
}

impl Permissions {
    /// Returns the grants for the choice `"requested"`: everything that the manifest requests except
    /// patterns.
    pub fn requested(&self) -> Grants {
        let Self {
            read,
            credit,
            debit,
            patterns: _,
            spend_per_call,
            spend_per_member_per_day,
            issue_per_day,
            state_bytes,
            fuel,
        } = self.clone();
        Grants {
            read,
            credit,
            debit,
            patterns: Patterns::default(),
            spend_per_call,
            spend_per_member_per_day,
            issue_per_day,
            state_bytes,
            fuel,
        }
    }
}

impl Grants {
    /// Returns true if everything in these grants is also in `wider`. Patterns are not compared, because an
    /// operator may grant any pattern.
    pub fn narrows(&self, wider: &Self) -> bool {
        self.excess_over(wider).is_none()
    }

    /// Returns the first part of these grants that exceeds the requested ones.
    pub fn excess_over(&self, requested: &Self) -> Option<Excess> {
        let sets = [
            ("read", &self.read, &requested.read),
            ("credit", &self.credit, &requested.credit),
            ("debit", &self.debit, &requested.debit),
        ];
        let beyond = sets.into_iter().find_map(|(member, granted, requested)| {
            let account = granted.difference(requested).next()?;
            Some(unrequested(member, account))
        });
        beyond
            .or_else(|| self.state_excess(requested))
            .or_else(|| self.fuel_excess(requested))
            .or_else(|| self.all_caps(requested).into_iter().find_map(wider_cap))
    }

    fn state_excess(&self, requested: &Self) -> Option<Excess> {
        let most = requested.state_quota();
        (self.state_quota() > most).then(|| Excess {
            member: "state_bytes",
            asks: format!("it requests {most} bytes"),
        })
    }

    fn fuel_excess(&self, requested: &Self) -> Option<Excess> {
        (self.fuel > requested.fuel).then(|| Excess {
            member: "fuel",
            asks: format!("it requests the class `{}`", requested.fuel.name()),
        })
    }

    /// Returns the three kinds of caps with their names, here and in other grants.
    fn all_caps<'a>(&'a self, other: &'a Self) -> [NamedCaps<'a>; 3] {
        [
            (
                "spend_per_call",
                &self.spend_per_call,
                &other.spend_per_call,
            ),
            (
                "spend_per_member_per_day",
                &self.spend_per_member_per_day,
                &other.spend_per_member_per_day,
            ),
            ("issue_per_day", &self.issue_per_day, &other.issue_per_day),
        ]
        .map(|(name, mine, others)| (name, mine.as_ref(), others.as_ref()))
    }

    /// Returns these grants with the caps of `requested` for the caps that are absent. An operator who
    /// leaves caps out does not remove them, and one who leaves quotas out grants at most the default.
    pub(crate) fn capped_as(self, requested: &Self) -> Self {
        let requested = requested.clone();
        let quota = requested.state_quota();
        let fuel = if self.fuel.is_standard() {
            requested.fuel.min(self.fuel)
        } else {
            self.fuel
        };
        Self {
            spend_per_call: self.spend_per_call.or(requested.spend_per_call),
            spend_per_member_per_day: self
                .spend_per_member_per_day
                .or(requested.spend_per_member_per_day),
            issue_per_day: self.issue_per_day.or(requested.issue_per_day),
            state_bytes: self
                .state_bytes
                .or((quota < STATE_BYTES_MAX).then_some(quota)),
            fuel,
            ..self
        }
    }

    /// Returns the rights that are in both grants, with the patterns of these. A new version of a plugin
    /// does not change the patterns.
    #[must_use]
    pub fn narrowed_to(&self, other: &Self) -> Self {
        let [spend_per_call, spend_per_member_per_day, issue_per_day] =
            self.all_caps(other).map(lower_caps);
        let quota = self.state_quota().min(other.state_quota());
        Self {
            read: self.read.intersection(&other.read).cloned().collect(),
            credit: self.credit.intersection(&other.credit).cloned().collect(),
            debit: self.debit.intersection(&other.debit).cloned().collect(),
            patterns: self.patterns.clone(),
            spend_per_call,
            spend_per_member_per_day,
            issue_per_day,
            state_bytes: (quota != STATE_BYTES_MAX).then_some(quota),
            fuel: self.fuel.min(other.fuel),
        }
    }
}

/// The name of a kind of caps, and the caps in two grants.
type NamedCaps<'a> = (&'static str, Option<&'a Caps>, Option<&'a Caps>);

/// Creates the excess of an account that the manifest does not request.
fn unrequested(member: &'static str, account: &AccountId) -> Excess {
    let by_pattern = match member {
        "read" => patterns::grant_of_read(account),
        "debit" => patterns::grant_of_debit(account),
        _credit => None,
    };
    let asks = match by_pattern {
        Some(grant) => {
            format!(
                "it does not request `{account}`; {grant} in `grants.patterns` needs no request"
            )
        }
        None => format!("it does not request `{account}`"),
    };
    Excess { member, asks }
}

/// Returns the excess of caps that allow more than others. In caps an asset without an entry is capped at
/// 0; absent caps allow everything.
fn wider_cap((member, caps, wider): NamedCaps<'_>) -> Option<Excess> {
    let most = wider?;
    let Some(caps) = caps else {
        let asks = "it requests a cap, and there is none".to_owned();
        return Some(Excess { member, asks });
    };
    let beyond = caps.iter().find_map(|(asset, cap)| {
        let most = most.get(asset).copied().unwrap_or_default();
        (*cap > most).then(|| format!("it requests at most {most} {asset}"))
    });
    beyond.map(|asks| Excess { member, asks })
}

/// Returns the lower cap of each asset. An asset that only one side names is capped at 0, which is its
/// absence.
fn lower_caps((_, caps, others): NamedCaps<'_>) -> Option<Caps> {
    let (Some(caps), Some(others)) = (caps, others) else {
        return caps.or(others).cloned();
    };
    let named = caps.iter();
    let named =
        named.filter_map(|(asset, cap)| Some((asset.clone(), (*cap).min(*others.get(asset)?))));
    Some(named.collect())
}

/// An operator's choice of grants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantChoice {
    /// All grants that the manifest requests, except patterns.
    Requested,
    /// The given grants, which must not exceed the requested ones, with any patterns.
    Exactly(Box<Grants>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_has_a_default_quota() {
        assert_eq!(Permissions::default().state_quota(), STATE_BYTES_MAX);
    }
}
