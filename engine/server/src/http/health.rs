//! The routes that report liveness and readiness.

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
            "Get the liveness",
            "Succeeds while the server can process requests. It fails after the writer of the \
             database file has stopped because of an error; the process then exits with code 70, \
             and a supervisor should restart it.",
        )
        .answers::<Health>(StatusCode::OK, "The process is alive.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    let readyz = Route::get("/readyz", readyz)
        .operation(
            "get_readiness",
            "Get the readiness",
            "Succeeds while the server accepts requests. `warning` reports a machine clock that \
             differs too much from the server's time. Such a server still works and should stay in \
             rotation: it continues its own time evenly.",
        )
        .answers::<Readiness>(StatusCode::OK, "The server accepts requests.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["unavailable"]);
    Resource {
        name: "health",
        about: "Liveness and readiness, for supervisors and load balancers.",
        routes: vec![healthz, readyz],
    }
}

/// The liveness of the process.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    status: Alive,
    /// The version of the server.
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HealthStatus")]
enum Alive {
    Alive,
}

/// The readiness of the server.
#[derive(Serialize, JsonSchema)]
pub(super) struct Readiness {
    status: Ready,
    /// The server's time and the clock of the machine.
    #[schemars(with = "schemas::ClockView")]
    clock: ClockView,
    /// A condition that an operator should look at; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// The warning if the clock of the machine was changed or is wrong.
const CLOCK_WARNING: &str = "the clock of the machine differs too much from the server's time, and \
    the server does not follow it. If the machine's clock is right, stop the server, run `bursar \
    clock set` and start it again";

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReadinessStatus")]
enum Ready {
    Ready,
}

/// `GET /healthz`
pub(super) async fn healthz(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    match *api.service.storage().writer().borrow() {
        WriterState::Working | WriterState::Closed => Ok(Json(Health {
            status: Alive::Alive,
            version: env!("CARGO_PKG_VERSION"),
        })),
        WriterState::GaveUp => Err(Problem::new(
            Code::Unavailable,
            "the writer of the database file has stopped and the process is ending; the server's \
             log says why",
        )),
    }
}

/// `GET /readyz`
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
        "the server does not accept requests at the moment; send the request again later",
    ))
}
