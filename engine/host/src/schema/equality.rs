//! Equality of JSON values, with every comparison counted as steps.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::number;
use super::steps::{EvaluationError, EvaluationResult, Steps, of_lookup, of_text};

/// Looks up a member of an object.
pub(super) fn find_member<'v>(
    name: &str,
    members: &'v Map<String, Value>,
    steps: &mut Steps,
) -> Result<Option<&'v Value>, EvaluationError> {
    steps.take(of_lookup(name, members.len()))?;
    Ok(members.get(name))
}

/// Returns true if two values are equal. `1` and `1.0` are.
pub(super) fn is_equal(a: &Value, b: &Value, steps: &mut Steps) -> Result<bool, EvaluationError> {
    steps.take(1)?;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(number::compare(a, b) == Ordering::Equal),
        (Value::String(a), Value::String(b)) if a.len() == b.len() => {
            steps.take(a.len() / 64)?;
            Ok(a == b)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !is_equal(a, b, steps)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            for (name, a) in a {
                match find_member(name, b, steps)? {
                    Some(b) if is_equal(a, b, steps)? => {}
                    Some(_) | None => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Null, Value::Null) => Ok(true),
        _ => Ok(false),
    }
}

/// Returns the index of an item that is equal to an earlier one.
///
/// Writes each item once in a canonical form and looks it up in a set, because comparing all pairs takes quadratic time.
pub(super) fn find_duplicate(
    items: &[Value],
    steps: &mut Steps,
) -> Result<Option<usize>, EvaluationError> {
    let mut seen = HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut text = String::new();
        write_canonical(item, &mut text, steps)?;
        steps.take(of_text(&text))?;
        if !seen.insert(text) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Writes a value so that equal values are equal texts.
fn write_canonical(value: &Value, to: &mut String, steps: &mut Steps) -> EvaluationResult {
    steps.take(1)?;
    match value {
        Value::Null => to.push('n'),
        Value::Bool(true) => to.push('t'),
        Value::Bool(false) => to.push('f'),
        Value::Number(number) => {
            number::write_canonical(number, to);
            to.push(';');
        }
        Value::String(text) => write_text(text, to, steps)?,
        Value::Array(items) => {
            to.push('[');
            for item in items {
                write_canonical(item, to, steps)?;
            }
            to.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            for (name, _) in &sorted {
                steps.take(of_lookup(name, members.len()))?;
            }
            sorted.sort_unstable_by_key(|(name, _)| name.as_str());
            to.push('{');
            for (name, value) in sorted {
                write_text(name, to, steps)?;
                write_canonical(value, to, steps)?;
            }
            to.push('}');
        }
    }
    Ok(())
}

/// Writes a text with its length before it, so that no text can be read as several values.
fn write_text(text: &str, to: &mut String, steps: &mut Steps) -> EvaluationResult {
    steps.take(of_text(text))?;
    to.push('"');
    to.push_str(&text.len().to_string());
    to.push(':');
    to.push_str(text);
    Ok(())
}
