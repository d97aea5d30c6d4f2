//! The check of a configuration: by the schema in the manifest, and by the plugin's own check.
//!
//! A plugin's check runs in a new store with the limits of a call. It cannot use any import, so its report depends only on
//! the configuration. This module limits the size of the report.

use std::collections::BTreeMap;
use std::fmt;

use bursar_ledger::{AccountId, Amount, AssetId, Need, PluginName, shown};
use serde::Serialize;
use serde_json::Value;

use crate::checked_component::CheckedComponent;
use crate::limits::{CONFIGURATION_FINDINGS_MAX, CONFIGURATION_TEXT_BYTES_MAX, Limits, NEEDS_MAX};
use crate::run::bindings::configured::exports::bursar::plugin::configuration as contract;
use crate::run::failure::{CallFailure, describe_error};
use crate::run::guest::Guest;
use crate::sandbox::new_store;
use crate::schema::NamedValue;
use crate::text::excerpt;

/// A problem in a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConfigurationFinding {
    /// A JSON pointer into the configuration, empty for the whole.
    pub pointer: String,
    /// A sentence for the operator.
    pub message: String,
}

impl fmt::Display for ConfigurationFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, message } = self;
        if pointer.is_empty() {
            write!(f, "{message}")
        } else {
            write!(f, "at {pointer}: {message}")
        }
    }
}

/// The report of a plugin and its schema about a configuration. A configuration with findings is rejected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigurationReport {
    /// The problems of the configuration.
    pub findings: Vec<ConfigurationFinding>,
    /// Balances without which calls will decline, at most one for each account and asset.
    pub needs: Vec<Need>,
    /// The accounts, assets and amounts in the configuration, found by the formats of its schema.
    pub named: Vec<NamedValue>,
}

impl ConfigurationReport {
    fn with_finding(pointer: String, message: String) -> Self {
        Self {
            findings: vec![ConfigurationFinding { pointer, message }],
            ..Self::default()
        }
    }
}

/// Checks a configuration of an installation with this name.
///
/// A fault in the plugin's check rejects the configuration. A run that this machine could not finish is an error.
pub(crate) fn check(
    plugin: &CheckedComponent,
    limits: &Limits,
    name: &PluginName,
    config: &Value,
) -> Result<ConfigurationReport, CallFailure> {
    let named = match plugin.manifest.named_in_configuration(config) {
        Ok(named) => named,
        Err(error) => {
            return Ok(ConfigurationReport::with_finding(
                error.pointer,
                error.message,
            ));
        }
    };
    let checked = new_store(
        plugin.exports.engine(),
        Guest::for_configuration_check(limits),
        limits,
    )
    .and_then(|mut store| {
        let exports = &plugin.exports;
        exports.check(&mut store, name.as_str(), &config.to_string())
    });
    let fault = match checked {
        Ok(report) => match report.map_or_else(|| Ok(ConfigurationReport::default()), convert) {
            Ok(report) => return Ok(ConfigurationReport { named, ..report }),
            Err(fault) => fault,
        },
        Err(error) => match describe_error(&error) {
            Ok(fault) => fault,
            // A stack overflow depends on the build, but not on the load of the machine, so a retry would not help.
            Err(overflow @ CallFailure::StackOverflow) => overflow.to_string(),
            Err(
                failure @ (CallFailure::Deadline | CallFailure::Exhausted | CallFailure::Internal),
            ) => return Err(failure),
        },
    };
    let message = format!(
        "the plugin could not check its configuration, so it is rejected: {}",
        excerpt(&fault)
    );
    let rejected = ConfigurationReport::with_finding(String::new(), message);
    Ok(ConfigurationReport { named, ..rejected })
}

/// Converts a plugin's report. A report that violates the contract is a fault.
fn convert(report: contract::Report) -> Result<ConfigurationReport, String> {
    let contract::Report { findings, needs } = report;
    let too_many = |noun: &str, max: usize| format!("its report has more than {max} {noun}");
    if findings.len() > CONFIGURATION_FINDINGS_MAX {
        return Err(too_many("findings", CONFIGURATION_FINDINGS_MAX));
    }
    if needs.len() > NEEDS_MAX {
        return Err(too_many("needs", NEEDS_MAX));
    }
    let findings = findings.into_iter().map(convert_finding);
    let mut at_least: BTreeMap<(AccountId, AssetId), Amount> = BTreeMap::new();
    for need in needs {
        let Need {
            account,
            asset,
            at_least: amount,
        } = convert_need(&need)?;
        let largest = at_least.entry((account, asset)).or_insert(amount);
        *largest = amount.max(*largest);
    }
    let needs = at_least.into_iter();
    Ok(ConfigurationReport {
        findings: findings.collect::<Result<_, _>>()?,
        needs: needs
            .map(|((account, asset), at_least)| Need {
                account,
                asset,
                at_least,
            })
            .collect(),
        named: Vec::new(),
    })
}

fn convert_finding(finding: contract::Finding) -> Result<ConfigurationFinding, String> {
    let contract::Finding { pointer, message } = finding;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err("the pointer of a finding is not a JSON pointer".into());
    }
    if message.is_empty() {
        return Err("a finding has no message".into());
    }
    if pointer.len().max(message.len()) > CONFIGURATION_TEXT_BYTES_MAX {
        return Err(format!(
            "a text of a finding has more than {CONFIGURATION_TEXT_BYTES_MAX} bytes"
        ));
    }
    let escape = |text: &str| text.chars().flat_map(shown).collect();
    Ok(ConfigurationFinding {
        pointer: escape(&pointer),
        message: escape(&message),
    })
}

fn convert_need(need: &contract::Need) -> Result<Need, String> {
    let problem = |noun: &str, text: &str| format!("it needs an {noun} `{}`", excerpt(text));
    let account = need.account.parse::<AccountId>();
    let account =
        account.map_err(|error| format!("{}: {error}", problem("account", &need.account)))?;
    if account.is_issuer() {
        return Err(format!(
            "it needs a balance of `{account}`, which is an issuer"
        ));
    }
    let asset = need.asset.parse::<AssetId>();
    let asset = asset.map_err(|error| format!("{}: {error}", problem("asset", &need.asset)))?;
    let amount = Amount::new(need.at_least);
    let at_least = amount.ok_or_else(|| {
        format!(
            "it needs {} of `{asset}`: amounts are 1 to 2^53 - 1",
            need.at_least
        )
    })?;
    Ok(Need {
        account,
        asset,
        at_least,
    })
}
