//! The check of a configuration against a plugin and an economy.
//!
//! Accounts and assets are never removed, so those that the economy has now still exist when the configuration is recorded.

use bursar_host::{
    CallFailure, ConfigurationFinding, ConfigurationReport, LoadedPlugin, NameFormat,
};
use bursar_ledger::{AccountId, AssetId, Books, Digest, PluginName};
use serde_json::Value;

/// The largest number of findings about missing accounts and assets in a report. If there are more, one
/// further finding states the number of those that are left out.
const ECONOMY_FINDINGS_MAX: usize = 64;

/// Checks a configuration by the plugin's schema and by the plugin's own check. Adds a finding for each
/// account and asset that the economy does not have. Blocks the thread like
/// [`LoadedPlugin::check_configuration`].
pub fn check(
    plugin: &LoadedPlugin,
    books: &Books,
    name: &PluginName,
    config: &Value,
) -> Result<ConfigurationReport, CallFailure> {
    let mut report = plugin.check_configuration(name, config)?;
    let economy = EconomyLookup::with(plugin, books, name);
    let mut findings = Vec::new();
    for value in &report.named {
        if let Some(message) = economy.lacks(&value.named) {
            let pointer = value.pointer.clone();
            findings.push(ConfigurationFinding { pointer, message });
        }
    }
    // A missing name that is in the configuration has a finding already, with a pointer.
    let is_in_configuration =
        |named: &NameFormat| report.named.iter().any(|value| value.named == *named);
    for need in &report.needs {
        let names = [
            NameFormat::Account(need.account.clone()),
            NameFormat::Asset(need.asset.clone()),
        ];
        let further = names.iter().filter(|named| !is_in_configuration(named));
        let missing = further.filter_map(|named| economy.lacks(named));
        let findings_of_need = missing.map(|missing| {
            let message = format!(
                "the plugin needs {} on `{}`, but {missing}",
                need.asset, need.account
            );
            ConfigurationFinding {
                pointer: String::new(),
                message,
            }
        });
        findings.extend(findings_of_need);
    }
    let omitted = findings.len().saturating_sub(ECONOMY_FINDINGS_MAX);
    findings.truncate(ECONOMY_FINDINGS_MAX);
    report.findings.append(&mut findings);
    if omitted > 0 {
        report.findings.push(ConfigurationFinding {
            pointer: String::new(),
            message: format!("{omitted} more accounts and assets do not exist in this economy"),
        });
    }
    Ok(report)
}

/// An economy, and the accounts that the plugin adds to it.
struct EconomyLookup<'a> {
    books: &'a Books,
    /// The accounts that the installation opens.
    own: Vec<AccountId>,
}

impl<'a> EconomyLookup<'a> {
    fn with(plugin: &LoadedPlugin, books: &'a Books, name: &PluginName) -> Self {
        // With a long plugin name, the name of one of its accounts can be too long. Such a plugin cannot be
        // installed, so it opens no accounts.
        let choice = plugin.component_choice(name, Digest::ZERO);
        let mut own = choice.map_or_else(|_| Vec::new(), |choice| choice.accounts);
        own.push(AccountId::of_plugin(name));
        Self { books, own }
    }

    /// Returns a message if the economy does not have a named account or asset.
    fn lacks(&self, named: &NameFormat) -> Option<String> {
        match named {
            NameFormat::Account(account) => self.lacks_account(account),
            NameFormat::Asset(asset) => self.lacks_asset(asset),
            NameFormat::Amount(_) => None,
        }
    }

    fn lacks_account(&self, account: &AccountId) -> Option<String> {
        let exists = self.books.account(account).is_some() || self.own.contains(account);
        (!exists).then(|| {
            format!("this economy has no account `{account}`: open it first, or use another one")
        })
    }

    fn lacks_asset(&self, asset: &AssetId) -> Option<String> {
        let exists = self.books.asset(asset).is_some();
        (!exists).then(|| {
            format!("this economy has no asset `{asset}`: create it first, or use another one")
        })
    }
}
