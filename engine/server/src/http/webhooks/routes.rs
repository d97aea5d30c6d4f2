//! The routes of webhooks, described.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::json;

use super::{DeadLetters, ReplayBody, Replayed, WebhookBody, WebhookList, Written};
use super::{dead_letters, list, read, remove, replay, rotate, set};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::{Put, RemovedWebhookView, WebhookReadView};

const WEBHOOK: &str = "/v1/economies/{economy}/webhooks/{webhook}";

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "webhooks",
        about: "A webhook gets an economy's events by POST, one at a time, in order, signed as \
                Standard Webhooks has it. An event may come more than once, and none is left out.",
        routes: vec![
            set_route(),
            read_route(),
            remove_route(),
            list_route(),
            rotate_route(),
            dead_letters_route(),
            replay_route(),
        ],
    }
}

fn set_route() -> Route {
    Route::put(WEBHOOK, set)
        .operation(
            "set_webhook",
            "Make or change a webhook",
            "A new one needs `url`, begins with the event after its own, and its secret is in the \
             first answer only. Absent members stay, `null` clears `kinds`.",
        )
        .needs(Scope::Admin)
        .body::<WebhookBody>(
            "some_events",
            json!({ "url": "https://receiver.invalid/bursar", "kinds": ["transfer", "call"] }),
        )
        .or_body("switched_off", json!({ "enabled": false }))
        .answers::<Written<'static>>(
            StatusCode::CREATED,
            "The webhook is new, and here is its secret.",
        )
        .answers::<Written<'static>>(StatusCode::OK, "The webhook was there; its secret stays.")
        .error(
            StatusCode::UNPROCESSABLE_ENTITY,
            &["economy_closed", "quota_reached", "webhook_incomplete"],
        )
        .writes()
}

fn read_route() -> Route {
    Route::get(WEBHOOK, read)
        .operation(
            "get_webhook",
            "Read a webhook",
            "The webhook, with how far it has come.",
        )
        .needs(Scope::Admin)
        .answers::<WebhookReadView<'static>>(StatusCode::OK, "The webhook.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
}

fn remove_route() -> Route {
    Route::delete(WEBHOOK, remove)
        .operation(
            "remove_webhook",
            "Remove a webhook",
            "Nothing is sent any more, and its dead letters are gone.",
        )
        .needs(Scope::Admin)
        .answers::<Put<RemovedWebhookView<'static>>>(StatusCode::OK, "It is gone.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes()
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/webhooks", list)
        .operation(
            "list_webhooks",
            "List webhooks",
            "All webhooks of the economy, with how far they have come.",
        )
        .needs(Scope::Admin)
        .answers::<WebhookList>(StatusCode::OK, "The webhooks.")
}

fn rotate_route() -> Route {
    Route::put("/v1/economies/{economy}/webhooks/{webhook}/secret", rotate)
        .operation(
            "rotate_webhook",
            "Give a webhook another secret",
            "Everything is signed with it from then on. It takes no body.",
        )
        .needs(Scope::Admin)
        .answers::<Written<'static>>(StatusCode::OK, "The webhook, with its new secret.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes()
}

fn dead_letters_route() -> Route {
    Route::get(
        "/v1/economies/{economy}/webhooks/{webhook}/dead-letters",
        dead_letters,
    )
    .operation(
        "list_dead_letters",
        "What a webhook has given up",
        "Events that were not accepted however often they were sent, oldest first.",
    )
    .needs(Scope::Admin)
    .answers::<DeadLetters<'static>>(StatusCode::OK, "The dead letters.")
    .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
}

fn replay_route() -> Route {
    Route::post("/v1/economies/{economy}/webhooks/{webhook}/replay", replay)
        .operation(
            "replay_webhook",
            "Send events again",
            "Everything after an event is sent again, and the list of dead letters begins anew. It \
         says how things are to be, so it needs no idempotency key; it is on record, as an event \
         of the kind `replay_webhook`.",
        )
        .needs(Scope::Admin)
        .body::<ReplayBody>("from_the_first", json!({ "after": 0 }))
        .answers::<Replayed<'static>>(StatusCode::OK, "Where it goes on.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
        .writes()
}
