//! The identity of an index: the log that it belongs to, and the secret of its fingerprints and checksums.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The log that an index belongs to, as the index sees it.
pub(crate) trait LogIdentity {
    /// The error of a read of the log.
    type Error;

    /// Returns the random number that the file was created with.
    fn file_id(&self) -> [u8; 16];
    /// Returns the hash of the log up to a record, or `None` if the log has no such record.
    fn head_at(&self, record: u64) -> Result<Option<[u8; 32]>, Self::Error>;
    /// Returns the number of records.
    fn records(&self) -> u64;
}

/// The log of an index, and the secret that the index was created with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexIdentity {
    /// The file of the log.
    pub(super) file_id: [u8; 16],
    /// The secret. With it unknown, no client can choose keys with equal fingerprints.
    pub(super) secret: [u8; 16],
}

impl IndexIdentity {
    /// Returns the fingerprint of an idempotency key.
    pub(super) fn of_key(&self, economy: u32, key: &str) -> u64 {
        self.fingerprint(*b"k", economy, key.as_bytes())
    }

    /// Returns the fingerprint of an id.
    pub(super) fn of_id(&self, economy: u32, id: &[u8; 16]) -> u64 {
        self.fingerprint(*b"i", economy, id)
    }

    fn fingerprint(&self, domain: [u8; 1], economy: u32, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write(&domain);
        hasher.write(&economy.to_le_bytes());
        hasher.write(bytes);
        hasher.finish()
    }

    /// Returns the checksum that all checksums of one file begin with.
    ///
    /// With it a page that stands in another file, or in a file of the same name of another index, is damaged.
    pub(super) fn seed(&self, kind: u8, number: u64) -> u32 {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&self.file_id);
        checksum.update(&self.secret);
        checksum.update(&[kind]);
        checksum.update(&number.to_le_bytes());
        checksum.finalize()
    }
}
