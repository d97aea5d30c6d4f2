//! The revisions of a plugin: who has changed how it is installed, when, and in what.

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

/// Revisions in a page where nothing is said.
const PAGE: usize = 10;

/// Revisions in a page at most: each may tell a configuration twice.
const PAGE_MAX: usize = 20;

pub(super) fn route() -> Route {
    Route::get(
        "/v1/economies/{economy}/plugins/{plugin}/revisions",
        revisions,
    )
    .operation(
        "list_plugin_revisions",
        "List revisions of a plugin",
        "The newest first: each change of its component, grants, configuration, switch, schedules, and of \
         whether it follows newer versions. The last 100 are there, of this installation; the events have \
         all.",
    )
    .needs(Scope::Read)
    .query::<RevisionsQuery>()
    .answers::<RevisionList>(StatusCode::OK, "A page.")
    .error(StatusCode::NOT_FOUND, &["plugin_not_found"])
    .reads_the_file()
}

/// Which revisions are asked for.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RevisionsQuery {
    /// Only revisions with a lower number: the last of the page before.
    #[schemars(with = "schemas::Number")]
    before: Option<u64>,
    /// Revisions in the page; 10 unless said.
    #[schemars(with = "usize", range(min = 1, max = 20))]
    limit: Option<usize>,
}

/// A page of revisions.
#[derive(Serialize, JsonSchema)]
struct RevisionList {
    revisions: Vec<RevisionView>,
}

/// A change of how a plugin is installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginRevision")]
struct RevisionView {
    /// Its number in the economy's journal.
    #[schemars(with = "schemas::Number")]
    revision: u64,
    #[schemars(with = "schemas::Timestamp")]
    at: Timestamp,
    /// Who asked: the name of an API key, or `bursar` for the server itself.
    actor: String,
    /// How it was asked: `PUT`, `POST` of a rollback or of the call that was one fault too many, `FOLLOW` of
    /// a newer version, or `SWITCH_OFF`.
    request: String,
    /// In what the plugin differs from how it was before.
    changes: Vec<ChangeView>,
}

/// A revision with the record of it, and the records that say how the plugin was installed after and
/// before it.
struct Told {
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
        let detail = format!("a page has 1 to {PAGE_MAX} revisions");
        return Err(wrong("limit", &detail));
    }
    let before = query.before;
    let before = before.map(|before| extract::number("before", before));
    let before = before.transpose()?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.plugin(&name);
    let found = found.ok_or_else(|| ServiceError::NoPlugin(name.clone()))?;
    let told = found.revisions();
    let told = told.map(|(revision, before)| Told { revision, before });
    let told = told.filter(|told| before.is_none_or(|before| told.revision.seq < before));
    let told: Vec<Told> = told.take(limit).collect();
    let read = api.service.read(move |storage| {
        let records = records_of(storage, &economy, &name, &told)?;
        Ok((told, records))
    });
    let (told, records) = read.await?;
    // Configurations are as large as operators make them.
    let written = move || {
        let views = told.iter().filter_map(|told| view(told, &records));
        let revisions = views.collect();
        views::to_json(RevisionList { revisions }).to_string()
    };
    Ok(super::json_response(api.service.beside(written).await?))
}

/// The records that revisions are told from, by their numbers.
fn records_of(
    storage: &Storage,
    economy: &EconomyId,
    name: &PluginName,
    told: &[Told],
) -> Result<BTreeMap<u64, RevisionRecord>, StorageError> {
    let mut records = BTreeMap::new();
    for Told { revision, before } in told {
        let says = before.map(|before| before.set_by);
        for seq in [revision.seq, revision.set_by].into_iter().chain(says) {
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

fn view(told: &Told, records: &BTreeMap<u64, RevisionRecord>) -> Option<RevisionView> {
    let record = records.get(&told.revision.seq)?;
    let now = settings_at(told.revision, records);
    let before = told.before.and_then(|before| settings_at(before, records));
    Some(RevisionView {
        revision: record.seq,
        at: record.recorded_at,
        actor: record.actor.clone(),
        request: record.request["method"].as_str().unwrap_or_default().into(),
        changes: changes(before.as_ref(), now.as_ref()),
    })
}

/// The settings after a revision. One that does not say them itself has switched the plugin off.
fn settings_at(revision: Revision, records: &BTreeMap<u64, RevisionRecord>) -> Option<Value> {
    let record = records.get(&revision.set_by)?;
    let installation = record.installation.as_ref()?;
    let enabled = installation.enabled && revision.seq == revision.set_by;
    Some(settings(installation, enabled))
}
