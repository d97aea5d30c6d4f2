//! Decisions on reversals. A reversal is a new transfer; the original stays in the history.

use crate::act::{Authority, ReversalRequest};
use crate::books::Books;
use crate::decision::Change;
use crate::economy::Reversal;
use crate::quota::Quota;
use crate::rejection::Rejection;

use super::money::{check_authority, check_cap, post_all};
use super::verdict::Verdict;
use crate::working_balances::Funds;

pub(super) fn reverse(books: &Books, request: &ReversalRequest) -> Result<Verdict, Rejection> {
    let postings = request.postings.as_slice();
    match request.authority {
        // An admin may also take back what an issuer has paid or a plugin has received.
        Authority::Admin => {}
        Authority::Bot => check_authority(postings, Authority::Bot)?,
    }
    check_cap(request.cap.as_ref(), postings)?;
    let transfer = request.original;
    match books.reversal(transfer) {
        None => {}
        Some(Reversal::By(by)) => return Err(Rejection::AlreadyReversed { transfer, by }),
        Some(Reversal::Of(of)) => return Err(Rejection::ReversalFinal { transfer, of }),
    }
    let present = books.reversals.len() / 2;
    books.check_more(Quota::Reversals, present, 1)?;
    let funds = match request.force {
        Some(_) => Funds::Forced,
        None => Funds::Spendable,
    };
    let reversed = Change::Reversed {
        original: transfer,
        reversal: request.id,
    };
    post_all(books, postings, funds, vec![reversed], None)
}
