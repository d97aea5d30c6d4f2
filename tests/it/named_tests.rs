//! Tests that pages and lists name: they have to be there, to run, and to do something.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Every source file of the workspace: its path from the root, and its text.
static SOURCES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut paths = Vec::new();
    for folder in ["engine", "plugins", "tests"] {
        sources(&root.join(folder), &mut paths);
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap();
        (path.to_string_lossy().into_owned(), text)
    };
    paths.into_iter().map(read).collect()
});

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Looks for a test in the files whose path ends as named (`holds.rs`, `ledger/src/tests/holds.rs`), and
/// says what is wrong if none of them has it.
pub(crate) fn find(file: &str, test: &str) -> Result<(), String> {
    let mut files = 0;
    let mut wrong = None;
    for (path, text) in SOURCES.iter() {
        if path == file || path.ends_with(&format!("/{file}")) {
            files += 1;
            match look(text, test) {
                Ok(()) => return Ok(()),
                Err(reason) => wrong = wrong.or(reason),
            }
        }
    }
    Err(match (files, wrong) {
        (0, _) => format!("there is no file {file}"),
        (_, Some(reason)) => format!("{file}: {test} {reason}"),
        (_, None) => format!("{file} has no test {test}"),
    })
}

/// Looks for a test in a text: `Err(None)` if no function has the name, else why it is no test.
fn look(source: &str, test: &str) -> Result<(), Option<&'static str>> {
    let Some(begin) = source.find(&format!("fn {test}(")) else {
        return Err(None);
    };
    let before = source[..begin]
        .rsplit_once('\n')
        .map_or("", |(lines, _)| lines);
    let attributes: Vec<&str> = before
        .lines()
        .rev()
        .map(str::trim)
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .collect();
    let is = |begins: &str| attributes.iter().any(|line| line.starts_with(begins));
    if !is("#[test]") && !is("#[tokio::test") {
        return Err(Some("is no test"));
    }
    if is("#[ignore") || is("#[cfg") {
        return Err(Some("does not always run"));
    }
    let body = source[begin..].split_once('{').map_or("", |(_, body)| body);
    if body.trim_start().starts_with('}') {
        return Err(Some("does nothing"));
    }
    Ok(())
}

#[test]
fn tests_that_are_missing_ignored_or_empty_are_found() {
    let source = "
        #[test]
        fn runs() { assert!(true); }
        // Why it is slow.
        #[tokio::test(flavor = \"multi_thread\")]
        #[expect(clippy::x, reason = \"y\")]
        async fn waits() { x().await; }
        #[test]
        #[ignore = \"slow\"]
        fn ignored() { assert!(true); }
        #[test]
        fn empty() {}
        fn helper() { x(); }
    ";
    assert_eq!(look(source, "runs"), Ok(()));
    assert_eq!(look(source, "waits"), Ok(()));
    assert_eq!(look(source, "absent"), Err(None));
    assert_eq!(look(source, "run"), Err(None));
    assert_eq!(look(source, "ignored"), Err(Some("does not always run")));
    assert_eq!(look(source, "empty"), Err(Some("does nothing")));
    assert_eq!(look(source, "helper"), Err(Some("is no test")));
    assert!(
        find(
            "named_tests.rs",
            "tests_that_are_missing_ignored_or_empty_are_found"
        )
        .is_ok()
    );
    assert!(find("nowhere.rs", "any").unwrap_err().contains("no file"));
}
