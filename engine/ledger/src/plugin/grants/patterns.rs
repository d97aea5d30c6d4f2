//! Grants by pattern: accounts of members that a plugin may read and debit, each debit with its caps.

use serde::de::{Deserializer, Error, Unexpected};
use serde::{Deserialize, Serialize, Serializer};

use super::caps::Caps;
use crate::id::AccountId;
use crate::limits::GRANT_PATTERNS_MAX;
use crate::plugin::account_pattern::AccountPattern;

/// What a plugin may do with all accounts of a pattern.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternGrant<D = PatternCaps> {
    /// The accounts.
    pub accounts: AccountPattern,
    /// Whether it may read their balances.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
    /// That it may debit them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit: Option<D>,
}

/// The most that a plugin may take of the accounts of a pattern, gross: what comes back makes no room
/// again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternCaps {
    /// The most in one call, of all of them together.
    pub per_call: Caps,
    /// The most of one of them in a day (of UTC).
    pub per_member_per_day: Caps,
    /// The most in a day (of UTC), of all of them together.
    pub per_day: Caps,
}

/// A manifest's wish to debit accounts by a pattern. It is written as `true`, without caps: these are the
/// operator's.
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

/// Some grants by pattern: at most [`GRANT_PATTERNS_MAX`], each pattern once.
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

/// The reason that some grants by pattern cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternsError {
    /// There are too many.
    #[error("a plugin has at most {GRANT_PATTERNS_MAX} patterns")]
    TooMany,
    /// One is there twice.
    #[error("the pattern `{0}` is there twice")]
    Twice(AccountPattern),
    /// One lets nothing be done.
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
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The grants, in the order in which they were written.
    pub fn as_slice(&self) -> &[PatternGrant<D>] {
        &self.0
    }

    /// The patterns by which an account may be debited. Each of them binds the debit by its caps.
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

    /// Returns whether a pattern lets an account be read.
    pub fn lets_read(&self, account: &AccountId) -> bool {
        let mut grants = self.0.iter();
        grants.any(|grant| grant.read && grant.accounts.matches(account))
    }
}

/// What an operator writes among the patterns so that an account can be read; none where no pattern
/// reaches it.
pub(crate) fn grant_of_read(account: &AccountId) -> Option<String> {
    let pattern = AccountPattern::around(account)?;
    Some(format!(r#"{{"accounts": "{pattern}", "read": true}}"#))
}

/// What an operator writes among the patterns so that an account can be debited; none where no pattern
/// reaches it.
pub(crate) fn grant_of_debit(account: &AccountId) -> Option<String> {
    let pattern = AccountPattern::around(account)?;
    Some(format!(
        r#"{{"accounts": "{pattern}", "debit": {{"per_call": {{…}}, "per_member_per_day": {{…}}, "per_day": {{…}}}}}}"#
    ))
}
