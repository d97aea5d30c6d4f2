//! A reader of lines that counts, bounds and hashes them.

use std::io::{BufRead, Read};

use bursar_ledger::{Digest, Json, Sha256Writer};
use serde::Deserialize;

use super::{ArchiveError, ArchiveLine, LINE_BYTES_MAX, lines_hash};

/// The lines of an import.
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    /// The number of lines that were read.
    pub(super) line: u64,
    hash: Sha256Writer,
    /// The newest line, which the hash does not cover yet.
    before: Option<Vec<u8>>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self {
            input,
            line: 0,
            hash: lines_hash(),
            before: None,
        }
    }

    /// Returns the next line, or `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<ArchiveLine>, ArchiveError> {
        let mut text = Vec::new();
        let mut limited = (&mut *self.input).take(LINE_BYTES_MAX + 1);
        limited.read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if text.len() as u64 > LINE_BYTES_MAX {
            return Err(self.wrong(format!("a line has {LINE_BYTES_MAX} bytes at most")));
        }
        if text.last() != Some(&b'\n') {
            return Err(ArchiveError::Cut(self.line - 1));
        }
        let line = Json::parse(&text).map_err(|error| self.wrong(error))?;
        let line = ArchiveLine::deserialize(&line).map_err(|error| self.wrong(error))?;
        if let Some(before) = self.before.replace(text) {
            self.hash.text(before);
        }
        Ok(Some(line))
    }

    /// Returns the hash of all lines before the newest.
    pub(super) fn digest(&mut self) -> Digest {
        std::mem::replace(&mut self.hash, lines_hash()).finish()
    }

    /// Creates an error of the newest line.
    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> ArchiveError {
        ArchiveError::Line {
            line: self.line,
            what: what.to_string(),
        }
    }
}
