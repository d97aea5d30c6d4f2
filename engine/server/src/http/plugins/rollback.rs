//! The route that rolls back a plugin's component or configuration.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{
    Act, Document, EconomyId, Plugin, PluginName, PluginPatch, RollbackTarget, Scope,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::http::api::route::Route;
use crate::http::api::schemas;
use crate::http::api::views::{PluginView, Put};
use crate::http::auth::Caller;
use crate::http::extract::{KeyHeader, NoParameters, Path, Query};
use crate::http::problem::Problem;
use crate::http::{Api, extract};
use crate::service::error::ServiceError;

pub(super) fn route() -> Route {
    Route::post(
        "/v1/economies/{economy}/plugins/{plugin}/rollback",
        roll_back,
    )
    .operation(
        "roll_back_plugin",
        "Roll back a plugin",
        "`component`: installs the previous component again, with the grants, the configuration \
         and the `enabled` that it had. `configuration`: restores the previous configuration, or \
         the one of the revision `to`; the present component must accept it. The plugin's keys and \
         values do not change. A rollback of the component also turns `follow` off. A second rollback undoes the first.",
    )
    .needs(Scope::Admin)
    .body::<RollBackBody>("component", json!({ "what": "component" }))
    .or_body(
        "configuration",
        json!({ "what": "configuration", "to": 12 }),
    )
    .keyed()
    .answers::<Put<PluginView<'static>>>(StatusCode::OK, "The plugin after the rollback.")
    .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
    .error(StatusCode::CONFLICT, &["nothing_before", "plugin_changed"])
    .error(
        StatusCode::UNPROCESSABLE_ENTITY,
        &[
            "configuration_refused",
            "economy_closed",
            "revision_unknown",
        ],
    )
    .error(StatusCode::SERVICE_UNAVAILABLE, &["call_failed"])
    .reads_the_file()
    .writes()
}

/// The part to roll back, and its target.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBackBody {
    #[schemars(with = "RollBackWhat")]
    what: Option<RollBackWhat>,
    /// The revision whose configuration is restored. Default: the newest one with a different
    /// configuration.
    #[schemars(with = "Option<schemas::Number>")]
    to: Option<u64>,
}

/// The part of a plugin that is rolled back.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RollBackWhat {
    Component,
    Configuration,
}

/// `POST …/plugins/{plugin}/rollback`
async fn roll_back(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
    _: Query<NoParameters>,
    key: KeyHeader,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let plugin: PluginName = extract::name("plugin", &plugin)?;
    super::check_installed(&api, &economy, &plugin)?;
    let key = key.required()?;
    let parsed = extract::json::<RollBackBody>(body).await?;
    caller.unchanged(&api)?;
    let RollBackBody { what, to } = parsed.typed;
    let what = what.ok_or_else(|| {
        let detail = "`what` must be \"component\" or \"configuration\"";
        Problem::malformed("/what", detail)
    })?;
    let route = format!("/v1/economies/{economy}/plugins/{plugin}/rollback");
    let body = &parsed.canonical;
    let context =
        extract::request_context(&caller, economy.clone(), Some(key), "POST", &route, body);
    // A repeated request is answered before its body is checked again: the plugin may have changed
    // since.
    if let Some(answer) = api.service.answered_before(&context).await? {
        return Ok(extract::respond(answer));
    }
    let what = match (what, to) {
        (RollBackWhat::Component, None) => RollbackTarget::Component,
        (RollBackWhat::Component, Some(_)) => {
            let detail = "`to` is allowed for a configuration only; a component is rolled back to \
                          the previous one";
            return Err(Problem::malformed("/to", detail));
        }
        (RollBackWhat::Configuration, to) => configuration(&api, &economy, &plugin, to).await?,
    };
    let act = Act::RollBackPlugin { plugin, what };
    Ok(extract::respond(api.service.act(context, act).await?))
}

/// Finds the configuration to restore, and checks it against the present component.
async fn configuration(
    api: &Api,
    economy: &EconomyId,
    name: &PluginName,
    to: Option<u64>,
) -> Result<RollbackTarget, Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.plugin(name);
    let found = found.ok_or_else(|| ServiceError::NoPlugin(name.clone()))?;
    let Some((to, config)) = find(api, economy, name, found, to).await? else {
        // The ledger rejects the act with the reason.
        let patch = Box::default();
        return Ok(RollbackTarget::Configuration { to, patch });
    };
    let component = found.installation.component;
    let loaded = api.service.load(component).await?;
    let needs = api
        .service
        .check_configuration(economy, name, loaded, config.value())
        .await?;
    let patch = PluginPatch {
        config: Some(config),
        checked_against: Some(component),
        as_of: Some(found.version),
        needs,
        ..PluginPatch::default()
    };
    Ok(RollbackTarget::Configuration {
        to: Some(to),
        patch: Box::new(patch),
    })
}

/// Finds the configuration of the revision `to`, or the newest configuration that differs from the
/// present one.
async fn find(
    api: &Api,
    economy: &EconomyId,
    name: &PluginName,
    found: &Plugin,
    to: Option<u64>,
) -> Result<Option<(u64, Document)>, Problem> {
    let revisions = found.revisions().map(|(revision, _)| revision);
    let revisions: Vec<_> = revisions
        .filter(|revision| to.is_none_or(|to| revision.seq == to))
        .collect();
    let economy = economy.clone();
    let name = name.clone();
    let present = found.installation.clone();
    let read = api.service.read(move |storage| {
        for revision in revisions {
            let record = storage.revision(&economy, &name, revision.set_by)?;
            let Some(then) = record.and_then(|record| record.installation) else {
                continue;
            };
            if to.is_some() || then.config != present.config {
                return Ok(Some((revision.seq, then.config.clone())));
            }
        }
        Ok(None)
    });
    Ok(read.await?)
}
