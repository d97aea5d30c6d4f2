//! What the `plugin!` macro stands on.

use schemars::Schema;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::bindings::bursar::plugin::call;
use crate::bindings::exports::bursar::plugin::handler;
use crate::call::Call;
use crate::decline::Decline;

/// An action as a manifest names it.
#[derive(Debug)]
pub struct ActionInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The schema of its arguments.
    pub arguments: Schema,
    /// The schema of its reply.
    pub reply: Schema,
}

/// A manifest, as JSON.
pub fn manifest(
    id: &str,
    version: &str,
    description: &str,
    license: &str,
    accounts: &[&str],
    configuration: &Schema,
    actions: &[ActionInfo],
) -> String {
    let action = |action: &ActionInfo| {
        json!({
            "name": action.name,
            "description": action.description,
            "arguments": action.arguments,
            "reply": action.reply,
        })
    };
    json!({
        "id": id,
        "version": version,
        "description": description,
        "license": license,
        "accounts": accounts,
        "actions": actions.iter().map(action).collect::<Vec<_>>(),
        "configuration": configuration,
        "permissions": { "read": [], "credit": [], "debit": [] },
    })
    .to_string()
}

/// Finds the action and has it answered.
pub fn handle<C: DeserializeOwned>(
    arguments: &str,
    find: impl FnOnce(&Call<C>, &str, &str) -> Option<Result<String, Decline>>,
) -> Result<String, handler::Decline> {
    report_panics();
    let config = serde_json::from_str(&call::configuration())
        .map_err(|error| Decline::new("misconfigured", format!("The configuration: {error}")))?;
    let action = call::action();
    let answer = find(&Call::new(config), &action, arguments);
    let unknown = || {
        Err(Decline::new(
            "unknown_action",
            format!("There is no action {action}."),
        ))
    };
    Ok(answer.unwrap_or_else(unknown)?)
}

/// A panic ends the call as a fault; without this its words would be lost.
fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|info| {
        use crate::bindings::bursar::plugin::log;
        log::write(log::Level::Error, &info.to_string());
    }));
}
