//! Quotas of an economy: limits, use, and checks that something more fits.

use std::sync::Arc;

use super::Books;
use super::usage::{Usage, metadata_bytes, wide};
use crate::account::{Account, Balance};
use crate::asset::Asset;
use crate::document::Document;
use crate::economy::Day;
use crate::id::{AccountId, AssetId, PluginName};
use crate::plugin::installation::entry_cost;
use crate::quota::{Quota, Quotas};
use crate::rejection::Rejection;
use crate::time::Timestamp;

impl Books {
    /// The quotas that an operator has set.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The limit of a quota: the one that was set, or its default.
    pub fn quota(&self, quota: Quota) -> u64 {
        self.quotas.limit(quota)
    }

    /// The amount of a quota that is in use at a moment; none where the books do not know.
    pub fn used(&self, quota: Quota, at: Timestamp) -> Option<u64> {
        Some(match quota {
            Quota::Accounts => wide(self.accounts.len()),
            Quota::MetadataBytes => self.usage.metadata_bytes,
            Quota::Assets => wide(self.assets.len()),
            Quota::Balances => self.usage.balances,
            Quota::StateBytes => self.usage.state_bytes,
            Quota::Plugins => wide(self.plugins.len()),
            Quota::Holds => wide(self.holds_open()),
            // Each reversal is known from both of its sides.
            Quota::Reversals => wide(self.reversals.len()).div_ceil(2),
            Quota::BudgetCounters => wide(self.spends_on(Day::of(at))),
            Quota::Webhooks => wide(self.webhooks.len()),
            Quota::Streams => return None,
        })
    }

    /// Refuses to keep so much more than what is in use.
    pub(crate) fn check_room(&self, quota: Quota, used: u64, more: u64) -> Result<(), Rejection> {
        let limit = self.quota(quota);
        if more > 0 && used.saturating_add(more) > limit {
            return Err(Rejection::QuotaReached { quota, limit, used });
        }
        Ok(())
    }

    /// Refuses to keep so many more things than there are.
    pub(crate) fn check_more(
        &self,
        quota: Quota,
        there: usize,
        more: usize,
    ) -> Result<(), Rejection> {
        self.check_room(quota, wide(there), wide(more))
    }

    /// Refuses metadata that takes more than what it replaces, where there is no room for it.
    pub(crate) fn check_metadata(
        &self,
        before: Option<&Document>,
        after: Option<&Document>,
    ) -> Result<(), Rejection> {
        let more = metadata_bytes(after).saturating_sub(metadata_bytes(before));
        self.check_room(Quota::MetadataBytes, self.usage.metadata_bytes, more)
    }

    /// Returns whether an account has a balance in an asset, even if it is zero.
    pub(crate) fn has_balance(&self, account: &AccountId, asset: &AssetId) -> bool {
        let account = self.account(account);
        account.is_some_and(|account| account.balances.contains_key(asset))
    }

    /// Changes a balance of an account, and counts it if it is new. None if there is no such account,
    /// or the change is none.
    pub(super) fn change_balance(
        &mut self,
        account: &AccountId,
        asset: &AssetId,
        change: impl FnOnce(Balance) -> Option<Balance>,
    ) -> Option<()> {
        let account = Arc::make_mut(self.accounts.get_mut(account)?);
        let balance = change(account.balance(asset))?;
        if account.balances.insert(asset.clone(), balance).is_none() {
            self.usage.add_balance();
        }
        Some(())
    }

    /// Puts back an account of a checkpoint. False if it is there already.
    pub(crate) fn restore_account(&mut self, id: AccountId, account: Arc<Account>) -> bool {
        if self.accounts.contains_key(&id) {
            return false;
        }
        self.usage.add_account(&account);
        self.accounts.insert(id, account);
        true
    }

    /// Puts back an asset of a checkpoint. False if it is there already.
    pub(crate) fn restore_asset(&mut self, id: AssetId, asset: Arc<Asset>) -> bool {
        if self.assets.contains_key(&id) {
            return false;
        }
        self.usage.add_asset(&asset);
        self.assets.insert(id, asset);
        true
    }

    /// Puts back an entry of a plugin's state. False if it is there already, or the plugin is not.
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

    /// The counters as they should be, counted from the beginning.
    pub(crate) fn count_usage(&self) -> Usage {
        let mut usage = Usage::default();
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
