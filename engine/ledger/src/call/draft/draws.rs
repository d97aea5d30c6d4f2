//! Draws of a call: made from an origin that was fixed at the first of them.

use super::Draft;
use crate::amount::Amount;
use crate::call::proposal::Growth;
use crate::call::transcript::{HostRequest, HostResponse, Refusal};
use crate::draw::{Draw, DrawOrigin};
use crate::rejection::Rejection;

impl Draft {
    /// Whether the call has drawn. From then on it may not decline.
    pub fn has_drawn(&self) -> bool {
        self.draws > 0
    }

    /// Whether a draw would be the first, and has no origin yet. Then what was asked for so far has to
    /// be payable, or the call ends: whether a bet can commit never depends on what is drawn.
    pub fn awaits_origin(&self) -> bool {
        self.origin.is_none() && self.check_draw().is_ok()
    }

    /// Checks that everything that may come of the call, whatever is drawn, has its room.
    fn check_draw(&self) -> Result<(), Rejection> {
        self.settle()?;
        self.check_ways_back()?;
        self.check_state_after_draw()
    }

    /// Checks that what a grant has let this call take can be paid back, as far as anything is secured for
    /// that: an account that was above its ceiling would not take it.
    fn check_ways_back(&self) -> Result<(), Rejection> {
        for (account, asset) in self.owed_back.keys() {
            let Some(back) = u64::try_from(self.promised(account, asset)).ok() else {
                continue;
            };
            let Some((back, found)) = Amount::new(back).zip(self.books.account(account)) else {
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

    /// The balances for which the call needs room. Of what was secured any may go to the caller. What
    /// goes to the plugin's own accounts after a draw needs none: there are few of them.
    pub(super) fn growth(&self) -> Growth<'_> {
        if self.has_drawn() {
            return Growth::HadRoom;
        }
        let secured = self.secured.keys();
        let expected = secured.map(|(_, asset)| (&self.call.caller, asset));
        Growth::Metered(expected.collect())
    }

    /// Says where the draws come from. One that comes later than the first draw changes nothing.
    pub fn draw_from(&mut self, origin: DrawOrigin) {
        if self.draws == 0 {
            let seed = self.books.seed().server_seed(origin.seed);
            self.origin = Some((origin, seed));
        }
    }

    /// Where the draws come from.
    pub fn origin(&self) -> Option<&DrawOrigin> {
        self.origin.as_ref().map(|(origin, _)| origin)
    }

    pub(super) fn draw(&mut self, ask: &HostRequest) -> Result<HostResponse, Refusal> {
        if !self.has_drawn()
            && let Err(rejection) = self.check_draw()
        {
            return Ok(HostResponse::Ends(rejection));
        }
        let (origin, server_seed) = self.origin.as_ref().ok_or(Refusal::NoOrigin)?;
        let answer = ask.drawn(&Draw {
            server_seed,
            component: &self.plugin.installation.component,
            client_seed: &origin.client_seed,
            nonce: origin.nonce,
            mixed: &self.mixed,
            label: "",
            index: self.draws,
        });
        self.draws = self.draws.saturating_add(1);
        answer.ok_or(Refusal::NoOrigin)
    }

    pub(super) fn mix(&mut self, text: &str) -> Result<HostResponse, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        self.mixed.push_str(text);
        Ok(HostResponse::Done)
    }
}
