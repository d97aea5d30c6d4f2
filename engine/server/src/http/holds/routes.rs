//! The descriptions of the routes of holds.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::{Value, json};

use super::{CaptureBody, HOLDS, HOLDS_PAGE_MAX, HoldBody, HoldList, HoldsQuery, ReleaseBody};
use super::{capture, list, place, read, release};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::HoldView;
use crate::http::extract::Preview;
use crate::http::money::{HOLD_CONFLICTS, REJECTIONS, moves_money};
use crate::http::render::{CaptureView, EndPreview, HoldPreview, PlacedView, ReleaseAnswer};

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "holds",
        about: "A hold reserves an amount on one account for another, until it is captured, \
                released, or expires.",
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
            "Place a hold",
            "Reserves an amount: it stays on the account but cannot be spent until the hold is \
             captured, released, or expires after `expires_in_s` seconds. `on_expiry` decides if \
             the remaining amount is then released (the default) or captured.",
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
        .answers::<PlacedView<'static>>(StatusCode::CREATED, "The hold was placed.");
    moves_money::<HoldPreview>(route)
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/holds", list)
        .operation(
            "list_holds",
            "List open holds",
            "Returns the open holds, oldest first. To read the next page, send `next_cursor` as \
             `cursor`, without `account`.",
        )
        .needs(Scope::Read)
        .pages("limit", "holds", HOLDS, HOLDS_PAGE_MAX)
        .query::<HoldsQuery>()
        .answers::<HoldList<'static>>(StatusCode::OK, "A page of open holds.")
        .example(json!({ "holds": [example()], "next_cursor": null }))
}

fn read_route() -> Route {
    Route::get("/v1/economies/{economy}/holds/{hold}", read)
        .operation("get_hold", "Get a hold", "Returns a hold, open or ended.")
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
            "Capture a hold",
            "Moves the held amount, or the part given by `amount`, to the hold's destination as a \
             transfer. The rest stays reserved.",
        )
        .needs(Scope::Transfer)
        .body::<CaptureBody>("all_of_it", json!({}))
        .or_body("a_part", json!({ "amount": 5 }))
        .answers::<CaptureView<'static>>(StatusCode::CREATED, "The amount was captured.")
        .error(StatusCode::NOT_FOUND, &["hold_not_found"])
        .error(StatusCode::CONFLICT, HOLD_CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["hold_exceeded"]);
    moves_money::<EndPreview>(route)
}

fn release_route() -> Route {
    Route::post("/v1/economies/{economy}/holds/{hold}/release", release)
        .operation(
            "release_hold",
            "Release a hold",
            "Ends the hold. The remaining amount can be spent again.",
        )
        .needs(Scope::Transfer)
        .query::<Preview>()
        .body::<ReleaseBody>("all_of_it", json!({}))
        .keyed()
        .answers::<ReleaseAnswer>(
            StatusCode::OK,
            "The hold was released, or the result of a \
                                                   preview.",
        )
        .error(StatusCode::NOT_FOUND, &["hold_not_found"])
        .error(StatusCode::CONFLICT, HOLD_CONFLICTS)
        .error(StatusCode::UNPROCESSABLE_ENTITY, REJECTIONS)
        .writes()
}
