//! Dependencies between the files of a crate, which must have no cycle.
//!
//! A file depends on another one if its code names an item that the other one defines. A declaration `mod child;` is no
//! dependency, nor is `pub use child::Item;` unless the file also uses the item. Calls of methods are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::modules::{Edges, Tree};
use super::{dependencies, ratchet, source};

/// Returns the edges of a graph that lie on a cycle.
fn on_cycles(edges: &Edges) -> Edges {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        next.entry(from).or_default().push(to);
    }
    let reaches = |start: &str, goal: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            if file == goal {
                return true;
            }
            if seen.insert(file) {
                open.extend(next.get(file).into_iter().flatten());
            }
        }
        false
    };
    edges
        .iter()
        .filter(|((from, to), _)| reaches(to, from))
        .map(|(edge, names)| (edge.clone(), names.clone()))
        .collect()
}

/// Returns the first file of each library, binary and test binary.
fn roots() -> Vec<String> {
    let metadata = dependencies::metadata();
    let targets = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap());
    let mut paths = BTreeSet::new();
    for target in targets {
        let path = PathBuf::from(target["src_path"].as_str().unwrap());
        if let Ok(path) = path.strip_prefix(source::root()) {
            paths.insert(path.display().to_string());
        }
    }
    paths.into_iter().collect()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(source::root().join(path)).ok()
}

#[test]
fn files_do_not_depend_on_each_other_in_a_cycle() {
    let mut found = Vec::new();
    let mut files = BTreeSet::new();
    for root in roots() {
        if !["engine/", "plugins/", "tests/"]
            .iter()
            .any(|folder| root.starts_with(folder))
        {
            continue;
        }
        let edges = Tree::load(Path::new(&root), &read).edges();
        files.extend(edges.keys().map(|(from, _)| from.clone()));
        for ((from, to), names) in on_cycles(&edges) {
            let names: Vec<String> = names.into_iter().collect();
            println!("{from} -> {to} ({})", names.join(", "));
            found.push((from.clone(), 1));
        }
    }
    assert!(files.len() > 250, "{} files", files.len());
    let found = found
        .iter()
        .map(|(file, edges)| (source::crate_of(file), *edges));
    ratchet::check("cycles", &source::sum(found));
}

/// Returns the edges between files of a small crate, as `from -> to: names`.
fn edges(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    let edges = Tree::load(Path::new("src/lib.rs"), &read).edges();
    edges
        .into_iter()
        .map(|((from, to), names)| {
            let names: Vec<String> = names.into_iter().collect();
            let short = |path: &str| path.trim_start_matches("src/").to_owned();
            format!("{} -> {}: {}", short(&from), short(&to), names.join(" "))
        })
        .collect()
}

#[test]
fn uses_and_paths_are_dependencies() {
    let found = edges(&[
        (
            "src/lib.rs",
            "mod act; mod books; pub mod limits; pub use act::Act; pub use books::*;",
        ),
        (
            "src/act.rs",
            "use crate::limits; pub enum Act {} fn run() { limits::MOST; }",
        ),
        (
            "src/books.rs",
            "mod holds; mod plain; pub use holds::Hold; use std::fmt;
             pub struct Books { act: super::Act } fn run() { plain::go() }",
        ),
        ("src/books/holds.rs", "use super::Books; pub struct Hold;"),
        ("src/books/plain.rs", "pub fn go() {}"),
        (
            "src/limits.rs",
            "use crate::Books as Renamed; pub const MOST: u8 = 1;",
        ),
    ]);
    assert_eq!(
        found,
        [
            "act.rs -> limits.rs: MOST",
            "books.rs -> act.rs: Act",
            "books.rs -> books/plain.rs: go",
            "books/holds.rs -> books.rs: Books",
            "limits.rs -> books.rs: Books",
        ]
    );
}

#[test]
fn reexported_items_that_a_parent_uses_are_dependencies() {
    let parent = "mod child; pub use child::Item; pub struct Parent(Item);";
    let child = "use super::Parent; pub struct Item;";
    let found = edges(&[("src/lib.rs", parent), ("src/child.rs", child)]);
    assert_eq!(
        found,
        ["child.rs -> lib.rs: Parent", "lib.rs -> child.rs: Item"]
    );
}

#[test]
fn test_modules_are_skipped_and_globs_are_followed() {
    let found = edges(&[
        (
            "src/lib.rs",
            "mod one; #[path = \"elsewhere.rs\"] mod two; #[cfg(test)] mod tests;
             mod inner { use super::one::One; fn run() { self::deep::go() } mod deep { pub fn go() {} } }",
        ),
        (
            "src/one.rs",
            "pub struct One; #[cfg(test)] mod tests { use crate::two::Two; }",
        ),
        (
            "src/elsewhere.rs",
            "use crate::one::*; pub struct Two(One); fn two(one: &str) { one.other() }",
        ),
    ]);
    assert_eq!(
        found,
        ["elsewhere.rs -> one.rs: One", "lib.rs -> one.rs: One"]
    );
}

#[test]
fn only_edges_on_a_cycle_are_found() {
    let edge = |from: &str, to: &str| ((from.to_owned(), to.to_owned()), BTreeSet::new());
    let edges = Edges::from([
        edge("a", "b"),
        edge("b", "c"),
        edge("c", "b"),
        edge("c", "d"),
        edge("e", "a"),
    ]);
    let found: Vec<_> = on_cycles(&edges).into_keys().collect();
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(found, [pair("b", "c"), pair("c", "b")]);
}
