//! The arguments of the auction's actions.

use bursar_plugin::prelude::*;

/// The arguments of `open`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenArguments {
    /// The asset for sale.
    pub(crate) asset: Asset,
    /// The amount for sale.
    pub(crate) amount: Amount,
    /// The smallest first bid.
    pub(crate) reserve: Amount,
    /// The seconds until the end: at most 30 days.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub(crate) lasts_s: u64,
}

/// The arguments of `bid`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BidArguments {
    /// The number of the lot.
    pub(crate) lot: u64,
    /// The amount of the bid.
    pub(crate) amount: Amount,
}

/// The arguments of actions on one lot.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LotArguments {
    /// The number of the lot.
    pub(crate) lot: u64,
}
