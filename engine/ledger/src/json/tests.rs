//! Tests of reading JSON.

use serde_json::{Value, json};

use super::*;

mod reader;

#[test]
fn serialised_json_is_canonical() {
    for text in [
        r#" {"b":[1,-2,3.50,1e-3,null,true],"a":{"z":"\u00e9\n\/","y":{}},"":""} "#,
        "[]",
        "18446744073709551615",
        "-9223372036854775808",
        "123456789012345678901234567890",
        "0.1",
        "1E-7",
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let json = Json::parse(text.as_bytes()).expect("JSON");
        let canonical = serde_json::to_string(&json).expect("text");
        assert_eq!(canonical, value.to_string(), "{text}");
        assert_eq!(Value::deserialize(&json).expect("a value"), value, "{text}");
    }
}

#[test]
fn equal_whole_numbers_have_the_same_text() {
    let canonical = |text: &str| {
        let json = Json::parse(text.as_bytes()).expect("JSON");
        serde_json::to_string(&json).expect("text")
    };
    for (text, expected) in [
        ("[1.0,1e0,10e-1,1]", "[1,1,1,1]"),
        ("[-0,-0.0,0.0,0]", "[0,0,0,0]"),
        ("[1e3,-1.50e1]", "[1000,-15]"),
        ("[9007199254740991.0]", "[9007199254740991]"),
        ("[1.5,1e-3]", "[1.5,0.001]"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
        // A stored document has the same text.
        let json = Json::parse(text.as_bytes()).expect("JSON");
        let document = Value::deserialize(&json).expect("a value");
        assert_eq!(document.to_string(), expected, "{text}");
        // A number type decides by itself which numbers it accepts.
        let amounts = Vec::<crate::Amount>::deserialize(&json);
        assert!(amounts.is_err(), "{text}");
    }
}

#[test]
fn a_duplicate_member_is_rejected_at_every_depth() {
    for (text, pointer) in [
        (r#"{"a":1,"a":1}"#, "/a"),
        (
            r#"{"a":{"b":[{},{"c/d":1,"d":2,"c\/d":3}]}}"#,
            "/a/b/1/c~1d",
        ),
        (r#"{"a":1,"\u0061":2}"#, "/a"),
        (r#"{"a":{"a":{"b":1}},"c":[{"b":"{\"b\":"}],"a":2}"#, "/a"),
        (r#"[[{"x":[1,2]}],{"":0,"":1}]"#, "/1/"),
    ] {
        let error = Json::parse(text.as_bytes()).expect_err(text);
        assert!(error.what.contains("duplicate"), "{text}: {error}");
        assert_eq!(error.pointer, pointer, "{text}");
    }
    assert!(Json::parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    assert!(Json::parse(br#"[{"a":1},{"a":1}]"#).is_ok());
}

#[test]
fn invalid_json_is_rejected_with_its_position() {
    for (text, pointer) in [
        ("", ""),
        ("{", ""),
        ("{}x", ""),
        ("[1,]", "/1"),
        ("nul", ""),
        ("\"\u{0}\"", ""),
        (&"[".repeat(200), &"/0".repeat(127)),
        ("{\"a\":\n [1, 2,\n  {\"b\": 1e400}]}", "/a/2/b"),
        (r#"{"a":{"b":tru}}"#, "/a/b"),
        (r#"{"a":"\ud800"}"#, "/a"),
    ] {
        let error = Json::parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.pointer, pointer, "{text}: {error}");
    }
}

#[test]
fn null_members_of_an_object_are_dropped_and_other_nulls_stay() {
    let mut json = Json::parse(br#"{"a":null,"b":{"c":null},"d":[null]}"#).expect("JSON");
    json.drop_nulls();
    let text = serde_json::to_string(&json).expect("text");
    assert_eq!(text, r#"{"b":{"c":null},"d":[null]}"#);
}

#[test]
fn a_member_can_be_removed() {
    let mut json = Json::parse(br#"{"a":1,"b":2}"#).expect("JSON");
    assert_eq!(json.take("a"), Some(Json::Number(1.into())));
    assert_eq!(json.take("a"), None);
    assert_eq!(serde_json::to_string(&json).expect("text"), r#"{"b":2}"#);
}

#[test]
fn a_strict_reader_rejects_duplicate_members_and_inexact_numbers() {
    let read = |text: &str| read_strictly::<Value>(text.as_bytes());
    assert_eq!(read(r#"{"a":[1,0.5]}"#), Ok(json!({ "a": [1, 0.5] })));
    for wrong in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1e99}"#,
        "[0.10000000000000001]",
        "{",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let wrong = read_strictly::<Vec<u64>>(br#"{"a":1}"#);
    assert!(wrong.is_err());
}
