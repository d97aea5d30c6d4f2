//! Random schemas and patterns that are costly. One number always gives the same schema.
//!
//! None takes more steps or memory than its size allows, and accepted schemas have the same results as another implementation
//! of JSON Schema.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::allocations::peak_of;
use super::mutants::Dice;
use super::schemas::{compile, compile_with};
use crate::limits::{
    MANIFEST_BYTES_MAX, PATTERNS_MAX, PATTERNS_PROGRAM_BYTES_MAX, SCHEMA_STEPS_MAX,
};
use crate::schema::PatternSet;

/// Cases that are tried by default.
const CASES: u64 = 400;

/// Bytes of memory to compile a schema or a pattern, in addition to the schema itself.
const COMPILE_BYTES_MAX: usize = 8 << 20;
/// Bytes of memory to check a value.
const CHECK_BYTES_MAX: usize = 1 << 20;

#[allow(
    clippy::disallowed_methods,
    reason = "an environment variable sets how long the test runs"
)]
fn cases() -> u64 {
    std::env::var("BURSAR_HOSTILE").map_or(CASES, |number| number.parse().unwrap())
}

/// Runs a test of this file in a child process with a limit of processor time, so that a test that does not end is killed
/// and fails.
fn bounded(test: &str) {
    let seconds = 120 + cases() / 4;
    let limited = format!("ulimit -t {seconds}; exec \"$0\" \"$@\"");
    let output = Command::new("/bin/sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args([
            &format!("tests::hostile::{test}"),
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}");
}

#[test]
fn hostile_schemas_stay_within_their_counted_bound() {
    bounded("schemas_one_by_one");
}

#[test]
fn hostile_patterns_stay_within_their_counted_bound() {
    bounded("patterns_one_by_one");
}

fn one_of<'a>(dice: &mut Dice, texts: &[&'a str]) -> &'a str {
    texts[dice.below(texts.len())]
}

const NAMES: [&str; 6] = ["a", "b", "ab", "a/b", "", "\u{e4}"];

/// Returns a random value, small or large.
fn value(dice: &mut Dice, depth: usize) -> Value {
    let many = [0, 1, 2, 3, 40, 300][dice.below(6)];
    match dice.below(if depth == 0 { 7 } else { 11 }) {
        0 => Value::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.below(5)),
        3 => json!(-3.5),
        4 => json!([1e300, 2.0, 1e-7, 9_007_199_254_740_991.0][dice.below(4)]),
        5 => json!(one_of(dice, &NAMES)),
        6 => json!(one_of(dice, &["a", "ab", "\u{20ac}"]).repeat(many * 4)),
        7 | 8 => {
            let item = value(dice, depth - 1);
            let many = many / depth.max(1);
            let vary = dice.below(2) == 0;
            let item = |index: usize| if vary { json!(index) } else { item.clone() };
            (0..many).map(item).collect()
        }
        _ => {
            let mut members = Map::new();
            for number in 0..many / depth.max(1) {
                let below = value(dice, depth.saturating_sub(2));
                members.insert(format!("{}{number}", one_of(dice, &NAMES)), below);
            }
            members.insert(one_of(dice, &NAMES).into(), value(dice, depth - 1));
            members.into()
        }
    }
}

fn list(dice: &mut Dice, depth: usize, most: usize) -> Value {
    (0..=dice.below(most))
        .map(|_| schema(dice, depth))
        .collect()
}

fn named(dice: &mut Dice, depth: usize, names: &[&str]) -> Value {
    let count = 1 + dice.below(3);
    let members = (0..count).map(|_| (one_of(dice, names).to_owned(), schema(dice, depth)));
    Value::Object(members.collect())
}

const PATTERNS: [&str; 6] = [
    "^a",
    "(a+)+$",
    "(a|a)*b",
    "^[^b]{0,40}$",
    "^\\p{L}*$",
    "b|^$",
];

/// Adds a random keyword.
fn add_keyword(dice: &mut Dice, depth: usize, to: &mut Map<String, Value>) {
    if depth == 0 || !add_nested(dice, depth, to) {
        add_plain(dice, to);
    }
}

fn few(dice: &mut Dice) -> Value {
    json!(dice.below(5))
}

/// Adds a keyword that contains schemas, and returns whether it did.
fn add_nested(dice: &mut Dice, depth: usize, to: &mut Map<String, Value>) -> bool {
    let depth = depth - 1;
    let mut put = |name: &str, value: Value| drop(to.insert(name.into(), value));
    match dice.below(18) {
        0 => put("allOf", list(dice, depth, 3)),
        1 => put("anyOf", list(dice, depth, 4)),
        2 => put("oneOf", list(dice, depth, 4)),
        3 => put("not", schema(dice, depth)),
        4 => {
            put("if", schema(dice, depth));
            put("then", schema(dice, depth));
            put("else", schema(dice, depth));
        }
        5 => put("items", schema(dice, depth)),
        6 => put("prefixItems", list(dice, depth, 3)),
        7 => {
            put("contains", schema(dice, depth));
            put("minContains", few(dice));
        }
        8 | 9 => put("properties", named(dice, depth, &NAMES)),
        10 => put("additionalProperties", schema(dice, depth)),
        11 => put("patternProperties", named(dice, depth, &PATTERNS)),
        12 => put("propertyNames", schema(dice, depth)),
        13 => put("dependentSchemas", named(dice, depth, &NAMES)),
        _ => return false,
    }
    true
}

/// Returns one or several types.
fn types(dice: &mut Dice) -> Value {
    const TYPES: [&str; 6] = ["object", "array", "string", "number", "integer", "null"];
    match dice.below(3) {
        0 => json!(["array", "object", "string"]),
        _ => json!(one_of(dice, &TYPES)),
    }
}

/// Keywords that are not in the dialect.
const UNKNOWN: [&str; 4] = [
    "unevaluatedProperties",
    "$dynamicRef",
    "$id",
    "contentSchema",
];

/// Adds a keyword that contains no schemas.
fn add_plain(dice: &mut Dice, to: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| drop(to.insert(name.into(), value));
    match dice.below(24) {
        0 | 1 => put("type", types(dice)),
        2 => put(
            "enum",
            (0..=dice.below(40)).map(|_| value(dice, 1)).collect(),
        ),
        3 => put("const", value(dice, 2)),
        4 => put("minimum", few(dice)),
        5 => put("maximum", json!(1e3)),
        6 => put("exclusiveMinimum", json!(-3.5)),
        7 => put("exclusiveMaximum", few(dice)),
        8 => put("multipleOf", json!(1 + dice.below(3))),
        9 => put("minLength", few(dice)),
        10 => put("maxLength", json!(100)),
        11 | 12 => put("pattern", json!(one_of(dice, &PATTERNS))),
        13 => put("minItems", few(dice)),
        14 => put("maxItems", json!(200)),
        15 | 16 => put("uniqueItems", json!(true)),
        17 => put("minProperties", few(dice)),
        18 => put("maxProperties", json!(200)),
        19 => put("required", json!([one_of(dice, &NAMES)])),
        20 => put("dependentRequired", json!({"a": ["b", "ab"]})),
        21 | 22 => put("$ref", json!(format!("#/$defs/d{}", dice.below(8)))),
        // Rarely, a keyword that is not in the dialect.
        _ if dice.below(8) == 0 => {
            let name = one_of(dice, &UNKNOWN);
            put(name, json!({}));
        }
        _ => put("description", json!("a")),
    }
}

fn schema(dice: &mut Dice, depth: usize) -> Value {
    if dice.below(12) == 0 {
        return json!(dice.below(2) == 0);
    }
    let mut members = Map::new();
    for _ in 0..=dice.below(3) {
        add_keyword(dice, depth, &mut members);
    }
    members.into()
}

/// Returns a schema with definitions. Most refer to the next one, some twice, and some recursively.
fn whole_schema(dice: &mut Dice) -> Value {
    let depth = 1 + dice.below(5);
    let mut root = match schema(dice, depth) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut definitions = Map::new();
    for number in 0..8 {
        let definition = if number == 7 || dice.below(3) == 0 {
            // Replaces references, so that most schemas are not recursive.
            let plain = schema(dice, 1)
                .to_string()
                .replace("\"$ref\"", "\"$comment\"");
            serde_json::from_str(&plain).unwrap()
        } else {
            let below = || json!({"$ref": format!("#/$defs/d{}", number + 1)});
            let combination = one_of(dice, &["anyOf", "allOf", "oneOf"]);
            json!({ combination: [below(), {"items": below()}, below()] })
        };
        definitions.insert(format!("d{number}"), definition);
    }
    root.insert("$defs".into(), definitions.into());
    root.into()
}

/// Returns the size of a schema as the manual counts it: its schemas, keywords, values, names and the states of its patterns,
/// with every reference expanded.
fn size_of_schema(root: &Value, schema: &Value) -> usize {
    let Value::Object(members) = schema else {
        return 1;
    };
    let of_list = |list: &Value| -> usize {
        let list = list.as_array().into_iter().flatten();
        list.map(|schema| size_of_schema(root, schema)).sum()
    };
    let of_named = |named: &Value| -> usize {
        let named = named.as_object().into_iter().flatten();
        named
            .map(|(name, schema)| name.len() + size_of_schema(root, schema))
            .sum()
    };
    let of_keyword = |(keyword, value): (&String, &Value)| match keyword.as_str() {
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => of_list(value),
        "not"
        | "if"
        | "then"
        | "else"
        | "items"
        | "contains"
        | "additionalProperties"
        | "propertyNames" => size_of_schema(root, value),
        "properties" | "dependentSchemas" => of_named(value),
        "patternProperties" => {
            let patterns = value.as_object().unwrap().keys();
            patterns.map(|pattern| states(pattern)).sum::<usize>() + of_named(value)
        }
        "$ref" => {
            let target = value.as_str().unwrap().trim_start_matches('#');
            size_of_schema(root, root.pointer(target).unwrap())
        }
        "pattern" => states(value.as_str().unwrap()),
        "$defs" => 0,
        _ => size_of_value(value),
    };
    1 + members
        .iter()
        .map(|member| 1 + of_keyword(member))
        .sum::<usize>()
}

fn states(pattern: &str) -> usize {
    PatternSet::default().compile(pattern).unwrap().states()
}

/// Returns the size of a value: its values and the bytes of its texts and names.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size_of_value).sum::<usize>(),
        Value::Object(members) => {
            let size = |(name, value): (&String, &Value)| 1 + name.len() + size_of_value(value);
            1 + members.iter().map(size).sum::<usize>()
        }
        Value::String(text) => 1 + text.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

#[test]
#[ignore = "the test of hostile schemas runs it in a child process"]
fn schemas_one_by_one() {
    let mut accepted = 0;
    let mut matches = 0;
    let mut mismatches = 0;
    let mut ran_out = 0;
    for case in 0..cases() {
        let mut dice = Dice::new(case);
        let schema = whole_schema(&mut dice);
        // A larger schema does not fit into a manifest.
        if schema.to_string().len() > MANIFEST_BYTES_MAX {
            continue;
        }
        let (compiled, peak) = peak_of(|| compile(&schema));
        assert!(
            peak < COMPILE_BYTES_MAX,
            "case {case}: {peak} bytes for {schema}"
        );
        let Ok(compiled) = compiled else {
            continue;
        };
        accepted += 1;
        let oracle = jsonschema::draft202012::new(&schema).unwrap();
        let size = size_of_schema(&schema, &schema);
        for _ in 0..3 {
            let value = value(&mut dice, 3);
            let ((steps, checked), peak) = peak_of(|| compiled.steps_of(&value));
            let max = size.saturating_mul(size_of_value(&value)).saturating_mul(4);
            assert!(
                steps <= max.min(SCHEMA_STEPS_MAX),
                "case {case}: {steps} steps, {max} allowed"
            );
            assert!(peak < CHECK_BYTES_MAX, "case {case}: {peak} bytes");
            if steps == SCHEMA_STEPS_MAX {
                ran_out += 1;
                continue;
            }
            assert_eq!(
                checked.is_ok(),
                oracle.is_valid(&value),
                "case {case}: {checked:?} of {value} by {schema}"
            );
            if checked.is_ok() {
                matches += 1;
            } else {
                mismatches += 1;
            }
        }
    }
    assert!(
        ran_out < accepted,
        "{ran_out} of {accepted} schemas have a value that is too costly"
    );
    // The generator must produce all kinds of cases.
    assert!(
        accepted > cases() / 5 && accepted < cases(),
        "{accepted} accepted"
    );
    assert!(
        matches > cases() / 10 && mismatches > cases() / 10,
        "{matches} and {mismatches}"
    );
}

/// Returns a regular expression of nested pieces that are large or slow, or that engines read differently.
fn pattern(dice: &mut Dice, depth: usize) -> String {
    let pieces = 1 + dice.below(3);
    let mut text = String::new();
    for _ in 0..pieces {
        let piece = match dice.below(if depth == 0 { 5 } else { 9 }) {
            0 | 1 => one_of(dice, &["a", "b", "\\.", "\\u00e4", "\\-", "\u{e4}", "."]).into(),
            2 => one_of(
                dice,
                &["[a-c]", "[^b]", "[\\w.-]", "[\\p{L}a]", "[^\\d]", "[\\s]"],
            )
            .into(),
            3 => one_of(dice, &["\\d", "\\w", "\\S", "\\p{L}", "\\p{Lu}", "\\P{L}"]).into(),
            4 => one_of(
                dice,
                &[
                    "(?i)a",
                    "\\b",
                    "(?=a)",
                    "\\1",
                    "[a&&b]",
                    "[[:alpha:]]",
                    "^",
                    "$",
                ],
            )
            .into(),
            5 | 6 => format!("({})", pattern(dice, depth - 1)),
            7 => format!(
                "(?:{}|{})",
                pattern(dice, depth - 1),
                pattern(dice, depth - 1)
            ),
            _ => {
                let wide: Vec<_> = (0..40).map(|_| one_of(dice, &["a", "ab", "\\w"])).collect();
                format!("(?:{})", wide.join("|"))
            }
        };
        text.push_str(&piece);
        let count = [2, 7, 40, 300, 1_000][dice.below(5)];
        match dice.below(9) {
            0 => text.push('*'),
            1 => text.push('+'),
            2 => text.push('?'),
            3 => text.push_str("*?"),
            4 => write!(text, "{{{count}}}").unwrap(),
            5 => write!(text, "{{0,{count}}}").unwrap(),
            _ => {}
        }
    }
    text
}

/// Returns a text on which patterns are slow.
fn haystack(dice: &mut Dice) -> String {
    let piece = one_of(dice, &["a", "ab", "a.b-", "\u{e4}", "A1 ", "\u{2028}\n"]);
    let end = one_of(dice, &["", "b", "\u{20ac}"]);
    piece.repeat([0, 1, 3, 60, 400][dice.below(5)]) + end
}

#[test]
#[ignore = "the test of hostile patterns runs it in a child process"]
fn patterns_one_by_one() {
    let mut accepted = 0;
    let mut compared = 0;
    let mut together = PatternSet::default();
    for case in 0..cases() {
        let mut dice = Dice::new(case);
        let pattern = pattern(&mut dice, 4);
        let schema = json!({ "pattern": pattern });
        if case % (PATTERNS_MAX as u64 * 3) == 0 {
            together = PatternSet::default();
        }
        // Compiles it together with earlier patterns, as in one manifest.
        let (_, peak) = peak_of(|| compile_with(&schema, &mut together).is_ok());
        assert!(
            peak < COMPILE_BYTES_MAX,
            "case {case}: {peak} bytes for {pattern}"
        );
        assert!(together.program_bytes() <= PATTERNS_PROGRAM_BYTES_MAX);
        // Compiles it alone.
        let Ok(compiled) = compile(&schema) else {
            continue;
        };
        accepted += 1;
        let states = states(&pattern);
        let oracle = jsonschema::draft202012::new(&schema);
        for _ in 0..3 {
            let text = json!(haystack(&mut dice));
            let ((steps, checked), peak) = peak_of(|| compiled.steps_of(&text));
            let max = (states + 4)
                .saturating_mul(size_of_value(&text))
                .saturating_mul(4);
            assert!(
                steps <= max.min(SCHEMA_STEPS_MAX),
                "case {case}: {steps} steps, {max} allowed"
            );
            assert!(peak < CHECK_BYTES_MAX, "case {case}: {peak} bytes");
            let Ok(oracle) = &oracle else {
                continue;
            };
            if steps < SCHEMA_STEPS_MAX {
                compared += 1;
                let found = checked.is_ok();
                assert_eq!(
                    found,
                    oracle.is_valid(&text),
                    "case {case}: {pattern} in {text}"
                );
            }
        }
    }
    assert!(
        accepted > cases() / 5 && accepted < cases(),
        "{accepted} accepted"
    );
    assert!(compared > accepted, "{compared} compared");
}
