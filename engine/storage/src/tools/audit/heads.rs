//! Heads that were recorded outside the file. Each must be the hash of a record that still exists.
//!
//! A hash chain reveals an altered record, but not a removed end or a chain that was rewritten from the
//! start. A head that is kept elsewhere reveals both.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bursar_ledger::{Digest, EconomyId};

use super::report::FoundHead;
use crate::record::Record;

/// The maximum number of heads that one audit looks for.
pub const HEADS_MAX: usize = 64;

/// A head that an event, an audit, an economy or a backup has reported earlier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SeenHead {
    /// The economy, or `None` for any.
    pub economy: Option<EconomyId>,
    /// The hash.
    pub hash: Digest,
}

impl fmt::Display for SeenHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(economy) = &self.economy {
            write!(f, "{economy}:")?;
        }
        write!(f, "{}", self.hash)
    }
}

/// The error for a text that is not a head.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a head is ECONOMY:HASH or HASH, with a hash of 64 lower-case hexadecimal digits")]
pub struct HeadError;

impl FromStr for SeenHead {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (economy, hash) = match text.split_once(':') {
            Some((economy, hash)) => (Some(economy.parse().map_err(|_| HeadError)?), hash),
            None => (None, text),
        };
        let hash = hash.parse().map_err(|_| HeadError)?;
        Ok(Self { economy, hash })
    }
}

/// The heads to look for. Each record costs one lookup, regardless of their number.
pub(super) struct Heads {
    seen: BTreeMap<Digest, Vec<FoundHead>>,
}

impl Heads {
    pub(super) fn new(seen: &[SeenHead]) -> Self {
        let mut heads: BTreeMap<Digest, Vec<FoundHead>> = BTreeMap::new();
        for SeenHead { economy, hash } in seen {
            heads.entry(*hash).or_default().push(FoundHead {
                economy: economy.clone(),
                head: *hash,
                seq: None,
            });
        }
        Self { seen: heads }
    }

    /// Compares a record with the heads.
    pub(super) fn pass(&mut self, record: &Record, hash: &Digest) {
        self.found(record, hash);
        // A record of an earlier build has the beginning of its earlier hash as its salt.
        let salt = record.salt.0;
        let start =
            Digest::from_bytes(std::array::from_fn(|at| salt.get(at).copied().unwrap_or(0)));
        let earlier = self.seen.range(start..).next().map(|(head, _)| *head);
        let is_earlier = |head: &Digest| head.as_bytes().starts_with(&salt);
        if let Some(earlier) = earlier.filter(is_earlier) {
            self.found(record, &earlier);
        }
    }

    fn found(&mut self, record: &Record, hash: &Digest) {
        for head in self.seen.get_mut(hash).into_iter().flatten() {
            let economy = head.economy.get_or_insert_with(|| record.economy.clone());
            if *economy == record.economy {
                head.seq = Some(record.seq);
            }
        }
    }

    /// Returns all heads and the records that have them.
    pub(super) fn all(&self) -> Vec<FoundHead> {
        self.seen.values().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_its_economy_or_none() {
        let hash = "ab".repeat(32);
        for text in [hash.clone(), format!("guild:{hash}")] {
            let head: SeenHead = text.parse().expect("a head");
            assert_eq!(head.to_string(), text);
        }
        for wrong in [
            "",
            "guild",
            "guild:",
            ":",
            &format!(":{hash}"),
            &format!("a b:{hash}"),
            &format!("{hash}0"),
            &hash.to_uppercase(),
            &format!("guild:user:{hash}"),
        ] {
            assert_eq!(wrong.parse::<SeenHead>(), Err(HeadError), "{wrong}");
        }
    }
}
