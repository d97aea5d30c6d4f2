//! Draws: a keyed hash of an economy's secret, made even by rejection sampling.
//!
//! A draw depends on the economy's seed, the plugin, the caller, the idempotency key and the number
//! of the draw in the call. So every try of a call, also after a crash, draws the same, and nobody
//! who does not know the seed can tell a draw before it is made.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::call::CallRequest;

/// An economy's secret: 32 random bytes, 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
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

/// Draw number `index` of a call: a number from 0 to `range` − 1, each equally likely; a range of 0
/// is taken for 1.
pub fn draw_below(seed: &Seed, call: &CallRequest, index: u64, range: u32) -> u32 {
    let range = u64::from(range.max(1));
    // Numbers above the last whole multiple of the range would make the small ones likelier.
    let unfair_from = u64::MAX
        .checked_rem(range)
        .map_or(0, |rest| u64::MAX.saturating_sub(rest));
    let mut block: u64 = 0;
    loop {
        let number = hash_block(seed, call, index, block);
        if number < unfair_from {
            let drawn = number.checked_rem(range).unwrap_or(0);
            return u32::try_from(drawn).expect("a draw is below its range");
        }
        block = block.saturating_add(1);
    }
}

fn hash_block(seed: &Seed, call: &CallRequest, index: u64, block: u64) -> u64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(&seed.0).expect("HMAC takes keys of any length");
    mac.update(b"bursar-draw-0");
    for text in [call.plugin.as_str(), call.caller.as_str(), &call.key] {
        let length = u64::try_from(text.len()).expect("lengths fit 64 bits");
        mac.update(&length.to_be_bytes());
        mac.update(text.as_bytes());
    }
    mac.update(&index.to_be_bytes());
    mac.update(&block.to_be_bytes());
    let hash: [u8; 32] = mac.finalize().into_bytes().into();
    let (first, _) = hash.split_first_chunk::<8>().expect("a hash has 32 bytes");
    u64::from_be_bytes(*first)
}
