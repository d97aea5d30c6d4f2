//! What must hold of the house itself: who may depend on what, and that it is kept tidy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use bursar_host::Limits;
use bursar_ledger::{STATE_BYTES_GRANTED_MAX, STATE_BYTES_MAX};
use serde_json::Value;

use crate::named_tests;

/// Lines of a source file; a longer one has more than one idea.
const FILE_LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn metadata() -> Value {
    let asked = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        asked.status.success(),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    serde_json::from_slice(&asked.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Everything that a package links when it is built alone: dependencies of dependencies too, but
/// not what only builds or tests it.
fn linked(package: &str) -> BTreeSet<String> {
    let asked = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        asked.status.success(),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let tree = String::from_utf8(asked.stdout).unwrap();
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .map(Into::into)
        .collect()
}

/// What a package of this workspace names itself, to be linked.
fn named(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<String> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| members.contains(&text(&package["id"])))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let linked = dependencies.filter(|dependency| dependency["kind"].is_null());
            (
                text(&package["name"]),
                linked.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

#[test]
fn the_ledger_has_no_way_out() {
    let linked = linked("bursar-ledger");
    assert!(
        linked.contains("serde") && linked.contains("sha2"),
        "{linked:?}"
    );
    for window in [
        "tokio",
        "libsql",
        "wasmtime",
        "axum",
        "hyper",
        "getrandom",
        "tracing",
    ] {
        assert!(!linked.contains(window), "the ledger links {window}");
    }
}

#[test]
fn each_heavy_dependency_has_one_room() {
    let named = named(&metadata());
    let rooms = [
        ("libsql", "bursar-storage"),
        ("wasmtime", "bursar-host"),
        ("axum", "bursar-server"),
    ];
    for (dependency, room) in rooms {
        let who: Vec<_> = named
            .iter()
            .filter(|(_, names)| names.contains(dependency))
            .map(|(who, _)| who)
            .collect();
        assert_eq!(who, [room], "{dependency}");
    }
}

#[test]
fn arrows_between_rooms_only_point_down() {
    let allowed: [(&str, &[&str]); 20] = [
        ("bursar-ledger", &[]),
        ("bursar-storage", &["bursar-ledger"]),
        ("bursar-host", &["bursar-ledger"]),
        ("bursar-workbench", &["bursar-host", "bursar-ledger"]),
        (
            "bursar-server",
            &[
                "bursar-host",
                "bursar-ledger",
                "bursar-storage",
                "bursar-workbench",
            ],
        ),
        ("bursar-plugin", &[]),
        // Plugins are tested with it; none links it.
        (
            "bursar-testkit",
            &["bursar-host", "bursar-ledger", "bursar-workbench"],
        ),
        ("bursar-shop", &["bursar-plugin"]),
        ("bursar-coinflip", &["bursar-plugin"]),
        ("bursar-auction", &["bursar-plugin"]),
        ("bursar-blackjack", &["bursar-plugin"]),
        ("bursar-trade", &["bursar-plugin"]),
        ("bursar-daily", &["bursar-plugin"]),
        ("bursar-dice", &["bursar-plugin"]),
        ("bursar-lottery", &["bursar-plugin"]),
        ("bursar-slots", &["bursar-plugin"]),
        ("bursar-work", &["bursar-plugin"]),
        ("bursar-rob", &["bursar-plugin"]),
        ("bursar-malicious", &["bursar-plugin"]),
        ("bursar-tests", &["bursar-server"]),
    ];
    let named = named(&metadata());
    assert_eq!(
        named.len(),
        allowed.len(),
        "a new package has a place in this list"
    );
    for (room, arrows) in allowed {
        let below: Vec<&String> = named[room]
            .iter()
            .filter(|name| name.starts_with("bursar-"))
            .collect();
        assert_eq!(below, arrows, "{room}");
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, section) = manifest.split_once("[workspace.dependencies]").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let mut explained = false;
    for line in section
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# ---"))
    {
        let is_reason = line.starts_with('#');
        // Our own rooms say what they are in their manifests.
        assert!(is_reason || explained || line.contains("path = "), "{line}");
        explained = is_reason;
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_and_has_one_idea() {
    let mut found = Vec::new();
    for room in ["engine", "plugins", "tests", "examples"] {
        sources(&root().join(room), &mut found);
    }
    assert!(
        found.len() > 90,
        "{} files: are they still where they were?",
        found.len()
    );
    for path in found {
        let source = std::fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root()).unwrap().display();
        assert!(
            source.starts_with("//! "),
            "{shown} does not say what it is"
        );
        let lines = source.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{shown} has {lines} lines");
        // Put together here, so that this file does not find itself.
        for left in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X"),
        ] {
            assert!(!source.contains(left), "{shown} has a {left} left");
        }
    }
}

/// Text that others wrote reaches a terminal through one file, which escapes it.
#[test]
fn one_file_prints_what_commands_say() {
    // Data for programs: an archive, the API's description, the schema of manifests, and logs, which have escapes of their own. And
    // the notices, which are ours.
    let others = [
        "commands/export.rs",
        "commands/notices.rs",
        "commands/openapi.rs",
        "commands/plugin/schema.rs",
        "logs.rs",
    ];
    let folder = root().join("engine/server/src");
    let mut found = Vec::new();
    sources(&folder, &mut found);
    for path in found {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let source = std::fs::read_to_string(&path).unwrap();
        let prints = [
            "anstream::",
            "io::stdout",
            "io::stderr",
            "println!",
            "eprint!",
        ];
        let prints = prints.iter().any(|word| source.contains(word));
        let may = name == "commands/style.rs" || others.contains(&name.as_str());
        // Whether somebody looks is not what they are shown.
        let asks =
            source.matches("stderr()").count() == source.matches("stderr().is_terminal()").count();
        assert!(
            !prints || may || asks && name == "commands/progress.rs",
            "{name} prints by itself"
        );
    }
}

#[test]
fn every_function_of_the_contract_is_documented() {
    let contract = std::fs::read_to_string(root().join("wit/plugin.wit")).unwrap();
    let lines: Vec<&str> = contract.lines().map(str::trim).collect();
    let functions: Vec<usize> = (0..lines.len())
        .filter(|line| lines[*line].contains(": func("))
        .collect();
    assert!(functions.len() >= 15);
    for line in functions {
        assert!(lines[line - 1].starts_with("///"), "{}", lines[line]);
    }
}

#[test]
fn the_readmes_commands_are_in_the_makefile() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    for command in ["demo", "test"] {
        assert!(readme.contains(&format!("make {command}")));
        assert!(makefile.contains(&format!("\n{command}: ")));
    }
}

/// It is what people copy, and nothing else compiles what stands in the README.
#[test]
fn the_readmes_plugin_is_the_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let example = root().join("examples/first-plugin/src/lib.rs");
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
        let text = std::fs::read_to_string(root().join(page)).unwrap();
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
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
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
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
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
