//! A component that has passed the upload check.

use crate::manifest::Manifest;
use crate::run::exports::Exports;

/// A component that has passed the upload check, with its manifest.
pub struct CheckedComponent {
    pub(crate) exports: Exports,
    pub(crate) manifest: Manifest,
}

impl CheckedComponent {
    /// Returns the plugin's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
