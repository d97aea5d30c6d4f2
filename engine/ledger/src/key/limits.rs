//! What a key may do at most: how much it may move in one request, and how often it may ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::amount::Limit;
use crate::id::AssetId;
use crate::limits::{AMOUNT_MAX, RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX, TRANSFER_CAP_ASSETS_MAX};
use crate::movement::Posting;
use crate::rejection::Rejection;

/// The most that one request may move, gross, per asset: what comes back makes no room again. An
/// asset that it does not name may not move at all. It travels with each act, so that a record
/// explains itself whatever becomes of the key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<AssetId, Limit>")]
pub struct TransferCap(Arc<BTreeMap<AssetId, Limit>>);

/// A cap that names too many assets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a transfer cap names at most {TRANSFER_CAP_ASSETS_MAX} assets")]
pub struct TransferCapError;

impl TryFrom<BTreeMap<AssetId, Limit>> for TransferCap {
    type Error = TransferCapError;

    fn try_from(caps: BTreeMap<AssetId, Limit>) -> Result<Self, TransferCapError> {
        if caps.len() > TRANSFER_CAP_ASSETS_MAX {
            return Err(TransferCapError);
        }
        Ok(Self(Arc::new(caps)))
    }
}

impl TransferCap {
    /// The caps by asset; what is not in it may not move.
    pub fn caps(&self) -> &BTreeMap<AssetId, Limit> {
        &self.0
    }

    /// Refuses what one request would move beyond the cap: the first asset of which that is so.
    pub(crate) fn check(&self, postings: &[Posting]) -> Result<(), Rejection> {
        self.check_more(&mut BTreeMap::new(), postings)
    }

    /// The same of a part of a request, with what its other parts so far have moved.
    pub(crate) fn check_more<'a>(
        &self,
        moved: &mut BTreeMap<&'a AssetId, u64>,
        postings: &'a [Posting],
    ) -> Result<(), Rejection> {
        for Posting { asset, amount, .. } in postings {
            let sum = moved.entry(asset).or_default();
            *sum = sum.saturating_add(amount.get());
        }
        for Posting { asset, .. } in postings {
            let cap = self.0.get(asset).copied().unwrap_or(Limit::ZERO);
            let asked = moved.get(asset).copied().unwrap_or(0);
            if asked > cap.get() {
                // A sum beyond all amounts is told as the largest of them.
                let asked = Limit::new(asked.min(AMOUNT_MAX)).unwrap_or(Limit::MAX);
                let asset = asset.clone();
                return Err(Rejection::TransferCap { asset, cap, asked });
            }
        }
        Ok(())
    }
}

/// How often a key may ask: so many requests at once, which come back evenly over a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawRate")]
pub struct RateLimit {
    requests: u32,
    per_s: u32,
}

/// A rate limit as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    requests: u32,
    per_s: u32,
}

/// Numbers that are no rate limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a rate limit has 1 to {RATE_REQUESTS_MAX} `requests` and 1 to {RATE_PERIOD_S_MAX} seconds as \
     `per_s`"
)]
pub struct RateLimitError;

impl TryFrom<RawRate> for RateLimit {
    type Error = RateLimitError;

    fn try_from(raw: RawRate) -> Result<Self, RateLimitError> {
        Self::new(raw.requests, raw.per_s)
    }
}

impl RateLimit {
    /// So many requests in so many seconds.
    pub fn new(requests: u32, per_s: u32) -> Result<Self, RateLimitError> {
        let requests_fit = (1..=RATE_REQUESTS_MAX).contains(&requests);
        if !requests_fit || !(1..=RATE_PERIOD_S_MAX).contains(&per_s) {
            return Err(RateLimitError);
        }
        Ok(Self { requests, per_s })
    }

    /// Requests that may be made at once.
    pub fn requests(self) -> u32 {
        self.requests
    }

    /// Seconds in which all of them come back.
    pub fn per_s(self) -> u32 {
        self.per_s
    }
}
