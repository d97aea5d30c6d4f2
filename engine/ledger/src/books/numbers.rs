//! The numbers of accounts and assets: their assignment, and their restoration from a checkpoint.

use imbl::{OrdMap, Vector};

use crate::account::Account;
use crate::account_table::AccountTable;
use crate::id::{AccountId, AssetId};
use crate::limits::{ACCOUNTS_QUOTA_MAX, ASSETS_QUOTA_MAX};
use crate::number::{AccountNumber, AssetNumber};

/// Names by number. A number that is not restored yet has none.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NumberedNames<T> {
    names: Vector<Option<T>>,
}

/// The numbers of an economy's accounts and assets. An account contains its own number; the numbers of
/// assets are kept here.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct NumberTable {
    pub(super) accounts: NumberedNames<AccountId>,
    pub(super) assets: NumberedNames<AssetId>,
    pub(super) of_assets: OrdMap<AssetId, AssetNumber>,
}

impl<T> Default for NumberedNames<T> {
    fn default() -> Self {
        Self {
            names: Vector::new(),
        }
    }
}

impl<T: Clone> NumberedNames<T> {
    /// Returns the name that has a number.
    pub(super) fn name(&self, number: u32) -> Option<&T> {
        self.names.get(usize::try_from(number).ok()?)?.as_ref()
    }

    /// Assigns the next number to a name.
    fn assign(&mut self, name: T) -> u32 {
        let number = u32::try_from(self.names.len());
        let number = number.expect("the quotas of accounts and assets are below 2^32");
        self.names.push_back(Some(name));
        number
    }

    /// Assigns a number of a checkpoint. Returns false if it has a name already, or is not below `end`.
    ///
    /// A checkpoint is in the order of names, so a number may be far beyond the present ones; `end` bounds
    /// the memory that a wrong one takes.
    fn restore(&mut self, number: u32, name: T, end: u64) -> bool {
        let Ok(index) = usize::try_from(number) else {
            return false;
        };
        if u64::from(number) >= end {
            return false;
        }
        while self.names.len() <= index {
            self.names.push_back(None);
        }
        let slot = self.names.get_mut(index);
        let slot = slot.filter(|slot| slot.is_none());
        slot.is_some_and(|slot| slot.replace(name).is_none())
    }
}

impl NumberTable {
    /// Returns how many account numbers are assigned.
    pub(crate) fn accounts(&self) -> usize {
        self.accounts.names.len()
    }

    /// Returns how many asset numbers are assigned.
    pub(crate) fn assets(&self) -> usize {
        self.assets.names.len()
    }

    /// Returns the numbers of all assets.
    pub(crate) fn into_asset_numbers(self) -> OrdMap<AssetId, AssetNumber> {
        self.of_assets
    }

    /// Returns an account for a change; creates it if it does not exist.
    pub(crate) fn account_or_new<'a>(
        &mut self,
        accounts: &'a mut AccountTable,
        account: &AccountId,
    ) -> &'a mut Account {
        accounts.get_mut_or_add(account, || {
            AccountNumber(self.accounts.assign(account.clone()))
        })
    }

    /// Assigns a number to an asset, unless it has one.
    pub(crate) fn number_asset(&mut self, asset: &AssetId) {
        if !self.of_assets.contains_key(asset) {
            let number = AssetNumber(self.assets.assign(asset.clone()));
            self.of_assets.insert(asset.clone(), number);
        }
    }

    pub(super) fn restore_account(&mut self, number: AccountNumber, name: AccountId) -> bool {
        self.accounts.restore(number.0, name, ACCOUNTS_QUOTA_MAX)
    }

    pub(super) fn restore_asset(&mut self, number: AssetNumber, name: AssetId) -> bool {
        let restored = self
            .assets
            .restore(number.0, name.clone(), ASSETS_QUOTA_MAX);
        restored && self.of_assets.insert(name, number).is_none()
    }
}
