//! The figures of a run, and the expected figures.

use std::fmt;
use std::path::PathBuf;

use crate::callgrind::Profile;
use crate::scenario::TRANSFERS;

/// The measured parts, each with the function whose instructions are counted.
const PARTS: &[(&str, &str)] = &[
    ("front", "instructions::pipe::poll_connection"),
    ("echo", "instructions::pipe::poll_echo"),
    ("decide", "bursar_ledger::decide::decide"),
    ("render", "bursar_server::http::render::render"),
    ("encode", "bursar_storage::log::codec::encode"),
    (
        "look-up",
        "bursar_storage::index::record_index::Index::records_of_key_until",
    ),
    (
        "commit",
        "bursar_storage::commit::writer::Writer<L>::commit",
    ),
];

/// The largest difference from an expected figure, in per cent.
const MARGIN_PERCENT: u64 = 10;

/// Instructions per transfer, by part.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Figures(Vec<(String, u64)>);

impl Figures {
    /// Returns the figures of a profile.
    pub(crate) fn measured(profile: &Profile) -> Self {
        let figure = |(part, function): &(&str, &str)| {
            let count = profile.get(*function);
            let count = count.unwrap_or_else(|| panic!("{function} is not in the profile"));
            ((*part).to_owned(), count / TRANSFERS)
        };
        Self(PARTS.iter().map(figure).collect())
    }

    /// Returns the committed figures.
    pub(crate) fn expected() -> Self {
        let text = std::fs::read_to_string(path()).unwrap_or_default();
        let figure = |line: &str| {
            let (part, count) = line.rsplit_once(' ').unwrap();
            (part.trim_end().to_owned(), count.parse().unwrap())
        };
        Self(text.lines().map(figure).collect())
    }

    /// Writes the committed figures.
    pub(crate) fn write(&self) {
        std::fs::write(path(), self.to_string()).unwrap();
    }

    /// Returns a line for each part that differs by more than the margin. A fall is reported, too: an expected figure
    /// that is too high would hide a later rise.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (part, count) in &self.0 {
            let before = expected.0.iter().find(|(name, _)| name == part);
            let before = before.map_or(0, |(_, count)| *count);
            if count.abs_diff(before) * 100 > before * MARGIN_PERCENT {
                differences.push(format!("{part}: {count} instructions, {before} expected"));
            }
        }
        differences
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, count) in &self.0 {
            writeln!(f, "{part:<10} {count}")?;
        }
        Ok(())
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/expected.txt")
}
