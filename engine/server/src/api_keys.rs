//! API keys as text: `bursar_{id}_{secret}`, the secret being 64 hexadecimal digits.

use bursar_ledger::{Digest, KeyId};
use subtle::ConstantTimeEq;

/// A key as its holder has it. It is shown once and never kept.
pub struct Secret {
    id: KeyId,
    secret: String,
}

impl Secret {
    /// A key with some randomness.
    pub fn new(id: KeyId, random: [u8; 32]) -> Self {
        Self {
            id,
            secret: hex::encode(random),
        }
    }

    /// A key as it came in a request.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("bursar_")?.rsplit_once('_')?;
        Some(Self {
            id: id.parse().ok()?,
            secret: secret.into(),
        })
    }

    /// The public part.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key as text, for its holder's eyes.
    pub fn reveal(&self) -> String {
        format!("bursar_{}_{}", self.id, self.secret)
    }

    /// What is kept of the secret.
    pub fn hash(&self) -> Digest {
        Digest::of(self.secret.as_bytes())
    }

    /// Whether this is the secret whose hash is kept, in constant time.
    pub fn matches(&self, kept: &Digest) -> bool {
        self.hash().as_bytes().ct_eq(kept.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
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
