//! The descriptions of the routes that move money.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::json;

use super::{IssueBody, TransferBody, burn, issue, transfer};
use crate::http::api::route::{Resource, Route};
use crate::http::money::moves_money;
use crate::http::render::{TransferPreview, TransferView};
use crate::http::{batches, opening, outcomes, reversals};

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "transfers",
        about: "A transfer is an atomic set of postings. Issuing moves an amount from the asset's \
                issuer into circulation; burning moves it back.",
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

fn transfer_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/transfers", transfer)
        .operation(
            "create_transfer",
            "Create a transfer",
            "Applies all postings in this order, or none. Postings cannot name issuers. Debiting a \
             plugin's account requires the scope `admin`.",
        )
        .needs(Scope::Transfer)
        .body::<TransferBody>(
            "pay",
            json!({ "postings": [
                { "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30 },
            ]}),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "The transfer was committed.")
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
            "Issue",
            "Moves an amount from the asset's issuer to an account, which increases the amount in \
             circulation, up to the asset's `max_supply`.",
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
        .answers::<TransferView<'static>>(StatusCode::CREATED, "The amount was issued.");
    moves_money::<TransferPreview>(route)
}

fn burn_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/burn", burn)
        .operation(
            "burn",
            "Burn",
            "Moves an amount from an account back to the asset's issuer, which decreases the \
             amount in circulation.",
        )
        .needs(Scope::Issue)
        .body::<IssueBody>(
            "fee",
            json!({ "account": "user:1", "asset": "coin", "amount": 5 }),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "The amount was burned.");
    moves_money::<TransferPreview>(route)
}
