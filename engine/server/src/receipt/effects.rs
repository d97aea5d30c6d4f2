//! The effects of a call: those that its transcript requests are compared with those in its receipt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bursar_ledger::{
    Amount, CallEnding, CallResult, Change, DrawChange, DrawUse, Exchange, Hold, HoldEnd, HoldId,
    HostRequest, HostResponse, Posting, Reservation,
};
use bursar_storage::Outcome;

use super::Receipt;

/// A receipt whose effects are not those that the call requested.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EffectsError {
    /// A call with this ending cannot have this outcome.
    #[error("a call with this ending cannot have the outcome `{}`", .0.as_str())]
    Outcome(Outcome),
    /// The postings differ.
    #[error("the postings are not those that the plugin requested")]
    Postings,
    /// The changes differ.
    #[error("the changes are not those that the plugin requested")]
    Changes,
    /// The data about a hold is inconsistent.
    #[error("the data about the hold {0} is inconsistent")]
    Hold(HoldId),
    /// The receipt has no holds, and the call has captured one. Servers of earlier versions wrote such receipts.
    #[error("the receipt lacks the hold {0}. Get it again")]
    HoldMissing(HoldId),
}

/// Checks that the postings and changes of a receipt are exactly those that the call requested.
pub fn check_effects(receipt: &Receipt) -> Result<(), EffectsError> {
    let outcome = receipt.outcome;
    if !is_possible(&receipt.call, outcome) {
        return Err(EffectsError::Outcome(outcome));
    }
    let requested = RequestedEffects::of(receipt)?;
    let (postings, changes) = match outcome {
        Outcome::Applied => requested.if_applied(),
        Outcome::Rejected | Outcome::Declined | Outcome::Faulted | Outcome::Broken => {
            requested.if_not_applied()
        }
    };
    if postings != receipt.postings {
        return Err(EffectsError::Postings);
    }
    let recorded = receipt.changes.iter();
    let recorded = recorded.filter(|change| !is_bookkeeping(change));
    if !recorded.eq(&changes) {
        return Err(EffectsError::Changes);
    }
    Ok(())
}

/// Returns true if the ledger can give a call this outcome. It may reject a call that replied; and in an economy that
/// is not open it rejects every call without draws, whatever its ending.
fn is_possible(call: &CallResult, outcome: Outcome) -> bool {
    use Outcome::{Applied, Broken, Declined, Faulted, Rejected};
    match (&call.ending, outcome) {
        (CallEnding::Replied { .. }, Applied | Rejected)
        | (CallEnding::Declined { .. }, Declined)
        | (CallEnding::Faulted { .. }, Faulted)
        | (CallEnding::NotRun(_) | CallEnding::Stopped(_), Rejected)
        | (CallEnding::Broken { .. }, Broken) => true,
        (CallEnding::Declined { .. } | CallEnding::Faulted { .. }, Rejected) => {
            call.origin.is_none()
        }
        (CallEnding::Replied { .. }, Declined | Faulted | Broken)
        | (CallEnding::Declined { .. }, Applied | Faulted | Broken)
        | (CallEnding::Faulted { .. }, Applied | Declined | Broken)
        | (CallEnding::NotRun(_) | CallEnding::Stopped(_), Applied | Declined | Faulted | Broken)
        | (CallEnding::Broken { .. }, Applied | Rejected | Declined | Faulted) => false,
    }
}

/// The effects that a transcript requests, in order.
struct RequestedEffects<'a> {
    receipt: &'a Receipt,
    postings: Vec<Posting>,
    /// The changes of holds.
    changes: Vec<Change>,
    /// The remaining amounts of holds.
    holds: BTreeMap<HoldId, HoldRest<'a>>,
    /// The holds that this call has placed.
    placed: BTreeSet<HoldId>,
    /// The holds of earlier calls that this call has secured.
    secured: BTreeSet<HoldId>,
    writes: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// A hold and its remaining amount at one point of the transcript.
struct HoldRest<'a> {
    reserved: &'a Posting,
    left: u64,
}

impl<'a> HoldRest<'a> {
    fn of(reserved: &'a Posting) -> Self {
        let left = reserved.amount.get();
        Self { reserved, left }
    }
}

impl<'a> RequestedEffects<'a> {
    fn of(receipt: &'a Receipt) -> Result<Self, EffectsError> {
        let holds = receipt.holds.iter();
        let holds = holds.map(|entry| (entry.hold, HoldRest::of(&entry.left)));
        let mut effects = Self {
            receipt,
            postings: Vec::new(),
            changes: Vec::new(),
            holds: holds.collect(),
            placed: BTreeSet::new(),
            secured: BTreeSet::new(),
            writes: BTreeMap::new(),
        };
        let mut exchanges = receipt.call.transcript.exchanges().iter();
        exchanges.try_for_each(|exchange| effects.add(exchange))?;
        Ok(effects)
    }

    /// Adds the effects of one request of the plugin.
    fn add(&mut self, exchange: &'a Exchange) -> Result<(), EffectsError> {
        match (&exchange.request, &exchange.response) {
            (HostRequest::Transfer(posting), HostResponse::Done) => {
                self.postings.push(posting.clone());
            }
            (HostRequest::PlaceHold { rule, posting }, HostResponse::Placed(hold)) => {
                self.place(*hold, rule, posting)?;
            }
            (HostRequest::CaptureHold { hold, amount }, HostResponse::Done) => {
                self.capture(*hold, *amount)?;
            }
            (HostRequest::ReleaseHold { hold }, HostResponse::Done) => self.release(*hold),
            (HostRequest::SecureHold { hold }, HostResponse::Done)
                if !self.placed.contains(hold) =>
            {
                self.secured.insert(*hold);
            }
            (HostRequest::HoldLeft { hold }, HostResponse::Left(Some(amount))) => {
                self.check_left(*hold, *amount)?;
            }
            (HostRequest::Set { key, value }, HostResponse::Done) => {
                self.writes.insert(Arc::clone(key), Some(Arc::clone(value)));
            }
            (HostRequest::Delete { key }, HostResponse::Done) => {
                self.writes.insert(Arc::clone(key), None);
            }
            // Reads and refused requests have no effects.
            (_, _) => {}
        }
        Ok(())
    }

    /// Places a hold. Its id follows from the id of the call, and its lifetime from the rule.
    fn place(&mut self, id: HoldId, rule: &str, posting: &'a Posting) -> Result<(), EffectsError> {
        let inconsistent = EffectsError::Hold(id);
        let call = &self.receipt.call.request;
        let index = u8::try_from(self.placed.len());
        let installed = self.receipt.installation.as_ref();
        let rule = installed.and_then(|installed| installed.holds.get(rule));
        let (Ok(index), Some(rule)) = (index, rule) else {
            return Err(inconsistent);
        };
        let reservation = Reservation::try_from(posting.clone());
        let reservation = reservation.map_err(|_| inconsistent.clone())?;
        if id != call.id.hold(index) {
            return Err(inconsistent);
        }
        let placed = Hold {
            plugin: Some(call.plugin.clone()),
            ..Hold::placed(
                &reservation,
                self.receipt.recorded_at,
                rule.expires_in_s,
                rule.on_expiry,
            )
        };
        let placed = Box::new(placed);
        self.changes.push(Change::HoldPlaced { hold: id, placed });
        self.holds.insert(id, HoldRest::of(posting));
        self.placed.insert(id);
        Ok(())
    }

    fn capture(&mut self, id: HoldId, amount: Option<Amount>) -> Result<(), EffectsError> {
        let Some(hold) = self.holds.get_mut(&id) else {
            // A server that writes holds into receipts writes all of them.
            return Err(if self.receipt.holds.is_empty() {
                EffectsError::HoldMissing(id)
            } else {
                EffectsError::Hold(id)
            });
        };
        let amount = amount.or_else(|| Amount::new(hold.left));
        let amount = amount.ok_or(EffectsError::Hold(id))?;
        let left = hold.left.checked_sub(amount.get());
        hold.left = left.ok_or(EffectsError::Hold(id))?;
        self.postings.push(Posting {
            amount,
            ..hold.reserved.clone()
        });
        self.changes.push(Change::HoldCaptured { hold: id, amount });
        Ok(())
    }

    fn release(&mut self, id: HoldId) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.left = 0;
        }
        self.changes.push(released(id));
    }

    /// Compares the remaining amount that the host has reported to the plugin with that of the receipt.
    fn check_left(&self, id: HoldId, reported: Amount) -> Result<(), EffectsError> {
        match self.holds.get(&id) {
            Some(hold) if hold.left != reported.get() => Err(EffectsError::Hold(id)),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the postings and changes of a call that was applied.
    fn if_applied(mut self) -> (Vec<Posting>, Vec<Change>) {
        let plugin = &self.receipt.call.request.plugin;
        let writes = self.writes.into_iter().map(|(key, value)| {
            let plugin = plugin.clone();
            match value {
                Some(value) => Change::StateSet { plugin, key, value },
                None => Change::StateDeleted { plugin, key },
            }
        });
        self.changes.extend(writes);
        self.changes.extend(draw_use(&self.receipt.call));
        (self.postings, self.changes)
    }

    /// Returns the changes of a call that was not applied: its draws are used up, and if it ended after a draw, the
    /// holds that it had secured are released.
    fn if_not_applied(self) -> (Vec<Posting>, Vec<Change>) {
        let call = &self.receipt.call;
        let mut changes: Vec<Change> = draw_use(call).into_iter().collect();
        if has_ended_after_draw(call) {
            changes.extend(self.secured.into_iter().map(released));
        }
        (Vec::new(), changes)
    }
}

fn released(hold: HoldId) -> Change {
    let end = HoldEnd::Released;
    Change::HoldEnded { hold, end }
}

/// Returns the change for the draws of a call, in this attempt or an earlier one. The draws stay bound to the call for
/// another attempt if it was aborted, or if its schedule still has to run.
fn draw_use(call: &CallResult) -> Option<Change> {
    let bound = match call.ending {
        CallEnding::Broken { .. } => true,
        CallEnding::NotRun(_) => call.request.due.is_some(),
        CallEnding::Replied { .. }
        | CallEnding::Declined { .. }
        | CallEnding::Faulted { .. }
        | CallEnding::Stopped(_) => false,
    };
    let draw_use = DrawUse {
        origin: call.origin.clone()?,
        draws: call.transcript.draws(),
        bound,
    };
    let key = call.request.draw_key();
    Some(Change::Draws(DrawChange::Drew {
        key,
        drew: draw_use,
    }))
}

/// Returns true if the plugin has drawn and then ended by itself.
fn has_ended_after_draw(call: &CallResult) -> bool {
    match call.ending {
        CallEnding::Replied { .. } | CallEnding::Faulted { .. } => call.transcript.draws() > 0,
        CallEnding::Declined { .. }
        | CallEnding::NotRun(_)
        | CallEnding::Stopped(_)
        | CallEnding::Broken { .. } => false,
    }
}

/// Returns true for a change that follows from the state of the books, which a receipt does not have. All other
/// changes are requested by the plugin, or are not made by calls.
fn is_bookkeeping(change: &Change) -> bool {
    match change {
        Change::SupplyMoved { .. }
        | Change::DueMoved { .. }
        | Change::BudgetSpent { .. }
        | Change::Draws(DrawChange::HoldDrew { .. } | DrawChange::DrawBroken { .. }) => true,
        Change::HoldPlaced { .. }
        | Change::HoldCaptured { .. }
        | Change::HoldEnded { .. }
        | Change::StateSet { .. }
        | Change::StateDeleted { .. }
        | Change::EconomyOpened { .. }
        | Change::AssetSet { .. }
        | Change::AccountSet { .. }
        | Change::EconomyStatusSet { .. }
        | Change::QuotasSet { .. }
        | Change::HoldDeferred { .. }
        | Change::HoldExtended { .. }
        | Change::ClockSet { .. }
        | Change::Draws(
            DrawChange::Drew { .. }
            | DrawChange::NoncesBurned { .. }
            | DrawChange::SeedRotated { .. }
            | DrawChange::SeedsRevealed { .. }
            | DrawChange::ClientSeedSet { .. },
        )
        | Change::Reversed { .. }
        | Change::PluginSet { .. }
        | Change::PluginSwitchedOff { .. }
        | Change::PluginRemoved { .. }
        | Change::KeySet { .. }
        | Change::ComponentAdded { .. }
        | Change::WebhookSet { .. }
        | Change::WebhookRemoved { .. }
        | Change::WebhookReplayed { .. } => false,
    }
}
