//! The opening of an index: its files are used if they belong to the log, and are removed otherwise.

use std::io;
use std::sync::Arc;

use super::entry::IndexEntry;
use super::error::IndexError;
use super::folder::IndexFolder;
use super::identity::{IndexIdentity, LogIdentity};
use super::manifest::{IndexManifest, MANIFEST, MANIFEST_NEW, RunDescription, RunKind};
use super::run::SortedRun;
use super::verify::verify;
use super::view::{IndexView, RunSet, Runs};

/// The prefix of the names of runs.
const RUN_PREFIX: &str = "run-";

/// The state in which an index was opened.
#[derive(Clone, Debug)]
pub(crate) enum IndexOrigin {
    /// There was no index, and the new one is empty.
    Created,
    /// The index was there and belongs to the log.
    Kept,
    /// The index that was there was removed, and the new one is empty.
    Discarded(DiscardReason),
}

/// A reason to remove an index.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DiscardReason {
    /// The index belongs to another file.
    #[error("it belongs to another file")]
    OtherFile,
    /// The index covers records that the log does not have.
    #[error("it covers {covered} records, and the log has {records}")]
    Newer {
        /// The last record that the index covers.
        covered: u64,
        /// The number of records of the log.
        records: u64,
    },
    /// The log has other records than those that the index was built from.
    #[error("it was built from other records up to record {record}")]
    OtherRecords {
        /// The last record that the index covers.
        record: u64,
    },
    /// A file of the index is missing or damaged.
    #[error("{0}")]
    Damaged(IndexError),
}

/// An error that keeps an index from being opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexOpenError<L> {
    /// The log could not be read.
    #[error(transparent)]
    Log(L),
    /// The files of the index could not be read or removed.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// An index as its files have it.
pub(super) struct OpenedIndex {
    pub(super) identity: IndexIdentity,
    pub(super) view: IndexView,
    pub(super) next_number: u64,
    pub(super) origin: IndexOrigin,
}

/// Opens the files of an index, and removes all that do not belong to it.
pub(super) fn open<L: LogIdentity>(
    folder: &dyn IndexFolder,
    log: &L,
    verified: bool,
    secret: [u8; 16],
) -> Result<OpenedIndex, IndexOpenError<L::Error>> {
    let names = folder
        .list()
        .map_err(|error| IndexError::io("list", "its folder", error))?;
    // Numbers go on after all files that exist, so that no number stands for two runs of one index.
    let highest = names.iter().filter_map(|name| number_of(name)).max();
    let next_number = highest.unwrap_or(0).saturating_add(1);
    let reason = match keep(folder, log, verified) {
        Ok(Some((manifest, view))) => {
            let kept: Vec<_> = manifest.runs.iter().map(|run| run.number).collect();
            let is_kept = |name: &str| number_of(name).is_some_and(|number| kept.contains(&number));
            remove(
                folder,
                names
                    .iter()
                    .filter(|name| *name != MANIFEST && !is_kept(name)),
            )?;
            return Ok(OpenedIndex {
                identity: manifest.identity,
                view,
                next_number,
                origin: IndexOrigin::Kept,
            });
        }
        Ok(None) => None,
        Err(KeepError::Discard(reason)) => Some(reason),
        Err(KeepError::Log(error)) => return Err(IndexOpenError::Log(error)),
        Err(KeepError::Index(error)) => return Err(error.into()),
    };
    remove_all(folder, &names)?;
    Ok(OpenedIndex {
        identity: IndexIdentity {
            file_id: log.file_id(),
            secret,
        },
        view: IndexView::default(),
        next_number,
        origin: reason.map_or(IndexOrigin::Created, IndexOrigin::Discarded),
    })
}

/// A reason why an index is not kept, or cannot be judged.
enum KeepError<L> {
    Discard(DiscardReason),
    Log(L),
    Index(IndexError),
}

impl<L> From<IndexError> for KeepError<L> {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged { .. } => Self::Discard(DiscardReason::Damaged(error)),
            IndexError::Io { .. } | IndexError::OutOfOrder { .. } | IndexError::BuilderStopped => {
                Self::Index(error)
            }
        }
    }
}

/// Opens an index if it belongs to the log. Returns `None` if there is none.
fn keep<L: LogIdentity>(
    folder: &dyn IndexFolder,
    log: &L,
    verified: bool,
) -> Result<Option<(IndexManifest, IndexView)>, KeepError<L::Error>> {
    let Some(manifest) = IndexManifest::load(folder)? else {
        return Ok(None);
    };
    let covered = manifest.covered;
    let records = log.records();
    if manifest.identity.file_id != log.file_id() {
        return Err(KeepError::Discard(DiscardReason::OtherFile));
    }
    if covered > records {
        return Err(KeepError::Discard(DiscardReason::Newer {
            covered,
            records,
        }));
    }
    if log.head_at(covered).map_err(KeepError::Log)? != Some(manifest.head) {
        let record = covered;
        return Err(KeepError::Discard(DiscardReason::OtherRecords { record }));
    }
    let opening = Opening {
        folder,
        manifest: &manifest,
        verified,
    };
    let runs = RunSet {
        keys: opening.runs(RunKind::Keys)?,
        ids: opening.runs(RunKind::Ids)?,
        sequence: opening.runs(RunKind::Sequence)?,
        movements: opening.runs(RunKind::Movements)?,
    };
    let view = IndexView {
        frozen: Vec::new(),
        runs,
        covered,
        head: manifest.head,
    };
    Ok(Some((manifest, view)))
}

struct Opening<'a> {
    folder: &'a dyn IndexFolder,
    manifest: &'a IndexManifest,
    verified: bool,
}

impl Opening<'_> {
    fn runs<E: IndexEntry>(&self, kind: RunKind) -> Result<Runs<E>, IndexError> {
        let of_kind = self.manifest.runs.iter().filter(|run| run.kind == kind);
        let open = |description: &RunDescription| {
            let identity = &self.manifest.identity;
            let run = SortedRun::open(self.folder, identity, description.clone())?;
            let run = Arc::new(run);
            if self.verified {
                verify(&run)?;
            }
            Ok(run)
        };
        of_kind.map(open).collect()
    }
}

/// Returns the number of a run by its name.
fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(RUN_PREFIX)?.parse().ok()
}

/// Removes files of the index, and leaves files that are not its own.
fn remove<'a>(
    folder: &dyn IndexFolder,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), IndexError> {
    for name in names {
        let is_own = number_of(name).is_some() || name == MANIFEST || name == MANIFEST_NEW;
        if is_own
            && let Err(error) = folder.remove(name)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(IndexError::io("remove", name, error));
        }
    }
    Ok(())
}

/// Removes all files of the index, the manifest before the runs that it names.
fn remove_all(folder: &dyn IndexFolder, names: &[String]) -> Result<(), IndexError> {
    let sync = || {
        folder
            .sync()
            .map_err(|error| IndexError::io("sync", "its folder", error))
    };
    if names.is_empty() {
        return Ok(());
    }
    remove(folder, names.iter().filter(|name| *name == MANIFEST))?;
    // A manifest that returned after a power cut must not find new runs under old names.
    sync()?;
    remove(folder, names.iter())?;
    sync()
}
