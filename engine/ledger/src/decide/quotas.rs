//! Changes of an economy's quotas.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::quota::QuotaPatch;

use super::verdict::Verdict;

/// A quota may be set below what is in use: then nothing more comes until there is room again.
pub(super) fn set(books: &Books, patch: &QuotaPatch) -> Verdict {
    let quotas = books.quotas().patched(patch);
    if quotas == *books.quotas() {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(Change::QuotasSet { quotas }, false))
}
