//! Each keyword of the dialect: its meaning, and its row in the manual.

use serde_json::{Value, json};

use super::schemas::accepts;
use crate::schema::KEYWORDS;

/// Returns for each keyword a schema, a value that matches and one that does not, if there is one.
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn examples() -> Vec<(&'static str, Value, Value, Option<Value>)> {
    let a = json!({"type": "integer"});
    vec![
        ("$comment", json!({"$comment": "a"}), json!(1), None),
        ("$defs", json!({"$defs": {"a": false}}), json!(1), None),
        (
            "$ref",
            json!({"$ref": "#/$defs/a", "$defs": {"a": a}}),
            json!(1),
            Some(json!("a")),
        ),
        (
            "$schema",
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!(1),
            None,
        ),
        (
            "additionalProperties",
            json!({"properties": {"a": true}, "additionalProperties": false}),
            json!({"a": 1}),
            Some(json!({"a": 1, "b": 2})),
        ),
        (
            "allOf",
            json!({"allOf": [a, {"minimum": 3}]}),
            json!(3),
            Some(json!(2)),
        ),
        (
            "anyOf",
            json!({"anyOf": [a, {"type": "null"}]}),
            json!(null),
            Some(json!("a")),
        ),
        (
            "const",
            json!({"const": {"a": [1, "b"]}}),
            json!({"a": [1.0, "b"]}),
            Some(json!({"a": [1]})),
        ),
        (
            "contains",
            json!({"contains": a}),
            json!(["a", 1]),
            Some(json!(["a"])),
        ),
        ("default", json!({"default": 7}), json!("a"), None),
        (
            "dependentRequired",
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"a": 1, "b": 1}),
            Some(json!({"a": 1})),
        ),
        (
            "dependentSchemas",
            json!({"dependentSchemas": {"a": {"maxProperties": 1}}}),
            json!({"b": 1, "c": 1}),
            Some(json!({"a": 1, "b": 1})),
        ),
        ("deprecated", json!({"deprecated": true}), json!(1), None),
        ("description", json!({"description": "a"}), json!(1), None),
        (
            "else",
            json!({"if": {"type": "null"}, "else": {"minimum": 3}}),
            json!(null),
            Some(json!(2)),
        ),
        (
            "enum",
            json!({"enum": ["a", 2, null]}),
            json!(2.0),
            Some(json!("b")),
        ),
        ("examples", json!({"examples": [1]}), json!("a"), None),
        (
            "exclusiveMaximum",
            json!({"exclusiveMaximum": 3}),
            json!(2.9),
            Some(json!(3)),
        ),
        (
            "exclusiveMinimum",
            json!({"exclusiveMinimum": 3}),
            json!(3.1),
            Some(json!(3)),
        ),
        ("format", json!({"format": "date"}), json!("no date"), None),
        (
            "if",
            json!({"if": {"type": "string"}, "then": false}),
            json!(1),
            Some(json!("a")),
        ),
        (
            "items",
            json!({"items": a}),
            json!([1, 2]),
            Some(json!([1, "a"])),
        ),
        (
            "maxContains",
            json!({"contains": a, "maxContains": 1}),
            json!([1]),
            Some(json!([1, 2])),
        ),
        (
            "maxItems",
            json!({"maxItems": 1}),
            json!([1]),
            Some(json!([1, 2])),
        ),
        (
            "maxLength",
            json!({"maxLength": 2}),
            json!("\u{20ac}\u{20ac}"),
            Some(json!("abc")),
        ),
        (
            "maxProperties",
            json!({"maxProperties": 1}),
            json!({"a": 1}),
            Some(json!({"a": 1, "b": 1})),
        ),
        ("maximum", json!({"maximum": 3}), json!(3), Some(json!(3.5))),
        (
            "minContains",
            json!({"contains": a, "minContains": 2}),
            json!([1, 2]),
            Some(json!([1])),
        ),
        (
            "minItems",
            json!({"minItems": 1}),
            json!([1]),
            Some(json!([])),
        ),
        (
            "minLength",
            json!({"minLength": 2}),
            json!("ab"),
            Some(json!("\u{20ac}")),
        ),
        (
            "minProperties",
            json!({"minProperties": 1}),
            json!({"a": 1}),
            Some(json!({})),
        ),
        ("minimum", json!({"minimum": 3}), json!(3), Some(json!(2.5))),
        (
            "multipleOf",
            json!({"multipleOf": 5}),
            json!(10),
            Some(json!(11)),
        ),
        ("not", json!({"not": a}), json!("a"), Some(json!(1))),
        (
            "oneOf",
            json!({"oneOf": [a, {"minimum": 3}]}),
            json!(2),
            Some(json!(3)),
        ),
        (
            "pattern",
            json!({"pattern": "^a+$"}),
            json!("aa"),
            Some(json!("ab")),
        ),
        (
            "patternProperties",
            json!({"patternProperties": {"^a": a}}),
            json!({"ab": 1, "b": "c"}),
            Some(json!({"ab": "c"})),
        ),
        (
            "prefixItems",
            json!({"prefixItems": [a]}),
            json!([1, "a"]),
            Some(json!(["a"])),
        ),
        (
            "properties",
            json!({"properties": {"a": a}}),
            json!({"a": 1}),
            Some(json!({"a": "b"})),
        ),
        (
            "propertyNames",
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"a": 1}),
            Some(json!({"ab": 1})),
        ),
        ("readOnly", json!({"readOnly": true}), json!(1), None),
        (
            "required",
            json!({"required": ["a"]}),
            json!({"a": 1}),
            Some(json!({"b": 1})),
        ),
        (
            "then",
            json!({"if": {"type": "integer"}, "then": {"minimum": 3}}),
            json!("a"),
            Some(json!(2)),
        ),
        ("title", json!({"title": "a"}), json!(1), None),
        (
            "type",
            json!({"type": ["integer", "null"]}),
            json!(1.0),
            Some(json!(1.5)),
        ),
        (
            "uniqueItems",
            json!({"uniqueItems": true}),
            json!([1, "1", [1]]),
            Some(json!([1, 1.0])),
        ),
        ("writeOnly", json!({"writeOnly": false}), json!(1), None),
    ]
}

#[test]
fn each_keyword_behaves_as_in_json_schema() {
    let examples = examples();
    let names: Vec<_> = examples.iter().map(|example| example.0).collect();
    assert_eq!(names, KEYWORDS, "each keyword has an example");
    for (keyword, schema, matching, mismatch) in examples {
        assert!(schema.get(keyword).is_some(), "{keyword}");
        let compiled = accepts(&schema);
        let oracle = jsonschema::draft202012::new(&schema).unwrap();
        assert_eq!(compiled.check(&matching, 1_000), Ok(()), "{keyword}");
        assert!(oracle.is_valid(&matching), "{keyword}");
        if let Some(mismatch) = mismatch {
            assert!(compiled.check(&mismatch, 1_000).is_err(), "{keyword}");
            assert!(!oracle.is_valid(&mismatch), "{keyword}");
        }
    }
}

#[test]
fn each_keyword_is_in_the_manual_and_no_other() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, section) = manual.split_once("\n### Keywords\n").unwrap();
    let (section, _) = section.split_once("\nEvery other keyword").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut listed: Vec<&str> = rows
        .flat_map(|row| {
            let first = row.split('|').nth(1).unwrap();
            first.split('`').skip(1).step_by(2)
        })
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, KEYWORDS);
}
