//! Whether the process lives, and whether it takes requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_storage::{ClockView, WriterState};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::api::codes::Code;
use super::api::route::{Resource, Route};
use super::api::schemas;
use super::problem::Problem;

pub(super) fn routes() -> Resource {
    let healthz = Route::get("/healthz", healthz)
        .operation(
            "get_health",
            "Whether the process lives",
            "It does not if its writer gave the file up: then it ends by itself, with code 70.",
        )
        .answers::<Health>(StatusCode::OK, "It lives.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    let readyz = Route::get("/readyz", readyz)
        .operation(
            "get_readiness",
            "Whether requests are taken",
            "A clock of the machine that is far from the time of the file is a `warning`, and no reason to \
             send requests elsewhere: money moves, and time goes on evenly.",
        )
        .answers::<Readiness>(StatusCode::OK, "They are taken.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
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
    /// The time.
    #[schemars(with = "schemas::ClockView")]
    clock: ClockView,
    /// What somebody should look at; absent if there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// The clock of the machine was set, or is wrong.
const CLOCK_WARNING: &str = "the clock of the machine is far from the time of the file and is not \
    followed: if it is right, stop the server, run `bursar clock set` and start it again";

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReadinessStatus")]
enum Ready {
    Ready,
}

/// `GET /healthz`: the process lives.
pub(super) async fn healthz(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    match *api.service.storage().writer().borrow() {
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
    if api.service.storage().is_ready() {
        let clock = api.service.storage().clock().view();
        return Ok(Json(Readiness {
            status: Ready::Ready,
            clock,
            warning: (!clock.followed).then_some(CLOCK_WARNING),
        }));
    }
    Err(Problem::new(
        Code::Unavailable,
        "no requests are taken at the moment",
    ))
}
