//! The schema dialect of plugins: its keywords, its limits, and its agreement with JSON Schema.

use serde_json::{Value, json};

use super::allocations::peak_of;
use crate::Finding;
use crate::limits::{
    FORMAT_BYTES_MAX, MULTIPLE_MAX, PATTERNS_MAX, SCHEMA_DEPTH_MAX, SCHEMA_PARTS_MAX,
    SCHEMA_STEPS_MAX,
};
use crate::report::Findings;
use crate::schema::{PatternSet, Schema, SchemaLocation};

/// Compiles a schema, or returns the findings.
pub(super) fn compile_with(
    schema: &Value,
    patterns: &mut PatternSet,
) -> Result<Schema, Vec<Finding>> {
    let mut findings = Findings::default();
    let location = SchemaLocation {
        subject: "the configuration",
        pointer: "/configuration",
    };
    let compiled = Schema::compile(schema, location, patterns, &mut findings);
    match findings.report() {
        Ok(()) => Ok(compiled.expect("it has no findings")),
        Err(report) => {
            assert!(compiled.is_none(), "it has findings");
            Err(report.findings)
        }
    }
}

pub(super) fn compile(schema: &Value) -> Result<Schema, Vec<Finding>> {
    compile_with(schema, &mut PatternSet::default())
}

pub(super) fn accepts(schema: &Value) -> Schema {
    compile(schema).unwrap_or_else(|findings| panic!("{schema}: {findings:?}"))
}

/// Returns the only finding about a schema.
fn rejects(schema: &Value) -> Finding {
    let findings = compile(schema).expect_err("it is rejected");
    let [finding] = &findings[..] else {
        panic!("{schema}: {findings:?}");
    };
    assert_eq!(finding.code, "schema_invalid");
    assert!(finding.hint.is_some(), "{finding}");
    finding.clone()
}

#[test]
fn unknown_keyword_is_reported_with_its_place_and_a_hint() {
    for (keyword, hint) in [
        ("unevaluatedProperties", "additionalProperties"),
        ("unevaluatedItems", "prefixItems"),
        ("$dynamicRef", "#/$defs/NAME"),
        ("$anchor", "#/$defs/NAME"),
        ("$id", "#/$defs/NAME"),
        ("definitions", "$defs"),
        ("dependencies", "dependentRequired"),
        ("contentSchema", "description"),
        ("nullable", "\"null\""),
        ("minimun", "did you mean `minimum`?"),
        ("nonsense", "docs/plugins.md"),
    ] {
        let finding = rejects(&json!({"properties": {"a/b": {keyword: {}}}}));
        assert!(
            finding
                .message
                .contains(&format!("`{keyword}` is not a keyword")),
            "{finding}"
        );
        let pointer = format!("/configuration/properties/a~1b/{keyword}");
        assert_eq!(finding.pointer, Some(pointer));
        assert!(finding.hint.as_ref().unwrap().contains(hint), "{finding}");
    }
}

#[test]
fn all_findings_of_a_schema_are_reported_at_once() {
    let schema = json!({
        "type": "text", "minimum": "1", "multipleOf": 0.01, "required": [1], "enum": [],
        "pattern": "(?=a)", "items": [{}], "then": {}, "maxContains": 1, "$ref": "#/definitions/a",
        "properties": {"a": {"$defs": {}}, "b": 7}, "patternProperties": {"(": {}},
        "dependentRequired": {"a": "b"}, "$schema": "http://json-schema.org/draft-07/schema#",
    });
    let findings = compile(&schema).unwrap_err();
    let mut pointers: Vec<_> = findings
        .iter()
        .map(|finding| {
            finding
                .pointer
                .as_deref()
                .unwrap()
                .trim_start_matches("/configuration")
        })
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/$ref",
            "/$schema",
            "/dependentRequired",
            "/enum",
            "/items",
            "/maxContains",
            "/minimum",
            "/multipleOf",
            "/pattern",
            "/patternProperties/(",
            "/properties/a/$defs",
            "/properties/b",
            "/required",
            "/then",
            "/type",
        ]
    );
}

/// Returns a schema in which each level refers twice to the next one.
fn doubling(levels: usize) -> Value {
    let level = |number: usize| {
        if number == 0 {
            return json!({"type": "integer"});
        }
        let below = json!({"$ref": format!("#/$defs/d{}", number - 1)});
        json!({"anyOf": [below.clone(), below]})
    };
    let definitions = (0..=levels).map(|number| (format!("d{number}"), level(number)));
    json!({"$ref": format!("#/$defs/d{levels}"), "$defs": Value::Object(definitions.collect())})
}

#[test]
fn parts_end_at_their_limit_with_references_expanded() {
    // The schema itself, its check and its values are parts.
    let values = |count: usize| json!({"enum": (0..count).collect::<Vec<_>>()});
    accepts(&values(SCHEMA_PARTS_MAX - 1));
    let beyond = rejects(&values(SCHEMA_PARTS_MAX));
    assert!(beyond.message.contains("more than 10000 parts"), "{beyond}");
    accepts(&doubling(8));
    let beyond = rejects(&doubling(24));
    assert!(beyond.message.contains("more than 10000 parts"), "{beyond}");
}

#[test]
fn depth_ends_at_its_limit_with_references_expanded() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |below, _| json!({"not": below}));
    accepts(&nested(SCHEMA_DEPTH_MAX));
    let beyond = rejects(&nested(SCHEMA_DEPTH_MAX + 1));
    assert!(beyond.message.contains("more than 64 levels"), "{beyond}");
    // A chain of references whose definitions are reached from two places.
    let chain = |length: usize| {
        let link = |number: usize| json!({"$ref": format!("#/$defs/d{}", number + 1)});
        let mut definitions: serde_json::Map<_, _> = (1..length)
            .map(|number| (format!("d{number}"), link(number)))
            .collect();
        definitions.insert(format!("d{length}"), json!({}));
        json!({"allOf": [{"$ref": "#/$defs/d2"}, {"$ref": "#/$defs/d1"}], "$defs": definitions})
    };
    accepts(&chain(SCHEMA_DEPTH_MAX - 2));
    let beyond = rejects(&chain(SCHEMA_DEPTH_MAX - 1));
    assert!(beyond.message.contains("more than 64 levels"), "{beyond}");
    rejects(&chain(5_000));
}

#[test]
fn recursive_schema_is_rejected() {
    let recursive = json!({"$ref": "#/$defs/a", "$defs": {
        "a": {"items": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]},
    }});
    assert!(rejects(&recursive).message.contains("refers to itself"));
    for reference in [
        "#",
        "#/$defs/none",
        "#/properties/a",
        "a.json",
        "https://example.com/schema",
    ] {
        let finding = rejects(&json!({"$ref": reference, "properties": {"a": {}}}));
        assert!(
            finding.message.contains("is not a valid reference"),
            "{finding}"
        );
    }
}

#[test]
fn formats_and_multiples_end_at_their_limits() {
    let format = |bytes: usize| json!({"format": "f".repeat(bytes)});
    accepts(&format(FORMAT_BYTES_MAX));
    rejects(&format(FORMAT_BYTES_MAX + 1));
    accepts(&json!({ "multipleOf": MULTIPLE_MAX }));
    rejects(&json!({ "multipleOf": MULTIPLE_MAX + 1 }));
    rejects(&json!({ "multipleOf": 0 }));
}

#[test]
fn steps_of_a_value_end_at_their_limit() {
    let choices: Vec<Value> = (0..500).map(|number| json!({"const": number})).collect();
    let schema = accepts(&json!({"items": {"anyOf": choices}}));
    let numbers = |count: usize| json!(vec![499; count]);
    let of_one = schema.steps_of(&numbers(2)).0 - schema.steps_of(&numbers(1)).0;
    assert!((1_000..3_000).contains(&of_one), "{of_one}");
    let max = SCHEMA_STEPS_MAX / of_one - 1;
    assert_eq!(schema.check(&numbers(max), 100_000), Ok(()));
    let beyond = schema.check(&numbers(max + 3), 100_000).unwrap_err();
    assert!(
        beyond.message.contains("more than 1000000 steps"),
        "{beyond}"
    );
}

/// An error names only the place of the first mismatch, and the check collects no other mismatches.
#[test]
fn error_is_small_for_many_mismatches() {
    let branches: Vec<Value> = (0..200)
        .map(|number| json!({"items": {"anyOf": [{"const": number}, {"type": "null"}]}}))
        .collect();
    let schema = accepts(&json!({"anyOf": branches}));
    let value = json!(vec!["a"; 2_000]);
    let (checked, peak) = peak_of(|| schema.check(&value, 100_000));
    assert!(checked.unwrap_err().message.len() < 300);
    assert!(peak < 100_000, "{peak} bytes");
}

#[test]
fn nested_unknown_keywords_are_rejected_at_once() {
    let nested = (0..40).fold(
        json!({}),
        |below, _| json!({"allOf": [below], "unevaluatedProperties": {"type": "integer"}}),
    );
    let findings = compile(&nested).unwrap_err();
    assert!(
        findings
            .iter()
            .all(|finding| finding.code == "schema_invalid")
    );
    assert!(findings[0].message.contains("`unevaluatedProperties`"));
    // All findings are counted, and a few are reported.
    assert!(
        findings.last().unwrap().message.contains("and 24 more"),
        "{findings:?}"
    );
}

#[test]
fn patterns_of_repeated_unicode_classes_are_rejected_and_cost_little() {
    let pattern =
        |number: usize| json!({"pattern": format!("^(\\p{{L}}{{40}}\\p{{N}}{{{number}}})+$")});
    let patterns: Vec<Value> = (0..200).map(|number| pattern(number + 1)).collect();
    let schema = json!({"anyOf": patterns});
    assert!(schema.to_string().len() < 16 * 1024);
    let (compiled, peak) = peak_of(|| compile(&schema));
    assert!(compiled.is_err());
    assert!(peak < 8 << 20, "{peak} bytes");
    // A pattern that is used several times counts once.
    let many = json!({"anyOf": vec![json!({"pattern": "^a{30}$"}); PATTERNS_MAX * 2]});
    assert!(accepts(&many).check(&json!("a"), 100).is_err());
}
