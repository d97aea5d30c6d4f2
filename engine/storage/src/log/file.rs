//! The log in a database file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bursar_ledger::{Digest, Timestamp};
use bytes::Bytes;

use crate::checkpoint::{self, PiecesHash};
use crate::database::{Database, Statement, integer, optional, text};
use crate::error::{Result, StorageError};
use crate::file::create::create;
use crate::file::lock::{FileIdentity, canonical};
use crate::file::rewrite;
use crate::file::stamp::Stamp;
use crate::index::{Index, IndexConfig};
use crate::log::frame::FrameRow;
use crate::log::indexing;
use crate::log::reader::LogReader;
use crate::log::store::{Commit, Epoch, Log, Portion};
use crate::query::reader::Readers;
use crate::record::{EconomyNumber, KeyLookup, Salts, VERSION};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::Mark;
use crate::time::mark::{self, MarkTable};
use crate::webhooks::notes::{self, Note, NoteTable, Notes};
use crate::{rows, schema};

/// The length in bytes from which a stored request is read only if the other one has the same length.
pub(crate) const LARGE_REQUEST_BYTES: u64 = 32 << 10;

/// The log in a libSQL file. It owns the only connection that writes.
pub(crate) struct FileLog {
    database: Database,
    path: PathBuf,
    identity: FileIdentity,
    epoch: Epoch,
    checkpointed: u64,
    /// The digest of the pieces so far of the checkpoint that is being written.
    pieces_hash: Option<PiecesHash>,
    notes: NoteTable,
    stamp: Stamp,
    index: Arc<Index>,
    reader: LogReader,
    /// Connections that are closed before this one, because the last connection removes the write-ahead log.
    readers: Option<Arc<Readers>>,
    marks: MarkTable,
    begin_txn: Statement,
    commit_txn: Statement,
    insert_frame: Statement,
    insert_component: Statement,
    insert_piece: Statement,
}

impl FileLog {
    /// Opens the file, brings it to the newest schema and begins an epoch.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, at: Timestamp) -> Result<Self> {
        let mut log = Self::prepare(path, IndexConfig::default())?;
        log.begin(at)?;
        Ok(log)
    }

    /// Opens the file again if it is still the same one. Never creates a file.
    pub(crate) fn reopen(
        identity: &FileIdentity,
        path: &Path,
        index: &Arc<Index>,
        at: Timestamp,
    ) -> Result<Self> {
        identity.check()?;
        let mut log = Self::prepare_existing(&canonical(path), |_| Ok(Arc::clone(index)))?;
        log.begin(at)?;
        Ok(log)
    }

    /// Begins an epoch of a file that was prepared.
    pub(crate) fn begin(&mut self, at: Timestamp) -> Result<()> {
        self.txn(|log| log.begin_epoch(at))?;
        // This copies the stamp into the file, so a copy of the file without its log shows that it was open.
        self.tidy().map(drop)
    }

    /// Returns the index of the file.
    pub(crate) fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// Adds the records to the index that it does not have yet.
    pub(crate) fn catch_up(&self) -> Result<()> {
        indexing::catch_up(&self.database, &self.index)
    }

    /// Sets the connections that are closed before this one.
    pub(crate) fn close_after(&mut self, readers: Arc<Readers>) {
        self.readers = Some(readers);
    }

    /// Returns the identity of the opened file.
    pub(crate) fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Opens the file, or makes it, and brings it to the newest schema. Nothing may be appended before an
    /// epoch is begun.
    pub(crate) fn prepare(path: &Path, config: IndexConfig) -> Result<Self> {
        let path = canonical(path);
        if !path.exists() {
            create(&path)?;
        }
        Self::prepare_existing(&path, |database| {
            indexing::open(&path, database, config).map(Arc::new)
        })
    }

    fn prepare_existing(
        path: &Path,
        index: impl FnOnce(&Database) -> Result<Arc<Index>>,
    ) -> Result<Self> {
        rewrite::rewrite_log(path)?;
        let database = Database::open_writer(path)?;
        schema::migrate(&database)?;
        Ok(Self {
            stamp: schema::stamp(&database)?,
            readers: None,
            notes: NoteTable::open(&database)?,
            marks: MarkTable::open(&database)?,
            begin_txn: database.prepare("BEGIN IMMEDIATE")?,
            commit_txn: database.prepare("COMMIT")?,
            insert_frame: database.prepare(
                "INSERT INTO frames (id, batch, records, format, request_bytes, head, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            insert_component: database
                .prepare("INSERT INTO components (digest, bytes) VALUES (?1, ?2)")?,
            insert_piece: database.prepare(
                "INSERT INTO checkpoint_pieces (checkpoint, ordinal, bytes) VALUES (?1, ?2, ?3)",
            )?,
            identity: FileIdentity::of(path)?,
            path: path.to_owned(),
            epoch: Epoch {
                number: 0,
                salts: Salts(database.random_bytes()?),
            },
            index: index(&database)?,
            reader: LogReader::open(&database)?,
            checkpointed: 0,
            pieces_hash: None,
            database,
        })
    }

    /// Begins another opening of the file, in a txn.
    pub(crate) fn begin_epoch(&mut self, at: Timestamp) -> Result<()> {
        let mut begin = self.database.prepare(
            "INSERT INTO epochs (epoch, opened_at, version)
             VALUES ((SELECT coalesce(max(epoch), 0) + 1 FROM epochs), ?1, ?2)",
        )?;
        begin.run(vec![integer(at.0), text(VERSION)])?;
        self.epoch.number = rows::unsigned(self.database.number("SELECT max(epoch) FROM epochs")?)?;
        Ok(())
    }

    /// Makes each later epoch greater than this number.
    pub(crate) fn pass_epoch(&mut self, epoch: u64, at: Timestamp) -> Result<()> {
        let mut pass = self.database.prepare(
            "INSERT OR IGNORE INTO epochs (epoch, opened_at, version) VALUES (?1, ?2, ?3)",
        )?;
        pass.run(vec![integer(epoch), integer(at.0), text(VERSION)])
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs some writes as one txn. Rolls it back if one of them fails.
    pub(crate) fn txn<E: From<StorageError>>(
        &mut self,
        writes: impl FnOnce(&mut Self) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.txn_as(true, writes)
    }

    /// Runs some writes as one txn, after which the file is open or closed.
    fn txn_as<E: From<StorageError>>(
        &mut self,
        is_open: bool,
        writes: impl FnOnce(&mut Self) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let stamp = self.stamp.with_open(is_open).next();
        self.begin_txn.run(Vec::new())?;
        let done = self
            .write_stamp(stamp)
            .map_err(E::from)
            .and_then(|()| writes(self))
            .and_then(|()| Ok(self.commit_txn.run(Vec::new())?));
        if done.is_ok() {
            self.stamp = stamp;
        } else if self.database.in_txn() {
            // The first error is the one to report; a failed commit may have rolled back itself.
            drop(self.database.batch("ROLLBACK"));
        }
        done
    }

    /// Writes a stamp, in a txn.
    fn write_stamp(&self, stamp: Stamp) -> Result<()> {
        let word = stamp.sql();
        self.database
            .batch(&format!("PRAGMA user_version = {word}"))
    }

    /// Writes the rows of a commit, in a txn.
    pub(crate) fn insert(
        &mut self,
        frames: Vec<FrameRow>,
        components: Vec<(Digest, Bytes)>,
    ) -> Result<()> {
        for (digest, bytes) in components {
            let values = vec![rows::blob(&digest), libsql::Value::Blob(bytes.into())];
            self.insert_component.run(values)?;
        }
        for frame in frames {
            self.insert_frame.run(vec![
                integer(frame.first_record),
                integer(frame.batch),
                integer(frame.records),
                integer(frame.format.into()),
                optional(frame.request_bytes.map(integer)),
                rows::blob(&frame.head),
                libsql::Value::Blob(frame.bytes),
            ])?;
        }
        Ok(())
    }

    /// Writes notes, in a txn.
    pub(crate) fn insert_notes(&mut self, notes: &[Note]) -> Result<()> {
        self.notes.write(notes)
    }

    /// Returns the notes of the file.
    pub(crate) fn load_notes(&self) -> Result<Notes> {
        notes::load(&self.database).map(Notes::new)
    }

    /// Returns the mark of the file.
    pub(crate) fn load_mark(&self) -> Result<Option<Mark>> {
        mark::load(&self.database)
    }
}

impl Log for FileLog {
    fn load(&mut self) -> Result<State> {
        let (state, checkpointed) = checkpoint::load(&self.database)?;
        self.checkpointed = checkpointed;
        self.catch_up()?;
        Ok(state)
    }

    fn checkpointed(&self) -> u64 {
        self.checkpointed
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn find(
        &mut self,
        economy: EconomyNumber,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>> {
        for record in self.index.records_of_key(economy.0, key)? {
            // A large record is not read for a request of another length, which cannot be the same one. Only a match
            // of two fingerprints of 64 bits could make this wrong.
            let length = self.reader.request_bytes(record)?;
            if length.is_some_and(|length| {
                length >= LARGE_REQUEST_BYTES && length != asked.as_str().len() as u64
            }) {
                return Ok(Some(KeyLookup::Other));
            }
            let found = self.reader.record(record)?;
            // Two keys may have one fingerprint.
            if found.number != economy || found.key.as_deref() != Some(key) {
                continue;
            }
            return Ok(Some(if found.request == asked.as_str() {
                KeyLookup::Same(found.stored_answer())
            } else {
                KeyLookup::Other
            }));
        }
        Ok(None)
    }

    fn append(&mut self, commit: Commit, notes: &[Note], mark: Option<&Mark>) -> Result<()> {
        let Commit {
            frames,
            components,
            entries,
        } = commit;
        let head = frames.last().map(|frame| frame.head);
        self.txn(|log| {
            log.insert(frames, components)?;
            log.insert_notes(notes)?;
            mark.map_or(Ok(()), |mark| log.marks.write(mark))
        })?;
        // Before the state is published, so that whatever a reader sees is found.
        match head {
            Some(head) => Ok(self.index.add(&entries, *head.as_bytes())?),
            None => Ok(()),
        }
    }

    fn is_behind(&self) -> Result<bool> {
        // The next start finds the damage, because this process ends without an orderly close.
        if !self.index.is_behind() && !self.index.is_damaged() {
            return Ok(false);
        }
        let failure = self.index.failure();
        failure.map_or(Ok(true), |failure| Err(failure.into()))
    }

    fn begin_checkpoint(&mut self, state: &State) -> Result<u64> {
        let mut begin = self.database.prepare(
            "INSERT INTO checkpoints (id, record, movement, batch, head, recorded_at, pieces)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM checkpoints), ?1, ?2, ?3, ?4, ?5, NULL)",
        )?;
        self.txn(|_| {
            begin.run(vec![
                integer(state.record),
                integer(state.movement),
                integer(state.batch),
                rows::blob(&state.log_head),
                integer(state.recorded_at.0),
            ])
        })?;
        self.pieces_hash = Some(PiecesHash::new(state));
        rows::unsigned(self.database.number("SELECT max(id) FROM checkpoints")?)
    }

    fn add_piece(&mut self, checkpoint: u64, ordinal: u64, piece: &[u8]) -> Result<()> {
        self.txn(|log| {
            if let Some(hash) = log.pieces_hash.as_mut() {
                hash.add(piece);
            }
            let piece = libsql::Value::Blob(piece.to_vec());
            log.insert_piece
                .run(vec![integer(checkpoint), integer(ordinal), piece])
        })
    }

    fn close_checkpoint(&mut self, checkpoint: u64, pieces: u64) -> Result<()> {
        let hash = self.pieces_hash.take().map(PiecesHash::finish);
        let mut close = self
            .database
            .prepare("UPDATE checkpoints SET pieces = ?2, digest = ?3 WHERE id = ?1")?;
        let digest = optional(hash.as_ref().map(rows::blob));
        self.txn(|_| close.run(vec![integer(checkpoint), integer(pieces), digest]))
    }

    fn remove_old_pieces(&mut self, portion: Portion) -> Result<bool> {
        let mut find = self.database.prepare(
            "SELECT checkpoint, ordinal, octet_length(bytes) FROM checkpoint_pieces
             WHERE checkpoint < (SELECT max(id) FROM checkpoints WHERE pieces IS NOT NULL)
             ORDER BY checkpoint, ordinal LIMIT ?1",
        )?;
        let mut last = None;
        let mut bytes = 0;
        find.each(vec![integer(portion.pieces as u64)], |row| {
            last = Some((rows::unsigned(row.get(0)?)?, rows::unsigned(row.get(1)?)?));
            bytes += rows::unsigned(row.get(2)?)?;
            Ok(bytes < portion.bytes as u64)
        })?;
        let Some((checkpoint, ordinal)) = last else {
            return Ok(false);
        };
        let mut remove = self
            .database
            .prepare("DELETE FROM checkpoint_pieces WHERE (checkpoint, ordinal) <= (?1, ?2)")?;
        self.txn(|_| remove.run(vec![integer(checkpoint), integer(ordinal)]))?;
        Ok(true)
    }

    fn tidy(&mut self) -> Result<u64> {
        self.identity.check()?;
        let mut copy = self.database.prepare("PRAGMA wal_checkpoint(PASSIVE)")?;
        let copied = copy.first(Vec::new(), |row| {
            let frames = row.get::<i64>(1)?;
            let copied = row.get::<i64>(2)?;
            Ok(if copied < frames { frames } else { 0 })
        })?;
        rows::unsigned(copied.unwrap_or_default())
    }

    fn close(mut self) -> Result<()> {
        if let Some(readers) = self.readers.take() {
            readers.close();
        }
        if let Err(error) = self.index.close() {
            tracing::warn!(%error, "the index could not be completed; the next start completes it");
        }
        // A start checks the whole index only after a stop that was not orderly.
        let is_open = self.index.is_damaged();
        self.txn_as(is_open, |_| Ok::<_, StorageError>(()))?;
        self.tidy()?;
        // This does not wait for readers. A log that remains belongs to the file.
        self.database.batch("PRAGMA busy_timeout = 0")?;
        self.database.number("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }
}
