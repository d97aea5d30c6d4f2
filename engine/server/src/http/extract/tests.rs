//! Tests of reading requests.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::super::json::spellings::Choices;
use super::super::json::tests::parsed_meanwhile;
use super::super::{
    accounts, assets, economies, holds, keys, plugins, reversals, transfers, webhooks,
};
use super::*;

#[derive(serde::Deserialize)]
struct Anything {}

#[test]
fn a_valid_body_is_read_in_one_pass_for_both_its_forms() {
    let parsed = parsed_meanwhile(|| {
        let parsed =
            parse::<Anything>(br#"{"b":[1],"a":{}}"#, Nulls::Absent).expect("it can be read");
        let request = parsed.canonical.request("POST", "/x");
        let expected = r#"{"body":{"a":{},"b":[1]},"method":"POST","path":"/x"}"#;
        assert_eq!(request.as_str(), expected);
    });
    assert_eq!(parsed, 0);
}

#[test]
fn keys_are_plain_or_quoted() {
    assert_eq!(unquoted("abc"), Some("abc".into()));
    assert_eq!(unquoted("\"abc\""), Some("abc".into()));
    assert_eq!(unquoted(r#""a\"b\\c""#), Some(r#"a"b\c"#.into()));
    for wrong in ["\"abc", "\"a\"b", r#""a\b""#] {
        assert_eq!(unquoted(wrong), None, "{wrong}");
    }
}

/// Checks that a text that is read in one pass is read alike when it is parsed as a whole. Returns true if it is read.
fn agrees<T: DeserializeOwned + Debug>(text: &[u8], nulls: Nulls) -> bool {
    let Ok(read) = parse_valid::<T>(text, nulls) else {
        return false;
    };
    let shown = String::from_utf8_lossy(text);
    let parsed = match parse_any::<T>(text, nulls) {
        Ok(parsed) => parsed,
        Err(problem) => panic!("{shown}: {}", problem.body()),
    };
    assert_eq!(read.canonical, parsed.canonical, "{shown}");
    let typed = format!("{:?}", read.typed);
    assert_eq!(typed, format!("{:?}", parsed.typed), "{shown}");
    true
}

type Agrees = fn(&[u8], Nulls) -> bool;

/// Returns the bodies of all routes with a key, and of many others, with a valid example.
fn bodies() -> Vec<(Agrees, Nulls, Value)> {
    let posting = json!({"from": "user:1", "to": "user:2", "asset": "item:potion", "amount": 3});
    let metadata = json!({"b": [1, {"z": 1.5, "a": null}], "a": "\u{1f600}"});
    let transfer = json!({
        "postings": [posting, posting], "memo": "two", "reference": "r", "metadata": metadata,
        "effective_at": 1_700_000_000_000_u64,
    });
    let issue = json!({"account": "user:1", "asset": "coin", "amount": 1, "memo": "x"});
    let hold = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 1, "expires_in_s": 60,
        "on_expiry": "capture", "reference": "r", "metadata": metadata,
    });
    let capture = json!({"amount": 1, "memo": "m", "metadata": metadata});
    let reversal = json!({"force": true, "reason": "r", "reference": "x", "metadata": {}});
    let call = json!({
        "caller": "user:1", "arguments": metadata, "roles": ["a", "b"], "spend_limit": {"coin": 5},
        "preview": false,
    });
    let asset = json!({"kind": "currency", "name": "Coin", "decimals": 2, "metadata": metadata});
    let account = json!({"status": "frozen", "credit_limit": {"coin": 1}, "metadata": null});
    let key = json!({"scopes": ["read"], "economies": ["guild"]});
    let webhook = json!({"url": "https://receiver.invalid/", "enabled": true});
    vec![
        (agrees::<transfers::TransferBody>, Nulls::Absent, transfer),
        (agrees::<transfers::IssueBody>, Nulls::Absent, issue),
        (agrees::<holds::HoldBody>, Nulls::Absent, hold),
        (agrees::<holds::CaptureBody>, Nulls::Absent, capture),
        (
            agrees::<holds::ReleaseBody>,
            Nulls::Absent,
            json!({"memo": "m"}),
        ),
        (agrees::<reversals::ReversalBody>, Nulls::Absent, reversal),
        (agrees::<plugins::CallBody>, Nulls::Absent, call),
        (agrees::<assets::AssetBody>, Nulls::Kept, asset),
        (agrees::<accounts::AccountBody>, Nulls::Kept, account),
        (agrees::<keys::KeyBody>, Nulls::Kept, key),
        (agrees::<webhooks::WebhookBody>, Nulls::Kept, webhook),
        (
            agrees::<economies::EconomyBody>,
            Nulls::Kept,
            json!({"status": "frozen"}),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The request that is recorded, and compared with each repetition, never depends on the way in which it was read.
    #[test]
    fn a_body_that_is_read_in_one_pass_is_read_as_if_parsed(choices in vec(any::<u8>(), 0..200)) {
        for (agrees, nulls, example) in bodies() {
            agrees(&Choices(&choices).text(&example), nulls);
        }
    }
}

#[test]
fn the_bodies_that_clients_send_are_read_in_one_pass() {
    for (agrees, nulls, example) in bodies() {
        let text = Choices(&[]).text(&example);
        let shown = String::from_utf8_lossy(&text);
        assert!(agrees(&text, nulls), "{shown}");
    }
}
