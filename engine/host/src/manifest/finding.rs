//! The findings of a manifest.

use crate::report::Finding;
use crate::text::excerpt;

/// Returns a finding. The message may quote the manifest, so it is escaped and cut.
pub(super) fn invalid(message: impl AsRef<str>) -> Finding {
    Finding::new("manifest_invalid", excerpt(message.as_ref()))
}
