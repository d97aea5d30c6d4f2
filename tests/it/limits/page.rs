//! The table rows of `docs/limits.md` and their errors.

use std::collections::BTreeSet;

use super::constants::{self, Constant, Value};

/// The header of every table.
const HEAD: [&str; 5] = ["Limit", "Bound", "Beyond the bound", "Constant", "Tests"];

/// Units that follow a number, each with its factor; times are in microseconds.
const SIZES: [(&str, i128); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("million", 1_000_000),
];
const TIMES: [(&str, i128); 6] = [
    ("µs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
];

/// A row: a bound, its constants, and the tests at the bound and beyond.
#[derive(Debug)]
pub(super) struct Row {
    limit: String,
    bound: String,
    consequence: String,
    constants: Vec<String>,
    tests: Vec<(String, String)>,
    /// The reason why there is no test.
    untested: Option<String>,
}

/// Reads the rows of all tables. A row without exactly five cells is an error.
pub(super) fn rows(page: &str, wrong: &mut Vec<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let cells: Vec<&str> = cells.collect();
        if cells == HEAD || cells.iter().all(|cell| cell.trim_matches('-').is_empty()) {
            continue;
        }
        match cells[..] {
            [limit, bound, consequence, constants, tests] => {
                let named = quoted(constants);
                let untested = tests.strip_prefix("No test: ").map(str::to_owned);
                rows.push(Row {
                    limit: limit.to_owned(),
                    bound: bound.to_owned(),
                    consequence: consequence.to_owned(),
                    constants: named.into_iter().map(str::to_owned).collect(),
                    tests: match untested {
                        Some(_) => Vec::new(),
                        None => named_tests(tests),
                    },
                    untested,
                });
            }
            _ => wrong.push(format!("not {} cells: {line}", HEAD.len())),
        }
    }
    rows
}

/// Returns the texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Parses the files and tests of a cell such as `` `file.rs`: `test`, `test`; `other.rs`: `test` ``.
fn named_tests(cell: &str) -> Vec<(String, String)> {
    let mut file = "";
    let mut tests = Vec::new();
    for word in quoted(cell) {
        if word.rsplit('.').next() == Some("rs") {
            file = word;
        } else {
            tests.push((file.to_owned(), word.to_owned()));
        }
    }
    tests
}

/// Checks the page: every constant is in a row or listed as no limit, and every row has the constant's value
/// and existing tests.
pub(super) fn check(
    page: &str,
    all: &[Constant],
    no_limits: &[(&str, &str)],
    find_test: impl Fn(&str, &str) -> Result<(), String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = rows(page, &mut wrong);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for row in &rows {
        let limit = &row.limit;
        if row.limit.is_empty() || row.consequence.is_empty() {
            wrong.push(format!("a row that says too little: {row:?}"));
        }
        if row.constants.is_empty() {
            wrong.push(format!("{limit}: no constant"));
        }
        for name in &row.constants {
            match constants::named(name, all)[..] {
                [constant] => {
                    seen.insert(&constant.path);
                    wrong.extend(unlike(row, constant, all));
                }
                [] => wrong.push(format!("{limit}: there is no constant {name}")),
                _ => wrong.push(format!("{limit}: {name} is several; name its module too")),
            }
        }
        for (file, test) in &row.tests {
            let found = find_test(file, test);
            wrong.extend(found.err().map(|reason| format!("{limit}: {reason}")));
        }
        let has_reason = row
            .untested
            .as_ref()
            .is_some_and(|reason| reason.len() > 20);
        if row.tests.is_empty() && !has_reason {
            wrong.push(format!(
                "{limit}: neither a test nor a reason why there is none"
            ));
        }
    }
    for (name, reason) in no_limits {
        match constants::named(name, all)[..] {
            [constant] if reason.len() > 10 => {
                if !seen.insert(&constant.path) {
                    wrong.push(format!("{name} is in the page and listed as no limit"));
                }
            }
            [_] => wrong.push(format!("{name} is listed as no limit without a reason")),
            _ => wrong.push(format!(
                "{name} is listed as no limit and is not one constant"
            )),
        }
    }
    for constant in all {
        if !seen.contains(constant.path.as_str()) {
            wrong.push(format!("{} is not in the page", constant.path));
        }
    }
    wrong
}

/// Compares a row's bound with a constant's value and returns the difference.
fn unlike(row: &Row, constant: &Constant, all: &[Constant]) -> Option<String> {
    let value = match constants::value(constant, all) {
        Ok(value) => value,
        Err(reason) => return Some(reason),
    };
    let value = match (value, unit_of(constant.name())) {
        (Value::Number(number), Some(unit)) => Value::Microseconds(number * unit),
        (value, _) => value,
    };
    let documented = quantities(&row.bound);
    if documented.contains(&value) {
        return None;
    }
    let Row { limit, bound, .. } = row;
    let path = &constant.path;
    Some(format!(
        "{limit}: {path} is {value:?}, the page says {bound}"
    ))
}

/// Returns the microseconds of the unit in a constant's name: `AGE_MAX_MS`, `RETRY_AFTER_S`, but not
/// `BYTES_PER_S`.
fn unit_of(name: &str) -> Option<i128> {
    let mut before = "";
    for word in name.split('_') {
        match word {
            "MS" if before != "PER" => return Some(1_000),
            "S" | "SECONDS" if before != "PER" => return Some(1_000_000),
            _ => before = word,
        }
    }
    None
}

/// Parses the numbers of a text with their units: `8,192`, `64 KiB`, `2 s`. Numbers in another notation are
/// ignored.
fn quantities(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|it: char| it.is_ascii_digit()) {
        let attached = rest[..begin].chars().next_back();
        let digits = &rest[begin..];
        let end = digits.find(|it: char| !it.is_ascii_digit() && it != ',');
        let (written, after) = digits.split_at(end.unwrap_or(digits.len()));
        let written = written.trim_end_matches(',');
        rest = after;
        let number: i128 = written.replace(',', "").parse().unwrap_or(-1);
        let is_part = attached.is_some_and(|it| it.is_alphanumeric() || it == '.' || it == '^');
        if is_part || with_commas(number) != written {
            continue;
        }
        let sign = if attached == Some('−') { -1 } else { 1 };
        let word = after.strip_prefix(' ').unwrap_or_default();
        let end = word.find(|it: char| !it.is_alphanumeric());
        let word = &word[..end.unwrap_or(word.len())];
        let factor = |units: &[(&str, i128)]| {
            let unit = units.iter().find(|(name, _)| *name == word);
            unit.map(|(_, factor)| sign * number * factor)
        };
        found.push(match (factor(&SIZES), factor(&TIMES)) {
            (Some(size), _) => Value::Number(size),
            (None, Some(time)) => Value::Microseconds(time),
            (None, None) => Value::Number(sign * number),
        });
    }
    found
}

fn with_commas(number: i128) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

#[test]
fn the_unit_of_a_time_is_read_from_its_name() {
    for (name, unit) in [
        ("AGE_MAX_MS", Some(1_000)),
        ("RATE_PERIOD_S_MAX", Some(1_000_000)),
        ("HOLD_SECONDS_MAX", Some(1_000_000)),
        ("BYTES_PER_S", None),
        ("ENTRIES", None),
    ] {
        assert_eq!(unit_of(name), unit, "{name}");
    }
}

#[test]
fn numbers_are_read_with_their_units() {
    let seconds = |seconds: i128| Value::Microseconds(seconds * 1_000_000);
    for (text, expected) in [
        ("8,192", vec![Value::Number(8_192)]),
        ("64 KiB", vec![Value::Number(65_536)]),
        ("1 s to 366 d", vec![seconds(1), seconds(366 * 86_400)]),
        (
            "10 ms, then 2 min",
            vec![Value::Microseconds(10_000), seconds(120)],
        ),
        (
            "256, 32 of one economy",
            vec![Value::Number(256), Value::Number(32)],
        ),
        ("50 million", vec![Value::Number(50_000_000)]),
        ("366 days", vec![Value::Number(366)]),
        ("−5", vec![Value::Number(-5)]),
        // These notations are not used in the page.
        ("8192", vec![]),
        ("2^53", vec![Value::Number(2)]),
    ] {
        assert_eq!(quantities(text), expected, "{text}");
    }
}
