//! Requests for movements, and amounts that are secured for the time after a draw.

use super::rights::DebitRight;
use super::{Draft, Place};
use crate::amount::Amount;
use crate::call::proposal::Step;
use crate::call::transcript::{HostResponse, Refusal, VisibleBalance};
use crate::id::{AccountId, AssetId};
use crate::movement::Posting;

impl Draft {
    pub(super) fn balance(
        &self,
        account: &AccountId,
        asset: &AssetId,
    ) -> Result<VisibleBalance, Refusal> {
        self.check_read(account)?;
        let found = self.find(account, asset)?;
        let (balance, delta) = (found.balance(asset), self.delta(account, asset));
        let held = balance.held.signed().saturating_add(delta.held);
        Ok(VisibleBalance {
            posted: balance.posted.saturating_add(delta.posted),
            held: u64::try_from(held).unwrap_or(0),
            spendable: self.spendable(account, asset)?,
        })
    }

    pub(super) fn transfer(&mut self, posting: &Posting) -> Result<HostResponse, Refusal> {
        let right = self.right_to_debit(posting)?;
        self.check_issuers(posting)?;
        let pays_back = self.pays_back(posting);
        let stays_here = self.is_own(&posting.destination) || self.is_caller(&posting.destination);
        if self.has_drawn() && !(self.is_own(&posting.source) && (stays_here || pays_back)) {
            return Err(Refusal::AfterDraw);
        }
        self.find(&posting.source, &posting.asset)?;
        self.find(&posting.destination, &posting.asset)?;
        let secured = self.secured_after(posting)?;
        let spent = self.spent_after(&posting.source, &posting.asset, posting.amount)?;
        // Nothing is refused from here on.
        if let Some((place, left)) = secured {
            self.secured.insert(place, left);
        }
        if let Some(spent) = spent {
            self.spent.insert(posting.asset.clone(), spent);
        }
        self.note_debit(right, posting);
        self.shift(posting);
        self.steps.push(Step::Post(posting.clone(), right.funds()));
        Ok(HostResponse::Done)
    }

    /// Returns true if a posting pays back no more than what a grant let this call debit.
    fn pays_back(&self, posting: &Posting) -> bool {
        let owed = self.owed_back(&posting.destination, &posting.asset);
        self.is_own(&posting.source) && posting.amount.get() <= owed
    }

    /// Counts an amount that was debited by a grant, or paid back. Amounts issued by a grant are not owed
    /// back: a burn needs its own grant.
    fn note_debit(&mut self, right: DebitRight, posting: &Posting) {
        let Posting {
            source,
            destination,
            asset,
            amount,
        } = posting;
        let place = |account: &AccountId| (account.clone(), asset.clone());
        if right == DebitRight::Pattern {
            let drawn = self.drawn.entry(place(source)).or_default();
            *drawn = drawn.saturating_add(amount.get());
        }
        if right.is_granted() && !source.is_issuer() {
            let owed = self.owed_back.entry(place(source)).or_default();
            *owed = owed.saturating_add(amount.get());
        }
        if self.is_own(source)
            && let Some(owed) = self.owed_back.get_mut(&place(destination))
        {
            *owed = owed.saturating_sub(amount.get());
        }
    }

    pub(super) fn shift(&mut self, posting: &Posting) {
        let amount = posting.amount.signed();
        let source = self.delta_mut(&posting.source, &posting.asset);
        source.posted = source.posted.saturating_sub(amount);
        let destination = self.delta_mut(&posting.destination, &posting.asset);
        destination.posted = destination.posted.saturating_add(amount);
    }

    /// Returns the secured amount that is left of the source's balance after a posting; none if nothing is
    /// secured there.
    ///
    /// Amounts are secured before the first draw, so that neither a lack of funds nor another account's
    /// ceiling can undo a payment that the draw decides. Only secured amounts leave such a balance, and
    /// other payments to an account must leave what it needs for the promised ones.
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
            if !self.pays_back(posting) && self.promised(destination, asset) > 0 {
                self.check_room(destination, asset, amount.signed())?;
            }
            return Ok(None);
        };
        // The caller, and accounts that are paid back, were checked when the amount was secured.
        let has_room = self.is_caller(destination) || self.pays_back(posting);
        if !has_room && self.promised(destination, asset) > 0 {
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
    ) -> Result<HostResponse, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        if !self.is_own(account) {
            return Err(Refusal::NotGranted {
                what: format!("secure on `{account}`, which is no account of its own"),
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
        Ok(HostResponse::Done)
    }
}
