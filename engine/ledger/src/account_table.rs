//! The accounts of an economy, by name and by number.

use std::sync::Arc;

use imbl::OrdMap;

use crate::account::Account;
use crate::id::AccountId;
use crate::number::AccountNumber;
use crate::persistent_array::PersistentArray;

/// The accounts of an economy, in the order of their names.
///
/// The accounts themselves are in an array by number. A transfer changes two of its elements and no name, so the map
/// of names, of which each copied node would cost more, stays shared.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccountTable {
    numbers: OrdMap<AccountId, AccountNumber>,
    /// The accounts by number. A number that is not restored yet has none.
    accounts: PersistentArray<Option<Account>>,
}

impl AccountTable {
    /// Returns the number of accounts.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Returns true if there is no account.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Returns an account.
    pub fn get(&self, name: &AccountId) -> Option<&Account> {
        self.at(*self.numbers.get(name)?)
    }

    /// Returns the accounts with their names, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        let numbers = self.numbers.iter();
        numbers.filter_map(|(name, number)| Some((name, self.at(*number)?)))
    }

    /// Returns the names in their order.
    pub fn keys(&self) -> impl Iterator<Item = &AccountId> {
        self.numbers.keys()
    }

    /// Returns the accounts in the order of their numbers, which is faster than the order of names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().flatten()
    }

    /// Returns the number under which an account is stored.
    pub(crate) fn number(&self, name: &AccountId) -> Option<AccountNumber> {
        self.numbers.get(name).copied()
    }

    /// Returns the account with a number.
    pub(crate) fn at(&self, number: AccountNumber) -> Option<&Account> {
        self.accounts.get(index(number)?)?.as_ref()
    }

    /// Returns the account with a number for a change.
    pub(crate) fn at_mut(&mut self, number: AccountNumber) -> Option<&mut Account> {
        self.accounts.get_mut(index(number)?)?.as_mut()
    }

    /// Returns an account for a change.
    pub(crate) fn get_mut(&mut self, name: &AccountId) -> Option<&mut Account> {
        self.at_mut(*self.numbers.get(name)?)
    }

    /// Returns an account for a change; adds one with the number from `assign` if it does not exist.
    pub(crate) fn get_mut_or_add(
        &mut self,
        name: &AccountId,
        assign: impl FnOnce() -> AccountNumber,
    ) -> &mut Account {
        let number = self.number(name).unwrap_or_else(|| {
            let number = assign();
            let new = Account {
                number,
                ..Account::default()
            };
            self.insert(name.clone(), new);
            number
        });
        self.at_mut(number).expect("it exists or was added")
    }

    /// Adds an account under the number that it contains. Returns false if the name or the number is in use.
    ///
    /// Numbers below it that are not in use take memory, so the caller bounds it.
    pub(crate) fn insert(&mut self, name: AccountId, account: Account) -> bool {
        let number = account.number;
        let Some(index) = index(number) else {
            return false;
        };
        while self.accounts.len() <= index {
            self.accounts.push(None);
        }
        let place = self.accounts.get_mut(index);
        let Some(place) = place.filter(|place| place.is_none()) else {
            return false;
        };
        *place = Some(account);
        self.numbers.insert(name, number).is_none()
    }

    /// Returns the accounts with their names, in the order of names, created one at a time.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (AccountId, Arc<Account>)> + Send {
        let Self { numbers, accounts } = self;
        numbers.into_iter().filter_map(move |(name, number)| {
            let account = accounts.get(index(number)?)?.clone()?;
            Some((name, Arc::new(account)))
        })
    }

    /// Removes a name, as no act does.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, name: &AccountId) {
        self.numbers.remove(name);
    }
}

/// Returns the index of a number.
fn index(number: AccountNumber) -> Option<usize> {
    usize::try_from(number.0).ok()
}
