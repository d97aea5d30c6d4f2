//! Every import with operands that no toolchain emits: invalid texts and invalid result pointers.

use std::collections::BTreeSet;

use wit_parser::{Resolve, WorldItem};

use super::economy::{fault, finish, replied};
use super::guest::Guest;
use super::interfaces::INTERFACES;

/// Valid operands of every import: `T` is a text, `A` a result pointer.
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

/// Valid operands of the log, which has a level before the text.
const LOG: (&str, &str) = ("log-write", "(i32.const 1) T");

fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLS.into_iter().chain([LOG])
}

/// Returns a guest that calls an import once. `operand` chooses each text and result pointer.
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

/// Returns a valid text or a valid result pointer.
fn valid_operand(guest: &mut Guest, kind: &str) -> String {
    match kind {
        // It is valid as a name, as a key and as the id of a hold.
        "T" => guest
            .text("01890000-0000-7000-8000-00000000000b")
            .to_string(),
        _ => "(i32.const 64)".into(),
    }
}

/// Calls each import once for each operand of a kind, with that operand invalid.
fn each_once(
    kind: &str,
    invalid_operand: impl Fn(&mut Guest) -> String,
    check: impl Fn(&str, &Guest),
) {
    for call in calls() {
        let count = call.1.split(' ').filter(|word| *word == kind).count();
        for chosen in 0..count {
            let mut seen = 0;
            let guest = calling(call, |guest, word| {
                let is_chosen = word == kind && seen == chosen;
                seen += usize::from(word == kind);
                if is_chosen {
                    invalid_operand(guest)
                } else {
                    valid_operand(guest, word)
                }
            });
            check(&format!("{} {kind} {chosen}", call.0), &guest);
        }
    }
}

#[test]
fn table_of_imports_matches_the_contract() {
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
fn every_import_accepts_valid_operands() {
    for call in calls() {
        let ending = finish(&calling(call, valid_operand)).ending;
        assert!(replied(&ending), "{}: {ending:?}", call.0);
    }
}

#[test]
fn every_import_rejects_a_text_that_is_not_utf8() {
    let wrong: [&[u8]; 5] = [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"a\xe2\x82",
    ];
    for text in wrong {
        let invalid_operand = |guest: &mut Guest| guest.text(text).to_string();
        each_once("T", invalid_operand, |operand, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{operand} {text:?}: {fault}"
            );
        });
    }
}

#[test]
fn every_import_rejects_a_text_past_the_end_of_memory() {
    let memory = 16 * 65_536;
    for (at, length) in [
        (memory, 1),
        (memory - 1, 2),
        (0, memory + 1),
        (-1, -1),
        (16, -16),
    ] {
        let invalid_operand = |_: &mut Guest| format!("(i32.const {at}) (i32.const {length})");
        each_once("T", invalid_operand, |operand, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{operand} {at} {length}: {fault}"
            );
        });
    }
}

#[test]
fn every_import_rejects_an_invalid_result_pointer() {
    for at in [1_048_576, -8, 1_048_575] {
        let invalid_operand = |_: &mut Guest| format!("(i32.const {at})");
        each_once("A", invalid_operand, |operand, guest| {
            let fault = fault(guest);
            assert!(
                fault.starts_with("it was stopped: "),
                "{operand} {at}: {fault}"
            );
        });
    }
}
