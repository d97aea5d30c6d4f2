//! The body of a PUT of a plugin, and its conversion to a patch.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bursar_host::LoadedPlugin;
use bursar_ledger::{
    Digest, Document, EconomyId, GrantChoice, Grants, PluginName, PluginPatch,
    SCHEDULE_SECONDS_MAX, ScheduleTimes,
};
use schemars::JsonSchema;
use serde::de::value::{Error as ValueError, MapAccessDeserializer};
use serde::de::{Error as DeError, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::http::Api;
use crate::http::api::schemas;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::service::error::ServiceError;

/// Changes to a plugin. Absent members keep their present value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PluginBody {
    /// The component to install: `bundled:NAME` for a bundled plugin, or the hash of an uploaded
    /// component.
    #[schemars(regex(pattern = "^(bundled:.+|[0-9a-f]{64})$"))]
    pub(super) component: Option<String>,
    grants: Option<GrantBody>,
    /// The configuration. It must match the schema in the manifest.
    config: Option<Value>,
    /// True if the plugin can be called.
    enabled: Option<bool>,
    /// True to install a newer version automatically when it is uploaded, unless it requests more
    /// permissions.
    follow: Option<bool>,
    /// Due times that replace those of the manifest, by schedule.
    #[schemars(with = "Option<BTreeMap<String, schemas::Times>>")]
    schedules: Option<BTreeMap<String, ScheduleTimes>>,
}

/// `\"requested\"`, or the grants: what the manifest requests, or less of it, and any patterns.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
enum GrantBody {
    Word(Requested),
    Exactly(#[schemars(with = "schemas::Grants")] Box<Grants>),
}

impl<'de> Deserialize<'de> for GrantBody {
    // The derived implementation would accept a list as an object, and could not name the place of
    // an error inside the object.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GrantVisitor)
    }
}

/// Deserialises a string, or an object at its place in the body.
struct GrantVisitor;

impl<'de> Visitor<'de> for GrantVisitor {
    type Value = GrantBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"requested\", or an object with grants: what the manifest requests, or less of it, \
             and `patterns`",
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

/// All permissions that the manifest requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "GrantsRequested")]
enum Requested {
    #[serde(rename = "requested")]
    Requested,
}

/// A parsed PUT, and the configuration to check, if there is one.
pub(super) struct PutPlan {
    pub(super) patch: PluginPatch,
    pub(super) unchecked: Option<(Arc<LoadedPlugin>, Value)>,
}

/// Converts a PUT to a patch for the chosen component, or for the installed one.
pub(super) async fn plan(
    api: &Api,
    economy: &EconomyId,
    plugin: &PluginName,
    body: PluginBody,
    chosen: Option<Digest>,
) -> Result<PutPlan, Problem> {
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    let installed = books.plugin(plugin);
    let digest = chosen.or(installed.map(|installed| installed.installation.component));
    let Some(digest) = digest else {
        let detail = "a new plugin requires `component`: \"bundled:NAME\" or the hash of an \
                      uploaded component";
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
        let detail = format!(
            "`every_s` must be between 1 and {SCHEDULE_SECONDS_MAX}, and \
                              `offset_s` must be less than `every_s`"
        );
        return Err(Problem::malformed("/schedules", detail));
    }
    // A plugin whose component cannot be loaded by this version can still be disabled.
    if chosen.is_none() && patch.config.is_none() {
        let unchecked = None;
        return Ok(PutPlan { patch, unchecked });
    }
    let loaded = api.service.load(digest).await?;
    if let Some(digest) = chosen {
        let choice = loaded.component_choice(plugin, digest).map_err(|error| {
            let detail = format!(
                "the plugin would have an account with an invalid name: {error}; install \
                         it under another name"
            );
            Problem::malformed("", detail)
        })?;
        // The name is checked before the configuration, which may be meant for another plugin.
        let named = books.check_name(plugin, &choice);
        named.map_err(|rejection| Problem::rejected(&rejection))?;
        patch.component = Some(choice);
    }
    let present = || Some(installed?.installation.config.value());
    let config = body.config.or_else(present).unwrap_or_else(|| json!({}));
    patch.checked_against = Some(digest);
    if patch.component.is_some() && patch.config.is_none() {
        patch.as_of = installed.map(|installed| installed.version);
    }
    let unchecked = Some((loaded, config));
    Ok(PutPlan { patch, unchecked })
}

/// Returns the hash of the component that the text names. A bundled component is registered, except
/// in a preview.
pub(super) async fn component(
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
            "`component` must be \"bundled:NAME\" or 64 hexadecimal digits",
        )
    })
}
