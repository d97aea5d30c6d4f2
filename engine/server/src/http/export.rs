//! An economy's journal as lines of JSON, streamed as they are read.

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
use super::extract::{self, Nothing, Path, Query};
use super::problem::Problem;
use super::{Api, backup};
use crate::service::error::ServiceError;

/// Exports at the same time: each has a thread of its own, and reads the whole journal.
pub(super) const EXPORTS_MAX: usize = 4;

/// Bytes that are put together before they are passed on; a line may be longer by itself.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks that wait for the client.
const CHUNKS_WAITING: usize = 4;

/// The media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";

pub(super) fn routes() -> Resource {
    let export = Route::get("/v1/economies/{economy}/export", read)
        .operation(
            "export_economy",
            "An economy's journal as lines of JSON",
            "All its history, streamed, for `bursar import`. A stream that broke off has no last \
             line.",
        )
        .needs(Scope::Admin)
        .answers_as::<schemas::Lines>(StatusCode::OK, NDJSON, "The lines.")
        .error(StatusCode::SERVICE_UNAVAILABLE, &["overloaded"]);
    Resource {
        name: "archive",
        about: "An economy as lines of JSON, and the file as a verified copy.",
        routes: vec![export, backup::route()],
    }
}

/// `GET …/export`. A stream that breaks off has no last line.
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<Nothing>,
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
                tracing::warn!(%economy, %error, "an export broke off");
                Err(io::Error::other("the export broke off"))
            }
        };
        // Whoever asked may have gone.
        drop(sender.blocking_send(last));
    });
    let chunks = unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    let lines = [(header::CONTENT_TYPE, NDJSON)];
    Ok((lines, Body::from_stream(chunks)).into_response())
}
