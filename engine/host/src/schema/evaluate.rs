//! The evaluation of a value against a compiled schema, with a limit on its steps.
//!
//! An evaluation stops at the first error. It can also list the accounts, assets and amounts in a value that matches.
//!
//! Messages about a reply become part of a recorded fault, and a replay compares them: a change of their wording makes
//! recorded calls differ.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::equality::{find_duplicate, find_member, is_equal};
use super::error::{SchemaError, ValuePath, shown};
use super::format::{Format, NamedValue};
use super::number;
use super::parts::{
    ArrayCheck, Check, Combination, Members, NumberCheck, ObjectCheck, Part, PartId, SchemaParts,
    TextCheck,
};
use super::steps::{EvaluationError, EvaluationResult, Steps, of_lookup, of_memory, of_text};
use crate::text::excerpt;

/// The evaluation of one value.
pub(super) struct Evaluation<'a> {
    parts: &'a SchemaParts,
    steps: &'a mut Steps,
    /// The number of alternatives that are being tried, in which a mismatch is not an error.
    alternatives: usize,
    error: Option<SchemaError>,
    /// The values with a format so far, if they are to be listed.
    named: Option<Vec<NamedValue>>,
}

impl<'a> Evaluation<'a> {
    /// Checks a value. The error is `None` if the steps are used up.
    pub(super) fn run(
        parts: &'a SchemaParts,
        value: &Value,
        steps: &'a mut Steps,
    ) -> Result<(), Option<SchemaError>> {
        let mut evaluation = Self::new(parts, steps);
        let fits = evaluation.check_part(parts.root, value, &ValuePath::TOP);
        fits.map_err(|_| evaluation.error)
    }

    /// Checks a value, and returns each value in it that has a format, in order.
    pub(super) fn list(
        parts: &'a SchemaParts,
        value: &Value,
        steps: &'a mut Steps,
    ) -> Result<Vec<NamedValue>, Option<SchemaError>> {
        let mut evaluation = Self::new(parts, steps);
        evaluation.named = Some(Vec::new());
        let fits = evaluation.check_part(parts.root, value, &ValuePath::TOP);
        fits.map_err(|_| evaluation.error)?;
        // Several parts of a schema can check one value.
        let mut listed = evaluation.named.unwrap_or_default();
        let mut seen = HashSet::with_capacity(listed.len());
        listed.retain(|value| seen.insert(value.clone()));
        Ok(listed)
    }

    fn new(parts: &'a SchemaParts, steps: &'a mut Steps) -> Self {
        Self {
            parts,
            steps,
            alternatives: 0,
            error: None,
            named: None,
        }
    }

    fn mismatch(
        &mut self,
        path: &ValuePath<'_>,
        message: impl FnOnce() -> String,
    ) -> EvaluationResult {
        if self.alternatives == 0 {
            self.error = Some(SchemaError {
                pointer: path.pointer(),
                message: message(),
            });
        }
        Err(EvaluationError::Mismatch)
    }

    fn require(
        &mut self,
        fits: bool,
        path: &ValuePath<'_>,
        message: impl FnOnce() -> String,
    ) -> EvaluationResult {
        if fits {
            Ok(())
        } else {
            self.mismatch(path, message)
        }
    }

    fn check_part(&mut self, id: PartId, value: &Value, path: &ValuePath<'_>) -> EvaluationResult {
        self.steps.take(1)?;
        let parts = self.parts;
        match &parts.list[id.0] {
            Part::Anything => Ok(()),
            Part::Nothing => self.mismatch(path, || "nothing may be here".into()),
            Part::Checks(checks) => checks
                .iter()
                .try_for_each(|check| self.check(check, value, path)),
        }
    }

    /// Returns true if a value matches an alternative. Values listed by an alternative that does not match are dropped.
    fn matches(
        &mut self,
        id: PartId,
        value: &Value,
        path: &ValuePath<'_>,
    ) -> Result<bool, EvaluationError> {
        let before = self.named.as_ref().map_or(0, Vec::len);
        self.alternatives += 1;
        let fits = self.check_part(id, value, path);
        self.alternatives -= 1;
        if fits.is_err()
            && let Some(named) = &mut self.named
        {
            named.truncate(before);
        }
        match fits {
            Ok(()) => Ok(true),
            Err(EvaluationError::Mismatch) => Ok(false),
            Err(stop @ EvaluationError::OutOfSteps) => Err(stop),
        }
    }

    fn check(&mut self, check: &Check, value: &Value, path: &ValuePath<'_>) -> EvaluationResult {
        self.steps.take(1)?;
        match check {
            Check::Type(types) => self.require(types.has(value), path, || {
                format!("{} is not of type {}", shown(value), types.names())
            }),
            Check::Enum(values) => self.check_enum(values, value, path),
            Check::Const(only) => {
                let same = is_equal(only, value, self.steps)?;
                self.require(same, path, || format!("{} was expected", shown(only)))
            }
            Check::Format(format) => self.check_format(*format, value, path),
            // By JSON Schema a keyword for one type has no effect on values of other types.
            Check::Number(check) => match value {
                Value::Number(number) => self.check_number(check, number, path),
                _ => Ok(()),
            },
            Check::Text(check) => match value {
                Value::String(text) => self.check_text(check, text, path),
                _ => Ok(()),
            },
            Check::Array(check) => match value {
                Value::Array(items) => self.check_array(check, items, path),
                _ => Ok(()),
            },
            Check::Object(check) => match value {
                Value::Object(members) => self.check_object(check, members, value, path),
                _ => Ok(()),
            },
            Check::Combination(combination) => self.check_combination(combination, value, path),
        }
    }

    fn check_format(
        &mut self,
        format: Format,
        value: &Value,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        self.steps.take(value.as_str().map_or(1, of_text))?;
        let named = match format.read(value) {
            Ok(named) => named,
            Err(error) => {
                return self.mismatch(path, || {
                    format!("{} is not {}: {error}", shown(value), format.noun())
                });
            }
        };
        if let Some(named) = named
            && let Some(list) = &mut self.named
        {
            let pointer = path.pointer();
            // A listed value takes memory until the end, not only time.
            let bytes = size_of::<NamedValue>() + pointer.len();
            self.steps.take(of_memory(bytes))?;
            list.push(NamedValue { pointer, named });
        }
        Ok(())
    }

    fn check_enum(
        &mut self,
        values: &[Value],
        value: &Value,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        for one in values {
            if is_equal(one, value, self.steps)? {
                return Ok(());
            }
        }
        self.mismatch(path, || {
            let values: Vec<_> = values.iter().take(16).map(shown).collect();
            format!(
                "{} is not one of {}",
                shown(value),
                excerpt(&values.join(", "))
            )
        })
    }

    fn check_number(
        &mut self,
        check: &NumberCheck,
        value: &Number,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        let against = |bound| number::compare(value, bound);
        let fits = match check {
            NumberCheck::Minimum(least) => against(least) != Ordering::Less,
            NumberCheck::Maximum(most) => against(most) != Ordering::Greater,
            NumberCheck::ExclusiveMinimum(below) => against(below) == Ordering::Greater,
            NumberCheck::ExclusiveMaximum(above) => against(above) == Ordering::Less,
            NumberCheck::MultipleOf(of) => number::is_multiple(value, *of),
        };
        self.require(fits, path, || match check {
            NumberCheck::Minimum(least) => format!("{value} is less than {least}, the least"),
            NumberCheck::Maximum(most) => format!("{value} is more than {most}, the most"),
            NumberCheck::ExclusiveMinimum(below) => format!("{value} is not more than {below}"),
            NumberCheck::ExclusiveMaximum(above) => format!("{value} is not less than {above}"),
            NumberCheck::MultipleOf(of) => format!("{value} is not a multiple of {of}"),
        })
    }

    fn check_text(
        &mut self,
        check: &TextCheck,
        text: &str,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        let length = || text.chars().count() as u64;
        match check {
            TextCheck::MinLength(least) => {
                self.steps.take(of_text(text))?;
                self.require(length() >= *least, path, || {
                    format!("this has at least {least} characters")
                })
            }
            TextCheck::MaxLength(most) => {
                self.steps.take(of_text(text))?;
                self.require(length() <= *most, path, || {
                    format!("this has at most {most} characters")
                })
            }
            TextCheck::Pattern(pattern) => {
                let found = pattern.is_match(text, self.steps)?;
                self.require(found, path, || {
                    format!(
                        "\"{}\" does not match {}",
                        excerpt(text),
                        excerpt(pattern.text())
                    )
                })
            }
        }
    }

    fn check_array(
        &mut self,
        check: &ArrayCheck,
        items: &[Value],
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        let length = items.len() as u64;
        match check {
            ArrayCheck::MinItems(least) => self.require(length >= *least, path, || {
                format!("this has at least {least} items, not {length}")
            }),
            ArrayCheck::MaxItems(most) => self.require(length <= *most, path, || {
                format!("this has at most {most} items, not {length}")
            }),
            ArrayCheck::UniqueItems => {
                let again = find_duplicate(items, self.steps)?;
                self.require(again.is_none(), path, || {
                    format!("the item {} is there twice", again.unwrap_or_default())
                })
            }
            ArrayCheck::Items { first, rest } => {
                for (index, item) in items.iter().enumerate() {
                    let Some(part) = first.get(index).or(rest.as_ref()) else {
                        break;
                    };
                    self.check_part(*part, item, &path.item(index))?;
                }
                Ok(())
            }
            ArrayCheck::Contains { item, least, most } => {
                let mut found = 0_u64;
                for (index, value) in items.iter().enumerate() {
                    found += u64::from(self.matches(*item, value, &path.item(index))?);
                }
                let fits = found >= *least && most.is_none_or(|most| found <= most);
                self.require(fits, path, || {
                    format!(
                        "{found} items are as `contains` wants them, which are too few or too many"
                    )
                })
            }
        }
    }

    fn check_object(
        &mut self,
        check: &ObjectCheck,
        members: &Map<String, Value>,
        value: &Value,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        let length = members.len() as u64;
        match check {
            ObjectCheck::MinProperties(least) => self.require(length >= *least, path, || {
                format!("this has at least {least} members, not {length}")
            }),
            ObjectCheck::MaxProperties(most) => self.require(length <= *most, path, || {
                format!("this has at most {most} members, not {length}")
            }),
            ObjectCheck::Required(names) => self.check_required(names, members, path),
            ObjectCheck::DependentRequired(dependents) => {
                for (name, names) in dependents {
                    if find_member(name, members, self.steps)?.is_some() {
                        self.check_required(names, members, path)?;
                    }
                }
                Ok(())
            }
            ObjectCheck::DependentSchemas(dependents) => {
                for (name, part) in dependents {
                    if find_member(name, members, self.steps)?.is_some() {
                        self.check_part(*part, value, path)?;
                    }
                }
                Ok(())
            }
            ObjectCheck::Members(known) => {
                for (name, value) in members {
                    self.check_member(known, name, value, &path.member(name))?;
                }
                Ok(())
            }
            ObjectCheck::PropertyNames(part) => {
                for name in members.keys() {
                    self.steps.take(of_text(name))?;
                    self.check_part(*part, &Value::String(name.clone()), &path.member(name))?;
                }
                Ok(())
            }
        }
    }

    fn check_required(
        &mut self,
        names: &[String],
        members: &Map<String, Value>,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        for name in names {
            if find_member(name, members, self.steps)?.is_none() {
                return self.mismatch(path, || format!("\"{}\" is required here", excerpt(name)));
            }
        }
        Ok(())
    }

    fn check_member(
        &mut self,
        members: &Members,
        name: &str,
        value: &Value,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        let Members {
            named,
            matching,
            others,
        } = members;
        self.steps.take(of_lookup(name, named.len()))?;
        let mut known = false;
        if let Some(part) = named.get(name) {
            known = true;
            self.check_part(*part, value, path)?;
        }
        for (pattern, part) in matching {
            self.steps.take(1)?;
            if pattern.is_match(name, self.steps)? {
                known = true;
                self.check_part(*part, value, path)?;
            }
        }
        match others {
            Some(part) if !known => self.check_part(*part, value, path),
            Some(_) | None => Ok(()),
        }
    }

    fn check_combination(
        &mut self,
        check: &Combination,
        value: &Value,
        path: &ValuePath<'_>,
    ) -> EvaluationResult {
        match check {
            Combination::AllOf(parts) => parts
                .iter()
                .try_for_each(|part| self.check_part(*part, value, path)),
            Combination::AnyOf(parts) => {
                let mut fits = false;
                for part in parts {
                    fits |= self.matches(*part, value, path)?;
                    // If values are listed, each alternative that matches may list some.
                    if fits && self.named.is_none() {
                        break;
                    }
                }
                self.require(fits, path, || {
                    format!("{} fits none of the alternatives", shown(value))
                })
            }
            Combination::OneOf(parts) => {
                let mut found = 0;
                for part in parts {
                    found += usize::from(self.matches(*part, value, path)?);
                }
                self.require(found == 1, path, || {
                    format!("{} fits {found} of the alternatives, not one", shown(value))
                })
            }
            Combination::Not(part) => {
                let fits = self.matches(*part, value, path)?;
                self.require(!fits, path, || {
                    format!("{} is what `not` excludes", shown(value))
                })
            }
            Combination::If {
                condition,
                then,
                otherwise,
            } => {
                let next = if self.matches(*condition, value, path)? {
                    then
                } else {
                    otherwise
                };
                match next {
                    Some(part) => self.check_part(*part, value, path),
                    None => Ok(()),
                }
            }
            Combination::Reference(part) => self.check_part(*part, value, path),
        }
    }
}
