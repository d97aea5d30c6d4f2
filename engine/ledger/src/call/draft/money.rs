//! Requests for movements, and amounts that are secured for the time after a draw.

use super::rights::DebitRight;
use super::{BalanceKey, Draft};
use crate::amount::Amount;
use crate::books::Books;
use crate::call::proposal::Step;
use crate::call::request::CallRequest;
use crate::call::transcript::{HostResponse, Refusal, VisibleBalance};
use crate::id::{AccountId, AssetId};
use crate::movement::Posting;
use std::borrow::Borrow;

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    pub(super) fn balance(
        &self,
        account: &AccountId,
        asset: &AssetId,
    ) -> Result<VisibleBalance, Refusal> {
        self.check_read(account)?;
        let found = self.find_account(account, asset)?;
        let balance = found.balance(asset);
        let delta = self.delta(account, asset);
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
        let is_repayment = self.is_repayment(posting);
        let stays_inside =
            self.is_own(&posting.destination) || self.is_caller(&posting.destination);
        if self.has_drawn() && !(self.is_own(&posting.source) && (stays_inside || is_repayment)) {
            return Err(Refusal::AfterDraw);
        }
        self.find_account(&posting.source, &posting.asset)?;
        self.find_account(&posting.destination, &posting.asset)?;
        let secured = self.secured_after(posting)?;
        let spent = self.spent_after(&posting.source, &posting.asset, posting.amount)?;
        // Nothing is refused from here on.
        if let Some((key, left)) = secured {
            self.secured.insert(key, left);
        }
        if let Some(spent) = spent {
            self.spent.insert(posting.asset.clone(), spent);
        }
        // Funds are not checked here. A response that depended on a balance would be a read, and the call
        // would run again after each change of that balance. `settle` checks them before the first draw and
        // at the commit.
        self.count_debit(right, posting);
        self.apply_posting(posting);
        self.steps.push(Step::Post(posting.clone(), right.funds()));
        Ok(HostResponse::Done)
    }

    /// Returns true if a posting pays back no more than what a grant let this call debit.
    fn is_repayment(&self, posting: &Posting) -> bool {
        let repayable = self.repayable(&posting.destination, &posting.asset);
        self.is_own(&posting.source) && posting.amount.get() <= repayable
    }

    /// Counts an amount that was debited by a grant, or paid back. Amounts issued by a grant are not owed
    /// back: a burn needs its own grant.
    fn count_debit(&mut self, right: DebitRight, posting: &Posting) {
        let Posting {
            source,
            destination,
            asset,
            amount,
        } = posting;
        let key = |account: &AccountId| (account.clone(), asset.clone());
        if right == DebitRight::Pattern {
            let taken = self.taken.entry(key(source)).or_default();
            *taken = taken.saturating_add(amount.get());
        }
        if right.is_granted() && !source.is_issuer() {
            let repayable = self.repayable.entry(key(source)).or_default();
            *repayable = repayable.saturating_add(amount.get());
        }
        if self.is_own(source)
            && let Some(repayable) = self.repayable.get_mut(&key(destination))
        {
            *repayable = repayable.saturating_sub(amount.get());
        }
    }

    pub(super) fn apply_posting(&mut self, posting: &Posting) {
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
    pub(super) fn secured_after(
        &self,
        posting: &Posting,
    ) -> Result<Option<(BalanceKey, u64)>, Refusal> {
        let Posting {
            source,
            destination,
            asset,
            amount,
        } = posting;
        let key = (source.clone(), asset.clone());
        let Some(secured) = self.secured.get(&key) else {
            if self.has_drawn() {
                return Err(Refusal::NotSecured);
            }
            if !self.is_repayment(posting) && self.promised(destination, asset) > 0 {
                self.check_can_receive(destination, asset, amount.signed())?;
            }
            return Ok(None);
        };
        // The caller, and accounts that are paid back, were checked when the amount was secured.
        let was_checked = self.is_caller(destination) || self.is_repayment(posting);
        if !was_checked && self.promised(destination, asset) > 0 {
            self.check_can_receive(destination, asset, amount.signed())?;
        }
        let left = secured.checked_sub(amount.get());
        Ok(Some((key, left.ok_or(Refusal::NotSecured)?)))
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
        let key = (account.clone(), asset.clone());
        let secured = self
            .secured
            .get(&key)
            .copied()
            .unwrap_or(0)
            .saturating_add(amount.get());
        if spendable < secured {
            return Err(Refusal::InsufficientFunds);
        }
        // The room for the largest win is reserved along with the money: a ceiling that rejected a win
        // after the draw would make the commit depend on the result.
        self.check_can_receive(&self.call().caller, asset, amount.signed())?;
        self.secured.insert(key, secured);
        Ok(HostResponse::Done)
    }
}
