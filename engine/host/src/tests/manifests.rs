//! The check of manifests.

use bursar_ledger::STATE_BYTES_GRANTED_MAX;
use serde_json::{Value, json};

use super::check::codes;
use super::guest::{Guest, MANIFEST};
use crate::limits::{
    ACTIONS_MAX, FINDINGS_OF_A_KIND_MAX, MANIFEST_BYTES_MAX, MANIFEST_VALUES_MAX, TEXT_CHARS_MAX,
};
use crate::manifest::{EntryPoint, Manifest};

/// Returns a manifest with some members set.
fn manifest(changes: &[(&str, Value)]) -> String {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[member] = value.clone();
    }
    manifest.to_string()
}

/// Returns the messages of the findings about a manifest.
fn messages(text: &str) -> Vec<String> {
    match Manifest::parse(text) {
        Ok(_) => Vec::new(),
        Err(report) => {
            let findings = report.findings.into_iter();
            findings
                .map(|finding| {
                    let codes = ["manifest_invalid", "schema_invalid", "text_not_allowed"];
                    assert!(codes.contains(&finding.code), "{finding}");
                    finding.message
                })
                .collect()
        }
    }
}

fn accepts(changes: &[(&str, Value)]) {
    assert_eq!(messages(&manifest(changes)), [""; 0], "{changes:?}");
}

fn rejects(changes: &[(&str, Value)], expected: &str) {
    let messages = messages(&manifest(changes));
    let [message] = &messages[..] else {
        panic!("{expected}: {messages:?}");
    };
    assert!(message.contains(expected), "{message}");
}

fn actions(count: usize) -> Value {
    let action = |number| json!({"name": format!("a{number}"), "description": "", "arguments": {}, "reply": {}});
    (0..count).map(action).collect()
}

#[test]
fn bad_manifest_is_found_in_the_check() {
    for text in ["", "not JSON", "[]", "{}", "{\"id\":\"tester\"}"] {
        let mut guest = Guest::new();
        guest.manifest = text.into();
        assert_eq!(codes(&guest.bytes())[0], "manifest_invalid", "{text}");
    }
}

#[test]
fn unknown_member_is_rejected() {
    rejects(
        &[("/scopes", json!([]))],
        "`scopes` is not a member of the manifest",
    );
    rejects(
        &[("/actions/0/returns", json!({}))],
        "`returns` is not a member of an action",
    );
    rejects(
        &[("/permissions/all", json!(true))],
        "`all` is not a member of the permissions",
    );
}

#[test]
fn id_is_one_segment() {
    accepts(&[("/id", json!("a"))]);
    for id in ["", "Shop", "a:b", "a b", &"a".repeat(65)] {
        assert_eq!(
            messages(&manifest(&[("/id", json!(id))])).len(),
            1,
            "{id:?}"
        );
    }
}

#[test]
fn actions_end_at_their_limit() {
    rejects(&[("/actions", json!([]))], "1 to 64 actions");
    accepts(&[("/actions", actions(ACTIONS_MAX))]);
    rejects(&[("/actions", actions(ACTIONS_MAX + 1))], "1 to 64 actions");
}

#[test]
fn action_has_a_valid_and_unique_name() {
    let name = |name: &str| [("/actions/0/name", json!(name))];
    accepts(&name(&"a".repeat(64)));
    accepts(&name("buy_it-2"));
    for wrong in ["", "Buy", "a b", "a/b", "..", "\u{e4}", &"a".repeat(65)] {
        rejects(&name(wrong), "is not the name of an action");
    }
    let mut twice = actions(2);
    twice[1]["name"] = json!("a0");
    rejects(&[("/actions", twice)], "the action `a0` occurs twice");
}

#[test]
fn texts_end_at_their_limit() {
    // The limit counts characters, not bytes.
    let longest = json!("\u{20ac}".repeat(TEXT_CHARS_MAX));
    let too_long = json!("a".repeat(TEXT_CHARS_MAX + 1));
    for member in [
        "/version",
        "/description",
        "/license",
        "/actions/0/description",
    ] {
        accepts(&[(member, longest.clone())]);
        rejects(&[(member, too_long.clone())], "more than 1024 characters");
    }
}

#[test]
fn manifest_ends_at_its_limit() {
    let mut text = manifest(&[]);
    text.push_str(&" ".repeat(MANIFEST_BYTES_MAX - text.len()));
    assert_eq!(messages(&text), [""; 0]);
    text.push(' ');
    assert_eq!(
        messages(&text),
        [format!("it has more than {MANIFEST_BYTES_MAX} bytes")]
    );
}

#[test]
fn accounts_are_segments_and_few() {
    let names = |count: usize| (0..count).map(|n| json!(format!("a{n}"))).collect();
    accepts(&[("/accounts", json!([]))]);
    accepts(&[("/accounts", names(8))]);
    rejects(&[("/accounts", names(9))], "at most 8 accounts");
    for wrong in ["", "Till", "a:b", "../a"] {
        rejects(
            &[("/accounts", json!([wrong]))],
            "is not the name of an account",
        );
    }
    let id = "i".repeat(64);
    let sub = "s".repeat(64 - 7);
    accepts(&[("/id", json!(id)), ("/accounts", json!([sub[1..]]))]);
    rejects(
        &[("/id", json!(id)), ("/accounts", json!([sub]))],
        "at most 128 characters",
    );
}

#[test]
fn requested_state_ends_at_the_limit_of_grants() {
    let requesting = |bytes: u64| [("/permissions/state_bytes", json!(bytes))];
    accepts(&requesting(STATE_BYTES_GRANTED_MAX));
    let beyond = messages(&manifest(&requesting(STATE_BYTES_GRANTED_MAX + 1)));
    assert_eq!(
        beyond,
        ["`67108865` is not a whole number from 0 to 67108864"]
    );
}

#[test]
fn permission_to_credit_is_for_issuers() {
    accepts(&[("/permissions/credit", json!(["issuer:coin"]))]);
    accepts(&[("/permissions/debit", json!(["user:2", "issuer:coin"]))]);
    rejects(
        &[("/permissions/credit", json!(["user:2"]))],
        "`user:2` is not the name of an issuer",
    );
}

#[test]
fn invalid_schemas_are_rejected() {
    let places = [
        ("/configuration", "the configuration"),
        ("/actions/0/arguments", "`act`'s arguments"),
        ("/actions/0/reply", "`act`'s reply"),
    ];
    let wrong = [
        json!(7),
        json!({"type": "whatever"}),
        json!({"minimum": "a"}),
        json!({"pattern": "("}),
        json!({"$ref": "#/$defs/nowhere"}),
        // References are never fetched.
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "file:///etc/passwd"}),
    ];
    for (member, subject) in places {
        accepts(&[(member, json!({"type": "object", "required": ["a"]}))]);
        accepts(&[(member, json!(true))]);
        for schema in &wrong {
            rejects(
                &[(member, schema.clone())],
                &format!("the schema of {subject}"),
            );
        }
    }
}

/// Returns the pointers and messages of the findings about a manifest.
fn places(text: &str) -> Vec<(String, String)> {
    let report = Manifest::parse(text).unwrap_err();
    let findings = report.findings.into_iter();
    findings
        .map(|finding| {
            assert!(finding.message.len() < 400, "{finding}");
            (finding.pointer.unwrap_or_default(), finding.message)
        })
        .collect()
}

#[test]
fn all_findings_are_reported_at_once_with_their_places() {
    let mut broken = serde_json::from_str::<Value>(&manifest(&[
        ("/accounts", json!(["Till", 7])),
        ("/actions/0/name", json!("Act")),
        ("/actions/0/reply", json!({"type": 1})),
        ("/configuration", json!({"type": 1})),
        (
            "/permissions",
            json!({"credit": ["user:1"], "spend_per_call": {"A": -1}, "fuel": "huge"}),
        ),
        ("/holds", json!({"bet": {"expires_in_s": 0}})),
        ("/licence", json!("MIT")),
        ("/odds", json!(null)),
    ]))
    .unwrap();
    broken.as_object_mut().unwrap().remove("license");
    let found = places(&broken.to_string());
    let expected = [
        ("/license", "the manifest has no member `license`"),
        ("/accounts/0", "`Till` is not the name of an account"),
        ("/accounts/1", "`7` is not the name of an account"),
        ("/actions/0/name", "`Act` is not the name of an action"),
        (
            "/permissions/credit/0",
            "`user:1` is not the name of an issuer",
        ),
        (
            "/permissions/spend_per_call/A",
            "`A` is not the name of an asset",
        ),
        (
            "/permissions/spend_per_call/A",
            "`-1` is not a whole number from 0",
        ),
        (
            "/permissions/fuel",
            "`\"huge\"` is not one of `small`, `standard`, `large`",
        ),
        (
            "/holds/bet/expires_in_s",
            "`0` is not a whole number from 1",
        ),
        (
            "/holds/bet/on_expiry",
            "a kind of hold has no member `on_expiry`",
        ),
        ("/odds", "`null` is not a list of odds"),
        ("/licence", "`licence` is not a member of the manifest"),
        ("/configuration/type", "the schema of the configuration: "),
        ("/actions/0/reply/type", "the schema of action 0's reply: "),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((at, message), (place, begins)) in found.iter().zip(expected) {
        assert_eq!(at, place, "{message}");
        assert!(message.starts_with(begins), "{message}");
    }
    let report = Manifest::parse(&broken.to_string()).unwrap_err();
    let near = report.findings.into_iter().find_map(|found| found.nearest);
    assert_eq!(near.as_deref(), Some("license"));
}

#[test]
fn parts_of_a_manifest_are_consistent() {
    let schedule = |name: &str, every_s: u64, offset_s: u64| {
        json!({"name": name, "description": "", "missed": "skip", "every_s": every_s,
            "offset_s": offset_s})
    };
    let odds = |action: &str| {
        json!({"action": action, "description": "", "arguments": {}, "config": {},
            "stake": {"asset": "coin", "amount": 1}, "returns_ppm": 1})
    };
    accepts(&[
        ("/schedules", json!([schedule("a", 60, 59)])),
        ("/odds", json!([odds("act")])),
    ]);
    let text = manifest(&[
        (
            "/schedules",
            json!([schedule("a", 60, 60), schedule("a", 60, 0)]),
        ),
        ("/odds", json!([odds("act"), odds("acts")])),
        (
            "/permissions/patterns",
            json!([
                {"accounts": "user:*", "read": true}, {"accounts": "user:*", "debit": true},
                {"accounts": "team:*", "read": false}, {"accounts": "guild:*", "debit": false},
            ]),
        ),
    ]);
    let found = places(&text);
    let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
    let expected = [
        "/permissions/patterns/3/debit",
        "/schedules/1/name",
        "/permissions/patterns/1/accounts",
        "/permissions/patterns/2",
        "/schedules/0/offset_s",
        "/odds/1/action",
    ];
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn many_findings_of_a_manifest_are_cut_and_counted() {
    let mut wrong: Value = serde_json::from_str(MANIFEST).unwrap();
    for number in 0..FINDINGS_OF_A_KIND_MAX + 3 {
        wrong[format!("member{number:02}")] = json!(1);
    }
    let found = messages(&wrong.to_string());
    assert_eq!(found.len(), FINDINGS_OF_A_KIND_MAX + 1);
    assert_eq!(found.last().unwrap(), "and 3 more of this kind");
}

#[test]
fn value_is_checked_against_its_schema_and_its_place_is_named() {
    let shape = json!({"type": "object", "properties": {"n": {"type": "integer"}},
        "required": ["n"], "additionalProperties": false});
    let text = manifest(&[
        ("/configuration", shape.clone()),
        ("/actions/0/arguments", shape),
    ]);
    let manifest = Manifest::parse(&text).unwrap();
    manifest.named_in_configuration(&json!({"n": 1})).unwrap();
    manifest.check_arguments("act", &json!({"n": 1})).unwrap();
    // The manifest accepts any reply.
    manifest
        .check_reply(EntryPoint::Action("act"), &json!([1]))
        .unwrap();
    let error = manifest
        .check_arguments("act", &json!({"n": "1"}))
        .unwrap_err();
    assert_eq!(error.pointer, "/n");
    let error = manifest.named_in_configuration(&json!({})).unwrap_err();
    assert_eq!(error.pointer, "");
    assert!(error.to_string().starts_with("its top: "), "{error}");
}

#[test]
fn texts_have_no_hidden_characters() {
    for (member, value) in [
        ("/description", json!("\u{1b}[32mmay run")),
        ("/license", json!("a\u{202e}b")),
        ("/version", json!("1\n2")),
        ("/actions/0/description", json!("a\u{200f}b")),
        ("/actions/0/arguments", json!({"title": "a\u{2066}b"})),
        (
            "/actions/0/reply",
            json!({"properties": {"a\u{7f}b": true}}),
        ),
        ("/configuration", json!({"enum": ["a\u{9b}b"]})),
        ("/actions/0/description", json!("a\u{e0041}b")),
    ] {
        rejects(&[(member, value)], "a text contains the character U+");
    }
    accepts(&[(
        "/description",
        json!("A **guest**.\n\nIt acts: 👩\u{200d}💻"),
    )]);
    // Findings about other members quote this text with escapes.
    let text = manifest(&[("/id", json!("\u{1b}[2K")), ("/none\u{202e}", json!(1))]);
    let messages = messages(&text);
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages.iter().all(|message| message.is_ascii()));
}

#[test]
fn findings_quote_little_of_the_manifest() {
    let long = "a b".repeat(20_000);
    let text = manifest(&[
        ("/actions/0/name", json!(long)),
        ("/accounts", json!([long])),
    ]);
    assert!(messages(&text).iter().all(|message| message.len() < 400));
    let text = manifest(&[
        ("/actions/0/name", json!(long)),
        ("/actions/0/reply", json!({"type": 1})),
    ]);
    assert!(messages(&text).iter().all(|message| message.len() < 400));
    let text = manifest(&[(&format!("/{long}"), json!(1))]);
    assert!(messages(&text).iter().all(|message| message.len() < 400));
}

#[test]
fn values_of_a_manifest_end_at_their_limit() {
    let text = |count: usize| manifest(&[("/configuration", json!({"default": vec![0; count]}))]);
    let own = 21;
    assert_eq!(messages(&text(MANIFEST_VALUES_MAX - own)), [""; 0]);
    assert_eq!(messages(&text(MANIFEST_VALUES_MAX)).len(), 1);
}

#[test]
fn matching_a_pattern_always_ends() {
    let pattern = |pattern: &str| manifest(&[("/configuration/pattern", json!(pattern))]);
    let text = json!("a".repeat(5_000) + "b");
    let slow = Manifest::parse(&pattern("^(a+)+$")).unwrap();
    slow.named_in_configuration(&text).unwrap_err();
    let backtracking = messages(&pattern("(?=a)(a+)+\\1$"));
    assert!(
        backtracking[0].contains("not a regular expression"),
        "{backtracking:?}"
    );
    let huge = messages(&pattern("(((a{100}){100}){100}){100}"));
    assert!(huge[0].contains("more than 131072 bytes"), "{huge:?}");
}

#[test]
fn number_that_a_reader_could_round_matches_no_schema() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let max = (1_i64 << 53) - 1;
    for value in [
        json!(max),
        json!(-max),
        json!([{"a": max}]),
        json!(1e300),
        json!(0.5),
    ] {
        manifest.check_arguments("act", &value).unwrap();
    }
    let beyond = [
        (json!(max + 1), ""),
        (json!(-max - 1), ""),
        (json!(u64::MAX), ""),
        (json!(i64::MIN), ""),
        (json!([0, [max + 1]]), "/1/0"),
        (json!({"a/b": {"~": max + 1}}), "/a~1b/~0"),
    ];
    for (value, pointer) in beyond {
        let error = manifest.check_arguments("act", &value).unwrap_err();
        assert_eq!(error.pointer, pointer, "{value}");
        assert!(
            error.message.contains("9007199254740991"),
            "{}",
            error.message
        );
    }
}
