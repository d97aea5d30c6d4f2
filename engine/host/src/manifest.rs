//! A plugin's manifest: what it says of itself, checked before anybody believes it.

mod texts;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, Amount, AssetId, CONFIG_BYTES_MAX, HOLD_RULES_MAX, HOLD_SECONDS_MAX, HoldRules,
    PLUGIN_ACCOUNTS_MAX, Permissions, PluginId, SCHEDULE_SECONDS_MAX, SCHEDULES_MAX, ScheduleRule,
    read_strictly,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{
    ACTIONS_MAX, ARGUMENTS_BYTES_MAX, MANIFEST_BYTES_MAX, ODDS_MAX, REPLY_BYTES_MAX, TEXT_CHARS_MAX,
};
use crate::report::{Finding, Findings, Report};
use crate::schema::{NamedValue, Patterns, Place, Schema, SchemaError, check_kept};
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
    /// What it asks for beside its own accounts and the caller's. Patterns are only wished for.
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

#[derive(Debug)]
struct Schemas {
    configuration: Schema,
    actions: Vec<(String, Schema, Schema)>,
    /// Replies of schedules that have a schema.
    schedules: Vec<(String, Schema)>,
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

/// Whether a text is the name of an action, a schedule or a kind of hold.
fn is_word(name: &str) -> bool {
    let speaks = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(speaks)
}

impl Manifest {
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
        // Texts come first: what is said of the rest may repeat them.
        let value: Value = read_strictly(text.as_bytes()).map_err(|error| unreadable(&error))?;
        let mut findings = Findings::default();
        texts::check_texts(&value, &mut findings);
        findings.report()?;
        drop(value);
        let mut manifest: Self = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let mut findings = Findings::default();
        findings.extend(manifest.check_words());
        findings.extend(manifest.check_accounts());
        findings.extend(manifest.check_rules());
        manifest.schemas = manifest.compile_schemas(&mut findings).map(Arc::new);
        findings.report()?;
        Ok(manifest)
    }

    fn check_words(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let texts = [&self.version, &self.description, &self.license];
        let descriptions = (self.actions.iter().map(|action| &action.description))
            .chain(self.schedules.iter().map(|schedule| &schedule.description))
            .chain(self.odds.iter().map(|odds| &odds.description));
        if texts
            .into_iter()
            .chain(descriptions)
            .any(|text| text.chars().count() > TEXT_CHARS_MAX)
        {
            findings.push(bad(format!(
                "a text has more than {TEXT_CHARS_MAX} characters"
            )));
        }
        if self.actions.is_empty() || self.actions.len() > ACTIONS_MAX {
            findings.push(bad(format!("a plugin has 1 to {ACTIONS_MAX} actions")));
        }
        let mut names = BTreeSet::new();
        for Action { name, .. } in &self.actions {
            if !is_word(name) {
                findings.push(bad(format!("`{name}` is not the name of an action")));
            }
            if !names.insert(name) {
                findings.push(bad(format!("the action `{name}` is there twice")));
            }
        }
        findings
    }

    fn check_accounts(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.accounts.len() > PLUGIN_ACCOUNTS_MAX {
            findings.push(bad(format!(
                "a plugin has at most {PLUGIN_ACCOUNTS_MAX} accounts"
            )));
        }
        for sub in &self.accounts {
            if let Err(error) = AccountId::of_plugin_sub(&self.id.as_name(), sub) {
                findings.push(bad(format!(
                    "`{sub}` is not the name of an account: {error}"
                )));
            }
        }
        if !self.permissions.is_grantable() {
            findings.push(
                bad("`credit` asks for an account that is no issuer")
                    .hint("crediting any other account needs no permission"),
            );
        }
        findings
    }

    /// Holds, schedules and odds.
    fn check_rules(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.holds.len() > HOLD_RULES_MAX {
            findings.push(bad(format!(
                "a plugin has at most {HOLD_RULES_MAX} kinds of holds"
            )));
        }
        for (name, rule) in &self.holds {
            if !is_word(name) {
                findings.push(bad(format!("`{name}` is not the name of a kind of hold")));
            }
            if !rule.is_possible() {
                let message = format!("holds of the kind `{name}` live 1 to {HOLD_SECONDS_MAX} s");
                findings.push(bad(message));
            }
        }
        if self.schedules.len() > SCHEDULES_MAX {
            findings.push(bad(format!(
                "a plugin has at most {SCHEDULES_MAX} schedules"
            )));
        }
        let mut names = BTreeSet::new();
        for ManifestSchedule { name, rule, .. } in &self.schedules {
            if !is_word(name) {
                findings.push(bad(format!("`{name}` is not the name of a schedule")));
            }
            if !names.insert(name) {
                findings.push(bad(format!("the schedule `{name}` is there twice")));
            }
            if !rule.times.are_possible() {
                let message = format!(
                    "the schedule `{name}`: every 1 to {SCHEDULE_SECONDS_MAX} s, from less than that"
                );
                findings.push(bad(message));
            }
        }
        if self.odds.len() > ODDS_MAX {
            findings.push(bad(format!("a plugin states at most {ODDS_MAX} odds")));
        }
        for odds in &self.odds {
            if self.action(&odds.action).is_none() {
                let message = format!("odds are stated of `{}`, which is no action", odds.action);
                findings.push(bad(message));
            }
        }
        findings
    }

    /// Makes all schemas ready. `None` if anything was found in one of them.
    fn compile_schemas(&self, findings: &mut Findings) -> Option<Schemas> {
        let mut patterns = Patterns::default();
        let mut compile = |what: &str, pointer: &str, schema: &Value| {
            let place = Place { what, pointer };
            Schema::compile(schema, place, &mut patterns, findings)
        };
        let configuration = compile("the configuration", "/configuration", &self.configuration);
        let mut complete = true;
        let mut actions = Vec::with_capacity(self.actions.len());
        for (index, action) in self.actions.iter().enumerate() {
            let (name, at) = (&action.name, format!("/actions/{index}"));
            let what = format!("`{name}`'s arguments");
            let arguments = compile(&what, &format!("{at}/arguments"), &action.arguments);
            let what = format!("`{name}`'s reply");
            let reply = compile(&what, &format!("{at}/reply"), &action.reply);
            match (arguments, reply) {
                (Some(arguments), Some(reply)) => actions.push((name.clone(), arguments, reply)),
                (Some(_) | None, _) => complete = false,
            }
        }
        let mut schedules = Vec::with_capacity(self.schedules.len());
        for (index, schedule) in self.schedules.iter().enumerate() {
            let Some(reply) = &schedule.reply else {
                continue;
            };
            let what = format!("the reply of the schedule `{}`", schedule.name);
            match compile(&what, &format!("/schedules/{index}/reply"), reply) {
                Some(reply) => schedules.push((schedule.name.clone(), reply)),
                None => complete = false,
            }
        }
        let configuration = configuration.filter(|_| complete)?;
        Some(Schemas {
            configuration,
            actions,
            schedules,
        })
    }

    /// An action by its name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    fn schemas_of(&self, action: &str) -> Option<(&Schema, &Schema)> {
        let schemas = self.schemas.as_ref()?;
        let found = schemas.actions.iter().find(|(name, _, _)| name == action)?;
        Some((&found.1, &found.2))
    }

    /// Whether arguments fit the action's schema.
    pub fn check_arguments(&self, action: &str, arguments: &Value) -> Result<(), SchemaError> {
        self.schemas_of(action).map_or(Ok(()), |(schema, _)| {
            schema.check(arguments, ARGUMENTS_BYTES_MAX)
        })
    }

    /// Checks that a reply fits the schema of what was asked. A schedule without a schema may reply any
    /// JSON that records keep.
    pub(crate) fn check_reply(&self, task: Task<'_>, reply: &Value) -> Result<(), SchemaError> {
        let schema = match task {
            Task::Action(name) => self.schemas_of(name).map(|(_, reply)| reply),
            Task::Schedule(name) => {
                let schedules = self.schemas.iter().flat_map(|schemas| &schemas.schedules);
                let mut schedules = schedules.filter(|(known, _)| known == name);
                schedules.next().map(|(_, reply)| reply)
            }
        };
        match schema {
            Some(schema) => schema.check(reply, REPLY_BYTES_MAX),
            None => check_kept(reply, REPLY_BYTES_MAX),
        }
    }

    /// Whether a configuration fits the plugin's schema.
    pub fn check_configuration(&self, config: &Value) -> Result<(), SchemaError> {
        self.schemas.as_ref().map_or(Ok(()), |schemas| {
            schemas.configuration.check(config, CONFIG_BYTES_MAX)
        })
    }

    /// Checks a configuration in the same way, and lists the accounts, assets and amounts that it names, each
    /// value once: those with `format: account`, `asset` or `amount`, names of members included.
    pub fn named_in_configuration(&self, config: &Value) -> Result<Vec<NamedValue>, SchemaError> {
        self.schemas.as_ref().map_or(Ok(Vec::new()), |schemas| {
            schemas.configuration.list(config, CONFIG_BYTES_MAX)
        })
    }
}
