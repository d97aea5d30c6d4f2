//! The output that a page shows, compared with the output of its block.

use serde_json::Value;

use super::page::{Block, Shown};

/// Members whose numbers differ from run to run.
const VOLATILE: [&str; 4] = ["recorded_at", "opened_at", "at", "fuel"];

/// Checks the output of a block: it is what the page shows, and has no problem that the page does not show.
pub(super) fn check(block: &Block, output: &str, place: &str) {
    // An answer does not end its line, so several may stand on one.
    let answers: Vec<Value> = output
        .lines()
        .flat_map(|line| {
            let values = serde_json::Deserializer::from_str(line).into_iter();
            values.map_while(Result::ok)
        })
        .collect();
    let mut expected_code = None;
    match &block.shown {
        Some(Shown::Json(text)) => {
            let shown: Value = serde_json::from_str(text)
                .unwrap_or_else(|wrong| panic!("{place}: what is shown is not JSON: {wrong}"));
            let matches = answers.iter().any(|answer| is_like(&shown, answer));
            assert!(matches, "{place} does not print\n{text}but\n{output}");
            expected_code = shown["code"].as_str().map(str::to_owned);
        }
        Some(Shown::Text(text)) => {
            let mut lines = output.lines();
            for line in text.lines() {
                let printed = lines.any(|printed| is_text_like(line, printed));
                assert!(printed, "{place} does not print `{line}` but\n{output}");
            }
        }
        None => {}
    }
    let mut codes = Vec::new();
    for answer in &answers {
        problems(answer, &mut codes);
    }
    for code in codes {
        assert_eq!(
            Some(&code),
            expected_code.as_ref(),
            "{place} prints a problem that the page does not show:\n{output}"
        );
    }
}

/// Returns true if a value is as shown. `"…"` stands for any value, and as an item or a member for any others.
fn is_like(shown: &Value, value: &Value) -> bool {
    match (shown, value) {
        (Value::String(text), _) if text == "…" => true,
        (Value::Array(shown), Value::Array(items)) => match shown.split_last() {
            Some((last, shown)) if last == "…" => {
                items.len() >= shown.len() && are_like(shown, items)
            }
            _ => items.len() == shown.len() && are_like(shown, items),
        },
        (Value::Object(shown), Value::Object(members)) => {
            let may_have_more = shown.contains_key("…");
            let named = shown.iter().filter(|(name, _)| *name != "…");
            let all_there = named.clone().all(|(name, shown)| {
                members.get(name).is_some_and(|value| {
                    is_like(shown, value)
                        || VOLATILE.contains(&name.as_str()) && shown.is_u64() && value.is_u64()
                })
            });
            all_there && (may_have_more || named.count() == members.len())
        }
        _ => shown == value,
    }
}

fn are_like(shown: &[Value], items: &[Value]) -> bool {
    let mut pairs = shown.iter().zip(items);
    pairs.all(|(shown, item)| is_like(shown, item))
}

/// Returns true if a line is as shown; `…` stands for any text.
fn is_text_like(shown: &str, line: &str) -> bool {
    let mut rest = line.trim();
    let parts = shown.trim().split('…');
    for (index, part) in parts.enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(at) if index > 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || shown.trim().ends_with('…')
}

/// Collects the codes of all problems in an answer, also of those in the results of a batch.
fn problems(answer: &Value, codes: &mut Vec<String>) {
    match answer {
        Value::Object(members) => {
            if let (Some(code), Some(_)) = (members.get("code"), members.get("retry")) {
                codes.push(code.as_str().unwrap_or_default().to_owned());
            }
            for value in members.values() {
                problems(value, codes);
            }
        }
        Value::Array(items) => {
            for item in items {
                problems(item, codes);
            }
        }
        _ => {}
    }
}

#[test]
fn shown_output_is_compared() {
    let value = serde_json::json!({ "id": "a", "fuel": 7, "list": [1, 2], "more": true });
    for (shown, matches) in [
        (
            r#"{"id": "…", "fuel": 1, "list": [1, "…"], "more": true}"#,
            true,
        ),
        (r#"{"id": "a", "…": "…"}"#, true),
        (r#"{"id": "a"}"#, false),
        (r#"{"id": "b", "…": "…"}"#, false),
        (r#"{"fuel": "7", "…": "…"}"#, false),
        (r#"{"list": [1], "…": "…"}"#, false),
        (r#"{"list": [2, "…"], "…": "…"}"#, false),
        (r#"{"gone": 1, "…": "…"}"#, false),
    ] {
        let shown = serde_json::from_str(shown).unwrap();
        assert_eq!(is_like(&shown, &value), matches, "{shown}");
    }
    for (shown, line, matches) in [
        ("HTTP/1.1 201 Created", "HTTP/1.1 201 Created\r", true),
        ("key: …", "key: 12", true),
        ("a … c", "a b c", true),
        ("a … c", "a b d", false),
        ("b", "a b", false),
        ("a", "a b", false),
    ] {
        assert_eq!(is_text_like(shown, line), matches, "{shown}");
    }
    let mut codes = Vec::new();
    let batch = serde_json::json!({ "results": [{ "body": { "code": "x", "retry": "never" } }] });
    problems(&batch, &mut codes);
    assert_eq!(codes, ["x"]);
}
