//! Receipts: what the journal says of a call, all of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{CallId, Scope};
use schemars::JsonSchema;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::api::codes::Code;
use super::api::route::Route;
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::{Api, extract};
use crate::receipt::{Receipt, ReceiptSeed};
use crate::service::error::ServiceError;

pub(super) fn route() -> Route {
    Route::get("/v1/economies/{economy}/calls/{call}", read)
        .operation(
            "get_call",
            "Read the receipt of a call",
            "All that it takes to run the call again: the component and its configuration, what was \
             asked, everything that the plugin asked and was told, what it drew and from where, how \
             it ended, what was left of the holds that it dealt with, what moved and changed, and \
             what it cost. `bursar verify` checks it, without this server.",
        )
        .needs(Scope::Read)
        .answers::<ReceiptView>(StatusCode::OK, "The receipt.")
        .error(StatusCode::NOT_FOUND, &["call_not_found"])
        .reads_the_file()
}

/// The receipt of a call.
#[derive(JsonSchema)]
#[schemars(rename = "Receipt")]
struct ReceiptView {
    #[serde(rename = "economy")]
    #[schemars(with = "schemas::EconomyName")]
    _economy: (),
    /// Its number in the economy's journal.
    #[serde(rename = "seq")]
    _seq: u64,
    /// The version of bursar that ran it.
    #[serde(rename = "version")]
    _version: String,
    #[serde(rename = "recorded_at")]
    #[schemars(with = "schemas::Timestamp")]
    _recorded_at: (),
    /// The hash of the record, which covers all before it.
    #[serde(rename = "hash")]
    #[schemars(with = "schemas::Digest")]
    _hash: (),
    /// Who asked: the name of an API key.
    #[serde(rename = "actor")]
    _actor: String,
    #[serde(rename = "idempotency_key", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::IdempotencyKey")]
    _key: Option<()>,
    /// How it ended.
    #[serde(rename = "outcome")]
    #[schemars(extend("enum" = ["applied", "rejected", "declined", "faulted", "broken"]))]
    _outcome: String,
    /// What was asked of the plugin, everything that it asked and was told, and how it ended.
    #[serde(rename = "call")]
    _call: Map<String, Value>,
    /// How the plugin was installed when it ran; absent if it did not.
    #[serde(rename = "installation", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    _installation: Option<()>,
    /// The holds of earlier calls that it captured, gave back or secured; absent if there are none.
    #[serde(rename = "holds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<ReceiptHoldView>")]
    _holds: Option<()>,
    /// What moved.
    #[serde(rename = "postings")]
    #[schemars(with = "Vec<schemas::Posting>")]
    _postings: (),
    /// What else changed: holds, the plugin's keys, what was drawn.
    #[serde(rename = "changes")]
    _changes: Vec<Map<String, Value>>,
    /// The commitment to the server seed, and the seed once it is public; absent if nothing was drawn.
    #[serde(rename = "seed", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    _seed: Option<()>,
}

/// A hold of an earlier call, as it was before this one.
#[derive(JsonSchema)]
#[schemars(rename = "ReceiptHold")]
struct ReceiptHoldView {
    #[serde(rename = "hold")]
    #[schemars(with = "schemas::Uuid")]
    _hold: (),
    /// The posting that captures all that was left of it.
    #[serde(rename = "left")]
    #[schemars(with = "schemas::Posting")]
    _left: (),
}

/// `GET …/calls/{call}`
async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, call)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id = extract::name::<Uuid>("call", &call).map(CallId)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let of = economy.clone();
    let read = api.service.read(move |storage| storage.call(&of, id));
    let record = read.await?.ok_or_else(|| {
        let detail = format!("the economy has no call {id}");
        Problem::new(Code::CallNotFound, detail)
    })?;
    let origin = record.call.origin.as_ref();
    let known = origin.and_then(|origin| books.server_seed(origin.seed));
    let seed = known.map(|known| ReceiptSeed {
        number: known.number,
        commitment: known.commitment,
        seed: known.revealed,
    });
    Ok(Json(views::to_json(Receipt::new(economy, record, seed))))
}
