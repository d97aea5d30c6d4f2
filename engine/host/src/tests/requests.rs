//! What a guest asks of the host: what it is told, and what it cannot ask at all.

use bursar_ledger::{
    CALL_DRAWS_MAX, CALL_POSTINGS_MAX, CALL_READS_MAX, CALL_SECURES_MAX, CALL_WRITES_MAX,
    DRAW_LABEL_BYTES_MAX, HostRequest, HostResponse, Refusal, STATE_KEY_BYTES_MAX,
    STATE_VALUE_BYTES_MAX, VisibleBalance,
};

use super::guest::{Guest, times};
use super::world::{NOW, ending, fault, fault_of, finish, replied};
use crate::CallOutcome;

/// A guest that writes the answer to a question, a text, to the log.
fn telling(statements: &str) -> Guest {
    Guest::doing(&format!("{statements} {TELL}"))
}

const TELL: &str =
    "(call $host-log-write (i32.const 1) (i32.load (i32.const 64)) (i32.load (i32.const 68)))";

fn messages(finished: &CallOutcome) -> Vec<&str> {
    let lines = finished.log.iter();
    lines.map(|line| line.message.as_str()).collect()
}

/// A guest that asks for a transfer.
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

/// A guest that does the same thing so many times, of which each is to take its place in a count.
fn repeating(count: usize, text: &str, statements: impl Fn(&str) -> String) -> Guest {
    let mut guest = Guest::new();
    let text = guest.text(text).to_string();
    guest.does(&times(count, &statements(&text)));
    guest
}

/// A count in a pair: at its limit the call goes well, and one more is a fault.
fn ends_at(most: usize, what: &str, text: &str, statements: impl Fn(&str) -> String) {
    let finished = finish(&repeating(most, text, &statements));
    assert!(replied(&finished.ending), "{what}: {:?}", finished.ending);
    assert_eq!(finished.transcript.facts().len(), most);
    let finished = finish(&repeating(most + 1, text, &statements));
    assert_eq!(
        finished.transcript.facts().len(),
        most,
        "the last was not asked"
    );
    assert_eq!(
        fault_of(finished.ending),
        format!("more than {most} {what} in one call")
    );
}

#[test]
fn call_says_what_it_is() {
    let mut guest = telling("(call $host-call-action (i32.const 64))");
    for getter in ["caller", "id", "configuration"] {
        guest.handle = format!(
            "(call $host-call-{getter} (i32.const 64)) {TELL} {}",
            guest.handle
        );
    }
    let wrong = format!("(i64.ne (call $host-call-now) (i64.const {NOW}))");
    guest.handle = format!("(if {wrong} (then unreachable)) {}", guest.handle);
    let finished = finish(&guest);
    assert!(replied(&finished.ending), "{:?}", finished.ending);
    assert_eq!(
        messages(&finished),
        [
            r#"{"greeting":"Hi"}"#,
            "01890000-0000-7000-8000-00000000000a",
            "user:1",
            "act"
        ]
    );
    assert!(
        finished.transcript.facts().is_empty(),
        "what a call is, is no question"
    );
}

#[test]
fn guest_is_told_what_the_transcript_says() {
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
    let finished = finish(&guest);
    assert!(replied(&finished.ending), "{:?}", finished.ending);
    let facts = finished.transcript.facts();
    let answers: Vec<_> = facts.iter().map(|fact| fact.answer.clone()).collect();
    let seen = VisibleBalance {
        posted: 1_000,
        held: 0,
        spendable: 1_000,
    };
    assert_eq!(
        answers,
        [HostResponse::Balance(seen), HostResponse::Bool(false)]
    );
}

/// What a guest is told when it asks for a transfer: the case of the refusal, and its text.
fn refused(case: u8, guest: &Guest) -> CallOutcome {
    // A refusal is the second case of the answer.
    let look = format!(
        "(if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 72)) (i32.const {case})) (then unreachable))
        (call $host-log-write (i32.const 2)
            (i32.load (i32.const 80)) (i32.load (i32.const 84)))
        (call $reply"
    );
    let mut looking = guest.clone();
    looking.handle = guest.handle.replace("(call $reply", &look);
    let finished = finish(&looking);
    assert!(replied(&finished.ending), "{:?}", finished.ending);
    finished
}

#[test]
fn refusal_goes_back_to_the_guest_and_the_call_goes_on() {
    let finished = refused(2, &transferring("user:2", "user:1", "coin", 5));
    let [said] = messages(&finished)[..] else {
        panic!("it says one thing: {finished:?}");
    };
    let expected = "debit `user:2`: an operator grants it by";
    assert!(said.starts_with(expected), "{said}");
    let facts = finished.transcript.facts();
    assert!(matches!(
        &facts[0].answer,
        HostResponse::Refused(Refusal::NotGranted { .. })
    ));
    for (destination, asset, case, said) in [
        ("user:9", "coin", 0, "user:9"),
        ("plugin:tester", "gem", 1, "gem"),
        // A reason that the contract has no case for goes as a text.
        ("user:1", "coin", 8, "a movement has two different accounts"),
    ] {
        let finished = refused(case, &transferring("user:1", destination, asset, 5));
        assert_eq!(messages(&finished), [said]);
    }
}

#[test]
fn what_a_call_has_written_it_reads_back() {
    let mut guest = telling("");
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
        "(call $host-state-set {key} {value}) {list} {get} {TELL} {delete} {gone}
        (call $reply {key} )"
    );
    // The key is no JSON; what was read is in the log.
    let finished = finish(&guest);
    assert_eq!(messages(&finished), ["value"]);
    assert!(fault_of(finished.ending).starts_with("its reply cannot be read as JSON"));
    assert_eq!(finished.transcript.facts().len(), 5);
}

#[test]
fn counts_end_at_their_limits() {
    ends_at(CALL_READS_MAX, "reads", "key", |key| {
        format!("(call $host-state-get {key} (i32.const 64))")
    });
    ends_at(CALL_READS_MAX, "reads", "coin", |text| {
        // Neither account nor asset is known: what is refused is counted too.
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
        let (key, value) = (guest.text("k".repeat(key)), guest.text("v".repeat(value)));
        guest.does(&format!("(call $host-state-set {key} {value})"));
        finish(&guest)
    };
    let finished = set(STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX);
    assert!(replied(&finished.ending));
    let asked = &finished.transcript.facts()[0].ask;
    assert!(
        matches!(asked, HostRequest::Set { key, value } if key.len() == 128 && value.len() == 4096)
    );
    assert!(replied(&set(1, 0).ending));
    let faults = [
        (0, 1, "an empty key"),
        (129, 1, "a key of 129 bytes, of at most 128"),
        (1, 4097, "a value of 4097 bytes, of at most 4096"),
    ];
    for (key, value, expected) in faults {
        let finished = set(key, value);
        assert!(finished.transcript.facts().is_empty());
        assert_eq!(fault_of(finished.ending), expected);
    }
}

/// Statements that ask with a text.
type Asking<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn keys_prefixes_and_cursors_end_at_their_limits() {
    let asks = |bytes: usize, statements: Asking<'_>| {
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
    let kinds: [(Asking<'_>, usize, &str); 5] = [
        (&get, STATE_KEY_BYTES_MAX, "a key of"),
        (&delete, STATE_KEY_BYTES_MAX, "a key of"),
        (&prefix, STATE_KEY_BYTES_MAX, "a prefix of"),
        (&cursor, STATE_KEY_BYTES_MAX, "a cursor of"),
        (&label, DRAW_LABEL_BYTES_MAX, "a label of"),
    ];
    for (statements, most, what) in kinds {
        assert!(replied(&asks(most, statements)), "{what}");
        let fault = fault_of(asks(most + 1, statements));
        assert!(fault.starts_with(what), "{fault}");
    }
    assert_eq!(fault_of(asks(0, &get)), "an empty key");
    assert!(replied(&asks(0, &prefix)));
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
        let finished = draw(range);
        assert!(replied(&finished.ending), "{range}: {:?}", finished.ending);
    }
    let finished = draw(0);
    assert!(finished.transcript.facts().is_empty(), "nothing was drawn");
    assert_eq!(
        fault_of(finished.ending),
        "a draw below 0: there is nothing to draw"
    );
}

#[test]
fn amounts_are_whole_numbers_from_1_to_the_most() {
    let most = (1_u64 << 53) - 1;
    for amount in [1, most] {
        let finished = finish(&transferring("user:1", "plugin:tester", "coin", amount));
        assert!(replied(&finished.ending));
        assert_eq!(finished.transcript.facts()[0].answer, HostResponse::Done);
    }
    for amount in [0, most + 1, u64::MAX] {
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
fn name_that_is_none_is_shown_escaped_and_cut() {
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
