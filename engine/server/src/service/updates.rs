//! Updates of installed plugins to newer versions. An installation is updated if it follows its plugin and the newer version
//! requests no further grants.

use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{
    Act, Books, Digest, EconomyId, Installation, Plugin, PluginId, PluginName, PluginPatch,
};
use semver::Version;
use serde_json::json;

use super::{RequestContext, Service};
use crate::bundled;
use crate::service::error::ServiceError;

impl Service {
    /// Updates all installations that follow an older version of a component. An installation keeps its version if the
    /// newer one requests further grants or rejects the configuration; the operator decides then.
    pub(super) async fn update_followers(
        &self,
        actor: &str,
        loaded: &Arc<LoadedPlugin>,
        digest: Digest,
    ) {
        let state = self.state();
        for (economy, books) in state.economies() {
            for (name, found) in self.followers(books, loaded, digest) {
                if let Err(error) = self
                    .update(actor, economy, name, found, loaded, digest)
                    .await
                {
                    tracing::warn!(
                        %economy, plugin = %name, component = %digest, %error,
                        "a plugin was not updated to a newer version; install it with PUT"
                    );
                }
            }
        }
    }

    /// Updates one installation to a newer version.
    async fn update(
        &self,
        actor: &str,
        economy: &EconomyId,
        name: &PluginName,
        found: &Plugin,
        loaded: &Arc<LoadedPlugin>,
        digest: Digest,
    ) -> Result<(), ServiceError> {
        let present = &found.installation;
        let config = present.config.value();
        let needs = self
            .check_configuration(economy, name, Arc::clone(loaded), config)
            .await?;
        let Ok(choice) = loaded.component_choice(name, digest) else {
            tracing::warn!(
                %economy, plugin = %name, component = %digest,
                "a plugin was not updated to a newer version: with its name, the names of that version's accounts \
                 would be too long"
            );
            return Ok(());
        };
        let patch = PluginPatch {
            component: Some(choice),
            follows: Some(present.component),
            as_of: Some(found.version),
            needs,
            ..PluginPatch::default()
        };
        let act = Act::SetPlugin {
            plugin: name.clone(),
            patch: Box::new(patch),
        };
        let context = self.update_context(actor, economy, name, digest);
        let answer = self.act(context, act).await?;
        tracing::info!(
            %economy, plugin = %name, component = %digest, status = answer.status,
            "an update to a newer version was decided; it is installed if the status is 200"
        );
        Ok(())
    }

    /// Returns the installations that follow an older version of a component.
    fn followers<'a>(
        &self,
        books: &'a Books,
        loaded: &LoadedPlugin,
        digest: Digest,
    ) -> Vec<(&'a PluginName, &'a Plugin)> {
        let manifest = loaded.manifest();
        let Ok(newer) = manifest.version.parse::<Version>() else {
            return Vec::new();
        };
        let follows = |found: &Plugin| {
            let Installation {
                id,
                follow,
                component,
                ..
            } = &*found.installation;
            *id == manifest.id
                && *follow
                && *component != digest
                && self
                    .version_of(*component)
                    .is_some_and(|present| newer > present)
        };
        let installed = books.plugins().iter();
        let followers = installed.filter(|(_, found)| follows(found));
        followers.map(|(name, found)| (name, &**found)).collect()
    }

    /// Returns the newest registered version of a plugin, if it is newer than a component of the plugin.
    pub fn newer_than(&self, plugin: &PluginId, present: Digest) -> Option<Digest> {
        let before = self.version_of(present)?;
        let state = self.state();
        let known = state.books(self.system())?.components().iter();
        let versions = known.filter(|(_, known)| known.name == plugin.as_str());
        let versions =
            versions.filter_map(|(digest, known)| Some((known.version.parse().ok()?, *digest)));
        let newest: (Version, Digest) = versions.max()?;
        (newest.0 > before).then_some(newest.1)
    }

    fn version_of(&self, component: Digest) -> Option<Version> {
        let state = self.state();
        let known = state.books(self.system())?.components();
        known.get(&component)?.version.parse().ok()
    }

    /// Returns the context of the request to update an installation.
    fn update_context(
        &self,
        actor: &str,
        economy: &EconomyId,
        plugin: &PluginName,
        digest: Digest,
    ) -> RequestContext {
        let path = format!("/v1/economies/{economy}/plugins/{plugin}");
        RequestContext {
            economy: economy.clone(),
            ..self.system_context(actor, "FOLLOW", &path, &json!({ "component": digest }))
        }
    }

    /// Registers each bundled plugin that an installation follows, if the installation has another component of it.
    pub(super) async fn update_bundled(&self) {
        for bundled in bundled::PLUGINS {
            let digest = Digest::of(bundled.bytes);
            let state = self.state();
            let mut installed = state
                .economies()
                .values()
                .flat_map(|books| books.plugins().values());
            let is_followed = installed.any(|plugin| {
                let present = &plugin.installation;
                present.id.as_str() == bundled.name && present.follow && present.component != digest
            });
            if is_followed && let Err(error) = self.add_bundled("bursar", bundled.name).await {
                tracing::warn!(
                    plugin = bundled.name, %error,
                    "a bundled plugin could not be registered, so plugins that follow it are not updated"
                );
            }
        }
    }
}
