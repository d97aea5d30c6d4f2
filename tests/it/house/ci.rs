//! Rules for the script that CI runs: its long run selects tests by parts of their names, and a test that was renamed
//! would be left out without an error.

use super::source;

/// The last command of `.ci/run`, as words.
fn long_run() -> Vec<String> {
    let script = std::fs::read_to_string(source::root().join(".ci/run")).unwrap();
    let command = script.replace("\\\n", " ");
    let command = command.trim_end().lines().last().unwrap();
    command.split_whitespace().map(str::to_owned).collect()
}

/// Returns true if a part of a name selects a test: a test's own name contains it, or the name of a file of tests.
fn selects_a_test(part: &str, path: &str, text: &str) -> bool {
    let tests =
        text.contains("#[test]") || text.contains("#[tokio::test") || text.contains("proptest!");
    let file = path.rsplit('/').next().unwrap_or_default();
    let is_named = |line: &str| {
        let line = line.trim_start().trim_start_matches("async ");
        let name = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.split('(').next());
        name.is_some_and(|name| name.contains(part))
    };
    tests && (file.contains(part) || text.lines().any(is_named))
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
            sources.any(|source| selects_a_test(filter, &source.path, &source.text)),
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
    let text = "#[test]\nfn a_crash_loses_nothing() {}\n";
    assert!(selects_a_test("crash", "tests/it/other.rs", text));
    assert!(selects_a_test("other", "tests/it/other.rs", text));
    assert!(!selects_a_test("fuzz", "tests/it/other.rs", text));
    assert!(!selects_a_test("crash", "src/crash.rs", "fn crash() {}\n"));
}
