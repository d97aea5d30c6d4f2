//! Invariants of an economy's books, checked independently of the code that changes them.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::amount::Limit;
use crate::asset::{AssetKind, CurrencyId};
use crate::books::Books;
use crate::economy::{EconomyStatus, Reversal};
use crate::id::{AccountId, AssetId, PluginId, PluginName, TransferId};
use crate::limits::AMOUNT_MAX;
use crate::quota::Quota;

/// A violated invariant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// The balances of an asset do not sum to zero.
    #[error("the balances of {asset} sum to {sum}, not to zero")]
    NotConserved {
        /// The asset.
        asset: AssetId,
        /// The sum.
        sum: i128,
    },
    /// A balance is in an asset that does not exist.
    #[error("{account} has a balance in {asset}, which does not exist")]
    UnknownAsset {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// An issuer has a balance in an asset of another issuer.
    #[error("{account} has a balance in {asset}, which it does not issue")]
    ForeignIssuer {
        /// The issuer.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// A balance is outside ±(2^53 − 1).
    #[error("{account} has {posted} {asset}, beyond ±(2^53 - 1)")]
    OutOfRange {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
    },
    /// A balance is below its lower bound.
    #[error("{account} has {posted} {asset}, below its floor of {floor}")]
    BelowFloor {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
        /// The lower bound.
        floor: i64,
    },
    /// A balance is above its ceiling.
    #[error("{account} has {posted} {asset}, above its ceiling of {ceiling}")]
    AboveCeiling {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
        /// The ceiling.
        ceiling: i64,
    },
    /// An account has a credit limit in an item.
    #[error("{account} has a credit limit in {asset}, which is no currency")]
    CreditOnItem {
        /// The account.
        account: AccountId,
        /// The item.
        asset: AssetId,
    },
    /// A limit has no balance, so no quota counts it.
    #[error("{account} has a limit in {asset}, but no balance")]
    LimitWithoutBalance {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// The available amount is below its lower bound.
    #[error("{account} holds {held} of {posted} {asset}")]
    OverHeld {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The held amount.
        held: Limit,
        /// The balance.
        posted: i64,
        /// The lower bound of posted − held.
        floor: i64,
    },
    /// The held amount differs from the sum of the open holds.
    #[error("{account} holds {held} {asset}, and its open holds sum to {counted}")]
    HeldMiscounted {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The held amount in the balance.
        held: Limit,
        /// The sum of the open holds.
        counted: u64,
    },
    /// The economy is closed and has open holds.
    #[error("the economy is closed, and {open} holds are open")]
    ClosedWithHolds {
        /// The number of open holds.
        open: usize,
    },
    /// A link between a transfer and its reversal exists in one direction only.
    #[error("the transfer {transfer} is linked to a reversal, but not the reversal to it")]
    LooseReversal {
        /// The transfer, or the reversal.
        transfer: TransferId,
    },
    /// A plugin is enabled and marked as switched off.
    #[error("the plugin {plugin} is enabled, and marked as switched off")]
    SwitchedOffAndOn {
        /// The plugin.
        plugin: String,
    },
    /// A name is bound to another plugin than the installed one.
    #[error(
        "the name {plugin} is bound to {}, and `{id}` is installed under it",
        bound.as_ref().map_or_else(|| "no plugin".into(), |bound| format!("`{bound}`"))
    )]
    NameOfAnother {
        /// The name.
        plugin: PluginName,
        /// The plugin that is installed.
        id: PluginId,
        /// The plugin that the name is bound to.
        bound: Option<PluginId>,
    },
    /// The size of a plugin's state is wrong.
    #[error("the state of plugin {plugin} is {counted} bytes, not {recorded}")]
    StateMiscounted {
        /// The plugin.
        plugin: String,
        /// The sum of its keys and values.
        counted: usize,
        /// The recorded size.
        recorded: usize,
    },
    /// The recorded use of a quota is wrong.
    #[error("{counted} {} are in use, not {recorded}", quota.counts())]
    UsageMiscounted {
        /// The quota.
        quota: Quota,
        /// The amount in use.
        counted: u64,
        /// The recorded amount.
        recorded: u64,
    },
}

impl Violation {
    /// Returns true if an account is outside its limits, which is allowed after new limits or a forced
    /// reversal.
    pub fn is_of_limits(&self) -> bool {
        match self {
            Self::BelowFloor { .. } | Self::AboveCeiling { .. } | Self::OverHeld { .. } => true,
            Self::NotConserved { .. }
            | Self::UnknownAsset { .. }
            | Self::ForeignIssuer { .. }
            | Self::OutOfRange { .. }
            | Self::CreditOnItem { .. }
            | Self::LimitWithoutBalance { .. }
            | Self::ClosedWithHolds { .. }
            | Self::HeldMiscounted { .. }
            | Self::LooseReversal { .. }
            | Self::SwitchedOffAndOn { .. }
            | Self::NameOfAnother { .. }
            | Self::StateMiscounted { .. }
            | Self::UsageMiscounted { .. } => false,
        }
    }
}

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
    for (id, account) in books.accounts() {
        for (asset, balance) in &account.balances {
            let posted = balance.posted;
            let held = balance.held;
            let key = || (id.clone(), asset.clone());
            if let Some(sum) = sums.get_mut(asset) {
                *sum = sum.saturating_add(i128::from(posted));
            } else {
                let (account, asset) = key();
                found.push(Violation::UnknownAsset { account, asset });
            }
            if id.is_issuer() && *id != AccountId::issuer(asset) {
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
    found.extend(check_limits(books));
    found.extend(check_holds(books));
    found.extend(check_reversals(books));
    found.extend(check_plugins(books));
    found.extend(check_usage(books));
    found
}

fn check_limits(books: &Books) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, account) in books.accounts() {
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
    for (id, account) in books.accounts() {
        for (asset, balance) in &account.balances {
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
