//! The results that a guest can return, and how they are passed to the host.

use bursar_ledger::{CallEnding, DOCUMENT_DEPTH_MAX};
use serde_json::json;

use super::economy::{
    draft_with, ending, fault, fault_of, finish, host, load, origin, patient, replied, run,
};
use super::guest::{Guest, bytes};
use crate::limits::{ARGUMENTS_BYTES_MAX, DECLINE_BYTES_MAX, REPLY_BYTES_MAX};
use crate::{CallFailure, CallOutcome};

fn replying(reply: impl AsRef<[u8]>) -> Guest {
    let mut guest = Guest::new();
    guest.replies(reply);
    guest
}

fn declining(code: &str, message: &str) -> Guest {
    let mut guest = Guest::new();
    guest.declines(code, message);
    guest
}

/// Returns a guest whose `handle` is this expression.
fn handling(handle: &str) -> Guest {
    let mut guest = Guest::new();
    guest.handle = handle.into();
    guest
}

/// Runs a guest with one replacement in its text.
fn finish_with(guest: &Guest, from: &str, to: &str) -> Result<CallOutcome, CallFailure> {
    let text = guest.wat();
    assert_eq!(text.matches(from).count(), 1, "`{from}` occurs once");
    let checked = host().check(&bytes(&text.replace(from, to)));
    let checked = checked.unwrap_or_else(|report| panic!("{report}"));
    run(&checked, &patient())
}

/// Returns JSON of exactly this many bytes.
fn json_of(bytes: usize) -> String {
    format!("\"{}\"", "a".repeat(bytes - 2))
}

#[test]
fn reply_is_the_json_of_the_guest() {
    let reply = json!({"a": [1, null, "\u{20ac}"], "most": 9_007_199_254_740_991_u64});
    assert_eq!(
        ending(&replying(reply.to_string())),
        CallEnding::Replied { reply }
    );
}

#[test]
fn reply_ends_at_its_limit() {
    assert!(replied(&ending(&replying(json_of(REPLY_BYTES_MAX)))));
    let fault = fault(&replying(json_of(REPLY_BYTES_MAX + 1)));
    assert_eq!(fault, "its reply has 16385 bytes, of at most 16384");
}

/// The depth is checked before the schema, because a reply of a schedule can have none.
#[test]
fn reply_ends_at_the_depth_of_a_record() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(replied(&ending(&replying(nested(DOCUMENT_DEPTH_MAX)))));
    let fault = fault(&replying(nested(DOCUMENT_DEPTH_MAX + 1)));
    assert_eq!(
        fault,
        "its reply: this has at most 32 levels of objects and arrays"
    );
}

#[test]
fn reply_that_is_not_json_is_a_fault() {
    let deep = "[".repeat(4_000) + &"]".repeat(4_000);
    for reply in ["", "{", "{} {}", "nonsense", "NaN", "1e999", &deep] {
        let fault = fault(&replying(reply));
        assert!(
            fault.starts_with("its reply cannot be read as JSON: "),
            "{reply}: {fault}"
        );
    }
}

#[test]
fn reply_that_does_not_fit_its_schema_is_a_fault() {
    let mut guest = replying(r#"{"count": "two"}"#);
    guest.manifest = guest.manifest.replace(
        r#""reply":{}"#,
        r#""reply":{"type":"object","properties":{"count":{"type":"integer"}}}"#,
    );
    let fault = fault(&guest);
    assert!(
        fault.starts_with("its reply does not fit its schema at /count: "),
        "{fault}"
    );
    guest.replies(r#"{"count": 2}"#);
    assert!(replied(&ending(&guest)));
}

#[test]
fn reply_with_a_whole_number_that_is_not_exact_is_a_fault() {
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551615",
        "1e300",
        "0.10000000000000001",
    ] {
        let fault = fault(&replying(format!("{{\"n\": {number}}}")));
        assert!(fault.contains("at `/n`: a number lies within"), "{fault}");
    }
    for number in ["9007199254740991", "-9007199254740991", "0.5", "1e-300"] {
        assert!(replied(&ending(&replying(number))), "{number}");
    }
}

#[test]
fn decline_ends_at_its_limits() {
    let longest_code = "a".repeat(64);
    let longest_message = "b".repeat(DECLINE_BYTES_MAX);
    let code = longest_code.clone();
    let message = longest_message.clone();
    assert_eq!(
        ending(&declining(&code, &message)),
        CallEnding::Declined { code, message }
    );
    assert_eq!(
        ending(&declining("sold_out_2", "")),
        CallEnding::Declined {
            code: "sold_out_2".into(),
            message: String::new()
        }
    );
    let code = longest_code;
    let message = longest_message;
    for code in [
        "",
        "Sold",
        "sold out",
        "sold-out",
        "\u{e4}",
        &format!("{code}a"),
    ] {
        let fault = fault(&declining(code, &message));
        assert_eq!(fault, "the code of its decline is not 1 to 64 of [a-z0-9_]");
    }
    let fault = fault(&declining(&code, &format!("{message}b")));
    assert_eq!(fault, "the sentence of its decline has more than 512 bytes");
}

#[test]
fn text_of_a_fault_is_short_and_escaped() {
    let mut guest = replying(format!("\"{}\"", "\u{202e}x".repeat(2_000)));
    guest.manifest = guest
        .manifest
        .replace(r#""reply":{}"#, r#""reply":{"type":"integer"}"#);
    let fault = fault(&guest);
    assert!(
        fault.starts_with("its reply does not fit its schema"),
        "{fault}"
    );
    assert!(
        fault.contains(r"\u{202e}x") && !fault.contains('\u{202e}'),
        "{fault}"
    );
    assert_eq!(fault.chars().count(), 301);
}

#[test]
fn decline_after_a_draw_is_a_fault() {
    let mut guest = declining("lost", "You lost.");
    let decline = guest.handle;
    guest.handle = format!(
        "(drop (call $host-fair-below (i32.const 6) (i32.const 0) (i32.const 0))) {decline}"
    );
    let outcome = finish(&guest);
    assert_eq!(
        outcome.transcript.exchanges().len(),
        1,
        "the draw is in the record"
    );
    assert_eq!(fault_of(outcome.ending), "it declined after a draw");
}

#[test]
fn text_outside_of_memory_is_a_fault() {
    let memory = 16 * 65_536;
    let invalid = [
        (memory, 1),
        (memory - 1, 2),
        (0, memory + 1),
        (-1, 1),
        (-1, -1),
        (0, -1),
        (i32::MIN, i32::MAX),
    ];
    for (at, length) in invalid {
        let reply = format!("(call $reply (i32.const {at}) (i32.const {length}))");
        let decline = format!(
            "(call $decline (i32.const {at}) (i32.const {length}) (i32.const 0) (i32.const 0))"
        );
        for handle in [reply, decline] {
            let fault = fault(&handling(&handle));
            assert!(fault.starts_with("it was stopped: "), "{handle}: {fault}");
        }
        let mut guest = Guest::doing(&format!(
            "(call $host-state-set (i32.const {at}) (i32.const {length})
                (i32.const 0) (i32.const 0))"
        ));
        let fault_of_set = fault(&guest);
        assert!(
            fault_of_set.starts_with("it was stopped: "),
            "{fault_of_set}"
        );
        guest.does(&format!(
            "(call $host-log-write (i32.const 1) (i32.const {at}) (i32.const {length}))"
        ));
        let fault_of_log = fault(&guest);
        assert!(
            fault_of_log.starts_with("it was stopped: "),
            "{fault_of_log}"
        );
    }
}

#[test]
fn result_outside_of_memory_or_misaligned_is_a_fault() {
    for at in ["-1", "-4", "1048576", "1048560", "17"] {
        let fault = fault(&handling(&format!("(i32.const {at})")));
        assert!(fault.starts_with("it was stopped: "), "{at}: {fault}");
    }
    for at in ["-1", "-8", "1048576", "65"] {
        let guest = Guest::doing(&format!("(call $host-call-id (i32.const {at}))"));
        let fault = fault(&guest);
        assert!(fault.starts_with("it was stopped: "), "{at}: {fault}");
    }
}

#[test]
fn text_that_is_not_utf8_is_a_fault() {
    let wrong: [&[u8]; 6] = [
        b"\xff",
        b"\"\xc0\xaf\"",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\"\xe2\x82",
        b"\x80",
    ];
    for text in wrong {
        let fault = fault(&replying(text));
        assert!(fault.starts_with("it was stopped: "), "{text:?}: {fault}");
        let mut guest = Guest::new();
        let text = guest.text(text);
        guest.does(&format!("(call $host-log-write (i32.const 1) {text})"));
        let outcome = finish(&guest);
        assert!(outcome.log.is_empty());
        assert!(fault_of(outcome.ending).starts_with("it was stopped: "));
    }
}

#[test]
fn unknown_case_of_a_type_is_a_fault() {
    let handle = "(i32.store8 (i32.const 16) (i32.const 2)) (i32.const 16)";
    assert!(fault(&handling(handle)).starts_with("it was stopped: "));
    let level = "(call $host-log-write (i32.const 4) (i32.const 0) (i32.const 0))";
    assert!(fault(&Guest::doing(level)).starts_with("it was stopped: "));
    let option = "(call $host-state-list (i32.const 0) (i32.const 0)
        (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))";
    assert!(fault(&Guest::doing(option)).starts_with("it was stopped: "));
}

#[test]
fn arguments_reach_the_guest_and_end_at_their_limit() {
    let guest = handling("(call $reply (local.get $arguments) (local.get $length))");
    let plugin = load(&host(), &guest);
    let outcome = plugin
        .run(draft_with(json!({"a": "\u{20ac}"})), origin)
        .unwrap();
    let reply = json!({"a": "\u{20ac}"});
    assert_eq!(outcome.ending, CallEnding::Replied { reply });

    let plugin = load(&host(), &Guest::new());
    let arguments = |bytes: usize| json!("a".repeat(bytes - 2));
    let longest = plugin
        .run(draft_with(arguments(ARGUMENTS_BYTES_MAX)), origin)
        .unwrap();
    assert!(replied(&longest.ending));
    let beyond = plugin
        .run(draft_with(arguments(ARGUMENTS_BYTES_MAX + 1)), origin)
        .unwrap();
    assert_eq!(beyond.fuel, 0, "the guest was not called");
    assert_eq!(
        fault_of(beyond.ending),
        "its arguments have more than 32768 bytes"
    );
}

#[test]
fn invalid_allocation_is_a_fault() {
    let wrong = [
        ("(i32.const 0xfffffff0)", "it was stopped: "),
        ("(i32.const 1048575)", "it was stopped: "),
        ("(unreachable)", "it gave up"),
        ("(loop br 0) (unreachable)", "it ran out of fuel"),
        (
            "(drop (memory.grow (i32.const 60000))) (i32.const 0)",
            "it was stopped: ",
        ),
    ];
    for (realloc, expected) in wrong {
        let mut guest = Guest::new();
        guest.realloc = realloc.into();
        let fault = fault(&guest);
        assert!(fault.starts_with(expected), "{realloc}: {fault}");
    }
    let mut guest = Guest::new();
    guest.realloc = "(i32.const 1026)".into();
    let key = guest.text("key");
    guest.handle = format!(
        "(call $host-state-set {key} {key})
        (call $host-state-list {key} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $reply {key})"
    );
    let fault = fault(&guest);
    assert!(
        fault.starts_with("it was stopped: "),
        "a misaligned list: {fault}"
    );
}

#[test]
fn guest_cannot_call_imports_while_the_host_writes_into_its_memory() {
    let mut guest = Guest::new();
    guest.fields = "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
        (drop (call $host-call-now)) (i32.const 524288))"
        .into();
    let lift = "(canon lift (core func $main \"handle\") (memory $base \"memory\")
      (realloc (func $base \"realloc\"))";
    let reentering = lift.replace("$base \"realloc\"", "$main \"realloc\"");
    let outcome = finish_with(&guest, lift, &reentering).unwrap();
    let fault = fault_of(outcome.ending);
    assert!(fault.contains("cannot leave component instance"), "{fault}");
}

#[test]
fn post_return_function_is_bounded_too() {
    let lift = "(canon lift (core func $main \"handle\")";
    let with_after = format!("{lift} (post-return (func $main \"after\"))");
    let after = |body: &str| {
        let mut guest = Guest::new();
        guest.fields = format!("(func (export \"after\") (param i32) {body})");
        finish_with(&guest, lift, &with_after).unwrap().ending
    };
    assert!(replied(&after("")));
    assert_eq!(fault_of(after("(loop br 0)")), "it ran out of fuel");
    assert!(fault_of(after("(unreachable)")).starts_with("it gave up"));
    let fault = fault_of(after("(drop (call $host-call-now))"));
    assert!(fault.contains("cannot leave component instance"), "{fault}");
}
