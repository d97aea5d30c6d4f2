//! Components: taken in, and made ready to run.

use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{Act, Digest};
use bursar_storage::Answer;
use bytes::Bytes;

use super::{Service, blocking, unreadable};
use crate::bundled::{self, Bundled};
use crate::service::error::ServiceError;

impl Service {
    /// A component that is ready to run, or is made so from what is kept of it. Blocks, but for no
    /// compiler: without its code it is compiled beside, and the next one who asks may have it.
    pub fn loaded(&self, component: &Digest) -> Result<Arc<LoadedPlugin>, ServiceError> {
        if let Some(plugin) = self.parts.host.get(component) {
            return Ok(plugin);
        }
        let bytes = || self.bytes_of(component);
        self.parts.host.load_cached(*component, bytes)
    }

    /// The bytes of a component. Blocks.
    pub(super) fn bytes_of(&self, component: &Digest) -> Result<Bytes, ServiceError> {
        let bytes = self.parts.storage.component(component);
        let bytes = bytes.map_err(unreadable)?;
        bytes.ok_or(ServiceError::NoComponent(*component))
    }

    /// A component that is ready to run, from a thread that must not block.
    pub async fn load(&self, component: Digest) -> Result<Arc<LoadedPlugin>, ServiceError> {
        if let Some(plugin) = self.parts.host.get(&component) {
            return Ok(plugin);
        }
        let service = self.clone();
        blocking(move || service.loaded(&component)).await?
    }

    /// Checks a component and registers it. Asking twice is asking once: its digest is its name.
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
        self.follow(actor, &loaded, digest).await;
        Ok(added)
    }

    /// The digest of a bundled plugin, which is made ready to run and not registered.
    pub async fn ready_bundled(&self, name: &str) -> Result<Digest, ServiceError> {
        let bytes = bundled_called(name)?.bytes;
        let digest = Digest::of(bytes);
        let host = self.parts.host.clone();
        blocking(move || host.load(digest, bytes)).await??;
        Ok(digest)
    }

    /// The digest of a bundled plugin, which is registered if it is not yet.
    pub async fn add_bundled(&self, actor: &str, name: &str) -> Result<Digest, ServiceError> {
        let bundled = bundled_called(name)?;
        let digest = Digest::of(bundled.bytes);
        let known = self.state().books(self.system()).cloned();
        if !known.is_some_and(|system| system.components().contains_key(&digest)) {
            self.add_component(actor, Bytes::from_static(bundled.bytes))
                .await?;
        }
        Ok(digest)
    }
}

fn bundled_called(name: &str) -> Result<&'static Bundled, ServiceError> {
    bundled::find(name).ok_or_else(|| {
        let names = bundled::PLUGINS.iter().map(|bundled| bundled.name);
        let known = names.collect::<Vec<_>>().join(", ");
        let name = name.into();
        ServiceError::NotBundled { name, known }
    })
}
