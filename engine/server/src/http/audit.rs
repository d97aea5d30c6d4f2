//! The audit of the running server: every promise, checked now, beside the work that goes on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{EconomyId, Scope};
use bursar_storage::AuditReport;

use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::route::{Resource, Route};
use super::{Api, extract, shapes};
use crate::economy::blocking;
use crate::no_answer::NoAnswer;

pub(super) fn routes() -> Resource {
    let of_economy = Route::get("/v1/economies/{economy}/audit", of_economy)
        .called(
            "audit_economy",
            "Audit an economy",
            "Every promise, checked now against every record from the first, beside the work that \
             goes on. The whole file is checked; what is told is this economy's.",
        )
        .needs_everywhere(Scope::Admin)
        .answers::<shapes::AuditReport>(StatusCode::OK, "What was found; see `ok`.");
    let all = Route::get("/v1/audit", all)
        .called(
            "audit_all",
            "Audit the whole file",
            "Every promise, checked now.",
        )
        .needs_everywhere(Scope::Admin)
        .answers::<shapes::AuditReport>(StatusCode::OK, "What was found; see `ok`.");
    Resource {
        name: "audit",
        about: "What Bursar promises, checked while it runs.",
        routes: vec![of_economy, all],
    }
}

async fn audit(api: &Api) -> Result<AuditReport, Problem> {
    let storage = api.bursar.storage().clone();
    let report = blocking(move || storage.audit(&mut |_, _| {})).await?;
    report.map_err(|error| {
        tracing::error!(%error, "the audit broke off");
        Problem::bug("the file could not be read")
    })
}

/// `GET /v1/audit`
pub(super) async fn all(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<AuditReport>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(Json(audit(&api).await?))
}

/// `GET …/audit`. The whole file is checked, since its records are one sequence; what is told is
/// this economy's.
pub(super) async fn of_economy(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Json<AuditReport>, Problem> {
    let economy: EconomyId = extract::economy(&economy)?;
    caller.require_everywhere(Scope::Admin)?;
    if api.bursar.state().books(&economy).is_none() {
        return Err(NoAnswer::NoEconomy.into());
    }
    let mut report = audit(&api).await?;
    report.economies.retain(|head| head.economy == economy);
    report.outside.retain(|outside| outside.economy == economy);
    Ok(Json(report))
}
