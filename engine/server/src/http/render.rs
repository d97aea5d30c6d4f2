//! What came of an act, as the answer that is kept with it.
//!
//! This runs on the writer's thread and in the audit, which must get the same bytes: it depends on
//! nothing but what it is given.

use axum::http::StatusCode;
use bursar_ledger::{
    Act, CallResult, Change, Decision, Ending, HoldEnd, HoldId, Retry, TransferId, TransferRequest,
    Verdict,
};
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
        Act::Batch(request) => (
            StatusCode::CREATED,
            batch(recorded, decision, request.transfers.as_slice()),
        ),
        Act::Reverse(request) => {
            let reverses = json!({ "reverses": request.original });
            let made = transfer(recorded, decision, request.id);
            (StatusCode::CREATED, wire::extend(made, reverses))
        }
        Act::PlaceHold(request) => (StatusCode::CREATED, hold(recorded, request.id)),
        Act::CaptureHold(request) => {
            let left = hold_left(recorded, decision, request.hold);
            let made = transfer(recorded, decision, request.id);
            (
                StatusCode::CREATED,
                wire::extend(made, json!({ "hold": left })),
            )
        }
        Act::ReleaseHold { hold: id, .. } | Act::ExpireHold { hold: id } => {
            let place = json!({ "seq": recorded.seq, "recorded_at": recorded.recorded_at });
            let left = hold_left(recorded, decision, *id);
            let moved = wire::movements(decision.movements());
            let ended = wire::extend(wire::extend(place, moved), json!({ "hold": left }));
            (StatusCode::OK, ended)
        }
        Act::Call(result) => (StatusCode::OK, call(recorded, decision, result)),
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
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

/// The transfers of a batch, each with its own postings and what is there after it.
fn batch(recorded: &Recorded<'_>, decision: &Decision, requests: &[TransferRequest]) -> Value {
    let mut movements = decision.movements();
    let made = requests.iter().map(|request| {
        let (own, rest) =
            movements.split_at(request.postings.as_slice().len().min(movements.len()));
        movements = rest;
        wire::extend(json!({ "id": request.id }), wire::movements(own))
    });
    let made: Vec<Value> = made.collect();
    json!({ "seq": recorded.seq, "recorded_at": recorded.recorded_at, "transfers": made })
}

/// A hold that was placed.
fn hold(recorded: &Recorded<'_>, id: HoldId) -> Value {
    let place = json!({ "seq": recorded.seq, "recorded_at": recorded.recorded_at });
    let placed = recorded.books.and_then(|books| books.hold(id));
    let placed = placed.map(|hold| wire::hold(id, hold));
    wire::extend(placed.unwrap_or_else(|| json!({})), place)
}

/// What is left of a hold, and how it ended if it has.
fn hold_left(recorded: &Recorded<'_>, decision: &Decision, id: HoldId) -> Value {
    let open = recorded.books.and_then(|books| books.hold(id));
    let ended = decision.changes().iter().find_map(|change| match change {
        Change::HoldEnded { end, .. } => Some(*end),
        _ => None,
    });
    let (status, remaining) = match (open, ended) {
        (Some(hold), _) => (json!("open"), hold.remaining.get()),
        (None, Some(end)) => (json!(end), 0),
        (None, None) => (json!(HoldEnd::Captured), 0),
    };
    json!({ "id": id, "status": status, "remaining": remaining })
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
        Act::OpenEconomy { .. } | Act::SetEconomy { .. } => Some(json!({
            "id": recorded.economy,
            "status": books.status(),
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
        Act::ForgetDelivery(_)
        | Act::Transfer(_)
        | Act::Batch(_)
        | Act::Reverse(_)
        | Act::PlaceHold(_)
        | Act::CaptureHold(_)
        | Act::ReleaseHold { .. }
        | Act::ExpireHold { .. }
        | Act::Issue(_)
        | Act::Burn(_)
        | Act::Call(_) => None,
    });
    wire::extend(
        view.unwrap_or_else(|| json!({})),
        json!({ "changed": changed }),
    )
}
