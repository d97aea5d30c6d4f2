//! Rules for each source file: its first line, its length, and text that it must not contain.

use std::collections::BTreeMap;

use super::{ratchet, source};

/// The number of lines of a source file. A longer one has more than one idea.
const LINES_MAX: usize = 500;

#[test]
fn every_source_file_opens_with_a_description() {
    for source in source::RUST.iter() {
        assert!(
            source.text.starts_with("//! "),
            "{} has no module documentation",
            source.path
        );
        // Joined here, so that this file does not contain them.
        for left in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X"),
        ] {
            assert!(
                !source.text.contains(left),
                "{} contains {left}",
                source.path
            );
        }
    }
}

#[test]
fn every_source_file_has_one_idea() {
    let long = source::RUST
        .iter()
        .map(|source| (source.path.clone(), source.text.lines().count()));
    ratchet::check("lines", &longer(long, LINES_MAX));
}

fn longer(files: impl Iterator<Item = (String, usize)>, most: usize) -> BTreeMap<String, usize> {
    files.filter(|(_, lines)| *lines > most).collect()
}

#[test]
fn files_beyond_the_limit_are_found() {
    let files = [("at.rs", 500), ("beyond.rs", 501)];
    let files = files
        .into_iter()
        .map(|(path, lines)| (path.to_owned(), lines));
    let long = longer(files, 500);
    assert_eq!(long, BTreeMap::from([("beyond.rs".to_owned(), 501)]));
}

/// Text from outside reaches a terminal through one file, which escapes it.
#[test]
fn one_file_prints_the_output_of_commands() {
    // These write data for programs (an archive, records as escaped JSON, the API's description, the schema of
    // manifests), the notices, which are our own text, and logs, which have their own escapes.
    let others = [
        "commands/export.rs",
        "commands/log.rs",
        "commands/notices.rs",
        "commands/openapi.rs",
        "commands/plugin/schema.rs",
        "logs.rs",
    ];
    for source in source::RUST.iter() {
        let Some(name) = source.path.strip_prefix("engine/server/src/") else {
            continue;
        };
        let text = &source.text;
        let prints = [
            "anstream::",
            "io::stdout",
            "io::stderr",
            "println!",
            "eprint!",
        ];
        let prints = prints.iter().any(|word| text.contains(word));
        let may = name == "commands/style.rs" || others.contains(&name);
        // Asking whether stderr is a terminal prints nothing.
        let only_asks =
            text.matches("stderr()").count() == text.matches("stderr().is_terminal()").count();
        assert!(
            !prints || may || only_asks && name == "commands/progress.rs",
            "{name} prints by itself"
        );
    }
}

#[test]
fn every_function_of_the_contract_is_documented() {
    let contract = std::fs::read_to_string(source::root().join("wit/plugin.wit")).unwrap();
    let lines: Vec<&str> = contract.lines().map(str::trim).collect();
    let functions: Vec<usize> = (0..lines.len())
        .filter(|line| lines[*line].contains(": func("))
        .collect();
    assert!(functions.len() >= 15);
    for line in functions {
        assert!(lines[line - 1].starts_with("///"), "{}", lines[line]);
    }
}
