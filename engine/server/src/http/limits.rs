//! Limits that several resources share.

/// The largest body of most requests, in bytes. Uploads and batches have limits of their own.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest integer that every JSON implementation preserves (RFC 8259, section 6).
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;
