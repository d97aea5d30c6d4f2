//! The descriptions of the routes of webhooks.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::json;

use super::{DeadLetters, ReplayBody, ReplayResponse, WebhookBody, WebhookList, WebhookResponse};
use super::{dead_letters, list, read, remove, replay, rotate, set};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::{Put, RemovedWebhookView, WebhookReadView};

const WEBHOOK: &str = "/v1/economies/{economy}/webhooks/{webhook}";

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "webhooks",
        about: "A webhook receives the events of an economy by POST, one at a time and in order, \
                signed according to Standard Webhooks. No event is left out. An event may be sent \
                more than once, for example after a crash: compare its `seq`.",
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
            "Create or change a webhook",
            "Creates the webhook if it does not exist, which requires `url`, and changes it \
             otherwise. A new webhook begins with the event after its own creation, and its secret \
             is in this response only. Absent members keep their present value; `null` as `kinds` \
             selects all kinds.",
        )
        .needs(Scope::Admin)
        .body::<WebhookBody>(
            "some_events",
            json!({ "url": "https://receiver.invalid/bursar", "kinds": ["transfer", "call"] }),
        )
        .or_body("switched_off", json!({ "enabled": false }))
        .answers::<WebhookResponse<'static>>(
            StatusCode::CREATED,
            "The webhook was created. `secret` is its secret.",
        )
        .answers::<WebhookResponse<'static>>(
            StatusCode::OK,
            "The webhook exists; its secret did not \
                                                      change.",
        )
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
            "Get a webhook",
            "Returns the webhook and its progress.",
        )
        .needs(Scope::Admin)
        .answers::<WebhookReadView<'static>>(StatusCode::OK, "The webhook.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
}

fn remove_route() -> Route {
    Route::delete(WEBHOOK, remove)
        .operation(
            "remove_webhook",
            "Delete a webhook",
            "Deletes the webhook and its dead letters. No more events are sent.",
        )
        .needs(Scope::Admin)
        .answers::<Put<RemovedWebhookView<'static>>>(StatusCode::OK, "The webhook was deleted.")
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes()
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/webhooks", list)
        .operation(
            "list_webhooks",
            "List webhooks",
            "Returns all webhooks of the economy and their progress.",
        )
        .needs(Scope::Admin)
        .whole_list("the quota `webhooks` is their bound.")
        .answers::<WebhookList>(StatusCode::OK, "The webhooks.")
}

fn rotate_route() -> Route {
    Route::put("/v1/economies/{economy}/webhooks/{webhook}/secret", rotate)
        .operation(
            "rotate_webhook",
            "Rotate the secret of a webhook",
            "Gives the webhook a new secret, with which all further deliveries are signed. The \
             request has no body.",
        )
        .needs(Scope::Admin)
        .answers::<WebhookResponse<'static>>(
            StatusCode::OK,
            "The secret was replaced. `secret` is the new \
                                                      one.",
        )
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
        "List dead letters",
        "Returns the events that were not delivered after all attempts, oldest first.",
    )
    .needs(Scope::Admin)
    .whole_list("a webhook with 100 dead letters is switched off.")
    .answers::<DeadLetters<'static>>(StatusCode::OK, "The dead letters.")
    .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
}

fn replay_route() -> Route {
    Route::post("/v1/economies/{economy}/webhooks/{webhook}/replay", replay)
        .operation(
            "replay_webhook",
            "Replay events",
            "Sends all events after a number again, and empties the list of dead letters. The \
         request sets a state, so it requires no idempotency key. It is recorded as an event of \
         the kind `replay_webhook`.",
        )
        .needs(Scope::Admin)
        .body::<ReplayBody>("from_the_first", json!({ "after": 0 }))
        .answers::<ReplayResponse<'static>>(
            StatusCode::OK,
            "The progress of the webhook after the \
                                                       replay.",
        )
        .error(StatusCode::NOT_FOUND, &["webhook_not_found"])
        .writes()
}
