//! The component that a command runs: from a file, or bundled in the binary.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use bursar_host::{LoadError, LoadedPlugin, PluginHost, UPLOAD_BYTES_MAX};
use bursar_ledger::Digest;

use super::error::CommandError;
use super::input;
use crate::bundled;

/// The bytes of a component before any check.
pub(super) struct ComponentSource {
    /// The path of the file, or `bundled:` and the name.
    name: String,
    digest: Digest,
    bytes: Cow<'static, [u8]>,
}

impl ComponentSource {
    /// Reads a `.wasm` file.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        // One byte above the limit is enough: the host then rejects the component as too large.
        let bytes = input::read_prefix(path, UPLOAD_BYTES_MAX as u64 + 1)?;
        Ok(Self::new(name, bytes))
    }

    /// Returns the bundled component with this digest.
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

    /// Checks and compiles the component.
    pub(super) fn load(&self, host: &PluginHost) -> Result<Arc<LoadedPlugin>, LoadError> {
        host.load(self.digest, &self.bytes)
    }

    /// Checks and compiles the component. A rejection becomes the error of the command.
    pub(super) fn load_or_fail(
        &self,
        host: &PluginHost,
    ) -> Result<Arc<LoadedPlugin>, CommandError> {
        let name = &self.name;
        self.load(host)
            .map_err(|error| CommandError::new(format!("{name} may not run")).with_details(error))
    }
}
