//! Balances of an account at a moment of the past.

use std::collections::BTreeMap;

use bursar_ledger::{AccountId, AssetId, EconomyId, StepBack, Timestamp};

use crate::error::{Result, StorageError};
use crate::query::source::QuerySource;

/// A query for the balances of an account at a moment in the past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastQuery {
    /// The economy.
    pub economy: EconomyId,
    /// The account.
    pub account: AccountId,
    /// The requested assets.
    pub assets: Vec<AssetId>,
    /// The newest record of the economy.
    pub seq: u64,
    /// The records at which the economy's clock was set back, oldest first.
    pub steps_back: Vec<StepBack>,
    /// The moment. Everything that was recorded up to it counts.
    pub at: Timestamp,
}

/// The balances of an account at a moment in the past.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PastBalances {
    /// The newest record up to that moment, or 0 if the economy had none.
    pub seq: u64,
    /// The posted balance of each asset.
    pub posted: BTreeMap<AssetId, i64>,
}

/// Returns the balances.
pub(crate) fn balances(source: &mut QuerySource<'_>, query: &PastQuery) -> Result<PastBalances> {
    let seq = newest_record(source, query)?;
    let mut found = PastBalances {
        seq,
        posted: BTreeMap::new(),
    };
    let Some(newest) = source.record_at(&query.economy, seq)? else {
        return Ok(found);
    };
    let below = newest.next_movement();
    let Some(books) = source.state.books(&query.economy) else {
        return Ok(found);
    };
    let Some(account) = books.account_number(&query.account) else {
        return Ok(found);
    };
    for asset in &query.assets {
        let Some(number) = books.asset_number(asset) else {
            continue;
        };
        let economy = newest.number.0;
        let last = source
            .index
            .movements_before(economy, account.0, number.0, below, 1)?;
        if let Some(last) = last.first() {
            found.posted.insert(asset.clone(), last.after);
        }
    }
    Ok(found)
}

/// Returns the economy's newest record up to the moment. Time never decreases between two records that set the
/// clock back; if a moment came twice, the later record counts.
fn newest_record(source: &mut QuerySource<'_>, query: &PastQuery) -> Result<u64> {
    let mut beyond = query.seq.saturating_add(1);
    for step in query.steps_back.iter().rev() {
        if step.to <= query.at {
            return newest_between(source, query, step.seq, beyond);
        }
        beyond = step.seq;
    }
    newest_between(source, query, 0, beyond)
}

/// Returns the newest record up to the moment in a range whose first record is not later.
fn newest_between(
    source: &mut QuerySource<'_>,
    query: &PastQuery,
    first: u64,
    beyond: u64,
) -> Result<u64> {
    let mut some = first;
    let mut beyond = beyond;
    while beyond - some > 1 {
        let middle = some + (beyond - some) / 2;
        let found = source.record_at(&query.economy, middle)?;
        let missing = || StorageError::damaged(0, "a record of an economy is missing");
        if found.ok_or_else(missing)?.recorded_at <= query.at {
            some = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(some)
}
