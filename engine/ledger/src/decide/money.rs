//! Decisions on transfers, batches, issues and burns.

use std::collections::BTreeMap;

use crate::act::{Authority, BatchRequest, IssueRequest, TransferRequest};
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::{AccountId, AccountKind, PluginName};
use crate::key::limits::TransferCap;
use crate::movement::Posting;
use crate::rejection::Rejection;

use super::verdict::Verdict;
use crate::working_balances::{Funds, WorkingBalances, accounts};

pub(super) fn transfer(books: &Books, request: &TransferRequest) -> Result<Verdict, Rejection> {
    let postings = request.postings.as_slice();
    check_authority(postings, request.authority)?;
    check_cap(request.cap.as_ref(), postings)?;
    post_all(books, postings, Funds::Spendable, Vec::new(), None)
}

/// Decides an atomic batch. Each transfer is checked against the balances that the transfers before it
/// leave. The cap of the API key applies to all of them together, because the batch is one request.
pub(super) fn batch(books: &Books, request: &BatchRequest) -> Result<Verdict, Rejection> {
    let mut balances = WorkingBalances::new(books);
    let mut movements = Vec::new();
    let mut moved = BTreeMap::new();
    let transfers = request.transfers.as_slice().iter();
    for (part, (index, transfer)) in (0..).zip(transfers.enumerate()) {
        let postings = transfer.postings.as_slice();
        let mut post = || {
            check_authority(postings, transfer.authority)?;
            if let Some(cap) = &request.cap {
                cap.check_more(&mut moved, postings)?;
            }
            balances.check_accounts(postings, Funds::Spendable)?;
            balances.post_all(postings, part, Funds::Spendable)
        };
        let posted = post().map_err(|rejection| Rejection::InBatch {
            index,
            rejection: Box::new(rejection),
        })?;
        movements.extend(posted);
    }
    // Nothing can fail from here on.
    Ok(Verdict::Applied(Decision::new(movements, Vec::new(), true)))
}

/// Checks that no posting names an issuer, and that only an admin debits plugins' accounts.
pub(super) fn check_authority(postings: &[Posting], authority: Authority) -> Result<(), Rejection> {
    if let Some(issuer) = accounts(postings).find(|account| account.is_issuer()) {
        return Err(Rejection::IssuerAccount {
            account: issuer.clone(),
        });
    }
    let mut sources = postings.iter().map(|posting| &posting.source);
    let of_plugin = |source: &&AccountId| matches!(source.kind(), AccountKind::Plugin(_));
    match (sources.find(of_plugin), authority) {
        (Some(account), Authority::Bot) => Err(Rejection::PluginAccount {
            account: account.clone(),
        }),
        (Some(_), Authority::Admin) | (None, Authority::Bot | Authority::Admin) => Ok(()),
    }
}

/// Checks the postings of one request against the cap of its API key.
pub(super) fn check_cap(cap: Option<&TransferCap>, postings: &[Posting]) -> Result<(), Rejection> {
    cap.map_or(Ok(()), |cap| cap.check(postings))
}

pub(super) fn issue(books: &Books, request: &IssueRequest) -> Result<Verdict, Rejection> {
    let source = AccountId::issuer(&request.asset);
    post_one(books, request, source, request.account.clone())
}

pub(super) fn burn(books: &Books, request: &IssueRequest) -> Result<Verdict, Rejection> {
    let destination = AccountId::issuer(&request.asset);
    post_one(books, request, request.account.clone(), destination)
}

fn post_one(
    books: &Books,
    request: &IssueRequest,
    source: AccountId,
    destination: AccountId,
) -> Result<Verdict, Rejection> {
    if request.account.is_issuer() {
        return Err(Rejection::IssuerAccount {
            account: request.account.clone(),
        });
    }
    let postings = [Posting {
        source,
        destination,
        asset: request.asset.clone(),
        amount: request.amount,
    }];
    check_cap(request.cap.as_ref(), &postings)?;
    post_all(books, &postings, Funds::Spendable, Vec::new(), None)
}

/// Decides postings in their order, after all checks of assets, accounts and money. Issued and burned
/// amounts are recorded as caused by `plugin`.
pub(super) fn post_all(
    books: &Books,
    postings: &[Posting],
    funds: Funds,
    mut changes: Vec<Change>,
    plugin: Option<&PluginName>,
) -> Result<Verdict, Rejection> {
    let mut balances = WorkingBalances::new(books);
    balances.check_accounts(postings, funds)?;
    let movements = balances.post_all(postings, 0, funds)?;
    // Nothing can fail from here on.
    changes.extend(balances.supply_moved(plugin));
    Ok(Verdict::Applied(Decision::new(movements, changes, true)))
}
