//! Positions in an economy's history, at which events and statements continue.
//!
//! A position is the number of a record and the first 16 hexadecimal digits of its hash:
//! `12-9f86d081884c7d65`. A number alone cannot detect that the history was replaced, for example
//! by a restored backup. The hash detects it even after the new history has grown past the number.

use std::fmt;
use std::str::FromStr;

use bursar_ledger::{Books, Digest, EconomyId};
use bursar_storage::Event;
use serde::{Deserialize, Serialize};

use super::api::codes::Code;
use super::limits::NUMBER_MAX;
use super::problem::Problem;
use crate::service::Service;

/// The number of hexadecimal digits of a record's hash in a position.
const MARK_DIGITS: usize = 16;

/// A record that a client has processed; reading continues after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Position {
    pub(super) seq: u64,
    /// The first bytes of the record's hash; none if the client sent only a number.
    mark: Option<u64>,
}

/// The error of a text that is not a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a position must be `next_after` of a page, the id or `position` of an event, or the number of \
     an event"
)]
pub(super) struct PositionError;

impl Position {
    /// The position before the first record.
    pub(super) const START: Self = Self { seq: 0, mark: None };

    fn of(seq: u64, hash: &Digest) -> Self {
        Self {
            seq,
            mark: Some(mark(hash)),
        }
    }

    /// Returns the position of an event.
    pub(super) fn of_event(event: &Event) -> Self {
        Self::of(event.seq, &event.hash)
    }

    /// Returns the position of an economy's newest record.
    pub(super) fn of_head(books: &Books) -> Self {
        Self::of(books.seq(), &books.head())
    }

    /// Checks that the position is part of this economy's history, up to its newest published
    /// record.
    pub(super) async fn check(
        self,
        service: &Service,
        economy: &EconomyId,
        books: &Books,
    ) -> Result<(), Problem> {
        let head = Self::of_head(books);
        if self.seq > head.seq {
            let detail = format!(
                "the newest record is {}: the file was restored from an older backup, or the \
                 position belongs to another server. Read again with `after=0` and compare with \
                 your data, or continue after a position of this history",
                head.seq
            );
            return Err(self.conflict(Code::PositionPastHead, head, detail));
        }
        let Some(known) = self.mark.filter(|_| self.seq > 0) else {
            return Ok(());
        };
        let found = if self.seq == head.seq {
            Some(books.head())
        } else {
            let economy = economy.clone();
            let seq = self.seq;
            let read = service.read(move |storage| storage.record_hash(&economy, seq));
            read.await?
        };
        if found.is_some_and(|hash| mark(&hash) == known) {
            return Ok(());
        }
        let detail = format!(
            "record {} has another hash now: the file was restored from an older backup after the \
             position was issued, and its history has continued differently. Read again with \
             `after=0` and compare with your data",
            self.seq
        );
        Err(self.conflict(Code::HistoryChanged, head, detail))
    }

    fn conflict(self, code: Code, head: Self, detail: String) -> Problem {
        Problem::new(code, detail)
            .with("position", self.to_string())
            .with("head", head.to_string())
    }
}

fn mark(hash: &Digest) -> u64 {
    hash.as_bytes()
        .iter()
        .take(MARK_DIGITS / 2)
        .fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mark {
            Some(mark) => write!(f, "{}-{mark:0MARK_DIGITS$x}", self.seq),
            None => write!(f, "{}", self.seq),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (seq, mark) = match text.split_once('-') {
            Some((seq, mark)) => (seq, Some(mark)),
            None => (text, None),
        };
        let digits = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = seq.parse().ok().filter(|seq| digits && *seq <= NUMBER_MAX);
        let mark = mark.map(|mark| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let whole = mark.len() == MARK_DIGITS && mark.bytes().all(hex);
            let mark = u64::from_str_radix(mark, 16).ok();
            mark.filter(|_| whole).ok_or(PositionError)
        });
        Ok(Self {
            seq: seq.ok_or(PositionError)?,
            mark: mark.transpose()?,
        })
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

impl TryFrom<String> for Position {
    type Error = PositionError;

    fn try_from(text: String) -> Result<Self, PositionError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip() {
        let hash = Digest::of(b"a record");
        let position = Position::of(12, &hash);
        assert_eq!(
            position.to_string(),
            format!("12-{}", &hash.to_string()[..MARK_DIGITS])
        );
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!("0".parse(), Ok(Position::START));
        let most = format!("{NUMBER_MAX}-0000000000000001");
        let read: Result<Position, _> = most.parse();
        assert_eq!(read.map(|read| read.to_string()), Ok(most));
    }

    #[test]
    fn invalid_positions_are_rejected() {
        for text in [
            "",
            "-",
            "-1",
            "+1",
            " 1",
            "1.0",
            "9007199254740992",
            "1-",
            "1-abc",
            "1-000000000000000",
            "1-00000000000000000",
            "1-000000000000000G",
            "1-+00000000000000f",
            "1-000000000000000A",
            "1-0000000000000001-",
            "99999999999999999999",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }
}
