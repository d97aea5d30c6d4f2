//! Seeds in time: changed before they are old, and made public when no game needs them any more.

use std::time::Duration;

use bursar_ledger::{Act, ActiveSeed, Books, EconomyId, EconomyStatus};
use serde_json::Value;
use tokio::sync::watch;

use super::interval::Interval;
use super::{RequestContext, Service};
use crate::service::error::ServiceError;

/// Draws after which a server seed is changed.
const DRAWS_MAX: u64 = 100_000;

/// Milliseconds after which a server seed is changed that was drawn from: 30 days.
const AGE_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

impl Service {
    /// Makes the server seeds of an economy public from which no draw is made any more, and none is
    /// under way, and which no open game has drawn from.
    pub async fn reveal_seeds(&self, economy: &EconomyId) -> Result<(), ServiceError> {
        let below = {
            let state = self.state();
            let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
            let under_way = self.parts.nonces.first_seed(economy, books);
            let active = books.active_seed().number;
            let hidden = books.first_hidden_seed();
            if hidden >= active {
                return Ok(());
            }
            let in_use = [under_way, books.first_seed_in_use()];
            let first = in_use.into_iter().flatten().min();
            let below = first.map_or(active, |first| first.min(active));
            if below <= hidden {
                return Ok(());
            }
            below
        };
        let act = Act::RevealSeeds { below };
        self.act(self.seeds_asking(economy, "REVEAL"), act).await?;
        Ok(())
    }

    /// Looks after all seeds, now and then, until `stopping`.
    pub async fn keep_seeds(self, every: Duration, stopping: watch::Receiver<bool>) {
        let mut rounds = Interval::every(every, stopping);
        while rounds.next().await {
            let state = self.state();
            for (economy, books) in state.economies() {
                if let Err(problem) = self.keep_seed(economy, books).await {
                    tracing::warn!(%economy, %problem, "seeds are looked after again later");
                }
            }
        }
    }

    async fn keep_seed(&self, economy: &EconomyId, books: &Books) -> Result<(), ServiceError> {
        if books.status() == EconomyStatus::Closed {
            return Ok(());
        }
        let ActiveSeed { since, draws, .. } = books.active_seed();
        let age = self.now().0.saturating_sub(since.0);
        if is_old(draws, age) {
            self.act(self.seeds_asking(economy, "ROTATE"), Act::RotateSeed)
                .await?;
        }
        self.reveal_seeds(economy).await
    }

    pub(super) fn seeds_asking(&self, economy: &EconomyId, what: &str) -> RequestContext {
        let path = format!("/v1/economies/{economy}/seeds");
        self.own_context(economy, what, &path, &Value::Null)
    }
}

/// Whether a server seed is changed that was active for so many milliseconds, and drawn from so often. One
/// that nobody has drawn from does not age.
fn is_old(draws: u64, age_ms: u64) -> bool {
    draws >= DRAWS_MAX || (draws > 0 && age_ms >= AGE_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_changed_after_so_many_draws_or_so_long() {
        assert!(!is_old(DRAWS_MAX - 1, 0) && is_old(DRAWS_MAX, 0));
        assert!(!is_old(1, AGE_MAX_MS - 1) && is_old(1, AGE_MAX_MS));
        assert!(!is_old(0, u64::MAX), "there is nothing to reveal");
    }
}
