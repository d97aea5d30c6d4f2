//! Open holds of an economy: reads, and changes.

use std::sync::Arc;

use super::{ApplyError, Books};
use crate::amount::{Amount, Limit};
use crate::balances::Balance;
use crate::hold::{Hold, Reservation};
use crate::id::{AccountId, HoldId};
use crate::time::Timestamp;

impl Books {
    /// Returns an open hold.
    pub fn hold(&self, hold: HoldId) -> Option<&Arc<Hold>> {
        self.holds.holds.get(&hold)
    }

    /// Returns the number of open holds.
    pub fn holds_open(&self) -> usize {
        self.holds.holds.len()
    }

    /// Returns the open holds whose ids are above `after`, in the order of their ids. With a `source`, returns only
    /// the holds of this account.
    pub fn holds_after<'a>(
        &'a self,
        source: Option<&'a AccountId>,
        after: Option<HoldId>,
    ) -> Box<dyn Iterator<Item = (HoldId, &'a Arc<Hold>)> + 'a> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        match source {
            None => {
                let from = after.map_or(Unbounded, Excluded);
                let holds = self.holds.holds.range((from, Unbounded));
                Box::new(holds.map(|(id, hold)| (*id, hold)))
            }
            Some(source) => {
                let from = match after {
                    Some(after) => Excluded((source.clone(), after)),
                    None => Included((source.clone(), HoldId::MIN)),
                };
                let placed = self.holds.by_source.range((from, Unbounded));
                let placed = placed.take_while(move |(account, _)| account == source);
                Box::new(placed.filter_map(|(_, id)| Some((*id, self.hold(*id)?))))
            }
        }
    }

    /// Returns the holds that are due at a moment, earliest first.
    pub fn holds_due(&self, at: Timestamp) -> impl Iterator<Item = HoldId> + '_ {
        // Ordered by time and then by id, so that every machine ends due holds in the same order.
        let due = self.holds.by_due.iter();
        due.take_while(move |(due_at, _)| *due_at <= at)
            .map(|(_, id)| *id)
    }

    /// Returns the hold that becomes due next, with its due time.
    pub fn first_due(&self) -> Option<(Timestamp, HoldId)> {
        self.holds.by_due.get_min().copied()
    }

    /// Returns the time at which the next hold becomes due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.holds.by_due.get_min().map(|(due_at, _)| *due_at)
    }

    /// Restores a hold from a checkpoint. Returns false if it exists already.
    pub(crate) fn restore_hold(&mut self, id: HoldId, hold: Arc<Hold>) -> bool {
        self.holds.insert(id, hold)
    }

    pub(super) fn place_hold(&mut self, id: HoldId, hold: Hold) -> Result<(), ApplyError> {
        if self.hold(id).is_some() {
            return Err(ApplyError::Hold { hold: id });
        }
        self.reserve(id, &hold.reservation, |held| {
            held.checked_add(hold.remaining.get())
        })?;
        // The destination's balance is created now, so that no capture can be rejected by the quota of
        // balances.
        let posting = hold.reservation.posting();
        self.change_balance(&posting.destination, &posting.asset, Some)
            .ok_or(ApplyError::Hold { hold: id })?;
        self.holds.insert(id, Arc::new(hold));
        Ok(())
    }

    /// Reduces a hold by an amount, or ends it.
    pub(super) fn reduce_hold(&mut self, id: HoldId, by: Option<Amount>) -> Result<(), ApplyError> {
        let mismatch = || ApplyError::Hold { hold: id };
        let hold = self.holds.remove(id).ok_or_else(mismatch)?;
        let by = by.unwrap_or(hold.remaining);
        let left = hold.remaining.get().checked_sub(by.get());
        let left = left.ok_or_else(mismatch)?;
        self.reserve(id, &hold.reservation, |held| held.checked_sub(by.get()))?;
        if let Some(remaining) = Amount::new(left) {
            self.holds.insert(id, Arc::new(Hold { remaining, ..hold }));
        }
        Ok(())
    }

    pub(super) fn defer_hold(&mut self, id: HoldId, due_at: Timestamp) -> Result<(), ApplyError> {
        let hold = self.holds.remove(id).ok_or(ApplyError::Hold { hold: id })?;
        self.holds.insert(id, Arc::new(Hold { due_at, ..hold }));
        Ok(())
    }

    pub(super) fn extend_hold(
        &mut self,
        id: HoldId,
        expires_at: Timestamp,
        due_at: Timestamp,
        outage_until: Timestamp,
    ) -> Result<(), ApplyError> {
        let hold = self.holds.remove(id).ok_or(ApplyError::Hold { hold: id })?;
        let extended = Hold {
            expires_at,
            due_at,
            outage_until: Some(outage_until),
            ..hold
        };
        self.holds.insert(id, Arc::new(extended));
        Ok(())
    }

    /// Records the server seed that the game of a hold has drawn from. The lowest one counts, because it is
    /// revealed first.
    pub(super) fn mark_hold(&mut self, id: HoldId, seed: u64) -> Result<(), ApplyError> {
        let hold = self.holds.remove(id).ok_or(ApplyError::Hold { hold: id })?;
        let seed = Some(hold.seed.map_or(seed, |first| first.min(seed)));
        self.holds.insert(id, Arc::new(Hold { seed, ..hold }));
        Ok(())
    }

    /// Changes the reserved amount of a hold's source.
    fn reserve(
        &mut self,
        id: HoldId,
        reservation: &Reservation,
        change: impl FnOnce(u64) -> Option<u64>,
    ) -> Result<(), ApplyError> {
        let posting = reservation.posting();
        let reserved = |balance: Balance| {
            let held = change(balance.held.get()).and_then(Limit::new)?;
            Some(Balance { held, ..balance })
        };
        self.change_balance(&posting.source, &posting.asset, reserved)
            .ok_or(ApplyError::Hold { hold: id })
    }
}
