//! The warnings about parts of a manifest that Discord cannot show as slash commands.
//!
//! A bot can create its commands from manifests: a command for each plugin, with a subcommand for each action and an
//! option for each argument. [Discord's limits][1] are lower than those of a manifest. A component is not rejected for
//! them, because a plugin can be for a game or a website, but its author gets a warning.
//!
//! [1]: https://discord.com/developers/docs/interactions/application-commands

use std::collections::BTreeSet;
use std::iter;

use bursar_ledger::pointer_segment;
use serde_json::{Map, Value};

use crate::manifest::{Action, Manifest};
use crate::report::{Finding, Findings};
use crate::text::excerpt;

/// Subcommands of a Discord command.
pub(crate) const SUBCOMMANDS_MAX: usize = 25;
/// Options of a Discord subcommand.
pub(crate) const OPTIONS_MAX: usize = 25;
/// Choices of a Discord option.
pub(crate) const CHOICES_MAX: usize = 25;
/// Characters of the name of a Discord command or option.
pub(crate) const COMMAND_NAME_CHARS_MAX: usize = 32;
/// Characters of a Discord description.
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 100;
/// Characters of a Discord choice.
pub(crate) const CHOICE_CHARS_MAX: usize = 100;

/// Returns a warning for each part of a checked manifest that Discord cannot show.
pub fn discord_warnings(manifest: &Manifest) -> Vec<Finding> {
    let mut warnings = Warnings::default();
    warnings.check_name("/id", manifest.id.as_str());
    warnings.check_description("/description", Some(&manifest.description));
    warnings.check_count(
        "/actions",
        "actions",
        manifest.actions.len(),
        SUBCOMMANDS_MAX,
    );
    for (index, action) in manifest.actions.iter().enumerate() {
        warnings.check_action(&format!("/actions/{index}"), action);
    }
    match warnings.0.report() {
        Ok(()) => Vec::new(),
        Err(report) => report.findings,
    }
}

/// The warnings about one manifest.
#[derive(Default)]
struct Warnings(Findings);

impl Warnings {
    fn add(&mut self, pointer: &str, message: impl AsRef<str>) {
        let warning = Finding::new("discord_cannot_show", excerpt(message.as_ref()));
        self.0.add(warning.pointer(pointer));
    }

    fn check_name(&mut self, pointer: &str, name: &str) {
        if !is_command_name(name) {
            let message = format!(
                "the name `{name}` is not valid for Discord: use 1 to {COMMAND_NAME_CHARS_MAX} lower-case letters, digits, `_` and `-`"
            );
            self.add(pointer, message);
        }
    }

    fn check_description(&mut self, pointer: &str, description: Option<&str>) {
        match description.map_or(0, |text| text.chars().count()) {
            0 => {
                let message = format!(
                    "the description is missing: Discord requires 1 to {DESCRIPTION_CHARS_MAX} characters"
                );
                self.add(pointer, message);
            }
            1..=DESCRIPTION_CHARS_MAX => {}
            length => {
                let message = format!(
                    "the description has {length} characters: Discord allows {DESCRIPTION_CHARS_MAX}"
                );
                self.add(pointer, message);
            }
        }
    }

    fn check_count(&mut self, pointer: &str, kind: &str, count: usize, max: usize) {
        if count > max {
            self.add(
                pointer,
                format!("there are {count} {kind}: Discord allows {max}"),
            );
        }
    }

    fn check_action(&mut self, at: &str, action: &Action) {
        self.check_name(&format!("{at}/name"), &action.name);
        self.check_description(&format!("{at}/description"), Some(&action.description));
        let at = format!("{at}/arguments");
        let definitions = Definitions::of(&action.arguments);
        let schema = definitions.resolve(&action.arguments);
        let types = definitions.types(schema);
        if !types.is_empty() && !types.contains("object") {
            self.add(
                &at,
                "the arguments are not an object: Discord options have names",
            );
        }
        let has_members =
            |schema: &Value| !members(definitions.resolve(schema), "properties").is_empty();
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if branches(schema, keyword).iter().any(has_members) {
                let message = format!(
                    "there are arguments within `{keyword}`: Discord has a fixed list of options"
                );
                self.add(&at, message);
            }
        }
        let others = schema.get("additionalProperties");
        if others.is_some_and(Value::is_object) || !members(schema, "patternProperties").is_empty()
        {
            self.add(
                &at,
                "arguments can have any name: Discord has a fixed list of options",
            );
        }
        let options = members(schema, "properties");
        self.check_count(&at, "options", options.len(), OPTIONS_MAX);
        for (name, option) in options {
            let at = format!("{at}/properties{}", pointer_segment(name));
            self.check_name(&at, name);
            self.check_option(&at, option, definitions);
        }
    }

    fn check_option(&mut self, at: &str, option: &Value, definitions: Definitions<'_>) {
        let own = option.get("description");
        let description = own.or_else(|| definitions.resolve(option).get("description"));
        self.check_description(at, description.and_then(Value::as_str));
        let mut types = definitions.types(option);
        types.remove("null");
        if types.contains("number") {
            types.remove("integer");
        }
        let types: Vec<_> = types.into_iter().collect();
        match types[..] {
            ["boolean" | "integer" | "number" | "string"] => {}
            [] => self.add(at, "the type is missing: a Discord option has one type"),
            [one] => {
                let message = format!(
                    "the type is `{one}`: Discord options are strings, numbers or booleans"
                );
                self.add(at, message);
            }
            [..] => {
                let message = format!(
                    "the types are `{}`: a Discord option has one type",
                    types.join("`, `")
                );
                self.add(at, message);
            }
        }
        let choices = definitions.choices(option).unwrap_or_default();
        self.check_count(at, "choices", choices.len(), CHOICES_MAX);
        let is_valid = |text: &str| (1..=CHOICE_CHARS_MAX).contains(&text.chars().count());
        let mut texts = choices.into_iter().filter_map(Value::as_str);
        if let Some(text) = texts.find(|text| !is_valid(text)) {
            let message = format!(
                "a choice has {} characters: Discord allows 1 to {CHOICE_CHARS_MAX}",
                text.chars().count()
            );
            self.add(at, message);
        }
    }
}

/// Returns true if a name satisfies [Discord's rule][1]: letters and digits of any script, in lower case if they have case.
///
/// [1]: https://discord.com/developers/docs/interactions/application-commands#application-command-object-application-command-naming
fn is_command_name(name: &str) -> bool {
    let is_allowed = |c: char| {
        // Devanagari and Thai: their vowel signs and tone marks are not letters in Unicode.
        let has_signs = matches!(c, '\u{900}'..='\u{97f}' | '\u{e00}'..='\u{e7f}');
        (c.is_alphanumeric() || has_signs || "-_'".contains(c)) && c.to_lowercase().eq([c])
    };
    (1..=COMMAND_NAME_CHARS_MAX).contains(&name.chars().count()) && name.chars().all(is_allowed)
}

/// The definitions of one schema.
///
/// The schema was checked, so references do not form a cycle and expand to few parts. The recursion below is thus bounded.
#[derive(Clone, Copy)]
struct Definitions<'a>(Option<&'a Map<String, Value>>);

impl<'a> Definitions<'a> {
    fn of(schema: &'a Value) -> Self {
        Self(schema.get("$defs").and_then(Value::as_object))
    }

    fn target(self, schema: &Value) -> Option<&'a Value> {
        let reference = schema.get("$ref")?.as_str()?;
        self.0?.get(reference.strip_prefix("#/$defs/")?)
    }

    /// Follows references to a schema that is not one.
    fn resolve(self, schema: &'a Value) -> &'a Value {
        iter::successors(Some(schema), |schema| self.target(schema))
            .last()
            .unwrap_or(schema)
    }

    /// Returns the types of a schema, or those of its listed values.
    fn types(self, schema: &'a Value) -> BTreeSet<&'a str> {
        match schema.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
            None => match (self.choices(schema), self.target(schema)) {
                (Some(choices), _) => choices.into_iter().map(type_of).collect(),
                (None, Some(target)) => self.types(target),
                (None, None) => ["allOf", "anyOf", "oneOf"]
                    .into_iter()
                    .flat_map(|keyword| branches(schema, keyword))
                    .flat_map(|branch| self.types(branch))
                    .collect(),
            },
        }
    }

    /// Returns the values that a schema lists, if it lists any.
    fn choices(self, schema: &'a Value) -> Option<Vec<&'a Value>> {
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return Some(values.iter().filter(|value| !value.is_null()).collect());
        }
        if let Some(value) = schema.get("const") {
            return Some(vec![value]);
        }
        if let Some(target) = self.target(schema) {
            return self.choices(target);
        }
        if schema.get("type").is_some_and(|it| it == "null") {
            return Some(Vec::new());
        }
        let mut alternatives = ["anyOf", "oneOf"].into_iter();
        let alternatives = alternatives.find_map(|keyword| schema.get(keyword)?.as_array())?;
        let values: Option<Vec<_>> = alternatives.iter().map(|it| self.choices(it)).collect();
        Some(values?.concat())
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn branches<'a>(schema: &'a Value, keyword: &str) -> &'a [Value] {
    let branches = schema.get(keyword).and_then(Value::as_array);
    branches.map_or(&[], Vec::as_slice)
}

fn members<'a>(schema: &'a Value, keyword: &str) -> Vec<(&'a String, &'a Value)> {
    let members = schema.get(keyword).and_then(Value::as_object);
    members.into_iter().flatten().collect()
}
