//! `THIRD-PARTY.md`: the notices of everything linked into the binary and the bundled plugins. The test
//! generates it from the lockfile and fails if the committed file differs; `make notices` rewrites it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use expect_test::expect_file;
use serde_json::Value;

use crate::workspace::{cargo, root};

/// Target systems of the server; crates linked only on others are not shipped.
const SERVERS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// Preferred licences of crates that offer several, best first: one text covers all crates under the first.
const CHOSEN: [&str; 3] = ["Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MIT"];

const INTRODUCTION: &str = "\
# Third-party parts

What the `bursar` binary and the plugins that it carries are linked from, beside Bursar itself: each crate
with its version, the licence that it states, and the one under which it is used here where it offers
several. Crates that only build or test Bursar are not in the binary, and not in this list. The list is made
from the lockfile (`make notices`) and a test fails when they differ; `bursar notices` prints it.

Three parts are no crates:

* **SQLite**, as changed by **libSQL**, is compiled in from the sources in `libsql-ffi`. SQLite is in the
  public domain; libSQL's changes are under the MIT licence, Copyright 2024 the libSQL authors
  (<https://github.com/tursodatabase/libsql/blob/main/LICENSE.md>).
* **Rust's standard library**, under Apache-2.0 or MIT (<https://github.com/rust-lang/rust/blob/main/COPYRIGHT>).
* Code of **BoringSSL** and **OpenSSL** within `ring`; its notices are among the texts below.
";

const MOZILLA: &str = "
## Under the Mozilla Public License 2.0

These crates are linked as they were released, without a change. The source of exactly these versions can be
had at these addresses, free of charge; the sum is the archive's SHA-256. The licence is among the texts below,
and at <https://www.mozilla.org/MPL/2.0/>.

| crate | version | source | sum |
|---|---|---|---|
";

/// Returns the bundled plugins, as the build script names them.
fn bundled() -> Vec<String> {
    let script = std::fs::read_to_string(root().join("engine/server/build.rs")).unwrap();
    let (_, list) = script.split_once("const PLUGINS: ").unwrap();
    let (_, list) = list.split_once("= [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let names = list.split('"').skip(1).step_by(2);
    names.map(|name| format!("bursar-{name}")).collect()
}

/// Collects names and versions of the crates that packages link for targets.
fn linked(packages: &[String], targets: &[&str], found: &mut BTreeSet<(String, String)>) {
    let mut arguments = vec!["tree", "--locked", "--edges", "normal,no-proc-macro"];
    arguments.extend(["--prefix", "none", "--format", "{p}"]);
    for package in packages {
        arguments.extend(["--package", package]);
    }
    for target in targets {
        arguments.extend(["--target", target]);
    }
    for line in cargo(&arguments).lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let version = version.trim_start_matches('v');
            found.insert((name.to_owned(), version.to_owned()));
        }
    }
}

struct Part {
    name: String,
    version: String,
    stated: String,
    chosen: String,
    authors: String,
    sum: String,
    folder: PathBuf,
}

/// Returns the third-party crates that are shipped.
fn shipped() -> Vec<Part> {
    let mut names = BTreeSet::new();
    linked(&["bursar-server".to_owned()], &SERVERS, &mut names);
    linked(&bundled(), &["wasm32-unknown-unknown"], &mut names);
    let sums = sums();
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let foreign = packages.filter(|package| package["source"].is_string());
    let mut parts: Vec<Part> = foreign
        .map(|package| part(package, &sums))
        .filter(|part| names.contains(&(part.name.clone(), part.version.clone())))
        .collect();
    parts.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    parts
}

/// Returns the checksums of the lockfile, by name and version.
fn sums() -> BTreeMap<(String, String), String> {
    let lockfile = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let value = |package: &str, member: &str| {
        let begins = format!("{member} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&begins));
        line.unwrap_or_default().trim_end_matches('"').to_owned()
    };
    let packages = lockfile.split("[[package]]").skip(1);
    packages
        .map(|package| {
            let name = value(package, "name");
            let version = value(package, "version");
            ((name, version), value(package, "checksum"))
        })
        .collect()
}

fn part(package: &Value, sums: &BTreeMap<(String, String), String>) -> Part {
    let text = |member: &str| package[member].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    let version = text("version");
    let stated = text("license");
    let authors = package["authors"].as_array().unwrap().iter();
    let authors: Vec<&str> = authors.filter_map(Value::as_str).collect();
    let manifest = PathBuf::from(text("manifest_path"));
    Part {
        sum: sums[&(name.clone(), version.clone())].clone(),
        chosen: chosen(&stated),
        folder: manifest.parent().unwrap().to_owned(),
        authors: authors.join(", "),
        name,
        version,
        stated,
    }
}

/// Returns the chosen licences of an expression: one of each group of alternatives.
fn chosen(stated: &str) -> String {
    let groups = stated.split(" AND ").map(|group| {
        let group = group.trim_matches(['(', ')']).replace('/', " OR ");
        let offered: Vec<&str> = group.split(" OR ").map(str::trim).collect();
        let best = CHOSEN.into_iter().find(|best| offered.contains(best));
        best.unwrap_or(offered[0]).to_owned()
    });
    groups.collect::<Vec<_>>().join(" AND ")
}

/// Returns the texts that a crate's licence requires, except the common Apache text.
fn texts(part: &Part) -> Vec<String> {
    let is_apache = part.chosen.starts_with("Apache-2.0") && !part.chosen.contains(" AND ");
    let files = std::fs::read_dir(&part.folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let required = files.into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().to_uppercase();
        let is_licence = name.starts_with("LICENSE") || name.starts_with("LICENCE");
        let is_other = name.contains("APACHE") || name.contains("UNLICENSE");
        path.is_file() && (name.starts_with("NOTICE") || (is_licence && !is_other && !is_apache))
    });
    let mut texts: Vec<String> = required
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap().replace('\r', "");
            let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
            lines.join("\n")
        })
        .collect();
    if texts.is_empty() && !is_apache {
        // The crate has no licence file; its manifest states the licence and the authors.
        assert_eq!(
            part.chosen, "MIT",
            "{} has no text of its licence",
            part.name
        );
        let authors = match part.authors.as_str() {
            "" => format!("the authors of {}", part.name),
            authors => authors.to_owned(),
        };
        let mit = std::fs::read_to_string(root().join("LICENSE-MIT")).unwrap();
        let (_, permission) = mit.split_once("Permission is").unwrap();
        texts.push(format!(
            "Copyright (c) {authors}\n\nPermission is{}",
            permission.trim_end()
        ));
    }
    texts
}

/// Returns the whole file.
fn notices() -> String {
    let parts = shipped();
    let mut file = INTRODUCTION.to_owned();
    file.push_str(MOZILLA);
    for part in parts.iter().filter(|part| part.stated.contains("MPL")) {
        let Part {
            name, version, sum, ..
        } = part;
        let source = format!("<https://static.crates.io/crates/{name}/{name}-{version}.crate>");
        writeln!(file, "| {name} | {version} | {source} | `{sum}` |").unwrap();
    }
    file.push_str("\n## Crates\n\n| crate | version | licence | used under |\n|---|---|---|---|\n");
    // Each text with the crates that it belongs to.
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in &parts {
        let Part {
            name,
            version,
            stated,
            chosen,
            ..
        } = part;
        writeln!(file, "| {name} | {version} | {stated} | {chosen} |").unwrap();
        for text in texts(part) {
            by_text
                .entry(text)
                .or_default()
                .push(format!("{name} {version}"));
        }
    }
    let apache = std::fs::read_to_string(root().join("LICENSE-APACHE")).unwrap();
    writeln!(
        file,
        "\n## Texts\n\n### Apache-2.0\n\n```text\n{}\n```",
        apache.trim()
    )
    .unwrap();
    let mut by_crates: Vec<(Vec<String>, String)> = by_text
        .into_iter()
        .map(|(text, crates)| (crates, text))
        .collect();
    by_crates.sort();
    for (crates, text) in by_crates {
        writeln!(file, "\n### {}\n\n```text\n{text}\n```", crates.join(", ")).unwrap();
    }
    file
}

#[test]
fn notices_match_the_shipped_crates() {
    expect_file!["../../THIRD-PARTY.md"].assert_eq(&notices());
}

#[test]
fn copyleft_crates_are_listed_with_their_source() {
    let file = std::fs::read_to_string(root().join("THIRD-PARTY.md")).unwrap();
    let (_, section) = file
        .split_once("## Under the Mozilla Public License 2.0")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let copyleft = ["MPL", "GPL", "EPL", "CDDL", "EUPL"];
    let mut named = 0;
    for part in shipped() {
        if !copyleft.iter().any(|family| part.chosen.contains(family)) {
            continue;
        }
        assert!(
            part.chosen.starts_with("MPL-2.0"),
            "{}: {}",
            part.name,
            part.chosen
        );
        let archive = format!("/{}-{}.crate>", part.name, part.version);
        assert!(
            section.contains(&archive) && section.contains(&part.sum),
            "{}",
            part.name
        );
        named += 1;
    }
    assert!(named >= 1, "at least imbl is listed");
}

#[test]
fn one_licence_of_each_group_of_alternatives_is_chosen() {
    for (stated, expected) in [
        ("MIT OR Apache-2.0", "Apache-2.0"),
        ("MIT/Apache-2.0", "Apache-2.0"),
        ("Unlicense OR MIT", "MIT"),
        ("MPL-2.0+", "MPL-2.0+"),
        (
            "(Apache-2.0 OR MIT) AND BSD-3-Clause",
            "Apache-2.0 AND BSD-3-Clause",
        ),
        (
            "Apache-2.0 WITH LLVM-exception OR MIT",
            "Apache-2.0 WITH LLVM-exception",
        ),
    ] {
        assert_eq!(chosen(stated), expected, "{stated}");
    }
}
