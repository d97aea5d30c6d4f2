//! Invariants of an economy's books, checked independently of the code that changes them.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::amount::Limit;
use crate::asset::{AssetKind, CurrencyId};
use crate::books::Books;
use crate::economy::{EconomyStatus, Reversal};
use crate::id::{AccountId, AssetId, TransferId};
use crate::limits::AMOUNT_MAX;
use crate::quota::Quota;
use crate::violation::Violation;

/// Returns the lowest and the highest balance of an account in an asset.
fn bounds(books: &Books, id: &AccountId, account: &Account, asset: &AssetId) -> (i64, i64) {
    if id.is_issuer() {
        let limit = books
            .asset(asset)
            .map_or(Limit::MAX, |asset| asset.supply_limit());
        return (limit.signed().saturating_neg(), 0);
    }
    let credit = if is_currency(books, asset) {
        account.limits.credit_limit(asset)
    } else {
        Limit::ZERO
    };
    (
        credit.signed().saturating_neg(),
        account.limits.ceiling(asset).signed(),
    )
}

/// Returns true if an asset is a currency.
fn is_currency(books: &Books, asset: &AssetId) -> bool {
    let kind = books.asset(asset).map(|asset| asset.kind);
    kind == Some(AssetKind::Currency)
}

/// Returns all violations of invariants; none for correct books.
///
/// An account may be outside limits that an operator has lowered. It is reported here too, and the audit
/// looks for the record that explains it.
pub fn check(books: &Books) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sums: BTreeMap<&AssetId, i128> =
        books.assets().keys().map(|asset| (asset, 0)).collect();
    for (id, account) in books.accounts().iter() {
        for (asset, balance) in account.balances.iter() {
            let posted = balance.posted;
            let held = balance.held;
            let key = || (id.clone(), asset.clone());
            if let Some(sum) = sums.get_mut(asset) {
                *sum = sum.saturating_add(i128::from(posted));
            } else {
                let (account, asset) = key();
                found.push(Violation::UnknownAsset { account, asset });
            }
            if id.is_issuer() && !id.is_issuer_of(asset) {
                let (account, asset) = key();
                found.push(Violation::ForeignIssuer { account, asset });
            }
            let (floor, ceiling) = bounds(books, id, account, asset);
            let (account, asset) = key();
            if posted.unsigned_abs() > AMOUNT_MAX {
                found.push(Violation::OutOfRange {
                    account,
                    asset,
                    posted,
                });
            } else if posted < floor {
                found.push(Violation::BelowFloor {
                    account,
                    asset,
                    posted,
                    floor,
                });
            } else if posted > ceiling {
                found.push(Violation::AboveCeiling {
                    account,
                    asset,
                    posted,
                    ceiling,
                });
            } else if held > Limit::ZERO && posted.saturating_sub(held.signed()) < floor {
                found.push(Violation::OverHeld {
                    account,
                    asset,
                    held,
                    posted,
                    floor,
                });
            }
        }
    }
    let unbalanced = sums.into_iter().filter(|(_, sum)| *sum != 0);
    found.extend(unbalanced.map(|(asset, sum)| Violation::NotConserved {
        asset: asset.clone(),
        sum,
    }));
    found.extend(check_numbers(books));
    found.extend(check_limits(books));
    found.extend(check_holds(books));
    found.extend(check_reversals(books));
    found.extend(check_plugins(books));
    found.extend(check_usage(books));
    found
}

/// Checks that names and numbers stand for each other, and that no number is left over.
fn check_numbers(books: &Books) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, account) in books.accounts().iter() {
        let number = account.number;
        let named = books.account_name(number);
        let is_stored_there = books.accounts.number(id) == Some(number);
        if named != Some(id) || !is_stored_there {
            found.push(Violation::AccountMisnumbered {
                account: id.clone(),
                number,
                named: named.cloned(),
            });
        }
    }
    for asset in books.assets().keys() {
        let number = books.asset_number(asset);
        let named = number.and_then(|number| books.asset_name(number));
        if named != Some(asset) {
            found.push(Violation::AssetMisnumbered {
                asset: asset.clone(),
                named: named.cloned(),
            });
        }
    }
    let numbers = books.accounts.numbers();
    let accounts = books.accounts().len();
    if numbers != accounts {
        found.push(Violation::AccountNumbersMiscounted { numbers, accounts });
    }
    let numbers = books.numbers.assets();
    let assets = books.assets().len();
    if numbers != assets {
        found.push(Violation::AssetNumbersMiscounted { numbers, assets });
    }
    found
}

fn check_limits(books: &Books) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, account) in books.accounts().iter() {
        let credit = account.limits.credit_limits().keys();
        for asset in credit.map(CurrencyId::as_asset) {
            if !is_currency(books, asset) {
                let account = id.clone();
                let asset = asset.clone();
                found.push(Violation::CreditOnItem { account, asset });
            }
        }
        let credit = account.limits.credit_limits().keys();
        let limited = credit.map(CurrencyId::as_asset);
        for asset in limited.chain(account.limits.ceilings().keys()) {
            if !account.balances.contains_key(asset) {
                let account = id.clone();
                let asset = asset.clone();
                found.push(Violation::LimitWithoutBalance { account, asset });
            }
        }
    }
    found
}

fn check_plugins(books: &Books) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, plugin) in books.plugins() {
        let id = &plugin.installation.id;
        if books.bound_id(name) != Some(id) {
            found.push(Violation::NameOfAnother {
                plugin: name.clone(),
                id: id.clone(),
                bound: books.bound_id(name).cloned(),
            });
        }
        if plugin.switched_off.is_some() && plugin.installation.enabled {
            found.push(Violation::SwitchedOffAndOn {
                plugin: name.to_string(),
            });
        }
        let entries = plugin.state.iter();
        let sizes = entries.map(|(key, value)| key.len().saturating_add(value.len()));
        let counted = sizes.fold(0, usize::saturating_add);
        if counted != plugin.state_bytes {
            found.push(Violation::StateMiscounted {
                plugin: name.to_string(),
                counted,
                recorded: plugin.state_bytes,
            });
        }
    }
    found
}

fn check_holds(books: &Books) -> Vec<Violation> {
    let mut counted: BTreeMap<(&AccountId, &AssetId), u64> = BTreeMap::new();
    for (_, hold) in books.holds_after(None, None) {
        let posting = hold.reservation.posting();
        let key = (&posting.source, &posting.asset);
        let sum = counted.entry(key).or_default();
        *sum = sum.saturating_add(hold.remaining.get());
    }
    let mut found = Vec::new();
    if books.status() == EconomyStatus::Closed && books.holds_open() > 0 {
        let open = books.holds_open();
        found.push(Violation::ClosedWithHolds { open });
    }
    let mut compare = |account: &AccountId, asset: &AssetId, held: Limit, counted: u64| {
        if held.get() != counted {
            let account = account.clone();
            let asset = asset.clone();
            found.push(Violation::HeldMiscounted {
                account,
                asset,
                held,
                counted,
            });
        }
    };
    for (id, account) in books.accounts().iter() {
        for (asset, balance) in account.balances.iter() {
            let sum = counted.remove(&(id, asset)).unwrap_or(0);
            compare(id, asset, balance.held, sum);
        }
    }
    // Holds of accounts that have no balance in the asset.
    for ((account, asset), sum) in counted {
        compare(account, asset, Limit::ZERO, sum);
    }
    found
}

fn check_usage(books: &Books) -> impl Iterator<Item = Violation> + use<> {
    let counted = books.count_usage();
    let recorded = books.usage;
    let counters = [
        (
            Quota::MetadataBytes,
            counted.metadata_bytes,
            recorded.metadata_bytes,
        ),
        (Quota::Balances, counted.balances, recorded.balances),
        (Quota::StateBytes, counted.state_bytes, recorded.state_bytes),
    ];
    let wrong = counters
        .into_iter()
        .filter(|(_, counted, recorded)| counted != recorded);
    wrong.map(|(quota, counted, recorded)| Violation::UsageMiscounted {
        quota,
        counted,
        recorded,
    })
}

fn check_reversals(books: &Books) -> impl Iterator<Item = Violation> + '_ {
    let is_one_way = |(transfer, link): &(&TransferId, &Reversal)| {
        let (other, expected) = match **link {
            Reversal::By(by) => (by, Reversal::Of(**transfer)),
            Reversal::Of(of) => (of, Reversal::By(**transfer)),
        };
        books.reversal(other) != Some(expected)
    };
    let links = books.reversals.iter().filter(is_one_way);
    links.map(|(transfer, _)| Violation::LooseReversal {
        transfer: *transfer,
    })
}
