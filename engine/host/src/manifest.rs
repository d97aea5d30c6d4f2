//! A plugin's manifest: what it says of itself, checked before anybody believes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, ComponentChoice, DOCUMENT_BYTES_MAX, Digest, Grants, PLUGIN_ACCOUNTS_MAX, PluginId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{
    ACTIONS_MAX, ARGUMENTS_BYTES_MAX, MANIFEST_BYTES_MAX, REPLY_BYTES_MAX, TEXT_CHARS_MAX,
};
use crate::report::{Finding, Report};
use crate::schema::{Schema, SchemaError};

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

/// What a plugin says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its id, under which it is installed.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// What it is, for people.
    pub description: String,
    /// Its licence.
    pub license: String,
    /// Its own accounts beside `plugin:{id}`: `till` means `plugin:{id}:till`.
    pub accounts: Vec<String>,
    /// What it offers.
    pub actions: Vec<Action>,
    /// JSON Schema of its configuration.
    pub configuration: Value,
    /// Accounts that it asks for beside its own and the caller's.
    pub permissions: Grants,
    #[serde(skip)]
    schemas: Option<Arc<Schemas>>,
}

#[derive(Debug)]
struct Schemas {
    configuration: Schema,
    actions: Vec<(String, Schema, Schema)>,
}

fn bad(message: impl Into<String>) -> Finding {
    Finding::new("manifest_invalid", message)
}

impl Manifest {
    /// Reads a manifest, or says everything that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Report> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(bad(format!("it has more than {MANIFEST_BYTES_MAX} bytes")).into());
        }
        let mut manifest: Self =
            serde_json::from_str(text).map_err(|error| bad(format!("`describe`: {error}")))?;
        let mut findings = manifest.check_words();
        findings.extend(manifest.check_accounts());
        match manifest.compile_schemas() {
            Ok(schemas) => manifest.schemas = Some(Arc::new(schemas)),
            Err(more) => findings.extend(more),
        }
        Report::unless_empty(findings)?;
        Ok(manifest)
    }

    fn check_words(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let texts = [&self.version, &self.description, &self.license];
        let descriptions = self.actions.iter().map(|action| &action.description);
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
        let speaks = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        let mut names = BTreeSet::new();
        for Action { name, .. } in &self.actions {
            if name.is_empty() || name.len() > 64 || !name.bytes().all(speaks) {
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
            if let Err(error) = AccountId::of_plugin_sub(&self.id, sub) {
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

    fn compile_schemas(&self) -> Result<Schemas, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut keep = |what: &str, schema: &Value| {
            let compiled = Schema::compile(schema);
            let wrong = |error| findings.push(bad(format!("the schema of {what}: {error}")));
            compiled.map_err(wrong).ok()
        };
        let configuration = keep("the configuration", &self.configuration);
        let actions: Vec<_> = self
            .actions
            .iter()
            .filter_map(|action| {
                let name = action.name.clone();
                let arguments = keep(&format!("`{name}`'s arguments"), &action.arguments);
                let reply = keep(&format!("`{name}`'s reply"), &action.reply);
                Some((name, arguments?, reply?))
            })
            .collect();
        match configuration {
            Some(configuration) if findings.is_empty() => Ok(Schemas {
                configuration,
                actions,
            }),
            Some(_) | None => Err(findings),
        }
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

    /// Whether a reply fits the action's schema.
    pub fn check_reply(&self, action: &str, reply: &Value) -> Result<(), SchemaError> {
        self.schemas_of(action)
            .map_or(Ok(()), |(_, schema)| schema.check(reply, REPLY_BYTES_MAX))
    }

    /// Whether a configuration fits the plugin's schema.
    pub fn check_configuration(&self, config: &Value) -> Result<(), SchemaError> {
        self.schemas.as_ref().map_or(Ok(()), |schemas| {
            schemas.configuration.check(config, DOCUMENT_BYTES_MAX)
        })
    }

    /// The component as an installation names it.
    pub fn component_choice(&self, plugin: &PluginId, digest: Digest) -> ComponentChoice {
        // The names were checked when the manifest was read.
        let accounts = self.accounts.iter();
        let accounts = accounts.filter_map(|sub| AccountId::of_plugin_sub(plugin, sub).ok());
        ComponentChoice {
            digest,
            requested: self.permissions.clone(),
            accounts: accounts.collect(),
        }
    }
}
