//! The descriptions of the routes of plugins.

use axum::http::StatusCode;
use bursar_ledger::Scope;
use serde_json::json;

use super::prepare::PluginBody;
use super::preview::PutAnswer;
use super::{
    CallBody, PLUGIN_BODY_BYTES_MAX, PluginList, call, list, read, remove, revisions, rollback, set,
};
use crate::http::api::route::{Resource, Route};
use crate::http::api::views::{PluginDetailsView, PluginView, Put, RemovedPluginView};
use crate::http::extract::Preview;
use crate::http::render::CallAnswer;
use crate::http::{calls, money};

const PLUGIN: &str = "/v1/economies/{economy}/plugins/{plugin}";

pub(in crate::http) fn routes() -> Resource {
    Resource {
        name: "plugins",
        about: "A plugin is a WebAssembly component, such as a shop or a game. It can move only \
                its own money, the caller's, and what an operator granted.",
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
            "Installs the plugin if the name is free, which requires `component`, and changes it \
             otherwise. One component can be installed under several names, each with its own \
             accounts, state, grants and configuration. A name stays bound to the plugin that was \
             first installed under it. Grants and `enabled` belong to the component: a PUT of another component without them resets them. Other absent members keep their present value. With \
             `preview` nothing is changed.",
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
        .answers::<Put<PluginView<'static>>>(StatusCode::CREATED, "The plugin was installed.")
        .answers::<PutAnswer>(
            StatusCode::OK,
            "The plugin exists; `changed` tells if this request changed it. Or the result of a \
             preview.",
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
            "Get a plugin",
            "Returns the plugin with its manifest, which has enough information to build slash \
             commands.",
        )
        .needs(Scope::Read)
        .answers::<PluginDetailsView<'static>>(StatusCode::OK, "The plugin.")
        .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/plugins", list)
        .operation(
            "list_plugins",
            "List plugins",
            "Returns all plugins of the economy with their manifests.",
        )
        .needs(Scope::Read)
        .whole_list("the quota `plugins` is their bound.")
        .answers::<PluginList>(StatusCode::OK, "The plugins.")
}

fn remove_route() -> Route {
    Route::delete(PLUGIN, remove)
        .operation(
            "remove_plugin",
            "Uninstall a plugin",
            "Removes the plugin and its keys and values. Its accounts and their balances stay. \
             Each open hold of the plugin is released or captured, as its rule says.",
        )
        .needs(Scope::Admin)
        .answers::<Put<RemovedPluginView<'static>>>(StatusCode::OK, "The plugin was uninstalled.")
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
        "Call an action",
        "Runs the action of the plugin on behalf of a member. All that the plugin requests is \
             committed together, or nothing is. With `preview` nothing is recorded, no idempotency \
             key is required, and draws are discarded.",
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
    .answers::<CallAnswer>(
        StatusCode::OK,
        "The call was committed, or the result of a preview.",
    )
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
    .error(StatusCode::CONFLICT, money::CONFLICTS)
    .error(StatusCode::UNPROCESSABLE_ENTITY, &["declined"])
    .error(StatusCode::UNPROCESSABLE_ENTITY, money::REJECTIONS)
    .error(StatusCode::BAD_GATEWAY, &["plugin_fault"])
    .error(
        StatusCode::SERVICE_UNAVAILABLE,
        &["conflict", "call_failed"],
    )
    .writes()
}
