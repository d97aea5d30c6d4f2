//! The journal as the writer uses it, and its implementation in a database file.
//!
//! The trait hides the database from the writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bursar_ledger::{Digest, EconomyId, Timestamp};
use bytes::Bytes;

use crate::checkpoint::{self, PiecesHash};
use crate::commit::maintenance::Portion;
use crate::database::{Database, Statement, integer, optional, text};
use crate::error::StorageError;
use crate::file::create::create;
use crate::file::lock::{FileIdentity, canonical};
use crate::file::stamp::Stamp;
use crate::index::account_history::AccountHistoryIndex;
use crate::index::idempotency_keys::KeyIndex;
use crate::index::subjects::{SubjectIndex, SubjectRow};
use crate::query::reader::Readers;
use crate::record::{Entry, KeyLookup, Record, VERSION};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::Mark;
use crate::time::mark::{self, MarkTable};
use crate::webhooks::notes::{self, Note, NoteTable, Notes};
use crate::{rows, schema};

type Result<T> = std::result::Result<T, StorageError>;

/// A record that is to be appended, with the component bytes that come with it.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    pub(crate) record: Record,
    pub(crate) component: Option<(Digest, Bytes)>,
    /// The ids by which the record can be found.
    pub(crate) subjects: Vec<SubjectRow>,
}

/// A store that makes batches of records durable.
pub(crate) trait Journal {
    /// Loads the state on disk: the newest closed checkpoint, with all later records checked and applied.
    fn load(&mut self) -> Result<State>;

    /// Returns the record of the loaded checkpoint; 0 if none was loaded.
    fn checkpointed(&self) -> u64;

    /// Returns the epoch, which is part of every record.
    fn epoch(&self) -> u64;

    /// Looks up an idempotency key and compares its request with `asked`.
    fn find(
        &mut self,
        economy: &EconomyId,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>>;

    /// Commits a batch with some notes and a mark, all or nothing. After an error the batch may be committed
    /// or not.
    fn append(&mut self, batch: &[NewRecord], notes: &[Note], mark: Option<&Mark>) -> Result<()>;

    /// Begins a checkpoint of a state, and returns its number.
    fn begin_checkpoint(&mut self, state: &State) -> Result<u64>;

    /// Adds pieces, as JSON, to a checkpoint that was begun.
    fn add_pieces(
        &mut self,
        checkpoint: u64,
        first: u64,
        pieces: &[(EconomyId, String)],
    ) -> Result<()>;

    /// Closes a checkpoint with this number of pieces. Starts use it from then on.
    fn close_checkpoint(&mut self, checkpoint: u64, pieces: u64) -> Result<()>;

    /// Removes some pieces of older checkpoints. Returns false if there were none.
    fn remove_old_pieces(&mut self, portion: Portion) -> Result<bool>;

    /// Returns the newest movement up to which all are in the index by account.
    fn ordered(&self) -> u64;

    /// Adds up to `most` further movements to the index by account.
    fn order_movements(&mut self, most: u64) -> Result<()>;

    /// Copies the write-ahead log into the file, as far as readers allow, and checks that the file is still
    /// at its path. Returns the number of frames of the log if some could not be copied, and otherwise 0.
    fn tidy(&mut self) -> Result<u64>;

    /// Closes the file in an orderly way. It is then complete without its log, unless another process still
    /// reads it.
    fn close(self) -> Result<()>;
}

/// The journal in a libSQL file. It owns the only connection that writes.
pub(crate) struct FileJournal {
    database: Database,
    path: PathBuf,
    identity: FileIdentity,
    epoch: u64,
    checkpointed: u64,
    /// The digest of the pieces so far of the checkpoint that is being written.
    pieces_hash: Option<PiecesHash>,
    keys: KeyIndex,
    subjects: SubjectIndex,
    accounts: AccountHistoryIndex,
    notes: NoteTable,
    stamp: Stamp,
    /// Connections that are closed before this one, because the last connection removes the log.
    readers: Option<Arc<Readers>>,
    marks: MarkTable,
    find_record: Statement,
    find_length: Statement,
    insert_record: Statement,
    insert_movement: Statement,
    insert_component: Statement,
    insert_piece: Statement,
}

impl FileJournal {
    /// Opens the file, brings it to the newest schema and begins an epoch.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, at: Timestamp) -> Result<Self> {
        let mut journal = Self::prepare(path)?;
        journal.begin(at)?;
        Ok(journal)
    }

    /// Opens the file again if it is still the same one. Never creates a file.
    pub(crate) fn reopen(identity: &FileIdentity, path: &Path, at: Timestamp) -> Result<Self> {
        identity.check()?;
        let mut journal = Self::prepare_existing(&canonical(path))?;
        journal.begin(at)?;
        Ok(journal)
    }

    /// Begins an epoch of a file that was prepared.
    pub(crate) fn begin(&mut self, at: Timestamp) -> Result<()> {
        self.txn(|journal| journal.begin_epoch(at))?;
        // This copies the stamp into the file, so a copy of the file without its log shows that it was open.
        self.tidy().map(drop)
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
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        let path = canonical(path);
        if !path.exists() {
            create(&path)?;
        }
        Self::prepare_existing(&path)
    }

    fn prepare_existing(path: &Path) -> Result<Self> {
        let database = Database::open_writer(path)?;
        schema::migrate(&database)?;
        Ok(Self {
            stamp: schema::stamp(&database)?,
            readers: None,
            keys: KeyIndex::open(&database)?,
            subjects: SubjectIndex::open(&database)?,
            accounts: AccountHistoryIndex::open(&database)?,
            notes: NoteTable::open(&database)?,
            marks: MarkTable::open(&database)?,
            find_record: database.prepare(rows::FIND_STORED)?,
            find_length: database.prepare(rows::FIND_LENGTH)?,
            insert_record: database.prepare(
                "INSERT INTO records (id, economy, seq, epoch, version, recorded_at, kind, actor,
                     idempotency_key, request, act, outcome, changes, status, answer, previous, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?,
            insert_movement: database.prepare(
                "INSERT INTO movements (id, record, source, destination, asset, amount,
                     source_after, destination_after, source_previous, destination_previous, part)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            insert_component: database
                .prepare("INSERT INTO components (digest, bytes) VALUES (?1, ?2)")?,
            insert_piece: database.prepare(
                "INSERT INTO checkpoint_pieces (checkpoint, ordinal, economy, item)
                 VALUES (?1, ?2, ?3, ?4)",
            )?,
            identity: FileIdentity::of(path)?,
            path: path.to_owned(),
            epoch: 0,
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
        self.epoch = rows::unsigned(self.database.number("SELECT max(epoch) FROM epochs")?)?;
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
        self.database.batch("BEGIN IMMEDIATE")?;
        let done = self
            .write_stamp(stamp)
            .map_err(E::from)
            .and_then(|()| writes(self))
            .and_then(|()| Ok(self.database.batch("COMMIT")?));
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

    /// Writes a record, in a txn.
    pub(crate) fn insert(&mut self, appended: &NewRecord) -> Result<()> {
        let record = &appended.record;
        if let Some((digest, bytes)) = &appended.component {
            let values = vec![rows::blob(digest), libsql::Value::Blob(bytes.to_vec())];
            self.insert_component.run(values)?;
        }
        if let Some(key) = &record.key {
            self.keys.insert(&record.economy, key, record.id)?;
        }
        for subject in &appended.subjects {
            self.subjects.insert(subject, record.id)?;
        }
        self.insert_record.run(rows::record_values(record)?)?;
        for entry in &record.entries {
            self.insert_entry(record.id, entry)?;
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

    fn insert_entry(&mut self, record: u64, entry: &Entry) -> Result<()> {
        let posting = &entry.movement.posting;
        self.insert_movement.run(vec![
            integer(entry.number),
            integer(record),
            text(posting.source.as_str()),
            text(posting.destination.as_str()),
            text(posting.asset.as_str()),
            integer(posting.amount.get()),
            libsql::Value::Integer(entry.movement.source_after),
            libsql::Value::Integer(entry.movement.destination_after),
            optional(entry.link.source_previous.map(integer)),
            optional(entry.link.destination_previous.map(integer)),
            integer(u64::from(entry.movement.part)),
        ])
    }
}

impl Journal for FileJournal {
    fn load(&mut self) -> Result<State> {
        let (state, checkpointed) = checkpoint::load(&self.database)?;
        self.checkpointed = checkpointed;
        Ok(state)
    }

    fn checkpointed(&self) -> u64 {
        self.checkpointed
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn find(
        &mut self,
        economy: &EconomyId,
        key: &str,
        asked: &Request,
    ) -> Result<Option<KeyLookup>> {
        let Some(record) = self.keys.find(economy, key)? else {
            return Ok(None);
        };
        // A request of another length is another one, however long it is to read.
        if rows::request_bytes(&mut self.find_length, record)? != asked.as_str().len() as u64 {
            return Ok(Some(KeyLookup::Other));
        }
        let stored = rows::stored(&mut self.find_record, record)?;
        Ok(Some(if stored.request == asked.as_str() {
            KeyLookup::Same(stored)
        } else {
            KeyLookup::Other
        }))
    }

    fn append(&mut self, batch: &[NewRecord], notes: &[Note], mark: Option<&Mark>) -> Result<()> {
        self.txn(|journal| {
            for appended in batch {
                journal.insert(appended)?;
            }
            journal.insert_notes(notes)?;
            mark.map_or(Ok(()), |mark| journal.marks.write(mark))
        })
    }

    fn begin_checkpoint(&mut self, state: &State) -> Result<u64> {
        let mut begin = self.database.prepare(
            "INSERT INTO checkpoints (id, record, movement, recorded_at, pieces)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM checkpoints), ?1, ?2, ?3, NULL)",
        )?;
        self.txn(|_| {
            begin.run(vec![
                integer(state.record),
                integer(state.movement),
                integer(state.recorded_at.0),
            ])
        })?;
        self.pieces_hash = Some(PiecesHash::new(state));
        rows::unsigned(self.database.number("SELECT max(id) FROM checkpoints")?)
    }

    fn add_pieces(
        &mut self,
        checkpoint: u64,
        first: u64,
        pieces: &[(EconomyId, String)],
    ) -> Result<()> {
        self.txn(|journal| {
            for ((economy, item), ordinal) in pieces.iter().zip(first..) {
                if let Some(hash) = journal.pieces_hash.as_mut() {
                    hash.add(economy.as_str(), item);
                }
                let economy = text(economy.as_str());
                let item = text(item.as_str());
                let values = vec![integer(checkpoint), integer(ordinal), economy, item];
                journal.insert_piece.run(values)?;
            }
            Ok(())
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
            "SELECT checkpoint, ordinal, octet_length(item) FROM checkpoint_pieces
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

    fn ordered(&self) -> u64 {
        self.accounts.ordered()
    }

    fn order_movements(&mut self, most: u64) -> Result<()> {
        let mut upto = self.accounts.ordered();
        self.txn(|journal| {
            upto = journal.accounts.add(most)?;
            Ok::<_, StorageError>(())
        })?;
        self.accounts.added(upto);
        Ok(())
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
        self.txn_as(false, |_| Ok::<_, StorageError>(()))?;
        self.tidy()?;
        // This does not wait for readers. A log that remains belongs to the file.
        self.database.batch("PRAGMA busy_timeout = 0")?;
        self.database.number("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }
}
