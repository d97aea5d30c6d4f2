//! The routes of plugins, described.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::json;

use super::preview::PutAnswer;
use super::{
    CallBody, PLUGIN_BODY_BYTES_MAX, PluginBody, PluginList, call, list, read, remove, revisions,
    rollback, set,
};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::{DescribedView, PluginView, Put, RemovedPluginView};
use crate::http::extract::Preview;
use crate::http::render::CallAnswer;
use crate::http::{calls, transfers};

const PLUGIN: &str = "/v1/economies/{economy}/plugins/{plugin}";

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "plugins",
        about: "Plugins are shops and games: they ask for money to move, and touch only what is \
                their own, the caller's, or granted.",
        routes: vec![
            set_route(),
            read_route(),
            list_route(),
            remove_route(),
            rollback::route(),
            revisions::route(),
            call_route(),
            calls::route(),
        ],
    }
}

fn set_route() -> Route {
    Route::put(PLUGIN, set)
        .operation(
            "set_plugin",
            "Install or change a plugin",
            "A new one needs `component`. The name is yours to choose: a component may be installed \
             several times under different names, each with accounts, state, grants and a \
             configuration of its own. A name stays with the plugin that was installed under it first. \
             Grants belong to a component: with another one they start afresh. Absent members stay. \
             With `preview` it is only tried.",
        )
        .query::<Preview>()
        .needs(Scope::Admin)
        .body::<PluginBody>(
            "shop",
            json!({
                "component": "bundled:shop", "grants": "requested", "enabled": true,
                "config": { "items": [
                    { "item": "item:potion", "price": { "coin": 50 }, "per_member_limit": 3 },
                ]},
            }),
        )
        .or_body("on_again", json!({ "enabled": true }))
        .of_bytes(PLUGIN_BODY_BYTES_MAX)
        .answers::<Put<PluginView<'static>>>(StatusCode::CREATED, "The plugin is new here.")
        .answers::<PutAnswer>(
            StatusCode::OK,
            "The plugin was here, or what would have changed: it was a preview.",
        )
        .error(
            StatusCode::UNPROCESSABLE_ENTITY,
            &[
                "component_not_found",
                "component_missing",
                "component_refused",
                "configuration_refused",
                "economy_closed",
                "grant_too_wide",
                "quota_reached",
                "schedule_unknown",
            ],
        )
        .error(
            StatusCode::CONFLICT,
            &["plugin_changed", "name_taken", "name_is_fixed"],
        )
        .error(StatusCode::SERVICE_UNAVAILABLE, &["call_failed"])
        .writes()
}

fn read_route() -> Route {
    Route::get(PLUGIN, read)
        .operation(
            "get_plugin",
            "Read a plugin",
            "The plugin with its manifest: enough to build slash commands from.",
        )
        .needs(Scope::Read)
        .answers::<DescribedView<'static>>(StatusCode::OK, "The plugin.")
        .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/plugins", list)
        .operation(
            "list_plugins",
            "List plugins",
            "All plugins of the economy, with their manifests.",
        )
        .needs(Scope::Read)
        .answers::<PluginList>(StatusCode::OK, "The plugins.")
}

fn remove_route() -> Route {
    Route::delete(PLUGIN, remove)
        .operation(
            "remove_plugin",
            "Uninstall a plugin",
            "Its accounts stay with what they have, its own keys go. Each hold that it has placed is \
             ended by its own rule: released, or captured.",
        )
        .needs(Scope::Admin)
        .answers::<Put<RemovedPluginView<'static>>>(StatusCode::OK, "It is gone.")
        .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes()
}

fn call_route() -> Route {
    Route::post(
        "/v1/economies/{economy}/plugins/{plugin}/actions/{action}",
        call,
    )
    .operation(
        "call_action",
        "Call an action of a plugin",
        "The plugin runs, asks for what is to move, and all of it commits, or nothing. With \
             `preview` it only says what would happen: nothing is kept, no idempotency key is \
             needed, and draws are thrown away.",
    )
    .needs(Scope::Call)
    .query::<Preview>()
    .body::<CallBody>(
        "click",
        json!({
            "caller": "user:1", "arguments": { "item": "item:potion", "quantity": 1 },
        }),
    )
    .keyed()
    .answers::<CallAnswer>(StatusCode::OK, "What came of it, or would come of it.")
    .example(json!({
        "call": "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a10", "outcome": "committed", "seq": 10,
        "recorded_at": 1_764_025_205_000_u64, "fuel": 290_431,
        "reply": { "item": "item:potion", "quantity": 1, "paid": { "coin": 50 } },
        "transfer": {
            "postings": [
                { "from": "user:1", "to": "plugin:shop:till", "asset": "coin", "amount": 50 },
                { "from": "plugin:shop", "to": "user:1", "asset": "item:potion", "amount": 1 },
            ],
            "balances": {
                "plugin:shop": { "item:potion": 9 }, "plugin:shop:till": { "coin": 50 },
                "user:1": { "coin": 120, "item:potion": 1 },
            },
        },
    }))
    .error(
        StatusCode::NOT_FOUND,
        &["plugin_not_found", "action_not_found"],
    )
    .error(StatusCode::CONFLICT, transfers::CONFLICTS)
    .error(StatusCode::UNPROCESSABLE_ENTITY, &["declined"])
    .error(StatusCode::UNPROCESSABLE_ENTITY, transfers::REFUSALS)
    .error(StatusCode::BAD_GATEWAY, &["plugin_fault"])
    .error(
        StatusCode::SERVICE_UNAVAILABLE,
        &["conflict", "call_failed"],
    )
    .writes()
}
