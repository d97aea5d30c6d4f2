//! Draws of a call, from an origin that is fixed before the first one.

use super::Draft;
use crate::amount::Amount;
use crate::books::Books;
use crate::call::proposal::NewBalances;
use crate::call::request::CallRequest;
use crate::call::transcript::{HostRequest, HostResponse, Refusal};
use crate::draw::{Draw, DrawOrigin};
use crate::rejection::Rejection;
use std::borrow::Borrow;

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    /// Returns true if the call has drawn. It may no longer decline then.
    pub fn has_drawn(&self) -> bool {
        self.draws > 0
    }

    /// Returns true if the next draw is the first one and needs an origin.
    ///
    /// False if the requests so far cannot be committed: the call ends at the draw then, so that a commit
    /// never depends on the drawn numbers.
    pub fn awaits_origin(&self) -> bool {
        self.origin.is_none() && self.check_draw().is_ok()
    }

    /// Checks that the call can commit, and can pay everything that it may request after the draw.
    fn check_draw(&self) -> Result<(), Rejection> {
        // Everything that could reject the commit is checked before the first draw. A later rejection would
        // let a player or a plugin discard the draws that they lose by.
        self.settle()?;
        self.check_repayments()?;
        self.check_state_after_draw()
    }

    /// Checks that the secured amounts can be paid back to the accounts that a grant let this call debit.
    /// An account above its ceiling could not receive them.
    fn check_repayments(&self) -> Result<(), Rejection> {
        for (account, asset) in self.repayable.keys() {
            let Some(back) = u64::try_from(self.promised(account, asset)).ok() else {
                continue;
            };
            let Some((back, found)) = Amount::new(back).zip(self.books().account(account)) else {
                continue;
            };
            let delta = self.delta(account, asset).posted;
            let posted = found.balance(asset).posted.saturating_add(delta);
            let ceiling = found.limits.ceiling(asset);
            if posted.saturating_add(back.signed()) > ceiling.signed() {
                return Err(Rejection::CeilingExceeded {
                    account: account.clone(),
                    asset: asset.clone(),
                    ceiling,
                    posted,
                    amount: back,
                });
            }
        }
        Ok(())
    }

    /// Returns the new balances to check against the quota. The caller may receive any of the secured
    /// assets. The plugin's own accounts are few, and need no check.
    pub(super) fn new_balances(&self) -> NewBalances<'_> {
        if self.has_drawn() {
            return NewBalances::Exempt;
        }
        let secured = self.secured.keys();
        let expected = secured.map(|(_, asset)| (&self.call().caller, asset));
        NewBalances::Checked(expected.collect())
    }

    /// Sets the origin of the draws. Has no effect after the first draw.
    pub fn draw_from(&mut self, origin: DrawOrigin) {
        // With a second origin a plugin could draw until it likes the result.
        if self.draws == 0 {
            let seed = self.books().seed().server_seed(origin.seed);
            self.origin = Some((origin, seed));
        }
    }

    /// Returns the origin of the draws.
    pub fn origin(&self) -> Option<&DrawOrigin> {
        self.origin.as_ref().map(|(origin, _)| origin)
    }

    pub(super) fn draw(&mut self, request: &HostRequest) -> Result<HostResponse, Refusal> {
        if !self.has_drawn()
            && let Err(rejection) = self.check_draw()
        {
            return Ok(HostResponse::Ends(rejection));
        }
        let (origin, server_seed) = self.origin.as_ref().ok_or(Refusal::NoOrigin)?;
        let response = request.draw_response(&Draw {
            server_seed,
            component: &self.plugin.installation.component,
            client_seed: &origin.client_seed,
            nonce: origin.nonce,
            mixed: &self.mixed,
            label: "",
            index: self.draws,
        });
        self.draws = self.draws.saturating_add(1);
        response.ok_or(Refusal::NoOrigin)
    }

    pub(super) fn mix(&mut self, text: &str) -> Result<HostResponse, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        self.mixed.push_str(text);
        Ok(HostResponse::Done)
    }
}
