//! The index of a file: its opening, and the addition of the records that it does not have yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::database::Database;
use crate::error::{Result, StorageError};
use crate::file::names::with_suffix;
use crate::index::entries::entries_of_read;
use crate::index::{Index, IndexConfig, IndexOptions, LogIdentity, RealFolder};
use crate::log::reader::{LogReader, each_frame, head_at, last_record};
use crate::{rows, schema};

/// The suffix of the folder of an index.
const SUFFIX: &str = "-index";

/// Returns the folder of a file's index.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    with_suffix(file, SUFFIX)
}

/// Opens the index of a file. An index that does not belong to the file is rebuilt by [`catch_up`].
///
/// After a stop that was not orderly, all pages of the index are checked: what was not synced may be missing.
pub(crate) fn open(file: &Path, database: &Database, config: IndexConfig) -> Result<Index> {
    let folder = folder_of(file);
    let opened = RealFolder::open(&folder);
    let opened = opened.map_err(|source| StorageError::File {
        path: folder,
        source,
    })?;
    let log = IndexedLog {
        database,
        file_id: file_id(database)?,
        records: last_record(database)?,
    };
    let secret = database.random_bytes()?;
    let options = IndexOptions {
        verified: schema::stamp(database)?.is_open(),
        secret: secret.first_chunk().copied().unwrap_or_default(),
        config,
    };
    let index = Index::open(Arc::new(opened), &log, &options)?;
    let records = log.records;
    let covered = index.covered();
    if covered < records {
        tracing::info!(
            records,
            covered,
            "the index lacks records and is completed from the log"
        );
    }
    Ok(index)
}

/// Opens the index of a file that no process has open, with all records of the file.
pub(crate) fn open_whole(file: &Path) -> Result<Arc<Index>> {
    let database = Database::open_reader(file)?;
    let index = open(file, &database, IndexConfig::default())?;
    catch_up(&database, &index)?;
    Ok(Arc::new(index))
}

/// Adds the records of the log that an index lacks.
pub(crate) fn catch_up(database: &Database, index: &Index) -> Result<()> {
    let mut indexed = index.indexed();
    let next = LogReader::open(database)?.frame_of(indexed.saturating_add(1))?;
    let Some(frame) = next else {
        return Ok(());
    };
    let before = frame.header.first_record.saturating_sub(1);
    each_frame(database, before, |frame| {
        let mut entries = Vec::new();
        // Each record is read once. A read by number would have to skip the earlier records of the frame each time.
        for record in frame.records() {
            let record = record?;
            if record.id > indexed {
                entries.push(entries_of_read(&record)?);
                indexed = record.id;
            }
        }
        index.add_blocking(&entries, *frame.head.as_bytes())?;
        Ok(true)
    })
}

/// The identity of a log, by which its index recognises it.
struct IndexedLog<'a> {
    database: &'a Database,
    file_id: [u8; 16],
    records: u64,
}

impl LogIdentity for IndexedLog<'_> {
    type Error = StorageError;

    fn file_id(&self) -> [u8; 16] {
        self.file_id
    }

    fn head_at(&self, record: u64) -> Result<Option<[u8; 32]>> {
        Ok(head_at(self.database, record)?.map(|head| *head.as_bytes()))
    }

    fn records(&self) -> u64 {
        self.records
    }
}

/// Returns the random id of a file.
fn file_id(database: &Database) -> Result<[u8; 16]> {
    let mut find = database.prepare("SELECT file FROM identity")?;
    let id = find.first(Vec::new(), |row| rows::bytes(row, 0, 0))?;
    let id = id.unwrap_or_default();
    let damaged = |_| StorageError::damaged(0, "the id of the file is missing");
    id.try_into().map_err(damaged)
}
