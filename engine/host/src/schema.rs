//! The dialect of JSON Schema in which a plugin describes what it takes, gives and is configured by.
//!
//! Neither fuel nor deadline sees the work of a validator, so all of it is bounded here: only keywords of a
//! list are taken ([`dialect`]), patterns run on a linear engine in programs of bounded size ([`pattern`]),
//! and a check counts its steps and ends when they are used up ([`evaluate`]). It collects nothing, so its
//! memory does not grow with what is wrong. `docs/plugins.md` has the table of keywords.
//!
//! The validators that are around have no such count, and collect an error for each alternative that did not
//! fit. One of them is what this is held against in tests: both agree on every schema of the dialect.

mod compile;
mod dialect;
mod error;
mod evaluate;
mod format;
mod measure;
mod number;
mod parts;
mod pattern;
mod steps;

use bursar_ledger::{AMOUNT_MAX, check_document, pointer_segment};
use serde_json::Value;

pub(crate) use self::compile::Place;
#[cfg(test)]
pub(crate) use self::dialect::KEYWORDS;
pub use self::error::SchemaError;
use self::evaluate::Evaluation;
pub use self::format::{NameFormat, NamedValue};
use self::parts::Parts;
pub(crate) use self::pattern::Patterns;
use self::steps::Steps;
use crate::limits::SCHEMA_STEPS_MAX;
use crate::report::Findings;

/// A schema that is ready to use.
#[derive(Debug)]
pub(crate) struct Schema {
    parts: Parts,
}

impl Schema {
    /// Makes a schema ready. `None` if anything was found in it.
    pub(crate) fn compile(
        schema: &Value,
        place: Place<'_>,
        patterns: &mut Patterns,
        findings: &mut Findings,
    ) -> Option<Self> {
        let parts = compile::compile(schema, place, patterns, findings)?;
        Some(Self { parts })
    }

    /// Checks that a value fits, in so many bytes, and has no number that some reader would round.
    pub(crate) fn check(&self, value: &Value, bytes_max: usize) -> Result<(), SchemaError> {
        check_kept(value, bytes_max)?;
        self.steps_of(value).1
    }

    /// Checks a value in the same way, and lists the accounts, assets and amounts that it names.
    pub(crate) fn list(
        &self,
        value: &Value,
        bytes_max: usize,
    ) -> Result<Vec<NamedValue>, SchemaError> {
        check_kept(value, bytes_max)?;
        let mut steps = Steps::new(SCHEMA_STEPS_MAX);
        let listed = Evaluation::list(&self.parts, value, &mut steps);
        listed.map_err(|error| error.unwrap_or_else(too_long))
    }

    /// The steps that checking a value takes, and what comes of it.
    pub(crate) fn steps_of(&self, value: &Value) -> (usize, Result<(), SchemaError>) {
        let mut steps = Steps::new(SCHEMA_STEPS_MAX);
        let checked = Evaluation::run(&self.parts, value, &mut steps);
        let checked = checked.map_err(|error| error.unwrap_or_else(too_long));
        (SCHEMA_STEPS_MAX - steps.left(), checked)
    }
}

fn too_long() -> SchemaError {
    SchemaError {
        pointer: String::new(),
        message: format!(
            "checking this takes more than {SCHEMA_STEPS_MAX} steps: send fewer values"
        ),
    }
}

/// Checks what holds for every value of a plugin, with or without a schema: it is no larger than records
/// keep, and has no number that some reader would round.
pub(crate) fn check_kept(value: &Value, bytes_max: usize) -> Result<(), SchemaError> {
    check_document(value, bytes_max).map_err(|error| SchemaError {
        pointer: String::new(),
        message: error.to_string(),
    })?;
    match inexact_number(value) {
        None => Ok(()),
        Some(pointer) => Err(SchemaError {
            pointer,
            message: format!("a whole number beyond ±{AMOUNT_MAX} is not kept exactly everywhere"),
        }),
    }
}

/// Where a whole number beyond 2^53 − 1 stands, as a JSON pointer. A fraction is never money, and
/// as exact as fractions are.
fn inexact_number(value: &Value) -> Option<String> {
    let below = |name: String, value: &Value| {
        let rest = inexact_number(value)?;
        Some(pointer_segment(&name) + &rest)
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
