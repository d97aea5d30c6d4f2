//! JSON Schemas of strangers: bounded before they are used, and in what using them may cost.
//!
//! Neither fuel nor deadline sees the work of a validator, so it is bounded here: a schema neither
//! refers to itself nor unfolds without measure, and what is checked is counted against it first.

use std::fmt;

use bursar_ledger::{AMOUNT_MAX, check_document};
use jsonschema::{Draft, Validator};
use serde_json::Value;

use crate::limits::{SCHEMA_PARTS_MAX, SCHEMA_STEPS_MAX};

/// A schema that is ready to use.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    /// Its parts, with every reference written out.
    parts: usize,
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

impl Schema {
    /// Makes a schema ready, or says why it cannot be one here.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        let mut parts = 0;
        unfold(schema, schema, &mut Vec::new(), &mut parts)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .build(schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator, parts })
    }

    /// Whether a value fits, in so many bytes, and has no number that some reader would round.
    pub(crate) fn check(&self, value: &Value, bytes_max: usize) -> Result<(), SchemaError> {
        check_document(value, bytes_max).map_err(|error| SchemaError {
            pointer: String::new(),
            message: error.to_string(),
        })?;
        if let Some(pointer) = inexact_number(value) {
            let message =
                format!("a whole number beyond ±{AMOUNT_MAX} is not kept exactly everywhere");
            return Err(SchemaError { pointer, message });
        }
        if count(value).saturating_mul(self.parts) > SCHEMA_STEPS_MAX {
            let message = "this has too many values for a schema of that size".into();
            let pointer = String::new();
            return Err(SchemaError { pointer, message });
        }
        self.validator.validate(value).map_err(|error| SchemaError {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })
    }
}

/// How many values a value has, itself among them.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(count).fold(1, usize::saturating_add),
        Value::Object(members) => members.values().map(count).fold(1, usize::saturating_add),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Counts the parts of a schema as if each reference were what it refers to. `path` is the way of
/// references that led here.
fn unfold<'a>(
    root: &'a Value,
    part: &'a Value,
    path: &mut Vec<&'a str>,
    parts: &mut usize,
) -> Result<(), String> {
    *parts = parts.saturating_add(1);
    if *parts > SCHEMA_PARTS_MAX {
        return Err(format!(
            "it has more than {SCHEMA_PARTS_MAX} parts, counting what it refers to each time"
        ));
    }
    match part {
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| unfold(root, value, path, parts)),
        Value::Object(members) => {
            members
                .iter()
                .try_for_each(|(name, value)| match (name.as_str(), value) {
                    ("$ref", Value::String(reference)) => follow(root, reference, path, parts),
                    (
                        "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef",
                        Value::String(_),
                    ) => Err(format!(
                        "it uses `{name}`: refer by `$ref` and a pointer only"
                    )),
                    _ => unfold(root, value, path, parts),
                })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn follow<'a>(
    root: &'a Value,
    reference: &'a str,
    path: &mut Vec<&'a str>,
    parts: &mut usize,
) -> Result<(), String> {
    let target = reference
        .strip_prefix('#')
        .and_then(|pointer| root.pointer(pointer));
    let target = target.ok_or_else(|| {
        format!("`{reference}` is no pointer into this schema, such as `#/$defs/name`")
    })?;
    if path.contains(&reference) {
        return Err(format!("`{reference}` refers to itself"));
    }
    path.push(reference);
    unfold(root, target, path, parts)?;
    path.pop();
    Ok(())
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
