//! The registration and the loading of components.

use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{Act, Digest};
use bursar_storage::Answer;
use bytes::Bytes;

use super::{Service, blocking, unreadable};
use crate::bundled::{self, Bundled};
use crate::service::error::ServiceError;

impl Service {
    /// Returns a loaded component, or loads it from the cache. Blocks the thread. A component that is
    /// not in the cache is compiled in the background; this then returns [`ServiceError::Compiling`] at once.
    pub fn loaded(&self, component: &Digest) -> Result<Arc<LoadedPlugin>, ServiceError> {
        if let Some(plugin) = self.parts.host.get(component) {
            return Ok(plugin);
        }
        let bytes = || self.bytes_of(component);
        self.parts.host.load_cached(*component, bytes)
    }

    /// Reads the bytes of a component. Blocks.
    pub(super) fn bytes_of(&self, component: &Digest) -> Result<Bytes, ServiceError> {
        let bytes = self.parts.storage.component(component);
        let bytes = bytes.map_err(unreadable)?;
        bytes.ok_or(ServiceError::NoComponent(*component))
    }

    /// Returns a loaded component as [`Service::loaded`] does, without blocking the current thread.
    pub async fn load(&self, component: Digest) -> Result<Arc<LoadedPlugin>, ServiceError> {
        if let Some(plugin) = self.parts.host.get(&component) {
            return Ok(plugin);
        }
        let service = self.clone();
        blocking(move || service.loaded(&component)).await?
    }

    /// Checks, compiles and registers a component. A component that is registered already stays unchanged.
    pub async fn add_component(&self, actor: &str, bytes: Bytes) -> Result<Answer, ServiceError> {
        let host = self.parts.host.clone();
        let digest = Digest::of(&bytes);
        let loaded = {
            let bytes = bytes.clone();
            blocking(move || host.load(digest, &bytes)).await?
        };
        let loaded = loaded?;
        let manifest = loaded.manifest();
        let act = Act::AddComponent {
            digest,
            bytes: bytes.len() as u64,
            name: manifest.id.to_string(),
            version: manifest.version.clone(),
        };
        let body = serde_json::json!({ "component": digest });
        let context = self.system_context(actor, "POST", "/v1/components", &body);
        let added = self.act_with(context, act, Some((digest, bytes))).await?;
        self.update_followers(actor, &loaded, digest).await;
        Ok(added)
    }

    /// Loads a bundled plugin without registering it, and returns its digest.
    pub async fn ready_bundled(&self, name: &str) -> Result<Digest, ServiceError> {
        let bytes = find_bundled(name)?.bytes;
        let digest = Digest::of(bytes);
        let host = self.parts.host.clone();
        blocking(move || host.load(digest, bytes)).await??;
        Ok(digest)
    }

    /// Registers a bundled plugin unless it is registered, and returns its digest.
    pub async fn add_bundled(&self, actor: &str, name: &str) -> Result<Digest, ServiceError> {
        let bundled = find_bundled(name)?;
        let digest = Digest::of(bundled.bytes);
        let system = self.state().books(self.system()).cloned();
        if !system.is_some_and(|system| system.components().contains_key(&digest)) {
            self.add_component(actor, Bytes::from_static(bundled.bytes))
                .await?;
        }
        Ok(digest)
    }
}

fn find_bundled(name: &str) -> Result<&'static Bundled, ServiceError> {
    bundled::find(name).ok_or_else(|| {
        let names = bundled::PLUGINS.iter().map(|bundled| bundled.name);
        let known = names.collect::<Vec<_>>().join(", ");
        let name = name.into();
        ServiceError::NotBundled { name, known }
    })
}
