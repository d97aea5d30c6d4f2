//! The text form of API keys: `bursar_{id}_{secret}`, with a secret of 64 hexadecimal digits.

use bursar_ledger::{Digest, KeyId};
use subtle::ConstantTimeEq;

/// An API key with its secret. The server stores only the hash of the secret.
pub struct Secret {
    id: KeyId,
    secret: String,
}

impl Secret {
    /// Creates a key from random bytes.
    pub fn new(id: KeyId, random: [u8; 32]) -> Self {
        Self {
            id,
            secret: hex::encode(random),
        }
    }

    /// Parses a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("bursar_")?.rsplit_once('_')?;
        Some(Self {
            id: id.parse().ok()?,
            secret: secret.into(),
        })
    }

    /// Returns the id, which is not secret.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the text of the key, for its holder only.
    pub fn reveal(&self) -> String {
        format!("bursar_{}_{}", self.id, self.secret)
    }

    /// Returns the hash of the secret.
    pub fn hash(&self) -> Digest {
        Digest::of(self.secret.as_bytes())
    }

    /// Compares the hash of the secret with a stored one, in constant time.
    pub fn matches(&self, stored: &Digest) -> bool {
        self.hash().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_from_its_text() {
        let id: KeyId = "my_bot".parse().expect("an id");
        let key = Secret::new(id.clone(), [9; 32]);
        let read = Secret::parse(&key.reveal()).expect("a key");
        assert_eq!(read.id(), &id);
        assert!(read.matches(&key.hash()));
        assert!(!read.matches(&Digest::of(b"another")));
        for wrong in ["", "bursar_", "bursar_x", "x_y_z"] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
    }
}
