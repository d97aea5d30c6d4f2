//! The route that lists the revisions of a plugin: the changes to its installation.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{EconomyId, PluginName, Revision, Scope, Timestamp};
use bursar_storage::{RevisionRecord, Storage, StorageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::changes::{ChangeView, changes, settings};
use crate::http::api::route::Route;
use crate::http::api::{schemas, views};
use crate::http::auth::Caller;
use crate::http::extract::{Path, Query, wrong_query as wrong};
use crate::http::problem::Problem;
use crate::http::{Api, extract};
use crate::service::error::ServiceError;

/// The default number of revisions in a page.
const PAGE: usize = 10;

/// The greatest number of revisions in a page: each may contain a configuration twice.
const PAGE_MAX: usize = 20;

pub(super) fn route() -> Route {
    Route::get(
        "/v1/economies/{economy}/plugins/{plugin}/revisions",
        revisions,
    )
    .operation(
        "list_plugin_revisions",
        "List revisions of a plugin",
        "Returns the changes to the plugin's component, grants, configuration, schedules, \
         `enabled` and `follow`, newest first. The last 100 revisions since its installation are \
         available here; the events contain all of them.",
    )
    .needs(Scope::Read)
    .pages("limit", "revisions", PAGE, PAGE_MAX)
    .query::<RevisionsQuery>()
    .answers::<RevisionList>(StatusCode::OK, "A page of revisions.")
    .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
    .reads_the_file()
}

/// The query of a list of revisions.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RevisionsQuery {
    /// Returns only revisions with a lower number. For the next page: the number of the last
    /// revision of this one.
    #[schemars(with = "schemas::Number")]
    before: Option<u64>,
    /// The greatest number of revisions in the page. Default 10.
    #[schemars(with = "usize", range(min = 1, max = 20))]
    limit: Option<usize>,
}

/// A page of revisions.
#[derive(Serialize, JsonSchema)]
struct RevisionList {
    revisions: Vec<RevisionView>,
}

/// A change to the installation of a plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginRevision")]
struct RevisionView {
    /// The number of the record in the economy's log.
    #[schemars(with = "schemas::Number")]
    revision: u64,
    #[schemars(with = "schemas::Timestamp")]
    at: Timestamp,
    /// The actor: the name of an API key, or `bursar` for the server itself.
    actor: String,
    /// The cause: `PUT`; `POST` for a rollback, or for a call whose fault disabled the plugin;
    /// `FOLLOW` for an automatic update; or `SWITCH_OFF` if the server disabled the plugin.
    request: String,
    /// The settings that changed.
    changes: Vec<ChangeView>,
}

/// A revision, and the one before it.
struct RevisionStep {
    revision: Revision,
    before: Option<Revision>,
}

/// `GET …/plugins/{plugin}/revisions`
async fn revisions(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, plugin)): Path<(String, String)>,
    Query(query): Query<RevisionsQuery>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let name: PluginName = extract::name("plugin", &plugin)?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {PAGE_MAX}");
        return Err(wrong("limit", &detail));
    }
    let before = query.before;
    let before = before.map(|before| extract::number("before", before));
    let before = before.transpose()?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.plugin(&name);
    let found = found.ok_or_else(|| ServiceError::NoPlugin(name.clone()))?;
    let steps = found.revisions();
    let steps = steps.map(|(revision, before)| RevisionStep { revision, before });
    let steps = steps.filter(|step| before.is_none_or(|before| step.revision.seq < before));
    let steps: Vec<RevisionStep> = steps.take(limit).collect();
    let read = api.service.read(move |storage| {
        let records = records_of(storage, &economy, &name, &steps)?;
        Ok((steps, records))
    });
    let (steps, records) = read.await?;
    // Configurations can be large, so they are serialised on another thread.
    let body = move || {
        let views = steps.iter().filter_map(|step| view(step, &records));
        let revisions = views.collect();
        views::to_json(RevisionList { revisions }).to_string()
    };
    Ok(extract::json_text(api.service.run_plugin_work(body).await?))
}

/// Reads the records that the revisions refer to, by their numbers.
fn records_of(
    storage: &Storage,
    economy: &EconomyId,
    name: &PluginName,
    steps: &[RevisionStep],
) -> Result<BTreeMap<u64, RevisionRecord>, StorageError> {
    let mut records = BTreeMap::new();
    for RevisionStep { revision, before } in steps {
        let before = before.map(|before| before.set_by);
        for seq in [revision.seq, revision.set_by].into_iter().chain(before) {
            if records.contains_key(&seq) {
                continue;
            }
            if let Some(record) = storage.revision(economy, name, seq)? {
                records.insert(seq, record);
            }
        }
    }
    Ok(records)
}

fn view(step: &RevisionStep, records: &BTreeMap<u64, RevisionRecord>) -> Option<RevisionView> {
    let record = records.get(&step.revision.seq)?;
    let now = settings_at(step.revision, records);
    let before = step.before.and_then(|before| settings_at(before, records));
    Some(RevisionView {
        revision: record.seq,
        at: record.recorded_at,
        actor: record.actor.clone(),
        request: record.request["method"].as_str().unwrap_or_default().into(),
        changes: changes(before.as_ref(), now.as_ref()),
    })
}

/// Returns the settings after a revision. A revision whose record does not set them has disabled
/// the plugin.
fn settings_at(revision: Revision, records: &BTreeMap<u64, RevisionRecord>) -> Option<Value> {
    let record = records.get(&revision.set_by)?;
    let installation = record.installation.as_ref()?;
    let enabled = installation.enabled && revision.seq == revision.set_by;
    Some(settings(installation, enabled))
}
