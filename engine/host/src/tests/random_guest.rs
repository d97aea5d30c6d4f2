//! Random hostile guests. One number always gives the same guest.
//!
//! Each guest does a few forbidden or limited things in a random order, and returns in a random way. The tests of the server
//! use this file, too.

use super::guest::{Guest, Text, times};
use super::mutants::Dice;

/// Fields for the random statements: a recursive function, one that takes very long, and a table.
const FIELDS: &str = "
    (table $table 4 funcref)
    (func $deep (param i32)
      (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
    (func $wide (param i32) (result i64)
      (if (result i64) (local.get 0)
        (then (i64.add (call $wide (i32.sub (local.get 0) (i32.const 1)))
          (call $wide (i32.sub (local.get 0) (i32.const 1)))))
        (else (i64.const 1))))
    (func $nothing)
    (elem (table $table) (i32.const 0) func $nothing)";

/// Bodies of `realloc` that no toolchain emits.
const REALLOCS: [&str; 6] = [
    // Address 0, a constant address, one beyond the memory, and a misaligned one.
    "(i32.const 0)",
    "(i32.const 524288)",
    "(i32.const -8)",
    "(i32.const 524289)",
    // An endless loop and a trap.
    "(loop (br 0)) (i32.const 0)",
    "(unreachable)",
];

/// The texts of a guest, by use.
struct Texts {
    accounts: Vec<Text>,
    assets: Vec<Text>,
    keys: Vec<Text>,
    long: Text,
    replies: Vec<Text>,
}

impl Texts {
    fn of(guest: &mut Guest) -> Self {
        let accounts = [
            "user:1",
            "plugin:tester",
            "issuer:coin",
            "user:404",
            "",
            "User 1\u{202e}",
        ];
        let assets = ["coin", "stake", "gold", "", "\u{1b}[31m"];
        let keys = ["k", "l", "", "\u{0}", "\u{1b}[31m"];
        let long = "\u{1b}[31m\u{202e}x".repeat(6_000);
        let replies = [
            "{}",
            "[1]",
            "",
            "{",
            "[[[[",
            "nonsense",
            "9007199254740993",
            "{\"a\":1,\"a\":2}",
            "\"\u{1b}[2J\"",
        ];
        Self {
            accounts: accounts.iter().map(|text| guest.text(text)).collect(),
            assets: assets.iter().map(|text| guest.text(text)).collect(),
            keys: keys.iter().map(|text| guest.text(text)).collect(),
            long: guest.text(long),
            replies: replies.iter().map(|text| guest.text(text)).collect(),
        }
    }
}

/// Returns the hostile guest of a number.
pub(super) fn hostile(number: u64) -> Guest {
    let mut dice = Dice::new(number);
    let mut guest = Guest::new();
    guest.fields = FIELDS.into();
    let texts = Texts::of(&mut guest);
    // `describe` needs no allocation of the host, so most of these guests pass the check.
    if dice.below(4) == 0 {
        guest.realloc = REALLOCS[dice.below(REALLOCS.len())].into();
    }
    let mut code = String::new();
    for _ in 0..dice.below(6) {
        code.push_str(&random_statement(&mut dice, &texts));
        code.push('\n');
    }
    guest.handle = format!("{code} {}", random_result(&mut dice, &texts));
    guest
}

fn pick<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len())]
}

/// Returns an asset, mostly one that exists.
fn asset(dice: &mut Dice, texts: &Texts) -> Text {
    if dice.below(8) == 0 {
        pick(dice, &texts.assets)
    } else {
        texts.assets[0]
    }
}

/// Returns mostly one of the first two items, which an honest guest would use. Otherwise most calls would end at their first
/// statement, and later ones would never run.
fn mostly<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    if dice.below(6) == 0 {
        pick(dice, of)
    } else {
        of[dice.below(2).min(of.len() - 1)]
    }
}

/// Returns a random statement, once or repeated.
fn random_statement(dice: &mut Dice, texts: &Texts) -> String {
    let once = match dice.below(5) {
        0 => computing(dice),
        1 => growing(dice),
        2 => reading(dice, texts),
        3 => requesting(dice, texts),
        _ => writing(dice, texts),
    };
    match dice.below(12) {
        0 => format!("(loop {once} (br 0))"),
        1 => times(100_000, &once),
        2 => times(100, &once),
        3 | 4 => times(10, &once),
        _ => once,
    }
}

/// Returns a statement that computes without the host.
fn computing(dice: &mut Dice) -> String {
    mostly(
        dice,
        &[
            "(call $deep (i32.const 100))",
            "(drop (call $wide (i32.const 12)))",
            "(unreachable)",
            "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
            "(drop (i64.load (i32.const -8)))",
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            "(call_indirect (i32.const 0))",
            "(call_indirect (i32.const 3))",
            "(call_indirect (i32.const 9))",
            "(call $deep (i32.const 1000000))",
            "(drop (call $wide (i32.const 60)))",
            "(f64.store (i32.const 512) (f64.sqrt (f64.const -2)))",
        ],
    )
    .into()
}

/// Returns a statement that uses memory or tables.
fn growing(dice: &mut Dice) -> String {
    let pages = mostly(dice, &[0, 1, 16, 240, 4_096, 65_536]);
    let bytes = mostly(dice, &[0, 1, 4_096, 400_000, 500_000, 16_000_000, -1]);
    let elements = mostly(dice, &[0, 1, 100, 20_000, 1_000_000]);
    match dice.below(6) {
        0 | 1 => format!("(drop (memory.grow (i32.const {pages})))"),
        2 => format!("(memory.fill (i32.const 524288) (i32.const 171) (i32.const {bytes}))"),
        3 => format!("(memory.copy (i32.const 524289) (i32.const 524288) (i32.const {bytes}))"),
        4 => format!("(drop (table.grow $table (ref.null func) (i32.const {elements})))"),
        _ => "(table.fill $table (i32.const 0) (ref.null func) (i32.const 4))".into(),
    }
}

/// Returns a statement that reads from the host.
fn reading(dice: &mut Dice, texts: &Texts) -> String {
    let account = mostly(dice, &texts.accounts);
    let asset = asset(dice, texts);
    let key = mostly(dice, &texts.keys);
    match dice.below(9) {
        0 => format!("(call $host-ledger-balance {account} {asset} (i32.const 64))"),
        1 => format!(
            "(call $host-ledger-has-at-least {account} {asset} (i64.const 5) (i32.const 64))"
        ),
        2 => format!("(call $host-state-get {key} (i32.const 64))"),
        3 => format!(
            "(call $host-state-list {key} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))"
        ),
        4 => "(call $host-call-configuration (i32.const 64))".into(),
        5 => "(call $host-call-roles (i32.const 64))".into(),
        6 => "(drop (call $host-call-now))".into(),
        7 => "(call $host-call-client-seed (i32.const -4))".into(),
        _ => format!("(call $host-ledger-hold-left {key} (i32.const 64))"),
    }
}

/// Returns a statement with a request to the ledger or a draw.
fn requesting(dice: &mut Dice, texts: &Texts) -> String {
    let [source, destination] = [(); 2].map(|()| mostly(dice, &texts.accounts));
    let asset = asset(dice, texts);
    let label = mostly(dice, &texts.assets);
    let amount = mostly(dice, &[1, 5, 0, 9_007_199_254_740_991_i64, -1]);
    let count = mostly(dice, &[1, 6, 0, 1_024, 1_025, -1]);
    let posting = format!("{source} {destination} {asset} (i64.const {amount}) (i32.const 64)");
    match dice.below(9) {
        0 => format!("(call $host-ledger-transfer {posting})"),
        1 => format!("(call $host-ledger-place-hold {label} {posting})"),
        2 => format!(
            "(call $host-ledger-capture-hold {label} (i32.const 1) (i64.const {amount}) (i32.const 64))"
        ),
        3 => format!("(call $host-ledger-release-hold {label} (i32.const 64))"),
        4 => {
            format!("(call $host-fair-secure {source} {asset} (i64.const {amount}) (i32.const 64))")
        }
        5 => format!("(drop (call $host-fair-below (i32.const {count}) {label}))"),
        6 => format!("(call $host-fair-shuffle (i32.const {count}) {label} (i32.const 64))"),
        7 => format!("(call $host-fair-bytes (i32.const {count}) {label} (i32.const 64))"),
        _ => format!("(call $host-fair-mix {})", texts.long),
    }
}

/// Returns a statement that writes state or log lines.
fn writing(dice: &mut Dice, texts: &Texts) -> String {
    let key = mostly(dice, &texts.keys);
    let value = pick(dice, &texts.accounts);
    match dice.below(7) {
        0 => format!("(call $host-state-set {key} {value})"),
        1 => format!("(call $host-state-set {key} {})", texts.long),
        2 => format!("(call $host-state-delete {key})"),
        3 => format!("(call $host-log-write (i32.const 3) {value})"),
        4 => format!("(call $host-log-write (i32.const 0) {})", texts.long),
        5 => "(call $host-log-write (i32.const 1) (i32.const 0) (i32.const 0))".into(),
        // An invalid level, or a text that is not completely in memory.
        _ => pick(
            dice,
            &[
                "(call $host-log-write (i32.const 9) (i32.const 1024) (i32.const 1))",
                "(call $host-log-write (i32.const 1) (i32.const 1024) (i32.const -1))",
                "(call $host-log-write (i32.const 1) (i32.const 1048000) (i32.const 1000000))",
            ],
        )
        .into(),
    }
}

/// Returns the final expression of `handle`, of the type `i32`.
fn random_result(dice: &mut Dice, texts: &Texts) -> String {
    let reply = mostly(dice, &texts.replies);
    match dice.below(16) {
        0 => format!("(call $reply {})", texts.long),
        1 => "(call $reply (i32.const 524288) (i32.const 500000))".into(),
        2 => "(call $reply (i32.const 524288) (i32.const -1))".into(),
        3 => format!("(call $decline {} {})", texts.keys[0], texts.long),
        4 | 5 => format!("(call $decline {} {reply})", mostly(dice, &texts.keys)),
        6 => "(i32.const -4)".into(),
        7 => "(i32.const 17)".into(),
        _ => format!("(call $reply {reply})"),
    }
}
