//! The orderly end of a server, within a time: each step has its share of it, and what has not ended
//! by then is left behind, since the process ends in any case. What was acknowledged is in the file.

use std::time::Duration;

use bursar_storage::{Storage, WriterState};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connections::ConnectionServer;
use crate::service::{Service, blocking};

/// The end of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// All work was brought to an end, and the file was closed with a checkpoint in it.
    InOrder,
    /// The writer gave the file up, or could not close it. The log says why.
    GaveUp,
    /// The time was over before all had ended. Nothing acknowledged is lost.
    Late {
        /// The parts left behind.
        left: Vec<&'static str>,
    },
}

/// An end that has begun.
pub(super) struct Shutdown {
    begun: Instant,
    patience: Duration,
}

impl Shutdown {
    /// Begins to end, within a time.
    pub(super) fn begin(patience: Duration) -> Self {
        Self {
            begun: Instant::now(),
            patience,
        }
    }

    /// The moment at which so many eighths of the time are over.
    fn eighths(&self, eighths: u32) -> Instant {
        self.begun + self.patience * eighths / 8
    }

    /// Lets nobody in any more, and requests under way end, within half of the time. Clients that do
    /// not read or do not finish what they send are cut off then; they have no answer.
    pub(super) async fn listeners(&self, mut listeners: JoinSet<()>, door: ConnectionServer) {
        let until = self.eighths(4);
        let joined = async { while listeners.join_next().await.is_some() {} };
        if timeout_at(until, joined).await.is_err() {
            listeners.abort_all();
            while listeners.join_next().await.is_some() {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if !door.close(left).await {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }

    /// Ends what goes on beside requests, then calls, then the writer.
    pub(super) async fn close(self, mut background: JoinSet<()>, service: Service) -> Ended {
        let mut left = Vec::new();
        // What was delivered is noted before the file is closed.
        let ended = async {
            while let Some(ended) = background.join_next().await {
                if ended.is_err() {
                    tracing::error!("webhooks, seeds or schedules broke off");
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
            // The writer has ended: this only gives the file back.
            let storage = storage.clone();
            closed = blocking(move || storage.close()).await.unwrap_or(false);
        } else {
            left.push("the closing of the file");
        }
        let gave_up = *storage.writer().borrow() == WriterState::GaveUp;
        let ended = if gave_up || (left.is_empty() && !closed) {
            Ended::GaveUp
        } else if left.is_empty() {
            Ended::InOrder
        } else {
            Ended::Late { left }
        };
        tracing::info!(?ended, "stopped");
        ended
    }

    /// Has the writer serve what waits and end; if that takes long, without a last checkpoint. False
    /// if the time did not do.
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
