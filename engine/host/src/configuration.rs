//! A configuration held against a plugin: against the schema in its manifest, and by the plugin's own check.
//!
//! A plugin decides by the configuration alone. It runs in a fresh store with the bounds of a call and
//! without imports, so what it says is the same each time; what it says is kept within bounds here.

use std::collections::BTreeMap;
use std::fmt;

use bursar_ledger::{AccountId, Amount, AssetId, Need, PluginName, shown};
use serde::Serialize;
use serde_json::Value;

use crate::check::CheckedComponent;
use crate::limits::{CONFIGURATION_FINDINGS_MAX, CONFIGURATION_TEXT_BYTES_MAX, Limits, NEEDS_MAX};
use crate::run::bindings::configured::exports::bursar::plugin::configuration as contract;
use crate::run::call::{CallFailure, explain, store};
use crate::run::guest::Guest;
use crate::schema::NamedValue;
use crate::text::excerpt;

/// Something in a configuration that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConfigurationFinding {
    /// The place, as a JSON pointer into the configuration.
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

/// All that a plugin and its schema say of a configuration. One with findings is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigurationReport {
    /// Everything that is wrong.
    pub findings: Vec<ConfigurationFinding>,
    /// Balances without which calls will decline, each account and asset once.
    pub needs: Vec<Need>,
    /// The accounts, assets and amounts that the configuration names, as the schema says.
    pub named: Vec<NamedValue>,
}

impl ConfigurationReport {
    fn refused(pointer: String, message: String) -> Self {
        Self {
            findings: vec![ConfigurationFinding { pointer, message }],
            ..Self::default()
        }
    }
}

/// Holds a configuration against a plugin that is installed, or is to be, under this name. A plugin that
/// misbehaves in its own check refuses the configuration; one that could not be run here is a failure.
pub(crate) fn check(
    plugin: &CheckedComponent,
    limits: &Limits,
    name: &PluginName,
    config: &Value,
) -> Result<ConfigurationReport, CallFailure> {
    let named = match plugin.manifest.named_in_configuration(config) {
        Ok(named) => named,
        Err(error) => return Ok(ConfigurationReport::refused(error.pointer, error.message)),
    };
    let said =
        store(plugin.exports.engine(), Guest::checking(limits), limits).and_then(|mut store| {
            let exports = &plugin.exports;
            exports.check(&mut store, name.as_str(), &config.to_string())
        });
    let fault = match said {
        Ok(said) => match said.map_or_else(|| Ok(ConfigurationReport::default()), read) {
            Ok(report) => return Ok(ConfigurationReport { named, ..report }),
            Err(fault) => fault,
        },
        Err(error) => match explain(&error) {
            Ok(fault) => fault,
            // The depth of a stack depends on the build, but not on how busy the machine is.
            Err(overflow @ CallFailure::StackOverflow) => overflow.to_string(),
            Err(
                failure @ (CallFailure::Deadline | CallFailure::Exhausted | CallFailure::Internal),
            ) => return Err(failure),
        },
    };
    let message = format!(
        "the plugin could not check its configuration, so it is not taken: {}",
        excerpt(&fault)
    );
    let refused = ConfigurationReport::refused(String::new(), message);
    Ok(ConfigurationReport { named, ..refused })
}

/// Reads a plugin's report; one that breaks the contract is a fault.
fn read(said: contract::Report) -> Result<ConfigurationReport, String> {
    let contract::Report { findings, needs } = said;
    let many = |what: &str, most: usize| format!("its report has more than {most} {what}");
    if findings.len() > CONFIGURATION_FINDINGS_MAX {
        return Err(many("findings", CONFIGURATION_FINDINGS_MAX));
    }
    if needs.len() > NEEDS_MAX {
        return Err(many("needs", NEEDS_MAX));
    }
    let findings = findings.into_iter().map(finding);
    let mut at_least: BTreeMap<(AccountId, AssetId), Amount> = BTreeMap::new();
    for said in needs {
        let Need {
            account,
            asset,
            at_least: amount,
        } = need(&said)?;
        let most = at_least.entry((account, asset)).or_insert(amount);
        *most = amount.max(*most);
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

fn finding(said: contract::Finding) -> Result<ConfigurationFinding, String> {
    let contract::Finding { pointer, message } = said;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err("the place of a finding is not a JSON pointer".into());
    }
    if message.is_empty() {
        return Err("a finding says nothing".into());
    }
    if pointer.len().max(message.len()) > CONFIGURATION_TEXT_BYTES_MAX {
        return Err(format!(
            "a text of a finding has more than {CONFIGURATION_TEXT_BYTES_MAX} bytes"
        ));
    }
    let show = |text: &str| text.chars().flat_map(shown).collect();
    Ok(ConfigurationFinding {
        pointer: show(&pointer),
        message: show(&message),
    })
}

fn need(said: &contract::Need) -> Result<Need, String> {
    let named = |what: &str, text: &str| format!("it needs an {what} `{}`", excerpt(text));
    let account = said.account.parse::<AccountId>();
    let account =
        account.map_err(|error| format!("{}: {error}", named("account", &said.account)))?;
    if account.is_issuer() {
        return Err(format!("it needs a balance of `{account}`, which issues"));
    }
    let asset = said.asset.parse::<AssetId>();
    let asset = asset.map_err(|error| format!("{}: {error}", named("asset", &said.asset)))?;
    let amount = Amount::new(said.at_least);
    let at_least = amount.ok_or_else(|| {
        format!(
            "it needs {} of `{asset}`: amounts are 1 to 2^53 - 1",
            said.at_least
        )
    })?;
    Ok(Need {
        account,
        asset,
        at_least,
    })
}
