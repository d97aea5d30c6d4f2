//! The start of a service: unrecorded nonces are burned, bundled plugins are updated, and installed plugins are compiled.

use std::collections::BTreeSet;

use bursar_ledger::{Act, Digest, EconomyStatus};
use serde_json::Value;

use super::{Service, blocking};
use crate::random;
use crate::service::error::ServiceError;

impl Service {
    /// Burns nonces without a record, updates installations that follow bundled plugins, and compiles installed plugins.
    /// Takes seconds for each component that is not in the cache.
    pub async fn bring_up(&self) -> Result<(), ServiceError> {
        self.burn_nonces().await?;
        self.update_bundled().await;
        self.compile_installed().await;
        Ok(())
    }

    /// Opens the system economy if the file is new.
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

    /// Burns the nonces that the process before had assigned and not recorded. Their calls ended with that process.
    async fn burn_nonces(&self) -> Result<(), ServiceError> {
        for (economy, books) in self.state().economies() {
            let nonces: Vec<u64> = books.open_nonces().collect();
            if nonces.is_empty() || books.status() == EconomyStatus::Closed {
                continue;
            }
            let act = Act::BurnNonces { nonces };
            self.act(self.seed_context(economy, "BURN"), act).await?;
        }
        Ok(())
    }

    /// Compiles the installed components before the first call. A component that cannot be loaded is logged, and calls of
    /// it respond 503; the start does not fail, because the rest of the economy must remain usable.
    async fn compile_installed(&self) {
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
            let loaded = blocking(move || {
                let bytes = service.bytes_of(&component)?;
                service.parts.host.load(component, &bytes)?;
                Ok(())
            });
            if let Err(error) = loaded.await.and_then(|loaded| loaded) {
                tracing::error!(
                    %component, %error,
                    "an installed component cannot be loaded, so calls of its plugins fail"
                );
            }
        }
    }
}
