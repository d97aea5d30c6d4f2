//! The bearer token of the server's owner.

use bursar_ledger::Digest;
use subtle::ConstantTimeEq;

/// The bearer token of the server's owner, for the commands of the `bursar` program. The server
/// stores it in the lock file, which only the owner's user can read, and creates a new one at each
/// start.
pub struct OwnerToken(Digest);

impl OwnerToken {
    /// Creates the token. Only its hash is kept in memory.
    pub fn new(token: &str) -> Self {
        Self(Digest::of(token.as_bytes()))
    }

    /// Compares in constant time, so that response times reveal nothing about the token.
    pub(super) fn matches(&self, token: &str) -> bool {
        Digest::of(token.as_bytes())
            .as_bytes()
            .ct_eq(self.0.as_bytes())
            .into()
    }
}
