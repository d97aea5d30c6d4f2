//! Newer versions of plugins: they take the place of the one before where the operator said so, if they
//! ask for no more.

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
    /// Installs a component wherever an older version of it is followed, under each of its names. Where it
    /// asks for more, or does not take the configuration, the one before stays until the operator decides.
    pub(super) async fn follow(&self, actor: &str, loaded: &Arc<LoadedPlugin>, digest: Digest) {
        let state = self.state();
        for (economy, books) in state.economies() {
            for (name, found) in self.followed(books, loaded, digest) {
                if let Err(problem) = self
                    .follow_here(actor, economy, name, found, loaded, digest)
                    .await
                {
                    tracing::warn!(%economy, plugin = %name, %problem, "a newer version waits");
                }
            }
        }
    }

    /// Installs a newer version in the place of one that is followed.
    async fn follow_here(
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
        let checked = self.check_configuration(economy, name, Arc::clone(loaded), config);
        let needs = checked.await?;
        let Ok(choice) = loaded.component_choice(name, digest) else {
            let why = "its name makes accounts of the newer version too long, which waits";
            tracing::warn!(%economy, plugin = %name, why);
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
        let context = self.following(actor, economy, name, digest);
        let answer = self.act(context, act).await?;
        tracing::info!(%economy, plugin = %name, status = answer.status, "a newer version came");
        Ok(())
    }

    /// The installations that a component is a newer version of, and that are to be followed.
    fn followed<'a>(
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
        let followed = installed.filter(|(_, found)| follows(found));
        followed.map(|(name, found)| (name, &**found)).collect()
    }

    /// The newest version of a plugin that was uploaded, if that is newer than a component of it.
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

    fn following(
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

    /// What this binary carries is uploaded at a start where something follows it.
    pub(super) async fn follow_bundled(&self) {
        for bundled in bundled::PLUGINS {
            let digest = Digest::of(bundled.bytes);
            let state = self.state();
            let mut installed = state
                .economies()
                .values()
                .flat_map(|books| books.plugins().values());
            let behind = installed.any(|plugin| {
                let present = &plugin.installation;
                present.id.as_str() == bundled.name && present.follow && present.component != digest
            });
            if behind && let Err(problem) = self.add_bundled("bursar", bundled.name).await {
                tracing::warn!(plugin = bundled.name, %problem, "a bundled plugin is not followed");
            }
        }
    }
}
