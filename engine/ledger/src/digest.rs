//! SHA-256 digests, which name bytes and link records.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest; 64 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest that the first record links to.
    pub const ZERO: Self = Self([0; 32]);

    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Creates a digest from its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if !text.bytes().any(|b| b.is_ascii_uppercase()) => Ok(Self(bytes)),
            _ => Err("a digest is 64 lower-case hexadecimal digits"),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A hash of fields. Each text is preceded by its length and each number has eight bytes, so that different
/// lists of fields never hash the same bytes.
pub struct Sha256Writer {
    hash: Sha256,
    /// Fields that are not hashed yet, at the front. Most fields are short, and each update of the hash costs more
    /// than a copy of their bytes.
    fields: [u8; FIELDS_BYTES],
    /// The length of those fields.
    filled: usize,
}

/// The bytes of fields that are hashed at once.
const FIELDS_BYTES: usize = 512;

impl Sha256Writer {
    /// Creates a hash. `domain` names the kind of data, so that hashes of different kinds never collide.
    pub fn new(domain: &str) -> Self {
        let mut writer = Self {
            hash: Sha256::new(),
            fields: [0; FIELDS_BYTES],
            filled: 0,
        };
        writer.text(domain);
        writer
    }

    /// Adds a text or bytes.
    pub fn text(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.number(u64::try_from(bytes.len()).expect("lengths fit 64 bits"));
        self.add(bytes);
    }

    /// Adds a text that may be absent.
    pub fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.add(&number.to_be_bytes());
    }

    /// Adds a balance.
    pub fn balance(&mut self, balance: i64) {
        self.add(&balance.to_be_bytes());
    }

    fn add(&mut self, bytes: &[u8]) {
        let end = self.filled.saturating_add(bytes.len());
        if let Some(free) = self.fields.get_mut(self.filled..end) {
            free.copy_from_slice(bytes);
            self.filled = end;
        } else {
            self.flush();
            self.hash.update(bytes);
        }
    }

    fn flush(&mut self) {
        let fields = self.fields.get(..self.filled);
        self.hash.update(fields.unwrap_or_default());
        self.filled = 0;
    }

    /// Returns the digest of everything added.
    pub fn finish(mut self) -> Digest {
        self.flush();
        Digest(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_length_are_hashed_in_their_order() {
        let text = [7; 2 * FIELDS_BYTES];
        for first in [0, 1, FIELDS_BYTES - 40, FIELDS_BYTES - 1, FIELDS_BYTES] {
            for second in [0, 8, 31, 32, FIELDS_BYTES, 2 * FIELDS_BYTES] {
                let mut writer = Sha256Writer::new("test");
                let mut plain = Sha256::new();
                let mut add = |bytes: &[u8]| {
                    plain.update((bytes.len() as u64).to_be_bytes());
                    plain.update(bytes);
                };
                add(b"test");
                for length in [first, second, 3] {
                    let field = text.get(..length).expect("the longest field");
                    writer.text(field);
                    add(field);
                }
                writer.number(9);
                writer.balance(-9);
                plain.update(9_u64.to_be_bytes());
                plain.update((-9_i64).to_be_bytes());
                let expected = Digest(plain.finalize().into());
                assert_eq!(writer.finish(), expected, "{first} {second}");
            }
        }
    }
}
