//! Holds.

use bursar_ledger::{
    AccountId, Amount, AssetId, Hold, HoldEnd, HoldId, OnExpiry, PluginName, Timestamp,
};
use bursar_storage::HoldHistory;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::shapes;

/// `open`: what is left can be captured or released. `captured`: all of it was. `released`: what was
/// left was. `expired`: its time was over.
#[derive(Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum HoldStatus {
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

/// An amount that is reserved on one account for another.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Hold")]
pub(in crate::http) struct HoldView<'a> {
    #[schemars(with = "shapes::Uuid")]
    id: HoldId,
    #[serde(flatten)]
    terms: HoldTerms<'a>,
}

/// What is reserved, for whom and until when, and what has become of it.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct HoldTerms<'a> {
    status: HoldStatus,
    /// The account on which it is reserved.
    #[schemars(with = "shapes::AccountName")]
    from: &'a AccountId,
    /// The account that gets what is captured.
    #[schemars(with = "shapes::AccountName")]
    to: &'a AccountId,
    #[schemars(with = "shapes::AssetName")]
    asset: &'a AssetId,
    /// What was reserved at first.
    #[schemars(with = "shapes::Amount")]
    amount: Amount,
    /// What was captured of it.
    #[schemars(with = "shapes::Limit")]
    captured: u64,
    /// What is still reserved.
    #[schemars(with = "shapes::Limit")]
    remaining: u64,
    #[schemars(with = "shapes::Timestamp")]
    placed_at: Timestamp,
    /// From when on it cannot be captured any more.
    #[schemars(with = "shapes::Timestamp")]
    expires_at: Timestamp,
    #[schemars(with = "shapes::OnExpiry")]
    on_expiry: OnExpiry,
    /// The plugin that placed it, and alone ends it before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::PluginName")]
    plugin: Option<&'a PluginName>,
    /// When it ended; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Timestamp")]
    ended_at: Option<Timestamp>,
}

/// An open hold.
pub(in crate::http) fn hold(id: HoldId, hold: &Hold) -> HoldView<'_> {
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

/// A hold as it was placed, and what has become of it.
pub(in crate::http) fn past_hold(id: HoldId, history: &HoldHistory) -> HoldView<'_> {
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

/// What is left of a hold.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HoldLeft")]
pub(in crate::http) struct HoldLeftView {
    #[schemars(with = "shapes::Uuid")]
    pub(in crate::http) id: HoldId,
    pub(in crate::http) status: HoldStatus,
    /// What is still reserved.
    #[schemars(with = "shapes::Limit")]
    pub(in crate::http) remaining: u64,
}
