//! The crates to which files belong, and their tokens.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

pub(super) use crate::workspace::{RUST, Source, read, root};

/// Returns the crate of a file by its folder, such as `engine/ledger` or `tests`. A page outside all crates counts by
/// its own path or folder.
pub(super) fn crate_of(path: &str) -> &str {
    let segments = if path.starts_with("engine/") || path.starts_with("plugins/") {
        2
    } else {
        1
    };
    prefix(path, segments)
}

/// Returns the crate of a file, or in the server the folder below `src`, since its parts are rewritten one by one.
pub(super) fn part_of(path: &str) -> &str {
    if path.starts_with("engine/server/src/") && path.matches('/').count() > 3 {
        prefix(path, 4)
    } else {
        crate_of(path)
    }
}

fn prefix(path: &str, segments: usize) -> &str {
    path.match_indices('/')
        .nth(segments - 1)
        .map_or(path, |(end, _)| &path[..end])
}

/// Adds up figures of files by crate or part.
pub(super) fn sum<'a>(
    figures: impl IntoIterator<Item = (&'a str, usize)>,
) -> BTreeMap<String, usize> {
    let mut sums = BTreeMap::new();
    for (name, figure) in figures {
        *sums.entry(name.to_owned()).or_default() += figure;
    }
    sums
}

/// Returns the tokens of a source file.
pub(super) fn tokens(source: &Source) -> TokenStream {
    source
        .text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", source.path))
}

/// Removes items that are compiled only for tests.
pub(super) fn without_tests(stream: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_test = is_hash(&token) && tokens.peek().is_some_and(is_cfg_test);
        if is_test {
            while is_attribute(&kept) {
                kept.truncate(kept.len() - 2);
            }
            tokens.next();
            let ends = |token: &TokenTree| match token {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                _ => false,
            };
            tokens.find(ends);
        } else if let TokenTree::Group(group) = token {
            let mut inner = Group::new(group.delimiter(), without_tests(group.stream()));
            inner.set_span(group.span());
            kept.push(inner.into());
        } else {
            kept.push(token);
        }
    }
    kept.into_iter().collect()
}

fn is_hash(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '#')
}

fn is_attribute(tokens: &[TokenTree]) -> bool {
    let [.., hash, TokenTree::Group(group)] = tokens else {
        return false;
    };
    is_hash(hash) && group.delimiter() == Delimiter::Bracket
}

fn is_cfg_test(token: &TokenTree) -> bool {
    let TokenTree::Group(attribute) = token else {
        return false;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    attribute.delimiter() == Delimiter::Bracket
        && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

#[test]
fn files_belong_to_crates() {
    for (path, name, part) in [
        ("engine/ledger/src/act.rs", "engine/ledger", "engine/ledger"),
        (
            "engine/server/src/http/api/route.rs",
            "engine/server",
            "engine/server/src/http",
        ),
        (
            "engine/server/src/http.rs",
            "engine/server",
            "engine/server",
        ),
        ("plugins/sdk/src/lib.rs", "plugins/sdk", "plugins/sdk"),
        ("tests/it/house.rs", "tests", "tests"),
        ("README.md", "README.md", "README.md"),
    ] {
        assert_eq!(crate_of(path), name);
        assert_eq!(part_of(path), part);
    }
    assert!(RUST.len() > 300, "{} files", RUST.len());
}

#[test]
fn items_for_tests_are_removed() {
    let source = "
        /// Runs.
        fn runs() { #[cfg(test)] hook(); go(); }
        /// Tests.
        #[allow(unused)]
        #[cfg(test)]
        mod tests;
        #[cfg(test)]
        mod more { fn inner() {} }
        #[cfg(not(test))]
        struct Real;
    ";
    let kept = without_tests(source.parse().unwrap()).to_string();
    for present in ["Runs", "go", "Real"] {
        assert!(kept.contains(present), "{kept}");
    }
    for absent in ["hook", "Tests", "unused", "tests", "inner"] {
        assert!(!kept.contains(absent), "{kept}");
    }
}
