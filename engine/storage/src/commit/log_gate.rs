//! Room for the write-ahead log to begin anew while somebody reads for long.
//!
//! SQLite can overwrite its log from the start only once all of it is copied into the file and nobody
//! reads an older moment of it. A long read in slices leaves gaps that are too short to be met by
//! chance, so the writer asks for one: no slice begins until it has copied the log. See "Checkpointing"
//! in <https://www.sqlite.org/wal.html>.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest time that the next slice of a read waits for the writer.
const SLICE_PATIENCE: Duration = Duration::from_secs(2);

/// The state that a file's writer and its long reads share.
#[derive(Default)]
pub(crate) struct LogGate {
    /// Slices that are being read.
    slices: Mutex<usize>,
    released: Condvar,
    /// True while the writer waits for a moment without slices.
    wanted: AtomicBool,
}

/// A slice that is being read.
pub(crate) struct Slice<'a>(&'a LogGate);

impl LogGate {
    /// Begins a slice, after the writer has had its moment.
    pub(crate) fn enter(&self) -> Slice<'_> {
        let waits = |_: &mut usize| self.is_wanted();
        let waited = self
            .released
            .wait_timeout_while(self.slices(), SLICE_PATIENCE, waits);
        let mut slices = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(held, _)| held);
        *slices += 1;
        Slice(self)
    }

    /// Returns whether slices are to end.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Returns whether the writer has asked for a moment without slices, and this is one.
    pub(crate) fn is_granted(&self) -> bool {
        self.is_wanted() && *self.slices() == 0
    }

    /// Says how the copying of the log went: whether so much of it was left that the slices which
    /// stand in its way must end. Without any, it is not they who do.
    pub(crate) fn settle(&self, too_much_left: bool) {
        let slices = self.slices();
        self.wanted
            .store(too_much_left && *slices > 0, Ordering::SeqCst);
        drop(slices);
        self.released.notify_all();
    }

    fn slices(&self) -> MutexGuard<'_, usize> {
        // A number is whole at any time.
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        *self.0.slices() -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_make_way_for_the_writer_and_go_on_after() {
        let gate = LogGate::default();
        gate.settle(true);
        assert!(!gate.is_wanted(), "nobody stands in the way");
        let slice = gate.enter();
        gate.settle(false);
        assert!(!gate.is_wanted());
        gate.settle(true);
        assert!(gate.is_wanted() && !gate.is_granted());
        drop(slice);
        assert!(gate.is_granted());
        std::thread::scope(|scope| {
            let next = scope.spawn(|| drop(gate.enter()));
            gate.settle(false);
            next.join().expect("the next slice begins");
        });
        assert!(!gate.is_wanted());
    }

    /// A writer that has ended lets nobody wait for ever.
    #[test]
    fn a_slice_begins_without_the_writer_in_the_end() {
        let gate = LogGate::default();
        let first = gate.enter();
        gate.settle(true);
        drop(first);
        drop(gate.enter());
        assert!(gate.is_wanted());
    }
}
