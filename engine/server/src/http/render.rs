//! What came of an act, as the answer that is kept with it.
//!
//! This runs on the writer's thread and in the audit, which must get the same bytes: it depends on
//! nothing but what it is given.

use axum::http::StatusCode;
use bursar_ledger::{
    Act, CallId, CallResult, Decision, Ending, Retry, Timestamp, TransferId, Verdict,
};
use bursar_storage::{Recorded, Rendered};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::wire::{MovementsView, Put};
use super::{shapes, wire};

/// Renders an answer.
pub fn render(recorded: &Recorded<'_>) -> Rendered {
    let (status, body) = match recorded.verdict {
        Verdict::Applied(decision) => applied(recorded, decision),
        Verdict::Unchanged => (StatusCode::OK, changed(recorded, false)),
        Verdict::Rejected(rejection) => no(&Problem::rejected(rejection)),
        Verdict::Declined | Verdict::Faulted => match recorded.act {
            Act::Call(call) => no(&ended(call)),
            _ => no(&Problem::bug("only a call can end like this")),
        },
        // Neither reaches a client: a stale call runs again, a missing economy is a 404 of its path.
        Verdict::Stale | Verdict::NoEconomy => no(&Problem::bug("this has no answer")),
    };
    Rendered {
        status: status.as_u16(),
        body: body.to_string(),
    }
}

fn no(problem: &Problem) -> (StatusCode, Value) {
    (problem.status(), problem.body())
}

/// How a call ended that moved nothing.
fn ended(call: &CallResult) -> Problem {
    let problem = match &call.ending {
        Ending::Declined { code, message } => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::new(status, "declined", Retry::NewKey, message.clone())
                .with("decline", json!({ "code": code, "message": message }))
        }
        Ending::Faulted { fault } => {
            let detail = "the plugin misbehaved and was stopped; nothing has moved";
            Problem::new(
                StatusCode::BAD_GATEWAY,
                "plugin_fault",
                Retry::NewKey,
                detail,
            )
            .with("fault", fault.clone())
        }
        Ending::Replied { .. } | Ending::NotRun(_) => Problem::bug("this is no refusal"),
    };
    problem
        .with("plugin", call.request.plugin.as_str())
        .with("call", call.request.id.to_string())
        .with("fuel", call.fuel)
}

fn applied(recorded: &Recorded<'_>, decision: &Decision) -> (StatusCode, Value) {
    match recorded.act {
        Act::Transfer(request) => (
            StatusCode::CREATED,
            transfer(recorded, decision, request.id),
        ),
        Act::Issue(request) | Act::Burn(request) => (
            StatusCode::CREATED,
            transfer(recorded, decision, request.id),
        ),
        Act::Call(result) => (StatusCode::OK, call(recorded, decision, result)),
        Act::OpenEconomy { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::SetPlugin { .. }
        | Act::SetKey { .. }
        | Act::AddComponent { .. } => {
            let status = if decision.creates() {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            (status, changed(recorded, true))
        }
    }
}

/// A transfer that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Transfer")]
pub(super) struct TransferView<'a> {
    #[schemars(with = "shapes::Uuid")]
    id: TransferId,
    /// Its number in the economy's journal.
    seq: u64,
    #[schemars(with = "shapes::Timestamp")]
    recorded_at: Timestamp,
    #[serde(flatten)]
    movements: MovementsView<'a>,
}

fn transfer(recorded: &Recorded<'_>, decision: &Decision, id: TransferId) -> Value {
    wire::to_json(TransferView {
        id,
        seq: recorded.seq,
        recorded_at: recorded.recorded_at,
        movements: wire::movements(decision.movements()),
    })
}

/// A call that was committed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Call")]
pub(super) struct CallView<'a> {
    #[schemars(with = "shapes::Uuid")]
    call: CallId,
    /// Its number in the economy's journal.
    seq: u64,
    #[schemars(with = "shapes::Timestamp")]
    recorded_at: Timestamp,
    #[serde(flatten)]
    came: CameOf<'a>,
}

/// How a call can end that is no problem.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CallOutcome")]
enum Committed {
    /// Everything that it asked for has happened.
    Committed,
}

/// What came of a call.
#[derive(Serialize, JsonSchema)]
struct CameOf<'a> {
    outcome: Committed,
    /// The plugin's reply, as the manifest's schema has it.
    #[schemars(with = "Value")]
    reply: &'a Value,
    /// What moved.
    transfer: MovementsView<'a>,
    /// What the call used up.
    fuel: u64,
}

fn call(recorded: &Recorded<'_>, decision: &Decision, result: &CallResult) -> Value {
    let reply = if let Ending::Replied { reply } = &result.ending {
        reply
    } else {
        &Value::Null
    };
    wire::to_json(CallView {
        call: result.request.id,
        seq: recorded.seq,
        recorded_at: recorded.recorded_at,
        came: CameOf {
            outcome: Committed::Committed,
            reply,
            transfer: wire::movements(decision.movements()),
            fuel: result.fuel,
        },
    })
}

/// What would come of a transfer: it has no id, no number and no time, since it is not recorded.
#[derive(JsonSchema)]
#[schemars(rename = "TransferPreview")]
pub(super) struct TransferPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// What would come of a call. Its draws are thrown away.
#[derive(JsonSchema)]
#[schemars(rename = "CallPreview")]
pub(super) struct CallPreview {
    #[serde(flatten)]
    _came: CameOf<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A call that was committed, or previewed.
#[derive(JsonSchema)]
#[schemars(rename = "CallAnswer", untagged)]
pub(super) enum CallAnswer {
    _Call(CallView<'static>),
    _Preview(CallPreview),
}

/// What a PUT has made, or left as it was.
fn changed(recorded: &Recorded<'_>, changed: bool) -> Value {
    let view = recorded.books.and_then(|books| match recorded.act {
        Act::OpenEconomy { .. } => Some(put(wire::opened(recorded.economy, books), changed)),
        Act::SetAsset { asset, .. } => books
            .asset(asset)
            .map(|found| put(wire::asset(asset, found, books), changed)),
        Act::SetAccount { account, .. } => books
            .account(account)
            .map(|found| put(wire::account(account, found), changed)),
        Act::SetPlugin { plugin, .. } => books
            .plugin(plugin)
            .map(|found| put(wire::plugin(plugin, found), changed)),
        Act::SetKey { key, .. } => books
            .key(key)
            .map(|found| put(wire::key(key, found), changed)),
        Act::AddComponent { digest, .. } => books
            .components()
            .get(digest)
            .map(|found| put(wire::component(digest, found), changed)),
        Act::Transfer(_) | Act::Issue(_) | Act::Burn(_) | Act::Call(_) => None,
    });
    view.unwrap_or_else(|| json!({ "changed": changed }))
}

fn put(view: impl Serialize, changed: bool) -> Value {
    wire::to_json(Put { view, changed })
}
