//! Work on a whole file while it is in use: audits, backups and exports, each on a thread of low priority.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use bursar_ledger::EconomyId;

use crate::Storage;
use crate::background::{self, BackgroundPace};
use crate::cancel::Cancel;
use crate::error::StorageError;
use crate::tools::archive::{self, ArchiveError};
use crate::tools::audit::{self, AUDIT_WAL_BYTES_MAX, AuditInput, AuditReport, SeenHead, Watch};
use crate::tools::backup::{BackupError, BackupPlan, BackupReport, Source};

impl Storage {
    /// Audits the file while it is in use: checks every promise against every record and looks for the
    /// given heads. Blocks for a time that grows with the log, or until `cancel` is set. `progress`
    /// receives the number of audited records and the total.
    pub fn audit(
        &self,
        heads: &[SeenHead],
        cancel: &Cancel,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<AuditReport, StorageError> {
        let inner = &self.inner;
        let audited = background::run(|| {
            let index = inner.readers.index();
            index.freeze();
            let against = AuditInput {
                state: Some(&self.state()),
                heads,
                index: Some(index),
            };
            let watch = Watch {
                cancel,
                gate: Some(&inner.shared.log_gate),
                wal_bytes_max: AUDIT_WAL_BYTES_MAX,
                pace: BackgroundPace::beside(&inner.shared.published),
            };
            audit::audit(&inner.path, &against, &watch, inner.render, progress)
        });
        if matches!(audited, Err(StorageError::Cancelled)) {
            inner.audits_cancelled.fetch_add(1, Ordering::Relaxed);
        }
        audited.map(|report| AuditReport {
            clock: Some(inner.clock.view()),
            ..report
        })
    }

    /// Returns the number of audits that were cancelled since the file was opened.
    pub fn audits_cancelled(&self) -> u64 {
        self.inner.audits_cancelled.load(Ordering::Relaxed)
    }

    /// Copies the file to an unused path while it is in use, and verifies the copy. Blocks for a time that
    /// grows with the file. `progress` receives the number of verified records and the total.
    pub fn back_up(
        &self,
        to: &Path,
        plan: BackupPlan,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<BackupReport, BackupError> {
        let inner = &self.inner;
        background::run(|| {
            let source = Source {
                path: &inner.path,
                published: &self.state(),
                cancel: &inner.closing,
                render: inner.render,
                pace: BackgroundPace::beside(&inner.shared.published),
            };
            source.back_up(to, plan, progress)
        })
    }

    /// Exports an economy's log as lines of JSON, up to its newest record, while the file is in use.
    /// `take` receives whole lines and may block. `progress` receives the number of exported records and the
    /// total.
    pub fn export(
        &self,
        economy: &EconomyId,
        take: &mut (dyn FnMut(Vec<u8>) -> io::Result<()> + Send),
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), ArchiveError> {
        let inner = &self.inner;
        background::run(|| {
            let pace = BackgroundPace::beside(&inner.shared.published);
            archive::export(&inner.path, &self.state(), economy, &pace, take, progress)
        })
    }
}
