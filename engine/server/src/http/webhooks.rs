//! Webhooks of an economy. The secret is in the answer that makes it and nowhere else, and what a URL
//! has after its host is shown to nobody but an admin: deliveries are often let in by it.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{
    Act, DEAD_LETTERS_MAX, Delivery, EconomyId, EventKind, Patch, Scope, Webhook, WebhookId,
    WebhookPatch, WebhookRequest, WebhookSecret, WebhookUrl,
};
use bursar_storage::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::no_answer::NoAnswer;
use crate::random;
use crate::webhooks::signature::reveal;

/// The body of a PUT. What is absent stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookBody {
    url: Option<WebhookUrl>,
    #[serde(default)]
    kinds: Patch<BTreeSet<EventKind>>,
    enabled: Option<bool>,
}

/// The body of a replay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    after: u64,
}

/// A request about one webhook.
type OfOne = (
    State<Api>,
    Caller,
    Path<(String, String)>,
    Asked<Nothing>,
    Body,
);

/// `PUT …/webhooks/{webhook}`
pub(super) async fn set(
    (State(api), caller, Path(names), _, body): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    let parsed = extract::json::<WebhookBody>(body).await?;
    let WebhookBody {
        url,
        kinds,
        enabled,
    } = parsed.typed;
    if matches!(&kinds, Patch::Set(kinds) if kinds.is_empty()) {
        let detail = "name at least one kind; `null` is all of them, and `enabled` switches it off";
        return Err(Problem::malformed("/kinds", detail));
    }
    let mut recorded = parsed.canonical;
    if let Some(url) = &url {
        let target = api.webhooks.target(url);
        let target = target.map_err(|error| Problem::malformed("/url", error.to_string()))?;
        recorded["url"] = target.origin().into();
    }
    let patch = WebhookPatch {
        url,
        kinds,
        enabled,
    };
    write(
        &api,
        &caller,
        (economy, id),
        Writing {
            patch,
            recorded,
            rotate: false,
        },
    )
    .await
}

/// `PUT …/webhooks/{webhook}/secret`: another secret, with which everything is signed from then on.
pub(super) async fn rotate(
    (State(api), caller, Path(names), _, _): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let writing = Writing {
        patch: WebhookPatch::default(),
        recorded: json!({}),
        rotate: true,
    };
    write(&api, &caller, (economy, id), writing).await
}

/// What is to become of a webhook, and what a record says of the request.
struct Writing {
    patch: WebhookPatch,
    recorded: Value,
    rotate: bool,
}

async fn write(
    api: &Api,
    caller: &Caller,
    (economy, id): (EconomyId, WebhookId),
    writing: Writing,
) -> Result<Response, Problem> {
    let Writing {
        patch,
        recorded,
        rotate,
    } = writing;
    let secret = WebhookSecret::new(random::bytes());
    let tail = if rotate { "/secret" } else { "" };
    let route = format!("/v1/economies/{economy}/webhooks/{id}{tail}");
    let asking = extract::asking(caller, economy.clone(), None, "PUT", &route, &recorded);
    let act = Act::SetWebhook(WebhookRequest {
        webhook: id.clone(),
        patch,
        secret,
        rotate,
    });
    let answer = api.bursar.act(asking, act).await?;
    let is_success = (200..300).contains(&answer.status);
    let Some(webhook) = find(api, &economy, &id).ok().filter(|_| is_success) else {
        return Ok(extract::respond(answer));
    };
    let mut more = json!({ "url": webhook.definition.url });
    let is_new = rotate || answer.status == StatusCode::CREATED.as_u16();
    if is_new {
        more["secret"] = reveal(&secret).into();
    }
    let view: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // What changes nothing is no reason to try again at once.
    if view.get("changed") == Some(&Value::Bool(true)) {
        api.webhooks.changed(&economy, &id);
    }
    let body = wire::extend(view, more).to_string().into();
    Ok(extract::respond(Answer { body, ..answer }))
}

/// `DELETE …/webhooks/{webhook}`
pub(super) async fn remove(
    (State(api), caller, Path(names), _, _): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let route = format!("/v1/economies/{economy}/webhooks/{id}");
    let nothing = json!({});
    let asking = extract::asking(&caller, economy.clone(), None, "DELETE", &route, &nothing);
    let act = Act::RemoveWebhook {
        webhook: id.clone(),
    };
    let answer = api.bursar.act(asking, act).await?;
    api.webhooks.changed(&economy, &id);
    Ok(extract::respond(answer))
}

/// `GET …/webhooks`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let all = books.webhooks().iter();
    let views: Vec<Value> = all
        .map(|(id, webhook)| view(&api, &economy, id, webhook))
        .collect();
    Ok(Json(json!({ "webhooks": views })))
}

/// `GET …/webhooks/{webhook}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(names): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (economy, id) = named(&caller, &names)?;
    let webhook = find(&api, &economy, &id)?;
    Ok(Json(view(&api, &economy, &id, &webhook)))
}

/// `GET …/webhooks/{webhook}/dead-letters`: what was given up, oldest first.
pub(super) async fn dead_letters(
    State(api): State<Api>,
    caller: Caller,
    Path(names): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (economy, id) = named(&caller, &names)?;
    let webhook = find(&api, &economy, &id)?;
    let letters = api.webhooks.delivery(&economy, &id, &webhook).dead;
    Ok(Json(
        json!({ "dead_letters": letters, "most": DEAD_LETTERS_MAX }),
    ))
}

/// `POST …/webhooks/{webhook}/replay`: goes on after an event. It says how things are to be, so it
/// needs no idempotency key.
pub(super) async fn replay(
    (State(api), caller, Path(names), _, body): OfOne,
) -> Result<Json<Value>, Problem> {
    let (economy, id) = named(&caller, &names)?;
    let webhook = find(&api, &economy, &id)?;
    let ReplayBody { after } = extract::json::<ReplayBody>(body).await?.typed;
    let state = api.bursar.state();
    let newest = state.books(&economy).map_or(0, |books| books.seq());
    if after > newest {
        let detail = format!("the newest event is {newest}; `after` is a number up to that");
        return Err(Problem::malformed("/after", detail));
    }
    let place = (&economy, &id);
    let delivery = api.webhooks.replay(&caller.actor, place, &webhook, after);
    let delivery = wire::delivery(&delivery.await?);
    Ok(Json(json!({ "id": id, "delivery": delivery })))
}

fn named(caller: &Caller, names: &(String, String)) -> Result<(EconomyId, WebhookId), Problem> {
    let (economy, id) = names;
    let economy = extract::economy(economy)?;
    caller.require(Scope::Admin, &economy)?;
    Ok((economy, extract::name("webhook", id)?))
}

fn find(
    api: &Api,
    economy: &EconomyId,
    id: &WebhookId,
) -> Result<std::sync::Arc<Webhook>, Problem> {
    let state = api.bursar.state();
    let books = state.books(economy).ok_or(NoAnswer::NoEconomy)?;
    books.webhook(id).cloned().ok_or_else(|| {
        let detail = format!("there is no webhook `{id}`");
        Problem::not_found("webhook_not_found", detail)
    })
}

fn view(api: &Api, economy: &EconomyId, id: &WebhookId, webhook: &Webhook) -> Value {
    let delivery: Delivery = api.webhooks.delivery(economy, id, webhook);
    let more = json!({
        "url": webhook.definition.url,
        "delivery": wire::delivery(&delivery),
    });
    wire::extend(wire::webhook(id, webhook), more)
}
