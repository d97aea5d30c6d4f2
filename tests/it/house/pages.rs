//! Pages: their length, their links, and statements in them that the sources must agree with.

mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use bursar_host::Limits;
use bursar_ledger::{STATE_BYTES_GRANTED_MAX, STATE_BYTES_MAX};
use serde_json::Value;

use super::{ratchet, source};
use crate::named_tests;
use crate::server_process::binary;
use crate::support::{GUILD, TestServer};

/// Lines of pages that are read from top to bottom.
const LINES_MAX: [(&str, usize); 2] = [("README.md", 180), ("ARCHITECTURE.md", 250)];

fn page(path: &str) -> String {
    let file = source::root().join(path);
    std::fs::read_to_string(file).unwrap_or_else(|wrong| panic!("{path}: {wrong}"))
}

/// Returns the paths of all pages from the root of the repository.
fn all() -> Vec<String> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "examples/first-plugin", "examples/discord-bot"] {
        for entry in std::fs::read_dir(source::root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let path = path.strip_prefix(source::root()).unwrap();
                pages.push(path.display().to_string());
            }
        }
    }
    pages.sort();
    pages
}

#[test]
fn pages_are_short_enough_to_be_read() {
    let mut long = BTreeMap::new();
    for (path, most) in LINES_MAX {
        let lines = page(path).lines().count();
        println!("{path}: {lines} of {most} lines");
        if lines > most {
            long.insert(path.to_owned(), lines);
        }
    }
    ratchet::check("pages", &long);
}

#[test]
fn the_readmes_commands_are_in_the_makefile() {
    let readme = page("README.md");
    let makefile = page("Makefile");
    for command in ["demo", "test"] {
        assert!(readme.contains(&format!("make {command}")));
        assert!(makefile.contains(&format!("\n{command}: ")));
    }
}

#[test]
fn every_route_is_in_the_page_of_the_api() {
    let text = page("docs/api.md");
    let description: Value = serde_json::from_str(&page("engine/server/openapi.json")).unwrap();
    for path in description["paths"].as_object().unwrap().keys() {
        let shown = path.replace("/v1/economies/{economy}", "…");
        let mut found = text.match_indices(&shown);
        let is_shown = found.any(|(start, _)| {
            let rest = &text[start + shown.len()..];
            rest.starts_with(['`', '?', ',', ' '])
        });
        assert!(is_shown, "{path} is not in docs/api.md");
    }
}

#[test]
fn every_command_is_in_the_page_of_operations() {
    let text = page("docs/operations.md");
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    assert!(names.clone().count() > 10, "{commands}");
    for name in names {
        assert!(
            text.contains(&format!("`bursar {name} "))
                || text.contains(&format!("`bursar {name}`")),
            "{name} is not in docs/operations.md"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quota_is_in_the_page_of_operations_with_its_default_and_maximum() {
    let text = page("docs/operations.md");
    let (server, mut guild) = TestServer::with_guild(1).await;
    let answer = guild.get(&format!("{GUILD}/quotas")).await.json();
    let quotas = answer["quotas"].as_object().unwrap();
    for (name, quota) in quotas {
        let begins = format!("| `{name}` | ");
        let row = text.lines().find(|line| line.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("no row of {name}"));
        let mut cells = row.split('|').skip(2).map(str::trim);
        assert_eq!(
            cells.next(),
            Some(shown(&quota["default"]).as_str()),
            "{row}"
        );
        assert_eq!(cells.next(), Some(shown(&quota["max"]).as_str()), "{row}");
    }
    assert!(quotas.len() > 10, "{answer}");
    server.close().await;
}

/// Writes a number as pages do: `16 GiB`, `64 MiB` or `250,000`.
fn shown(number: &Value) -> String {
    let number = number.as_u64().unwrap();
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB")] {
        if number.is_multiple_of(unit) {
            return format!("{} {name}", number / unit);
        }
    }
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    let groups = groups
        .into_iter()
        .map(|group| std::str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}

/// Nothing else compiles the plugin that the pages show.
#[test]
fn the_plugin_in_the_pages_is_the_example() {
    let example = page("examples/first-plugin/src/lib.rs");
    assert!(page("docs/plugins.md").contains(&format!("\n```rust\n{example}```\n")));
    let readme = page("README.md");
    let (_, rule) = readme.split_once("\n```rust\n").unwrap();
    let (rule, _) = rule.split_once("```\n").unwrap();
    assert!(
        rule.starts_with("fn tip(") && example.ends_with(rule),
        "{rule}"
    );
}

/// A row after an empty line is a table of its own, without a head, and shown as text.
#[test]
fn every_table_has_a_head() {
    for path in all() {
        let text = page(&path);
        let lines: Vec<&str> = text.lines().collect();
        let is_row = |line: usize| lines[line].starts_with('|');
        for line in (1..lines.len()).filter(|line| is_row(*line) && !is_row(line - 1)) {
            assert!(
                lines[line + 1].starts_with("|---"),
                "{path}: {}",
                lines[line]
            );
            let mut rows = (line..lines.len()).take_while(|line| is_row(*line));
            let cells = cells(lines[line]);
            let wrong = rows.find(|row| self::cells(lines[*row]) != cells);
            assert_eq!(
                wrong.map(|row| lines[row]),
                None,
                "{path} has a row of other cells"
            );
        }
    }
}

/// Counts the cells of a row; `\\|` does not end one.
fn cells(row: &str) -> usize {
    row.replace("\\|", "").matches('|').count()
}

#[test]
fn the_plugins_page_says_what_a_plugin_may_be_granted() {
    let plugins = page("docs/plugins.md");
    let row = |of: &str| {
        let begins = format!("| {of} | ");
        let row = plugins.lines().find(|line| line.starts_with(&begins));
        row.unwrap_or_else(|| panic!("no row of {of}"))
    };
    for bytes in [STATE_BYTES_MAX, STATE_BYTES_GRANTED_MAX] {
        let expected = format!("{} MiB", bytes >> 20);
        assert!(row("a plugin's state").contains(&expected), "{expected}");
    }
    let standard = Limits::standard().fuel;
    for fuel in [standard / 5, standard, standard * 10] {
        let expected = format!("{} million", fuel / 1_000_000);
        assert!(row("a call").contains(&expected), "{expected}");
    }
}

/// Bursar claims no feature that no test shows.
#[test]
fn every_yes_of_the_comparison_names_a_test_that_is_there() {
    let comparison = page("docs/comparison.md");
    let mut yes = 0;
    for row in comparison.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "{row}");
        assert!(
            ["Bursar", "yes", "partly", "no"].contains(&cells[1]) && !cells[2].is_empty(),
            "{row}"
        );
        if cells[1] == "yes" {
            shown_by(cells[2]).unwrap_or_else(|wrong| panic!("{row}\n{wrong}"));
            yes += 1;
        }
    }
    assert!(yes > 25, "{yes}");
}

/// Looks for the test that a cell names, as in `` `holds.rs`: `a_hold_ends` ``.
fn shown_by(cell: &str) -> Result<(), String> {
    let parts: Vec<&str> = cell.split('`').collect();
    let ["", file, ": ", test, ""] = parts[..] else {
        return Err(format!("{cell} names no test"));
    };
    named_tests::find(file, test)
}

/// The audit of a file has the numbers and names of the promises.
#[tokio::test(flavor = "multi_thread")]
async fn every_promise_names_tests_that_are_there() {
    let report = TestServer::new().await.close().await;
    let text = page("docs/promises.md");
    let readme = page("README.md");
    let mut sections = text.split("\n## ").skip(1);
    for promise in &report.promises {
        let section = sections.next().unwrap_or_default();
        let heading = format!("{}. {}", promise.number, promise.name);
        let (found, body) = section.split_once('\n').unwrap();
        assert_eq!(found, heading);
        assert!(
            readme.contains(&format!("\n{}. [{}](", promise.number, promise.name)),
            "{heading} is not in the README"
        );
        let rows: BTreeSet<&str> = body
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        assert!(rows.len() >= 3, "{heading}: {} tests", rows.len());
        for row in rows {
            let cell = row.split('|').nth(1).unwrap().trim();
            shown_by(cell).unwrap_or_else(|wrong| panic!("{heading}: {wrong}"));
        }
    }
    assert_eq!(sections.next(), None);
}
