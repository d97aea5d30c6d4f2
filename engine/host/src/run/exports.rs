//! The exports of a component, whichever version of the contract it speaks.

use bursar_ledger::Timestamp;
use wasmtime::component::InstancePre;
use wasmtime::{Engine, Result, Store};

use crate::check::ContractVersion;
use crate::run::bindings::configured::ConfiguredPre;
use crate::run::bindings::configured::exports::bursar::plugin::configuration;
use crate::run::bindings::schedules::SchedulesPre;
use crate::run::bindings::{PluginPre, first};
use crate::run::guest::{Fault, Guest};

pub(crate) use crate::run::bindings::exports::bursar::plugin::handler::Decline;

/// A component whose imports are bound, ready to be instantiated.
pub(crate) enum Exports {
    First {
        plugin: first::PluginPre<Guest>,
        schedules: Option<first::schedules::SchedulesPre<Guest>>,
    },
    Present {
        plugin: PluginPre<Guest>,
        schedules: Option<SchedulesPre<Guest>>,
        configured: Option<ConfiguredPre<Guest>>,
    },
}

impl Exports {
    /// The exports of a component that speaks this version. The optional ones are there or not.
    pub(crate) fn new(pre: InstancePre<Guest>, version: ContractVersion) -> Result<Self> {
        Ok(match version {
            ContractVersion::First => Self::First {
                schedules: first::schedules::SchedulesPre::new(pre.clone()).ok(),
                plugin: first::PluginPre::new(pre)?,
            },
            ContractVersion::Present => Self::Present {
                schedules: SchedulesPre::new(pre.clone()).ok(),
                configured: ConfiguredPre::new(pre.clone()).ok(),
                plugin: PluginPre::new(pre)?,
            },
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::First { plugin, .. } => plugin.engine(),
            Self::Present { plugin, .. } => plugin.engine(),
        }
    }

    pub(crate) fn version(&self) -> ContractVersion {
        match self {
            Self::First { .. } => ContractVersion::First,
            Self::Present { .. } => ContractVersion::Present,
        }
    }

    pub(crate) fn has_schedules(&self) -> bool {
        match self {
            Self::First { schedules, .. } => schedules.is_some(),
            Self::Present { schedules, .. } => schedules.is_some(),
        }
    }

    /// Asks for the manifest.
    pub(crate) fn describe(&self, store: &mut Store<Guest>) -> Result<String> {
        match self {
            Self::First { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                instance.bursar_plugin_handler().call_describe(store)
            }
            Self::Present { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                instance.bursar_plugin_handler().call_describe(store)
            }
        }
    }

    /// Runs the action of the present call.
    pub(crate) fn handle(
        &self,
        store: &mut Store<Guest>,
        arguments: &str,
    ) -> Result<std::result::Result<String, Decline>> {
        match self {
            Self::First { plugin, .. } => {
                let instance = plugin.instantiate(&mut *store)?;
                let handler = instance.bursar_plugin_handler();
                let answer = handler.call_handle(store, arguments)?;
                Ok(answer.map_err(|no| decline(no.code, no.message)))
            }
            Self::Present { plugin, .. } => {
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
            Self::First {
                schedules: Some(schedules),
                ..
            } => {
                let instance = schedules.instantiate(&mut *store)?;
                let schedules = instance.bursar_plugin_schedule();
                let ran = schedules.call_run(store, schedule, due.0)?;
                Ok(ran.map_err(|no| decline(no.code, no.message)))
            }
            Self::Present {
                schedules: Some(schedules),
                ..
            } => {
                let instance = schedules.instantiate(&mut *store)?;
                let schedules = instance.bursar_plugin_schedule();
                let ran = schedules.call_run(store, schedule, due.0)?;
                Ok(ran.map_err(|no| decline(no.code, no.message)))
            }
            Self::First {
                schedules: None, ..
            }
            | Self::Present {
                schedules: None, ..
            } => Err(Fault("it has no schedules".into()).into()),
        }
    }

    /// Has the plugin check a configuration, if it checks any.
    pub(crate) fn check(
        &self,
        store: &mut Store<Guest>,
        plugin: &str,
        configuration: &str,
    ) -> Result<Option<configuration::Report>> {
        let Self::Present {
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

fn decline(code: String, message: String) -> Decline {
    Decline { code, message }
}
