//! The log's data of one call, which suffices to run it again.

use bursar_ledger::{
    Act, CallId, CallResult, Change, Digest, EconomyId, HoldId, Installation, Movement, Timestamp,
};

use crate::error::{Result, StorageError};
use crate::query::revisions;
use crate::query::source::QuerySource;
use crate::query::subjects::{self, HoldHistory};
use crate::record::{Outcome, Record};

/// The record of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRecord {
    /// The record's number in its economy.
    pub seq: u64,
    /// The version of Bursar that wrote the record and ran the plugin.
    pub version: String,
    /// The time of the record.
    pub recorded_at: Timestamp,
    /// The id of the API key that sent the request.
    pub actor: String,
    /// The idempotency key of the request.
    pub key: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// The call with its transcript and its end.
    pub call: CallResult,
    /// The changes other than movements.
    pub changes: Vec<Change>,
    /// The movements.
    pub movements: Vec<Movement>,
    /// The holds of earlier calls that the call captured, released or secured, each as it was before the call.
    pub holds: Vec<(HoldId, HoldHistory)>,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
    /// The installation of the plugin at the time, or `None` if the plugin did not run.
    pub installation: Option<Installation>,
}

/// Returns the record of a call, or `None` if the economy has no such call.
pub(crate) fn call(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    id: CallId,
) -> Result<Option<CallRecord>> {
    for record in source.records_of_id(economy, id.into())? {
        if record.kind != "call" {
            continue;
        }
        let Act::Call(call) = record.act()? else {
            return Err(StorageError::damaged(
                record.id,
                "its kind is not its act's",
            ));
        };
        if call.request.id == id {
            return read(source, economy, record, *call).map(Some);
        }
    }
    Ok(None)
}

fn read(
    source: &mut QuerySource<'_>,
    economy: &EconomyId,
    record: Record,
    call: CallResult,
) -> Result<CallRecord> {
    let mut holds = Vec::new();
    for hold in call.transcript.holds() {
        let history = subjects::hold_before(source, economy, hold, record.id)?;
        holds.extend(history.map(|history| (hold, history)));
    }
    // The transcript names the record by which the plugin was installed.
    let installed = call.transcript.version();
    let installed = revisions::read(source, economy, &call.request.plugin, installed)?;
    let chained = source.log.chained(record.id)?;
    let (_, link) = chained.ok_or_else(|| StorageError::damaged(record.id, "it is missing"))?;
    Ok(CallRecord {
        changes: record.changes()?,
        movements: record.named_movements(source.state.books_of(&record)?)?,
        seq: record.seq,
        version: record.version.into(),
        recorded_at: record.recorded_at,
        actor: record.actor,
        key: record.key,
        outcome: record.outcome,
        call,
        holds,
        hash: link.hash,
        installation: installed.and_then(|record| record.installation),
    })
}
