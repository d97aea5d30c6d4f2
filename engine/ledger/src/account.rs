//! Accounts and their balances.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account_limits::{AccountLimits, LimitsPatch};
use crate::balances::{Balance, Balances};
use crate::document::Document;
use crate::id::{AccountId, AssetId};
use crate::limits::BALANCE_MAX;
use crate::number::AccountNumber;
use crate::patch::Patch;
use crate::rejection::Rejection;

/// The status of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// The account can be used.
    #[default]
    Open,
    /// Nothing moves on the account, and plugins cannot be called for it, until it is opened again.
    Frozen,
    /// Nothing moves on the account, and it is empty.
    Closed,
}

impl AccountStatus {
    /// Returns true if the account can be used.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// An account. The books keep it under its name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// The number that stands for the account's name. No decision depends on it.
    pub number: AccountNumber,
    /// The status.
    #[serde(skip_serializing_if = "AccountStatus::is_open", default)]
    pub status: AccountStatus,
    /// The limits of the balances.
    #[serde(skip_serializing_if = "AccountLimits::is_empty", default)]
    pub limits: AccountLimits,
    /// The bot's own metadata, as JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Document>,
    /// The balances: one for each asset that was ever posted, held or limited here.
    #[serde(default)]
    pub balances: Balances,
}

impl Account {
    /// Returns the balance in an asset; zero by default.
    pub fn balance(&self, asset: &AssetId) -> Balance {
        self.balances.get(asset).copied().unwrap_or_default()
    }

    /// Checks that the account is neither frozen nor closed.
    pub(crate) fn check_open(&self, id: &AccountId) -> Result<(), Rejection> {
        let account = id.clone();
        match self.status {
            AccountStatus::Open => Ok(()),
            AccountStatus::Frozen => Err(Rejection::AccountFrozen { account }),
            AccountStatus::Closed => Err(Rejection::AccountClosed { account }),
        }
    }

    /// Returns the spendable amount after `posted` has changed by `delta`.
    pub(crate) fn spendable_after(&self, asset: &AssetId, delta: i64) -> u64 {
        let spendable = self
            .balance(asset)
            .available()
            .saturating_add(delta)
            .saturating_add(self.limits.credit_limit(asset).signed())
            .clamp(0, BALANCE_MAX.saturating_mul(2));
        u64::try_from(spendable).unwrap_or(0)
    }

    /// Returns the spendable amount: posted − held + credit limit, at least 0.
    pub fn spendable(&self, asset: &AssetId) -> u64 {
        self.spendable_after(asset, 0)
    }
}

/// Members of an account to set.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountPatch {
    /// The new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AccountStatus>,
    /// The new credit limits, by asset; cleared, no balance may be negative.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub credit_limit: Patch<LimitsPatch>,
    /// The new ceilings, by asset; cleared, balances have no ceiling of their own.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub ceiling: Patch<LimitsPatch>,
    /// The new metadata; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub metadata: Patch<Value>,
}

impl AccountPatch {
    /// Returns the number of limits in the patch.
    pub(crate) fn limits(&self) -> usize {
        let count = |limits: &Patch<LimitsPatch>| match limits {
            Patch::Keep | Patch::Clear => 0,
            Patch::Set(limits) => limits.len(),
        };
        count(&self.credit_limit).saturating_add(count(&self.ceiling))
    }
}
