//! The requests of a guest, the responses, and requests that are faults.

use bursar_ledger::{
    CALL_DRAWS_MAX, CALL_POSTINGS_MAX, CALL_READS_MAX, CALL_SECURES_MAX, CALL_WRITES_MAX,
    DRAW_LABEL_BYTES_MAX, HostRequest, HostResponse, Refusal, STATE_KEY_BYTES_MAX,
    STATE_VALUE_BYTES_MAX, VisibleBalance,
};

use super::economy::{NOW, ending, fault, fault_of, finish, replied};
use super::guest::{Guest, times};
use crate::CallOutcome;

/// Returns a guest that logs the text of a response.
fn logging_response(statements: &str) -> Guest {
    Guest::doing(&format!("{statements} {LOG_RESPONSE}"))
}

const LOG_RESPONSE: &str =
    "(call $host-log-write (i32.const 1) (i32.load (i32.const 64)) (i32.load (i32.const 68)))";

fn messages(outcome: &CallOutcome) -> Vec<&str> {
    let lines = outcome.log.iter();
    lines.map(|line| line.message.as_str()).collect()
}

/// Returns a guest that requests a transfer.
fn transferring(source: &str, destination: &str, asset: &str, amount: u64) -> Guest {
    let mut guest = Guest::new();
    let texts = [source, destination, asset].map(|text| guest.text(text));
    let [source, destination, asset] = texts;
    guest.does(&format!(
        "(call $host-ledger-transfer {source} {destination} {asset}
            (i64.const {amount}) (i32.const 64))"
    ));
    guest
}

/// Returns a guest that repeats statements with a text.
fn repeating(count: usize, text: &str, statements: impl Fn(&str) -> String) -> Guest {
    let mut guest = Guest::new();
    let text = guest.text(text).to_string();
    guest.does(&times(count, &statements(&text)));
    guest
}

/// Asserts that the call replies at the limit of a count, and that one more is a fault.
fn ends_at(max: usize, noun: &str, text: &str, statements: impl Fn(&str) -> String) {
    let outcome = finish(&repeating(max, text, &statements));
    assert!(replied(&outcome.ending), "{noun}: {:?}", outcome.ending);
    assert_eq!(outcome.transcript.exchanges().len(), max);
    let outcome = finish(&repeating(max + 1, text, &statements));
    assert_eq!(
        outcome.transcript.exchanges().len(),
        max,
        "the last request was not made"
    );
    assert_eq!(
        fault_of(outcome.ending),
        format!("more than {max} {noun} in one call")
    );
}

#[test]
fn call_getters_return_the_request() {
    let mut guest = logging_response("(call $host-call-action (i32.const 64))");
    for getter in ["caller", "id", "configuration"] {
        guest.handle = format!(
            "(call $host-call-{getter} (i32.const 64)) {LOG_RESPONSE} {}",
            guest.handle
        );
    }
    let wrong = format!("(i64.ne (call $host-call-now) (i64.const {NOW}))");
    guest.handle = format!("(if {wrong} (then unreachable)) {}", guest.handle);
    let outcome = finish(&guest);
    assert!(replied(&outcome.ending), "{:?}", outcome.ending);
    assert_eq!(
        messages(&outcome),
        [
            r#"{"greeting":"Hi"}"#,
            "01890000-0000-7000-8000-00000000000a",
            "user:1",
            "act"
        ]
    );
    assert!(
        outcome.transcript.exchanges().is_empty(),
        "getters are not in the transcript"
    );
}

#[test]
fn guest_receives_the_recorded_responses() {
    let mut guest = Guest::new();
    let [member, coin] = ["user:1", "coin"].map(|text| guest.text(text));
    guest.does(&format!(
        "(call $host-ledger-balance {member} {coin} (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 72)) (i64.const 1000)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 80)) (i64.const 0)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 88)) (i64.const 1000)) (then unreachable))
        (call $host-ledger-has-at-least {member} {coin} (i64.const 1001) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (if (i32.load8_u (i32.const 72)) (then unreachable))"
    ));
    let outcome = finish(&guest);
    assert!(replied(&outcome.ending), "{:?}", outcome.ending);
    let facts = outcome.transcript.exchanges();
    let responses: Vec<_> = facts.iter().map(|fact| fact.response.clone()).collect();
    let balance = VisibleBalance {
        posted: 1_000,
        held: 0,
        spendable: 1_000,
    };
    assert_eq!(
        responses,
        [HostResponse::Balance(balance), HostResponse::Bool(false)]
    );
}

/// Runs a guest whose transfer must be refused with a case, and logs the text of the refusal.
fn refused(case: u8, guest: &Guest) -> CallOutcome {
    // A refusal is the second case of the result.
    let log_refusal = format!(
        "(if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 72)) (i32.const {case})) (then unreachable))
        (call $host-log-write (i32.const 2)
            (i32.load (i32.const 80)) (i32.load (i32.const 84)))
        (call $reply"
    );
    let mut logging = guest.clone();
    logging.handle = guest.handle.replace("(call $reply", &log_refusal);
    let outcome = finish(&logging);
    assert!(replied(&outcome.ending), "{:?}", outcome.ending);
    outcome
}

#[test]
fn refusal_is_returned_and_the_call_continues() {
    let outcome = refused(2, &transferring("user:2", "user:1", "coin", 5));
    let [message] = messages(&outcome)[..] else {
        panic!("it logs one line: {outcome:?}");
    };
    let expected = "debit `user:2`: an operator grants it by";
    assert!(message.starts_with(expected), "{message}");
    let facts = outcome.transcript.exchanges();
    assert!(matches!(
        &facts[0].response,
        HostResponse::Refused(Refusal::NotGranted { .. })
    ));
    for (destination, asset, case, text) in [
        ("user:9", "coin", 0, "user:9"),
        ("plugin:tester", "gem", 1, "gem"),
        // A refusal without its own case is returned as a text.
        ("user:1", "coin", 8, "a movement has two different accounts"),
    ] {
        let outcome = refused(case, &transferring("user:1", destination, asset, 5));
        assert_eq!(messages(&outcome), [text]);
    }
}

#[test]
fn a_call_reads_back_its_own_writes() {
    let mut guest = logging_response("");
    let [key, value] = ["key", "value"].map(|text| guest.text(text));
    let pointer_and_length = "(i32.store (i32.const 64) (i32.load (i32.const 68)))
        (i32.store (i32.const 68) (i32.load (i32.const 72)))";
    let get = format!("(call $host-state-get {key} (i32.const 64)) {pointer_and_length}");
    let delete = format!("(call $host-state-delete {key})");
    let list = format!(
        "(call $host-state-list {key} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
        (if (i32.ne (i32.load (i32.const 68)) (i32.const 1)) (then unreachable))"
    );
    let gone = format!(
        "(call $host-state-get {key} (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))"
    );
    guest.handle = format!(
        "(call $host-state-set {key} {value}) {list} {get} {LOG_RESPONSE} {delete} {gone}
        (call $reply {key} )"
    );
    // The key is not JSON, so the reply is a fault. The value that was read is in the log.
    let outcome = finish(&guest);
    assert_eq!(messages(&outcome), ["value"]);
    assert!(fault_of(outcome.ending).starts_with("its reply cannot be read as JSON"));
    assert_eq!(outcome.transcript.exchanges().len(), 5);
}

#[test]
fn counts_end_at_their_limits() {
    ends_at(CALL_READS_MAX, "reads", "key", |key| {
        format!("(call $host-state-get {key} (i32.const 64))")
    });
    ends_at(CALL_READS_MAX, "reads", "coin", |text| {
        // The account and the asset do not exist. A refused read is counted, too.
        format!("(call $host-ledger-balance {text} {text} (i32.const 64))")
    });
    ends_at(CALL_READS_MAX, "reads", "coin", |text| {
        format!("(call $host-ledger-has-at-least {text} {text} (i64.const 1) (i32.const 64))")
    });
    ends_at(CALL_READS_MAX, "reads", "key", |key| {
        format!(
            "(call $host-state-list {key} (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 64))"
        )
    });
    ends_at(CALL_WRITES_MAX, "writes", "key", |key| {
        format!("(call $host-state-set {key} {key})")
    });
    ends_at(CALL_WRITES_MAX, "writes", "key", |key| {
        format!("(call $host-state-delete {key})")
    });
    ends_at(CALL_WRITES_MAX, "writes", "draw", |schedule| {
        format!("(call $host-call-wake {schedule} (i64.const 0) (i32.const 64))")
    });
    ends_at(CALL_DRAWS_MAX, "draws", "", |label| {
        format!("(drop (call $host-fair-below (i32.const 6) {label}))")
    });
    ends_at(CALL_SECURES_MAX, "secured amounts", "coin", |text| {
        format!("(call $host-fair-secure {text} {text} (i64.const 1) (i32.const 64))")
    });
    ends_at(CALL_POSTINGS_MAX, "transfers", "coin", |text| {
        // The destination is `coi`.
        let other = text.replace("(i32.const 4)", "(i32.const 3)");
        format!("(call $host-ledger-transfer {text} {other} {text} (i64.const 1) (i32.const 64))")
    });
}

#[test]
fn kinds_of_reads_and_of_writes_share_their_counts() {
    let key = "(i32.const 1024) (i32.const 2)";
    let get = times(
        CALL_READS_MAX,
        &format!("(call $host-state-get {key} (i32.const 64))"),
    );
    let balance = format!("(call $host-ledger-balance {key} {key} (i32.const 64))");
    assert_eq!(
        fault(&Guest::doing(&format!("{get} {balance}"))),
        "more than 64 reads in one call"
    );
    let set = times(
        CALL_WRITES_MAX,
        &format!("(call $host-state-set {key} {key})"),
    );
    let delete = format!("(call $host-state-delete {key})");
    assert_eq!(
        fault(&Guest::doing(&format!("{set} {delete}"))),
        "more than 16 writes in one call"
    );
}

#[test]
fn state_ends_at_its_limits() {
    let set = |key: usize, value: usize| {
        let mut guest = Guest::new();
        let key = guest.text("k".repeat(key));
        let value = guest.text("v".repeat(value));
        guest.does(&format!("(call $host-state-set {key} {value})"));
        finish(&guest)
    };
    let outcome = set(STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX);
    assert!(replied(&outcome.ending));
    let request = &outcome.transcript.exchanges()[0].request;
    assert!(
        matches!(request, HostRequest::Set { key, value } if key.len() == 128 && value.len() == 4096)
    );
    assert!(replied(&set(1, 0).ending));
    let faults = [
        (0, 1, "an empty key"),
        (129, 1, "a key of 129 bytes, of at most 128"),
        (1, 4097, "a value of 4097 bytes, of at most 4096"),
    ];
    for (key, value, expected) in faults {
        let outcome = set(key, value);
        assert!(outcome.transcript.exchanges().is_empty());
        assert_eq!(fault_of(outcome.ending), expected);
    }
}

/// A function that returns statements with a text.
type Statements<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn keys_prefixes_and_cursors_end_at_their_limits() {
    let ending_of = |bytes: usize, statements: Statements<'_>| {
        ending(&repeating(1, &"k".repeat(bytes), statements))
    };
    let get = |key: &str| format!("(call $host-state-get {key} (i32.const 64))");
    let delete = |key: &str| format!("(call $host-state-delete {key})");
    let prefix = |key: &str| {
        format!(
            "(call $host-state-list {key} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))"
        )
    };
    let cursor = |key: &str| {
        format!(
            "(call $host-state-list (i32.const 0) (i32.const 0) (i32.const 1) {key} (i32.const 64))"
        )
    };
    let label = |text: &str| format!("(drop (call $host-fair-below (i32.const 6) {text}))");
    let kinds: [(Statements<'_>, usize, &str); 5] = [
        (&get, STATE_KEY_BYTES_MAX, "a key of"),
        (&delete, STATE_KEY_BYTES_MAX, "a key of"),
        (&prefix, STATE_KEY_BYTES_MAX, "a prefix of"),
        (&cursor, STATE_KEY_BYTES_MAX, "a cursor of"),
        (&label, DRAW_LABEL_BYTES_MAX, "a label of"),
    ];
    for (statements, max, noun) in kinds {
        assert!(replied(&ending_of(max, statements)), "{noun}");
        let fault = fault_of(ending_of(max + 1, statements));
        assert!(fault.starts_with(noun), "{fault}");
    }
    assert_eq!(fault_of(ending_of(0, &get)), "an empty key");
    assert!(replied(&ending_of(0, &prefix)));
}

#[test]
fn draws_have_a_range() {
    let draw = |range: u32| {
        let draw =
            format!("(call $host-fair-below (i32.const {range}) (i32.const 0) (i32.const 0))");
        let least = format!("(if (i32.ge_u {draw} (i32.const {range})) (then unreachable))");
        finish(&Guest::doing(&least))
    };
    for range in [1, 6, 1 << 31, u32::MAX] {
        let outcome = draw(range);
        assert!(replied(&outcome.ending), "{range}: {:?}", outcome.ending);
    }
    let outcome = draw(0);
    assert!(
        outcome.transcript.exchanges().is_empty(),
        "nothing was drawn"
    );
    assert_eq!(
        fault_of(outcome.ending),
        "a draw below 0: there is nothing to draw"
    );
}

#[test]
fn amounts_are_whole_numbers_from_1_to_the_maximum() {
    let max = (1_u64 << 53) - 1;
    for amount in [1, max] {
        let outcome = finish(&transferring("user:1", "plugin:tester", "coin", amount));
        assert!(replied(&outcome.ending));
        assert_eq!(
            outcome.transcript.exchanges()[0].response,
            HostResponse::Done
        );
    }
    for amount in [0, max + 1, u64::MAX] {
        let expected = format!("{amount} is not an amount: amounts are 1 to 2^53 - 1");
        assert_eq!(
            fault(&transferring("user:1", "plugin:tester", "coin", amount)),
            expected
        );
        let mut guest = Guest::new();
        let [account, coin] = ["plugin:tester", "coin"].map(|text| guest.text(text));
        for function in ["ledger-has-at-least", "fair-secure"] {
            guest.does(&format!(
                "(call $host-{function} {account} {coin} (i64.const {amount}) (i32.const 64))"
            ));
            assert_eq!(fault(&guest), expected);
        }
    }
}

#[test]
fn invalid_name_is_shown_escaped_and_cut() {
    let wrong = [
        ("", "``"),
        ("User:1", "`User:1`"),
        ("\u{1b}[2J\nuser", "`\\u{1b}[2J\\nuser`"),
        ("user:\u{202e}1", "`user:\\u{202e}1`"),
        (&"x".repeat(5_000), &format!("`{}`", "x".repeat(64))),
    ];
    for (name, shown) in wrong {
        let expected = format!("{shown} is not the name of an account: ");
        let source = fault(&transferring(name, "user:1", "coin", 1));
        assert!(source.starts_with(&expected), "{source}");
        assert!(fault(&transferring("user:1", name, "coin", 1)).starts_with(&expected));
        let asset = fault(&transferring("user:1", "user:2", name, 1));
        assert!(
            asset.starts_with(&format!("{shown} is not the name of an asset: ")),
            "{asset}"
        );
        assert!(!asset.chars().any(char::is_control), "{asset:?}");
        assert!(asset.len() < 1_000, "{asset}");
    }
}
