//! An account's history, newest first: a walk along the chain of its movements.
//!
//! Each movement names the one before it on either of its accounts, and the newest is known from
//! the state. So a page costs one look-up a step and no index that would have to be kept while
//! money moves. What was written never changes, so a place in the chain stays a place in the chain.

use std::sync::Arc;

use bursar_ledger::{AccountId, Act, AssetId, EconomyId, Movement, StepBack, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{Database, Statement, integer};
use crate::error::StorageError;
use crate::record::Entry;
use crate::request::words;
use crate::rows;

/// Steps of one page. A page with narrow filters over a long history may end here with fewer
/// entries than were asked for; the next one goes on from there.
pub const STEPS_MAX: usize = 2_000;

/// Bytes of what was asked and decided in the records of one page, but for one that is larger by
/// itself; the next page goes on from there.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Entries in one page.
pub const ENTRIES_MAX: usize = 200;

/// Which entries are wanted; all of them where nothing is said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryFilter {
    /// Movements of this asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<AssetId>,
    /// Movements from or to this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<AccountId>,
    /// Movements by this kind of act, as [`Act::kind`] names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Movements of requests with this `reference`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Movements before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Movements at this moment or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
}

/// What a record says beside its movements. Of a batch that is much, and it has many of them.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordContext {
    /// What was asked, as JSON: method, path and body.
    pub request: Value,
    /// What was decided upon.
    pub act: Act,
    /// How long both are as text.
    bytes: usize,
}

/// One movement of an account's history.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEntry {
    /// The record's number in its economy.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who asked: the id of an API key.
    pub actor: String,
    /// The idempotency key under which it was asked.
    pub key: Option<String>,
    /// What was asked and decided upon: the same for all movements of a record.
    pub said: Arc<RecordContext>,
    /// What moved, and what was there after it.
    pub movement: Movement,
}

impl HistoryEntry {
    /// What the client said of the movement.
    pub fn words(&self) -> Option<&Value> {
        words(&self.said.request, self.said.act.kind(), self.movement.part)
    }
}

/// A page of an account's history.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HistoryPage {
    /// The entries, newest first.
    pub entries: Vec<HistoryEntry>,
    /// The movement that the next page begins at; none at the end.
    pub next: Option<u64>,
}

/// Whose history, which entries of it, and from where on.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// Whose books.
    pub economy: EconomyId,
    /// Whose history.
    pub account: AccountId,
    /// Which entries.
    pub filter: HistoryFilter,
    /// Where the economy's time went back, oldest first.
    pub steps_back: Vec<StepBack>,
    /// The movement to begin at: the account's newest, or where a page before this one ended.
    pub from: Option<u64>,
    /// How many entries; at most [`ENTRIES_MAX`].
    pub limit: usize,
}

impl HistoryQuery {
    /// Whether everything from a step on is of a time before the one that is asked for.
    fn is_over(&self, step: &Step) -> bool {
        let Some(after) = self.filter.after else {
            return false;
        };
        // Time goes back in an economy only where a step back is on record: before that it was later.
        let older = self.steps_back.iter();
        let mut older = older.filter(|it| it.seq <= step.seq);
        step.recorded_at < after && older.all(|it| it.from < after)
    }
}

/// A step of the chain, as it stands in the file: most steps are only passed by.
struct Step {
    record: u64,
    economy: EconomyId,
    seq: u64,
    recorded_at: Timestamp,
    kind: String,
    actor: String,
    key: Option<String>,
    entry: Entry,
}

/// Finds movements by their number.
pub(crate) struct History {
    find: Statement,
    find_said: Statement,
    /// What the record that was looked at last says.
    said: Option<(u64, Arc<RecordContext>)>,
}

impl History {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            find: database.prepare(
                "SELECT movements.id, movements.record, CAST(source AS BLOB),
                        CAST(destination AS BLOB), CAST(asset AS BLOB), amount, source_after,
                        destination_after, source_previous, destination_previous, part,
                        CAST(economy AS BLOB), seq, recorded_at, CAST(kind AS BLOB),
                        CAST(actor AS BLOB), CAST(idempotency_key AS BLOB)
                 FROM movements JOIN records ON records.id = movements.record
                 WHERE movements.id = ?1",
            )?,
            find_said: database.prepare(
                "SELECT CAST(request AS BLOB), CAST(act AS BLOB) FROM records WHERE id = ?1",
            )?,
            said: None,
        })
    }

    /// A page; none if `from` is no movement of this account.
    pub(crate) fn page(
        &mut self,
        query: &HistoryQuery,
    ) -> Result<Option<HistoryPage>, StorageError> {
        let mut page = HistoryPage {
            entries: Vec::new(),
            next: query.from,
        };
        let limit = query.limit.min(ENTRIES_MAX);
        let mut bytes = 0_usize;
        for _ in 0..STEPS_MAX {
            let Some(number) = page.next.filter(|_| page.entries.len() < limit) else {
                break;
            };
            let Some(step) = self.step(number)? else {
                return Ok(None);
            };
            let posting = &step.entry.movement.posting;
            let given = posting.source == query.account;
            let got = posting.destination == query.account;
            if step.economy != query.economy || !(given || got) {
                return Ok(None);
            }
            if query.is_over(&step) {
                page.next = None;
                break;
            }
            page.next = if given {
                step.entry.link.source_previous
            } else {
                step.entry.link.destination_previous
            };
            if step.passes(&query.filter, given) && self.refers(&step, &query.filter)? {
                let said = self.said(step.record)?;
                if page.entries.last().is_none_or(|last| last.seq != step.seq) {
                    bytes = bytes.saturating_add(said.bytes);
                }
                page.entries.push(step.into_entry(said));
                if bytes > PAGE_BYTES_MAX {
                    break;
                }
            }
        }
        // Of a large batch it would be much to keep.
        self.said = None;
        Ok(Some(page))
    }

    fn step(&mut self, number: u64) -> Result<Option<Step>, StorageError> {
        // Beyond what SQL counts there is no movement.
        let Ok(number) = i64::try_from(number) else {
            return Ok(None);
        };
        self.find
            .first(vec![libsql::Value::Integer(number)], |row| {
                let (record, entry) = rows::read_entry(row)?;
                Ok(Step {
                    record,
                    economy: rows::name(row, 11, record)?,
                    seq: rows::count(row, 12, record)?,
                    recorded_at: Timestamp(rows::count(row, 13, record)?),
                    kind: rows::string(row, 14, record)?,
                    actor: rows::string(row, 15, record)?,
                    key: rows::string_or_none(row, 16, record)?,
                    entry,
                })
            })
    }

    /// Whether what was said of a movement has the reference that is wanted.
    fn refers(&mut self, step: &Step, filter: &HistoryFilter) -> Result<bool, StorageError> {
        let Some(reference) = &filter.reference else {
            return Ok(true);
        };
        let said = self.said(step.record)?;
        let words = words(&said.request, &step.kind, step.entry.movement.part);
        let said = words.and_then(|words| words.get("reference"));
        Ok(said.and_then(Value::as_str) == Some(reference))
    }

    fn said(&mut self, record: u64) -> Result<Arc<RecordContext>, StorageError> {
        if let Some((of, said)) = &self.said
            && *of == record
        {
            return Ok(Arc::clone(said));
        }
        let read = self.find_said.first(vec![integer(record)], |row| {
            let damaged = |error| StorageError::damaged(record, error);
            let request = rows::string(row, 0, record)?;
            let act = rows::string(row, 1, record)?;
            Ok(RecordContext {
                bytes: request.len() + act.len(),
                request: serde_json::from_str(&request).map_err(damaged)?,
                act: serde_json::from_str(&act).map_err(damaged)?,
            })
        })?;
        let read = read.ok_or_else(|| StorageError::damaged(record, "it is missing"))?;
        let said = Arc::new(read);
        self.said = Some((record, Arc::clone(&said)));
        Ok(said)
    }
}

impl Step {
    fn passes(&self, filter: &HistoryFilter, given: bool) -> bool {
        let HistoryFilter {
            asset,
            counterparty,
            kind,
            // What was said is looked at last.
            reference: _,
            before,
            after,
        } = filter;
        let posting = &self.entry.movement.posting;
        let other = if given {
            &posting.destination
        } else {
            &posting.source
        };
        asset.as_ref().is_none_or(|asset| *asset == posting.asset)
            && counterparty.as_ref().is_none_or(|account| account == other)
            && kind.as_ref().is_none_or(|kind| *kind == self.kind)
            && before.is_none_or(|before| self.recorded_at < before)
            && after.is_none_or(|after| self.recorded_at >= after)
    }

    fn into_entry(self, said: Arc<RecordContext>) -> HistoryEntry {
        HistoryEntry {
            seq: self.seq,
            recorded_at: self.recorded_at,
            actor: self.actor,
            key: self.key,
            said,
            movement: self.entry.movement,
        }
    }
}
