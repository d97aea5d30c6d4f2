//! The clock of deadlines: a thread that increments the engine's epoch.
//!
//! A guest compares the epoch with its deadline at each loop iteration and function entry, which is far cheaper than
//! reading a clock. See `Engine::increment_epoch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use wasmtime::Engine;

use crate::limits::TICK;

/// A thread that increments the epoch until it is dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("deadlines".into())
            .spawn(move || {
                // The flag guards no other data, so relaxed ordering suffices.
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread only sleeps and counts, so a panic there is not worth reporting.
            drop(thread.join());
        }
    }
}
