//! The gate at which long reads pause, so that the write-ahead log can restart.
//!
//! SQLite overwrites its log from the start only if the whole log is copied into the file and no reader holds
//! an older snapshot. The gaps between the slices of a long read are too short for that. So the writer closes
//! the gate: no slice begins until the writer has copied the log. See "Checkpointing" in
//! <https://www.sqlite.org/wal.html>.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest time that the next slice of a read waits for the writer.
const SLICE_PATIENCE: Duration = Duration::from_secs(2);

/// The state that a file's writer and its long reads share.
#[derive(Default)]
pub(crate) struct LogGate {
    /// The number of slices that are being read.
    slices: Mutex<usize>,
    released: Condvar,
    /// True while the writer waits for a moment without slices.
    wanted: AtomicBool,
}

/// A slice that is being read.
pub(crate) struct Slice<'a>(&'a LogGate);

impl LogGate {
    /// Begins a slice. Waits first if the writer has closed the gate.
    pub(crate) fn enter(&self) -> Slice<'_> {
        let waits = |_: &mut usize| self.is_wanted();
        let waited = self
            .released
            .wait_timeout_while(self.slices(), SLICE_PATIENCE, waits);
        let mut slices = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(held, _)| held);
        *slices += 1;
        Slice(self)
    }

    /// Returns true if slices have to end.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Returns true if the writer waits for a moment without slices, and no slice is being read.
    pub(crate) fn is_granted(&self) -> bool {
        self.is_wanted() && *self.slices() == 0
    }

    /// Opens the gate after a copy of the log. It stays closed if too much of the log could not be copied and
    /// slices are being read, which then have to end.
    pub(crate) fn settle(&self, too_much_left: bool) {
        let slices = self.slices();
        self.wanted
            .store(too_much_left && *slices > 0, Ordering::SeqCst);
        drop(slices);
        self.released.notify_all();
    }

    fn slices(&self) -> MutexGuard<'_, usize> {
        // A number is valid even if the lock is poisoned.
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
        assert!(!gate.is_wanted(), "no slice is being read");
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

    /// Slices do not wait for ever for a writer that has ended.
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
