//! A value held against a schema: each part of the schema once for each value that it speaks of, and every
//! step counted. No misfit is collected: the first thing that does not fit ends the check. What fits may be
//! asked for the accounts, assets and amounts that it names.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::error::{Path, SchemaError, shown};
use super::format::{Format, NamedValue};
use super::number;
use super::parts::{
    ArrayCheck, Check, Combination, Members, NumberCheck, ObjectCheck, Part, PartId, Parts,
    TextCheck,
};
use super::steps::{Steps, Stop, of_lookup, of_memory, of_text};
use crate::text::excerpt;

type Fit = Result<(), Stop>;

/// One check of one value.
pub(super) struct Evaluation<'a> {
    parts: &'a Parts,
    steps: &'a mut Steps,
    /// The number of alternatives that are being tried, in which a misfit is no error.
    tries: usize,
    error: Option<SchemaError>,
    /// The values of a format that were seen, where they are asked for.
    named: Option<Vec<NamedValue>>,
}

impl<'a> Evaluation<'a> {
    /// Checks a value. A misfit has an error, and running out of steps has none.
    pub(super) fn run(
        parts: &'a Parts,
        value: &Value,
        steps: &'a mut Steps,
    ) -> Result<(), Option<SchemaError>> {
        let mut evaluation = Self::new(parts, steps);
        let fits = evaluation.part(parts.root, value, &Path::TOP);
        fits.map_err(|_| evaluation.error)
    }

    /// Checks a value, and lists what it names: each value with a format, in their order.
    pub(super) fn list(
        parts: &'a Parts,
        value: &Value,
        steps: &'a mut Steps,
    ) -> Result<Vec<NamedValue>, Option<SchemaError>> {
        let mut evaluation = Self::new(parts, steps);
        evaluation.named = Some(Vec::new());
        let fits = evaluation.part(parts.root, value, &Path::TOP);
        fits.map_err(|_| evaluation.error)?;
        // Several parts of a schema may speak of one value.
        let mut listed = evaluation.named.unwrap_or_default();
        let mut seen = HashSet::with_capacity(listed.len());
        listed.retain(|value| seen.insert(value.clone()));
        Ok(listed)
    }

    fn new(parts: &'a Parts, steps: &'a mut Steps) -> Self {
        Self {
            parts,
            steps,
            tries: 0,
            error: None,
            named: None,
        }
    }

    fn misfit(&mut self, path: &Path<'_>, message: impl FnOnce() -> String) -> Fit {
        if self.tries == 0 {
            self.error = Some(SchemaError {
                pointer: path.pointer(),
                message: message(),
            });
        }
        Err(Stop::Misfit)
    }

    fn unless(&mut self, fits: bool, path: &Path<'_>, message: impl FnOnce() -> String) -> Fit {
        if fits {
            Ok(())
        } else {
            self.misfit(path, message)
        }
    }

    fn part(&mut self, id: PartId, value: &Value, path: &Path<'_>) -> Fit {
        self.steps.take(1)?;
        let parts = self.parts;
        match &parts.list[id.0] {
            Part::Anything => Ok(()),
            Part::Nothing => self.misfit(path, || "nothing may be here".into()),
            Part::Checks(checks) => checks
                .iter()
                .try_for_each(|check| self.check(check, value, path)),
        }
    }

    /// Tells whether a value fits an alternative. One that it does not fit says nothing of it.
    fn fits(&mut self, id: PartId, value: &Value, path: &Path<'_>) -> Result<bool, Stop> {
        let before = self.named.as_ref().map_or(0, Vec::len);
        self.tries += 1;
        let fits = self.part(id, value, path);
        self.tries -= 1;
        if fits.is_err()
            && let Some(named) = &mut self.named
        {
            named.truncate(before);
        }
        match fits {
            Ok(()) => Ok(true),
            Err(Stop::Misfit) => Ok(false),
            Err(stop @ Stop::OutOfSteps) => Err(stop),
        }
    }

    fn check(&mut self, check: &Check, value: &Value, path: &Path<'_>) -> Fit {
        self.steps.take(1)?;
        match check {
            Check::Type(types) => self.unless(types.has(value), path, || {
                format!("{} is not of type {}", shown(value), types.names())
            }),
            Check::Enum(values) => self.one_of_these(values, value, path),
            Check::Const(only) => {
                let same = self.same(only, value)?;
                self.unless(same, path, || format!("{} was expected", shown(only)))
            }
            Check::Format(format) => self.format(*format, value, path),
            // What is asked of another type than the value's asks nothing.
            Check::Number(check) => match value {
                Value::Number(number) => self.number(check, number, path),
                _ => Ok(()),
            },
            Check::Text(check) => match value {
                Value::String(text) => self.text(check, text, path),
                _ => Ok(()),
            },
            Check::Array(check) => match value {
                Value::Array(items) => self.array(check, items, path),
                _ => Ok(()),
            },
            Check::Object(check) => match value {
                Value::Object(members) => self.object(check, members, value, path),
                _ => Ok(()),
            },
            Check::Combination(combination) => self.combination(combination, value, path),
        }
    }

    fn format(&mut self, format: Format, value: &Value, path: &Path<'_>) -> Fit {
        self.steps.take(value.as_str().map_or(1, of_text))?;
        let named = match format.read(value) {
            Ok(named) => named,
            Err(error) => {
                return self.misfit(path, || {
                    format!("{} is not {}: {error}", shown(value), format.what())
                });
            }
        };
        if let Some(named) = named
            && let Some(list) = &mut self.named
        {
            let pointer = path.pointer();
            // Other steps take time, and these take memory.
            let bytes = size_of::<NamedValue>() + pointer.len();
            self.steps.take(of_memory(bytes))?;
            list.push(NamedValue { pointer, named });
        }
        Ok(())
    }

    fn one_of_these(&mut self, values: &[Value], value: &Value, path: &Path<'_>) -> Fit {
        for one in values {
            if self.same(one, value)? {
                return Ok(());
            }
        }
        self.misfit(path, || {
            let values: Vec<_> = values.iter().take(16).map(shown).collect();
            format!(
                "{} is not one of {}",
                shown(value),
                excerpt(&values.join(", "))
            )
        })
    }

    fn number(&mut self, check: &NumberCheck, value: &Number, path: &Path<'_>) -> Fit {
        let against = |bound| number::compare(value, bound);
        let fits = match check {
            NumberCheck::Minimum(least) => against(least) != Ordering::Less,
            NumberCheck::Maximum(most) => against(most) != Ordering::Greater,
            NumberCheck::ExclusiveMinimum(below) => against(below) == Ordering::Greater,
            NumberCheck::ExclusiveMaximum(above) => against(above) == Ordering::Less,
            NumberCheck::MultipleOf(of) => number::is_multiple(value, *of),
        };
        self.unless(fits, path, || match check {
            NumberCheck::Minimum(least) => format!("{value} is less than {least}, the least"),
            NumberCheck::Maximum(most) => format!("{value} is more than {most}, the most"),
            NumberCheck::ExclusiveMinimum(below) => format!("{value} is not more than {below}"),
            NumberCheck::ExclusiveMaximum(above) => format!("{value} is not less than {above}"),
            NumberCheck::MultipleOf(of) => format!("{value} is not a multiple of {of}"),
        })
    }

    fn text(&mut self, check: &TextCheck, text: &str, path: &Path<'_>) -> Fit {
        let length = || text.chars().count() as u64;
        match check {
            TextCheck::MinLength(least) => {
                self.steps.take(of_text(text))?;
                self.unless(length() >= *least, path, || {
                    format!("this has at least {least} characters")
                })
            }
            TextCheck::MaxLength(most) => {
                self.steps.take(of_text(text))?;
                self.unless(length() <= *most, path, || {
                    format!("this has at most {most} characters")
                })
            }
            TextCheck::Pattern(pattern) => {
                let found = pattern.is_match(text, self.steps)?;
                self.unless(found, path, || {
                    format!(
                        "\"{}\" does not match {}",
                        excerpt(text),
                        excerpt(pattern.text())
                    )
                })
            }
        }
    }

    fn array(&mut self, check: &ArrayCheck, items: &[Value], path: &Path<'_>) -> Fit {
        let length = items.len() as u64;
        match check {
            ArrayCheck::MinItems(least) => self.unless(length >= *least, path, || {
                format!("this has at least {least} items, not {length}")
            }),
            ArrayCheck::MaxItems(most) => self.unless(length <= *most, path, || {
                format!("this has at most {most} items, not {length}")
            }),
            ArrayCheck::UniqueItems => {
                let again = self.repeated(items)?;
                self.unless(again.is_none(), path, || {
                    format!("the item {} is there twice", again.unwrap_or_default())
                })
            }
            ArrayCheck::Items { first, rest } => {
                for (index, item) in items.iter().enumerate() {
                    let Some(part) = first.get(index).or(rest.as_ref()) else {
                        break;
                    };
                    self.part(*part, item, &path.item(index))?;
                }
                Ok(())
            }
            ArrayCheck::Contains { item, least, most } => {
                let mut found = 0_u64;
                for (index, value) in items.iter().enumerate() {
                    found += u64::from(self.fits(*item, value, &path.item(index))?);
                }
                let fits = found >= *least && most.is_none_or(|most| found <= most);
                self.unless(fits, path, || {
                    format!(
                        "{found} items are as `contains` wants them, which are too few or too many"
                    )
                })
            }
        }
    }

    fn object(
        &mut self,
        check: &ObjectCheck,
        members: &Map<String, Value>,
        value: &Value,
        path: &Path<'_>,
    ) -> Fit {
        let length = members.len() as u64;
        match check {
            ObjectCheck::MinProperties(least) => self.unless(length >= *least, path, || {
                format!("this has at least {least} members, not {length}")
            }),
            ObjectCheck::MaxProperties(most) => self.unless(length <= *most, path, || {
                format!("this has at most {most} members, not {length}")
            }),
            ObjectCheck::Required(names) => self.required(names, members, path),
            ObjectCheck::DependentRequired(dependents) => {
                for (name, names) in dependents {
                    if self.find(name, members)?.is_some() {
                        self.required(names, members, path)?;
                    }
                }
                Ok(())
            }
            ObjectCheck::DependentSchemas(dependents) => {
                for (name, part) in dependents {
                    if self.find(name, members)?.is_some() {
                        self.part(*part, value, path)?;
                    }
                }
                Ok(())
            }
            ObjectCheck::Members(known) => {
                for (name, value) in members {
                    self.member(known, name, value, &path.member(name))?;
                }
                Ok(())
            }
            ObjectCheck::PropertyNames(part) => {
                for name in members.keys() {
                    self.steps.take(of_text(name))?;
                    self.part(*part, &Value::String(name.clone()), &path.member(name))?;
                }
                Ok(())
            }
        }
    }

    fn find<'v>(
        &mut self,
        name: &str,
        members: &'v Map<String, Value>,
    ) -> Result<Option<&'v Value>, Stop> {
        self.steps.take(of_lookup(name, members.len()))?;
        Ok(members.get(name))
    }

    fn required(&mut self, names: &[String], members: &Map<String, Value>, path: &Path<'_>) -> Fit {
        for name in names {
            if self.find(name, members)?.is_none() {
                return self.misfit(path, || format!("\"{}\" is required here", excerpt(name)));
            }
        }
        Ok(())
    }

    fn member(&mut self, members: &Members, name: &str, value: &Value, path: &Path<'_>) -> Fit {
        let Members {
            named,
            matching,
            others,
        } = members;
        self.steps.take(of_lookup(name, named.len()))?;
        let mut known = false;
        if let Some(part) = named.get(name) {
            known = true;
            self.part(*part, value, path)?;
        }
        for (pattern, part) in matching {
            self.steps.take(1)?;
            if pattern.is_match(name, self.steps)? {
                known = true;
                self.part(*part, value, path)?;
            }
        }
        match others {
            Some(part) if !known => self.part(*part, value, path),
            Some(_) | None => Ok(()),
        }
    }

    fn combination(&mut self, check: &Combination, value: &Value, path: &Path<'_>) -> Fit {
        match check {
            Combination::AllOf(parts) => parts
                .iter()
                .try_for_each(|part| self.part(*part, value, path)),
            Combination::AnyOf(parts) => {
                let mut fits = false;
                for part in parts {
                    fits |= self.fits(*part, value, path)?;
                    // Each alternative that fits may say what the value names.
                    if fits && self.named.is_none() {
                        break;
                    }
                }
                self.unless(fits, path, || {
                    format!("{} fits none of the alternatives", shown(value))
                })
            }
            Combination::OneOf(parts) => {
                let mut found = 0;
                for part in parts {
                    found += usize::from(self.fits(*part, value, path)?);
                }
                self.unless(found == 1, path, || {
                    format!("{} fits {found} of the alternatives, not one", shown(value))
                })
            }
            Combination::Not(part) => {
                let fits = self.fits(*part, value, path)?;
                self.unless(!fits, path, || {
                    format!("{} is what `not` excludes", shown(value))
                })
            }
            Combination::If {
                condition,
                then,
                otherwise,
            } => {
                let next = if self.fits(*condition, value, path)? {
                    then
                } else {
                    otherwise
                };
                match next {
                    Some(part) => self.part(*part, value, path),
                    None => Ok(()),
                }
            }
            Combination::Reference(part) => self.part(*part, value, path),
        }
    }

    /// Tells whether two values are equal.
    fn same(&mut self, a: &Value, b: &Value) -> Result<bool, Stop> {
        self.steps.take(1)?;
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => Ok(number::compare(a, b) == Ordering::Equal),
            (Value::String(a), Value::String(b)) if a.len() == b.len() => {
                self.steps.take(a.len() / 64)?;
                Ok(a == b)
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(b) {
                    if !self.same(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                for (name, a) in a {
                    match self.find(name, b)? {
                        Some(b) if self.same(a, b)? => {}
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

    /// The index of an item that is equal to one before it. Each item is written once, so that equal items
    /// are equal texts, and no two items are compared.
    fn repeated(&mut self, items: &[Value]) -> Result<Option<usize>, Stop> {
        let mut seen = HashSet::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mut text = String::new();
            self.write_canonical(item, &mut text)?;
            self.steps.take(of_text(&text))?;
            if !seen.insert(text) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn write_canonical(&mut self, value: &Value, to: &mut String) -> Fit {
        self.steps.take(1)?;
        match value {
            Value::Null => to.push('n'),
            Value::Bool(true) => to.push('t'),
            Value::Bool(false) => to.push('f'),
            Value::Number(number) => {
                number::write_canonical(number, to);
                to.push(';');
            }
            Value::String(text) => self.write_text(text, to)?,
            Value::Array(items) => {
                to.push('[');
                for item in items {
                    self.write_canonical(item, to)?;
                }
                to.push(']');
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                for (name, _) in &sorted {
                    self.steps.take(of_lookup(name, members.len()))?;
                }
                sorted.sort_unstable_by_key(|(name, _)| name.as_str());
                to.push('{');
                for (name, value) in sorted {
                    self.write_text(name, to)?;
                    self.write_canonical(value, to)?;
                }
                to.push('}');
            }
        }
        Ok(())
    }

    /// Writes a text with its length before it, so that no text can look like several values.
    fn write_text(&mut self, text: &str, to: &mut String) -> Fit {
        self.steps.take(of_text(text))?;
        to.push('"');
        to.push_str(&text.len().to_string());
        to.push(':');
        to.push_str(text);
        Ok(())
    }
}
