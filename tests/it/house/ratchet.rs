//! Lists of figures that are above their limit today and may only fall.
//!
//! Each list is a file in `ratchet/`, with a figure and a name on each line. `UPDATE_EXPECT=1` lowers the figures to
//! those of the sources; it never raises one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::source;

/// Compares figures above their limit with a list. Fails if a figure is not listed, or higher than in the list.
pub(super) fn check(list: &str, found: &BTreeMap<String, usize>) {
    let path = source::root().join(format!("tests/it/house/ratchet/{list}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let listed = parse(&text);
    let comparison = compare(found, &listed);
    let updates = std::env::var_os("UPDATE_EXPECT").is_some();
    if let Some(lower) = comparison.lower.as_ref().filter(|_| updates) {
        std::fs::write(&path, lower).unwrap();
    }
    for hint in &comparison.hints {
        println!("{list}: {hint}");
    }
    assert!(
        comparison.errors.is_empty(),
        "{list}:\n{}\nThe figures in tests/it/house/ratchet/{list}.txt may only fall.",
        comparison.errors.join("\n")
    );
}

/// The difference between the figures of the sources and those of a list.
#[derive(Debug, Default)]
struct Comparison {
    errors: Vec<String>,
    hints: Vec<String>,
    /// The text of the list with lower figures, if any can be lowered.
    lower: Option<String>,
}

fn compare(found: &BTreeMap<String, usize>, listed: &BTreeMap<String, usize>) -> Comparison {
    let mut comparison = Comparison::default();
    for (name, figure) in found {
        match listed.get(name) {
            None => comparison
                .errors
                .push(format!("{name} has {figure}, and is not listed")),
            Some(most) if figure > most => {
                comparison
                    .errors
                    .push(format!("{name} has {figure}, and {most} are listed"));
            }
            Some(_) => {}
        }
    }
    let mut lower = String::new();
    for (name, most) in listed {
        let figure = found.get(name).copied().unwrap_or_default();
        if figure < *most {
            comparison
                .hints
                .push(format!("{name} can be lowered from {most} to {figure}"));
        }
        if figure > 0 {
            let _ = writeln!(lower, "{} {name}", figure.min(*most));
        }
    }
    if !comparison.hints.is_empty() {
        comparison.lower = Some(lower);
    }
    comparison
}

fn parse(text: &str) -> BTreeMap<String, usize> {
    let entry = |line: &str| {
        let (figure, name) = line.split_once(' ').unwrap();
        (name.to_owned(), figure.parse().unwrap())
    };
    text.lines().map(entry).collect()
}

#[test]
fn figures_may_fall_but_not_rise() {
    let listed = parse("3 engine/host\n2 engine/ledger\n1 gone -> away\n");
    let found = BTreeMap::from([
        ("engine/host".to_owned(), 4),
        ("engine/ledger".to_owned(), 1),
        ("tests".to_owned(), 1),
    ]);
    let comparison = compare(&found, &listed);
    assert_eq!(
        comparison.errors,
        [
            "engine/host has 4, and 3 are listed",
            "tests has 1, and is not listed"
        ]
    );
    assert_eq!(
        comparison.hints,
        [
            "engine/ledger can be lowered from 2 to 1",
            "gone -> away can be lowered from 1 to 0"
        ]
    );
    assert_eq!(
        comparison.lower.as_deref(),
        Some("3 engine/host\n1 engine/ledger\n")
    );

    let comparison = compare(&listed, &listed);
    assert!(comparison.errors.is_empty() && comparison.hints.is_empty());
    assert_eq!(comparison.lower, None);
}
