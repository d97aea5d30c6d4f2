//! Grants by pattern: members' accounts that a plugin may read and debit, each debit with its caps.

use serde::de::{Deserializer, Error, Unexpected};
use serde::{Deserialize, Serialize, Serializer};

use super::caps::Caps;
use crate::id::AccountId;
use crate::limits::GRANT_PATTERNS_MAX;
use crate::plugin::account_pattern::AccountPattern;

/// A plugin's rights to all accounts of a pattern.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternGrant<D = PatternCaps> {
    /// The pattern.
    pub accounts: AccountPattern,
    /// True if the plugin may read balances.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
    /// The right to debit, with its caps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit: Option<D>,
}

/// The most that a plugin may debit by a pattern. Amounts that are paid back still count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternCaps {
    /// The most in one call, from all accounts together.
    pub per_call: Caps,
    /// The most from one account in a day (UTC).
    pub per_member_per_day: Caps,
    /// The most in a day (UTC), from all accounts together.
    pub per_day: Caps,
}

/// A manifest's request to debit by a pattern. It is written as `true`; the operator chooses the caps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestedDebit;

impl Serialize for RequestedDebit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl<'de> Deserialize<'de> for RequestedDebit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            return Ok(Self);
        }
        let expected = &"true, or no such member";
        Err(D::Error::invalid_value(Unexpected::Bool(false), expected))
    }
}

/// A list of grants by pattern: at most [`GRANT_PATTERNS_MAX`], each pattern once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    try_from = "Vec<PatternGrant<D>>",
    into = "Vec<PatternGrant<D>>",
    bound(
        serialize = "D: Serialize + Clone",
        deserialize = "D: Deserialize<'de>"
    )
)]
pub struct Patterns<D = PatternCaps>(Vec<PatternGrant<D>>);

/// The error of a list of grants by pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternsError {
    /// The list is too long.
    #[error("a plugin has at most {GRANT_PATTERNS_MAX} patterns")]
    TooMany,
    /// A pattern occurs twice.
    #[error("the pattern `{0}` occurs twice")]
    Twice(AccountPattern),
    /// A grant contains no right.
    #[error("the pattern `{0}` has neither `\"read\": true` nor `debit`")]
    Empty(AccountPattern),
}

impl<D> Default for Patterns<D> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<D> TryFrom<Vec<PatternGrant<D>>> for Patterns<D> {
    type Error = PatternsError;

    fn try_from(grants: Vec<PatternGrant<D>>) -> Result<Self, PatternsError> {
        if grants.len() > GRANT_PATTERNS_MAX {
            return Err(PatternsError::TooMany);
        }
        let mut rest = grants.as_slice();
        while let [first, others @ ..] = rest {
            if others.iter().any(|other| other.accounts == first.accounts) {
                return Err(PatternsError::Twice(first.accounts.clone()));
            }
            if !first.read && first.debit.is_none() {
                return Err(PatternsError::Empty(first.accounts.clone()));
            }
            rest = others;
        }
        Ok(Self(grants))
    }
}

impl<D> From<Patterns<D>> for Vec<PatternGrant<D>> {
    fn from(patterns: Patterns<D>) -> Self {
        patterns.0
    }
}

impl<D> Patterns<D> {
    /// Returns true if there is no grant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the grants in their order.
    pub fn as_slice(&self) -> &[PatternGrant<D>] {
        &self.0
    }

    /// Returns the patterns by which an account may be debited. The caps of each of them apply to the
    /// debit.
    pub fn debits<'a>(
        &'a self,
        account: &'a AccountId,
    ) -> impl Iterator<Item = (&'a AccountPattern, &'a D)> {
        let reaching = self
            .0
            .iter()
            .filter(|grant| grant.accounts.matches(account));
        reaching.filter_map(|grant| Some((&grant.accounts, grant.debit.as_ref()?)))
    }

    /// Returns true if a pattern allows an account to be read.
    pub fn lets_read(&self, account: &AccountId) -> bool {
        let mut grants = self.0.iter();
        grants.any(|grant| grant.read && grant.accounts.matches(account))
    }
}

/// Returns the grant by which an operator lets an account be read, as JSON; none if no pattern matches the
/// account.
pub(crate) fn grant_of_read(account: &AccountId) -> Option<String> {
    let pattern = AccountPattern::around(account)?;
    Some(format!(r#"{{"accounts": "{pattern}", "read": true}}"#))
}

/// Returns the grant by which an operator lets an account be debited, as JSON; none if no pattern matches
/// the account.
pub(crate) fn grant_of_debit(account: &AccountId) -> Option<String> {
    let pattern = AccountPattern::around(account)?;
    Some(format!(
        r#"{{"accounts": "{pattern}", "debit": {{"per_call": {{…}}, "per_member_per_day": {{…}}, "per_day": {{…}}}}}}"#
    ))
}
