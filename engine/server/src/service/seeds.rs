//! The rotation of server seeds, and their publication once no draw needs them.

use std::time::Duration;

use bursar_ledger::{Act, ActiveSeed, Books, EconomyId, EconomyStatus};
use serde_json::Value;
use tokio::sync::watch;

use super::interval::Interval;
use super::{RequestContext, Service};
use crate::service::error::ServiceError;

/// The number of draws after which a server seed is rotated.
const DRAWS_MAX: u64 = 100_000;

/// The age in milliseconds at which a server seed with draws is rotated: 30 days.
const AGE_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

impl Service {
    /// Publishes the rotated server seeds of an economy, except those with draws that are not on record and those that an
    /// open game has drawn from.
    pub async fn reveal_seeds(&self, economy: &EconomyId) -> Result<(), ServiceError> {
        let below = {
            let state = self.state();
            let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
            let unrecorded = self.parts.nonces.first_seed(economy, books);
            let active = books.active_seed().number;
            let hidden = books.first_hidden_seed();
            if hidden >= active {
                return Ok(());
            }
            let in_use = [unrecorded, books.first_seed_in_use()];
            let first = in_use.into_iter().flatten().min();
            let below = first.map_or(active, |first| first.min(active));
            if below <= hidden {
                return Ok(());
            }
            below
        };
        let act = Act::RevealSeeds { below };
        self.act(self.seed_context(economy, "REVEAL"), act).await?;
        Ok(())
    }

    /// Rotates and publishes seeds of all economies at an interval, until `stopping` is true.
    pub async fn rotate_seeds(self, every: Duration, stopping: watch::Receiver<bool>) {
        let mut interval = Interval::every(every, stopping);
        while interval.next().await {
            let state = self.state();
            for (economy, books) in state.economies() {
                if let Err(error) = self.rotate_seed(economy, books).await {
                    tracing::warn!(
                        %economy, %error,
                        "the server seed could not be rotated or published; it is tried again"
                    );
                }
            }
        }
    }

    /// Rotates the seed of an economy if it is old, and publishes earlier ones.
    async fn rotate_seed(&self, economy: &EconomyId, books: &Books) -> Result<(), ServiceError> {
        if books.status() == EconomyStatus::Closed {
            return Ok(());
        }
        let ActiveSeed { since, draws, .. } = books.active_seed();
        let age = self.now().0.saturating_sub(since.0);
        if is_old(draws, age) {
            self.act(self.seed_context(economy, "ROTATE"), Act::RotateSeed)
                .await?;
        }
        self.reveal_seeds(economy).await
    }

    /// Returns the context of a request that the server itself makes about seeds.
    pub(super) fn seed_context(&self, economy: &EconomyId, method: &str) -> RequestContext {
        let path = format!("/v1/economies/{economy}/seeds");
        self.own_context(economy, method, &path, &Value::Null)
    }
}

/// Returns true if a server seed must be rotated. A seed without draws does not age.
fn is_old(draws: u64, age_ms: u64) -> bool {
    draws >= DRAWS_MAX || (draws > 0 && age_ms >= AGE_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_rotated_after_a_number_of_draws_or_a_period() {
        assert!(!is_old(DRAWS_MAX - 1, 0) && is_old(DRAWS_MAX, 0));
        assert!(!is_old(1, AGE_MAX_MS - 1) && is_old(1, AGE_MAX_MS));
        assert!(!is_old(0, u64::MAX), "a seed without draws stays");
    }
}
