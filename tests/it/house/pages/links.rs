//! Relative links and anchors of all pages lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::super::source;
use super::{all, page};

/// Returns the lines of a page that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}

/// Returns the anchors of a page, made from its headings as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
            let anchor: String = kept.collect::<String>().replace(' ', "-");
            let times = seen.entry(anchor.clone()).or_default();
            *times += 1;
            match *times {
                1 => anchor,
                times => format!("{anchor}-{}", times - 1),
            }
        })
        .collect()
}

/// Returns the targets of all links in a page.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        for link in line.split("](").skip(1) {
            targets.push(link.split([')', ' ']).next().unwrap_or_default().to_owned());
        }
    }
    targets
}

/// Returns what is wrong with a link from one page to a target, if anything is.
fn wrong(from: &str, target: &str, page: impl Fn(&Path) -> Option<String>) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        PathBuf::from(from)
    } else {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        normal(&folder.join(path))
    };
    let Some(text) = page(&path) else {
        return Some(format!("{from}: {target} leads nowhere"));
    };
    let has_anchor = anchor.is_empty() || anchors(&text).contains(anchor);
    (!has_anchor).then(|| format!("{from}: {target} has no such heading"))
}

/// Resolves `..` in a path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_link_leads_somewhere() {
    let read = |path: &Path| {
        let file = source::root().join(path);
        if file.is_dir() {
            return Some(String::new());
        }
        std::fs::read(file)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut links = 0;
    let mut found = Vec::new();
    for path in all() {
        for target in targets(&page(&path)) {
            links += 1;
            found.extend(wrong(&path, &target, read));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(links > 100, "{links} links");
}

#[test]
fn the_readme_leads_to_every_page() {
    let targets = targets(&page("README.md"));
    for path in all() {
        if path.starts_with("docs/") {
            assert!(targets.contains(&path), "the README does not link {path}");
        }
    }
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let read = |path: &Path| match path.to_str() {
        Some("docs/a.md") => {
            Some("# A `b`, c\n\n## Same\n\n## Same\n\n```sh\n# code\n```\n".to_owned())
        }
        _ => None,
    };
    for (from, target, leads) in [
        ("docs/a.md", "#a-b-c", true),
        ("docs/a.md", "#same-1", true),
        ("docs/a.md", "#same-2", false),
        ("docs/a.md", "#code", false),
        ("docs/b.md", "a.md", true),
        ("docs/b.md", "../docs/a.md#same", true),
        ("README.md", "docs/a.md#same", true),
        ("README.md", "a.md", false),
        ("README.md", "https://example.org", true),
    ] {
        assert_eq!(
            wrong(from, target, read).is_none(),
            leads,
            "{from}: {target}"
        );
    }
    assert_eq!(
        targets("[a](b) and [c](d#e)\n```\n[f](g)\n```\n"),
        ["b", "d#e"]
    );
}
