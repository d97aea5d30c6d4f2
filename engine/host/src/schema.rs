//! The dialect of JSON Schema for the arguments, replies and configuration of a plugin.
//!
//! Neither fuel nor a deadline limits the work of a validator, and both the schema and the value can come from an untrusted
//! plugin. So this module bounds the work itself. It accepts only listed keywords ([`dialect`]), runs patterns on a
//! linear-time engine with programs of bounded size ([`pattern`]), and counts the steps of a check ([`evaluate`]). A check
//! stops at the first error, so its memory does not grow with the number of errors. `docs/plugins.md` has the table of
//! keywords.
//!
//! The validators on crates.io count no steps, and collect an error for each alternative that does not match. The tests
//! compare this module with one of them, `jsonschema`: both agree on each schema of the dialect.

mod compile;
mod dialect;
mod equality;
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

pub(crate) use self::compile::SchemaLocation;
#[cfg(test)]
pub(crate) use self::dialect::KEYWORDS;
pub use self::error::SchemaError;
use self::evaluate::Evaluation;
pub use self::format::{NameFormat, NamedValue};
use self::parts::SchemaParts;
pub(crate) use self::pattern::PatternSet;
use self::steps::Steps;
use crate::limits::SCHEMA_STEPS_MAX;
use crate::report::Findings;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    parts: SchemaParts,
}

impl Schema {
    /// Compiles a schema. `None` if it has findings.
    pub(crate) fn compile(
        schema: &Value,
        location: SchemaLocation<'_>,
        patterns: &mut PatternSet,
        findings: &mut Findings,
    ) -> Option<Self> {
        let parts = compile::compile(schema, location, patterns, findings)?;
        Some(Self { parts })
    }

    /// Checks that a value matches the schema, has at most `bytes_max` bytes, and has no number that a reader could round.
    pub(crate) fn check(&self, value: &Value, bytes_max: usize) -> Result<(), SchemaError> {
        check_value(value, bytes_max)?;
        self.steps_of(value).1
    }

    /// Checks a value like [`Schema::check`], and returns the accounts, assets and amounts in it.
    pub(crate) fn list(
        &self,
        value: &Value,
        bytes_max: usize,
    ) -> Result<Vec<NamedValue>, SchemaError> {
        check_value(value, bytes_max)?;
        let mut steps = Steps::new(SCHEMA_STEPS_MAX);
        let listed = Evaluation::list(&self.parts, value, &mut steps);
        listed.map_err(|error| error.unwrap_or_else(too_long))
    }

    /// Checks a value, and returns the number of steps and the result.
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

/// Checks the rules for all values of plugins, with or without a schema: the size, and that no number is one that a reader
/// could round.
pub(crate) fn check_value(value: &Value, bytes_max: usize) -> Result<(), SchemaError> {
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

/// Returns a JSON pointer to a whole number beyond 2^53 − 1, if there is one.
///
/// JavaScript and other readers round such numbers (RFC 8259, section 6). Fractions are allowed, because no amount is one.
fn inexact_number(value: &Value) -> Option<String> {
    let find_in = |name: String, value: &Value| {
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
            let mut items = values.iter().enumerate();
            items.find_map(|(index, value)| find_in(index.to_string(), value))
        }
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| find_in(name.clone(), value)),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}
