//! Work whose size depends on a plugin: checks of configurations, and the output of manifests. It runs on blocking
//! threads, and only a few pieces at the same time.

use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{EconomyId, Need, PluginName};
use bursar_workbench::configuration;
use serde_json::Value;

use super::Service;
use crate::service::error::ServiceError;

impl Service {
    /// Checks a configuration against the plugin and the economy. Returns the needs of the plugin with it.
    pub async fn check_configuration(
        &self,
        economy: &EconomyId,
        name: &PluginName,
        plugin: Arc<LoadedPlugin>,
        config: Value,
    ) -> Result<Vec<Need>, ServiceError> {
        let state = self.state();
        let economy = economy.clone();
        let name = name.clone();
        let report = self.run_plugin_work(move || {
            let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
            let report = configuration::check(&plugin, books, &name, &config);
            report.map_err(ServiceError::CheckFailed)
        });
        let report = report.await??;
        if report.findings.is_empty() {
            Ok(report.needs)
        } else {
            Err(ServiceError::ConfigurationRefused(report.findings))
        }
    }

    /// Runs work whose size depends on a plugin. It runs on a blocking thread, within the limit of such work.
    pub async fn run_plugin_work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.parts.plugin_work.run(work).await
    }
}
