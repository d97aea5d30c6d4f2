//! An economy's journal out of a file, while the file is used.

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

/// Records that are read under one snapshot of the file. Nobody is waited for meanwhile, so that the
/// write-ahead log can go on however slowly lines are taken.
const RECORDS_AT_ONCE: u64 = 1_000;

/// Bytes of what was asked, decided and answered in them, but for one record that is larger.
const BYTES_AT_ONCE: usize = 4 << 20;

/// Writes an economy out as it is in `state`.
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
    let (name, version) = (known.name.clone(), known.version.clone());
    Ok(ComponentLine::new(*digest, name, version, &bytes))
}

/// How far the journal has been read.
struct Exporter<'a> {
    economy: &'a EconomyId,
    until: &'a Books,
    record: u64,
    movement: u64,
    seq: u64,
    head: Digest,
}

impl Exporter<'_> {
    /// The lines of the next records. The whole journal goes by, since what moved stands in the order
    /// of the file and not of its economies.
    fn read_some(&mut self, database: &Database) -> Result<Vec<Line>, StorageError> {
        let (from, mut lines, mut bytes) = (self.record, Vec::new(), 0);
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

    /// What is damaged is not passed on.
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
