//! A plugin's manifest: what it says of itself, checked before anybody believes it.

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

use self::schemas::Schemas;
use crate::limits::{ARGUMENTS_BYTES_MAX, MANIFEST_BYTES_MAX, REPLY_BYTES_MAX};
use crate::report::{Finding, Findings, Report};
use crate::schema::{NamedValue, SchemaError, check_kept};
use crate::text::excerpt;

/// An action that a plugin offers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its name in paths: 1 to 64 of `[a-z0-9_-]`.
    pub name: String,
    /// What it does, for people.
    pub description: String,
    /// JSON Schema of its arguments.
    pub arguments: Value,
    /// JSON Schema of its reply.
    pub reply: Value,
}

/// Something that a plugin does by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ManifestSchedule {
    /// Its name, as an action's.
    pub name: String,
    /// What it does, for people.
    pub description: String,
    /// JSON Schema of its reply. Without one, it replies any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// When, and what becomes of due times that were missed.
    #[serde(flatten)]
    pub rule: ScheduleRule,
}

/// What one round of a game returns on average, as the plugin says: for this configuration and these
/// arguments.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Odds {
    /// The action that begins a round.
    pub action: String,
    /// What it is about, for people.
    pub description: String,
    /// Its arguments.
    pub arguments: Value,
    /// The configuration.
    pub config: Value,
    /// What a member puts at stake.
    pub stake: Stake,
    /// What comes back on average, in millionths of the stake.
    pub returns_ppm: u64,
    /// Where a reply says how the round goes on: a JSON pointer to an object of `action` and
    /// `arguments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
}

/// What is at stake in a round.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stake {
    /// Which asset.
    pub asset: AssetId,
    /// How much of it.
    pub amount: Amount,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its id, by which its versions are told from other plugins.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// What it is, for people.
    pub description: String,
    /// Its licence.
    pub license: String,
    /// Its own accounts beside `plugin:{name}`, of the name that it is installed under: `till` means
    /// `plugin:{name}:till`.
    pub accounts: Vec<String>,
    /// What it offers.
    pub actions: Vec<Action>,
    /// JSON Schema of its configuration.
    pub configuration: Value,
    /// Permissions beyond its own accounts and the caller's. Patterns are only wished for.
    pub permissions: Permissions,
    /// How its holds end, by kind.
    #[serde(default, skip_serializing_if = "HoldRules::is_empty")]
    pub holds: HoldRules,
    /// What it does by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ManifestSchedule>,
    /// What its games return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odds: Vec<Odds>,
    #[serde(skip)]
    schemas: Option<Arc<Schemas>>,
}

/// The task that a guest was asked to do. An action and a schedule may have the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task<'a> {
    /// An action, by its name.
    Action(&'a str),
    /// A schedule, by its name.
    Schedule(&'a str),
}

/// A finding whose message may repeat what the manifest says, and so is cut.
fn bad(message: impl AsRef<str>) -> Finding {
    Finding::new("manifest_invalid", excerpt(message.as_ref()))
}

fn unreadable(error: &impl fmt::Display) -> Finding {
    bad(format!("`describe`: {error}"))
}

impl Manifest {
    /// The JSON Schema of manifests, made of the shapes that they are checked by. A manifest that does not
    /// fit it is refused; of one that does, more is checked.
    pub fn schema() -> Value {
        published::schema()
    }

    /// Checks that a manifest is not too long to be read.
    pub(crate) fn check_size(text: &str) -> Result<(), Report> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(bad(format!("it has more than {MANIFEST_BYTES_MAX} bytes")).into());
        }
        Ok(())
    }

    /// Reads a manifest, or says everything that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Report> {
        Self::check_size(text)?;
        let value: Value = read_strictly(text.as_bytes()).map_err(|error| unreadable(&error))?;
        let mut findings = Findings::default();
        texts::check_texts(&value, &mut findings);
        // What is found in schemas may repeat their texts: so these come first.
        let may_be_repeated = findings.kept().is_empty();
        members::MANIFEST.check(&value, &mut findings);
        relations::check_relations(&value, &mut findings);
        let schemas = if may_be_repeated {
            Schemas::compile(&value, &mut findings)
        } else {
            None
        };
        findings.report()?;
        let mut manifest = Self::deserialize(&value).map_err(|error| unreadable(&error))?;
        manifest.schemas = schemas.map(Arc::new);
        Ok(manifest)
    }

    /// An action by its name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// Whether arguments fit the action's schema.
    pub fn check_arguments(&self, action: &str, arguments: &Value) -> Result<(), SchemaError> {
        let schemas = self.schemas.as_ref();
        let schema = schemas.and_then(|schemas| schemas.arguments_of(action));
        schema.map_or(Ok(()), |schema| {
            schema.check(arguments, ARGUMENTS_BYTES_MAX)
        })
    }

    /// Checks that a reply fits the schema of what was asked. A schedule without a schema may reply any
    /// JSON that records keep.
    pub(crate) fn check_reply(&self, task: Task<'_>, reply: &Value) -> Result<(), SchemaError> {
        let schemas = self.schemas.as_ref();
        match schemas.and_then(|schemas| schemas.reply_to(task)) {
            Some(schema) => schema.check(reply, REPLY_BYTES_MAX),
            None => check_kept(reply, REPLY_BYTES_MAX),
        }
    }

    /// Checks that a configuration fits its schema, and lists the accounts, assets and amounts that it names, each
    /// value once: those with `format: account`, `asset` or `amount`, names of members included.
    pub fn named_in_configuration(&self, config: &Value) -> Result<Vec<NamedValue>, SchemaError> {
        self.schemas.as_ref().map_or(Ok(Vec::new()), |schemas| {
            schemas.configuration().list(config, CONFIG_BYTES_MAX)
        })
    }
}
