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
use crate::working_balances::{Funds, WorkingBalances, check_accounts};

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
pub(crate) enum NewBalances<'a> {
    /// The balances that the steps create, and those that payments after a draw may create.
    Checked(Vec<(&'a AccountId, &'a AssetId)>),
    /// No balances: the call has drawn, and they were checked before the first draw.
    Exempt,
}

/// Checks and posts the steps in their order.
pub(crate) fn settle(
    books: &Books,
    steps: &[Step],
    plugin: &PluginName,
    new_balances: &NewBalances<'_>,
) -> Result<Settlement, Rejection> {
    let named: Vec<Posting> = steps.iter().filter_map(Step::posting).cloned().collect();
    check_accounts(books, &named, Funds::Spendable)?;
    let mut balances = match new_balances {
        NewBalances::Checked(_) => WorkingBalances::new(books),
        NewBalances::Exempt => WorkingBalances::without_quota(books),
    };
    let mut movements = Vec::new();
    let mut changes = Vec::new();
    let mut open = books.holds_open();
    for step in steps {
        match step {
            Step::Post(posting, funds) => movements.push(balances.post(posting, 0, *funds)?),
            Step::Capture(hold, posting, ends) => {
                movements.push(balances.capture(posting)?);
                open = open.saturating_sub(usize::from(*ends));
                let hold = *hold;
                let amount = posting.amount;
                changes.push(Change::HoldCaptured { hold, amount });
            }
            Step::Place(hold, placed) => {
                // A call may place as many holds as it has ended, even if the economy is above its quota.
                if open >= books.holds_open() {
                    books.check_more(Quota::Holds, open, 1)?;
                }
                open = open.saturating_add(1);
                balances.reserve(placed.reservation.posting())?;
                let hold = *hold;
                let placed = placed.clone();
                changes.push(Change::HoldPlaced { hold, placed });
            }
            Step::Release(id, released) => {
                balances.release(released.reservation.posting(), released.remaining);
                open = open.saturating_sub(1);
                let hold = *id;
                let end = HoldEnd::Released;
                changes.push(Change::HoldEnded { hold, end });
            }
        }
    }
    if let NewBalances::Checked(expected) = new_balances {
        for (account, asset) in expected {
            balances.open_balance(account, asset)?;
        }
    }
    changes.extend(balances.supply_moved(Some(plugin)));
    Ok((movements, changes))
}

/// Returns a hold after a capture of an amount; none if nothing is left.
pub(crate) fn remaining_hold(hold: &Hold, captured: Amount) -> Option<Arc<Hold>> {
    let left = hold.remaining.get().checked_sub(captured.get());
    let remaining = left.and_then(Amount::new)?;
    Some(Arc::new(Hold {
        remaining,
        ..hold.clone()
    }))
}
