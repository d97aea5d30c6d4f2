//! Counts and sizes of a call's requests and of a manifest's lists, each at its limit and one beyond.

use bursar_ledger::{
    CALL_HOLDS_MAX, CALL_POSTINGS_MAX, DRAW_BYTES_MAX, DRAW_MIX_BYTES_MAX, GRANT_PATTERNS_MAX,
    HOLD_RULES_MAX, PLUGIN_ACCOUNTS_MAX, SCHEDULES_MAX, SHUFFLE_MAX,
};
use serde_json::{Map, Value, json};

use super::economy::{ending, fault_of, finish, replied};
use super::guest::{Guest, MANIFEST, times};
use crate::limits::{FUEL_PER_REQUEST, FUEL_PER_SHUFFLED, ODDS_MAX};
use crate::manifest::Manifest;

/// Returns a guest that places holds by an unknown rule. Each is refused, but counts.
fn placing(count: usize) -> Guest {
    let mut guest = Guest::new();
    let text = guest.text("coin").to_string();
    let other = text.replace("(i32.const 4)", "(i32.const 3)");
    let place = format!(
        "(call $host-ledger-place-hold {text} {text} {other} {text} (i64.const 1) (i32.const 64))"
    );
    guest.does(&times(count, &place));
    guest
}

#[test]
fn holds_of_a_call_end_at_their_limit() {
    assert!(replied(&ending(&placing(CALL_HOLDS_MAX))));
    let beyond = fault_of(ending(&placing(CALL_HOLDS_MAX + 1)));
    assert_eq!(beyond, "more than 16 holds placed in one call");
}

#[test]
fn captures_and_releases_count_as_transfers() {
    let hold = "01890000-0000-7000-8000-000000000000";
    for end in [
        "(call $host-ledger-capture-hold H (i32.const 0) (i64.const 0) (i32.const 64))",
        "(call $host-ledger-release-hold H (i32.const 64))",
    ] {
        let ending_of = |count: usize| {
            let mut guest = Guest::new();
            let hold = guest.text(hold).to_string();
            guest.does(&times(count, &end.replace('H', &hold)));
            ending(&guest)
        };
        assert!(replied(&ending_of(CALL_POSTINGS_MAX)), "{end}");
        let beyond = fault_of(ending_of(CALL_POSTINGS_MAX + 1));
        assert_eq!(beyond, "more than 16 transfers in one call");
    }
}

#[test]
fn shuffles_and_draws_of_bytes_end_at_their_limits() {
    let draw = |function: &str, count: u32| {
        let draw = format!(
            "(call $host-fair-{function} (i32.const {count}) (i32.const 0) (i32.const 0) (i32.const 64))"
        );
        ending(&Guest::doing(&draw))
    };
    for (function, max, fault) in [
        ("shuffle", SHUFFLE_MAX, "a shuffle of"),
        ("bytes", DRAW_BYTES_MAX, "a draw of"),
    ] {
        for count in [1, max] {
            assert!(replied(&draw(function, count)), "{function} {count}");
        }
        for count in [0, max + 1] {
            let beyond = fault_of(draw(function, count));
            assert!(beyond.starts_with(&format!("{fault} {count}")), "{beyond}");
        }
    }
}

#[test]
fn each_number_of_a_shuffle_has_its_price() {
    let fuel = |count: u32| {
        let shuffle = format!(
            "(call $host-fair-shuffle (i32.const {count}) (i32.const 0) (i32.const 0) (i32.const 64))"
        );
        finish(&Guest::doing(&shuffle)).fuel
    };
    // The guest's own fuel for each number is constant.
    let few = fuel(1);
    let more = fuel(2);
    let most = fuel(SHUFFLE_MAX);
    assert!(few >= FUEL_PER_REQUEST + FUEL_PER_SHUFFLED);
    assert!(more - few >= FUEL_PER_SHUFFLED, "{few} {more}");
    assert!(most - few >= u64::from(SHUFFLE_MAX - 1) * FUEL_PER_SHUFFLED);
}

#[test]
fn texts_mixed_into_draws_end_at_their_common_limit() {
    let mix = |parts: &[usize]| {
        let mut guest = Guest::new();
        let statements: Vec<String> = parts
            .iter()
            .map(|bytes| format!("(call $host-fair-mix {})", guest.text("m".repeat(*bytes))))
            .collect();
        guest.does(&statements.join(" "));
        ending(&guest)
    };
    assert!(replied(&mix(&[DRAW_MIX_BYTES_MAX])));
    assert!(replied(&mix(&[1_000, DRAW_MIX_BYTES_MAX - 1_000])));
    for parts in [&[DRAW_MIX_BYTES_MAX + 1][..], &[1, DRAW_MIX_BYTES_MAX]] {
        let beyond = fault_of(mix(parts));
        assert!(beyond.contains("4097 bytes, of at most 4096"), "{beyond}");
    }
}

/// Returns the messages about a manifest with one member replaced.
fn messages(member: &str, value: Value) -> Vec<String> {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    manifest[member] = value;
    let findings = Manifest::parse(&manifest.to_string()).err();
    let findings = findings.into_iter().flat_map(|report| report.findings);
    findings.map(|finding| finding.message).collect()
}

/// A function that builds a list of a length.
type List<'a> = &'a dyn Fn(usize) -> Value;

#[test]
fn lists_of_a_manifest_end_at_their_limits() {
    let names = |count: usize| (0..count).map(|number| format!("n{number}"));
    let accounts = |count| names(count).map(Value::from).collect();
    let rule = json!({ "expires_in_s": 60, "on_expiry": "release" });
    let holds = |count| {
        let rules = names(count).map(|name| (name, rule.clone()));
        Value::Object(rules.collect::<Map<_, _>>())
    };
    let schedules = |count| {
        let schedule =
            |name| json!({ "name": name, "description": "", "every_s": 60, "missed": "skip" });
        names(count).map(schedule).collect()
    };
    let action = serde_json::from_str::<Value>(MANIFEST).unwrap()["actions"][0]["name"].clone();
    let odds = |count: usize| {
        let odds = json!({
            "action": action, "description": "", "arguments": {}, "config": {},
            "stake": { "asset": "coin", "amount": 1 }, "returns_ppm": 1,
        });
        vec![odds; count].into()
    };
    let patterns = |count: usize| {
        let all =
            (0..count).map(|number| json!({ "accounts": format!("team{number}:*"), "read": true }));
        json!({ "patterns": all.collect::<Value>() })
    };
    let lists: [(&str, List<'_>, usize, &str); 5] = [
        (
            "accounts",
            &accounts,
            PLUGIN_ACCOUNTS_MAX,
            "at most 8 accounts",
        ),
        ("holds", &holds, HOLD_RULES_MAX, "at most 16 kinds of holds"),
        (
            "schedules",
            &schedules,
            SCHEDULES_MAX,
            "at most 8 schedules",
        ),
        ("odds", &odds, ODDS_MAX, "at most 16 odds"),
        (
            "permissions",
            &patterns,
            GRANT_PATTERNS_MAX,
            "at most 8 patterns",
        ),
    ];
    for (member, list, max, expected) in lists {
        assert_eq!(messages(member, list(max)), [""; 0], "{member}");
        let beyond = messages(member, list(max + 1));
        let [message] = &beyond[..] else {
            panic!("{member}: {beyond:?}");
        };
        assert!(message.contains(expected), "{message}");
    }
}
