//! Decisions on accounts: status, limits per asset, metadata.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, AccountPatch, AccountStatus};
use crate::account_limits::{LimitsChange, LimitsPatch};
use crate::amount::{Amount, Limit};
use crate::asset::{Asset, CurrencyId};
use crate::balances::Balance;
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::{AccountId, AccountKind, AssetId};
use crate::key::definition::CallerAdmission;
use crate::limits::ACCOUNT_LIMITS_MAX;
use crate::patch::Patch;
use crate::quota::Quota;
use crate::rejection::Rejection;

use super::settings::document;
use super::verdict::Verdict;

pub(super) fn set_account(
    books: &Books,
    account: &AccountId,
    patch: &AccountPatch,
    admission: Option<&CallerAdmission>,
) -> Result<Verdict, Rejection> {
    match account.kind() {
        AccountKind::Open => {}
        AccountKind::Issuer | AccountKind::Plugin(_) => {
            return Err(Rejection::ReservedAccount {
                account: account.clone(),
            });
        }
    }
    let found = books.account(account);
    if let Some(admission) = admission {
        check_admission(admission, account, found.is_some(), patch)?;
    }
    let new = Account::default();
    let present = found.unwrap_or(&new);
    let status = patch.status.unwrap_or(present.status);
    let limits = LimitsChange {
        credit_limit: credit_limits(books, present, &patch.credit_limit)?,
        ceiling: ceilings(books, present, &patch.ceiling)?,
    };
    if status == AccountStatus::Closed {
        check_empty(account, present)?;
    }
    let before = present.metadata.as_ref();
    let metadata = document(&patch.metadata, before);
    let stays = status == present.status && limits.is_empty() && metadata.as_ref() == before;
    if found.is_some() && stays {
        return Ok(Verdict::Unchanged);
    }
    let creates = found.is_none();
    if let Some(admission) = admission
        && !creates
    {
        let missing = "changing an account needs the scope `transfer`, and `admin` for limits";
        return Err(not_admitted(admission, account, missing));
    }
    books.check_more(
        Quota::Accounts,
        books.accounts().len(),
        usize::from(creates),
    )?;
    check_limit_counts(books, account, present, &limits)?;
    books.check_metadata(before, metadata.as_ref())?;
    let change = Change::AccountSet {
        account: account.clone(),
        status,
        limits,
        metadata,
    };
    Ok(Verdict::Applied(Decision::change(change, creates)))
}

/// Checks a request of an API key that may only admit members. The account has to match the key's pattern,
/// and a new account has to be open and without limits. The changes of an existing account are rejected
/// later.
fn check_admission(
    admission: &CallerAdmission,
    account: &AccountId,
    is_there: bool,
    patch: &AccountPatch,
) -> Result<(), Rejection> {
    let has_limits = !patch.credit_limit.is_keep() || !patch.ceiling.is_keep();
    let has_status = patch.status.is_some_and(|status| !status.is_open());
    let has_metadata = matches!(patch.metadata, Patch::Set(_));
    let missing = if !admission.accounts.matches(account) {
        "other accounts need the scope `transfer`"
    } else if is_there {
        return Ok(());
    } else if has_limits || has_status {
        "limits and a status need the scope `admin`"
    } else if has_metadata && !admission.metadata {
        "metadata needs `\"metadata\": true` in the key's `admits`, or the scope `transfer`"
    } else {
        return Ok(());
    };
    Err(not_admitted(admission, account, missing))
}

fn not_admitted(
    admission: &CallerAdmission,
    account: &AccountId,
    missing: &'static str,
) -> Rejection {
    Rejection::NotAdmitted {
        account: account.clone(),
        accounts: admission.accounts.clone(),
        missing: missing.into(),
    }
}

/// Returns the asset of a limit.
fn find<'a>(books: &'a Books, asset: &AssetId) -> Result<&'a Asset, Rejection> {
    let found = books.asset(asset).map(|found| &**found);
    found.ok_or_else(|| Rejection::AssetNotFound {
        asset: asset.clone(),
    })
}

/// Returns the credit limits that change. A limit of zero is no credit, and removes the limit.
fn credit_limits(
    books: &Books,
    present: &Account,
    patch: &Patch<LimitsPatch>,
) -> Result<BTreeMap<CurrencyId, Option<Amount>>, Rejection> {
    let current = present.limits.credit_limits();
    let patch = match patch {
        Patch::Keep => return Ok(BTreeMap::new()),
        Patch::Clear => return Ok(current.keys().map(|asset| (asset.clone(), None)).collect()),
        Patch::Set(patch) => patch,
    };
    let mut changes = BTreeMap::new();
    for (asset, limit) in patch {
        let credit = limit.and_then(|limit| Amount::new(limit.get()));
        let Some(currency) = find(books, asset)?.currency(asset) else {
            if credit.is_some() {
                let asset = asset.clone();
                return Err(Rejection::CreditOnItem { asset });
            }
            continue;
        };
        if current.get(asset).copied() != credit {
            changes.insert(currency, credit);
        }
    }
    Ok(changes)
}

/// Returns the ceilings that change.
fn ceilings(
    books: &Books,
    present: &Account,
    patch: &Patch<LimitsPatch>,
) -> Result<BTreeMap<AssetId, Option<Limit>>, Rejection> {
    let current = present.limits.ceilings();
    let patch = match patch {
        Patch::Keep => return Ok(BTreeMap::new()),
        Patch::Clear => return Ok(current.keys().map(|asset| (asset.clone(), None)).collect()),
        Patch::Set(patch) => patch,
    };
    let mut changes = BTreeMap::new();
    for (asset, ceiling) in patch {
        find(books, asset)?;
        if current.get(asset) != ceiling.as_ref() {
            changes.insert(asset.clone(), *ceiling);
        }
    }
    Ok(changes)
}

/// Checks that the limits of an account, and the balances that they create, stay within bounds. An account
/// that is above the bound may reduce its limits.
fn check_limit_counts(
    books: &Books,
    id: &AccountId,
    present: &Account,
    change: &LimitsChange,
) -> Result<(), Rejection> {
    let after = present.limits.clone().changed(change);
    let counts = [
        (
            present.limits.credit_limits().len(),
            after.credit_limits().len(),
        ),
        (present.limits.ceilings().len(), after.ceilings().len()),
    ];
    if counts
        .into_iter()
        .any(|(before, after)| after > before && after > ACCOUNT_LIMITS_MAX)
    {
        return Err(Rejection::TooManyLimits {
            account: id.clone(),
            most: ACCOUNT_LIMITS_MAX,
        });
    }
    let assets = change.assets_set();
    let new: BTreeSet<&AssetId> = assets
        .filter(|asset| !present.balances.contains_key(asset))
        .collect();
    let more = u64::try_from(new.len()).unwrap_or(u64::MAX);
    books.check_room(Quota::Balances, books.usage.balances, more)
}

/// Checks that an account to be closed has no balance and no hold.
fn check_empty(id: &AccountId, account: &Account) -> Result<(), Rejection> {
    let is_used =
        |(_, balance): &(&AssetId, &Balance)| balance.posted != 0 || balance.held > Limit::ZERO;
    match account.balances.iter().find(is_used) {
        Some((asset, balance)) => Err(Rejection::AccountNotEmpty {
            account: id.clone(),
            asset: asset.clone(),
            posted: balance.posted,
        }),
        None => Ok(()),
    }
}
