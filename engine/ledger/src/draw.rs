//! Draws: keyed hashes of a committed secret, made uniform by rejection sampling.
//!
//! An economy has a sequence of *server seeds*, which follow from its one secret. The hash of each seed is
//! public before the seed is used, and the seed itself is public afterwards. A draw depends on the server
//! seed, the component, the member's *client seed*, the *nonce* that the economy counts, the label, and the
//! index of the draw in its call. The receipt of the call contains all of them, so anyone can repeat the
//! draw.
//!
//! The hash is HMAC-SHA-256 (RFC 2104).

pub(crate) mod book;
pub(crate) mod change;

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::digest::Digest;
use crate::limits::CLIENT_SEED_BYTES_MAX;

/// A secret of 32 random bytes; 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed([u8; 32]);

impl Seed {
    /// Creates a seed from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns a server seed of the economy whose secret this is.
    #[must_use]
    pub fn server_seed(&self, number: u64) -> Self {
        let mut mac = self.mac();
        // This prefix and that of draws differ, so that no draw can show the bytes of a server seed.
        mac.update(b"bursar-seed-1");
        mac.update(&number.to_be_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// Returns the commitment to a server seed, which is public before the seed is used: the SHA-256 of its
    /// bytes.
    pub fn commitment(&self) -> Digest {
        Digest::of(&self.0)
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length")
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        hex::encode(seed.0)
    }
}

impl TryFrom<String> for Seed {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// A member's contribution to draws: 1 to [`CLIENT_SEED_BYTES_MAX`] printable ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientSeedText(Arc<str>);

/// The error of a text that is not a client seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a client seed has 1 to {CLIENT_SEED_BYTES_MAX} printable ASCII characters")]
pub struct ClientSeedError;

impl ClientSeedText {
    /// Returns the text.
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }
}

impl TryFrom<String> for ClientSeedText {
    type Error = ClientSeedError;

    fn try_from(text: String) -> Result<Self, ClientSeedError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if (1..=CLIENT_SEED_BYTES_MAX).contains(&text.len()) && printable {
            Ok(Self(text.into()))
        } else {
            Err(ClientSeedError)
        }
    }
}

impl From<ClientSeedText> for String {
    fn from(seed: ClientSeedText) -> Self {
        seed.0.as_ref().into()
    }
}

/// The origin of a call's draws. It is chosen at the first draw, and every later attempt uses it again while
/// it can commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrawOrigin {
    /// The number of the server seed.
    pub seed: u64,
    /// The nonce, which no other call has.
    pub nonce: u64,
    /// The client seed of the caller.
    pub client_seed: Arc<str>,
    /// True if the caller chose the client seed after the commitment to the server seed. Otherwise the
    /// operator could have known the client seed when the server seed was made.
    pub by_member: bool,
}

/// The inputs of one draw.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The server seed.
    pub server_seed: &'a Seed,
    /// The component that draws.
    pub component: &'a Digest,
    /// The client seed of the caller.
    pub client_seed: &'a str,
    /// The nonce of the call.
    pub nonce: u64,
    /// The text that the component has mixed into the draws of this call.
    pub mixed: &'a str,
    /// The label of the draw.
    pub label: &'a str,
    /// The index of the draw in its call, counted from 0.
    pub index: u32,
}

impl Draw<'_> {
    /// Draws a number from 0 to `range` − 1, each equally likely. A range of 0 counts as 1.
    pub fn below(&self, range: u32) -> u32 {
        self.numbers().below(range)
    }

    /// Draws an order of the numbers from 0 to `count` − 1, each equally likely, by the algorithm of Fisher
    /// and Yates.
    pub fn shuffle(&self, count: u32) -> Vec<u32> {
        let mut numbers = self.numbers();
        let mut order: Vec<u32> = (0..count).collect();
        for last in (1..order.len()).rev() {
            let range = u32::try_from(last).map_or(u32::MAX, |last| last.saturating_add(1));
            let chosen = usize::try_from(numbers.below(range)).unwrap_or(last);
            order.swap(last, chosen);
        }
        order
    }

    /// Draws `count` bytes.
    pub fn bytes(&self, count: u32) -> Vec<u8> {
        let mut numbers = self.numbers();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let words = count.div_ceil(8);
        let words = (0..words).flat_map(|_| numbers.next_word().to_be_bytes());
        words.take(count).collect()
    }

    fn numbers(&self) -> Numbers<'_> {
        Numbers {
            draw: self,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    /// Returns a block of 32 pseudo-random bytes. Each text is preceded by its length, so that different
    /// inputs never hash the same bytes.
    fn block(&self, block: u32) -> [u8; 32] {
        let mut mac = self.server_seed.mac();
        mac.update(b"bursar-draw-1");
        mac.update(self.component.as_bytes());
        mac.update(&self.nonce.to_be_bytes());
        for text in [self.client_seed, self.mixed, self.label] {
            let length = u64::try_from(text.len()).expect("lengths fit 64 bits");
            mac.update(&length.to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac.update(&self.index.to_be_bytes());
        mac.update(&block.to_be_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// The sequence of numbers of one draw, four to a block.
struct Numbers<'a> {
    draw: &'a Draw<'a>,
    block: u32,
    words: [u64; 4],
    used: usize,
}

impl Numbers<'_> {
    fn next_word(&mut self) -> u64 {
        let Some(word) = self.words.get(self.used) else {
            let bytes = self.draw.block(self.block);
            let (words, _) = bytes.as_chunks::<8>();
            for (word, bytes) in self.words.iter_mut().zip(words) {
                *word = u64::from_be_bytes(*bytes);
            }
            self.block = self.block.saturating_add(1);
            self.used = 1;
            let [first, ..] = self.words;
            return first;
        };
        self.used = self.used.saturating_add(1);
        *word
    }

    fn below(&mut self, range: u32) -> u32 {
        below(range, || self.next_word())
    }
}

/// Returns a uniform number below `range`.
///
/// Rejection sampling: the largest multiple of `range` is found below 2^64, and words at or above it are
/// skipped.
pub(crate) fn below(range: u32, mut next_word: impl FnMut() -> u64) -> u32 {
    let range = u64::from(range.max(1));
    // Words above the last whole multiple of the range would make small numbers more likely (modulo bias).
    let limit = u64::MAX
        .checked_rem(range)
        .map_or(0, |rest| u64::MAX.saturating_sub(rest));
    loop {
        let number = next_word();
        if number < limit {
            let drawn = number.checked_rem(range).unwrap_or(0);
            return u32::try_from(drawn).expect("a draw is below its range");
        }
    }
}
