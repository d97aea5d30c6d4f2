//! The history of an account, newest first.
//!
//! The index has the movements of each account and asset in order; a page merges those of the account's assets.
//! Movements never change, so a position stays valid.

use std::collections::VecDeque;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, Act, AssetId, Books, EconomyId, Movement, NumberedMovement, StepBack, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StorageError;
use crate::index::entry::MovementEntry;
use crate::query::source::QuerySource;
use crate::record::Record;
use crate::request::words;

/// The maximum number of steps of one page. A page with narrow filters may end here with fewer entries than
/// requested; the next page continues from there.
pub const STEPS_MAX: usize = 2_000;

/// The maximum size of the requests and acts in one page in bytes, unless a single record is larger. The next page
/// continues from there.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The maximum number of entries in one page.
pub const ENTRIES_MAX: usize = 200;

/// A filter of history entries. The default matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryFilter {
    /// Matches movements of this asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<AssetId>,
    /// Matches movements from or to this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<AccountId>,
    /// Matches movements of this kind of act, as [`Act::kind`] names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Matches movements whose request has this `reference`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Matches movements before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Matches movements at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
}

/// The request and the act of a record, shared by the entries of its movements.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordContext {
    /// The canonical request as JSON: method, path and body.
    pub request: Value,
    /// The act.
    pub act: Act,
    /// The length of both as text in bytes.
    bytes: usize,
}

/// An entry of an account's history.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEntry {
    /// The record's number in its economy.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The request and the act.
    pub context: Arc<RecordContext>,
    /// The movement, with the balances after it.
    pub movement: Movement,
}

impl HistoryEntry {
    /// Returns the client's texts about the movement.
    pub fn words(&self) -> Option<&Value> {
        words(
            &self.context.request,
            self.context.act.kind(),
            self.movement.part,
        )
    }
}

/// A page of an account's history.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HistoryPage {
    /// The entries, newest first.
    pub entries: Vec<HistoryEntry>,
    /// The movement at which the next page starts, or `None` at the end.
    pub next: Option<u64>,
}

/// A query for a page of an account's history.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// The economy.
    pub economy: EconomyId,
    /// The account.
    pub account: AccountId,
    /// The filter.
    pub filter: HistoryFilter,
    /// The records at which the economy's clock was set back, oldest first.
    pub steps_back: Vec<StepBack>,
    /// The movement at which the page starts: the account's newest, or the one that an earlier page returned.
    pub from: Option<u64>,
    /// The maximum number of entries, at most [`ENTRIES_MAX`].
    pub limit: usize,
}

impl HistoryQuery {
    /// Returns true if all movements from a step on are older than the filter's start.
    fn is_over(&self, step: &RecordedMovement) -> bool {
        let Some(after) = self.filter.after else {
            return false;
        };
        // Time goes back in an economy only at a recorded step back. The time before such a step may be
        // later.
        let older = self.steps_back.iter();
        let mut older = older.filter(|it| it.seq <= step.record.seq);
        step.record.recorded_at < after && older.all(|it| it.from < after)
    }
}

/// A movement of the account, with its record.
struct RecordedMovement {
    record: Arc<Record>,
    movement: NumberedMovement,
    asset: AssetId,
    counterparty: AccountId,
}

/// Returns a page, or `None` if the query starts at a movement of another account.
pub(crate) fn page(
    source: &mut QuerySource<'_>,
    query: &HistoryQuery,
) -> Result<Option<HistoryPage>, StorageError> {
    let state = source.state;
    let Some(books) = state.books(&query.economy) else {
        return Ok(None);
    };
    let Some(mut movements) = AccountMovements::open(source, books, query)? else {
        return Ok(query.from.is_none().then(HistoryPage::default));
    };
    if query.from.is_some() && movements.newest() != query.from {
        return Ok(None);
    }
    let limit = query.limit.min(ENTRIES_MAX);
    let mut page = HistoryPage::default();
    let mut contexts = Contexts::default();
    let mut bytes = 0_usize;
    for _ in 0..STEPS_MAX {
        if page.entries.len() >= limit || bytes > PAGE_BYTES_MAX {
            break;
        }
        let Some(entry) = movements.take(source)? else {
            return Ok(Some(page));
        };
        let step = contexts.step(source, books, query, &entry)?;
        if query.is_over(&step) {
            return Ok(Some(page));
        }
        if step.passes(&query.filter) && contexts.refers(&step, &query.filter)? {
            let context = contexts.of(&step.record)?;
            if page
                .entries
                .last()
                .is_none_or(|last| last.seq != step.record.seq)
            {
                bytes = bytes.saturating_add(context.bytes);
            }
            page.entries.push(step.into_entry(books, context)?);
        }
    }
    page.next = movements.newest();
    Ok(Some(page))
}

/// The movements of an account, newest first, merged from those of its assets.
struct AccountMovements {
    economy: u32,
    account: u32,
    assets: Vec<AssetMovements>,
}

/// The next movements of an account in one asset.
struct AssetMovements {
    asset: u32,
    ready: VecDeque<MovementEntry>,
    /// The movement before which the next ones are read, or `None` if there are no more.
    below: Option<u64>,
}

/// The number of movements that are read of one asset at once.
const READ_AT_ONCE: usize = 32;

impl AccountMovements {
    /// Begins at the movement where the query starts. Returns `None` if the account is not there.
    fn open(
        source: &mut QuerySource<'_>,
        books: &Books,
        query: &HistoryQuery,
    ) -> Result<Option<Self>, StorageError> {
        let number = source.number(&query.economy);
        let account = books.account(&query.account).zip(number);
        let Some((account, economy)) = account else {
            return Ok(None);
        };
        // A movement that is committed and not published yet has a larger number.
        let newest = source.state.movement.saturating_add(1);
        let below = query.from.map_or(newest, |from| from.saturating_add(1));
        let assets = account.balances.keys().filter_map(|asset| {
            // A page that continues starts at a movement that the filter of its asset has passed.
            let is_asked = query.filter.asset.as_ref().is_none_or(|it| it == asset);
            books.asset_number(asset).filter(|_| is_asked)
        });
        let assets = assets.map(|asset| AssetMovements {
            asset: asset.0,
            ready: VecDeque::new(),
            below: Some(below.min(newest)),
        });
        let mut movements = Self {
            economy: economy.0,
            account: account.number.0,
            assets: assets.collect(),
        };
        for place in 0..movements.assets.len() {
            movements.fill(source, place)?;
        }
        Ok(Some(movements))
    }

    /// Returns the number of the next movement.
    fn newest(&self) -> Option<u64> {
        let next = self.assets.iter().filter_map(|asset| asset.ready.front());
        next.map(|entry| entry.movement).max()
    }

    /// Takes the next movement.
    fn take(
        &mut self,
        source: &mut QuerySource<'_>,
    ) -> Result<Option<MovementEntry>, StorageError> {
        let newest = self.newest();
        let place = self.assets.iter().position(|asset| {
            let next = asset.ready.front().map(|entry| entry.movement);
            next.is_some() && next == newest
        });
        let Some(place) = place else {
            return Ok(None);
        };
        let entry = self
            .assets
            .get_mut(place)
            .and_then(|asset| asset.ready.pop_front());
        self.fill(source, place)?;
        Ok(entry)
    }

    fn fill(&mut self, source: &mut QuerySource<'_>, place: usize) -> Result<(), StorageError> {
        let Some(asset) = self.assets.get_mut(place) else {
            return Ok(());
        };
        let Some(below) = asset.below.filter(|_| asset.ready.is_empty()) else {
            return Ok(());
        };
        let index = source.index;
        let read =
            index.movements_before(self.economy, self.account, asset.asset, below, READ_AT_ONCE)?;
        asset.below = read.last().map(|last| last.movement);
        asset.ready = read.into();
        Ok(())
    }
}

/// The record and the context that were read last. Neighbours of a page often share them.
#[derive(Default)]
struct Contexts {
    record: Option<Arc<Record>>,
    context: Option<(u64, Arc<RecordContext>)>,
}

impl Contexts {
    fn step(
        &mut self,
        source: &mut QuerySource<'_>,
        books: &Books,
        query: &HistoryQuery,
        entry: &MovementEntry,
    ) -> Result<RecordedMovement, StorageError> {
        let record = match &self.record {
            Some(record) if record.id == entry.record => Arc::clone(record),
            _ => Arc::new(source.log.record(entry.record)?),
        };
        self.record = Some(Arc::clone(&record));
        let damaged = |what: &str| StorageError::damaged(record.id, what);
        let place = entry.movement.checked_sub(record.first_movement);
        let movement = place.and_then(|place| record.movements.get(usize::try_from(place).ok()?));
        let movement =
            *movement.ok_or_else(|| damaged("the index names a movement of another record"))?;
        let source_name = books.account_name(movement.source);
        let destination = books.account_name(movement.destination);
        let asset = books.asset_name(movement.asset);
        let (Some(source_name), Some(destination), Some(asset)) = (source_name, destination, asset)
        else {
            return Err(damaged("a movement names no account"));
        };
        let counterparty = if *source_name == query.account {
            destination
        } else {
            source_name
        };
        Ok(RecordedMovement {
            asset: asset.clone(),
            counterparty: counterparty.clone(),
            movement,
            record,
        })
    }

    /// Returns true if a movement has the `reference` of the filter.
    fn refers(
        &mut self,
        step: &RecordedMovement,
        filter: &HistoryFilter,
    ) -> Result<bool, StorageError> {
        let Some(reference) = &filter.reference else {
            return Ok(true);
        };
        let context = self.of(&step.record)?;
        let words = words(&context.request, &step.record.kind, step.movement.part);
        let found = words.and_then(|words| words.get("reference"));
        Ok(found.and_then(Value::as_str) == Some(reference))
    }

    fn of(&mut self, record: &Record) -> Result<Arc<RecordContext>, StorageError> {
        if let Some((of, context)) = &self.context
            && *of == record.id
        {
            return Ok(Arc::clone(context));
        }
        let damaged = |error| StorageError::damaged(record.id, error);
        let context = Arc::new(RecordContext {
            bytes: record.request.len() + record.act.len(),
            request: serde_json::from_str(&record.request).map_err(damaged)?,
            act: record.act()?,
        });
        self.context = Some((record.id, Arc::clone(&context)));
        Ok(context)
    }
}

impl RecordedMovement {
    fn passes(&self, filter: &HistoryFilter) -> bool {
        let HistoryFilter {
            asset,
            counterparty,
            kind,
            // The texts are checked last, because this costs most.
            reference: _,
            before,
            after,
        } = filter;
        let recorded_at = self.record.recorded_at;
        asset.as_ref().is_none_or(|asset| *asset == self.asset)
            && counterparty
                .as_ref()
                .is_none_or(|account| *account == self.counterparty)
            && kind.as_ref().is_none_or(|kind| *kind == self.record.kind)
            && before.is_none_or(|before| recorded_at < before)
            && after.is_none_or(|after| recorded_at >= after)
    }

    fn into_entry(
        self,
        books: &Books,
        context: Arc<RecordContext>,
    ) -> Result<HistoryEntry, StorageError> {
        let movement = books.name_movement(&self.movement);
        let record = self.record;
        let missing = || StorageError::damaged(record.id, "a movement names no account");
        Ok(HistoryEntry {
            movement: movement.ok_or_else(missing)?,
            seq: record.seq,
            recorded_at: record.recorded_at,
            actor: record.actor.clone(),
            key: record.key.clone(),
            context,
        })
    }
}
