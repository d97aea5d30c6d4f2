//! Cancelling long work from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::StorageError;

/// Ends long work at its next step. Clones share it.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Work that goes on until it is cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the work is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Goes on, or ends the work.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        Ok(())
    }
}
