//! What moves money: transfers, issue and burn, and the rungs that everyone climbs.

use crate::act::{Authority, IssueRequest, TransferRequest};
use crate::amount::Limit;
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::{AccountId, AccountKind, AssetId};
use crate::key_limits::TransferCap;
use crate::movement::{Movement, Posting};
use crate::rejection::Rejection;

use super::Verdict;

pub(super) fn transfer(books: &Books, request: &TransferRequest) -> Result<Verdict, Rejection> {
    let postings = request.postings.as_slice();
    check_authority(postings, request.authority)?;
    check_cap(request.cap.as_ref(), postings)?;
    post_all(books, postings, Vec::new())
}

fn accounts(postings: &[Posting]) -> impl Iterator<Item = &AccountId> {
    let both = |posting| {
        let Posting {
            source,
            destination,
            ..
        }: &Posting = posting;
        [source, destination]
    };
    postings.iter().flat_map(both)
}

/// Transfers never name an issuer, and debit a plugin's account only for an admin.
fn check_authority(postings: &[Posting], authority: Authority) -> Result<(), Rejection> {
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

/// A key moves at most so much in one request.
fn check_cap(cap: Option<&TransferCap>, postings: &[Posting]) -> Result<(), Rejection> {
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
    let (asset, amount) = (request.asset.clone(), request.amount);
    let postings = [Posting {
        source,
        destination,
        asset,
        amount,
    }];
    check_cap(request.cap.as_ref(), &postings)?;
    post_all(books, &postings, Vec::new())
}

/// The money rungs, the same for everyone: assets, accounts, then each posting in the order given.
pub(super) fn post_all(
    books: &Books,
    postings: &[Posting],
    changes: Vec<Change>,
) -> Result<Verdict, Rejection> {
    for posting in postings {
        if books.asset(&posting.asset).is_none() {
            return Err(Rejection::AssetNotFound {
                asset: posting.asset.clone(),
            });
        }
    }
    for account in accounts(postings) {
        if books.account(account).is_none() {
            return Err(Rejection::AccountNotFound {
                account: account.clone(),
            });
        }
    }
    for account in accounts(postings) {
        books
            .account(account)
            .map_or(Ok(()), |found| found.check_open(account))?;
    }
    let mut scratch = Scratch {
        books,
        posted: Vec::new(),
    };
    let movements = postings
        .iter()
        .map(|posting| scratch.post(posting))
        .collect::<Result<Vec<_>, _>>()?;
    // From here on nothing may fail.
    Ok(Verdict::Applied(Decision::new(movements, changes, true)))
}

/// Balances as they are after the postings so far.
struct Scratch<'a> {
    books: &'a Books,
    posted: Vec<(AccountId, AssetId, i64)>,
}

impl Scratch<'_> {
    fn post(&mut self, posting: &Posting) -> Result<Movement, Rejection> {
        let source_after = self.debit(posting)?;
        let destination_after = self.credit(posting)?;
        self.set(&posting.source, &posting.asset, source_after);
        self.set(&posting.destination, &posting.asset, destination_after);
        Ok(Movement {
            posting: posting.clone(),
            source_after,
            destination_after,
        })
    }

    fn posted(&self, account: &AccountId, asset: &AssetId) -> i64 {
        let touched = self
            .posted
            .iter()
            .find(|(a, s, _)| a == account && s == asset);
        touched.map_or_else(
            || {
                self.books
                    .account(account)
                    .map_or(0, |found| found.balance(asset).posted)
            },
            |(_, _, posted)| *posted,
        )
    }

    fn set(&mut self, account: &AccountId, asset: &AssetId, after: i64) {
        match self
            .posted
            .iter_mut()
            .find(|(a, s, _)| a == account && s == asset)
        {
            Some((_, _, posted)) => *posted = after,
            None => self.posted.push((account.clone(), asset.clone(), after)),
        }
    }

    fn debit(&self, posting: &Posting) -> Result<i64, Rejection> {
        let Posting {
            source,
            asset,
            amount,
            ..
        } = posting;
        let before = self.posted(source, asset);
        let after = before.saturating_sub(amount.signed());
        if source.is_issuer() {
            let max_supply = self
                .books
                .asset(asset)
                .map_or(Limit::MAX, |a| a.supply_limit());
            let supply = before.saturating_neg();
            if after < max_supply.signed().saturating_neg() {
                let (asset, amount) = (asset.clone(), *amount);
                return Err(Rejection::SupplyLimit {
                    asset,
                    max_supply,
                    supply,
                    amount,
                });
            }
            return Ok(after);
        }
        let account = self
            .books
            .account(source)
            .expect("accounts were found a rung above");
        let delta = before.saturating_sub(account.balance(asset).posted);
        let available = account.spendable_after(asset, delta);
        if amount.get() > available {
            return Err(Rejection::InsufficientFunds {
                account: source.clone(),
                asset: asset.clone(),
                available,
                required: *amount,
            });
        }
        Ok(after)
    }

    fn credit(&self, posting: &Posting) -> Result<i64, Rejection> {
        let Posting {
            destination,
            asset,
            amount,
            ..
        } = posting;
        let posted = self.posted(destination, asset);
        let after = posted.saturating_add(amount.signed());
        // An issuer takes back at most what it has given.
        let ceiling = if destination.is_issuer() {
            Limit::ZERO
        } else {
            self.books
                .account(destination)
                .map_or(Limit::MAX, |account| account.ceiling())
        };
        if after > ceiling.signed() {
            return Err(Rejection::CeilingExceeded {
                account: destination.clone(),
                asset: asset.clone(),
                ceiling,
                posted,
                amount: *amount,
            });
        }
        Ok(after)
    }
}
