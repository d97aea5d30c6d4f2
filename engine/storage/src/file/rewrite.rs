//! The repair of a write-ahead log whose last sync may have failed.
//!
//! After a failed sync the kernel shows pages that never reached the disk, and takes them for clean, so that a later
//! sync succeeds without writing them (<https://wiki.postgresql.org/wiki/Fsync_Errors>). A process that was started
//! after such a failure would read commits that a power cut removes again, together with all commits behind them in
//! the log, because SQLite applies a log up to its first gap. So what is read back counts only once its bytes were
//! written again.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::StorageError;
use crate::file::log_origin::path_of;

/// The number of bytes that are written at once.
const PART_BYTES: usize = 1 << 20;

/// Writes the bytes of the write-ahead log beside a file in their places again, and syncs them.
///
/// SQLite must not write to the log meanwhile; it may read. After a crash during the work each byte is as it was read,
/// or as the disk had it before. No lock of SQLite is on this file, so closing it releases none.
pub(crate) fn rewrite_log(database: &Path) -> Result<(), StorageError> {
    let path = path_of(database);
    let failed = |source| StorageError::File {
        path: path.clone(),
        source,
    };
    let log = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    let mut part = vec![0; PART_BYTES];
    let mut at = 0;
    loop {
        let read = match log.read_at(&mut part, at) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(failed(source)),
        };
        let bytes = part.get(..read).unwrap_or_default();
        log.write_all_at(bytes, at).map_err(failed)?;
        at = at.saturating_add(read as u64);
    }
    if at > 0 {
        log.sync_all().map_err(failed)?;
    }
    Ok(())
}
