//! The translation between names and numbers of accounts and assets.

use super::Books;
use super::apply::ApplyError;
use crate::id::{AccountId, AssetId};
use crate::movement::{Movement, NumberedMovement, Posting};
use crate::number::{AccountNumber, AssetNumber};

impl Books {
    /// Returns the number of an account.
    pub fn account_number(&self, account: &AccountId) -> Option<AccountNumber> {
        self.accounts.number(account)
    }

    /// Returns the name of the account that has a number.
    pub fn account_name(&self, number: AccountNumber) -> Option<&AccountId> {
        self.accounts.name(number)
    }

    /// Returns the number of an asset.
    pub fn asset_number(&self, asset: &AssetId) -> Option<AssetNumber> {
        self.numbers.of_assets.get(asset).copied()
    }

    /// Returns the id of the asset that has a number.
    pub fn asset_name(&self, number: AssetNumber) -> Option<&AssetId> {
        self.numbers.name(number)
    }

    /// Returns a movement with numbers in place of names; none if an account or the asset does not exist.
    pub fn number_movement(&self, movement: &Movement) -> Option<NumberedMovement> {
        let posting = &movement.posting;
        Some(NumberedMovement {
            part: movement.part,
            source: self.account_number(&posting.source)?,
            destination: self.account_number(&posting.destination)?,
            asset: self.asset_number(&posting.asset)?,
            amount: posting.amount,
            source_after: movement.source_after,
            destination_after: movement.destination_after,
        })
    }

    /// Returns a movement with names in place of numbers; none if a number is not assigned.
    pub fn name_movement(&self, movement: &NumberedMovement) -> Option<Movement> {
        self.resolve(movement).ok()
    }

    /// Returns true if every number is assigned: after a restoration, that no account or asset is missing
    /// between others.
    pub fn is_complete(&self) -> bool {
        self.accounts.numbers() == self.accounts.len() && self.numbers.assets() == self.assets.len()
    }

    pub(super) fn resolve(&self, movement: &NumberedMovement) -> Result<Movement, ApplyError> {
        let account = |number: AccountNumber| {
            let name = self.account_name(number).cloned();
            name.ok_or(ApplyError::AccountNumber { number })
        };
        let number = movement.asset;
        let asset = self.asset_name(number).cloned();
        Ok(Movement {
            part: movement.part,
            posting: Posting {
                source: account(movement.source)?,
                destination: account(movement.destination)?,
                asset: asset.ok_or(ApplyError::AssetNumber { number })?,
                amount: movement.amount,
            },
            source_after: movement.source_after,
            destination_after: movement.destination_after,
        })
    }
}
