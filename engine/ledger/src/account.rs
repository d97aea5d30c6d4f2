//! Accounts and their balances.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account_limits::{AccountLimits, LimitsPatch};
use crate::amount::Limit;
use crate::document::Document;
use crate::id::{AccountId, AssetId};
use crate::limits::BALANCE_MAX;
use crate::patch::Patch;
use crate::rejection::Rejection;

/// One account's balance in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Balance {
    /// The sum of all postings. Below zero only on issuers and within a credit limit.
    pub posted: i64,
    /// What holds have reserved of it.
    pub held: Limit,
}

impl Balance {
    /// What is neither spent nor held: `posted` − `held`.
    pub fn available(self) -> i64 {
        self.posted.saturating_sub(self.held.signed())
    }
}

/// What may be done with an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Everything.
    #[default]
    Open,
    /// Nothing moves on it and no plugin is called for it, until it is open again.
    Frozen,
    /// The same, and there is nothing on it.
    Closed,
}

impl AccountStatus {
    /// Whether everything may be done.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// What is known of an account. Its name is the key under which the books keep it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// What may be done with it.
    #[serde(skip_serializing_if = "AccountStatus::is_open", default)]
    pub status: AccountStatus,
    /// The least and the most that its balances may be.
    #[serde(skip_serializing_if = "AccountLimits::is_empty", default)]
    pub limits: AccountLimits,
    /// Anything a bot wants to keep here, as JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Document>,
    /// Balances, one per asset that was ever posted, held or limited here.
    #[serde(default)]
    pub balances: OrdMap<AssetId, Balance>,
    /// The journal's number of the newest movement on this account: the head of its history. The
    /// rules never read it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub newest: Option<u64>,
}

impl Account {
    /// The balance in an asset; zero where nothing was ever posted.
    pub fn balance(&self, asset: &AssetId) -> Balance {
        self.balances.get(asset).copied().unwrap_or_default()
    }

    /// Nothing moves on an account that is frozen or closed.
    pub(crate) fn check_open(&self, id: &AccountId) -> Result<(), Rejection> {
        let account = id.clone();
        match self.status {
            AccountStatus::Open => Ok(()),
            AccountStatus::Frozen => Err(Rejection::AccountFrozen { account }),
            AccountStatus::Closed => Err(Rejection::AccountClosed { account }),
        }
    }

    /// What can be spent when `posted` has changed by `delta`: available + credit limit.
    pub(crate) fn spendable_after(&self, asset: &AssetId, delta: i64) -> u64 {
        let spendable = self
            .balance(asset)
            .available()
            .saturating_add(delta)
            .saturating_add(self.limits.credit_limit(asset).signed())
            .clamp(0, BALANCE_MAX.saturating_mul(2));
        u64::try_from(spendable).unwrap_or(0)
    }

    /// What can be spent: available + credit limit, and never below zero.
    pub fn spendable(&self, asset: &AssetId) -> u64 {
        self.spendable_after(asset, 0)
    }
}

/// What a PUT changes of an account.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountPatch {
    /// What may be done with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AccountStatus>,
    /// The most that balances may be below zero, by asset; cleared, none may.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub credit_limit: Patch<LimitsPatch>,
    /// The most that balances may be, by asset; cleared, as much as any.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub ceiling: Patch<LimitsPatch>,
    /// Anything, as JSON; replaced as a whole.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub metadata: Patch<Value>,
}

impl AccountPatch {
    /// The number of limits that it names.
    pub(crate) fn limits(&self) -> usize {
        let named = |limits: &Patch<LimitsPatch>| match limits {
            Patch::Keep | Patch::Clear => 0,
            Patch::Set(limits) => limits.len(),
        };
        named(&self.credit_limit).saturating_add(named(&self.ceiling))
    }
}
