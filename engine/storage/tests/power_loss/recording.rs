//! The recorded calls to the file system in a folder, and the calls that have to fail.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A call to the file system, in the order of the calls. Files are known by their names in the folder.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A file was opened or created.
    Open {
        name: PathBuf,
        /// True if SQLite syncs the folder with the first sync of the file, as it does for a log that it may have
        /// created.
        syncs_folder: bool,
    },
    /// Bytes were written at an offset.
    Write {
        name: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    /// The length of a file was set.
    Cut { name: PathBuf, length: u64 },
    /// A file was synced: everything written to it before is on the disk.
    Sync { name: PathBuf },
    /// A sync failed: data that was written and not synced before will never be on the disk, but can still be read.
    Lose { name: PathBuf },
    /// A file was removed.
    Remove { name: PathBuf, syncs_folder: bool },
}

/// A kind of call that can fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Call {
    Open,
    Read,
    Write,
    Sync,
    Truncate,
    Lock,
    Delete,
    Size,
    Map,
}

impl Call {
    /// All kinds.
    pub(crate) const ALL: [Self; 9] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Lock,
        Self::Delete,
        Self::Size,
        Self::Map,
    ];
}

/// A call that has to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    /// The number of calls of the kind that succeed before it.
    pub(crate) after: usize,
    /// True if all later calls of the kind fail, too.
    pub(crate) lasts: bool,
}

/// A hook that runs at the first call that fails.
type AtFault = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Faults {
    counts: [usize; Call::ALL.len()],
    planned: Option<Fault>,
    at_fault: Option<AtFault>,
    met: bool,
}

/// The recorded operations of one folder.
#[derive(Default)]
pub(crate) struct Recording {
    ops: Mutex<Vec<Op>>,
    faults: Mutex<Faults>,
    full: AtomicBool,
    index_full: AtomicBool,
}

impl Recording {
    /// Returns the number of operations so far.
    pub(crate) fn len(&self) -> usize {
        open(&self.ops).len()
    }

    /// Returns all operations, in order.
    pub(crate) fn ops(&self) -> Vec<Op> {
        open(&self.ops).clone()
    }

    /// Returns all operations except the first `from`.
    pub(crate) fn ops_after(&self, from: usize) -> Vec<Op> {
        open(&self.ops)[from..].to_vec()
    }

    pub(crate) fn note(&self, op: Op) {
        open(&self.ops).push(op);
    }

    /// Makes a call fail, and runs a hook when it does.
    pub(crate) fn plan(&self, fault: Fault, at_fault: impl FnOnce() + Send + 'static) {
        let mut faults = open(&self.faults);
        *faults = Faults {
            planned: Some(fault),
            at_fault: Some(Box::new(at_fault)),
            ..Faults::default()
        };
    }

    /// Makes all later calls succeed.
    pub(crate) fn heal(&self) {
        open(&self.faults).planned = None;
        self.fill(false);
        self.fill_index(false);
    }

    /// Returns true if a call that was planned to fail has been made.
    pub(crate) fn was_met(&self) -> bool {
        open(&self.faults).met
    }

    /// Returns the number of calls of a kind since the last plan.
    pub(crate) fn calls(&self, call: Call) -> usize {
        open(&self.faults).counts[place(call)]
    }

    /// Makes the disk full, or frees some of it.
    pub(crate) fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Makes the disk full for the index alone, or frees some of it.
    pub(crate) fn fill_index(&self, full: bool) {
        self.index_full.store(full, Ordering::SeqCst);
    }

    /// Returns true if the disk is full for the index.
    pub(crate) fn is_index_full(&self) -> bool {
        self.index_full.load(Ordering::SeqCst) || self.is_full()
    }

    /// Returns true if the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Counts a call, and returns true if it has to fail.
    pub(crate) fn fails(&self, call: Call) -> bool {
        let mut faults = open(&self.faults);
        let before = faults.counts[place(call)];
        faults.counts[place(call)] += 1;
        let fails = faults.planned.is_some_and(|fault| {
            fault.call == call && (fault.after == before || fault.lasts && fault.after < before)
        });
        faults.met |= fails;
        if fails && let Some(hook) = faults.at_fault.take() {
            drop(faults);
            hook();
        }
        fails
    }
}

fn place(call: Call) -> usize {
    let found = Call::ALL.iter().position(|each| *each == call);
    found.expect("a kind is among all")
}

/// Folders that are recorded.
static FOLDERS: Mutex<Vec<(PathBuf, Arc<Recording>)>> = Mutex::new(Vec::new());

/// Adds a folder to those that are recorded.
pub(crate) fn add(folder: &Path) -> Arc<Recording> {
    let recording = Arc::<Recording>::default();
    let folder = folder.canonicalize().expect("a path");
    open(&FOLDERS).push((folder, Arc::clone(&recording)));
    recording
}

/// Returns the recording of the folder of a file.
pub(crate) fn recording_of(path: &Path) -> Option<Arc<Recording>> {
    let folders = open(&FOLDERS);
    let found = folders
        .iter()
        .find(|(folder, _)| path.parent() == Some(folder));
    found.map(|(_, recording)| Arc::clone(recording))
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
