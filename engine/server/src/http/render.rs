//! Rendering of the answer to an act, which is stored in its record.
//!
//! This runs on the writer's thread and again in every audit, which compares the bytes. It
//! therefore depends on nothing but its argument, and a changed text or order of members changes
//! the answers of recorded requests.

mod bodies;
mod call_text;
mod transfer_text;

use axum::http::StatusCode;
use bursar_ledger::{
    Act, CallEnding, CallResult, Change, Decision, HoldEnd, HoldId, IssueRequest, TransferId,
    TransferRequest, Verdict,
};
use bursar_storage::{ActOutcome, RenderedAnswer};
use serde::Serialize;
use serde_json::{Value, json};

use super::api::codes::Code;
use super::api::views::{
    self, HoldLeftView, HoldStatus, Put, RemovedPluginView, RemovedWebhookView,
};
use super::problem::Problem;
pub(super) use bodies::*;
use call_text::call_text;
use transfer_text::transfer_text;

/// Renders the answer to an act.
pub fn render(recorded: &ActOutcome<'_>) -> RenderedAnswer {
    let (status, body) = match recorded.verdict {
        Verdict::Applied(decision) => applied(recorded, decision),
        Verdict::Unchanged => (StatusCode::OK, changed(recorded, false).to_string()),
        Verdict::Rejected(rejection) | Verdict::RejectedWith(rejection, _) => {
            problem_answer(&with_call(Problem::rejected(rejection), recorded))
        }
        Verdict::Declined(_) | Verdict::Faulted(_) | Verdict::Broken(_) => match recorded.act {
            Act::Call(call) => problem_answer(&with_call(call_problem(call), recorded)),
            _ => problem_answer(&Problem::internal(
                "internal error: only a call can end like this",
            )),
        },
        // No client receives these: a stale call runs again, and a missing economy is reported
        // before.
        Verdict::Stale | Verdict::NoEconomy => problem_answer(&Problem::internal(
            "internal error: this outcome has \
                                                                 no answer",
        )),
    };
    RenderedAnswer {
        status: status.as_u16(),
        body,
    }
}

fn problem_answer(problem: &Problem) -> (StatusCode, String) {
    (problem.status(), problem.body().to_string())
}

/// Writes a view as JSON.
fn text(view: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(ANSWER_BYTES);
    let written = serde_json::to_writer(&mut text, view);
    written.map_or_else(
        |_| String::new(),
        |()| String::from_utf8(text).unwrap_or_default(),
    )
}

/// The bytes of most answers, at most.
const ANSWER_BYTES: usize = 512;

/// Adds the call's id, so that its receipt can be found, and the origin of its draws: a draw must
/// not be hidden by an error.
fn with_call(problem: Problem, recorded: &ActOutcome<'_>) -> Problem {
    let Act::Call(call) = recorded.act else {
        return problem;
    };
    let problem = problem.with("call", call.request.id.to_string());
    match call.origin.as_ref().zip(recorded.books) {
        Some((origin, books)) => {
            problem.with("draws", views::to_json(views::origin(origin, books)))
        }
        None => problem,
    }
}

/// Returns the problem of a call that was not committed.
fn call_problem(call: &CallResult) -> Problem {
    let problem = match &call.ending {
        CallEnding::Declined { code, message } => Problem::new(Code::Declined, message.clone())
            .with("decline", json!({ "code": code, "message": message })),
        CallEnding::Faulted { fault } => {
            let detail = "the plugin misbehaved and was stopped; nothing has moved";
            Problem::new(Code::PluginFault, detail).with("fault", fault.clone())
        }
        CallEnding::Broken { failure, .. } => Problem::new(Code::CallFailed, failure.clone()),
        CallEnding::Replied { .. } | CallEnding::NotRun(_) | CallEnding::Stopped(_) => {
            Problem::internal("internal error: this call was not rejected")
        }
    };
    problem
        .with("plugin", call.request.plugin.as_str())
        .with("fuel", call.fuel)
}

fn applied(recorded: &ActOutcome<'_>, decision: &Decision) -> (StatusCode, String) {
    match recorded.act {
        Act::Transfer(TransferRequest { id, .. })
        | Act::Issue(IssueRequest { id, .. })
        | Act::Burn(IssueRequest { id, .. }) => (
            StatusCode::CREATED,
            transfer_text(
                *id,
                recorded.seq,
                recorded.recorded_at,
                decision.movements(),
            ),
        ),
        Act::Batch(request) => (
            StatusCode::CREATED,
            text(&batch(recorded, decision, request.transfers.as_slice())),
        ),
        Act::Reverse(request) => {
            let made = text(&ReversalView {
                transfer: transfer(recorded, decision, request.id),
                reverses: request.original,
            });
            (StatusCode::CREATED, made)
        }
        Act::PlaceHold(request) => (StatusCode::CREATED, hold(recorded, request.id).to_string()),
        Act::CaptureHold(request) => {
            let made = text(&CaptureView {
                transfer: transfer(recorded, decision, request.id),
                hold: hold_left(recorded, decision, request.hold),
            });
            (StatusCode::CREATED, made)
        }
        Act::ReleaseHold { hold, .. } | Act::ExpireHold { hold } => {
            let ended = ended_hold(recorded, decision, *hold);
            (StatusCode::OK, ended.to_string())
        }
        Act::Call(result) => {
            let replied = call_text(recorded, decision.movements(), result);
            (StatusCode::OK, replied)
        }
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
        | Act::SetQuotas { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::SetPlugin { .. }
        | Act::SetKey { .. }
        | Act::RemovePlugin { .. }
        | Act::RollBackPlugin { .. }
        | Act::SwitchOffPlugin { .. }
        | Act::SkipDue { .. }
        | Act::AddComponent { .. }
        | Act::SetClientSeed { .. }
        | Act::RotateSeed
        | Act::RevealSeeds { .. }
        | Act::BurnNonces { .. }
        | Act::SetClock { .. }
        | Act::ExtendHolds { .. }
        | Act::SetWebhook(_)
        | Act::RemoveWebhook { .. }
        | Act::ReplayWebhook { .. } => {
            let status = if decision.creates() {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            (status, changed(recorded, true).to_string())
        }
    }
}

fn transfer<'a>(
    recorded: &ActOutcome<'_>,
    decision: &'a Decision,
    id: TransferId,
) -> TransferView<'a> {
    TransferView {
        id,
        seq: recorded.seq,
        recorded_at: recorded.recorded_at,
        movements: views::movements(decision.movements()),
    }
}

/// Renders the transfers of a batch, each with its own postings and the balances after it.
fn batch<'a>(
    recorded: &ActOutcome<'_>,
    decision: &'a Decision,
    requests: &[TransferRequest],
) -> BatchView<'a> {
    let mut movements = decision.movements();
    let made = requests.iter().map(|request| {
        let (own, rest) =
            movements.split_at(request.postings.as_slice().len().min(movements.len()));
        movements = rest;
        BatchedView {
            id: request.id,
            movements: views::movements(own),
        }
    });
    let transfers = made.collect();
    BatchView {
        seq: recorded.seq,
        recorded_at: recorded.recorded_at,
        transfers,
    }
}

/// Renders a hold that was placed.
fn hold(recorded: &ActOutcome<'_>, id: HoldId) -> Value {
    let placed = recorded.books.and_then(|books| books.hold(id));
    let seq = recorded.seq;
    let recorded_at = recorded.recorded_at;
    let view = placed.map(|hold| {
        views::to_json(PlacedView {
            hold: views::hold(id, hold),
            seq,
            recorded_at,
        })
    });
    view.unwrap_or_else(|| json!({ "seq": seq, "recorded_at": recorded_at }))
}

/// Renders a hold that was released or has expired.
fn ended_hold(recorded: &ActOutcome<'_>, decision: &Decision, id: HoldId) -> Value {
    views::to_json(ReleaseView {
        seq: recorded.seq,
        recorded_at: recorded.recorded_at,
        movements: views::movements(decision.movements()),
        hold: hold_left(recorded, decision, id),
    })
}

/// Returns the remaining amount of a hold and its status.
fn hold_left(recorded: &ActOutcome<'_>, decision: &Decision, id: HoldId) -> HoldLeftView {
    let open = recorded.books.and_then(|books| books.hold(id));
    let ended = decision.changes().iter().find_map(|change| match change {
        Change::HoldEnded { end, .. } => Some(*end),
        _ => None,
    });
    let (status, remaining) = match (open, ended) {
        (Some(hold), _) => (HoldStatus::Open, hold.remaining.get()),
        (None, Some(end)) => (end.into(), 0),
        (None, None) => (HoldEnd::Captured.into(), 0),
    };
    HoldLeftView {
        id,
        status,
        remaining,
    }
}

/// Renders the object that a PUT has changed or left as it was.
#[expect(clippy::too_many_lines, reason = "it has an arm for each act")]
fn changed(recorded: &ActOutcome<'_>, changed: bool) -> Value {
    let view = recorded.books.and_then(|books| match recorded.act {
        Act::OpenEconomy { .. } | Act::SetEconomy { .. } => {
            Some(put(views::opened(recorded.economy, books), changed))
        }
        Act::SetQuotas { .. } => Some(put(views::quotas(books, recorded.recorded_at), changed)),
        Act::SetAsset { asset, .. } => books
            .asset(asset)
            .map(|found| put(views::asset(asset, found, books), changed)),
        Act::SetAccount { account, .. } => books
            .account(account)
            .map(|found| put(views::account(account, found), changed)),
        Act::SetPlugin { plugin, .. }
        | Act::RollBackPlugin { plugin, .. }
        | Act::SwitchOffPlugin { plugin, .. } => books.plugin(plugin).map(|found| {
            put(
                views::plugin(recorded.economy, books, plugin, found),
                changed,
            )
        }),
        Act::SetKey { key, .. } => books
            .key(key)
            .map(|found| put(views::key(key, found), changed)),
        Act::AddComponent { digest, .. } => books
            .components()
            .get(digest)
            .map(|found| put(views::component(digest, found), changed)),
        Act::SetWebhook(request) => books
            .webhook(&request.webhook)
            .map(|found| put(views::webhook(&request.webhook, found), changed)),
        Act::RemoveWebhook { webhook } => {
            let view = RemovedWebhookView {
                id: webhook,
                removed: true,
            };
            Some(put(view, changed))
        }
        Act::ReplayWebhook { webhook, .. } => books
            .webhook(webhook)
            .map(|found| put(views::webhook(webhook, found), changed)),
        Act::Transfer(_)
        | Act::Batch(_)
        | Act::Reverse(_)
        | Act::PlaceHold(_)
        | Act::CaptureHold(_)
        | Act::ReleaseHold { .. }
        | Act::ExpireHold { .. }
        | Act::Issue(_)
        | Act::Burn(_)
        | Act::Call(_) => None,
        Act::RemovePlugin { plugin } => {
            let view = RemovedPluginView {
                name: plugin,
                removed: true,
            };
            Some(put(view, changed))
        }
        Act::SkipDue { plugin, schedule } => {
            let skipped = books.schedule(plugin, schedule);
            skipped.map(|found| json!({ "next_due": found.next_due, "changed": changed }))
        }
        Act::SetClock { from, to } => Some(json!({ "from": from, "to": to, "changed": changed })),
        Act::ExtendHolds { from, until, .. } => {
            Some(json!({ "from": from, "until": until, "changed": changed }))
        }
        Act::BurnNonces { nonces } => Some(json!({ "nonces": nonces, "changed": changed })),
        Act::SetClientSeed { account, .. } => {
            Some(put(views::client_seed(account, books), changed))
        }
        Act::RotateSeed | Act::RevealSeeds { .. } => Some(put(views::active_seed(books), changed)),
    });
    view.unwrap_or_else(|| json!({ "changed": changed }))
}

fn put(view: impl Serialize, changed: bool) -> Value {
    views::to_json(Put { view, changed })
}
