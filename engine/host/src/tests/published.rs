//! The comparison of the published schema of manifests with the host's check.

use serde_json::{Value, json};

use super::guest::MANIFEST;
use crate::manifest::Manifest;

/// Returns a manifest with all members.
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

/// Collects the pointers to all values in a value.
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

/// Returns manifests with one value replaced, or one member removed or added.
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
fn host_rejects_what_the_published_schema_rejects() {
    let schema = jsonschema::draft202012::new(&Manifest::schema()).unwrap();
    assert!(schema.is_valid(&full()));
    Manifest::parse(&full().to_string()).unwrap();
    let mut rejected = 0;
    for manifest in changed() {
        if schema.is_valid(&manifest) {
            continue;
        }
        rejected += 1;
        let result = Manifest::parse(&manifest.to_string());
        assert!(result.is_err(), "only the schema rejects {manifest}");
    }
    assert!(rejected > 500, "{rejected}");
}

#[test]
fn types_accept_every_manifest_of_the_right_shape() {
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
