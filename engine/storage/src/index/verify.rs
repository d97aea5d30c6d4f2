//! The check of a whole run, after a stop that was not orderly.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::entry::IndexEntry;
use super::error::IndexError;
use super::run::SortedRun;
use super::scan::{EntrySource, MergedEntries, RunScan};

/// The number of bytes that are read at once.
const READ_BYTES: usize = 1 << 17;

/// Checks the digest of a file, and that each of its entries is in order, of its records and in its filter.
pub(super) fn verify<E: IndexEntry>(run: &Arc<SortedRun<E>>) -> Result<(), IndexError> {
    let wrong = |detail: &str| IndexError::damaged(&run.name(), detail);
    if digest(run)? != run.description.digest {
        return Err(wrong("its digest is not that of the manifest"));
    }
    let scan = EntrySource::Run(RunScan::new(Arc::clone(run)));
    let records = run.description.first..=run.description.last;
    let positions = run.directory.lowest..=run.directory.highest;
    let mut previous = E::default();
    let mut count = 0_u64;
    let mut group = 0;
    for entry in MergedEntries::new(vec![scan]) {
        let entry = entry?;
        if entry < previous {
            return Err(wrong("its entries are not in order"));
        }
        if !records.contains(&entry.record()) || !positions.contains(&entry.position()) {
            return Err(wrong("an entry is of a record that the run does not cover"));
        }
        if let Some(fingerprint) = entry.filtered() {
            // Groups are in the order of entries, so the search goes on where it ended.
            let groups = &run.directory.groups;
            while groups
                .get(group + 1)
                .is_some_and(|next| next.first < fingerprint)
            {
                group += 1;
            }
            let mut candidates = groups.iter().skip(group).take(2);
            if !candidates.any(|group| group.may_contain(fingerprint)) {
                return Err(wrong("a filter misses an entry"));
            }
        }
        previous = entry;
        count += 1;
    }
    if previous != run.directory.last {
        return Err(wrong("its last entry is not that of its directory"));
    }
    if count != run.description.entries {
        return Err(wrong(
            "the number of its entries is not that of the manifest",
        ));
    }
    Ok(())
}

fn digest<E: IndexEntry>(run: &SortedRun<E>) -> Result<[u8; 32], IndexError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0;
    while offset < run.description.length {
        let left = usize::try_from(run.description.length - offset).unwrap_or(usize::MAX);
        let part = &mut buffer[..left.min(READ_BYTES)];
        let read = run.file.read_exact_at(part, offset);
        read.map_err(|error| IndexError::read(&run.name(), error))?;
        digest.update(&*part);
        offset += part.len() as u64;
    }
    Ok(digest.finalize().into())
}
