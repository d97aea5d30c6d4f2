//! The path from a call of the host to the plugin's function, and from its result back to the host.

use std::sync::Once;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::bursar::plugin::{call, log};
use crate::bindings::configured::exports::bursar::plugin::configuration;
use crate::bindings::exports::bursar::plugin::handler;
use crate::bindings::schedules::exports::bursar::plugin::schedule;
use crate::call::Call;
use crate::config_report::ConfigReport;
use crate::decline::Decline;

/// Runs the action of the current call, which `find` looks up by its name.
pub fn dispatch_action<C: DeserializeOwned>(
    find: impl FnOnce(&Call<C>, &str) -> Option<Result<String, Decline>>,
) -> Result<String, handler::Decline> {
    report_panics();
    let action = call::action();
    let result = find(&current_call()?, &action);
    Ok(result.unwrap_or_else(|| Err(unknown_action(&action)))?)
}

/// Runs the schedule that is due, which `find` looks up by its name.
pub fn dispatch_schedule<C: DeserializeOwned>(
    name: &str,
    find: impl FnOnce(&Call<C>) -> Option<Result<String, Decline>>,
) -> Result<String, schedule::Decline> {
    report_panics();
    let result = current_call().and_then(|call| {
        let unknown = || Decline::new("unknown_schedule", format!("There is no schedule {name}."));
        find(&call).unwrap_or_else(|| Err(unknown()))
    });
    Ok(result?)
}

/// Reads the operator's configuration and returns the current call.
fn current_call<C: DeserializeOwned>() -> Result<Call<C>, Decline> {
    let config = serde_json::from_str(&call::configuration()).map_err(|error| {
        Decline::new(
            "misconfigured",
            format!("The configuration is invalid: {error}."),
        )
    })?;
    Ok(Call::new(config))
}

/// Checks a configuration: it must be readable as the plugin's type and pass the plugin's own check.
pub fn check_configuration<C: DeserializeOwned>(
    plugin: &str,
    configuration: &str,
    check: impl FnOnce(&C, &mut ConfigReport),
) -> configuration::Report {
    let mut report = ConfigReport::new(plugin);
    match serde_json::from_str(configuration) {
        Ok(config) => check(&config, &mut report),
        Err(error) => report.finding("", format!("it cannot be read: {error}")),
    }
    report.into_contract()
}

/// Runs a schedule and serialises its reply.
pub fn run_schedule<C, R: Serialize>(
    call: &Call<C>,
    due_ms: u64,
    run: fn(&Call<C>, u64) -> Result<R, Decline>,
) -> Result<String, Decline> {
    Ok(serialise(&run(call, due_ms)?))
}

fn serialise(reply: &impl Serialize) -> String {
    serde_json::to_string(reply).expect("a reply is JSON: its maps have text for keys")
}

/// Reads the arguments, runs an action and serialises its reply.
pub fn run_action<C, A: DeserializeOwned, R: Serialize>(
    call: &Call<C>,
    arguments: &str,
    action: fn(&Call<C>, A) -> Result<R, Decline>,
) -> Result<String, Decline> {
    let arguments = serde_json::from_str(arguments).map_err(|error| {
        Decline::new(
            "bad_arguments",
            format!("The arguments are invalid: {error}."),
        )
    })?;
    Ok(serialise(&action(call, arguments)?))
}

fn unknown_action(action: &str) -> Decline {
    Decline::new("unknown_action", format!("There is no action {action}."))
}

/// Writes the message of a panic to the operator's log. The call ends as a fault, which has no message.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = |info: &std::panic::PanicHookInfo<'_>| {
            log::write(log::Level::Error, &info.to_string());
        };
        std::panic::set_hook(Box::new(report));
    });
}
