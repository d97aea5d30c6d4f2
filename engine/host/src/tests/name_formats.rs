//! The formats of names and amounts, and the list of names in a value.

use serde_json::{Value, json};

use super::allocations::peak_of;
use super::schemas::accepts;
use crate::limits::SCHEMA_STEPS_MAX;
use crate::{NameFormat, NamedValue};

/// Returns the names in a value by a schema, as `pointer format text`.
fn listed(schema: &Value, value: &Value) -> Vec<String> {
    let listed = accepts(schema).list(value, 1 << 20);
    let listed = listed.unwrap_or_else(|error| panic!("{value}: {error}"));
    let lines = listed.into_iter().map(|NamedValue { pointer, named }| {
        let (format, text) = match named {
            NameFormat::Account(account) => ("account", account.to_string()),
            NameFormat::Asset(asset) => ("asset", asset.to_string()),
            NameFormat::Amount(amount) => ("amount", amount.to_string()),
        };
        format!("{pointer} {format} {text}")
    });
    lines.collect()
}

fn mismatch(schema: &Value, value: &Value) -> (String, String) {
    let schema = accepts(schema);
    let error = schema.check(value, 1 << 20).unwrap_err();
    assert_eq!(schema.list(value, 1 << 20), Err(error.clone()));
    (error.pointer, error.message)
}

#[test]
fn a_text_with_the_format_of_a_name_must_be_a_name() {
    let schema = json!({"properties": {
        "to": {"format": "account"}, "of": {"format": "asset"}, "as": {"format": "amount"},
    }});
    let (pointer, message) = mismatch(&schema, &json!({"to": "User:1"}));
    assert_eq!(pointer, "/to");
    assert!(
        message.starts_with(r#""User:1" is not the name of an account: "#),
        "{message}"
    );
    let (pointer, message) = mismatch(&schema, &json!({"of": "coin\u{1b}[31m"}));
    assert_eq!(pointer, "/of");
    assert!(message.contains("is not the name of an asset"), "{message}");
    assert!(
        message.is_ascii() && !message.contains('\u{1b}'),
        "{message:?}"
    );
    // An issuer's name contains its asset's name, of any length. `plugin` alone is reserved, so it is no account.
    let issuer = format!("issuer:{}:{}", "a".repeat(64), "b".repeat(63));
    assert_eq!(listed(&schema, &json!({"to": issuer})).len(), 1);
    mismatch(&schema, &json!({"to": "plugin"}));
    assert_eq!(
        listed(&schema, &json!({"of": "plugin"})),
        ["/of asset plugin"]
    );
}

#[test]
fn a_format_ignores_values_of_another_type() {
    for format in ["account", "asset", "amount"] {
        let schema = json!({ "format": format });
        for value in [
            json!(null),
            json!(-1),
            json!(0.5),
            json!(0),
            json!([]),
            json!({}),
        ] {
            assert_eq!(listed(&schema, &value), [""; 0], "{format} {value}");
        }
    }
    assert_eq!(listed(&json!({"format": "amount"}), &json!("all")), [""; 0]);
    assert_eq!(listed(&json!({"format": "date"}), &json!("x y")), [""; 0]);
}

#[test]
fn names_are_listed_from_every_place() {
    let schema = json!({
        "properties": {
            "to": {"$ref": "#/$defs/to"},
            "list": {"prefixItems": [{"format": "asset"}], "items": {"$ref": "#/$defs/to"}},
            "price": {
                "propertyNames": {"format": "asset"},
                "additionalProperties": {"format": "amount"},
            },
            "either": {"anyOf": [{"type": "null"}, {"format": "asset"}]},
            "one": {"oneOf": [
                {"properties": {"k": {"const": 1}, "v": {"format": "asset"}}, "required": ["k"]},
                {"properties": {"k": {"const": 2}, "v": {"format": "account"}}, "required": ["k"]},
            ]},
            "all": {"allOf": [{"format": "asset"}, {"maxLength": 9}, {"format": "account"}]},
            "has": {"contains": {"type": "string", "format": "account"}},
            "if": {
                "if": {"properties": {"asset": {"format": "asset"}}, "required": ["asset"]},
                "then": {"properties": {"n": {"format": "amount"}}},
                "else": {"properties": {"m": {"format": "amount"}}},
            },
        },
        "patternProperties": {"^x": {"format": "account"}},
        "dependentSchemas": {"to": {"properties": {"xy": {"format": "asset"}}}},
        "$defs": {"to": {"format": "account"}},
    });
    let value = json!({
        "to": "user:1",
        "list": ["coin", "user:2", "user:3"],
        "price": {"coin": 5, "item:a": 7},
        "either": "gem",
        "one": {"k": 2, "v": "user:4"},
        "all": "both",
        "has": [1, "user:5"],
        "if": {"asset": "coin", "n": 3, "m": 4},
        "xy": "user:6",
        "other": "user:7",
    });
    let mut found = listed(&schema, &value);
    found.sort();
    assert_eq!(
        found,
        [
            "/all account both",
            "/all asset both",
            "/either asset gem",
            "/has/1 account user:5",
            "/if/asset asset coin",
            "/if/n amount 3",
            "/list/0 asset coin",
            "/list/1 account user:2",
            "/list/2 account user:3",
            "/one/v account user:4",
            "/price/coin amount 5",
            "/price/coin asset coin",
            "/price/item:a amount 7",
            "/price/item:a asset item:a",
            "/to account user:1",
            "/xy account user:6",
            "/xy asset user:6",
        ]
    );
}

#[test]
fn only_matching_alternatives_list_names() {
    let schema = json!({"anyOf": [
        {"properties": {"a": {"format": "account"}, "b": {"type": "null"}}},
        {"properties": {"a": {"format": "asset"}}},
        {"properties": {"a": {"format": "asset"}, "b": {"format": "account"}}},
    ]});
    assert_eq!(
        listed(&schema, &json!({"a": "coin", "b": "user:1"})),
        ["/a asset coin", "/b account user:1"]
    );
    let schema = json!({"not": {"required": ["b"], "properties": {"a": {"format": "account"}}}});
    assert_eq!(listed(&schema, &json!({"a": "user:1"})), [""; 0]);
}

#[test]
fn a_name_of_a_member_has_the_pointer_of_the_member() {
    let schema = json!({"propertyNames": {"format": "asset", "maxLength": 9}});
    assert_eq!(listed(&schema, &json!({"a.b": 1})), ["/a.b asset a.b"]);
    assert_eq!(mismatch(&schema, &json!({"a/b": 1})).0, "/a~1b");
    assert_eq!(
        mismatch(&schema, &json!({"a234567890": 1})).0,
        "/a234567890"
    );
}

/// The steps also limit the memory of the list.
#[test]
fn listing_takes_steps() {
    let name = "a".repeat(100_000);
    let schema = json!({"additionalProperties": {"items": {"format": "asset"}}});
    let value = json!({ name: vec!["b"; 10_000] });
    let schema = accepts(&schema);
    assert_eq!(schema.check(&value, 1 << 20), Ok(()));
    let (listed, peak) = peak_of(|| schema.list(&value, 1 << 20));
    let message = listed.unwrap_err().message;
    assert!(message.contains(&SCHEMA_STEPS_MAX.to_string()), "{message}");
    assert!(peak < 16 << 20, "{peak} bytes");
}
