//! A configuration held against a plugin, and against the economy in which it is to work.
//!
//! Accounts and assets are never removed, so what an economy has now it has whenever the configuration is
//! recorded.

use bursar_host::{
    CallFailure, ConfigurationFinding, ConfigurationReport, LoadedPlugin, NameFormat,
};
use bursar_ledger::{AccountId, AssetId, Books, Digest, PluginName};
use serde_json::Value;

/// Findings of an economy that are told; one more says how many there are beyond.
const ECONOMY_FINDINGS_MAX: usize = 64;

/// Reports all that is wrong in a configuration: what the plugin's schema and its own check say, and each
/// account and asset in it that the economy does not have. Blocks the thread as
/// [`LoadedPlugin::check_configuration`] does.
pub fn check(
    plugin: &LoadedPlugin,
    books: &Books,
    name: &PluginName,
    config: &Value,
) -> Result<ConfigurationReport, CallFailure> {
    let mut report = plugin.check_configuration(name, config)?;
    let economy = Economy::with(plugin, books, name);
    let mut found = Vec::new();
    for value in &report.named {
        if let Some(message) = economy.lacks(&value.named) {
            let pointer = value.pointer.clone();
            found.push(ConfigurationFinding { pointer, message });
        }
    }
    // What the configuration names has a place of its own already.
    let is_told = |named: &NameFormat| report.named.iter().any(|value| value.named == *named);
    for need in &report.needs {
        let names = [
            NameFormat::Account(need.account.clone()),
            NameFormat::Asset(need.asset.clone()),
        ];
        let untold = names.iter().filter(|named| !is_told(named));
        let missing = untold.filter_map(|named| economy.lacks(named));
        let found_of_need = missing.map(|missing| {
            let message = format!(
                "the plugin needs {} on `{}`, but {missing}",
                need.asset, need.account
            );
            ConfigurationFinding {
                pointer: String::new(),
                message,
            }
        });
        found.extend(found_of_need);
    }
    let beyond = found.len().saturating_sub(ECONOMY_FINDINGS_MAX);
    found.truncate(ECONOMY_FINDINGS_MAX);
    report.findings.append(&mut found);
    if beyond > 0 {
        report.findings.push(ConfigurationFinding {
            pointer: String::new(),
            message: format!("{beyond} more names of accounts and assets are not known here"),
        });
    }
    Ok(report)
}

/// An economy as it is once the plugin is installed.
struct Economy<'a> {
    books: &'a Books,
    own: Vec<AccountId>,
}

impl<'a> Economy<'a> {
    fn with(plugin: &LoadedPlugin, books: &'a Books, name: &PluginName) -> Self {
        // Of a name that makes accounts too long there are none.
        let choice = plugin.component_choice(name, Digest::ZERO);
        let mut own = choice.map_or_else(|_| Vec::new(), |choice| choice.accounts);
        own.push(AccountId::of_plugin(name));
        Self { books, own }
    }

    /// Says that the economy does not have what is named, and what to do.
    fn lacks(&self, named: &NameFormat) -> Option<String> {
        match named {
            NameFormat::Account(account) => self.lacks_account(account),
            NameFormat::Asset(asset) => self.lacks_asset(asset),
            NameFormat::Amount(_) => None,
        }
    }

    fn lacks_account(&self, account: &AccountId) -> Option<String> {
        let is_there = self.books.account(account).is_some() || self.own.contains(account);
        (!is_there).then(|| {
            format!("this economy has no account `{account}`: open it first, or name another one")
        })
    }

    fn lacks_asset(&self, asset: &AssetId) -> Option<String> {
        let is_there = self.books.asset(asset).is_some();
        (!is_there).then(|| {
            format!("this economy has no asset `{asset}`: make it first, or name another one")
        })
    }
}
