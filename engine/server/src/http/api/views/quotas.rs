//! Response bodies about the quotas of an economy.

use std::collections::BTreeMap;

use bursar_ledger::{Books, Quota, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// A quota of an economy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quota")]
pub(crate) struct QuotaView {
    /// The present limit.
    limit: u64,
    /// The present use. The use of `streams` is present in the response to a GET only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<u64>,
    /// The limit if none was set.
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

/// Returns the quotas of an economy with their use at a time.
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
