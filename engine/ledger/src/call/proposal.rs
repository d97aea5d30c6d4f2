//! What a call asks for, in order: postings and what it does with holds, settled like a transfer.

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

/// One thing that a call asks for.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A movement, and what it may use up.
    Post(Posting, Funds),
    /// An amount to reserve.
    Place(HoldId, Box<Hold>),
    /// Some of a hold, to be moved where it was meant to go, and whether nothing is left of it then.
    Capture(HoldId, Posting, bool),
    /// What is left of a hold, to be given back.
    Release(HoldId, Arc<Hold>),
}

impl Step {
    /// What has to be there and open for it. A hold can always be given back.
    fn posting(&self) -> Option<&Posting> {
        match self {
            Self::Post(posting, _) | Self::Capture(_, posting, _) => Some(posting),
            Self::Place(_, hold) => Some(hold.reservation.posting()),
            Self::Release(..) => None,
        }
    }
}

/// What comes of some steps: movements, and other changes.
pub(crate) type Settlement = (Vec<Movement>, Vec<Change>);

/// The balances for which a call needs room of the quota.
#[derive(Clone, Debug)]
pub(crate) enum Growth<'a> {
    /// Those that its steps make, and those that may follow a draw.
    Metered(Vec<(&'a AccountId, &'a AssetId)>),
    /// None: the call has drawn, and had its room before.
    HadRoom,
}

/// Climbs the rungs of money with each step, in the order in which they were asked for.
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
                // A place that this call has freed it may take again, also where there are too many.
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

/// What is left of a hold when some of it is gone; none if nothing is.
pub(crate) fn left_of(hold: &Hold, gone: Amount) -> Option<Arc<Hold>> {
    let left = hold.remaining.get().checked_sub(gone.get());
    let remaining = left.and_then(Amount::new)?;
    Some(Arc::new(Hold {
        remaining,
        ..hold.clone()
    }))
}
