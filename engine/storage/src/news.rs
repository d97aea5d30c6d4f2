//! Notifications of new records, by economy.
//!
//! The first follower of an economy creates its channel, and the last one removes it, so the table never has more
//! entries than there are followers. A commit wakes the followers of the economies that it changed, and no
//! others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::EconomyId;
use tokio::sync::watch;

use crate::state::State;

type Channels = HashMap<EconomyId, watch::Sender<u64>>;

/// The channels of all economies with followers.
#[derive(Default)]
pub(crate) struct News {
    channels: Mutex<Channels>,
}

/// A subscription to the number of an economy's newest published record.
pub struct EconomyNews {
    economy: EconomyId,
    newest: watch::Receiver<u64>,
    news: Arc<News>,
}

impl News {
    /// Subscribes to an economy. `published` is called under the lock, so that every record is either in the
    /// state that it returns or sent to the channel.
    pub(crate) fn follow(
        self: &Arc<Self>,
        economy: &EconomyId,
        published: impl FnOnce() -> Arc<State>,
    ) -> EconomyNews {
        let mut channels = self.channels();
        let channel = channels
            .entry(economy.clone())
            .or_insert_with(|| watch::Sender::new(0));
        tell(channel, newest(&published(), economy));
        EconomyNews {
            economy: economy.clone(),
            newest: channel.subscribe(),
            news: Arc::clone(self),
        }
    }

    /// Sends the newest record numbers of the economies `moved` to their followers.
    pub(crate) fn tell<'a>(&self, state: &State, moved: impl IntoIterator<Item = &'a EconomyId>) {
        let channels = self.channels();
        if channels.is_empty() {
            return;
        }
        for economy in moved {
            if let Some(channel) = channels.get(economy) {
                tell(channel, newest(state, economy));
            }
        }
    }

    /// Sends the newest record number of each economy to its followers, after the state was reloaded from disk.
    pub(crate) fn tell_all(&self, state: &State) {
        for (economy, channel) in &*self.channels() {
            tell(channel, newest(state, economy));
        }
    }

    /// Returns the number of economies with followers.
    #[cfg(test)]
    pub(crate) fn followed(&self) -> usize {
        self.channels().len()
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        // Each channel is valid even if the lock is poisoned.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EconomyNews {
    /// Returns the number of the newest published record, or 0 if the economy has none.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Waits until the economy has a published record after `seq`.
    pub async fn beyond(&mut self, seq: u64) {
        // The channel is only closed after its last receiver, and this is one.
        drop(self.newest.wait_for(|newest| *newest > seq).await);
    }
}

impl Drop for EconomyNews {
    fn drop(&mut self) {
        let mut channels = self.news.channels();
        // This receiver is still counted, and receivers are only created under the lock.
        if channels
            .get(&self.economy)
            .is_some_and(|channel| channel.receiver_count() <= 1)
        {
            channels.remove(&self.economy);
        }
    }
}

fn newest(state: &State, economy: &EconomyId) -> u64 {
    state.books(economy).map_or(0, |books| books.seq())
}

/// Wakes receivers only if the number increases.
fn tell(channel: &watch::Sender<u64>, newest: u64) {
    channel.send_if_modified(|known| {
        let rises = newest > *known;
        *known = newest.max(*known);
        rises
    });
}
