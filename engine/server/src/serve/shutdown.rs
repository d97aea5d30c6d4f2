//! The shutdown of a server within a deadline.
//!
//! Each step has a share of the time. A part that has not ended by then is abandoned, since the process exits next.
//! Acknowledged requests are in the file already.

use std::time::Duration;

use bursar_storage::{Storage, WriterState};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connections::ConnectionServer;
use crate::service::{Service, blocking};

/// The result of a shutdown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShutdownOutcome {
    /// All parts have ended, and the file was closed with a checkpoint.
    InOrder,
    /// The writer gave the file up or could not close it. The reason is in the log.
    GaveUp,
    /// The deadline passed before all parts had ended. No acknowledged request is lost.
    Late {
        /// The abandoned parts.
        left: Vec<&'static str>,
    },
}

/// A shutdown in progress.
pub(super) struct Shutdown {
    started: Instant,
    patience: Duration,
}

impl Shutdown {
    /// Starts a shutdown with a deadline.
    pub(super) fn begin(patience: Duration) -> Self {
        Self {
            started: Instant::now(),
            patience,
        }
    }

    /// Returns the time at which a number of eighths of the deadline has passed.
    fn eighths(&self, eighths: u32) -> Instant {
        self.started + self.patience * eighths / 8
    }

    /// Stops accepting connections and waits for requests in flight, for half of the time. Then aborts the requests of
    /// clients that do not finish sending or reading; these get no response.
    pub(super) async fn close_listeners(
        &self,
        mut listeners: JoinSet<()>,
        connections: ConnectionServer,
    ) {
        let until = self.eighths(4);
        let joined = async { while listeners.join_next().await.is_some() {} };
        if timeout_at(until, joined).await.is_err() {
            listeners.abort_all();
            while listeners.join_next().await.is_some() {}
        }
        let remaining = until.saturating_duration_since(Instant::now());
        if !connections.close(remaining).await {
            tracing::warn!("some requests did not end in time and were aborted");
        }
    }

    /// Ends the background tasks, then calls of plugins, then the writer.
    pub(super) async fn close_service(
        self,
        mut background: JoinSet<()>,
        service: Service,
    ) -> ShutdownOutcome {
        let mut left = Vec::new();
        // Webhooks record their deliveries, so they must end before the file is closed.
        let ended = async {
            while let Some(ended) = background.join_next().await {
                if ended.is_err() {
                    tracing::error!(
                        "internal error: the task of webhooks, seeds or schedules has panicked"
                    );
                }
            }
        };
        if timeout_at(self.eighths(5), ended).await.is_err() {
            left.push("webhooks, seeds or schedules");
            background.abort_all();
        }
        let calls = service.clone();
        let ended = blocking(move || calls.end_calls());
        let ended = timeout_at(self.eighths(6), ended).await;
        if !matches!(ended, Ok(Ok(true))) {
            left.push("a plugin's call");
        }
        let storage = service.storage();
        let mut closed = self.close_file(storage).await;
        if closed {
            // The writer has ended; this releases the lock of the file.
            let storage = storage.clone();
            closed = blocking(move || storage.close()).await.unwrap_or(false);
        } else {
            left.push("the closing of the file");
        }
        let gave_up = *storage.writer().borrow() == WriterState::GaveUp;
        let ended = if gave_up || (left.is_empty() && !closed) {
            ShutdownOutcome::GaveUp
        } else if left.is_empty() {
            ShutdownOutcome::InOrder
        } else {
            ShutdownOutcome::Late { left }
        };
        tracing::info!(?ended, "stopped");
        ended
    }

    /// Lets the writer commit queued submissions and end. After a share of the time it skips the last checkpoint.
    /// Returns false if it has not ended within the deadline.
    async fn close_file(&self, storage: &Storage) -> bool {
        let mut writer = storage.writer();
        storage.begin_close();
        for until in [self.eighths(7), self.eighths(8)] {
            let ended = writer.wait_for(|writer| *writer != WriterState::Working);
            if timeout_at(until, ended).await.is_ok() {
                return true;
            }
            storage.hurry();
        }
        false
    }
}
