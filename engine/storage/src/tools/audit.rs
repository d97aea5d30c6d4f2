//! The audit: a check of every promise against every record, from the first one.
//!
//! It rebuilds the state from the log alone and compares it with the state in use. Records of this
//! version are decided and rendered again, and must give the same effects and the same bytes. Records of
//! another version are not decided again, because a new version must not change what an old one decided.
//!
//! It reads the log in slices, each under its own snapshot of the file. The write-ahead log can restart
//! between two slices. Records never change, so the slices fit together.

mod auditor;
mod books;
mod conclusion;
mod heads;
mod indexed;
mod records;
mod report;
mod tables;
mod watch;

use std::path::Path;

pub(crate) use auditor::AuditInput;
pub use heads::{HEADS_MAX, HeadError, SeenHead};
pub(crate) use report::heads_of;
pub use report::{AuditReport, EconomyHead, FoundHead, LimitBreach, Promise};
pub use watch::AUDIT_WAL_BYTES_MAX;
pub(crate) use watch::Watch;

use crate::cancel::Cancel;
use crate::checkpoint::{self, Checkpoint};
use crate::commit::submission::Render;
use crate::database::Database;
use crate::error::StorageError;
use crate::log::frame::Frame;
use crate::log::indexing;
use crate::log::reader::{each_frame, each_record, last_record};
use crate::schema;
use crate::state::State;
use crate::time::clock::Mark;
use crate::time::mark;
use crate::wal::Wal;
use auditor::Auditor;
use report::P;

/// The largest number of records that are read under one snapshot of the file. A snapshot keeps the
/// write-ahead log from restarting.
const RECORDS_AT_ONCE: u64 = 1_000;

/// The largest number of bytes of requests, acts and answers that are read under one snapshot. The last
/// record may exceed it.
const BYTES_AT_ONCE: usize = 4 << 20;

/// Loads the state of a file from its checkpoint and its log.
pub(crate) fn load(path: &Path) -> Result<State, StorageError> {
    load_with_mark(path).map(|(state, _)| state)
}

/// Loads the state of a file, and the mark of its clock.
pub(crate) fn load_with_mark(path: &Path) -> Result<(State, Option<Mark>), StorageError> {
    let database = Database::open_reader(path)?;
    schema::check(&database)?;
    let (state, _) = checkpoint::load(&database)?;
    Ok((state, mark::load(&database)?))
}

/// Checks a file that no server uses, even if a server could not open it.
pub(crate) fn audit_whole(
    path: &Path,
    heads: &[SeenHead],
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, StorageError> {
    let loaded = match load(path) {
        Ok(state) => Ok(state),
        Err(error @ StorageError::Damaged { .. }) => Err(error),
        Err(error) => return Err(error),
    };
    let state = loaded.as_ref().ok();
    let cancel = Cancel::new();
    let watch = Watch::alone(&cancel);
    // A log that cannot be read has no index that could be compared.
    let index = indexing::open_whole(path).ok();
    let against = AuditInput {
        state,
        heads,
        index: index.as_deref(),
    };
    let mut report = audit(path, &against, &watch, render, progress)?;
    if let Err(error) = loaded {
        report.add(P::Durable, &format!("the file does not open: {error}"));
    }
    Ok(report)
}

/// Checks a file. Calls `progress` after each record, with its number and that of the last record.
pub(crate) fn audit(
    path: &Path,
    against: &AuditInput<'_>,
    watch: &Watch<'_>,
    render: Render,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, StorageError> {
    let database = Database::open_reader(path)?;
    let mut auditor = Auditor::new(&database, render, against)?;
    let last = match against.state {
        Some(state) => state.record,
        None => last_record(&database)?,
    };
    let slice = watch.enter()?;
    let newest = checkpoint::newest(&database)?;
    drop(slice);
    let checkpoint = match newest {
        Checkpoint::Absent => None,
        Checkpoint::Sound(state) => Some(*state),
        Checkpoint::Unsound { record, what } => {
            auditor.find(
                P::Durable,
                format!("the checkpoint at record {record}: {what}"),
            );
            None
        }
    };
    let mut whole = true;
    while whole && auditor.state.record < last {
        let mut done = |record| progress(record, last);
        whole = auditor.read_some(&database, last, checkpoint.as_ref(), watch, &mut done)?;
    }
    // After a record that cannot be applied, the rest of the file cannot be compared.
    if whole {
        if against.state.is_some_and(|state| auditor.state != *state) {
            let what = "the state in use differs from the one that the log gives";
            auditor.find(P::Durable, what);
        }
        auditor.check_index(watch)?;
        auditor.check_tables(&database)?;
        auditor.check_heads();
    }
    auditor.check_books();
    auditor.check_pages(&database, watch, &Wal::of(path, watch.wal_bytes_max))?;
    Ok(auditor.report())
}

impl Auditor<'_> {
    /// Checks that the index has the entries of all records up to the last one, and no others.
    fn check_index(&mut self, watch: &Watch<'_>) -> Result<(), StorageError> {
        if let Some(index) = self.index {
            let findings = self.expected.compare(index, self.state.record, watch)?;
            for (promise, what) in findings {
                self.find(promise, what);
            }
        }
        Ok(())
    }

    /// Checks the next records. Returns false if a record is missing, damaged or cannot be applied.
    fn read_some(
        &mut self,
        database: &Database,
        last: u64,
        checkpoint: Option<&State>,
        watch: &Watch<'_>,
        done: &mut dyn FnMut(u64),
    ) -> Result<bool, StorageError> {
        let from = self.state.record;
        let mut broken = false;
        let mut bytes = 0_usize;
        let _slice = watch.enter()?;
        let read = each_frame(database, from, |frame| {
            if let Err(error) = self.check_frame(&frame, watch, done) {
                let StorageError::Damaged { .. } = error else {
                    return Err(error);
                };
                self.find(P::Explainable, error);
                broken = true;
                return Ok(false);
            }
            if let Some(checkpoint) = checkpoint.filter(|it| it.record == self.state.record) {
                self.checkpoint_met = Some(checkpoint.record);
                if self.state != *checkpoint {
                    self.find(P::Durable, "the newest checkpoint differs from the log");
                }
            }
            bytes += frame.bytes();
            let record = self.state.record;
            let room = record - from < RECORDS_AT_ONCE && bytes < BYTES_AT_ONCE;
            Ok(record < last && room && !watch.must_pause())
        });
        match read {
            Ok(()) if !broken && self.state.record == from => {
                let first = from.saturating_add(1);
                self.find(
                    P::Durable,
                    format!("record {first} is missing, and all after it"),
                );
                Ok(false)
            }
            Ok(()) => Ok(!broken),
            Err(error @ StorageError::Damaged { .. }) => {
                self.find(P::Explainable, error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks the records of the next frame.
    fn check_frame(
        &mut self,
        frame: &Frame,
        watch: &Watch<'_>,
        done: &mut dyn FnMut(u64),
    ) -> Result<(), StorageError> {
        let previous = self.state.log_head;
        each_record(frame, &previous, |record, link| {
            self.check_record(&record, &link)?;
            done(record.id);
            watch.pace.step();
            watch.cancel.check()?;
            Ok(true)
        })?;
        self.state.close_frame(frame)
    }

    /// Checks the pages of the file, in one statement. If the write-ahead log grows too much meanwhile, the
    /// check is cancelled, and the report says so. A backup can be checked instead.
    fn check_pages(
        &mut self,
        database: &Database,
        watch: &Watch<'_>,
        log: &Wal,
    ) -> Result<(), StorageError> {
        let mut check = database.prepare("PRAGMA integrity_check(10)")?;
        let lines = watch.long_statement(database, log, || {
            let mut lines = Vec::new();
            check.each(Vec::new(), |row| {
                lines.push(row.get::<String>(0)?);
                Ok(true)
            })?;
            Ok(lines)
        })?;
        self.pages_checked = lines.is_some();
        for line in lines
            .unwrap_or_default()
            .into_iter()
            .filter(|line| line != "ok")
        {
            self.find(P::Durable, line);
        }
        Ok(())
    }
}
