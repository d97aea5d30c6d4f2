//! Decisions on quotas.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::quota::QuotaPatch;

use super::verdict::Verdict;

/// Decides new quotas. A quota below the amount in use is allowed and only stops growth.
pub(super) fn set(books: &Books, patch: &QuotaPatch) -> Verdict {
    let quotas = books.quotas().patched(patch);
    if quotas == *books.quotas() {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(Change::QuotasSet { quotas }, false))
}
