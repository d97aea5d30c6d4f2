//! The check of an uploaded component.
//!
//! The check has stages, from cheap to expensive. A stage reports all its findings, and the check ends after the first
//! stage that has any:
//!
//! size and file type → sizes, counts and options → validity → imports and exports → compile → link →
//! `describe`, twice → cost of the manifest → texts of the manifest → everything else in the manifest.

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

use crate::checked_component::CheckedComponent;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::report::{Finding, LoadError};
use crate::run::exports::Exports;
use crate::run::failure::{CallFailure, describe_error};
use crate::run::guest::Guest;
use crate::sandbox;

/// Checks a component, from its bytes to its manifest.
///
/// `try_manifest` checks that the manifest can be parsed within bounds, before this process parses it.
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
            let hint = "an interface differs from the one in wit/";
            Finding::new("link_failed", format!("{:#}", error.root_cause())).hint(hint)
        })?;
    let manifest = describe(&exports, limits)?;
    if describe(&exports, limits)? != manifest {
        let message = "`describe` returned two different manifests";
        return Err(Finding::new("manifest_unstable", message).into());
    }
    Manifest::check_size(&manifest)?;
    try_manifest(&manifest)?;
    let manifest = Manifest::parse(&manifest)?;
    if !exports.has_schedules() && !manifest.schedules.is_empty() {
        let message = "the manifest has schedules, but the component does not export `schedule`";
        let hint = format!(
            "export `bursar:plugin/schedule@{version}`; the SDK does so if `plugin!` has schedules"
        );
        return Err(Finding::new("schedule_missing", message).hint(hint).into());
    }
    Ok(CheckedComponent { exports, manifest })
}

/// Returns the manifest that a component describes. Runs in a new store.
fn describe(exports: &Exports, limits: &Limits) -> Result<String, LoadError> {
    let result = sandbox::new_store(exports.engine(), Guest::for_description(limits), limits)
        .and_then(|mut store| exports.describe(&mut store));
    result.map_err(|error| {
        let cause = match describe_error(&error) {
            Ok(fault) => fault,
            Err(overflow @ CallFailure::StackOverflow) => overflow.to_string(),
            // These depend on the load of the machine, so they are no finding about the component.
            Err(
                failure @ (CallFailure::Deadline | CallFailure::Exhausted | CallFailure::Internal),
            ) => return LoadError::Failed(format!("`describe` could not run: {failure}")),
        };
        let message = format!("`describe` failed: {cause}");
        Finding::new("describe_failed", message).into()
    })
}
