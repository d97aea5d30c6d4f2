//! The warnings about parts of a valid manifest that Discord cannot show.

use serde_json::{Map, Value, json};

use super::guest::MANIFEST;
use crate::discord::{
    CHOICE_CHARS_MAX, CHOICES_MAX, COMMAND_NAME_CHARS_MAX, DESCRIPTION_CHARS_MAX, OPTIONS_MAX,
    SUBCOMMANDS_MAX, discord_warnings,
};
use crate::limits::FINDINGS_OF_A_KIND_MAX;
use crate::manifest::Manifest;
use crate::report::Finding;

/// Returns the warnings about a valid manifest with one value set.
fn warnings(pointer: &str, value: Value) -> Vec<Finding> {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    *manifest.pointer_mut(pointer).unwrap() = value;
    discord_warnings(&Manifest::parse(&manifest.to_string()).unwrap())
}

fn shows(pointer: &str, value: Value) {
    assert_eq!(warnings(pointer, value), [], "{pointer}");
}

fn warns(pointer: &str, value: Value, at: &str, message: &str) {
    let warnings = warnings(pointer, value);
    let [warning] = &warnings[..] else {
        panic!("{message}: {warnings:?}");
    };
    assert_eq!(warning.code, "discord_cannot_show");
    assert_eq!(warning.pointer.as_deref(), Some(at), "{warning}");
    assert!(warning.message.contains(message), "{warning}");
}

const ARGUMENTS: &str = "/actions/0/arguments";

fn options(options: impl IntoIterator<Item = (String, Value)>) -> Value {
    let options: Map<String, Value> = options.into_iter().collect();
    json!({"type": "object", "properties": options, "additionalProperties": false})
}

/// Returns the arguments of an action with one option, which has a description.
fn option(mut schema: Value) -> Value {
    schema["description"] = "An option.".into();
    options([("it".into(), schema)])
}

fn shows_option(schema: Value) {
    shows(ARGUMENTS, option(schema));
}

fn warns_of_option(schema: Value, message: &str) {
    let at = "/actions/0/arguments/properties/it";
    warns(ARGUMENTS, option(schema), at, message);
}

#[test]
fn actions_options_and_choices_end_at_the_limits_of_discord() {
    let actions = |count: usize| {
        let action = |number| json!({"name": format!("a{number}"), "description": "Acts.", "arguments": {}, "reply": {}});
        (0..count).map(action).collect::<Value>()
    };
    shows("/actions", actions(SUBCOMMANDS_MAX));
    let beyond = actions(SUBCOMMANDS_MAX + 1);
    warns("/actions", beyond, "/actions", "26 actions");

    let flag = json!({"type": "boolean", "description": "Yes or no."});
    let many = |count: usize| options((0..count).map(|n| (format!("o{n}"), flag.clone())));
    shows(ARGUMENTS, many(OPTIONS_MAX));
    warns(ARGUMENTS, many(OPTIONS_MAX + 1), ARGUMENTS, "26 options");

    let values = |count: usize| {
        (0..count)
            .map(|n| json!(format!("v{n}")))
            .collect::<Value>()
    };
    shows_option(json!({"enum": values(CHOICES_MAX)}));
    warns_of_option(json!({"enum": values(CHOICES_MAX + 1)}), "26 choices");
    // schemars emits this for a Rust enum with a doc comment on each variant.
    let variants = |count: usize| {
        let variant =
            |n| json!({"const": format!("v{n}"), "description": "One.", "type": "string"});
        (0..count).map(variant).collect::<Value>()
    };
    shows_option(json!({"oneOf": variants(CHOICES_MAX)}));
    warns_of_option(json!({"oneOf": variants(CHOICES_MAX + 1)}), "26 choices");
    // `null` means that the option is omitted, so it is not a choice.
    let mut absent = values(CHOICES_MAX);
    absent.as_array_mut().unwrap().push(Value::Null);
    shows_option(json!({"type": ["string", "null"], "enum": absent}));
}

#[test]
fn names_satisfy_the_rule_of_commands() {
    let named = |name: &str| {
        let flag = json!({"type": "boolean", "description": "Yes or no."});
        options([(name.to_owned(), flag)])
    };
    let longest = "a".repeat(COMMAND_NAME_CHARS_MAX);
    let wide = "\u{e4}".repeat(COMMAND_NAME_CHARS_MAX);
    let thai = "\u{e17}\u{e35}\u{e48}";
    for name in ["a", "a_b-2", "d'or", &longest, &wide, "\u{5b57}", thai] {
        shows(ARGUMENTS, named(name));
    }
    let too_long = format!("{longest}a");
    for name in ["", "A", "\u{c4}", "a b", "a.b", "$", "\u{1f600}", &too_long] {
        let at = format!("{ARGUMENTS}/properties/{name}");
        let message = format!("the name `{name}`");
        warns(ARGUMENTS, named(name), &at, &message);
    }
    for (pointer, at) in [("/id", "/id"), ("/actions/0/name", "/actions/0/name")] {
        shows(pointer, json!(longest));
        warns(pointer, json!(too_long), at, "1 to 32");
    }
    warns("/id", json!("a.b"), "/id", "the name `a.b`");
}

#[test]
fn descriptions_have_1_to_100_characters() {
    let longest = "\u{20ac}".repeat(DESCRIPTION_CHARS_MAX);
    let too_long = format!("{longest}a");
    for pointer in ["/description", "/actions/0/description"] {
        shows(pointer, json!(longest));
        warns(pointer, json!(too_long), pointer, "101 characters");
        warns(pointer, json!(""), pointer, "the description is missing");
    }
    let described = |text: &str| {
        let flag = json!({"type": "boolean", "description": text});
        options([("it".into(), flag)])
    };
    let at = "/actions/0/arguments/properties/it";
    shows(ARGUMENTS, described(&longest));
    warns(ARGUMENTS, described(&too_long), at, "101 characters");
    warns(ARGUMENTS, described(""), at, "the description is missing");
    let undescribed = options([("it".into(), json!({"type": "boolean"}))]);
    warns(ARGUMENTS, undescribed, at, "the description is missing");
    // A reference without a description has that of its definition.
    let side = json!({"type": "string", "description": "A side."});
    let mut defined = options([("it".into(), json!({"$ref": "#/$defs/Side"}))]);
    defined["$defs"] = json!({ "Side": side });
    shows(ARGUMENTS, defined.clone());
    defined["properties"]["it"]["description"] = json!(too_long);
    warns(ARGUMENTS, defined, at, "101 characters");
}

#[test]
fn a_choice_has_1_to_100_characters() {
    let longest = "\u{20ac}".repeat(CHOICE_CHARS_MAX);
    shows_option(json!({"enum": ["a", longest]}));
    let beyond = json!({"enum": ["a", format!("{longest}a")]});
    warns_of_option(beyond, "a choice has 101 characters");
    warns_of_option(json!({"enum": ["a", ""]}), "a choice has 0 characters");
}

#[test]
fn an_option_is_a_string_a_number_or_a_boolean() {
    for schema in [
        json!({"type": "string"}),
        json!({"type": "integer"}),
        json!({"type": "number"}),
        json!({"type": "boolean"}),
        json!({"type": ["integer", "null"]}),
        json!({"type": ["integer", "number"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"allOf": [{"minLength": 1}, {"type": "string"}]}),
        json!({"enum": [1, 2]}),
        json!({"const": true}),
    ] {
        shows_option(schema);
    }
    for (schema, message) in [
        (json!({}), "the type is missing"),
        (json!({"type": "null"}), "the type is missing"),
        (json!({"type": "object"}), "the type is `object`"),
        (json!({"type": ["array", "null"]}), "the type is `array`"),
        (json!({"enum": [{"a": 1}]}), "the type is `object`"),
        (
            json!({"type": ["string", "integer"]}),
            "the types are `integer`, `string`",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "array"}]}),
            "the types are `array`, `string`",
        ),
    ] {
        warns_of_option(schema, message);
    }
    // Types are found through several references.
    let mut defined = option(json!({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}));
    defined["$defs"] = json!({"A": {"$ref": "#/$defs/B"}, "B": {"type": "integer"}});
    shows(ARGUMENTS, defined.clone());
    defined["$defs"]["B"] = json!({"type": "array"});
    let at = "/actions/0/arguments/properties/it";
    warns(ARGUMENTS, defined, at, "the type is `array`");
}

#[test]
fn arguments_are_one_list_of_options() {
    let flag = json!({"type": "boolean", "description": "Yes or no."});
    let list = options([("it".into(), flag)]);
    let definitions = json!({ "List": list });
    shows(
        ARGUMENTS,
        json!({"$ref": "#/$defs/List", "$defs": definitions}),
    );
    shows(ARGUMENTS, json!({"type": "object"}));
    // A rule about options adds no options.
    shows(ARGUMENTS, json!({"anyOf": [{"required": ["it"]}]}));
    for (schema, message) in [
        (json!({"type": "array"}), "not an object"),
        (json!({"anyOf": [list]}), "within `anyOf`"),
        (json!({"oneOf": [list]}), "within `oneOf`"),
        (
            json!({"allOf": [{"$ref": "#/$defs/List"}], "$defs": definitions}),
            "within `allOf`",
        ),
        (
            json!({"additionalProperties": {"type": "string"}}),
            "any name",
        ),
        (json!({"patternProperties": {"^a": {}}}), "any name"),
    ] {
        warns(ARGUMENTS, schema, ARGUMENTS, message);
    }
}

#[test]
fn many_warnings_are_cut_and_counted() {
    let nameless = |count: usize| {
        let flag = json!({"type": "boolean", "description": "Yes or no."});
        options((0..count).map(|n| (format!("O{n}"), flag.clone())))
    };
    let full = warnings(ARGUMENTS, nameless(FINDINGS_OF_A_KIND_MAX));
    assert_eq!(full.len(), FINDINGS_OF_A_KIND_MAX);
    let beyond = warnings(ARGUMENTS, nameless(FINDINGS_OF_A_KIND_MAX + 2));
    assert_eq!(beyond.len(), FINDINGS_OF_A_KIND_MAX + 1);
    assert_eq!(beyond.last().unwrap().message, "and 2 more of this kind");
}
