//! The history of an account, newest first.
//!
//! Each movement links to the previous movement of both of its accounts, and the state holds the newest
//! movement of each account. A page therefore costs one lookup per step, and no index has to be updated while
//! money moves. Movements never change, so a position in the chain stays valid.

use std::sync::Arc;

use bursar_ledger::{AccountId, Act, AssetId, EconomyId, Movement, StepBack, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{Database, Statement, integer};
use crate::error::StorageError;
use crate::record::Entry;
use crate::request::words;
use crate::rows;

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
    pub said: Arc<RecordContext>,
    /// The movement, with the balances after it.
    pub movement: Movement,
}

impl HistoryEntry {
    /// Returns the client's texts about the movement.
    pub fn words(&self) -> Option<&Value> {
        words(&self.said.request, self.said.act.kind(), self.movement.part)
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
    fn is_over(&self, step: &Step) -> bool {
        let Some(after) = self.filter.after else {
            return false;
        };
        // Time goes back in an economy only at a recorded step back. The time before such a step may be
        // later.
        let older = self.steps_back.iter();
        let mut older = older.filter(|it| it.seq <= step.seq);
        step.recorded_at < after && older.all(|it| it.from < after)
    }
}

/// A step of the chain, not yet parsed, because most steps match no filter.
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

/// A reader of movements by their numbers.
pub(crate) struct History {
    find: Statement,
    find_said: Statement,
    /// The context of the record that was read last.
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

    /// Returns a page, or `None` if `from` is no movement of this account.
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
        // The context of a large batch would use much memory.
        self.said = None;
        Ok(Some(page))
    }

    fn step(&mut self, number: u64) -> Result<Option<Step>, StorageError> {
        // No movement has a number beyond the range of SQL's integers.
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

    /// Returns true if a movement has the `reference` of the filter.
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
            // The texts are checked last, because this costs most.
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
