//! Grants: what an operator allows a plugin beyond its own accounts and the caller's, and what a manifest
//! asks for of it.

mod caps;
mod patterns;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::limits::STATE_BYTES_MAX;

pub use caps::Caps;
pub use patterns::{PatternCaps, PatternGrant, Patterns, PatternsError, RequestedDebit};
pub(crate) use patterns::{grant_of_debit, grant_of_read};

/// What the operator allows a plugin beyond its own accounts and the caller's. `D` is what is said of a
/// debit by a pattern: its caps where it is granted, no more than that where it is asked for.
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
    /// Accounts whose balances it may read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub read: BTreeSet<AccountId>,
    /// Issuer accounts that it may credit, that is, burn on. Any other account needs no grant.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub credit: BTreeSet<AccountId>,
    /// Accounts that it may debit; an issuer here means that it may issue.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub debit: BTreeSet<AccountId>,
    /// Accounts of members that it may read and debit by patterns. The operator alone says which.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub patterns: Patterns<D>,
    /// The most that may leave the caller in one call, per asset; an asset that is not named here
    /// may not leave at all. Without it there is no such cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_call: Option<Caps>,
    /// The most that may leave one member in a day (of UTC), per asset; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_member_per_day: Option<Caps>,
    /// The most that may be issued in a day (of UTC), per asset; as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_per_day: Option<Caps>,
    /// Bytes of state that it may keep; 1 MiB where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<u64>,
    /// How much it may compute in one call.
    #[serde(skip_serializing_if = "FuelClass::is_standard")]
    pub fuel: FuelClass,
}

/// What a manifest asks for. Its patterns are wishes: shown to the operator, and granted by nothing but
/// the operator's own words.
pub type Permissions = Grants<RequestedDebit>;

/// How much a plugin may compute in one call.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum FuelClass {
    /// A fifth of the standard.
    Small,
    /// What a shop or a game needs, many times over.
    #[default]
    Standard,
    /// Ten times the standard.
    Large,
}

impl FuelClass {
    /// The name, as grants have it.
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

/// A part of some grants that is wider than what the manifest asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excess {
    /// The member of the grants.
    pub member: &'static str,
    /// What the manifest asks for of it, and what can be done, in words.
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
    /// Bytes of state that the plugin may keep.
    pub fn state_quota(&self) -> u64 {
        self.state_bytes.unwrap_or(STATE_BYTES_MAX)
    }
}

impl Permissions {
    /// The grants that follow from `"requested"`: all that is asked for but the patterns.
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
    /// Returns whether everything here is also in `wider`. Patterns are in neither: an operator writes out
    /// any, whatever is asked for.
    pub fn narrows(&self, wider: &Self) -> bool {
        self.excess_over(wider).is_none()
    }

    /// The first part that is wider than what is asked for.
    pub fn excess_over(&self, asked: &Self) -> Option<Excess> {
        let sets = [
            ("read", &self.read, &asked.read),
            ("credit", &self.credit, &asked.credit),
            ("debit", &self.debit, &asked.debit),
        ];
        let beyond = sets.into_iter().find_map(|(member, granted, asked)| {
            let account = granted.difference(asked).next()?;
            Some(unasked(member, account))
        });
        beyond
            .or_else(|| self.more_state(asked))
            .or_else(|| self.more_fuel(asked))
            .or_else(|| self.all_caps(asked).into_iter().find_map(wider_cap))
    }

    fn more_state(&self, asked: &Self) -> Option<Excess> {
        let most = asked.state_quota();
        (self.state_quota() > most).then(|| Excess {
            member: "state_bytes",
            asks: format!("it asks for {most} bytes"),
        })
    }

    fn more_fuel(&self, asked: &Self) -> Option<Excess> {
        (self.fuel > asked.fuel).then(|| Excess {
            member: "fuel",
            asks: format!("it asks for the class `{}`", asked.fuel.name()),
        })
    }

    /// Each kind of caps by its name, here and in other grants.
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

    /// These grants with the caps of `requested` where they have none of their own: who does not
    /// speak of caps does not lift them, and who does not speak of quotas means the usual ones at most.
    pub(crate) fn capped_as(self, requested: &Self) -> Self {
        let asked = requested.clone();
        let quota = asked.state_quota();
        let fuel = if self.fuel.is_standard() {
            asked.fuel.min(self.fuel)
        } else {
            self.fuel
        };
        Self {
            spend_per_call: self.spend_per_call.or(asked.spend_per_call),
            spend_per_member_per_day: self
                .spend_per_member_per_day
                .or(asked.spend_per_member_per_day),
            issue_per_day: self.issue_per_day.or(asked.issue_per_day),
            state_bytes: self
                .state_bytes
                .or((quota < STATE_BYTES_MAX).then_some(quota)),
            fuel,
            ..self
        }
    }

    /// What is in these grants and in others, with the patterns of these: another version of a plugin
    /// neither asks for them nor changes them.
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

/// An account that the manifest does not ask for.
fn unasked(member: &'static str, account: &AccountId) -> Excess {
    let by_pattern = match member {
        "read" => patterns::grant_of_read(account),
        "debit" => patterns::grant_of_debit(account),
        _credit => None,
    };
    let asks = match by_pattern {
        Some(grant) => {
            format!("it does not ask for `{account}`; {grant} in `grants.patterns` needs no asking")
        }
        None => format!("it does not ask for `{account}`"),
    };
    Excess { member, asks }
}

/// Caps that let something through that others do not. A cap on an asset that is not named is 0; without
/// caps there is none.
fn wider_cap((member, caps, wider): NamedCaps<'_>) -> Option<Excess> {
    let most = wider?;
    let Some(caps) = caps else {
        let asks = "it asks for a cap, and this is none".to_owned();
        return Some(Excess { member, asks });
    };
    let beyond = caps.iter().find_map(|(asset, cap)| {
        let most = most.get(asset).copied().unwrap_or_default();
        (*cap > most).then(|| format!("it asks for at most {most} {asset}"))
    });
    beyond.map(|asks| Excess { member, asks })
}

/// The lower of two caps for each asset; what only one of them names is 0 in the other.
fn lower_caps((_, caps, others): NamedCaps<'_>) -> Option<Caps> {
    let (Some(caps), Some(others)) = (caps, others) else {
        return caps.or(others).cloned();
    };
    let named = caps.iter();
    let named =
        named.filter_map(|(asset, cap)| Some((asset.clone(), (*cap).min(*others.get(asset)?))));
    Some(named.collect())
}

/// How the operator answers what a plugin asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantChoice {
    /// All that the manifest asks for, but no pattern.
    Requested,
    /// This, which must not be more than the manifest asks for, and any patterns.
    Exactly(Box<Grants>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_has_a_quota_where_none_is_asked_for() {
        assert_eq!(Permissions::default().state_quota(), STATE_BYTES_MAX);
    }
}
