//! Decisions on the clock of the books, and on outages of the server.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::HoldId;
use crate::time::Timestamp;

use super::verdict::Verdict;

/// Decides a new time for the books. It is never rejected: the operator knows the correct time.
pub(super) fn set(from: Timestamp, to: Timestamp) -> Verdict {
    if from == to {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(Change::ClockSet { from, to }, false))
}

/// Decides extensions of holds by an outage, in which no one could play on. A hold that was placed during
/// the outage, or has been extended by a part of it, gets the rest. Holds without a plugin and ended holds
/// are left out.
pub(super) fn extend(
    books: &Books,
    holds: &[HoldId],
    from: Timestamp,
    until: Timestamp,
) -> Verdict {
    let extended = |id: &HoldId| {
        let hold = books.hold(*id).filter(|hold| hold.plugin.is_some())?;
        let begins = from
            .max(hold.placed_at)
            .max(hold.outage_until.unwrap_or_default());
        let longer = |moment: Timestamp| moment.moved(begins, until);
        (begins < until).then(|| Change::HoldExtended {
            hold: *id,
            expires_at: longer(hold.expires_at),
            due_at: longer(hold.due_at),
            outage_until: until,
        })
    };
    let changes: Vec<Change> = holds.iter().filter_map(extended).collect();
    if changes.is_empty() {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::new(Vec::new(), changes, false))
}
