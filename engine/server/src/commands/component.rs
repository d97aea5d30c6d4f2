//! A component that a command is to run: out of a file, or carried by the binary.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use bursar_host::{LoadError, LoadedPlugin, PluginHost, UPLOAD_BYTES_MAX};
use bursar_ledger::Digest;

use super::{CommandError, input};
use crate::bundled;

/// The bytes of a component, not checked yet.
pub(super) struct Component {
    /// Where they come from.
    name: String,
    digest: Digest,
    bytes: Cow<'static, [u8]>,
}

impl Component {
    /// What a `.wasm` file holds.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        // One byte too many is enough for the verdict that it is too large.
        let bytes = input::read_start(path, UPLOAD_BYTES_MAX as u64 + 1)?;
        Ok(Self::new(name, bytes))
    }

    /// The bundled one that has this digest, if one has.
    pub(super) fn bundled(digest: &Digest) -> Option<Self> {
        let bundled = bundled::PLUGINS.iter();
        let mut bundled = bundled.map(|it| Self::new(format!("bundled:{}", it.name), it.bytes));
        bundled.find(|component| component.digest == *digest)
    }

    fn new(name: String, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name,
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Makes it ready to run, unless it may not.
    pub(super) fn load(&self, host: &PluginHost) -> Result<Arc<LoadedPlugin>, LoadError> {
        host.load(self.digest, &self.bytes)
    }

    /// Makes it ready to run, for a command that comes to nothing without it.
    pub(super) fn ready(&self, host: &PluginHost) -> Result<Arc<LoadedPlugin>, CommandError> {
        let name = &self.name;
        self.load(host)
            .map_err(|no| CommandError::new(format!("{name} may not run")).because(no))
    }
}
