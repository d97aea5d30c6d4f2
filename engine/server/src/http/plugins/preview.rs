//! A PUT of a plugin that is only tried: what it would change, and what is wrong with it.

use axum::response::Response;
use bursar_host::ConfigurationFinding;
use bursar_ledger::{Act, Books, EconomyId, Plugin, PluginName, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Prepared;
use super::changes::{ChangeView, changes, settings};
use crate::http::Api;
use crate::http::api::views::{NeedView, PluginView, Put};
use crate::http::api::{schemas, views};
use crate::http::problem::Problem;
use crate::service::error::ServiceError;

/// What a PUT would come to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginPreview")]
pub(super) struct PluginPreview<'a> {
    #[schemars(extend("const" = true))]
    preview: bool,
    /// Whether it would change anything.
    changed: bool,
    /// In what the plugin would differ from how it is.
    changes: Vec<ChangeView>,
    /// All that is wrong with the configuration. With any of it the PUT is refused.
    #[schemars(with = "Vec<schemas::ConfigurationFinding>")]
    findings: &'a [ConfigurationFinding],
    /// Balances that it would need, and what is there now; empty where anything was found.
    needs: Vec<NeedView<'a>>,
}

/// A PUT that was done, or tried.
#[derive(JsonSchema)]
#[schemars(rename = "PluginPutAnswer", untagged)]
pub(super) enum PutAnswer {
    _Put(Put<PluginView<'static>>),
    _Preview(PluginPreview<'static>),
}

/// Tries a PUT on the newest books. Nothing of it is recorded.
pub(super) async fn preview(
    api: &Api,
    economy: EconomyId,
    plugin: PluginName,
    prepared: Prepared,
) -> Result<Response, Problem> {
    let Prepared {
        mut patch,
        unchecked,
    } = prepared;
    let mut findings = Vec::new();
    if let Some((loaded, config)) = unchecked {
        let checked = (api.service).check_configuration(&economy, &plugin, loaded, config);
        match checked.await {
            Ok(needs) => patch.needs = needs,
            Err(ServiceError::ConfigurationRefused(found)) => findings = found,
            Err(other) => return Err(other.into()),
        }
    }
    let state = api.service.state();
    let books = Books::clone(state.books(&economy).ok_or(ServiceError::NoEconomy)?);
    let act = Act::SetPlugin {
        plugin: plugin.clone(),
        patch: Box::new(patch),
    };
    let service = api.service.clone();
    let tried = move || {
        let (verdict, after) = service.try_act(&books, &act);
        match verdict {
            Verdict::Applied(_) | Verdict::Unchanged => {
                Ok(written(&economy, &plugin, &books, &after, &findings))
            }
            Verdict::Rejected(no) => Err(Problem::rejected(&no)),
            Verdict::RejectedWith(..)
            | Verdict::Declined(_)
            | Verdict::Faulted(_)
            | Verdict::Broken(_)
            | Verdict::Stale
            | Verdict::NoEconomy => Err(Problem::bug("a PUT does not end like this")),
        }
    };
    let answer = api.service.beside(tried).await??;
    Ok(super::json_response(answer))
}

fn written(
    economy: &EconomyId,
    name: &PluginName,
    before: &Books,
    after: &Books,
    findings: &[ConfigurationFinding],
) -> String {
    let set = |plugin: &Plugin| {
        let installation = &plugin.installation;
        settings(installation, installation.enabled)
    };
    let was: Option<Value> = before.plugin(name).map(|plugin| set(plugin));
    let is = after.plugin(name);
    let changes = changes(was.as_ref(), is.map(|plugin| set(plugin)).as_ref());
    let needs = is.map(|plugin| views::needs(economy, after, &plugin.installation));
    let view = PluginPreview {
        preview: true,
        changed: !changes.is_empty(),
        changes,
        findings,
        needs: needs.unwrap_or_default(),
    };
    views::to_json(view).to_string()
}
