//! Events: the records of an economy in order, as followers see them.

use bursar_ledger::{Digest, EconomyId, Timestamp};
use serde_json::Value;

use crate::error::StorageError;
use crate::query::source::QuerySource;
use crate::record::Record;

/// The maximum number of events in one page.
pub const EVENTS_MAX: usize = 500;

/// The maximum size of the requests and answers in one page in bytes, unless a single event is larger.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A record as an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The record's number in its economy. Numbers have no gaps.
    pub seq: u64,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The kind of the act.
    pub kind: String,
    /// The outcome: `applied`, `rejected`, `declined` or `faulted`.
    pub outcome: String,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The canonical request as JSON: method, path and body.
    pub request: Value,
    /// The answer as JSON. The answer to a movement of money has the postings and the balances after it.
    pub answer: Value,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
}

/// A range of events by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventRange {
    /// The number before the first event.
    pub after: u64,
    /// The number of the last event. It must not exceed the published state, because another read could still
    /// miss an event that is committed and not yet published.
    pub upto: u64,
    /// The maximum size of the requests and answers in bytes, unless a single event is larger; at most 1 MiB.
    pub bytes_max: usize,
}

/// Returns the hash of a record, or `None` if the economy has no such record.
pub(crate) fn hash(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    seq: u64,
) -> Result<Option<Digest>, StorageError> {
    let Some(number) = source.number(economy) else {
        return Ok(None);
    };
    let Some(record) = source.record_of(number, seq)? else {
        return Ok(None);
    };
    let chained = source.log.chained(record)?;
    Ok(chained.map(|(_, link)| link.hash))
}

/// Returns up to `limit` events of a range, at most [`EVENTS_MAX`].
pub(crate) fn between(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    range: EventRange,
    limit: usize,
) -> Result<Vec<Event>, StorageError> {
    let mut events: Vec<Event> = Vec::new();
    let Some(number) = source.number(economy) else {
        return Ok(events);
    };
    let limit = limit.min(EVENTS_MAX);
    let places = source.index.records_after(number.0, range.after, limit)?;
    let places = places.into_iter();
    let mut places = places
        .take_while(|(seq, record)| *seq <= range.upto && *record <= source.state.record)
        .peekable();
    let mut bytes = 0_usize;
    let bytes_max = range.bytes_max.min(PAGE_BYTES_MAX);
    // All events of a frame are read in one pass, because the hash of each needs the one before it.
    while let Some((_, first)) = places.peek() {
        let missing = StorageError::damaged(*first, "it is missing");
        let frame = source.log.frame_of(*first)?.ok_or(missing)?;
        let mut reader = frame.reader();
        while let Some((record, link)) = reader.next()? {
            if places.next_if(|(_, id)| *id == record.id).is_none() {
                continue;
            }
            bytes = bytes.saturating_add(record.request.len() + record.answer.len());
            if bytes > bytes_max && !events.is_empty() {
                return Ok(events);
            }
            events.push(event(record, link.hash)?);
        }
        if places.next_if(|(_, id)| frame.has(*id)).is_some() {
            let what = "the index has a record of another economy";
            return Err(StorageError::damaged(frame.header.first_record, what));
        }
    }
    Ok(events)
}

fn event(record: Record, hash: Digest) -> Result<Event, StorageError> {
    let damaged = |error| StorageError::damaged(record.id, error);
    Ok(Event {
        seq: record.seq,
        recorded_at: record.recorded_at,
        request: serde_json::from_str(&record.request).map_err(damaged)?,
        answer: serde_json::from_slice(&record.answer).map_err(damaged)?,
        kind: record.kind.into(),
        outcome: record.outcome.as_str().into(),
        actor: record.actor,
        key: record.key,
        hash,
    })
}
