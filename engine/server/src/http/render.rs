//! What came of an act, as the answer that is kept with it.
//!
//! This runs on the writer's thread and in the audit, which must get the same bytes: it depends on
//! nothing but what it is given.

use axum::http::StatusCode;
use bursar_ledger::{Act, CallResult, Decision, Ending, Retry, TransferId, Verdict};
use bursar_storage::{Recorded, Rendered};
use serde_json::{Value, json};

use super::problem::Problem;
use super::wire;

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
        | Act::AddComponent { .. }
        | Act::SetWebhook(_)
        | Act::RemoveWebhook { .. }
        | Act::NoteDelivery(_)
        | Act::ForgetDelivery(_) => {
            let status = if decision.creates() {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            (status, changed(recorded, true))
        }
    }
}

fn transfer(recorded: &Recorded<'_>, decision: &Decision, id: TransferId) -> Value {
    let place = json!({ "id": id, "seq": recorded.seq, "recorded_at": recorded.recorded_at });
    wire::extend(place, wire::movements(decision.movements()))
}

fn call(recorded: &Recorded<'_>, decision: &Decision, result: &CallResult) -> Value {
    let reply = if let Ending::Replied { reply } = &result.ending {
        reply
    } else {
        &Value::Null
    };
    json!({
        "call": result.request.id,
        "outcome": "committed",
        "seq": recorded.seq,
        "recorded_at": recorded.recorded_at,
        "reply": reply,
        "transfer": wire::movements(decision.movements()),
        "fuel": result.fuel,
    })
}

/// What a PUT has made, or left as it was.
fn changed(recorded: &Recorded<'_>, changed: bool) -> Value {
    let view = recorded.books.and_then(|books| match recorded.act {
        Act::OpenEconomy { .. } => Some(json!({
            "id": recorded.economy,
            "status": "open",
            "opened_at": books.opened_at(),
        })),
        Act::SetAsset { asset, .. } => books
            .asset(asset)
            .map(|found| wire::asset(asset, found, books)),
        Act::SetAccount { account, .. } => books
            .account(account)
            .map(|found| wire::account(account, found)),
        Act::SetPlugin { plugin, .. } => books
            .plugin(plugin)
            .map(|found| wire::plugin(plugin, found)),
        Act::SetKey { key, .. } => books.key(key).map(|found| wire::key(key, found)),
        Act::AddComponent { digest, .. } => books
            .components()
            .get(digest)
            .map(|found| wire::component(digest, found)),
        Act::SetWebhook(request) => books
            .webhook(&request.webhook)
            .map(|found| wire::webhook(&request.webhook, found)),
        Act::RemoveWebhook { webhook } => Some(json!({ "id": webhook, "removed": true })),
        Act::NoteDelivery(note) => books
            .delivery(&note.economy, &note.webhook)
            .map(|found| wire::delivery(found)),
        Act::ForgetDelivery(_) | Act::Transfer(_) | Act::Issue(_) | Act::Burn(_) | Act::Call(_) => {
            None
        }
    });
    wire::extend(
        view.unwrap_or_else(|| json!({})),
        json!({ "changed": changed }),
    )
}
