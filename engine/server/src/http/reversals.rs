//! Transfers by their ids: what the journal says of one, and how one is taken back.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bursar_ledger::{
    Act, Force, Postings, REASON_CHARS_MAX, Reversal, ReversalRequest, Scope, TransferId,
};
use bursar_storage::SubjectRecord;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Caller;
use super::extract::{Asked, Parsed, Path, Preview};
use super::problem::Problem;
use super::transfers::{Submitted, Words, authority, check_text, submit};
use super::{Api, extract, wire};
use crate::economy::blocking;
use crate::no_answer::NoAnswer;
use crate::random;

/// The body that takes a transfer back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReversalBody {
    #[serde(default)]
    force: bool,
    reason: Option<String>,
    memo: Option<String>,
    reference: Option<String>,
    metadata: Option<Value>,
}

impl ReversalBody {
    fn check(&self) -> Result<(), Problem> {
        check_text("/reason", self.reason.as_ref(), REASON_CHARS_MAX)?;
        Words {
            memo: self.memo.as_ref(),
            reference: self.reference.as_ref(),
            metadata: self.metadata.as_ref(),
        }
        .check()
    }

    /// What is forced says why.
    fn force(self) -> Result<Option<Force>, Problem> {
        match (
            self.force,
            self.reason.filter(|reason| !reason.trim().is_empty()),
        ) {
            (false, None) => Ok(None),
            (true, Some(reason)) => Ok(Some(Force { reason })),
            (true, None) => Err(Problem::malformed(
                "/reason",
                "a reversal that is forced says for which reason",
            )),
            (false, Some(_)) => Err(Problem::malformed(
                "/reason",
                "a reason belongs to a reversal with `force`; use `memo` for others",
            )),
        }
    }
}

/// `POST …/transfers/{transfer}/reverse`
pub(super) async fn reverse(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, transfer)): Path<(String, String)>,
    Asked(preview): Asked<Preview>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Transfer, &economy)?;
    let original = transfer_id(&transfer)?;
    let Parsed { typed, canonical } = extract::json::<ReversalBody>(body).await?;
    typed.check()?;
    let force = typed.force()?;
    if api.bursar.state().books(&economy).is_none() {
        return Err(NoAnswer::NoEconomy.into());
    }
    if force.is_some() {
        caller.require(Scope::Admin, &economy)?;
    }
    let (storage, of) = (api.bursar.storage().clone(), economy.clone());
    let moved = blocking(move || storage.moved(&of, original)).await?;
    let moved = moved.map_err(NoAnswer::Unreadable)?;
    let postings = moved.into_iter().map(|movement| movement.posting);
    let postings = Postings::new(postings.collect()).map_err(|_| not_found(original))?;
    let act = Act::Reverse(Box::new(ReversalRequest {
        id: random::transfer_id(),
        original,
        postings: postings.reversed(),
        authority: authority(&caller),
        force,
        cap: caller.transfer_cap(),
    }));
    let submitted = Submitted {
        route: format!("/v1/economies/{economy}/transfers/{original}/reverse"),
        economy,
        canonical,
        act,
    };
    submit(&api, &caller, preview, &headers, submitted).await
}

/// `GET …/transfers/{transfer}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, transfer)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id = transfer_id(&transfer)?;
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let (storage, of) = (api.bursar.storage().clone(), economy.clone());
    let made = blocking(move || storage.transfer(&of, id)).await?;
    let made = made.map_err(NoAnswer::Unreadable)?;
    let made = made.ok_or_else(|| not_found(id))?;
    Ok(Json(view(id, &made, books.reversal(id))))
}

fn transfer_id(text: &str) -> Result<TransferId, Problem> {
    extract::name::<Uuid>("transfer", text).map(TransferId)
}

fn not_found(transfer: TransferId) -> Problem {
    let detail = format!("the economy has no transfer {transfer}");
    Problem::not_found("transfer_not_found", detail)
}

fn view(id: TransferId, made: &SubjectRecord, reversal: Option<Reversal>) -> Value {
    let known = json!({
        "id": id,
        "seq": made.seq,
        "recorded_at": made.recorded_at,
        "kind": made.act.kind(),
        "actor": made.actor,
    });
    let said = made.words();
    let said = |name: &'static str| {
        let value = said.and_then(|said| said.get(name)).cloned();
        value.map(|value| (name, value))
    };
    let more = [
        made.key.clone().map(|key| ("idempotency_key", key.into())),
        said("memo"),
        said("reference"),
        said("metadata"),
        match &made.act {
            Act::Call(result) => Some(("plugin", json!(result.request.plugin))),
            _ => None,
        },
        match &made.act {
            Act::CaptureHold(capture) => Some(("hold", json!(capture.hold))),
            Act::ExpireHold { hold } => Some(("hold", json!(hold))),
            _ => None,
        },
        match reversal {
            Some(Reversal::By(by)) => Some(("reversed_by", json!(by))),
            Some(Reversal::Of(of)) => Some(("reverses", json!(of))),
            None => None,
        },
    ];
    let more = more.into_iter().flatten();
    let more: serde_json::Map<String, Value> =
        more.map(|(name, value)| (name.to_owned(), value)).collect();
    let moved = wire::movements(&made.movements);
    wire::extend(wire::extend(known, moved), Value::Object(more))
}
