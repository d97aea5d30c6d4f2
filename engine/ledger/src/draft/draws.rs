//! Draws of a call: made from an origin that was fixed at the first of them.

use super::Draft;
use crate::draw::{Draw, DrawOrigin};
use crate::fact::{Answer, Ask, Refusal};

impl Draft {
    /// Whether the call has drawn. From then on it may not decline.
    pub fn has_drawn(&self) -> bool {
        self.draws > 0
    }

    /// Whether a draw would be the first, and has no origin yet. Then what was asked for so far has to
    /// be payable, or the call ends: whether a bet can commit never depends on what is drawn.
    pub fn awaits_origin(&self) -> bool {
        self.origin.is_none() && self.settle().is_ok()
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

    pub(super) fn draw(&mut self, ask: &Ask) -> Result<Answer, Refusal> {
        if !self.has_drawn()
            && let Err(rejection) = self.settle()
        {
            return Ok(Answer::Ends(rejection));
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

    pub(super) fn mix(&mut self, text: &str) -> Result<Answer, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        self.mixed.push_str(text);
        Ok(Answer::Done)
    }
}
