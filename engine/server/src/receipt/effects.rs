//! What a call asked for, told by its transcript, held against what its receipt says has come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bursar_ledger::{
    Amount, CallEnding, CallResult, Change, DrawChange, DrawUse, Exchange, Hold, HoldEnd, HoldId,
    HostRequest, HostResponse, Posting, Reservation,
};
use bursar_storage::Outcome;

use super::Receipt;

/// Why it is not known that what has come of a call is what it asked for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EffectsError {
    /// The ledger never makes this of a call that ended like this.
    #[error("a call that ended like this is never `{}`", .0.as_str())]
    Outcome(Outcome),
    /// Something else moved.
    #[error("other postings than it asked for")]
    Postings,
    /// Something else changed.
    #[error("other changes than it asked for")]
    Changes,
    /// What is said of a hold contradicts itself.
    #[error("what it says of the hold {0} does not fit together")]
    Hold(HoldId),
    /// The receipt tells of no holds, and the call has captured one: it was read from a server that did not
    /// tell yet, or they were taken out.
    #[error("the receipt does not say what was held as {0}. Ask for it again")]
    HoldNotTold(HoldId),
}

/// Whether what moved and changed is what the call asked for, no less and no more.
pub(super) fn check(receipt: &Receipt) -> Result<(), EffectsError> {
    let outcome = receipt.outcome;
    if !can_come_of(&receipt.call, outcome) {
        return Err(EffectsError::Outcome(outcome));
    }
    let asked = Asked::of(receipt)?;
    let (postings, changes) = match outcome {
        Outcome::Applied => asked.applied(),
        Outcome::Rejected | Outcome::Declined | Outcome::Faulted | Outcome::Broken => asked.void(),
    };
    if postings != receipt.postings {
        return Err(EffectsError::Postings);
    }
    let made = receipt.changes.iter().filter(|change| !is_counted(change));
    if !made.eq(&changes) {
        return Err(EffectsError::Changes);
    }
    Ok(())
}

/// Whether the ledger can make this of a call. What was replied may still be refused; and an economy
/// that is not open any more refuses whatever has not drawn, however it ended.
fn can_come_of(call: &CallResult, outcome: Outcome) -> bool {
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

/// What a transcript asks for, in order.
struct Asked<'a> {
    receipt: &'a Receipt,
    postings: Vec<Posting>,
    /// What becomes of holds.
    changes: Vec<Change>,
    /// Holds as the call leaves them.
    holds: BTreeMap<HoldId, Held<'a>>,
    /// Those that it has placed itself.
    placed: BTreeSet<HoldId>,
    /// Those of earlier calls that it has secured.
    secured: BTreeSet<HoldId>,
    writes: BTreeMap<Arc<str>, Option<Arc<str>>>,
}

/// A hold while the call goes on.
struct Held<'a> {
    reserved: &'a Posting,
    left: u64,
}

impl<'a> Held<'a> {
    fn of(reserved: &'a Posting) -> Self {
        let left = reserved.amount.get();
        Self { reserved, left }
    }
}

impl<'a> Asked<'a> {
    fn of(receipt: &'a Receipt) -> Result<Self, EffectsError> {
        let before = receipt.holds.iter();
        let before = before.map(|before| (before.hold, Held::of(&before.left)));
        let mut asked = Self {
            receipt,
            postings: Vec::new(),
            changes: Vec::new(),
            holds: before.collect(),
            placed: BTreeSet::new(),
            secured: BTreeSet::new(),
            writes: BTreeMap::new(),
        };
        let mut facts = receipt.call.transcript.exchanges().iter();
        facts.try_for_each(|fact| asked.take(fact))?;
        Ok(asked)
    }

    fn take(&mut self, fact: &'a Exchange) -> Result<(), EffectsError> {
        match (&fact.request, &fact.response) {
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
            (HostRequest::HoldLeft { hold }, HostResponse::Left(Some(told))) => {
                self.check_left(*hold, *told)?;
            }
            (HostRequest::Set { key, value }, HostResponse::Done) => {
                self.writes.insert(Arc::clone(key), Some(Arc::clone(value)));
            }
            (HostRequest::Delete { key }, HostResponse::Done) => {
                self.writes.insert(Arc::clone(key), None);
            }
            // What was only asked about, and what was refused.
            (_, _) => {}
        }
        Ok(())
    }

    /// A hold is placed under an id that follows from the call's, for as long as its rule says.
    fn place(&mut self, id: HoldId, rule: &str, posting: &'a Posting) -> Result<(), EffectsError> {
        let wrong = EffectsError::Hold(id);
        let call = &self.receipt.call.request;
        let index = u8::try_from(self.placed.len());
        let installed = self.receipt.installation.as_ref();
        let rule = installed.and_then(|installed| installed.holds.get(rule));
        let (Ok(index), Some(rule)) = (index, rule) else {
            return Err(wrong);
        };
        let reservation = Reservation::try_from(posting.clone());
        let reservation = reservation.map_err(|_| wrong.clone())?;
        if id != call.id.hold(index) {
            return Err(wrong);
        }
        let (at, expires_in_s) = (self.receipt.recorded_at, rule.expires_in_s);
        let placed = Hold {
            plugin: Some(call.plugin.clone()),
            ..Hold::placed(&reservation, at, expires_in_s, rule.on_expiry)
        };
        let placed = Box::new(placed);
        self.changes.push(Change::HoldPlaced { hold: id, placed });
        self.holds.insert(id, Held::of(posting));
        self.placed.insert(id);
        Ok(())
    }

    fn capture(&mut self, id: HoldId, amount: Option<Amount>) -> Result<(), EffectsError> {
        let Some(held) = self.holds.get_mut(&id) else {
            // Who tells of holds tells of all.
            return Err(if self.receipt.holds.is_empty() {
                EffectsError::HoldNotTold(id)
            } else {
                EffectsError::Hold(id)
            });
        };
        let amount = amount.or_else(|| Amount::new(held.left));
        let amount = amount.ok_or(EffectsError::Hold(id))?;
        let left = held.left.checked_sub(amount.get());
        held.left = left.ok_or(EffectsError::Hold(id))?;
        self.postings.push(Posting {
            amount,
            ..held.reserved.clone()
        });
        self.changes.push(Change::HoldCaptured { hold: id, amount });
        Ok(())
    }

    fn release(&mut self, id: HoldId) {
        if let Some(held) = self.holds.get_mut(&id) {
            held.left = 0;
        }
        self.changes.push(released(id));
    }

    /// What the plugin was told of a hold is what the receipt says of it.
    fn check_left(&self, id: HoldId, told: Amount) -> Result<(), EffectsError> {
        match self.holds.get(&id) {
            Some(held) if held.left != told.get() => Err(EffectsError::Hold(id)),
            Some(_) | None => Ok(()),
        }
    }

    /// What happens if the ledger agrees.
    fn applied(mut self) -> (Vec<Posting>, Vec<Change>) {
        let plugin = &self.receipt.call.request.plugin;
        let written = self.writes.into_iter().map(|(key, value)| {
            let plugin = plugin.clone();
            match value {
                Some(value) => Change::StateSet { plugin, key, value },
                None => Change::StateDeleted { plugin, key },
            }
        });
        self.changes.extend(written);
        self.changes.extend(drew(&self.receipt.call));
        (self.postings, self.changes)
    }

    /// What happens if nothing of it does: what was drawn is used up, and a round that broke off after its
    /// draw gives the stakes back that it had secured.
    fn void(self) -> (Vec<Posting>, Vec<Change>) {
        let call = &self.receipt.call;
        let mut changes: Vec<Change> = drew(call).into_iter().collect();
        if has_played(call) {
            changes.extend(self.secured.into_iter().map(released));
        }
        (Vec::new(), changes)
    }
}

fn released(hold: HoldId) -> Change {
    let end = HoldEnd::Released;
    Change::HoldEnded { hold, end }
}

/// What is used up by a call that has drawn, in this try or an earlier one. It is kept for another try if
/// this one did not come to an end, or waits until it can run.
fn drew(call: &CallResult) -> Option<Change> {
    let bound = match call.ending {
        CallEnding::Broken { .. } => true,
        CallEnding::NotRun(_) => call.request.due.is_some(),
        CallEnding::Replied { .. }
        | CallEnding::Declined { .. }
        | CallEnding::Faulted { .. }
        | CallEnding::Stopped(_) => false,
    };
    let drew = DrawUse {
        origin: call.origin.clone()?,
        draws: call.transcript.draws(),
        bound,
    };
    let key = call.request.draw_key();
    Some(Change::Draws(DrawChange::Drew { key, drew }))
}

/// Whether the plugin has drawn and come to an end of its own.
fn has_played(call: &CallResult) -> bool {
    match call.ending {
        CallEnding::Replied { .. } | CallEnding::Faulted { .. } => call.transcript.draws() > 0,
        CallEnding::Declined { .. }
        | CallEnding::NotRun(_)
        | CallEnding::Stopped(_)
        | CallEnding::Broken { .. } => false,
    }
}

/// Whether a change is how the books count what happens, so that it takes the books to make it again. Any
/// other one is asked for, or no call's at all.
fn is_counted(change: &Change) -> bool {
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
