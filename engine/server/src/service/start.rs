//! The start of a service: what the end before may have left undone, and what calls will want.

use std::collections::BTreeSet;

use bursar_ledger::{Act, Digest, EconomyStatus};
use serde_json::Value;

use super::{Service, blocking};
use crate::random;
use crate::service::error::ServiceError;

impl Service {
    /// Settles what the end before has left, lets bundled plugins of a newer version take the place of
    /// those that are to follow, and compiles what is installed. Takes seconds for each component that is
    /// not in the cache.
    pub async fn bring_up(&self) -> Result<(), ServiceError> {
        self.burn_nonces().await?;
        self.follow_bundled().await;
        self.prepare_plugins().await;
        Ok(())
    }

    /// Opens the reserved economy, if the file is new.
    pub(super) async fn open_system(&self) -> Result<(), ServiceError> {
        if self.state().books(self.system()).is_none() {
            let context = self.system_context("bursar", "START", "/", &Value::Null);
            self.act(
                context,
                Act::OpenEconomy {
                    seed: random::seed(),
                },
            )
            .await?;
        }
        Ok(())
    }

    /// Records the nonces that were handed out before the last end and left no record: nobody is left
    /// who could use them.
    async fn burn_nonces(&self) -> Result<(), ServiceError> {
        for (economy, books) in self.state().economies() {
            let nonces: Vec<u64> = books.open_nonces().collect();
            if nonces.is_empty() || books.status() == EconomyStatus::Closed {
                continue;
            }
            let act = Act::BurnNonces { nonces };
            self.act(self.seeds_asking(economy, "BURN"), act).await?;
        }
        Ok(())
    }

    /// Compiles what is installed before the first call wants it. What does not load is reported
    /// and answers 503 when it is called; it must not keep the money from moving.
    async fn prepare_plugins(&self) {
        let state = self.state();
        let books = state.economies().values();
        let installed: BTreeSet<Digest> = books
            .flat_map(|books| {
                books
                    .plugins()
                    .values()
                    .map(|plugin| plugin.installation.component)
            })
            .collect();
        for component in installed {
            let service = self.clone();
            let prepared = blocking(move || {
                let bytes = service.bytes_of(&component)?;
                service.parts.host.load(component, &bytes)?;
                Ok(())
            });
            if let Err(problem) = prepared.await.and_then(|prepared| prepared) {
                tracing::error!(%component, %problem, "a plugin does not load");
            }
        }
    }
}
