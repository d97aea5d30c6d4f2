//! The check of an upload, in stages. Each stage reports everything that it finds; the first stage
//! that finds anything is the last.
//!
//! size and layer → sizes, counts and options → validity → imports and exports → compile → link →
//! `describe`, twice → the manifest's cost → its texts → all else in it.

mod contract;
mod instances;
mod layer;
mod options;
mod signature;
mod sizes;
mod validity;

pub use self::contract::ContractVersion;
pub(crate) use self::contract::check_contract;
pub(crate) use self::layer::check_layer;
pub(crate) use self::sizes::check_sizes;
pub(crate) use self::validity::check_validity;

use wasmtime::component::{Component, Linker};

use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::report::{Finding, LoadError};
use crate::run::call::{CallFailure, explain, store};
use crate::run::exports::Exports;
use crate::run::guest::Guest;

/// A component that may run here.
pub struct CheckedComponent {
    pub(crate) exports: Exports,
    pub(crate) manifest: Manifest,
}

impl CheckedComponent {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// Checks a component from its bytes to its manifest. `try_manifest` finds out that reading the manifest comes
/// to an end, where that is not known.
pub(crate) fn check(
    linker: &Linker<Guest>,
    limits: &Limits,
    compile: impl FnOnce() -> Result<Component, LoadError>,
    try_manifest: impl FnOnce(&str) -> Result<(), LoadError>,
    bytes: &[u8],
) -> Result<CheckedComponent, LoadError> {
    check_layer(bytes)?;
    check_sizes(bytes)?;
    check_validity(bytes)?;
    let version = check_contract(bytes)?;
    let component = compile()?;
    let exports = linker
        .instantiate_pre(&component)
        .and_then(|pre| Exports::new(pre, version))
        .map_err(|error| {
            let hint = "an interface has another shape than the one in wit/";
            Finding::new("link_failed", format!("{:#}", error.root_cause())).hint(hint)
        })?;
    let manifest = describe(&exports, limits)?;
    if describe(&exports, limits)? != manifest {
        let message = "`describe` says something else each time";
        return Err(Finding::new("manifest_unstable", message).into());
    }
    Manifest::check_size(&manifest)?;
    try_manifest(&manifest)?;
    let manifest = Manifest::parse(&manifest)?;
    if !exports.has_schedules() && !manifest.schedules.is_empty() {
        let message = "the manifest names schedules, and `schedule` is not exported";
        let hint = format!(
            "export `bursar:plugin/schedule@{version}`; the SDK does where `plugin!` has schedules"
        );
        return Err(Finding::new("schedule_missing", message).hint(hint).into());
    }
    Ok(CheckedComponent { exports, manifest })
}

/// Asks a plugin for its manifest, in a fresh store.
fn describe(exports: &Exports, limits: &Limits) -> Result<String, LoadError> {
    let described = store(exports.engine(), Guest::describing(limits), limits)
        .and_then(|mut store| exports.describe(&mut store));
    described.map_err(|error| {
        let why = match explain(&error) {
            Ok(fault) => fault,
            Err(overflow @ CallFailure::StackOverflow) => overflow.to_string(),
            // How busy the machine is says nothing about the component.
            Err(
                failure @ (CallFailure::Deadline | CallFailure::Exhausted | CallFailure::Internal),
            ) => return LoadError::Failed(format!("`describe` could not be run: {failure}")),
        };
        let message = format!("`describe` did not answer: {why}");
        Finding::new("describe_failed", message).into()
    })
}
