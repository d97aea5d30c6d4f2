//! Previews of a PUT of a plugin: the changes that it would make, and the errors in its
//! configuration.

use axum::response::Response;
use bursar_host::ConfigurationFinding;
use bursar_ledger::{Act, Books, EconomyId, Plugin, PluginName, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::changes::{ChangeView, changes, settings};
use super::prepare::PutPlan;
use crate::http::api::views::{NeedView, PluginView, Put};
use crate::http::api::{schemas, views};
use crate::http::problem::Problem;
use crate::http::{Api, extract};
use crate::service::error::ServiceError;

/// The result that a PUT of a plugin would have.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginPreview")]
pub(super) struct PluginPreview<'a> {
    #[schemars(extend("const" = true))]
    preview: bool,
    /// True if the PUT would change something.
    changed: bool,
    /// The settings that would change.
    changes: Vec<ChangeView>,
    /// The errors in the configuration. A PUT with any of them is rejected.
    #[schemars(with = "Vec<schemas::ConfigurationFinding>")]
    findings: &'a [ConfigurationFinding],
    /// The balances that the plugin would need, compared with the present balances; empty if the
    /// configuration has errors.
    needs: Vec<NeedView<'a>>,
}

/// The result of a PUT of a plugin, or of its preview.
#[derive(JsonSchema)]
#[schemars(rename = "PluginPutAnswer", untagged)]
pub(super) enum PutAnswer {
    _Put(Put<PluginView<'static>>),
    _Preview(PluginPreview<'static>),
}

/// Previews a PUT with the newest books. Nothing is recorded.
pub(super) async fn preview(
    api: &Api,
    economy: EconomyId,
    plugin: PluginName,
    plan: PutPlan,
) -> Result<Response, Problem> {
    let PutPlan {
        mut patch,
        unchecked,
    } = plan;
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
    let attempt = move || {
        let (verdict, after) = service.try_act(&books, &act);
        match verdict {
            Verdict::Applied(_) | Verdict::Unchanged => {
                Ok(body(&economy, &plugin, &books, &after, &findings))
            }
            Verdict::Rejected(rejection) => Err(Problem::rejected(&rejection)),
            Verdict::RejectedWith(..)
            | Verdict::Declined(_)
            | Verdict::Faulted(_)
            | Verdict::Broken(_)
            | Verdict::Stale
            | Verdict::NoEconomy => Err(Problem::internal(
                "internal error: a PUT of a plugin was \
                                                      decided like a call",
            )),
        }
    };
    let answer = api.service.run_plugin_work(attempt).await??;
    Ok(extract::json_text(answer))
}

fn body(
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
