//! Response bodies about holds.

use bursar_ledger::{
    AccountId, Amount, AssetId, Hold, HoldEnd, HoldId, OnExpiry, PluginName, Timestamp,
};
use bursar_storage::HoldHistory;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// `open`: the remaining amount can be captured or released. `captured`: the whole amount was
/// captured. `released`: the remaining amount was released. `expired`: the hold reached its expiry.
#[derive(Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HoldStatus {
    Open,
    Captured,
    Released,
    Expired,
}

impl From<HoldEnd> for HoldStatus {
    fn from(end: HoldEnd) -> Self {
        match end {
            HoldEnd::Captured => Self::Captured,
            HoldEnd::Released => Self::Released,
            HoldEnd::Expired => Self::Expired,
        }
    }
}

/// A hold: an amount that is reserved on one account for another.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Hold")]
pub(crate) struct HoldView<'a> {
    #[schemars(with = "schemas::Uuid")]
    id: HoldId,
    #[serde(flatten)]
    terms: HoldTerms<'a>,
}

/// The terms and the present state of a hold.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HoldTerms<'a> {
    status: HoldStatus,
    /// The account on which the amount is reserved.
    #[schemars(with = "schemas::AccountName")]
    from: &'a AccountId,
    /// The account that receives captured amounts.
    #[schemars(with = "schemas::AccountName")]
    to: &'a AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    /// The amount that was reserved when the hold was placed.
    #[schemars(with = "schemas::Amount")]
    amount: Amount,
    /// The amount that was captured.
    #[schemars(with = "schemas::Limit")]
    captured: u64,
    /// The amount that is still reserved.
    #[schemars(with = "schemas::Limit")]
    remaining: u64,
    #[schemars(with = "schemas::Timestamp")]
    placed_at: Timestamp,
    /// The time of expiry. From then on the hold cannot be captured.
    #[schemars(with = "schemas::Timestamp")]
    expires_at: Timestamp,
    #[schemars(with = "schemas::OnExpiry")]
    on_expiry: OnExpiry,
    /// The plugin that placed the hold. Only this plugin, or a key with the scope `admin`, can end
    /// it before its expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::PluginName")]
    plugin: Option<&'a PluginName>,
    /// The time at which the hold ended; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Timestamp")]
    ended_at: Option<Timestamp>,
}

/// Converts an open hold.
pub(crate) fn hold(id: HoldId, hold: &Hold) -> HoldView<'_> {
    let posting = hold.reservation.posting();
    let terms = HoldTerms {
        status: HoldStatus::Open,
        from: &posting.source,
        to: &posting.destination,
        asset: &posting.asset,
        amount: posting.amount,
        captured: posting.amount.get().saturating_sub(hold.remaining.get()),
        remaining: hold.remaining.get(),
        placed_at: hold.placed_at,
        expires_at: hold.expires_at,
        on_expiry: hold.on_expiry,
        plugin: hold.plugin.as_ref(),
        ended_at: None,
    };
    HoldView { id, terms }
}

/// Converts the history of a hold.
pub(crate) fn past_hold(id: HoldId, history: &HoldHistory) -> HoldView<'_> {
    let HoldHistory {
        placed,
        captured,
        ended,
    } = history;
    let left = placed.remaining.get().saturating_sub(*captured);
    let mut view = hold(id, placed);
    view.terms.captured = *captured;
    view.terms.remaining = ended.map_or(left, |_| 0);
    if let Some((end, at)) = ended {
        view.terms.status = HoldStatus::from(*end);
        view.terms.ended_at = Some(*at);
    }
    view
}

/// The remaining amount of a hold.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HoldLeft")]
pub(crate) struct HoldLeftView {
    #[schemars(with = "schemas::Uuid")]
    pub(crate) id: HoldId,
    pub(crate) status: HoldStatus,
    /// The amount that is still reserved.
    #[schemars(with = "schemas::Limit")]
    pub(crate) remaining: u64,
}
