//! Export of an economy's log from a file that may be in use.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use bursar_ledger::{Books, Digest, EconomyId};

use super::{
    ArchiveError, ArchiveLine, ClosingLine, ComponentLine, FORMAT, OpeningLine, RecordLine,
    lines_hash,
};
use crate::background::BackgroundPace;
use crate::database::Database;
use crate::error::StorageError;
use crate::log::frame::Frame;
use crate::log::reader::each_frame;
use crate::record::{ChainLink, Record, VERSION};
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
    pace: &BackgroundPace<'_>,
    take: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let books = state.books(economy);
    let books = books.ok_or_else(|| ArchiveError::NoEconomy(economy.clone()))?;
    let database = Database::open_reader(path)?;
    schema::check(&database)?;
    let mut hash = lines_hash();
    let mut give = |line: &ArchiveLine| -> Result<(), ArchiveError> {
        let text = written(line)?;
        hash.text(&text);
        Ok(take(text)?)
    };
    give(&ArchiveLine::Economy(OpeningLine {
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
        give(&ArchiveLine::Component(component(
            &database, state, digest,
        )?))?;
    }
    let mut exporter = Exporter {
        economy,
        until: books,
        record: 0,
        seq: 0,
        head: Digest::ZERO,
    };
    while exporter.seq < books.seq() {
        for line in exporter.read_some(&database, pace)? {
            give(&line)?;
            pace.step();
        }
        progress(exporter.seq, books.seq());
    }
    take(written(&ArchiveLine::End(ClosingLine {
        records: exporter.seq,
        components: needed.len() as u64,
        head: exporter.head,
        digest: hash.finish(),
    }))?)?;
    Ok(())
}

fn written(line: &ArchiveLine) -> Result<Vec<u8>, StorageError> {
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

/// The position of an export in the log.
struct Exporter<'a> {
    economy: &'a EconomyId,
    until: &'a Books,
    record: u64,
    seq: u64,
    head: Digest,
}

impl Exporter<'_> {
    /// Returns the lines of the next records. It reads the whole log, because records are stored in the order of the
    /// file and not by economy.
    fn read_some(
        &mut self,
        database: &Database,
        pace: &BackgroundPace<'_>,
    ) -> Result<Vec<ArchiveLine>, StorageError> {
        let from = self.record;
        let mut lines = Vec::new();
        let mut bytes = 0;
        each_frame(database, from, |frame| {
            self.read_frame(&frame, &mut lines)?;
            self.record = frame.next_record().saturating_sub(1);
            bytes += frame.bytes();
            pace.step();
            let room = self.record - from < RECORDS_AT_ONCE && bytes < BYTES_AT_ONCE;
            Ok(self.seq < self.until.seq() && room)
        })?;
        if self.record == from {
            let what = "records of the economy are missing after it";
            return Err(StorageError::damaged(from, what));
        }
        Ok(lines)
    }

    fn read_frame(
        &mut self,
        frame: &Frame,
        lines: &mut Vec<ArchiveLine>,
    ) -> Result<(), StorageError> {
        let mut economies = frame.header.economies.iter();
        if !economies.any(|entry| entry.economy == *self.economy) {
            return Ok(());
        }
        let mut reader = frame.reader();
        while let Some((record, link)) = reader.next()? {
            if record.economy == *self.economy && self.seq < self.until.seq() {
                self.check(&record, &link)?;
                let line = RecordLine::of(record, &link, self.until)?;
                lines.push(ArchiveLine::Record(Box::new(line)));
            }
        }
        Ok(())
    }

    /// Checks a record, so that a damaged record is not exported.
    fn check(&mut self, record: &Record, link: &ChainLink) -> Result<(), StorageError> {
        if record.seq != self.seq.saturating_add(1) || link.previous != self.head {
            return Err(StorageError::damaged(
                record.id,
                "it does not follow the one before it",
            ));
        }
        self.seq = record.seq;
        self.head = link.hash;
        Ok(())
    }
}
