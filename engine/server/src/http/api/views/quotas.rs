//! The quotas of an economy.

use std::collections::BTreeMap;

use bursar_ledger::{Books, Quota, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// One quota of an economy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quota")]
pub(crate) struct QuotaView {
    /// The most that the economy may keep.
    limit: u64,
    /// The amount that it keeps. Open event streams are counted by GET only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<u64>,
    /// The limit where none was set.
    default: u64,
    /// The highest limit that can be set.
    max: u64,
}

/// The quotas of an economy, by name.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quotas")]
pub(crate) struct QuotasView {
    #[schemars(with = "BTreeMap<String, QuotaView>")]
    pub(crate) quotas: BTreeMap<&'static str, QuotaView>,
}

/// The quotas of some books, with what is in use at a moment.
pub(crate) fn quotas(books: &Books, at: Timestamp) -> QuotasView {
    let view = |quota: Quota| QuotaView {
        limit: books.quota(quota),
        used: books.used(quota, at),
        default: quota.default_limit(),
        max: quota.max_limit(),
    };
    let quotas = Quota::ALL.map(|quota| (quota.name(), view(quota)));
    QuotasView {
        quotas: BTreeMap::from(quotas),
    }
}
