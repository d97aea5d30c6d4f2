//! The audit of the running server: every promise, checked now, beside the work that goes on.
//!
//! One runs at a time. A second request is told to come back rather than given the report of the
//! first: that one is of an earlier moment, and may not have looked for the same heads. An audit ends
//! at its next record once its client is gone or the server stops.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{EconomyId, Scope};
use bursar_storage::{AuditReport, Cancel, HEADS_MAX, HeadError, SeenHead, StorageError};
use schemars::JsonSchema;

use tokio::sync::Semaphore;

use super::api::codes::Code;
use super::api::route::{Resource, Route};
use super::api::schemas;
use super::auth::Caller;
use super::extract::{Path, Query, wrong_query};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::blocking;
use crate::service::error::ServiceError;

/// Audits at the same time.
const AUDITS_MAX: usize = 1;

/// A place for the audit that runs.
pub(super) fn place() -> Semaphore {
    Semaphore::new(AUDITS_MAX)
}

pub(super) fn routes() -> Resource {
    let of_economy = Route::get("/v1/economies/{economy}/audit", of_economy)
        .operation(
            "audit_economy",
            "Audit an economy",
            "Every promise, checked now against every record from the first, beside the work that \
             goes on. The whole file is checked; what is told is this economy's. One audit runs at \
             a time, and ends when its client leaves.",
        )
        .needs_everywhere(Scope::Admin)
        .query::<AuditQuery>()
        .answers::<schemas::AuditReport>(StatusCode::OK, "What was found; see `ok`.")
        .error(
            StatusCode::SERVICE_UNAVAILABLE,
            &["audit_running", "unavailable"],
        );
    let all = Route::get("/v1/audit", all)
        .operation(
            "audit_all",
            "Audit the whole file",
            "Every promise, checked now. One audit runs at a time, and ends when its client leaves.",
        )
        .needs_everywhere(Scope::Admin)
        .query::<AuditQuery>()
        .answers::<schemas::AuditReport>(StatusCode::OK, "What was found; see `ok`.")
        .error(
            StatusCode::SERVICE_UNAVAILABLE,
            &["audit_running", "unavailable"],
        );
    Resource {
        name: "audit",
        about: "What Bursar promises, checked while it runs.",
        routes: vec![of_economy, all],
    }
}

/// What may be asked beside, as `heads` reads it.
#[derive(JsonSchema, Default)]
#[serde(default)]
struct AuditQuery {
    /// Heads that were seen before, each said as a parameter of its own: each must still be a
    /// record's.
    #[serde(rename = "head")]
    #[schemars(with = "Vec<schemas::SeenHead>", length(max = 64))]
    _head: Vec<String>,
}

/// What is said in the query: `head`, as often as heads were seen before.
type HeadsQuery = Query<Vec<(String, String)>>;

fn heads(Query(query): HeadsQuery, of: Option<&EconomyId>) -> Result<Vec<SeenHead>, Problem> {
    if query.len() > HEADS_MAX {
        return Err(wrong_query(
            "head",
            &format!("one audit looks for {HEADS_MAX} heads at most"),
        ));
    }
    let head = |(name, value): (String, String)| {
        if name != "head" {
            return Err(wrong_query(
                &name,
                "an audit is asked for `head`s that were seen before",
            ));
        }
        let read: Result<SeenHead, HeadError> = value.parse();
        let mut head = read.map_err(|error| wrong_query("head", &error.to_string()))?;
        if let Some(economy) = of
            && head.economy.get_or_insert_with(|| economy.clone()) != economy
        {
            return Err(wrong_query("head", "this is the head of another economy"));
        }
        Ok(head)
    };
    query.into_iter().map(head).collect()
}

/// Cancels an audit when nobody waits for it any more.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn audit(api: &Api, heads: Vec<SeenHead>) -> Result<AuditReport, Problem> {
    let place = api.audits.clone().try_acquire_owned();
    let place = place.map_err(|_| ServiceError::AuditRunning)?;
    let (storage, cancel) = (api.service.storage().clone(), Cancel::new());
    // The place is free again when the work has ended, which is later than the wait for it.
    let on_drop = CancelOnDrop(cancel.clone());
    let audited = blocking(move || {
        let _place = place;
        let audited = storage.audit(&heads, &cancel, &mut |_, _| {});
        if matches!(audited, Err(StorageError::Cancelled)) {
            tracing::info!("an audit was cancelled: nobody waits for it any more");
        }
        audited
    });
    let mut ending = api.ending.clone();
    let report = tokio::select! {
        report = audited => report?,
        _ = ending.wait_for(|ending| *ending) => {
            let detail = "the server is stopping; ask again when it is back";
            return Err(Problem::new(Code::Unavailable, detail));
        }
    };
    drop(on_drop);
    report.map_err(|error| {
        tracing::error!(%error, "an audit ended early");
        Problem::bug("the file could not be read")
    })
}

/// `GET /v1/audit`
pub(super) async fn all(
    State(api): State<Api>,
    caller: Caller,
    query: HeadsQuery,
) -> Result<Json<AuditReport>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(Json(audit(&api, heads(query, None)?).await?))
}

/// `GET …/audit`. The whole file is checked, since its records are one sequence; what is told is
/// this economy's.
pub(super) async fn of_economy(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    query: HeadsQuery,
) -> Result<Json<AuditReport>, Problem> {
    let economy: EconomyId = extract::economy(&economy)?;
    caller.require_everywhere(Scope::Admin)?;
    if api.service.state().books(&economy).is_none() {
        return Err(ServiceError::NoEconomy.into());
    }
    let heads = heads(query, Some(&economy))?;
    let mut report = audit(&api, heads).await?;
    report.economies.retain(|head| head.economy == economy);
    report.outside.retain(|outside| outside.economy == economy);
    Ok(Json(report))
}
