//! The check of an upload, in stages. Each stage reports everything that it finds; the first stage
//! that finds anything is the last.
//!
//! size and layer → sizes of types → validity → sizes of code → imports and exports → compile → link → `describe`, twice.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::bindings::PluginPre;
use crate::bindings::schedules::SchedulesPre;
use crate::call::{CallFailure, explain, store};
use crate::guest::Guest;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::report::{Finding, Report};
use crate::shape;

/// A component that may run here.
pub struct Checked {
    pub(crate) pre: PluginPre<Guest>,
    /// The optional export, if it is there.
    pub(crate) schedules: Option<SchedulesPre<Guest>>,
    pub(crate) manifest: Manifest,
}

impl Checked {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// Checks a component from its bytes to its manifest.
pub(crate) fn check(
    engine: &Engine,
    linker: &Linker<Guest>,
    limits: &Limits,
    compile: impl FnOnce(&Engine, &[u8]) -> Result<Component, Finding>,
    bytes: &[u8],
) -> Result<Checked, Report> {
    shape::check_layer(bytes)?;
    shape::check_types(bytes)?;
    shape::check_validity(bytes)?;
    shape::check_sizes(bytes)?;
    shape::check_contract(bytes)?;
    let component = compile(engine, bytes)?;
    let pre = linker
        .instantiate_pre(&component)
        .and_then(PluginPre::new)
        .map_err(|error| {
            let hint = "an interface has another shape than the one in wit/";
            Finding::new("link_failed", format!("{:#}", error.root_cause())).hint(hint)
        })?;
    let manifest = describe(&pre, limits)?;
    if describe(&pre, limits)? != manifest {
        let message = "`describe` says something else each time";
        return Err(Finding::new("manifest_unstable", message).into());
    }
    let manifest = Manifest::parse(&manifest)?;
    let schedules = SchedulesPre::new(pre.instance_pre().clone()).ok();
    if schedules.is_none() && !manifest.schedules.is_empty() {
        let message = "the manifest names schedules, and `schedule` is not exported";
        let hint =
            "export `bursar:plugin/schedule@0.1.0`; the SDK does where `plugin!` has schedules";
        return Err(Finding::new("schedule_missing", message).hint(hint).into());
    }
    Ok(Checked {
        pre,
        schedules,
        manifest,
    })
}

/// Asks a plugin for its manifest, in a fresh store.
fn describe(pre: &PluginPre<Guest>, limits: &Limits) -> Result<String, Report> {
    let described = store(pre.engine(), Guest::describing(limits), limits).and_then(|mut store| {
        let instance = pre.instantiate(&mut store)?;
        instance.bursar_plugin_handler().call_describe(&mut store)
    });
    described.map_err(|error| {
        let why = explain(&error).unwrap_or_else(|failure: CallFailure| failure.to_string());
        Finding::new(
            "describe_failed",
            format!("`describe` did not answer: {why}"),
        )
        .into()
    })
}
