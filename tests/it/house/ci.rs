//! Rules for the script that CI runs: its long run selects tests by parts of their names, and a test that was renamed
//! would be left out without an error.

use super::source::{self, Source};
use crate::named_tests;

/// Returns the last command of `.ci/run`, as words.
fn long_run() -> Vec<String> {
    let script = std::fs::read_to_string(source::root().join(".ci/run")).unwrap();
    let command = script.replace("\\\n", " ");
    let command = command.trim_end().lines().last().unwrap();
    command.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_filter_of_the_long_run_selects_a_test() {
    let command = long_run();
    let filters = command.iter().skip_while(|word| *word != "--").skip(1);
    let filters: Vec<&String> = filters.collect();
    assert!(filters.len() > 5, "{command:?} has no filters");
    for filter in filters {
        let mut sources = source::RUST.iter();
        assert!(
            sources.any(|source| named_tests::selects(filter, source)),
            "`{filter}` in .ci/run selects no test"
        );
    }
}

#[test]
fn every_variable_of_the_long_run_is_read() {
    let command = long_run();
    let variables = command.iter().take_while(|word| *word != "cargo");
    let names: Vec<&str> = variables
        .filter_map(|word| word.split('=').next())
        .collect();
    assert!(names.len() > 5, "{command:?} has no variables");
    // `proptest` reads this one.
    for name in names.into_iter().filter(|name| *name != "PROPTEST_CASES") {
        let quoted = format!("\"{name}\"");
        assert!(
            source::RUST
                .iter()
                .any(|source| source.text.contains(&quoted)),
            "no test reads {name}"
        );
    }
}

#[test]
fn a_filter_without_a_test_is_found() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let tests = source(
        "tests/it/other.rs",
        "#[test]\nfn a_crash_loses_nothing() { assert!(true); }\nfn fuzz() {}\n",
    );
    assert!(named_tests::selects("crash", &tests));
    assert!(named_tests::selects("other", &tests));
    assert!(!named_tests::selects("fuzz", &tests));
    let no_tests = source("src/crash.rs", "fn crash() {}\n");
    assert!(!named_tests::selects("crash", &no_tests));
}
