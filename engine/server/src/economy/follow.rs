//! Newer versions of plugins: they take the place of the one before where the operator said so, if they
//! ask for no more.

use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{Act, Books, Digest, EconomyId, Installation, Plugin, PluginName, PluginPatch};
use semver::Version;
use serde_json::json;

use super::{Asking, Bursar};
use crate::bundled;

impl Bursar {
    /// Installs a component wherever an older version of it is followed. Where it asks for more, or does
    /// not take the configuration, the one before stays until the operator decides.
    pub(super) async fn follow(&self, actor: &str, loaded: &Arc<LoadedPlugin>, digest: Digest) {
        let state = self.state();
        for (economy, books) in state.economies() {
            let Some(found) = self.followed(books, loaded, digest) else {
                continue;
            };
            let (present, manifest) = (&found.installation, loaded.manifest());
            let config = (*present.config).clone();
            let checked = self.check_configuration(Arc::clone(loaded), config).await;
            if !matches!(checked, Ok(Ok(()))) {
                let why = "its configuration does not fit the newer version, which waits";
                tracing::warn!(%economy, plugin = %manifest.id, why);
                continue;
            }
            let patch = PluginPatch {
                component: Some(manifest.component_choice(&manifest.id, digest)),
                follows: Some(present.component),
                as_of: Some(found.version),
                ..PluginPatch::default()
            };
            let act = Act::SetPlugin {
                plugin: manifest.id.clone(),
                patch: Box::new(patch),
            };
            let asking = self.following(actor, economy, loaded, digest);
            let id = &manifest.id;
            match self.act(asking, act).await {
                Ok(answer) => {
                    tracing::info!(%economy, plugin = %id, status = answer.status, "a newer version came");
                }
                Err(problem) => {
                    tracing::warn!(%economy, plugin = %id, %problem, "a newer version waits");
                }
            }
        }
    }

    /// The installation that a component is a newer version of, if it is to be followed.
    fn followed<'a>(
        &self,
        books: &'a Books,
        loaded: &LoadedPlugin,
        digest: Digest,
    ) -> Option<&'a Plugin> {
        let manifest = loaded.manifest();
        let found = books.plugin(&manifest.id)?;
        let Installation {
            follow, component, ..
        } = &*found.installation;
        let newer: Version = manifest.version.parse().ok()?;
        let follows = *follow && *component != digest && newer > self.version_of(*component)?;
        follows.then_some(found)
    }

    /// The newest version of a plugin that was uploaded, if that is newer than a component of it.
    pub fn newer_than(&self, plugin: &PluginName, present: Digest) -> Option<Digest> {
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
        loaded: &LoadedPlugin,
        digest: Digest,
    ) -> Asking {
        let plugin = &loaded.manifest().id;
        let path = format!("/v1/economies/{economy}/plugins/{plugin}");
        Asking {
            economy: economy.clone(),
            ..self.system_asking(actor, "FOLLOW", &path, &json!({ "component": digest }))
        }
    }

    /// What this binary carries is uploaded at a start where something follows it.
    pub(super) async fn follow_bundled(&self) {
        for bundled in bundled::PLUGINS {
            let digest = Digest::of(bundled.bytes);
            let state = self.state();
            let mut installed = state.economies().values().flat_map(|books| books.plugins());
            let behind = installed.any(|(id, plugin)| {
                let present = &plugin.installation;
                id.as_str() == bundled.name && present.follow && present.component != digest
            });
            if behind && let Err(problem) = self.add_bundled("bursar", bundled.name).await {
                tracing::warn!(plugin = bundled.name, %problem, "a bundled plugin is not followed");
            }
        }
    }
}
