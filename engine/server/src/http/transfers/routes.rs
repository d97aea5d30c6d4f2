//! The routes of transfers, described.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use schemars::JsonSchema;
use serde_json::json;

use super::{IssueBody, TransferBody, burn, issue, transfer};
use crate::http::api::route::{Resource, Route};
use crate::http::extract::Preview;
use crate::http::render::{TransferPreview, TransferView};
use crate::http::{batches, opening, outcomes, reversals};

/// What the ledger may refuse of whatever moves money.
pub(in crate::http) const REFUSALS: &[&str] = &[
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

/// What may contradict how things stand.
pub(in crate::http) const CONFLICTS: &[&str] = &["plugin_disabled"];

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "transfers",
        about: "A transfer is an atomic set of postings. What is issued is born on the asset's \
                issuer, and what is burned returns there.",
        routes: vec![
            transfer_route(),
            batches::route(),
            reversals::read_route(),
            reversals::reverse_route(),
            issue_route(),
            opening::route(),
            burn_route(),
            outcomes::route(),
        ],
    }
}

/// What is said of each route that moves money or reserves it: its preview answers a `P`.
pub(in crate::http) fn moves_money<P: JsonSchema>(route: Route) -> Route {
    route
        .query::<Preview>()
        .keyed()
        .answers::<P>(
            StatusCode::OK,
            "What would have happened: it was a preview.",
        )
        .error(StatusCode::UNPROCESSABLE_ENTITY, REFUSALS)
        .writes()
}

fn transfer_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/transfers", transfer)
        .operation(
            "create_transfer",
            "Transfer between accounts",
            "All postings move, in this order, or none. Issuers cannot be named, and a plugin's \
             accounts are debited with the scope `admin` only.",
        )
        .needs(Scope::Transfer)
        .body::<TransferBody>(
            "pay",
            json!({ "postings": [
                { "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30 },
            ]}),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.")
        .example(json!({
            "id": "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f", "seq": 7,
            "recorded_at": 1_764_025_200_000_u64,
            "postings": [{ "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30 }],
            "balances": { "user:1": { "coin": 170 }, "user:2": { "coin": 30 } },
        }));
    moves_money::<TransferPreview>(route)
}

fn issue_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/issue", issue)
        .operation(
            "issue",
            "Bring some of an asset into circulation",
            "From the asset's issuer to an account, up to the asset's maximum supply.",
        )
        .needs(Scope::Issue)
        .body::<IssueBody>(
            "welcome",
            json!({ "account": "user:1", "asset": "coin", "amount": 200, "memo": "welcome" }),
        )
        .or_body(
            "stock",
            json!({ "account": "plugin:shop", "asset": "item:potion", "amount": 10 }),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.");
    moves_money::<TransferPreview>(route)
}

fn burn_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/burn", burn)
        .operation(
            "burn",
            "Take some of an asset out of circulation",
            "From an account back to the asset's issuer.",
        )
        .needs(Scope::Issue)
        .body::<IssueBody>(
            "fee",
            json!({ "account": "user:1", "asset": "coin", "amount": 5 }),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.");
    moves_money::<TransferPreview>(route)
}
