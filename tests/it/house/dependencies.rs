//! Dependencies between crates: the crates that may use each other, and those that may use a heavy library.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::source;
use crate::workspace::cargo;

pub(super) fn metadata() -> Value {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"]);
    serde_json::from_str(&metadata).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns all packages that a package links when it is built alone: dependencies of dependencies too, but
/// none that only build or test it.
fn linked(package: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ]);
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .map(Into::into)
        .collect()
}

/// Returns the dependencies that each package of this workspace names in its own manifest.
fn direct(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
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
fn the_ledger_links_no_input_or_output() {
    let linked = linked("bursar-ledger");
    assert!(
        linked.contains("serde") && linked.contains("sha2"),
        "{linked:?}"
    );
    for forbidden in [
        "tokio",
        "libsql",
        "wasmtime",
        "axum",
        "hyper",
        "getrandom",
        "tracing",
    ] {
        assert!(!linked.contains(forbidden), "the ledger links {forbidden}");
    }
}

#[test]
fn each_heavy_dependency_is_named_by_one_crate() {
    let direct = direct(&metadata());
    let crates = [
        ("libsql", "bursar-storage"),
        ("wasmtime", "bursar-host"),
        ("axum", "bursar-server"),
    ];
    for (dependency, only) in crates {
        let users: Vec<_> = direct
            .iter()
            .filter(|(_, names)| names.contains(dependency))
            .map(|(user, _)| user)
            .collect();
        assert_eq!(users, [only], "{dependency}");
    }
}

#[test]
fn crates_depend_only_on_the_crates_listed() {
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
        // Plugins use it in tests only; no plugin links it.
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
        ("bursar-tests", &["bursar-server", "bursar-storage"]),
    ];
    let direct = direct(&metadata());
    assert_eq!(
        direct.len(),
        allowed.len(),
        "a new package needs a line in this list"
    );
    for (package, dependencies) in allowed {
        let found: Vec<&String> = direct[package]
            .iter()
            .filter(|name| name.starts_with("bursar-"))
            .collect();
        assert_eq!(found, dependencies, "{package}");
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = std::fs::read_to_string(source::root().join("Cargo.toml")).unwrap();
    let (_, section) = manifest.split_once("[workspace.dependencies]").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let mut explained = false;
    for line in section
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# ---"))
    {
        let is_reason = line.starts_with('#');
        // The crates of this workspace are described in their own manifests.
        assert!(is_reason || explained || line.contains("path = "), "{line}");
        explained = is_reason;
    }
}
