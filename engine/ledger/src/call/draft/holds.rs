//! Requests for holds: a plugin uses the holds that it has placed in this call and in earlier ones.

use std::borrow::Borrow;
use std::sync::Arc;

use super::Draft;
use crate::amount::Amount;
use crate::books::Books;
use crate::call::proposal::{Step, remaining_hold};
use crate::call::request::CallRequest;
use crate::call::transcript::{HostResponse, Refusal};
use crate::hold::{Hold, Reservation};
use crate::id::HoldId;
use crate::movement::Posting;

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    /// Returns an open hold of the plugin, as the call leaves it. An expired hold is not open.
    pub(super) fn find_hold(&self, hold: HoldId) -> Option<&Arc<Hold>> {
        let found = match self.holds.get(&hold) {
            Some(changed) => changed.as_ref(),
            None => self.books().hold(hold),
        };
        let own = Some(&self.call().plugin);
        found.filter(|hold| hold.plugin.as_ref() == own && hold.expires_at > self.at)
    }

    fn open_hold(&self, hold: HoldId) -> Result<Arc<Hold>, Refusal> {
        let found = self.find_hold(hold).map(Arc::clone);
        found.ok_or(Refusal::NoHold { hold })
    }

    pub(super) fn hold_left(&self, hold: HoldId) -> Option<Amount> {
        self.find_hold(hold).map(|hold| hold.remaining)
    }

    pub(super) fn place_hold(
        &mut self,
        rule: &str,
        posting: &Posting,
    ) -> Result<HostResponse, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        let Some(rule) = self.plugin.installation.holds.get(rule).copied() else {
            let rule = rule.into();
            return Err(Refusal::NoHoldRule { rule });
        };
        self.check_may_hold(posting)?;
        // An issuer's amounts do not exist until they are issued, so they cannot be reserved; a burn needs
        // its own grant.
        if let Some(issuer) = [&posting.source, &posting.destination]
            .into_iter()
            .find(|account| account.is_issuer())
        {
            return Err(Refusal::NotGranted {
                what: format!("reserve amounts of or for `{issuer}`"),
            });
        }
        self.find_account(&posting.source, &posting.asset)?;
        self.find_account(&posting.destination, &posting.asset)?;
        let secured = self.secured_after(posting)?;
        let spent = self.spent_after(&posting.source, &posting.asset, posting.amount)?;
        let reservation = Reservation::try_from(posting.clone());
        let reservation = reservation.map_err(|_| Refusal::SameAccount)?;
        self.check_can_receive(
            &posting.destination,
            &posting.asset,
            posting.amount.signed(),
        )?;
        // Nothing is refused from here on.
        if let Some((key, left)) = secured {
            self.secured.insert(key, left);
        }
        if let Some(spent) = spent {
            self.spent.insert(posting.asset.clone(), spent);
        }
        let id = self.call().id.hold(self.holds_placed);
        self.holds_placed = self.holds_placed.saturating_add(1);
        let placed = Hold::placed(&reservation, self.at, rule.expires_in_s, rule.on_expiry);
        let plugin = Some(self.call().plugin.clone());
        let placed = Hold { plugin, ..placed };
        let delta = self.delta_mut(&posting.source, &posting.asset);
        delta.held = delta.held.saturating_add(posting.amount.signed());
        self.steps.push(Step::Place(id, Box::new(placed.clone())));
        self.holds.insert(id, Some(Arc::new(placed)));
        self.secured_holds.insert(id);
        Ok(HostResponse::Placed(id))
    }

    pub(super) fn capture_hold(
        &mut self,
        id: HoldId,
        amount: Option<Amount>,
    ) -> Result<HostResponse, Refusal> {
        let hold = self.open_hold(id)?;
        self.check_secured(id)?;
        let amount = amount.unwrap_or(hold.remaining);
        if amount > hold.remaining {
            let left = hold.remaining;
            return Err(Refusal::HoldExceeded { hold: id, left });
        }
        let posting = hold.reservation.part(amount);
        // A capture of a hold that is not secured must not use up what the destination needs for promised
        // amounts.
        if !self.secured_holds.contains(&id)
            && self.promised(&posting.destination, &posting.asset) > 0
        {
            self.check_can_receive(&posting.destination, &posting.asset, amount.signed())?;
        }
        self.unreserve(&posting, amount);
        self.apply_posting(&posting);
        let left = remaining_hold(&hold, amount);
        self.steps.push(Step::Capture(id, posting, left.is_none()));
        self.holds.insert(id, left);
        Ok(HostResponse::Done)
    }

    pub(super) fn release_hold(&mut self, id: HoldId) -> Result<HostResponse, Refusal> {
        let hold = self.open_hold(id)?;
        self.check_secured(id)?;
        self.unreserve(hold.reservation.posting(), hold.remaining);
        self.holds.insert(id, None);
        self.steps.push(Step::Release(id, hold));
        Ok(HostResponse::Done)
    }

    /// Secures a hold. Its capture must be possible after the draw, so its source must still cover it: an
    /// operator may have lowered the source's credit limit.
    pub(super) fn secure_hold(&mut self, id: HoldId) -> Result<HostResponse, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        let hold = self.open_hold(id)?;
        if self.secured_holds.contains(&id) {
            return Ok(HostResponse::Done);
        }
        let posting = hold.reservation.posting();
        let source = self.find_account(&posting.source, &posting.asset)?;
        if !source.status.is_open() {
            return Err(Refusal::NoRoom);
        }
        let moved = self.delta(&posting.source, &posting.asset).posted;
        let reserved = source.balance(&posting.asset).held.signed();
        let covered = source.spendable_after(&posting.asset, moved.saturating_add(reserved));
        if covered
            < self
                .secured_from(posting)
                .saturating_add(hold.remaining.get())
        {
            return Err(Refusal::InsufficientFunds);
        }
        self.check_can_receive(
            &posting.destination,
            &posting.asset,
            hold.remaining.signed(),
        )?;
        self.secured_holds.insert(id);
        Ok(HostResponse::Done)
    }

    /// Returns the sum of the secured holds of a balance.
    fn secured_from(&self, of: &Posting) -> u64 {
        let secured = self
            .secured_holds
            .iter()
            .filter_map(|id| self.find_hold(*id));
        let of_balance = secured.filter(|hold| {
            let posting = hold.reservation.posting();
            posting.source == of.source && posting.asset == of.asset
        });
        of_balance.fold(0, |sum, hold| sum.saturating_add(hold.remaining.get()))
    }

    fn check_secured(&self, hold: HoldId) -> Result<(), Refusal> {
        if self.has_drawn() && !self.secured_holds.contains(&hold) {
            return Err(Refusal::NotSecured);
        }
        Ok(())
    }

    fn unreserve(&mut self, posting: &Posting, amount: Amount) {
        let delta = self.delta_mut(&posting.source, &posting.asset);
        delta.held = delta.held.saturating_sub(amount.signed());
    }

    /// Returns the secured holds of earlier calls that are open in the books.
    pub(crate) fn earlier_secured_holds(&self) -> impl Iterator<Item = (HoldId, &Arc<Hold>)> + '_ {
        let secured = self.secured_holds.iter();
        secured.filter_map(|id| Some((*id, self.books().hold(*id)?)))
    }

    /// Returns the holds placed or secured by this call that stay open.
    pub(crate) fn open_holds(&self) -> impl Iterator<Item = (HoldId, &Arc<Hold>)> + '_ {
        let secured = self.secured_holds.iter();
        secured.filter_map(|id| Some((*id, self.find_hold(*id)?)))
    }
}
