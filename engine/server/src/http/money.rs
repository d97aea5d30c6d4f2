//! Properties that all routes share which move or reserve money.

use axum::http::StatusCode;
use schemars::JsonSchema;

use super::api::route::Route;
use super::extract::Preview;

/// The codes of rejections that every movement of money can have.
pub(super) const REJECTIONS: &[&str] = &[
    "account_closed",
    "account_frozen",
    "account_not_found",
    "asset_not_found",
    "budget_exceeded",
    "ceiling_exceeded",
    "economy_closed",
    "economy_frozen",
    "insufficient_funds",
    "issuer_account",
    "plugin_account",
    "plugin_hold",
    "quota_reached",
    "reserved_account",
    "state_quota",
    "supply_limit",
    "transfer_cap",
];

/// The codes of conflicts that every movement of money can have.
pub(super) const CONFLICTS: &[&str] = &["plugin_disabled"];

/// The codes of rejections of a capture, in addition to [`REJECTIONS`].
pub(super) const HOLD_REJECTIONS: &[&str] = &["hold_exceeded"];

/// The codes of conflicts with the state of a hold.
pub(super) const HOLD_CONFLICTS: &[&str] = &["hold_closed"];

/// The codes of conflicts with the state of a transfer.
pub(super) const REVERSAL_CONFLICTS: &[&str] = &["already_reversed", "reversal_final"];

/// Adds the properties that all routes share which move or reserve money. `P` is the body of a
/// preview.
pub(super) fn moves_money<P: JsonSchema>(route: Route) -> Route {
    route
        .query::<Preview>()
        .keyed()
        .answers::<P>(StatusCode::OK, "The result of a preview.")
        .error(StatusCode::UNPROCESSABLE_ENTITY, REJECTIONS)
        .writes()
}
