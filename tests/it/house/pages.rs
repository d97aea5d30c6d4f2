//! Pages: their length, and statements in them that the sources must agree with.

use std::collections::BTreeMap;

use bursar_host::Limits;
use bursar_ledger::{STATE_BYTES_GRANTED_MAX, STATE_BYTES_MAX};

use super::{ratchet, source};
use crate::named_tests;

/// Lines of pages that are read from top to bottom.
const LINES_MAX: [(&str, usize); 2] = [("README.md", 180), ("ARCHITECTURE.md", 250)];

#[test]
fn pages_are_short_enough_to_be_read() {
    let mut long = BTreeMap::new();
    for (page, most) in LINES_MAX {
        let text = std::fs::read_to_string(source::root().join(page)).unwrap();
        let lines = text.lines().count();
        println!("{page}: {lines} of {most} lines");
        if lines > most {
            long.insert(page.to_owned(), lines);
        }
    }
    ratchet::hold("pages", &long);
}

#[test]
fn the_readmes_commands_are_in_the_makefile() {
    let readme = std::fs::read_to_string(source::root().join("README.md")).unwrap();
    let makefile = std::fs::read_to_string(source::root().join("Makefile")).unwrap();
    for command in ["demo", "test"] {
        assert!(readme.contains(&format!("make {command}")));
        assert!(makefile.contains(&format!("\n{command}: ")));
    }
}

/// It is what people copy, and nothing else compiles what stands in the README.
#[test]
fn the_readmes_plugin_is_the_example() {
    let readme = std::fs::read_to_string(source::root().join("README.md")).unwrap();
    let example = source::root().join("examples/first-plugin/src/lib.rs");
    let example = std::fs::read_to_string(example).unwrap();
    assert!(readme.contains(&format!("\n```rust\n{example}```\n")));
}

/// A row after an empty line is a table of its own, without a head, and shown as text.
#[test]
fn every_table_has_a_head() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/limits.md",
    ] {
        let text = std::fs::read_to_string(source::root().join(page)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let is_row = |line: usize| lines[line].starts_with('|');
        for line in (1..lines.len()).filter(|line| is_row(*line) && !is_row(line - 1)) {
            assert!(
                lines[line + 1].starts_with("|---"),
                "{page}: {}",
                lines[line]
            );
        }
    }
}

#[test]
fn the_readme_says_what_a_plugin_may_be_granted() {
    let readme = std::fs::read_to_string(source::root().join("README.md")).unwrap();
    let row = |of: &str| {
        let begins = format!("| {of} | ");
        let row = readme.lines().find(|line| line.starts_with(&begins));
        row.unwrap_or_else(|| panic!("no row of {of}"))
    };
    for bytes in [STATE_BYTES_MAX, STATE_BYTES_GRANTED_MAX] {
        let said = format!("{} MiB", bytes >> 20);
        assert!(row("a plugin's state").contains(&said), "{said}");
    }
    let standard = Limits::standard().fuel;
    for fuel in [standard / 5, standard, standard * 10] {
        let said = format!("{} million", fuel / 1_000_000);
        assert!(row("a call").contains(&said), "{said}");
    }
}

/// A yes in the comparison that nothing shows would be a boast.
#[test]
fn every_yes_of_the_comparison_names_a_test_that_is_there() {
    let readme = std::fs::read_to_string(source::root().join("README.md")).unwrap();
    let (_, comparison) = readme.split_once("## How it compares").unwrap();
    let (comparison, _) = comparison.split_once("\n## ").unwrap();
    let mut yes = 0;
    for row in comparison.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "{row}");
        assert!(
            ["Bursar", "yes", "partly", "no"].contains(&cells[1]) && !cells[2].is_empty(),
            "{row}"
        );
        if cells[1] != "yes" {
            continue;
        }
        let shown: Vec<&str> = cells[2].split('`').collect();
        let [_, file, _, test, _] = shown[..] else {
            panic!("{row} names no test");
        };
        named_tests::find(file, test).unwrap_or_else(|wrong| panic!("{row}\n{wrong}"));
        yes += 1;
    }
    assert!(yes > 25, "{yes}");
}
