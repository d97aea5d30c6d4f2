//! The routes of holds, described.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::{Value, json};

use super::{CaptureBody, HoldBody, HoldList, HoldsQuery, ReleaseBody};
use super::{capture, list, place, read, release};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::HoldView;
use crate::http::extract::Preview;
use crate::http::render::{CaptureView, EndPreview, HoldPreview, PlacedView, ReleaseAnswer};
use crate::http::transfers::{self, moves_money};

/// What the ledger may refuse of a hold, beside what it may refuse of a transfer.
pub(in crate::http) const REFUSALS: &[&str] = &["hold_exceeded"];

/// What may contradict how a hold stands.
pub(in crate::http) const CONFLICTS: &[&str] = &["hold_closed"];

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "holds",
        about: "A hold reserves an amount on one account for another, until it is captured, \
                released, or its time is over.",
        routes: vec![
            place_route(),
            list_route(),
            read_route(),
            capture_route(),
            release_route(),
        ],
    }
}

fn example() -> Value {
    json!({
        "id": "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a11", "status": "open",
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 20,
        "captured": 5, "remaining": 15,
        "placed_at": 1_764_025_200_000_u64, "expires_at": 1_764_028_800_000_u64,
        "on_expiry": "release",
    })
}

fn place_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/holds", place)
        .operation(
            "place_hold",
            "Reserve an amount",
            "It stays on the account and cannot be spent, until it is captured, released, or its \
             time is over; then `on_expiry` says what becomes of it.",
        )
        .needs(Scope::Transfer)
        .body::<HoldBody>(
            "bid",
            json!({
                "from": "user:1", "to": "user:2", "asset": "coin", "amount": 3,
                "expires_in_s": 3600,
            }),
        )
        .or_body(
            "stake",
            json!({
                "from": "user:1", "to": "user:2", "asset": "coin", "amount": 1,
                "expires_in_s": 60, "on_expiry": "capture", "memo": "a bet",
            }),
        )
        .answers::<PlacedView<'static>>(StatusCode::CREATED, "The hold.");
    moves_money::<HoldPreview>(route)
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/holds", list)
        .operation(
            "list_holds",
            "List open holds",
            "The oldest first. The account is said with the first page; `next_cursor` has it in \
             it, and `null` ends.",
        )
        .needs(Scope::Read)
        .query::<HoldsQuery>()
        .answers::<HoldList<'static>>(StatusCode::OK, "A page.")
        .example(json!({ "holds": [example()], "next_cursor": null }))
}

fn read_route() -> Route {
    Route::get("/v1/economies/{economy}/holds/{hold}", read)
        .operation(
            "get_hold",
            "Read a hold",
            "The hold, also when it has ended.",
        )
        .needs(Scope::Read)
        .answers::<HoldView<'static>>(StatusCode::OK, "The hold.")
        .example(example())
        .error(StatusCode::NOT_FOUND, &["hold_not_found"])
        .reads_the_file()
}

fn capture_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/holds/{hold}/capture", capture)
        .operation(
            "capture_hold",
            "Capture a hold, or a part of it",
            "It moves where it was meant to go, as a transfer; what is left stays reserved. Without \
             `amount`, all of it.",
        )
        .needs(Scope::Transfer)
        .body::<CaptureBody>("all_of_it", json!({}))
        .or_body("a_part", json!({ "amount": 5 }))
        .answers::<CaptureView<'static>>(StatusCode::CREATED, "What has moved.")
        .error(StatusCode::NOT_FOUND, &["hold_not_found"])
        .error(StatusCode::CONFLICT, CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["hold_exceeded"]);
    moves_money::<EndPreview>(route)
}

fn release_route() -> Route {
    Route::post("/v1/economies/{economy}/holds/{hold}/release", release)
        .operation(
            "release_hold",
            "Release a hold",
            "What is left of it can be spent again.",
        )
        .needs(Scope::Transfer)
        .query::<Preview>()
        .body::<ReleaseBody>("all_of_it", json!({}))
        .keyed()
        .answers::<ReleaseAnswer>(StatusCode::OK, "How it ended, or would end.")
        .error(StatusCode::NOT_FOUND, &["hold_not_found"])
        .error(StatusCode::CONFLICT, CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, transfers::REFUSALS)
        .writes()
}
