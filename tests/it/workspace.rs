//! The files of the workspace, for tests of the sources and of the pages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// A text file.
pub(crate) struct Source {
    /// The path from the root of the workspace, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Rust sources, in the order of their paths.
pub(crate) static RUST: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let is_rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
    ["engine", "plugins", "tests", "examples"]
        .iter()
        .flat_map(|folder| read(folder, is_rust))
        .collect()
});

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Reads the files of a folder whose path fits. Skips build output and hidden files.
pub(crate) fn read(folder: &str, fits: impl Fn(&str) -> bool) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    let mut sources = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if fits(&name) {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push(Source { path: name, text });
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_skipped = name.starts_with('.') || name == "target" || name == "node_modules";
        if path.is_dir() && !is_skipped {
            walk(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}

/// Runs cargo in the workspace and returns its output.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}
