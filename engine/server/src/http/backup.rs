//! A backup of the running server's file, beside the work that goes on.
//!
//! It names a path on the server's disk, so only whoever runs the server may ask for it, with the
//! token that stands beside the file.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_storage::{BACKUP_WAL_BYTES_MAX, BackupError, BackupPlan, BackupReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::api::codes::Code;
use super::api::route::Route;
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, Nothing, Query};
use super::problem::Problem;
use crate::service::blocking;

pub(super) fn route() -> Route {
    Route::post("/v1/backup", make)
        .operation(
            "make_backup",
            "A verified copy of the file",
            "What `bursar backup` asks of a file that is served. It names a path on the server's \
             disk, so no API key will do. It overwrites nothing, so it needs no idempotency key.",
        )
        .needs_the_owner()
        .body::<BackupBody>("nightly", json!({ "path": "/var/backups/bursar.db" }))
        .answers::<schemas::BackupReport>(StatusCode::OK, "The copy, verified.")
        .error(StatusCode::CONFLICT, &["backup_exists"])
        .error(
            StatusCode::INTERNAL_SERVER_ERROR,
            &["backup_failed", "backup_unsound"],
        )
        .error(StatusCode::SERVICE_UNAVAILABLE, &["backup_behind"])
        .error(StatusCode::INSUFFICIENT_STORAGE, &["no_room"])
}

/// What is asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupBody {
    /// Where the copy is to be: an absolute path on the server's disk.
    #[schemars(with = "String", regex(pattern = "^/"))]
    pub(crate) path: PathBuf,
    /// Whether its records are not decided again.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(crate) quick: bool,
}

impl BackupBody {
    /// How the copy is made.
    pub(crate) fn plan(&self) -> BackupPlan {
        BackupPlan {
            audit: !self.quick,
            wal_bytes_max: BACKUP_WAL_BYTES_MAX,
        }
    }
}

/// `POST /v1/backup`. It needs no idempotency key: a backup overwrites nothing.
pub(super) async fn make(
    State(api): State<Api>,
    caller: Caller,
    _: Query<Nothing>,
    body: Body,
) -> Result<Json<BackupReport>, Problem> {
    caller.require_owner()?;
    let asked = extract::json::<BackupBody>(body).await?.typed;
    caller.unchanged(&api)?;
    if !asked.path.is_absolute() {
        let detail = "an absolute path: the server does not know where you stand";
        return Err(Problem::malformed("/path", detail));
    }
    let storage = api.service.storage().clone();
    let plan = asked.plan();
    let made = blocking(move || storage.back_up(&asked.path, plan, &mut |_, _| {})).await?;
    made.map(Json).map_err(|error| refused(&error))
}

/// Why there is none. Whoever asks runs the server, so the error's own words are theirs to read.
fn refused(error: &BackupError) -> Problem {
    tracing::warn!(%error, "a backup was not made");
    let code = match error {
        BackupError::Exists(_) => Code::BackupExists,
        BackupError::Path | BackupError::Itself(_) => {
            return Problem::malformed("/path", error.to_string());
        }
        BackupError::NoRoom(_) => Code::NoRoom,
        BackupError::Behind { .. } => Code::BackupBehind,
        BackupError::Unsound(_) => Code::BackupUnsound,
        BackupError::File { .. } | BackupError::Storage(_) => Code::BackupFailed,
    };
    Problem::new(code, error.to_string())
}
