//! The handlers of plugins: install, change, list, read, uninstall and call.

mod changes;
mod prepare;
mod preview;
mod revisions;
mod rollback;
mod routes;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_host::LoadedPlugin;
use bursar_ledger::{
    AccountId, Act, Books, CONFIG_BYTES_MAX, Digest, EconomyId, Plugin, PluginName, ROLE_BYTES_MAX,
    ROLES_MAX, Scope, SpendLimit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::views::PluginDetailsView;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{Canonical, KeyHeader, NoParameters, Path, Preview, Query};
use super::limits::BODY_BYTES_MAX;
use super::problem::Problem;
use super::{Api, extract};
use crate::service::error::ServiceError;
use crate::service::{CallCommand, ConflictCount};

use prepare::{PluginBody, PutPlan};
pub(super) use routes::routes;

/// The largest body of a PUT of a plugin, in bytes: a configuration and the other members.
pub(super) const PLUGIN_BODY_BYTES_MAX: usize = CONFIG_BYTES_MAX + BODY_BYTES_MAX;

/// The plugins of an economy.
#[derive(Serialize, JsonSchema)]
struct PluginList {
    #[schemars(with = "Vec<PluginDetailsView<'static>>")]
    plugins: Vec<Value>,
}

/// The request of a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    /// The account of the member on whose behalf the plugin runs.
    #[schemars(with = "schemas::AccountName")]
    caller: AccountId,
    /// The arguments. They must match the action's schema in the manifest.
    #[serde(default = "empty")]
    arguments: Value,
    /// The member's roles, for plugins that check them: at most 64, of at most 64 bytes each.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", length(max = 64))]
    roles: Vec<String>,
    /// The most that may leave the caller's account, by asset; assets that are not listed cannot
    /// leave it. Without this member there is no such limit.
    #[schemars(with = "Option<BTreeMap<String, schemas::Limit>>")]
    spend_limit: Option<SpendLimit>,
    /// True to preview the call, like `?preview=true`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    preview: bool,
}

fn empty() -> Value {
    json!({})
}

/// `PUT …/plugins/{plugin}`
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
    Query(query): Query<Preview>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let plugin: PluginName = extract::name("plugin", &plugin)?;
    let parsed = extract::json_patch_of::<PluginBody>(body, PLUGIN_BODY_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    let chosen = match &parsed.typed.component {
        Some(text) => Some(prepare::component(&api, &caller, text, query.preview).await?),
        None => None,
    };
    let plan = prepare::plan(&api, &economy, &plugin, parsed.typed, chosen).await?;
    if query.preview {
        return preview::preview(&api, economy, plugin, plan).await;
    }
    let PutPlan {
        mut patch,
        unchecked,
    } = plan;
    if let Some((loaded, config)) = unchecked {
        let checked = (api.service).check_configuration(&economy, &plugin, loaded, config);
        patch.needs = checked.await?;
    }
    let route = format!("/v1/economies/{economy}/plugins/{plugin}");
    let context =
        extract::request_context(&caller, economy, None, "PUT", &route, &parsed.canonical);
    let act = Act::SetPlugin {
        plugin,
        patch: Box::new(patch),
    };
    Ok(extract::respond(api.service.act(context, act).await?))
}

/// `DELETE …/plugins/{plugin}`
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
    _: Query<NoParameters>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let plugin: PluginName = extract::name("plugin", &plugin)?;
    check_installed(&api, &economy, &plugin)?;
    let route = format!("/v1/economies/{economy}/plugins/{plugin}");
    let nothing = Canonical::of(&json!({}));
    let context = extract::request_context(&caller, economy, None, "DELETE", &route, &nothing);
    let act = Act::RemovePlugin { plugin };
    Ok(extract::respond(api.service.act(context, act).await?))
}

fn check_installed(api: &Api, economy: &EconomyId, plugin: &PluginName) -> Result<(), Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.plugin(plugin);
    found.ok_or_else(|| ServiceError::NoPlugin(plugin.clone()))?;
    Ok(())
}

/// `POST …/plugins/{plugin}/actions/{action}`
pub(super) async fn call(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin, action)): Path<(String, String, String)>,
    Query(query): Query<Preview>,
    key: KeyHeader,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Call, &economy)?;
    let plugin: PluginName = extract::name("plugin", &plugin)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    books
        .plugin(&plugin)
        .ok_or_else(|| ServiceError::NoPlugin(plugin.clone()))?;
    let parsed = extract::json::<CallBody>(body).await?;
    caller.unchanged(&api)?;
    let CallBody {
        caller: member,
        arguments,
        roles,
        spend_limit,
        preview,
    } = parsed.typed;
    check_roles(&roles)?;
    let route = format!("/v1/economies/{economy}/plugins/{plugin}/actions/{action}");
    let calling = CallCommand {
        plugin,
        action,
        caller: member,
        arguments,
        roles,
        spend_limit,
        cap: caller.transfer_cap(),
    };
    if preview || query.preview {
        let previewed = api.service.preview_call(economy, calling).await?;
        return Ok(extract::respond(previewed));
    }
    let key = key.required()?;
    let body = &parsed.canonical;
    let context = extract::request_context(&caller, economy, Some(key), "POST", &route, body);
    Ok(extract::respond(api.service.call(context, calling).await?))
}

fn check_roles(roles: &[String]) -> Result<(), Problem> {
    if roles.len() > ROLES_MAX {
        let detail = format!("a call can have at most {ROLES_MAX} roles");
        return Err(Problem::malformed("/roles", detail));
    }
    let fits = |role: &String| (1..=ROLE_BYTES_MAX).contains(&role.len());
    match roles.iter().position(|role| !fits(role)) {
        None => Ok(()),
        Some(index) => {
            let detail = format!("a role must have 1 to {ROLE_BYTES_MAX} bytes");
            Err(Problem::malformed(&format!("/roles/{index}"), detail))
        }
    }
}

/// The properties of an installed plugin that are not part of the books.
struct PluginDetails {
    loaded: Result<Arc<LoadedPlugin>, ServiceError>,
    newer: Option<(Digest, Arc<LoadedPlugin>)>,
    conflicts: ConflictCount,
}

impl PluginDetails {
    async fn of(api: &Api, economy: &EconomyId, name: &PluginName, plugin: &Plugin) -> Self {
        let component = plugin.installation.component;
        let newer = match api.service.newer_than(&plugin.installation.id, component) {
            Some(digest) => {
                let loaded = api.service.load(digest).await.ok();
                loaded.map(|newer| (digest, newer))
            }
            None => None,
        };
        Self {
            loaded: api.service.load(component).await,
            newer,
            conflicts: api.service.conflicts(economy, name),
        }
    }

    /// Builds the response body of an installed plugin, with its manifest. If its component cannot
    /// be loaded, the body contains the reason instead, so that a list still shows all other
    /// plugins.
    fn view(
        &self,
        economy: &EconomyId,
        books: &Books,
        name: &PluginName,
        plugin: &Plugin,
    ) -> Value {
        let problem = self.loaded.as_ref().err();
        views::to_json(PluginDetailsView {
            plugin: views::plugin(economy, books, name, plugin),
            manifest: self.loaded.as_ref().ok().map(|loaded| loaded.manifest()),
            problem: problem.map(|error| Problem::from(error).body()),
            conflicts: self.conflicts.into(),
            newer: self.newer.as_ref().map(|(digest, newer)| {
                let requested = &plugin.installation.requested;
                views::newer_version(*digest, newer.manifest(), requested)
            }),
        })
    }
}

/// `GET …/plugins/{plugin}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: PluginName = extract::name("plugin", &plugin)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books
        .plugin(&id)
        .ok_or_else(|| ServiceError::NoPlugin(id.clone()))?;
    let details = PluginDetails::of(&api, &economy, &id, found).await;
    let books = books.clone();
    let plugin = found.clone();
    // Manifests can be large, so they are serialised on another thread.
    let body = move || details.view(&economy, &books, &id, &plugin).to_string();
    Ok(extract::json_text(api.service.run_plugin_work(body).await?))
}

/// `GET …/plugins`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let mut all = Vec::new();
    for (id, plugin) in books.plugins() {
        let details = PluginDetails::of(&api, &economy, id, plugin).await;
        all.push((id.clone(), plugin.clone(), details));
    }
    let books = books.clone();
    let body = move || {
        let views = all
            .iter()
            .map(|(id, plugin, details)| details.view(&economy, &books, id, plugin));
        let plugins = views.collect();
        views::to_json(PluginList { plugins }).to_string()
    };
    Ok(extract::json_text(api.service.run_plugin_work(body).await?))
}
