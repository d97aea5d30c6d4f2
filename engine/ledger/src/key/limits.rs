//! Limits of API keys: transfer caps and rate limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::amount::Limit;
use crate::id::AssetId;
use crate::limits::{AMOUNT_MAX, RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX, TRANSFER_CAP_ASSETS_MAX};
use crate::movement::Posting;
use crate::rejection::Rejection;

/// The most that one request may move, by asset. An amount counts even if a later posting of the request
/// returns it. An asset without an entry may not move.
///
/// The cap is part of the act, so that a record can be verified without the key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<AssetId, Limit>")]
pub struct TransferCap(Arc<BTreeMap<AssetId, Limit>>);

/// The error of a cap with too many assets.
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
    /// Returns the caps by asset.
    pub fn caps(&self) -> &BTreeMap<AssetId, Limit> {
        &self.0
    }

    /// Checks the postings of one request. The rejection names the first asset above its cap.
    pub(crate) fn check(&self, postings: &[Posting]) -> Result<(), Rejection> {
        self.check_more(&mut BTreeMap::new(), postings)
    }

    /// Checks a part of a request, with the amounts that its earlier parts have moved.
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
            let total = moved.get(asset).copied().unwrap_or(0);
            if total > cap.get() {
                // The sum may exceed the range of amounts; the rejection shows the largest amount instead.
                let asked = Limit::new(total.min(AMOUNT_MAX)).unwrap_or(Limit::MAX);
                let asset = asset.clone();
                return Err(Rejection::TransferCap { asset, cap, asked });
            }
        }
        Ok(())
    }
}

/// A rate limit: a number of requests at once, which are regained evenly over a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawRate")]
pub struct RateLimit {
    requests: u32,
    per_s: u32,
}

/// The JSON form of a rate limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    requests: u32,
    per_s: u32,
}

/// The error of numbers that are not a rate limit.
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
    /// Creates a limit of `requests` in `per_s` seconds.
    pub fn new(requests: u32, per_s: u32) -> Result<Self, RateLimitError> {
        let requests_fit = (1..=RATE_REQUESTS_MAX).contains(&requests);
        if !requests_fit || !(1..=RATE_PERIOD_S_MAX).contains(&per_s) {
            return Err(RateLimitError);
        }
        Ok(Self { requests, per_s })
    }

    /// Returns the number of requests that may be made at once.
    pub fn requests(self) -> u32 {
        self.requests
    }

    /// Returns the seconds in which all requests are regained.
    pub fn per_s(self) -> u32 {
        self.per_s
    }
}
