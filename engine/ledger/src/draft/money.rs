//! What a plugin may move, and what it secures for the time after a draw.

use super::{Draft, Place};
use crate::amount::Amount;
use crate::fact::{Answer, Refusal, Seen};
use crate::id::{AccountId, AssetId};
use crate::movement::Posting;
use crate::proposal::Step;

impl Draft {
    pub(super) fn balance(&self, account: &AccountId, asset: &AssetId) -> Result<Seen, Refusal> {
        let granted = self.plugin.installation.grants.read.contains(account);
        if !(self.is_own(account) || self.is_caller(account) || granted) {
            return Err(Refusal::NotGranted {
                what: format!("read `{account}`"),
            });
        }
        let found = self.find(account, asset)?;
        let (balance, delta) = (found.balance(asset), self.delta(account, asset));
        let held = balance.held.signed().saturating_add(delta.held);
        Ok(Seen {
            posted: balance.posted.saturating_add(delta.posted),
            held: u64::try_from(held).unwrap_or(0),
            spendable: self.spendable(account, asset)?,
        })
    }

    pub(super) fn transfer(&mut self, posting: &Posting) -> Result<Answer, Refusal> {
        self.check_debit(posting)?;
        self.check_issuers(posting)?;
        let stays_here = self.is_own(&posting.destination) || self.is_caller(&posting.destination);
        if self.has_drawn() && !(self.is_own(&posting.source) && stays_here) {
            return Err(Refusal::AfterDraw);
        }
        self.find(&posting.source, &posting.asset)?;
        self.find(&posting.destination, &posting.asset)?;
        let secured = self.secured_after(posting)?;
        let spent = self.spent_after(&posting.source, &posting.asset, posting.amount)?;
        // From here on nothing is refused.
        if let Some((place, left)) = secured {
            self.secured.insert(place, left);
        }
        if let Some(spent) = spent {
            self.spent.insert(posting.asset.clone(), spent);
        }
        self.shift(posting);
        self.steps.push(Step::Post(posting.clone()));
        Ok(Answer::Done)
    }

    pub(super) fn shift(&mut self, posting: &Posting) {
        let amount = posting.amount.signed();
        let source = self.delta_mut(&posting.source, &posting.asset);
        source.posted = source.posted.saturating_sub(amount);
        let destination = self.delta_mut(&posting.destination, &posting.asset);
        destination.posted = destination.posted.saturating_add(amount);
    }

    /// A plugin debits its own accounts, the caller's, and granted ones.
    pub(super) fn check_debit(&self, posting: &Posting) -> Result<(), Refusal> {
        let source = &posting.source;
        if *source == posting.destination {
            return Err(Refusal::SameAccount);
        }
        let granted = self.plugin.installation.grants.debit.contains(source);
        if !(self.is_own(source) || self.is_caller(source) || granted) {
            return Err(Refusal::NotGranted {
                what: format!("debit `{source}`"),
            });
        }
        Ok(())
    }

    /// It credits any account, but an issuer only with a grant.
    fn check_issuers(&self, posting: &Posting) -> Result<(), Refusal> {
        let Posting {
            source,
            destination,
            asset,
            ..
        } = posting;
        if destination.is_issuer() && !self.plugin.installation.grants.credit.contains(destination)
        {
            return Err(Refusal::NotGranted {
                what: format!("credit `{destination}`"),
            });
        }
        // An issuer's account is of its own asset: with it no other can be made.
        let of_another =
            |account: &&AccountId| account.is_issuer() && **account != AccountId::issuer(asset);
        if let Some(issuer) = [source, destination].into_iter().find(of_another) {
            return Err(Refusal::NotGranted {
                what: format!("move {asset} on `{issuer}`"),
            });
        }
        Ok(())
    }

    /// What stays secured where the posting takes from. Whatever is secured is kept for the draw: it
    /// is all that may leave that balance, and the room that it needs is not filled with other coins.
    pub(super) fn secured_after(&self, posting: &Posting) -> Result<Option<(Place, u64)>, Refusal> {
        let Posting {
            source,
            destination,
            asset,
            amount,
        } = posting;
        let place = (source.clone(), asset.clone());
        let Some(secured) = self.secured.get(&place) else {
            if self.has_drawn() {
                return Err(Refusal::NotSecured);
            }
            if self.promised(destination, asset) > 0 {
                self.check_room(destination, asset, amount.signed())?;
            }
            return Ok(None);
        };
        // What is paid out of the secured amounts needs the room that was checked for it: the caller's.
        if !self.is_caller(destination) && self.promised(destination, asset) > 0 {
            self.check_room(destination, asset, amount.signed())?;
        }
        let left = secured.checked_sub(amount.get());
        Ok(Some((place, left.ok_or(Refusal::NotSecured)?)))
    }

    pub(super) fn secure(
        &mut self,
        account: &AccountId,
        asset: &AssetId,
        amount: Amount,
    ) -> Result<Answer, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        if !self.is_own(account) {
            return Err(Refusal::NotGranted {
                what: format!("secure on `{account}`"),
            });
        }
        let spendable = self.spendable(account, asset)?;
        let place = (account.clone(), asset.clone());
        let secured = self
            .secured
            .get(&place)
            .copied()
            .unwrap_or(0)
            .saturating_add(amount.get());
        if spendable < secured {
            return Err(Refusal::InsufficientFunds);
        }
        self.check_room(&self.call.caller, asset, amount.signed())?;
        self.secured.insert(place, secured);
        Ok(Answer::Done)
    }
}
