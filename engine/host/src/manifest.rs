//! A plugin's manifest: what it says of itself, checked before anybody believes it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bursar_ledger::{
    AMOUNT_MAX, AccountId, ComponentChoice, Digest, Grants, PLUGIN_ACCOUNTS_MAX, PluginId,
};
use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{ACTIONS_MAX, ARGUMENTS_BYTES_MAX, MANIFEST_BYTES_MAX, TEXT_CHARS_MAX};
use crate::report::{Finding, Report};

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
    configuration: Validator,
    actions: Vec<(String, Validator, Validator)>,
}

/// A value does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaError {
    /// Where, as a JSON pointer into the value.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "its top"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.message)
    }
}

fn bad(message: impl Into<String>) -> Finding {
    Finding::new("manifest_invalid", message)
}

fn compile(what: &str, schema: &Value) -> Result<Validator, Finding> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(schema)
        .map_err(|error| bad(format!("the schema of {what} is not one: {error}")))
}

/// Whether a value fits its schema, and has no number that some reader of JSON would round.
fn check(validator: &Validator, value: &Value) -> Result<(), SchemaError> {
    if let Some(pointer) = inexact_number(value) {
        let message = format!("a whole number beyond ±{AMOUNT_MAX} is not kept exactly everywhere");
        return Err(SchemaError { pointer, message });
    }
    validator.validate(value).map_err(|error| SchemaError {
        pointer: error.instance_path().to_string(),
        message: error.to_string(),
    })
}

/// Where a whole number beyond 2^53 − 1 stands, as a JSON pointer. A fraction is never money, and
/// as exact as fractions are.
fn inexact_number(value: &Value) -> Option<String> {
    let below = |name: String, value: &Value| {
        let rest = inexact_number(value)?;
        let name = name.replace('~', "~0").replace('/', "~1");
        Some(format!("/{name}{rest}"))
    };
    match value {
        Value::Number(number) => {
            let units = number
                .as_u64()
                .or(number.as_i64().map(i64::unsigned_abs))
                .unwrap_or(0);
            (units > AMOUNT_MAX).then(String::new)
        }
        Value::Array(values) => {
            let mut places = values.iter().enumerate();
            places.find_map(|(place, value)| below(place.to_string(), value))
        }
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| below(name.clone(), value)),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
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
        let mut keep = |compiled: Result<Validator, Finding>| {
            compiled.map_err(|finding| findings.push(finding)).ok()
        };
        let configuration = keep(compile("the configuration", &self.configuration));
        let actions: Vec<_> = self
            .actions
            .iter()
            .filter_map(|action| {
                let name = action.name.clone();
                let arguments = keep(compile(&format!("`{name}`'s arguments"), &action.arguments));
                let reply = keep(compile(&format!("`{name}`'s reply"), &action.reply));
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

    fn validators(&self, action: &str) -> Option<(&Validator, &Validator)> {
        let schemas = self.schemas.as_ref()?;
        let found = schemas.actions.iter().find(|(name, _, _)| name == action)?;
        Some((&found.1, &found.2))
    }

    /// Whether arguments fit the action's schema.
    pub fn check_arguments(&self, action: &str, arguments: &Value) -> Result<(), SchemaError> {
        if arguments.to_string().len() > ARGUMENTS_BYTES_MAX {
            return Err(SchemaError {
                pointer: String::new(),
                message: format!("arguments have at most {ARGUMENTS_BYTES_MAX} bytes"),
            });
        }
        self.validators(action)
            .map_or(Ok(()), |(schema, _)| check(schema, arguments))
    }

    /// Whether a reply fits the action's schema.
    pub fn check_reply(&self, action: &str, reply: &Value) -> Result<(), SchemaError> {
        self.validators(action)
            .map_or(Ok(()), |(_, schema)| check(schema, reply))
    }

    /// Whether a configuration fits the plugin's schema.
    pub fn check_configuration(&self, config: &Value) -> Result<(), SchemaError> {
        self.schemas
            .as_ref()
            .map_or(Ok(()), |schemas| check(&schemas.configuration, config))
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
