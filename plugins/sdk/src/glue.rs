//! What the `plugin!` macro stands on: the manifest, and the way from a call to its action.

use std::sync::Once;

use schemars::Schema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::bursar::plugin::{call, log};
use crate::bindings::exports::bursar::plugin::handler;
use crate::call::Call;
use crate::decline::Decline;

/// A manifest. Its fields are the contract with the host: no more, and none may be missing.
#[derive(Debug, Serialize)]
pub struct Manifest {
    /// The plugin's id, under which it is installed.
    pub id: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Its licence.
    pub license: &'static str,
    /// Its own accounts beside `plugin:{id}`.
    pub accounts: &'static [&'static str],
    /// What it offers.
    pub actions: Vec<ActionInfo>,
    /// The schema of its configuration.
    pub configuration: Schema,
    /// What it asks for beyond its own and the caller's.
    pub permissions: Permissions,
}

/// An action as a manifest names it.
#[derive(Debug, Serialize)]
pub struct ActionInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does, for people.
    pub description: &'static str,
    /// The schema of its arguments.
    pub arguments: Schema,
    /// The schema of its reply.
    pub reply: Schema,
}

/// Names of accounts that a plugin asks for beyond its own and the caller's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Permissions {
    read: &'static [&'static str],
    credit: &'static [&'static str],
    debit: &'static [&'static str],
}

impl Permissions {
    /// The same, and to read these accounts' balances.
    #[must_use]
    pub fn read(self, read: &'static [&'static str]) -> Self {
        Self { read, ..self }
    }

    /// The same, and to credit these issuers: to burn.
    #[must_use]
    pub fn credit(self, credit: &'static [&'static str]) -> Self {
        Self { credit, ..self }
    }

    /// The same, and to debit these accounts; of an issuer that is: to issue.
    #[must_use]
    pub fn debit(self, debit: &'static [&'static str]) -> Self {
        Self { debit, ..self }
    }
}

impl Manifest {
    /// The manifest as JSON, the same each time.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and schemas are JSON")
    }
}

/// Finds the action of the present call and has it answered.
pub fn handle<C: DeserializeOwned>(
    plugin: &'static str,
    find: impl FnOnce(&Call<C>, &str) -> Option<Result<String, Decline>>,
) -> Result<String, handler::Decline> {
    report_panics();
    let config = serde_json::from_str(&call::configuration())
        .map_err(|error| Decline::new("misconfigured", format!("The configuration: {error}.")))?;
    let action = call::action();
    let answer = find(&Call::new(plugin, config), &action);
    Ok(answer.unwrap_or_else(|| Err(unknown_action(&action)))?)
}

/// Reads arguments, runs an action, and writes its reply.
pub fn answer<C, A: DeserializeOwned, R: Serialize>(
    call: &Call<C>,
    arguments: &str,
    action: fn(&Call<C>, A) -> Result<R, Decline>,
) -> Result<String, Decline> {
    let arguments = serde_json::from_str(arguments)
        .map_err(|error| Decline::new("bad_arguments", format!("The arguments: {error}.")))?;
    let reply = action(call, arguments)?;
    Ok(serde_json::to_string(&reply).expect("a reply is JSON: its maps have text for keys"))
}

fn unknown_action(action: &str) -> Decline {
    Decline::new("unknown_action", format!("There is no action {action}."))
}

/// A panic ends the call as a fault; without this its words would be lost.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = |info: &std::panic::PanicHookInfo<'_>| {
            log::write(log::Level::Error, &info.to_string());
        };
        std::panic::set_hook(Box::new(report));
    });
}
