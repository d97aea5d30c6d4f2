//! The routes that audit the database file while the server runs.
//!
//! One audit runs at a time. A second request is rejected with `audit_running` instead of receiving
//! the report of the first: that report describes an earlier moment and may not have searched for
//! the same heads. An audit is cancelled at its next record if its client disconnects or the server
//! stops.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{EconomyId, Scope};
use bursar_storage::{AuditReport, Cancel, HEADS_MAX, HeadError, SeenHead, StorageError};
use schemars::JsonSchema;

use super::api::codes::Code;
use super::api::route::{Resource, Route};
use super::api::schemas;
use super::auth::Caller;
use super::extract::{Path, Query, wrong_query};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::blocking;
use crate::service::error::ServiceError;

pub(super) fn routes() -> Resource {
    let of_economy = Route::get("/v1/economies/{economy}/audit", of_economy)
        .operation(
            "audit_economy",
            "Audit an economy",
            "Checks every promise of `docs/promises.md` against all records, from the first one, \
             while the server continues to work. The whole file is checked; the response lists the \
             heads and the out-of-limit accounts of this economy only. One audit runs at a time. \
             It is cancelled if the client disconnects.",
        )
        .needs_everywhere(Scope::Admin)
        .query::<AuditQuery>()
        .answers::<schemas::AuditReport>(
            StatusCode::OK,
            "The report. `ok` tells if every promise \
                                                          holds.",
        )
        .error(
            StatusCode::SERVICE_UNAVAILABLE,
            &["audit_running", "unavailable"],
        );
    let all = Route::get("/v1/audit", all)
        .operation(
            "audit_all",
            "Audit the whole file",
            "Checks every promise of `docs/promises.md` against all records of all economies, \
             while the server continues to work. One audit runs at a time. It is cancelled if the \
             client disconnects.",
        )
        .needs_everywhere(Scope::Admin)
        .query::<AuditQuery>()
        .answers::<schemas::AuditReport>(
            StatusCode::OK,
            "The report. `ok` tells if every promise \
                                                          holds.",
        )
        .error(
            StatusCode::SERVICE_UNAVAILABLE,
            &["audit_running", "unavailable"],
        );
    Resource {
        name: "audit",
        about: "An audit checks the promises of Bursar against the whole log while the server \
                runs.",
        routes: vec![of_economy, all],
    }
}

/// The query of an audit. It only describes the parameters; `heads` reads them.
#[derive(JsonSchema, Default)]
#[serde(default)]
struct AuditQuery {
    /// Heads that a client has seen before, one parameter for each: the audit checks that each is
    /// still the hash of a record.
    #[serde(rename = "head")]
    #[schemars(with = "Vec<schemas::SeenHead>", length(max = 64))]
    _head: Vec<String>,
}

/// The query of an audit: `head`, once for each head to search for.
type HeadsQuery = Query<Vec<(String, String)>>;

fn heads(Query(query): HeadsQuery, of: Option<&EconomyId>) -> Result<Vec<SeenHead>, Problem> {
    if query.len() > HEADS_MAX {
        return Err(wrong_query(
            "head",
            &format!("at most {HEADS_MAX} heads can be searched for in one audit"),
        ));
    }
    let head = |(name, value): (String, String)| {
        if name != "head" {
            return Err(wrong_query(
                &name,
                "unknown parameter; an audit accepts only `head`",
            ));
        }
        let read: Result<SeenHead, HeadError> = value.parse();
        let mut head = read.map_err(|error| wrong_query("head", &error.to_string()))?;
        if let Some(economy) = of
            && head.economy.get_or_insert_with(|| economy.clone()) != economy
        {
            return Err(wrong_query(
                "head",
                "this head names another economy; leave its name out, \
                                            or audit that economy",
            ));
        }
        Ok(head)
    };
    query.into_iter().map(head).collect()
}

/// Cancels the audit when the request is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn audit(api: &Api, heads: Vec<SeenHead>) -> Result<AuditReport, Problem> {
    let place = api.audits.clone().try_acquire_owned();
    let place = place.map_err(|_| ServiceError::AuditRunning)?;
    let storage = api.service.storage().clone();
    let cancel = Cancel::new();
    // The permit is released when the work ends, which can be later than the end of the request.
    let on_drop = CancelOnDrop(cancel.clone());
    let audited = blocking(move || {
        let _place = place;
        let audited = storage.audit(&heads, &cancel, &mut |_, _| {});
        if matches!(audited, Err(StorageError::Cancelled)) {
            tracing::info!("audit cancelled: its client disconnected, or the server stops");
        }
        audited
    });
    let mut ending = api.ending.clone();
    let report = tokio::select! {
        report = audited => report?,
        _ = ending.wait_for(|ending| *ending) => {
            let detail = "the server is shutting down; send the request again when it has \
                          restarted";
            return Err(Problem::new(Code::Unavailable, detail));
        }
    };
    drop(on_drop);
    report.map_err(|error| {
        tracing::error!(%error, "audit aborted: the database file could not be read");
        Problem::internal("the database file could not be read")
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

/// `GET …/audit`. The whole file is checked, because the records of all economies form one
/// sequence; the report is then reduced to this economy.
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
