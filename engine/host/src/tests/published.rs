//! The published schema of manifests against the host that reads them.

use serde_json::{Value, json};

use super::guest::MANIFEST;
use crate::manifest::Manifest;

/// A manifest with every member that there is.
fn full() -> Value {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    manifest["permissions"] = json!({
        "read": ["user:1"], "credit": ["issuer:coin"], "debit": ["issuer:item:potion"],
        "patterns": [{"accounts": "user:*", "read": true, "debit": true}],
        "spend_per_call": {"coin": 1}, "spend_per_member_per_day": {"coin": 0},
        "issue_per_day": {"item:potion": 1}, "state_bytes": 1, "fuel": "large",
    });
    manifest["holds"] = json!({"bet": {"expires_in_s": 60, "on_expiry": "capture"}});
    manifest["schedules"] = json!([{
        "name": "tick", "description": "", "reply": {}, "every_s": 60, "offset_s": 1,
        "missed": "catch_up",
    }]);
    manifest["odds"] = json!([{
        "action": "act", "description": "", "arguments": {}, "config": {},
        "stake": {"asset": "coin", "amount": 1}, "returns_ppm": 990_000, "follow": "/next",
    }]);
    manifest
}

/// The places of all values in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.into());
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| places(item, &format!("{at}/{index}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Manifests that have one value replaced, or one member left out or added.
fn changed() -> Vec<Value> {
    let mut found = Vec::new();
    places(&full(), "", &mut found);
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(9_007_199_254_740_991_u64),
        json!(""),
        json!("a b"),
        json!("user:1"),
        json!("a".repeat(1025)),
        json!([]),
        json!([7]),
        json!(vec!["a"; 65]),
        json!({}),
        json!({"a b": 1}),
    ];
    let mut changed = Vec::new();
    for at in found {
        for other in &others {
            let mut manifest = full();
            *manifest.pointer_mut(&at).unwrap() = other.clone();
            changed.push(manifest);
        }
        let mut manifest = full();
        if let Some(Value::Object(members)) = manifest.pointer_mut(&at) {
            members.insert("unknown".into(), json!(1));
            changed.push(manifest);
        }
        if let Some((parent, name)) = at.rsplit_once('/') {
            let mut manifest = full();
            if let Some(Value::Object(members)) = manifest.pointer_mut(parent) {
                members.remove(name);
                changed.push(manifest);
            }
        }
    }
    changed
}

#[test]
fn what_the_published_schema_refuses_the_host_refuses() {
    let schema = jsonschema::draft202012::new(&Manifest::schema()).unwrap();
    assert!(schema.is_valid(&full()));
    Manifest::parse(&full().to_string()).unwrap();
    let mut refused = 0;
    for manifest in changed() {
        if schema.is_valid(&manifest) {
            continue;
        }
        refused += 1;
        let read = Manifest::parse(&manifest.to_string());
        assert!(read.is_err(), "only the schema refuses {manifest}");
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn types_read_whatever_has_the_right_shape() {
    for manifest in changed() {
        let Err(report) = Manifest::parse(&manifest.to_string()) else {
            continue;
        };
        for finding in report.findings {
            let by_types = finding.message.starts_with("`describe`");
            assert!(!by_types, "{finding} in {manifest}");
        }
    }
}
