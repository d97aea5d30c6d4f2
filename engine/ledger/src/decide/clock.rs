//! Time that was not what it seemed: a clock that was wrong, and time in which nobody was served.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::HoldId;
use crate::time::Timestamp;

use super::verdict::Verdict;

/// Nothing refuses it: whoever runs the server knows what time it is.
pub(super) fn set(from: Timestamp, to: Timestamp) -> Verdict {
    if from == to {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(Change::ClockSet { from, to }, false))
}

/// Nobody could play on while the server was down. A hold that was placed since, or was given back a part
/// of the outage before, gets the rest. One of no plugin keeps its time, and so does one that has ended.
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
