//! The accounts of an economy, by name and by number.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use imbl::OrdMap;

use crate::account::Account;
use crate::id::AccountId;
use crate::limits::ACCOUNTS_QUOTA_MAX;
use crate::number::AccountNumber;
use crate::persistent_array::PersistentArray;

/// The accounts of an economy, in the order of their names.
///
/// The accounts themselves are in an array by number. A transfer changes two of its elements and no name, so the maps
/// of names, of which each copied node would cost more, stay shared.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccountTable {
    names: OrdMap<AccountId, AccountNumber>,
    /// The number of the first name with each fingerprint. A look-up compares some seventeen keys, and names take far
    /// longer to compare than numbers.
    fingerprints: OrdMap<u64, AccountNumber>,
    /// The accounts by number. A number that is not restored yet has none.
    accounts: PersistentArray<Option<NamedAccount>>,
}

/// An account with its name.
#[derive(Clone, PartialEq, Debug)]
struct NamedAccount {
    name: AccountId,
    account: Account,
}

impl AccountTable {
    /// Returns the number of accounts.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns true if there is no account.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns an account.
    pub fn get(&self, name: &AccountId) -> Option<&Account> {
        let (_, account) = self.find(name, fingerprint(name))?;
        Some(account)
    }

    /// Returns the accounts with their names, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        let names = self.names.iter();
        names.filter_map(|(name, number)| Some((name, &self.at(*number)?.account)))
    }

    /// Returns the names in their order.
    pub fn keys(&self) -> impl Iterator<Item = &AccountId> {
        self.names.keys()
    }

    /// Returns the accounts in the order of their numbers, which is faster than the order of names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().flatten().map(|named| &named.account)
    }

    /// Returns how many numbers are assigned.
    pub(crate) fn numbers(&self) -> usize {
        self.accounts.len()
    }

    /// Returns the number under which an account is stored.
    pub(crate) fn number(&self, name: &AccountId) -> Option<AccountNumber> {
        let (number, _) = self.find(name, fingerprint(name))?;
        Some(number)
    }

    /// Returns the name of the account that has a number.
    pub(crate) fn name(&self, number: AccountNumber) -> Option<&AccountId> {
        self.at(number).map(|named| &named.name)
    }

    /// Returns an account for a change.
    pub(crate) fn get_mut(&mut self, name: &AccountId) -> Option<&mut Account> {
        let number = self.number(name)?;
        self.at_mut(number)
    }

    /// Returns an account for a change; adds one with the next number if it does not exist.
    pub(crate) fn get_mut_or_add(&mut self, name: &AccountId) -> &mut Account {
        let number = self.number(name).unwrap_or_else(|| {
            let number = u32::try_from(self.accounts.len());
            let number = AccountNumber(number.expect("the quota of accounts is below 2^32"));
            let new = Account {
                number,
                ..Account::default()
            };
            self.insert(name.clone(), new);
            number
        });
        self.at_mut(number).expect("it exists or was added")
    }

    /// Adds an account under the number that it contains. Returns false if the name or the number is in use, or if the
    /// number is beyond the highest quota.
    ///
    /// A checkpoint is in the order of names, so a number may be far beyond the present ones; the quota bounds the
    /// memory that a wrong one takes.
    pub(crate) fn insert(&mut self, name: AccountId, account: Account) -> bool {
        let number = account.number;
        let Some(index) = index(number).filter(|_| u64::from(number.0) < ACCOUNTS_QUOTA_MAX) else {
            return false;
        };
        let named = NamedAccount {
            name: name.clone(),
            account,
        };
        if !self.accounts.fill(index, named) {
            return false;
        }
        self.fingerprints
            .entry(fingerprint(&name))
            .or_insert(number);
        self.names.insert(name, number).is_none()
    }

    /// Returns the accounts with their names, in the order of names, created one at a time.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (AccountId, Arc<Account>)> + Send {
        let Self {
            names, accounts, ..
        } = self;
        names.into_iter().filter_map(move |(name, number)| {
            let named = accounts.get(index(number)?)?.as_ref()?;
            Some((name, Arc::new(named.account.clone())))
        })
    }

    /// Removes a name, as no act does.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, name: &AccountId) {
        self.names.remove(name);
        self.fingerprints.remove(&fingerprint(name));
    }

    /// Finds an account by its name and the fingerprint of the name.
    fn find(&self, name: &AccountId, fingerprint: u64) -> Option<(AccountNumber, &Account)> {
        let first = *self.fingerprints.get(&fingerprint)?;
        let named = self.at(first)?;
        if named.name == *name {
            return Some((first, &named.account));
        }
        // Names are chosen by clients, so two of them may have one fingerprint. The second one takes longer to find.
        let number = *self.names.get(name)?;
        Some((number, &self.at(number)?.account))
    }

    fn at(&self, number: AccountNumber) -> Option<&NamedAccount> {
        self.accounts.get(index(number)?)?.as_ref()
    }

    fn at_mut(&mut self, number: AccountNumber) -> Option<&mut Account> {
        let named = self.accounts.get_mut(index(number)?)?.as_mut();
        named.map(|named| &mut named.account)
    }
}

/// Returns the index of a number.
fn index(number: AccountNumber) -> Option<usize> {
    usize::try_from(number.0).ok()
}

/// Returns the fingerprint of a name. It is never stored, so another release may compute another one.
fn fingerprint(name: &AccountId) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_one_fingerprint_are_distinguished() {
        let mut table = AccountTable::default();
        let [first, second, absent] = ["user:1", "user:2", "user:3"].map(|name| {
            let name: Result<AccountId, _> = name.parse();
            name.expect("a name")
        });
        assert_eq!(table.get_mut_or_add(&first).number, AccountNumber(0));
        assert_eq!(table.get_mut_or_add(&second).number, AccountNumber(1));
        let shared = fingerprint(&first);
        for (name, number) in [(&first, 0), (&second, 1)] {
            let (found, account) = table.find(name, shared).expect("it exists");
            assert_eq!(found, AccountNumber(number));
            assert_eq!(account.number, found);
        }
        assert_eq!(table.find(&absent, shared), None);
        assert_eq!(table.get(&absent), None);
    }
}
