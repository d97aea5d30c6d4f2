//! Whether the process lives, and whether it takes requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_storage::WriterState;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::codes::Code;
use super::problem::Problem;
use super::route::{Resource, Route};

pub(super) fn routes() -> Resource {
    let healthz = Route::get("/healthz", healthz)
        .called(
            "get_health",
            "Whether the process lives",
            "It does not if its writer gave the file up: then it ends by itself, with code 70.",
        )
        .answers::<Health>(StatusCode::OK, "It lives.")
        .no(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    let readyz = Route::get("/readyz", readyz)
        .called("get_readiness", "Whether requests are taken", "")
        .answers::<Readiness>(StatusCode::OK, "They are taken.")
        .no(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    Resource {
        name: "health",
        about: "For whoever watches the process.",
        routes: vec![healthz, readyz],
    }
}

/// The process lives.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    status: Alive,
    /// The version that runs.
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HealthStatus")]
enum Alive {
    Alive,
}

/// Requests are taken.
#[derive(Serialize, JsonSchema)]
pub(super) struct Readiness {
    status: Ready,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReadinessStatus")]
enum Ready {
    Ready,
}

/// `GET /healthz`: the process lives.
pub(super) async fn healthz(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    match *api.bursar.storage().writer().borrow() {
        WriterState::Working | WriterState::Closed => Ok(Json(Health {
            status: Alive::Alive,
            version: env!("CARGO_PKG_VERSION"),
        })),
        WriterState::GaveUp => Err(Problem::new(
            Code::Unavailable,
            "the file was given up and the process is ending; its log says why",
        )),
    }
}

/// `GET /readyz`: requests are taken.
pub(super) async fn readyz(State(api): State<Api>) -> Result<Json<Readiness>, Problem> {
    if api.bursar.storage().is_ready() {
        return Ok(Json(Readiness {
            status: Ready::Ready,
        }));
    }
    Err(Problem::new(
        Code::Unavailable,
        "no requests are taken at the moment",
    ))
}
