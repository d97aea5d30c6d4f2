//! Cancellation of long work from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::StorageError;

/// A flag that cancels long work at its next step. Clones share it.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Creates a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the work.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns true if the work is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Fails with [`StorageError::Cancelled`] if the work is cancelled.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        Ok(())
    }
}
