//! What the `plugin!` macro stands on: the manifest, and the way from a call to its action.

use std::collections::BTreeMap;
use std::sync::Once;

use schemars::Schema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::bursar::plugin::{call, log};
use crate::bindings::configured::exports::bursar::plugin::configuration;
use crate::bindings::exports::bursar::plugin::handler;
use crate::bindings::schedules::exports::bursar::plugin::schedule;
use crate::call::Call;
use crate::config_report::ConfigReport;
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
    /// How its holds end.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<&'static str, HoldRule>,
    /// What it does by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleInfo>,
    /// What its games return.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub odds: Vec<Odds>,
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

/// What becomes of a hold when its time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// It can be spent again.
    Release,
    /// It goes where it was meant to go: who loses cannot wait for a refund.
    Capture,
}

/// How long holds of one kind live, and how they end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HoldRule {
    /// Seconds until they end by themselves: up to a leap year.
    pub expires_in_s: u64,
    /// What becomes of them then.
    pub on_expiry: OnExpiry,
}

/// What becomes of due times that passed while the server did not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Each has its run, one after the other.
    CatchUp,
    /// They are left out.
    Skip,
}

/// A schedule as a manifest names it: due every so many seconds since 1970-01-01 UTC. The operator
/// may set other times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ScheduleInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does, for people.
    pub description: &'static str,
    /// Seconds from one due time to the next.
    pub every_s: u64,
    /// Seconds from a multiple of that to the due time.
    pub offset_s: u64,
    /// What becomes of due times that were missed.
    pub missed: Missed,
}

/// What one round of a game returns on average, for a configuration and arguments. The host's check
/// plays it, and compares.
#[derive(Clone, Debug, Serialize)]
pub struct Odds {
    /// The action that begins a round.
    pub action: &'static str,
    /// What it is about, for people.
    pub description: &'static str,
    /// Its arguments.
    pub arguments: Value,
    /// The configuration.
    pub config: Value,
    /// What a member puts at stake.
    pub stake: Stake,
    /// What comes back on average, in millionths of the stake.
    pub returns_ppm: u64,
    /// Where the reply says how the round goes on, as a JSON pointer to an object with `action` and
    /// `arguments`; the round is over when nothing is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<&'static str>,
}

/// What is at stake in a round.
#[derive(Clone, Debug, Serialize)]
pub struct Stake {
    /// Which asset.
    pub asset: &'static str,
    /// How much of it.
    pub amount: u64,
}

/// How much a plugin may compute in one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fuel {
    /// 10 million units.
    Small,
    /// 50 million units, as without a word.
    Standard,
    /// 500 million units.
    Large,
}

/// Accounts that a plugin would like to read or debit by a pattern. An operator who agrees writes the
/// pattern into the grants, with the caps of each debit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PatternWish {
    /// The pattern: segments, and a last `*` for one or more further ones.
    pub accounts: &'static str,
    /// To read their balances.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
    /// To debit them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debit: bool,
}

/// What a plugin asks for beyond its own accounts and the caller's. The operator may grant less.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Permissions {
    read: &'static [&'static str],
    credit: &'static [&'static str],
    debit: &'static [&'static str],
    #[serde(skip_serializing_if = "<[PatternWish]>::is_empty")]
    patterns: &'static [PatternWish],
    #[serde(skip_serializing_if = "Option::is_none")]
    state_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<Fuel>,
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

    /// The same, and the wish to read or debit accounts by patterns.
    #[must_use]
    pub fn patterns(self, patterns: &'static [PatternWish]) -> Self {
        Self { patterns, ..self }
    }

    /// The same, and to keep so many bytes of state; without it, as many as 1 MiB has.
    #[must_use]
    pub fn state_bytes(self, bytes: u64) -> Self {
        Self {
            state_bytes: Some(bytes),
            ..self
        }
    }

    /// The same, and to compute more in one call, or less.
    #[must_use]
    pub fn fuel(self, fuel: Fuel) -> Self {
        Self {
            fuel: Some(fuel),
            ..self
        }
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
    find: impl FnOnce(&Call<C>, &str) -> Option<Result<String, Decline>>,
) -> Result<String, handler::Decline> {
    report_panics();
    let action = call::action();
    let answer = find(&present()?, &action);
    Ok(answer.unwrap_or_else(|| Err(unknown_action(&action)))?)
}

/// Finds the schedule that is due and has it run.
pub fn run_schedule<C: DeserializeOwned>(
    name: &str,
    find: impl FnOnce(&Call<C>) -> Option<Result<String, Decline>>,
) -> Result<String, schedule::Decline> {
    report_panics();
    let ran = present().and_then(|call| {
        let unknown = || Decline::new("unknown_schedule", format!("There is no schedule {name}."));
        find(&call).unwrap_or_else(|| Err(unknown()))
    });
    Ok(ran?)
}

/// The present call, with the operator's configuration.
fn present<C: DeserializeOwned>() -> Result<Call<C>, Decline> {
    let config = serde_json::from_str(&call::configuration())
        .map_err(|error| Decline::new("misconfigured", format!("The configuration: {error}.")))?;
    Ok(Call::new(config))
}

/// Checks a configuration: that it can be read as what the plugin takes, and by the plugin's own rules.
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

/// Runs a schedule, and writes its reply.
pub fn scheduled<C, R: Serialize>(
    call: &Call<C>,
    due_ms: u64,
    run: fn(&Call<C>, u64) -> Result<R, Decline>,
) -> Result<String, Decline> {
    Ok(reply(&run(call, due_ms)?))
}

fn reply(reply: &impl Serialize) -> String {
    serde_json::to_string(reply).expect("a reply is JSON: its maps have text for keys")
}

/// Reads arguments, runs an action, and writes its reply.
pub fn answer<C, A: DeserializeOwned, R: Serialize>(
    call: &Call<C>,
    arguments: &str,
    action: fn(&Call<C>, A) -> Result<R, Decline>,
) -> Result<String, Decline> {
    let arguments = serde_json::from_str(arguments)
        .map_err(|error| Decline::new("bad_arguments", format!("The arguments: {error}.")))?;
    Ok(reply(&action(call, arguments)?))
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
