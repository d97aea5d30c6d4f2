//! The manifest of a plugin, as `plugin!` writes it.

use std::collections::BTreeMap;

use schemars::Schema;
use serde::Serialize;
use serde_json::Value;

/// A manifest. Its members are part of the contract with the host, which rejects unknown and missing ones.
#[derive(Debug, Serialize)]
pub struct Manifest {
    /// The plugin's id, which is also the default name of an installation.
    pub id: &'static str,
    /// The version of the package.
    pub version: &'static str,
    /// The description of the plugin, for people.
    pub description: &'static str,
    /// The licence of the plugin.
    pub license: &'static str,
    /// Names of the plugin's further accounts: `till` is the account `plugin:{id}:till`.
    pub accounts: &'static [&'static str],
    /// The actions of the plugin.
    pub actions: Vec<ActionInfo>,
    /// The schema of the plugin's configuration.
    pub configuration: Schema,
    /// Requested permissions beyond the plugin's own accounts and the caller's.
    pub permissions: Permissions,
    /// The kinds of holds that the plugin places, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<&'static str, HoldRule>,
    /// The schedules of the plugin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleInfo>,
    /// The stated odds of the plugin's games.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub odds: Vec<Odds>,
}

/// An action in a manifest.
#[derive(Debug, Serialize)]
pub struct ActionInfo {
    /// The name of the action.
    pub name: &'static str,
    /// The description of the action, for people.
    pub description: &'static str,
    /// The schema of the arguments.
    pub arguments: Schema,
    /// The schema of the reply.
    pub reply: Schema,
}

/// The end of a hold that has expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The rest of the hold can be spent again.
    Release,
    /// The rest of the hold moves to its destination. A loser cannot avoid the loss by waiting.
    Capture,
}

/// A kind of hold: its lifetime and its end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HoldRule {
    /// Seconds until a hold expires: at most 366 days.
    pub expires_in_s: u64,
    /// The end of a hold that has expired.
    pub on_expiry: OnExpiry,
}

/// The handling of due times that passed while the server did not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// Each missed due time gets a run, in order.
    CatchUp,
    /// Missed due times have no run.
    Skip,
}

/// A schedule in a manifest. The operator may set other times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ScheduleInfo {
    /// The name of the schedule.
    pub name: &'static str,
    /// The description of the schedule, for people.
    pub description: &'static str,
    /// Seconds from one due time to the next, counted from 1970-01-01 UTC.
    pub every_s: u64,
    /// Seconds from a multiple of `every_s` to the due time.
    pub offset_s: u64,
    /// The handling of due times that were missed.
    pub missed: MissedRuns,
}

/// The stated average return of a game for one configuration and one set of arguments.
///
/// `bursar plugin check --simulate` plays the game and compares the result with the statement.
#[derive(Clone, Debug, Serialize)]
pub struct Odds {
    /// The action that starts a round.
    pub action: &'static str,
    /// The description of the bet, for people.
    pub description: &'static str,
    /// The arguments of the action.
    pub arguments: Value,
    /// The configuration of the plugin.
    pub config: Value,
    /// The stake of one round.
    pub stake: Stake,
    /// The average return, in millionths of the stake.
    pub returns_ppm: u64,
    /// A JSON pointer into the reply to the next call of the round: an object with `action` and `arguments`.
    /// The round is over if the pointer leads to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<&'static str>,
}

/// The stake of a round.
#[derive(Clone, Debug, Serialize)]
pub struct Stake {
    /// The staked asset.
    pub asset: &'static str,
    /// The staked amount.
    pub amount: u64,
}

/// The amount of computation that a plugin may use in one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fuel {
    /// 10 million units.
    Small,
    /// 50 million units: the default.
    Standard,
    /// 500 million units.
    Large,
}

/// A pattern of accounts that a plugin would like to read or debit.
///
/// The operator sees this request, and grants it by writing the pattern with caps for each debit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PatternRequest {
    /// The pattern: segments of a name, followed by `*` for one or more further segments.
    pub accounts: &'static str,
    /// Requests to read the balances of these accounts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
    /// Requests to debit these accounts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debit: bool,
}

/// Requested permissions beyond the plugin's own accounts and the caller's. The operator may grant less.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Permissions {
    read: &'static [&'static str],
    credit: &'static [&'static str],
    debit: &'static [&'static str],
    #[serde(skip_serializing_if = "<[PatternRequest]>::is_empty")]
    patterns: &'static [PatternRequest],
    #[serde(skip_serializing_if = "Option::is_none")]
    state_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<Fuel>,
}

impl Permissions {
    /// Adds a request to read the balances of these accounts.
    #[must_use]
    pub fn read(self, read: &'static [&'static str]) -> Self {
        Self { read, ..self }
    }

    /// Adds a request to credit these issuers, which burns an asset.
    #[must_use]
    pub fn credit(self, credit: &'static [&'static str]) -> Self {
        Self { credit, ..self }
    }

    /// Adds a request to debit these accounts. Debiting an issuer issues an asset.
    #[must_use]
    pub fn debit(self, debit: &'static [&'static str]) -> Self {
        Self { debit, ..self }
    }

    /// Adds requests to read or debit accounts by patterns.
    #[must_use]
    pub fn patterns(self, patterns: &'static [PatternRequest]) -> Self {
        Self { patterns, ..self }
    }

    /// Adds a request for bytes of state in each economy. The default is 1 MiB.
    #[must_use]
    pub fn state_bytes(self, bytes: u64) -> Self {
        Self {
            state_bytes: Some(bytes),
            ..self
        }
    }

    /// Adds a request for a class of fuel.
    #[must_use]
    pub fn fuel(self, fuel: Fuel) -> Self {
        Self {
            fuel: Some(fuel),
            ..self
        }
    }
}

impl Manifest {
    /// Returns the manifest as JSON. The text is equal each time.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and schemas are JSON")
    }
}
