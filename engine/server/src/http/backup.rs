//! The route that copies the database file while the server runs.
//!
//! The request names a path on the server's disk, so it requires the owner's token.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_storage::{BACKUP_WAL_BYTES_MAX, BackupError, BackupPlan, BackupReport, NewFileError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::api::codes::Code;
use super::api::route::Route;
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, NoParameters, Query};
use super::problem::Problem;
use crate::service::blocking;

pub(super) fn route() -> Route {
    Route::post("/v1/backup", make)
        .operation(
            "make_backup",
            "Back up the database file",
            "Copies the database file while the server runs, and verifies the copy. `bursar \
             backup` sends this request if a server uses the file. The request names a path on the \
             server's disk, so API keys cannot send it. It never overwrites a file, so it requires \
             no idempotency key.",
        )
        .needs_the_owner()
        .body::<BackupBody>("nightly", json!({ "path": "/var/backups/bursar.db" }))
        .answers::<schemas::BackupReport>(StatusCode::OK, "The copy is complete and verified.")
        .error(StatusCode::CONFLICT, &["backup_exists"])
        .error(
            StatusCode::INTERNAL_SERVER_ERROR,
            &["backup_failed", "backup_unsound"],
        )
        .error(StatusCode::SERVICE_UNAVAILABLE, &["backup_behind"])
        .error(StatusCode::INSUFFICIENT_STORAGE, &["no_room"])
}

/// The request for a backup.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupBody {
    /// The path of the copy: an absolute path on the server's disk.
    #[schemars(with = "String", regex(pattern = "^/"))]
    pub(crate) path: PathBuf,
    /// Skips the audit of the copy. The default `false` replays every record of the copy against
    /// the rules of the ledger.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(crate) quick: bool,
}

impl BackupBody {
    /// Returns the options of the backup.
    pub(crate) fn plan(&self) -> BackupPlan {
        BackupPlan {
            audit: !self.quick,
            wal_bytes_max: BACKUP_WAL_BYTES_MAX,
        }
    }
}

/// `POST /v1/backup`. It requires no idempotency key, because a backup overwrites nothing.
pub(super) async fn make(
    State(api): State<Api>,
    caller: Caller,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Json<BackupReport>, Problem> {
    caller.require_owner()?;
    let request = extract::json::<BackupBody>(body).await?.typed;
    caller.unchanged(&api)?;
    if !request.path.is_absolute() {
        let detail = "`path` must be an absolute path on the server's disk";
        return Err(Problem::malformed("/path", detail));
    }
    let storage = api.service.storage().clone();
    let plan = request.plan();
    let made = blocking(move || storage.back_up(&request.path, plan, &mut |_, _| {})).await?;
    made.map(Json).map_err(|error| problem(&error))
}

/// Converts the error of a backup. Only the owner can request one, so the error's own text is not a
/// secret.
fn problem(error: &BackupError) -> Problem {
    tracing::warn!(%error, "backup failed");
    let code = match error {
        BackupError::Path | BackupError::Itself(_) => {
            return Problem::malformed("/path", error.to_string());
        }
        BackupError::Behind { .. } => Code::BackupBehind,
        BackupError::Unsound(_) => Code::BackupUnsound,
        BackupError::NewFile(NewFileError::Exists(_)) => Code::BackupExists,
        BackupError::NewFile(NewFileError::NoRoom(_)) => Code::NoRoom,
        BackupError::NewFile(NewFileError::File { .. } | NewFileError::Storage(_)) => {
            Code::BackupFailed
        }
    };
    Problem::new(code, error.to_string())
}
