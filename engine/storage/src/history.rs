//! An account's history, newest first: a walk along the chain of its movements.
//!
//! Each movement names the one before it on either of its accounts, and the newest is known from
//! the state. So a page costs one look-up a step and no index that would have to be kept while
//! money moves. What was written never changes, so a place in the chain stays a place in the chain.

use bursar_ledger::{AccountId, Act, AssetId, EconomyId, Movement, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{Database, Statement};
use crate::error::StorageError;
use crate::record::Entry;
use crate::rows;

/// Steps of one page. A page with narrow filters over a long history may end here with fewer
/// entries than were asked for; the next one goes on from there.
pub const STEPS_MAX: usize = 2_000;

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
    /// Movements by this kind of act: `transfer`, `issue`, `burn` or `call`.
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
    /// What was asked, as JSON: method, path and body.
    pub request: Value,
    /// What was decided upon.
    pub act: Act,
    /// What moved, and what was there after it.
    pub movement: Movement,
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
    /// The movement to begin at: the account's newest, or where a page before this one ended.
    pub from: Option<u64>,
    /// How many entries; at most [`ENTRIES_MAX`].
    pub limit: usize,
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
    request: String,
    act: String,
    entry: Entry,
}

/// Finds movements by their number.
pub(crate) struct History {
    find: Statement,
}

impl History {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Ok(Self {
            find: database.prepare(
                "SELECT movements.id, movements.record, CAST(source AS BLOB),
                        CAST(destination AS BLOB), CAST(asset AS BLOB), amount, source_after,
                        destination_after, source_previous, destination_previous,
                        CAST(economy AS BLOB), seq, recorded_at, CAST(kind AS BLOB),
                        CAST(actor AS BLOB), CAST(idempotency_key AS BLOB),
                        CAST(request AS BLOB), CAST(act AS BLOB)
                 FROM movements JOIN records ON records.id = movements.record
                 WHERE movements.id = ?1",
            )?,
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
            // Time never runs backwards in an economy: everything further on is older.
            if query
                .filter
                .after
                .is_some_and(|after| step.recorded_at < after)
            {
                page.next = None;
                break;
            }
            page.next = if given {
                step.entry.link.source_previous
            } else {
                step.entry.link.destination_previous
            };
            if step.passes(&query.filter, given)? {
                page.entries.push(step.into_entry()?);
            }
        }
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
                    economy: rows::name(row, 10, record)?,
                    seq: rows::count(row, 11, record)?,
                    recorded_at: Timestamp(rows::count(row, 12, record)?),
                    kind: rows::string(row, 13, record)?,
                    actor: rows::string(row, 14, record)?,
                    key: rows::string_or_none(row, 15, record)?,
                    request: rows::string(row, 16, record)?,
                    act: rows::string(row, 17, record)?,
                    entry,
                })
            })
    }
}

impl Step {
    fn passes(&self, filter: &HistoryFilter, given: bool) -> Result<bool, StorageError> {
        let HistoryFilter {
            asset,
            counterparty,
            kind,
            reference,
            before,
            // The walk ends there.
            after: _,
        } = filter;
        let posting = &self.entry.movement.posting;
        let other = if given {
            &posting.destination
        } else {
            &posting.source
        };
        let passes = asset.as_ref().is_none_or(|asset| *asset == posting.asset)
            && counterparty.as_ref().is_none_or(|account| account == other)
            && kind.as_ref().is_none_or(|kind| *kind == self.kind)
            && before.is_none_or(|before| self.recorded_at < before);
        match reference {
            Some(reference) if passes => {
                let request: Value = self.parse(&self.request)?;
                let said = request.pointer("/body/reference").and_then(Value::as_str);
                Ok(said == Some(reference))
            }
            Some(_) | None => Ok(passes),
        }
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, StorageError> {
        serde_json::from_str(text).map_err(|error| StorageError::damaged(self.record, error))
    }

    fn into_entry(self) -> Result<HistoryEntry, StorageError> {
        Ok(HistoryEntry {
            request: self.parse(&self.request)?,
            act: self.parse(&self.act)?,
            seq: self.seq,
            recorded_at: self.recorded_at,
            actor: self.actor,
            key: self.key,
            movement: self.entry.movement,
        })
    }
}
