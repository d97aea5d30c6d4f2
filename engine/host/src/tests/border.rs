//! Every import, given what no toolchain would: texts that are none, and places for an answer where
//! none is.

use std::collections::BTreeSet;

use wit_parser::{Resolve, WorldItem};

use super::guest::Guest;
use super::interfaces::INTERFACES;
use super::world::{fault, finish, replied};

/// Every import as a call that goes well: `T` is a text, `A` a place for the answer.
const CALLS: [(&str, &str); 27] = [
    ("ledger-balance", "T T A"),
    ("ledger-has-at-least", "T T (i64.const 1) A"),
    ("ledger-transfer", "T T T (i64.const 1) A"),
    ("ledger-place-hold", "T T T T (i64.const 1) A"),
    ("ledger-capture-hold", "T (i32.const 0) (i64.const 0) A"),
    ("ledger-release-hold", "T A"),
    ("ledger-hold-left", "T A"),
    ("state-get", "T A"),
    ("state-set", "T T"),
    ("state-delete", "T"),
    ("state-list", "T (i32.const 1) T A"),
    ("fair-secure", "T T (i64.const 1) A"),
    ("fair-below", "(i32.const 6) T"),
    ("fair-secure-hold", "T A"),
    ("fair-mix", "T"),
    ("fair-shuffle", "(i32.const 6) T A"),
    ("fair-bytes", "(i32.const 6) T A"),
    ("call-name", "A"),
    ("call-own-account", "(i32.const 1) T A"),
    ("call-action", "A"),
    ("call-caller", "A"),
    ("call-now", ""),
    ("call-id", "A"),
    ("call-configuration", "A"),
    ("call-roles", "A"),
    ("call-client-seed", "A"),
    ("call-wake", "T (i64.const 1) A"),
];

/// Calls that have a text beside those: a line has a level before it.
const LOG: (&str, &str) = ("log-write", "(i32.const 1) T");

fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLS.into_iter().chain([LOG])
}

/// A guest that calls an import once; the operands of a kind are what they are told to be in turn.
fn calling(
    (import, operands): (&str, &str),
    mut operand: impl FnMut(&mut Guest, &str) -> String,
) -> Guest {
    let mut guest = Guest::new();
    let words = operands.split(' ').map(|word| match word {
        "T" | "A" => operand(&mut guest, word),
        word => word.into(),
    });
    let operands = words.collect::<Vec<_>>().join(" ");
    let returns = matches!(import, "fair-below" | "call-now");
    let call = format!("(call $host-{import} {operands})");
    guest.does(&if returns {
        format!("(drop {call})")
    } else {
        call
    });
    guest
}

/// A text that is one, and a place where there is room.
fn good(guest: &mut Guest, kind: &str) -> String {
    match kind {
        // A name, a key and the id of a hold at the same time.
        "T" => guest
            .text("01890000-0000-7000-8000-00000000000b")
            .to_string(),
        _ => "(i32.const 64)".into(),
    }
}

/// Each import once for each operand of a kind, with that one operand as it is said.
fn each_once(kind: &str, bad: impl Fn(&mut Guest) -> String, check: impl Fn(&str, &Guest)) {
    for call in calls() {
        let count = call.1.split(' ').filter(|word| *word == kind).count();
        for chosen in 0..count {
            let mut seen = 0;
            let guest = calling(call, |guest, word| {
                let is_it = word == kind && seen == chosen;
                seen += usize::from(word == kind);
                if is_it { bad(guest) } else { good(guest, word) }
            });
            check(&format!("{} {kind} {chosen}", call.0), &guest);
        }
    }
}

#[test]
fn table_of_imports_is_the_contract() {
    let mut resolve = Resolve::new();
    let text = include_str!("../../../../wit/plugin.wit");
    let package = resolve.push_source("plugin.wit", text).unwrap();
    let world = resolve.packages[package].worlds["plugin"];
    let mut contract = BTreeSet::new();
    for item in resolve.worlds[world].imports.values() {
        if let WorldItem::Interface { id, .. } = item {
            let interface = &resolve.interfaces[*id];
            let name = interface.name.as_deref().unwrap();
            let functions = interface.functions.keys();
            contract.extend(functions.map(|function| format!("{name}-{function}")));
        }
    }
    let called: BTreeSet<_> = calls().map(|(import, _)| import.to_owned()).collect();
    assert_eq!(called, contract);
    let functions = INTERFACES.iter().flat_map(|interface| {
        let functions = interface.functions.iter();
        functions.map(|(function, _, _)| format!("{}-{function}", interface.name))
    });
    assert_eq!(functions.collect::<BTreeSet<_>>(), contract);
}

#[test]
fn every_import_takes_what_is_whole() {
    for call in calls() {
        let ending = finish(&calling(call, good)).ending;
        assert!(replied(&ending), "{}: {ending:?}", call.0);
    }
}

#[test]
fn every_import_stops_at_a_text_that_is_not_utf8() {
    let wrong: [&[u8]; 5] = [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"a\xe2\x82",
    ];
    for text in wrong {
        let bad = |guest: &mut Guest| guest.text(text).to_string();
        each_once("T", bad, |what, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{what} {text:?}: {fault}"
            );
        });
    }
}

#[test]
fn every_import_stops_at_a_text_past_the_end_of_memory() {
    let memory = 16 * 65_536;
    for (at, length) in [
        (memory, 1),
        (memory - 1, 2),
        (0, memory + 1),
        (-1, -1),
        (16, -16),
    ] {
        let bad = |_: &mut Guest| format!("(i32.const {at}) (i32.const {length})");
        each_once("T", bad, |what, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{what} {at} {length}: {fault}"
            );
        });
    }
}

#[test]
fn every_import_stops_at_a_place_for_its_answer_that_is_none() {
    for at in [1_048_576, -8, 1_048_575] {
        let bad = |_: &mut Guest| format!("(i32.const {at})");
        each_once("A", bad, |what, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{what} {at}: {fault}"
            );
        });
    }
}
