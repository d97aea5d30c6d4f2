//! Plugins: installed by PUT, listed with what a bot needs to show them, called by POST.

mod changes;
mod preview;
mod revisions;
mod rollback;
mod routes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bursar_host::LoadedPlugin;
use bursar_ledger::{
    AccountId, Act, Books, CONFIG_BYTES_MAX, Digest, Document, EconomyId, GrantChoice, Grants,
    Plugin, PluginName, PluginPatch, ROLE_BYTES_MAX, ROLES_MAX, SCHEDULE_SECONDS_MAX,
    ScheduleTimes, Scope, SpendLimit,
};
use schemars::JsonSchema;
use serde::de::value::{Error as ValueError, MapAccessDeserializer};
use serde::de::{Error as DeError, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::api::views::DescribedView;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{BODY_BYTES_MAX, Canonical, Nothing, Path, Preview, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::error::ServiceError;
use crate::service::{CallCommand, ConflictCount};

pub(super) use routes::routes;

/// Bytes of the body of a PUT of a plugin: a configuration, and what else a body may say.
pub(super) const PLUGIN_BODY_BYTES_MAX: usize = CONFIG_BYTES_MAX + BODY_BYTES_MAX;

/// The plugins of an economy.
#[derive(Serialize, JsonSchema)]
struct PluginList {
    #[schemars(with = "Vec<DescribedView<'static>>")]
    plugins: Vec<Value>,
}

/// What a PUT says of a plugin. What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginBody {
    /// `bundled:` and a name, or the digest of an upload.
    #[schemars(regex(pattern = "^(bundled:.+|[0-9a-f]{64})$"))]
    component: Option<String>,
    grants: Option<GrantBody>,
    /// The configuration, as the manifest's schema has it.
    config: Option<Value>,
    /// Whether it may be called.
    enabled: Option<bool>,
    /// Whether a newer version takes its place by itself when it is uploaded, if it asks for no more.
    follow: Option<bool>,
    /// Other times of its schedules, by name.
    #[schemars(with = "Option<BTreeMap<String, schemas::Times>>")]
    schedules: Option<BTreeMap<String, ScheduleTimes>>,
}

/// `"requested"`, or the grants themselves: what is requested, narrowed, and any patterns.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum GrantBody {
    Word(Requested),
    Exactly(#[schemars(with = "schemas::Grants")] Box<Grants>),
}

impl<'de> Deserialize<'de> for GrantBody {
    // What serde derives for this reads a list as an object, and names no place in the object.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GrantVisitor)
    }
}

/// Reads a word, or an object from where it stands in the body.
struct GrantVisitor;

impl<'de> Visitor<'de> for GrantVisitor {
    type Value = GrantBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"requested\", or an object with grants: what is requested, narrowed, and `patterns`",
        )
    }

    fn visit_str<E: DeError>(self, word: &str) -> Result<GrantBody, E> {
        let unknown = |_: ValueError| E::invalid_value(Unexpected::Str(word), &self);
        Requested::deserialize(word.into_deserializer())
            .map(GrantBody::Word)
            .map_err(unknown)
    }

    fn visit_map<M: MapAccess<'de>>(self, members: M) -> Result<GrantBody, M::Error> {
        let grants = Grants::deserialize(MapAccessDeserializer::new(members))?;
        Ok(GrantBody::Exactly(Box::new(grants)))
    }
}

/// All that the manifest asks for.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "GrantsRequested")]
enum Requested {
    #[serde(rename = "requested")]
    Requested,
}

/// What is asked of a plugin.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    /// The member on whose behalf it runs.
    #[schemars(with = "schemas::AccountName")]
    caller: AccountId,
    /// As the manifest's schema has them.
    #[serde(default = "empty")]
    arguments: Value,
    /// The member's roles, for plugins that ask for one: at most 64, of 64 bytes each.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", length(max = 64))]
    roles: Vec<String>,
    /// The most that may leave the caller, by asset; of one that is not named, nothing.
    #[schemars(with = "Option<BTreeMap<String, schemas::Limit>>")]
    spend_limit: Option<SpendLimit>,
    /// Whether it is only asked what would happen.
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
    Query(asked): Query<Preview>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let plugin: PluginName = extract::name("plugin", &plugin)?;
    let parsed = extract::json_patch_of::<PluginBody>(body, PLUGIN_BODY_BYTES_MAX).await?;
    caller.unchanged(&api)?;
    let chosen = match &parsed.typed.component {
        Some(text) => Some(component(&api, &caller, text, asked.preview).await?),
        None => None,
    };
    let prepared = prepare(&api, &economy, &plugin, parsed.typed, chosen).await?;
    if asked.preview {
        return preview::preview(&api, economy, plugin, prepared).await;
    }
    let Prepared {
        mut patch,
        unchecked,
    } = prepared;
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

/// A PUT as it is understood, and the configuration that is still to be checked, if there is one.
struct Prepared {
    patch: PluginPatch,
    unchecked: Option<(Arc<LoadedPlugin>, Value)>,
}

/// Finds out what a PUT means for the component that is chosen, or that is there.
async fn prepare(
    api: &Api,
    economy: &EconomyId,
    plugin: &PluginName,
    body: PluginBody,
    chosen: Option<Digest>,
) -> Result<Prepared, Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    let installed = books.plugin(plugin);
    let digest = chosen.or(installed.map(|installed| installed.installation.component));
    let Some(digest) = digest else {
        let detail = "a new plugin needs `component`: \"bundled:NAME\" or the digest of an upload";
        return Err(Problem::malformed("/component", detail));
    };
    let mut patch = PluginPatch {
        component: None,
        grants: body.grants.map(|grants| match grants {
            GrantBody::Word(Requested::Requested) => GrantChoice::Requested,
            GrantBody::Exactly(grants) => GrantChoice::Exactly(grants),
        }),
        config: body.config.as_ref().map(Document::new),
        enabled: body.enabled,
        follow: body.follow,
        schedules: body.schedules.unwrap_or_default(),
        follows: None,
        as_of: None,
        checked_against: None,
        needs: Vec::new(),
    };
    let impossible = |times: &&ScheduleTimes| !times.are_possible();
    if patch.schedules.values().any(|times| impossible(&times)) {
        let detail = format!("every 1 to {SCHEDULE_SECONDS_MAX} s, from less than that");
        return Err(Problem::malformed("/schedules", detail));
    }
    // A component that this version no longer runs can still be switched off.
    if chosen.is_none() && patch.config.is_none() {
        let unchecked = None;
        return Ok(Prepared { patch, unchecked });
    }
    let loaded = api.service.load(digest).await?;
    if let Some(digest) = chosen {
        let choice = loaded.component_choice(plugin, digest).map_err(|error| {
            let detail =
                format!("under this name the plugin has an account that cannot be: {error}");
            Problem::malformed("", detail)
        })?;
        // Before anything is said of a configuration that may be meant for another plugin.
        let named = books.check_name(plugin, &choice);
        named.map_err(|no| Problem::rejected(&no))?;
        patch.component = Some(choice);
    }
    let present = || Some(installed?.installation.config.value());
    let config = body.config.or_else(present).unwrap_or_else(empty);
    patch.checked_against = Some(digest);
    if patch.component.is_some() && patch.config.is_none() {
        patch.as_of = installed.map(|installed| installed.version);
    }
    let unchecked = Some((loaded, config));
    Ok(Prepared { patch, unchecked })
}

/// The component that a text means. A bundled one is registered, unless that is only tried.
async fn component(
    api: &Api,
    caller: &Caller,
    text: &str,
    preview: bool,
) -> Result<Digest, Problem> {
    if let Some(name) = text.strip_prefix("bundled:") {
        return Ok(if preview {
            api.service.ready_bundled(name).await?
        } else {
            api.service.add_bundled(&caller.actor, name).await?
        });
    }
    text.parse().map_err(|_| {
        Problem::malformed(
            "/component",
            "a component is \"bundled:NAME\" or 64 hexadecimal digits",
        )
    })
}

/// `DELETE …/plugins/{plugin}`
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
    _: Query<Nothing>,
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
    Query(asked): Query<Preview>,
    headers: HeaderMap,
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
    if preview || asked.preview {
        let previewed = api.service.preview_call(economy, calling).await?;
        return Ok(extract::respond(previewed));
    }
    let key = extract::idempotency_key(&headers)?;
    let body = &parsed.canonical;
    let context = extract::request_context(&caller, economy, Some(key), "POST", &route, body);
    Ok(extract::respond(api.service.call(context, calling).await?))
}

fn check_roles(roles: &[String]) -> Result<(), Problem> {
    if roles.len() > ROLES_MAX {
        let detail = format!("a call names at most {ROLES_MAX} roles");
        return Err(Problem::malformed("/roles", detail));
    }
    let fits = |role: &String| (1..=ROLE_BYTES_MAX).contains(&role.len());
    match roles.iter().position(|role| !fits(role)) {
        None => Ok(()),
        Some(index) => {
            let detail = format!("a role has 1 to {ROLE_BYTES_MAX} bytes");
            Err(Problem::malformed(&format!("/roles/{index}"), detail))
        }
    }
}

/// The facts shown of an installed plugin beside what the books have of it.
struct Described {
    loaded: Result<Arc<LoadedPlugin>, ServiceError>,
    newer: Option<(Digest, Arc<LoadedPlugin>)>,
    conflicts: ConflictCount,
}

impl Described {
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

    /// An installed plugin with its manifest: enough to build slash commands from. One that does not
    /// load says why instead, and hides no other.
    fn view(
        &self,
        economy: &EconomyId,
        books: &Books,
        name: &PluginName,
        plugin: &Plugin,
    ) -> Value {
        let problem = self.loaded.as_ref().err();
        views::to_json(DescribedView {
            plugin: views::plugin(economy, books, name, plugin),
            manifest: self.loaded.as_ref().ok().map(|loaded| loaded.manifest()),
            problem: problem.map(|no_answer| Problem::from(no_answer).body()),
            conflicts: self.conflicts.into(),
            newer: self.newer.as_ref().map(|(digest, newer)| {
                let requested = &plugin.installation.requested;
                views::newer_version(*digest, newer.manifest(), requested)
            }),
        })
    }
}

fn json_response(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
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
    let described = Described::of(&api, &economy, &id, found).await;
    let (books, plugin) = (books.clone(), found.clone());
    // Manifests are as large as plugins make them.
    let written = move || described.view(&economy, &books, &id, &plugin).to_string();
    Ok(json_response(api.service.beside(written).await?))
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
        let described = Described::of(&api, &economy, id, plugin).await;
        all.push((id.clone(), plugin.clone(), described));
    }
    let books = books.clone();
    let written = move || {
        let views = all
            .iter()
            .map(|(id, plugin, described)| described.view(&economy, &books, id, plugin));
        let plugins = views.collect();
        views::to_json(PluginList { plugins }).to_string()
    };
    Ok(json_response(api.service.beside(written).await?))
}
