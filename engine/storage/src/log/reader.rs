//! Reads of the log: all frames in order, and single records.

use std::collections::VecDeque;
use std::sync::Arc;

use bursar_ledger::Digest;
use libsql::Row;

use crate::database::{Database, Statement, integer};
use crate::error::{Result, StorageError};
use crate::log::frame::{Frame, FrameRow};
use crate::record::{ChainLink, Record};
use crate::rows;

/// The number of decompressed frames that a reader keeps. A page of a history often reads several records of a frame.
pub(crate) const FRAMES_KEPT: usize = 8;

/// The largest frame that a reader keeps, in bytes.
pub(crate) const FRAME_KEPT_BYTES_MAX: usize = 256 << 10;

/// The columns of [`frame_row`].
const COLUMNS: &str = "id, batch, records, format, request_bytes, head, bytes";

/// Reads all frames after a record, in order, until `each` returns false. The record must be the last one of a frame,
/// or 0.
pub(crate) fn each_frame(
    database: &Database,
    after: u64,
    mut each: impl FnMut(Frame) -> Result<bool>,
) -> Result<()> {
    let mut read = database.prepare(&format!(
        "SELECT {COLUMNS} FROM frames WHERE id > ?1 ORDER BY id"
    ))?;
    let mut next = after.saturating_add(1);
    read.each(vec![integer(after)], |row| {
        let row = frame_row(row)?;
        if row.first_record != next {
            return Err(StorageError::damaged(next, "it is missing"));
        }
        let frame = Frame::open(&row)?;
        next = frame.next_record();
        each(frame)
    })
}

/// Passes the records of a frame with their hashes to `each` until it returns false, and checks after the last one that
/// the frame follows the one with the hash `previous`. Returns false if `each` did.
pub(crate) fn each_record(
    frame: &Frame,
    previous: &Digest,
    mut each: impl FnMut(Record, ChainLink) -> Result<bool>,
) -> Result<bool> {
    let mut reader = frame.reader();
    while let Some((record, link)) = reader.next()? {
        if !each(record, link)? {
            return Ok(false);
        }
    }
    reader.finish(previous)?;
    Ok(true)
}

/// Returns the number of the newest record in a file; 0 if it has none.
pub(crate) fn last_record(database: &Database) -> Result<u64> {
    let mut read = database.prepare("SELECT id, records FROM frames ORDER BY id DESC LIMIT 1")?;
    let last = read.first(Vec::new(), |row| {
        let first = rows::count(row, 0, 0)?;
        // A number below zero is reported when the frame is read.
        let records = u64::try_from(rows::number(row, 1, first)?).unwrap_or(1);
        Ok(first.saturating_add(records).saturating_sub(1))
    })?;
    Ok(last.unwrap_or_default())
}

fn frame_row(row: &Row) -> Result<FrameRow> {
    let first_record = rows::count(row, 0, 0)?;
    let format = rows::count(row, 3, first_record)?;
    let request_bytes = rows::number_or_none(row, 4, first_record)?;
    let request_bytes = request_bytes.map(u64::try_from).transpose();
    let below = |_| StorageError::damaged(first_record, "a length is below zero");
    Ok(FrameRow {
        first_record,
        batch: rows::count(row, 1, first_record)?,
        records: rows::count(row, 2, first_record)?,
        format: u32::try_from(format).unwrap_or(u32::MAX),
        request_bytes: request_bytes.map_err(below)?,
        head: rows::digest(row, 5, first_record)?,
        bytes: rows::bytes(row, 6, first_record)?,
    })
}

/// A reader of single records.
pub(crate) struct LogReader {
    find: Statement,
    find_length: Statement,
    kept: VecDeque<Arc<Frame>>,
}

impl LogReader {
    pub(crate) fn open(database: &Database) -> Result<Self> {
        Ok(Self {
            find: database.prepare(&format!(
                "SELECT {COLUMNS} FROM frames WHERE id <= ?1 ORDER BY id DESC LIMIT 1"
            ))?,
            find_length: database.prepare(
                "SELECT id, request_bytes FROM frames WHERE id <= ?1 ORDER BY id DESC LIMIT 1",
            )?,
            kept: VecDeque::new(),
        })
    }

    /// Returns a record, or `None` if the file has no record with this number.
    pub(crate) fn find(&mut self, record: u64) -> Result<Option<Record>> {
        let frame = self.frame_of(record)?;
        frame.map(|frame| frame.record(record)).transpose()
    }

    /// Returns a record that must be in the file.
    pub(crate) fn record(&mut self, record: u64) -> Result<Record> {
        let found = self.find(record)?;
        found.ok_or_else(|| StorageError::damaged(record, "it is missing"))
    }

    /// Returns a record with its place in the hash chain, or `None` if the file has no record with this number. Hashes
    /// the earlier records of its frame.
    pub(crate) fn chained(&mut self, record: u64) -> Result<Option<(Record, ChainLink)>> {
        let Some(frame) = self.frame_of(record)? else {
            return Ok(None);
        };
        let mut reader = frame.reader();
        while let Some((read, link)) = reader.next()? {
            if read.id == record {
                return Ok(Some((read, link)));
            }
        }
        Ok(None)
    }

    /// Returns the length of a record's request if the record has a frame of its own, without reading the frame.
    pub(crate) fn request_bytes(&mut self, record: u64) -> Result<Option<u64>> {
        let found = self.find_length.first(vec![integer(record)], |row| {
            let first = rows::count(row, 0, record)?;
            let length = rows::number_or_none(row, 1, record)?;
            Ok(length.filter(|_| first == record))
        })?;
        found.flatten().map(rows::unsigned).transpose()
    }

    /// Returns the frame of a record.
    pub(crate) fn frame_of(&mut self, record: u64) -> Result<Option<Arc<Frame>>> {
        if let Some(frame) = self.kept.iter().find(|frame| frame.has(record)) {
            return Ok(Some(Arc::clone(frame)));
        }
        // No record has a number beyond the range of SQL's integers.
        if i64::try_from(record).is_err() {
            return Ok(None);
        }
        let row = self.find.first(vec![integer(record)], frame_row)?;
        let Some(frame) = row.as_ref().map(Frame::open).transpose()? else {
            return Ok(None);
        };
        if !frame.has(record) {
            return Ok(None);
        }
        let frame = Arc::new(frame);
        if frame.bytes() <= FRAME_KEPT_BYTES_MAX {
            if self.kept.len() == FRAMES_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(Arc::clone(&frame));
        }
        Ok(Some(frame))
    }
}

/// Returns the hash of the frame that ends with a record, or `None` if no frame does.
pub(crate) fn head_at(database: &Database, record: u64) -> Result<Option<Digest>> {
    if i64::try_from(record).is_err() {
        return Ok(None);
    }
    let mut find = database
        .prepare("SELECT id, records, head FROM frames WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
    let found = find.first(vec![integer(record)], |row| {
        let first = rows::count(row, 0, record)?;
        let records = rows::count(row, 1, first)?;
        let head = rows::digest(row, 2, first)?;
        let last = first.saturating_add(records).saturating_sub(1);
        Ok((last == record).then_some(head))
    })?;
    Ok(found.flatten())
}
