//! Quotas of an economy: limits, amounts in use, and checks against them.

use std::sync::Arc;

use super::Books;
use super::usage::{UsageCounters, metadata_bytes, to_u64};
use crate::account::Account;
use crate::asset::Asset;
use crate::balances::Balance;
use crate::document::Document;
use crate::economy::Day;
use crate::id::{AccountId, AssetId, PluginName};
use crate::number::AssetNumber;
use crate::plugin::installation::entry_cost;
use crate::quota::{Quota, Quotas};
use crate::rejection::Rejection;
use crate::time::Timestamp;

impl Books {
    /// Returns the quotas that an operator has set.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Returns the limit of a quota: the one that was set, or the default.
    pub fn quota(&self, quota: Quota) -> u64 {
        self.quotas.limit(quota)
    }

    /// Returns the amount of a quota that is in use at a moment; none if the server counts it and not the
    /// books.
    pub fn used(&self, quota: Quota, at: Timestamp) -> Option<u64> {
        Some(match quota {
            Quota::Accounts => to_u64(self.accounts.len()),
            Quota::MetadataBytes => self.usage.metadata_bytes,
            Quota::Assets => to_u64(self.assets.len()),
            Quota::Balances => self.usage.balances,
            Quota::StateBytes => self.usage.state_bytes,
            Quota::Plugins => to_u64(self.plugins.len()),
            Quota::Holds => to_u64(self.holds_open()),
            // Each reversal is stored under both transfers.
            Quota::Reversals => to_u64(self.reversals.len()).div_ceil(2),
            Quota::BudgetCounters => to_u64(self.counters_on(Day::of(at))),
            Quota::Webhooks => to_u64(self.webhooks.len()),
            Quota::Streams => return None,
        })
    }

    /// Checks that `more` fits into a quota of which `used` is in use.
    pub(crate) fn check_room(&self, quota: Quota, used: u64, more: u64) -> Result<(), Rejection> {
        let limit = self.quota(quota);
        if more > 0 && used.saturating_add(more) > limit {
            return Err(Rejection::QuotaReached { quota, limit, used });
        }
        Ok(())
    }

    /// Checks that `more` things fit into a quota besides the `present` ones.
    pub(crate) fn check_more(
        &self,
        quota: Quota,
        present: usize,
        more: usize,
    ) -> Result<(), Rejection> {
        self.check_room(quota, to_u64(present), to_u64(more))
    }

    /// Checks that metadata fits into the quota. Metadata that becomes smaller always fits.
    pub(crate) fn check_metadata(
        &self,
        before: Option<&Document>,
        after: Option<&Document>,
    ) -> Result<(), Rejection> {
        let more = metadata_bytes(after).saturating_sub(metadata_bytes(before));
        self.check_room(Quota::MetadataBytes, self.usage.metadata_bytes, more)
    }

    /// Changes a balance of an account, and counts the balance if it is new. Returns none if the account
    /// does not exist, or `change` returns none.
    pub(super) fn change_balance(
        &mut self,
        account: &AccountId,
        asset: &AssetId,
        change: impl FnOnce(Balance) -> Option<Balance>,
    ) -> Option<()> {
        let account = self.accounts.get_mut(account)?;
        if let Some(balance) = account.balances.get_mut(asset) {
            *balance = change(*balance)?;
        } else {
            let new = change(Balance::default())?;
            account.balances.insert(asset.clone(), new);
            self.usage.add_balance();
        }
        Some(())
    }

    /// Restores an account from a checkpoint. Returns false if it or its number exists already, or the
    /// number is too high; the books must then be discarded.
    pub(crate) fn restore_account(&mut self, id: AccountId, account: Account) -> bool {
        self.usage.add_account(&account);
        self.accounts.insert(id, account)
    }

    /// Restores an asset from a checkpoint. Returns false if it or its number exists already, or the
    /// number is too high.
    pub(crate) fn restore_asset(
        &mut self,
        id: AssetId,
        asset: Arc<Asset>,
        number: AssetNumber,
    ) -> bool {
        if self.assets.contains_key(&id) || !self.numbers.restore_asset(number, id.clone()) {
            return false;
        }
        self.usage.add_asset(&asset);
        self.assets.insert(id, asset);
        true
    }

    /// Restores an entry of a plugin's state from a checkpoint. Returns false if it exists already, or the
    /// plugin does not.
    pub(crate) fn restore_state(
        &mut self,
        id: &PluginName,
        key: Arc<str>,
        value: Arc<str>,
    ) -> bool {
        let Some(plugin) = self.plugins.get_mut(id).map(Arc::make_mut) else {
            return false;
        };
        if plugin.state.contains_key(&key) {
            return false;
        }
        self.usage.change_state(0, entry_cost(&key, Some(&value)));
        plugin.state.insert(key, value);
        true
    }

    /// Counts the use of quotas again, from the accounts, assets and plugins.
    pub(crate) fn count_usage(&self) -> UsageCounters {
        let mut usage = UsageCounters::default();
        for account in self.accounts.values() {
            usage.add_account(account);
        }
        for asset in self.assets.values() {
            usage.add_asset(asset);
        }
        for plugin in self.plugins.values() {
            for (key, value) in &plugin.state {
                usage.change_state(0, entry_cost(key, Some(value)));
            }
        }
        usage
    }
}
