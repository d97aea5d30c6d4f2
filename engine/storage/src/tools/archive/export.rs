//! Export of an economy's journal from a file that may be in use.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use bursar_ledger::{Books, Digest, EconomyId};

use super::{
    ArchiveError, ClosingLine, ComponentLine, FORMAT, Line, OpeningLine, RecordLine, lines_hash,
};
use crate::database::Database;
use crate::error::StorageError;
use crate::record::{Record, VERSION};
use crate::state::State;
use crate::{rows, schema};

/// The number of records that are read under one snapshot. The export holds no snapshot while it writes
/// lines out, so that a slow reader does not keep the write-ahead log from restarting.
const RECORDS_AT_ONCE: u64 = 1_000;

/// The maximum size in bytes of the records that are read at once, unless a single record is larger.
const BYTES_AT_ONCE: usize = 4 << 20;

/// Exports an economy up to its newest record in `state`.
pub(crate) fn export(
    path: &Path,
    state: &State,
    economy: &EconomyId,
    take: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let books = state.books(economy);
    let books = books.ok_or_else(|| ArchiveError::NoEconomy(economy.clone()))?;
    let database = Database::open_reader(path)?;
    schema::check(&database)?;
    let mut hash = lines_hash();
    let mut give = |line: &Line| -> Result<(), ArchiveError> {
        let text = written(line)?;
        hash.text(&text);
        Ok(take(text)?)
    };
    give(&Line::Economy(OpeningLine {
        format: FORMAT,
        version: VERSION.into(),
        economy: economy.clone(),
    }))?;
    let needed: BTreeSet<Digest> = books
        .plugins()
        .values()
        .map(|it| it.installation.component)
        .collect();
    for digest in &needed {
        give(&Line::Component(component(&database, state, digest)?))?;
    }
    let mut exporter = Exporter {
        economy,
        until: books,
        record: 0,
        movement: 0,
        seq: 0,
        head: Digest::ZERO,
    };
    while exporter.seq < books.seq() {
        for line in exporter.read_some(&database)? {
            give(&line)?;
        }
        progress(exporter.seq, books.seq());
    }
    take(written(&Line::End(ClosingLine {
        records: exporter.seq,
        components: needed.len() as u64,
        head: exporter.head,
        digest: hash.finish(),
    }))?)?;
    Ok(())
}

fn written(line: &Line) -> Result<Vec<u8>, StorageError> {
    let mut text = serde_json::to_vec(line).map_err(|error| StorageError::damaged(0, error))?;
    text.push(b'\n');
    Ok(text)
}

fn component(
    database: &Database,
    state: &State,
    digest: &Digest,
) -> Result<ComponentLine, StorageError> {
    let missing = || StorageError::damaged(0, format!("the component {digest} is missing"));
    let mut books = state.economies().values();
    let known = books.find_map(|books| books.components().get(digest));
    let known = known.ok_or_else(missing)?;
    let mut find = database.prepare("SELECT bytes FROM components WHERE digest = ?1")?;
    let bytes = find.first(vec![rows::blob(digest)], |row| rows::bytes(row, 0, 0))?;
    let bytes = bytes.ok_or_else(missing)?;
    let name = known.name.clone();
    let version = known.version.clone();
    Ok(ComponentLine::new(*digest, name, version, &bytes))
}

/// The position of an export in the journal.
struct Exporter<'a> {
    economy: &'a EconomyId,
    until: &'a Books,
    record: u64,
    movement: u64,
    seq: u64,
    head: Digest,
}

impl Exporter<'_> {
    /// Returns the lines of the next records. It reads the whole journal, because movements are stored in the
    /// order of the file and not by economy.
    fn read_some(&mut self, database: &Database) -> Result<Vec<Line>, StorageError> {
        let from = self.record;
        let mut lines = Vec::new();
        let mut bytes = 0;
        rows::each_record(database, from, self.movement, |record| {
            self.record = record.id;
            let newest = record.entries.last().map(|entry| entry.number);
            self.movement = newest.unwrap_or(self.movement);
            if record.economy == *self.economy {
                self.check(&record)?;
                bytes += record.request.len() + record.act.len() + record.answer.len();
                lines.push(Line::Record(Box::new(RecordLine::of(record)?)));
            }
            let room = self.record - from < RECORDS_AT_ONCE && bytes < BYTES_AT_ONCE;
            Ok(self.seq < self.until.seq() && room)
        })?;
        if self.record == from {
            let what = "records of the economy are missing after it";
            return Err(StorageError::damaged(from, what));
        }
        Ok(lines)
    }

    /// Checks a record, so that a damaged record is not exported.
    fn check(&mut self, record: &Record) -> Result<(), StorageError> {
        let follows = record.seq == self.seq.saturating_add(1) && record.previous == self.head;
        if !follows || record.compute_hash() != record.hash {
            return Err(StorageError::damaged(
                record.id,
                "it does not follow the one before it",
            ));
        }
        self.seq = record.seq;
        self.head = record.hash;
        Ok(())
    }
}
