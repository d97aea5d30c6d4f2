//! The manifest of a plugin and its check.

mod finding;
mod members;
mod published;
mod relations;
mod schemas;
mod shape;
mod texts;

use std::fmt;
use std::sync::Arc;

use bursar_ledger::{
    Amount, AssetId, CONFIG_BYTES_MAX, HoldRules, Permissions, PluginId, ScheduleRule,
    read_strictly,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::finding::invalid;
pub(crate) use self::schemas::EntryPoint;
use self::schemas::ManifestSchemas;
use crate::limits::{ARGUMENTS_BYTES_MAX, MANIFEST_BYTES_MAX, REPLY_BYTES_MAX};
use crate::report::{Finding, Findings, Report};
use crate::schema::{NamedValue, SchemaError, check_value};

/// An action of a plugin.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The name in paths: 1 to 64 of `[a-z0-9_-]`.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// JSON Schema of its arguments.
    pub arguments: Value,
    /// JSON Schema of its reply.
    pub reply: Value,
}

/// A schedule of a plugin.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ManifestSchedule {
    /// The name: 1 to 64 of `[a-z0-9_-]`.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// JSON Schema of its reply. Without one, a reply may be any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// The due times, and the rule for missed ones.
    #[serde(flatten)]
    pub rule: ScheduleRule,
}

/// The average return of one round of a game, as the plugin states it for one configuration and one set of arguments.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Odds {
    /// The action that begins a round.
    pub action: String,
    /// A description for people.
    pub description: String,
    /// The arguments of that action.
    pub arguments: Value,
    /// The configuration.
    pub config: Value,
    /// The stake of the member.
    pub stake: Stake,
    /// The average return in millionths of the stake.
    pub returns_ppm: u64,
    /// A JSON pointer into a reply, to an object with the `action` and `arguments` that continue the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
}

/// The stake of a round.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stake {
    /// The asset.
    pub asset: AssetId,
    /// The amount.
    pub amount: Amount,
}

/// The manifest of a plugin, as its `describe` returns it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The id, which all versions of the plugin share.
    pub id: PluginId,
    /// The version.
    pub version: String,
    /// A description for people.
    pub description: String,
    /// The licence.
    pub license: String,
    /// The accounts of the plugin in addition to `plugin:{name}`, where `name` is the name of the installation: `till`
    /// means `plugin:{name}:till`.
    pub accounts: Vec<String>,
    /// The actions.
    pub actions: Vec<Action>,
    /// JSON Schema of the configuration.
    pub configuration: Value,
    /// The permissions that it requests beyond its own accounts and the caller's. Patterns are granted only if the operator
    /// writes them explicitly.
    pub permissions: Permissions,
    /// The rules by which its holds end, by kind.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// The schedules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ManifestSchedule>,
    /// The average returns of its games.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odds: Vec<Odds>,
    #[serde(skip)]
    schemas: Option<Arc<ManifestSchemas>>,
}

fn unreadable(error: &impl fmt::Display) -> Finding {
    invalid(format!("`describe`: {error}"))
}

impl Manifest {
    /// Returns the JSON Schema of manifests. It is generated from the definitions that the check uses.
    ///
    /// A manifest that does not match it is rejected. One that matches it is checked further.
    pub fn schema() -> Value {
        published::schema()
    }

    /// Checks the size of a manifest.
    pub(crate) fn check_size(text: &str) -> Result<(), Report> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(invalid(format!("it has more than {MANIFEST_BYTES_MAX} bytes")).into());
        }
        Ok(())
    }

    /// Parses a manifest, or returns all findings.
    pub(crate) fn parse(text: &str) -> Result<Self, Report> {
        Self::check_size(text)?;
        let value: Value = read_strictly(text.as_bytes()).map_err(|error| unreadable(&error))?;
        let mut findings = Findings::default();
        texts::check_texts(&value, &mut findings);
        // Findings about schemas quote their texts, so the schemas are compiled only if all texts are safe to show.
        let texts_are_safe = findings.as_mut_slice().is_empty();
        members::MANIFEST.check(&value, &mut findings);
        relations::check_relations(&value, &mut findings);
        let schemas = if texts_are_safe {
            ManifestSchemas::compile(&value, &mut findings)
        } else {
            None
        };
        findings.report()?;
        let mut manifest = Self::deserialize(&value).map_err(|error| unreadable(&error))?;
        manifest.schemas = schemas.map(Arc::new);
        Ok(manifest)
    }

    /// Returns an action by its name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// Checks that arguments match the action's schema.
    pub fn check_arguments(&self, action: &str, arguments: &Value) -> Result<(), SchemaError> {
        let schemas = self.schemas.as_ref();
        let schema = schemas.and_then(|schemas| schemas.arguments_of(action));
        schema.map_or(Ok(()), |schema| {
            schema.check(arguments, ARGUMENTS_BYTES_MAX)
        })
    }

    /// Checks that a reply matches the schema of its entry point. A schedule without a schema may reply with
    /// any JSON that can be recorded.
    pub(crate) fn check_reply(
        &self,
        entry_point: EntryPoint<'_>,
        reply: &Value,
    ) -> Result<(), SchemaError> {
        let schemas = self.schemas.as_ref();
        match schemas.and_then(|schemas| schemas.reply_to(entry_point)) {
            Some(schema) => schema.check(reply, REPLY_BYTES_MAX),
            None => check_value(reply, REPLY_BYTES_MAX),
        }
    }

    /// Checks that a configuration matches its schema, and returns the accounts, assets and amounts in it.
    ///
    /// The schema marks them by the formats `account`, `asset` and `amount`. Each is returned once.
    pub fn named_in_configuration(&self, config: &Value) -> Result<Vec<NamedValue>, SchemaError> {
        self.schemas.as_ref().map_or(Ok(Vec::new()), |schemas| {
            schemas.configuration().list(config, CONFIG_BYTES_MAX)
        })
    }
}
