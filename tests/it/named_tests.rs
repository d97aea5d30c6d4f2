//! Lookup of tests that pages and lists name: each must exist, run, and have a body.

use std::process::Command;
use std::sync::LazyLock;

use syn::{Attribute, Item, ItemFn};

use crate::workspace::{RUST, Source};

/// The tests of this binary, as `--list` prints them.
static LISTED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let listed = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "this binary does not list its tests"
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
});

/// Finds a test in the files whose path ends as given (`holds.rs`, `ledger/src/tests/holds.rs`), and returns
/// an error if no file has it.
pub(crate) fn find(file: &str, test: &str) -> Result<(), String> {
    let mut files = 0;
    let mut wrong = None;
    for Source { path, text } in RUST.iter() {
        if path == file || path.ends_with(&format!("/{file}")) {
            files += 1;
            match find_in_source(text, test).and_then(|()| is_listed(path, test)) {
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

/// Checks that this binary runs a test of its own sources.
fn is_listed(path: &str, test: &str) -> Result<(), Option<&'static str>> {
    let Some(module) = path.strip_prefix("tests/it/") else {
        return Ok(());
    };
    let module = module.trim_end_matches(".rs").replace('/', "::");
    let is_it = |name: &String| {
        let inner = name.strip_prefix(&module);
        inner.is_some_and(|inner| inner.ends_with(&format!("::{test}")))
    };
    if LISTED.iter().any(is_it) {
        return Ok(());
    }
    Err(Some("is in a file that is not part of the binary"))
}

/// Finds a test in a source text. Returns `Err(None)` if no function has the name, else the reason why it is
/// no test.
fn find_in_source(source: &str, test: &str) -> Result<(), Option<&'static str>> {
    let functions = functions_of(source).map_err(Some)?;
    let mut wrong = None;
    for (_, result) in functions.into_iter().filter(|(name, _)| name == test) {
        match result {
            Ok(()) => return Ok(()),
            Err(reason) => wrong = wrong.or(Some(reason)),
        }
    }
    Err(wrong)
}

/// Returns true if a part of a name selects a test of a file, as a filter on the command line does: the test's
/// own name contains it, or the path of the file.
pub(crate) fn selects(part: &str, source: &Source) -> bool {
    let is_selected = |(name, result): &(String, Result<(), _>)| {
        result.is_ok() && (name.contains(part) || source.path.contains(part))
    };
    functions_of(&source.text).is_ok_and(|functions| functions.iter().any(is_selected))
}

/// The functions of a source text, each with the reason why it is no test.
type Functions = Vec<(String, Result<(), &'static str>)>;

fn functions_of(source: &str) -> Result<Functions, &'static str> {
    let file = syn::parse_file(source).map_err(|_| "is in a file that does not parse")?;
    let mut functions = Functions::new();
    add_functions(&file.items, true, &mut functions);
    Ok(functions)
}

fn add_functions(items: &[Item], runs: bool, functions: &mut Functions) {
    for item in items {
        match item {
            Item::Fn(function) => {
                let name = function.sig.ident.to_string();
                functions.push((name, check_function(function, runs)));
            }
            Item::Mod(module) => {
                let runs = runs && !is_conditional(&module.attrs);
                if let Some((_, items)) = &module.content {
                    add_functions(items, runs, functions);
                }
            }
            Item::Macro(called) if called.mac.path.is_ident("proptest") => {
                // Functions in the macro are tokens, not items.
                let words = called.mac.tokens.to_string().replace(' ', "");
                let tests = words.split("#[test]fn").skip(1);
                let names = tests.filter_map(|rest| rest.split('(').next());
                functions.extend(names.map(|name| (name.to_owned(), Ok(()))));
            }
            _ => {}
        }
    }
}

fn check_function(function: &ItemFn, runs: bool) -> Result<(), &'static str> {
    let is = |attribute: &Attribute, name: &str| {
        let last = attribute.path().segments.last();
        last.is_some_and(|last| last.ident == name)
    };
    let has = |name: &str| function.attrs.iter().any(|one| is(one, name));
    if !has("test") {
        return Err("is no test");
    }
    if !runs || has("ignore") || is_conditional(&function.attrs) {
        return Err("does not always run");
    }
    if function.block.stmts.is_empty() {
        return Err("does nothing");
    }
    Ok(())
}

/// Returns true if an item is compiled under a condition other than `test`.
fn is_conditional(attributes: &[Attribute]) -> bool {
    let other = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && !matches!(
                attribute.parse_args::<syn::Path>(),
                Ok(condition) if condition.is_ident("test")
            )
    };
    attributes.iter().any(other)
}

#[test]
fn missing_ignored_and_empty_tests_are_detected() {
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
        fn empty() { /* assert!(true) */ }
        fn helper() { x(); }
        // #[test] fn commented() { assert!(true); }
        const TEXT: &str = \"#[test] fn quoted() { assert!(true); }\";
        #[cfg(test)]
        mod tests {
            #[test]
            fn inner() { assert!(true); }
            #[cfg(windows)]
            #[test]
            fn elsewhere() { assert!(true); }
        }
        #[cfg(feature = \"slow\")]
        mod sometimes {
            #[test]
            fn hidden() { assert!(true); }
        }
        proptest! {
            #[test]
            fn property(x in 0..3) { assert!(x < 3); }
        }
    ";
    for (test, found) in [
        ("runs", Ok(())),
        ("waits", Ok(())),
        ("inner", Ok(())),
        ("property", Ok(())),
        ("absent", Err(None)),
        ("run", Err(None)),
        ("commented", Err(None)),
        ("quoted", Err(None)),
        ("ignored", Err(Some("does not always run"))),
        ("elsewhere", Err(Some("does not always run"))),
        ("hidden", Err(Some("does not always run"))),
        ("empty", Err(Some("does nothing"))),
        ("helper", Err(Some("is no test"))),
    ] {
        assert_eq!(find_in_source(source, test), found, "{test}");
    }
    let this = "missing_ignored_and_empty_tests_are_detected";
    assert_eq!(find("it/named_tests.rs", this), Ok(()));
    assert!(find("nowhere.rs", "any").unwrap_err().contains("no file"));
    let stray = is_listed("tests/it/stray.rs", this);
    assert_eq!(
        stray,
        Err(Some("is in a file that is not part of the binary"))
    );
}
