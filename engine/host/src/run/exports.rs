//! The exports of a component, in either version of the contract.

use bursar_ledger::Timestamp;
use wasmtime::component::InstancePre;
use wasmtime::{Engine, Result, Store};

use crate::check::ContractVersion;
use crate::run::bindings::configured::ConfiguredPre;
use crate::run::bindings::configured::exports::bursar::plugin::configuration;
use crate::run::bindings::schedules::SchedulesPre;
use crate::run::bindings::{PluginPre, v0_1};
use crate::run::failure::Fault;
use crate::run::guest::Guest;

pub(crate) use crate::run::bindings::exports::bursar::plugin::handler::Decline;

/// A component whose imports are bound, ready to be instantiated.
pub(crate) enum Exports {
    V0_1 {
        plugin: v0_1::PluginPre<Guest>,
        schedules: Option<v0_1::schedules::SchedulesPre<Guest>>,
    },
    V0_2 {
        plugin: PluginPre<Guest>,
        schedules: Option<SchedulesPre<Guest>>,
        configured: Option<ConfiguredPre<Guest>>,
    },
}

impl Exports {
    /// Binds the exports of a component that follows this version of the contract. Optional exports may be missing.
    pub(crate) fn new(pre: InstancePre<Guest>, version: ContractVersion) -> Result<Self> {
        Ok(match version {
            ContractVersion::V0_1 => Self::V0_1 {
                schedules: v0_1::schedules::SchedulesPre::new(pre.clone()).ok(),
                plugin: v0_1::PluginPre::new(pre)?,
            },
            ContractVersion::V0_2 => Self::V0_2 {
                schedules: SchedulesPre::new(pre.clone()).ok(),
                configured: ConfiguredPre::new(pre.clone()).ok(),
                plugin: PluginPre::new(pre)?,
            },
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::V0_1 { plugin, .. } => plugin.engine(),
            Self::V0_2 { plugin, .. } => plugin.engine(),
        }
    }

    pub(crate) fn version(&self) -> ContractVersion {
        match self {
            Self::V0_1 { .. } => ContractVersion::V0_1,
            Self::V0_2 { .. } => ContractVersion::V0_2,
        }
    }

    pub(crate) fn has_schedules(&self) -> bool {
        match self {
            Self::V0_1 { schedules, .. } => schedules.is_some(),
            Self::V0_2 { schedules, .. } => schedules.is_some(),
        }
    }

    /// Returns the manifest as JSON.
    pub(crate) fn describe(&self, store: &mut Store<Guest>) -> Result<String> {
        match self {
            Self::V0_1 { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                instance.bursar_plugin_handler().call_describe(store)
            }
            Self::V0_2 { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                instance.bursar_plugin_handler().call_describe(store)
            }
        }
    }

    /// Runs the action of the call.
    pub(crate) fn handle(
        &self,
        store: &mut Store<Guest>,
        arguments: &str,
    ) -> Result<std::result::Result<String, Decline>> {
        match self {
            Self::V0_1 { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                let handler = instance.bursar_plugin_handler();
                let result = handler.call_handle(store, arguments)?;
                Ok(result.map_err(|decline| decline_from(decline.code, decline.message)))
            }
            Self::V0_2 { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                let handler = instance.bursar_plugin_handler();
                handler.call_handle(store, arguments)
            }
        }
    }

    /// Runs a schedule at the time for which it is due.
    pub(crate) fn run(
        &self,
        store: &mut Store<Guest>,
        schedule: &str,
        due: Timestamp,
    ) -> Result<std::result::Result<String, Decline>> {
        match self {
            Self::V0_1 {
                schedules: Some(schedules),
                ..
            } => {
                let instance = schedules.instantiate(&mut *store)?;
                let schedules = instance.bursar_plugin_schedule();
                let result = schedules.call_run(store, schedule, due.0)?;
                Ok(result.map_err(|decline| decline_from(decline.code, decline.message)))
            }
            Self::V0_2 {
                schedules: Some(schedules),
                ..
            } => {
                let instance = schedules.instantiate(&mut *store)?;
                let schedules = instance.bursar_plugin_schedule();
                let result = schedules.call_run(store, schedule, due.0)?;
                Ok(result.map_err(|decline| decline_from(decline.code, decline.message)))
            }
            Self::V0_1 {
                schedules: None, ..
            }
            | Self::V0_2 {
                schedules: None, ..
            } => Err(Fault("it has no schedules".into()).into()),
        }
    }

    /// Lets the plugin check a configuration. `None` if it does not export a check.
    pub(crate) fn check(
        &self,
        store: &mut Store<Guest>,
        plugin: &str,
        configuration: &str,
    ) -> Result<Option<configuration::Report>> {
        let Self::V0_2 {
            configured: Some(configured),
            ..
        } = self
        else {
            return Ok(None);
        };
        let instance = configured.instantiate(&mut *store)?;
        let exported = instance.bursar_plugin_configuration();
        exported.call_check(store, plugin, configuration).map(Some)
    }
}

fn decline_from(code: String, message: String) -> Decline {
    Decline { code, message }
}
