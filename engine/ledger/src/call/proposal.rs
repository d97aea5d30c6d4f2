//! The steps that a call requests, and their settlement by the rules for transfers.

use std::sync::Arc;

use crate::amount::Amount;
use crate::books::Books;
use crate::decision::Change;
use crate::hold::{Hold, HoldEnd};
use crate::id::{AccountId, AssetId, HoldId, PluginName};
use crate::movement::{Movement, Posting};
use crate::quota::Quota;
use crate::rejection::Rejection;
use crate::working_balances::{Funds, WorkingBalances, check_places};

/// A step that a call requests.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A movement, and the funds that it may use.
    Post(Posting, Funds),
    /// A new hold.
    Place(HoldId, Box<Hold>),
    /// A capture of a hold, and whether nothing is left of the hold after it.
    Capture(HoldId, Posting, bool),
    /// A release of what is left of a hold.
    Release(HoldId, Arc<Hold>),
}

impl Step {
    /// Returns the posting whose accounts must exist and be open. A release has none: it is always
    /// possible.
    fn posting(&self) -> Option<&Posting> {
        match self {
            Self::Post(posting, _) | Self::Capture(_, posting, _) => Some(posting),
            Self::Place(_, hold) => Some(hold.reservation.posting()),
            Self::Release(..) => None,
        }
    }
}

/// The effects of some steps: movements, and other changes.
pub(crate) type Settlement = (Vec<Movement>, Vec<Change>);

/// The new balances of a call that are checked against the quota.
#[derive(Clone, Debug)]
pub(crate) enum Growth<'a> {
    /// The balances that the steps create, and those that payments after a draw may create.
    Metered(Vec<(&'a AccountId, &'a AssetId)>),
    /// No balances: the call has drawn, and they were checked before the first draw.
    HadRoom,
}

/// Checks and posts the steps in their order.
pub(crate) fn settle(
    books: &Books,
    steps: &[Step],
    plugin: &PluginName,
    growth: &Growth<'_>,
) -> Result<Settlement, Rejection> {
    let named: Vec<Posting> = steps.iter().filter_map(Step::posting).cloned().collect();
    check_places(books, &named, Funds::Spendable)?;
    let mut scratch = match growth {
        Growth::Metered(_) => WorkingBalances::new(books),
        Growth::HadRoom => WorkingBalances::unmetered(books),
    };
    let (mut movements, mut changes) = (Vec::new(), Vec::new());
    let mut open = books.holds_open();
    for step in steps {
        match step {
            Step::Post(posting, funds) => movements.push(scratch.post(posting, 0, *funds)?),
            Step::Capture(hold, posting, ends) => {
                movements.push(scratch.capture(posting)?);
                open = open.saturating_sub(usize::from(*ends));
                let (hold, amount) = (*hold, posting.amount);
                changes.push(Change::HoldCaptured { hold, amount });
            }
            Step::Place(hold, placed) => {
                // A call may place as many holds as it has ended, even if the economy is above its quota.
                if open >= books.holds_open() {
                    books.check_more(Quota::Holds, open, 1)?;
                }
                open = open.saturating_add(1);
                scratch.reserve(placed.reservation.posting())?;
                let (hold, placed) = (*hold, placed.clone());
                changes.push(Change::HoldPlaced { hold, placed });
            }
            Step::Release(id, released) => {
                scratch.give_back(released.reservation.posting(), released.remaining);
                open = open.saturating_sub(1);
                let (hold, end) = (*id, HoldEnd::Released);
                changes.push(Change::HoldEnded { hold, end });
            }
        }
    }
    if let Growth::Metered(expected) = growth {
        for (account, asset) in expected {
            scratch.open_balance(account, asset)?;
        }
    }
    changes.extend(scratch.supply_moved(Some(plugin)));
    Ok((movements, changes))
}

/// Returns a hold after a capture of an amount; none if nothing is left.
pub(crate) fn left_of(hold: &Hold, gone: Amount) -> Option<Arc<Hold>> {
    let left = hold.remaining.get().checked_sub(gone.get());
    let remaining = left.and_then(Amount::new)?;
    Some(Arc::new(Hold {
        remaining,
        ..hold.clone()
    }))
}
