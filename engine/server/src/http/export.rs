//! The route that exports an economy's log as lines of JSON, which are streamed as they are
//! read.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::Scope;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::api::route::{Resource, Route};
use super::api::schemas;
use super::auth::Caller;
use super::extract::{self, NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, backup};
use crate::service::error::ServiceError;

/// The size in bytes at which collected lines are sent. A single line may be longer.
const CHUNK_BYTES: usize = 256 * 1024;

/// The number of chunks that wait for the client.
const CHUNKS_WAITING: usize = 4;

/// The media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";

pub(super) fn routes() -> Resource {
    let export = Route::get("/v1/economies/{economy}/export", read)
        .operation(
            "export_economy",
            "Export an economy",
            "Returns the whole log of the economy as lines of JSON, for `bursar import`. The \
             response is streamed. If its last line is missing, the export is incomplete: send the \
             request again.",
        )
        .needs(Scope::Admin)
        .answers_as::<schemas::Lines>(StatusCode::OK, NDJSON, "The log as lines of JSON.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["overloaded"]);
    Resource {
        name: "archive",
        about: "Exports of an economy as lines of JSON, and backups of the database file.",
        routes: vec![export, backup::route()],
    }
}

/// `GET …/export`. An aborted stream has no last line.
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    if api.service.state().books(&economy).is_none() {
        return Err(ServiceError::NoEconomy.into());
    }
    let place = api.exports.clone().try_acquire_owned();
    let place = place.map_err(|_| ServiceError::TooManyExports)?;
    let storage = api.service.storage().clone();
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_WAITING);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut chunk = Vec::new();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let mut take = |line: Vec<u8>| {
            chunk.extend(line);
            if chunk.len() < CHUNK_BYTES {
                return Ok(());
            }
            let full = Bytes::from(std::mem::take(&mut chunk));
            sender.blocking_send(Ok(full)).map_err(gone)
        };
        let exported = storage.export(&economy, &mut take, &mut |_, _| {});
        let last = match exported {
            Ok(()) => Ok(Bytes::from(chunk)),
            Err(error) => {
                tracing::warn!(%economy, %error, "export aborted");
                Err(io::Error::other("export aborted"))
            }
        };
        // The client may have disconnected, which is not an error of the export.
        drop(sender.blocking_send(last));
    });
    let chunks = unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    let lines = [(header::CONTENT_TYPE, NDJSON)];
    Ok((lines, Body::from_stream(chunks)).into_response())
}
