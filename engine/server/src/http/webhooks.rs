//! Webhooks of an economy. The secret is in the answer that makes it and nowhere else, and what a URL
//! has after its host is shown to nobody but an admin: deliveries are often let in by it.

mod routes;

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bursar_ledger::{
    Act, EconomyId, EventKind, Patch, Scope, Timestamp, Webhook, WebhookId, WebhookPatch,
    WebhookRequest, WebhookSecret, WebhookUrl,
};
use bursar_storage::{Answer, DEAD_LETTERS_MAX, DeadLetter, Delivery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::codes::Code;
use super::api::views::{DeliveryView, Put, WebhookReadView, WebhookView};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{Canonical, Nothing, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::random;
use crate::service::error::ServiceError;
use crate::webhooks::signature::reveal;

pub(super) use routes::routes;

/// What a PUT says of a webhook. What is absent stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookBody {
    #[schemars(with = "Option<schemas::WebhookUrl>")]
    url: Option<WebhookUrl>,
    /// Which events are sent; cleared, all of them.
    #[serde(default)]
    #[schemars(with = "Option<Vec<schemas::EventKind>>", length(min = 1))]
    kinds: Patch<BTreeSet<EventKind>>,
    /// Whether anything is sent.
    enabled: Option<bool>,
}

/// Where a webhook is to go on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReplayBody")]
pub(super) struct ReplayBody {
    /// Everything after this event is sent again.
    #[schemars(with = "schemas::Number")]
    after: u64,
}

/// What is sent beside a webhook that is new, was changed or has another secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PutWebhookWithSecret")]
struct Written<'a> {
    /// What is kept of it.
    #[serde(flatten)]
    #[schemars(with = "Put<WebhookView<'static>>")]
    kept: Value,
    #[schemars(with = "schemas::WebhookUrl")]
    url: &'a WebhookUrl,
    /// The secret with which everything is signed: here and nowhere else. Absent if it stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    secret: Option<String>,
}

/// The webhooks of an economy.
#[derive(Serialize, JsonSchema)]
struct WebhookList {
    #[schemars(with = "Vec<WebhookReadView<'static>>")]
    webhooks: Vec<Value>,
}

/// An event that was given up.
#[derive(JsonSchema)]
#[schemars(rename = "DeadLetter")]
struct LetterView {
    #[serde(rename = "seq")]
    _seq: u64,
    #[serde(rename = "kind")]
    #[schemars(with = "schemas::EventKind")]
    _kind: String,
    /// When it was given up.
    #[serde(rename = "at")]
    #[schemars(with = "schemas::Timestamp")]
    _at: Timestamp,
    #[serde(rename = "attempts")]
    _attempts: u32,
    /// What went wrong the last time.
    #[serde(rename = "error")]
    _error: String,
}

/// What was given up, oldest first.
#[derive(Serialize, JsonSchema)]
struct DeadLetters<'a> {
    #[schemars(with = "Vec<LetterView>")]
    dead_letters: &'a [DeadLetter],
    /// How many there can be: with that many the webhook is switched off.
    most: usize,
}

/// Where a webhook goes on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookReplay")]
struct Replayed<'a> {
    #[schemars(with = "schemas::WebhookName")]
    id: &'a WebhookId,
    delivery: DeliveryView<'a>,
}

/// A request about one webhook.
type OfOne = (
    State<Api>,
    Caller,
    Path<(String, String)>,
    Query<Nothing>,
    Body,
);

/// `PUT …/webhooks/{webhook}`
pub(super) async fn set(
    (State(api), caller, Path(names), _, body): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    let parsed = extract::json_patch::<WebhookBody>(body).await?;
    caller.unchanged(&api)?;
    let WebhookBody {
        url,
        kinds,
        enabled,
    } = parsed.typed;
    if matches!(&kinds, Patch::Set(kinds) if kinds.is_empty()) {
        let detail = "name at least one kind; `null` is all of them, and `enabled` switches it off";
        return Err(Problem::malformed("/kinds", detail));
    }
    // A record has no more of a URL than its host.
    let mut recorded = Map::new();
    if let Some(url) = &url {
        let target = api.webhooks.target(url);
        let target = target.map_err(|error| Problem::malformed("/url", error.to_string()))?;
        recorded.insert("url".into(), target.origin().into());
    }
    if !kinds.is_keep() {
        recorded.insert("kinds".into(), json!(kinds));
    }
    if let Some(enabled) = enabled {
        recorded.insert("enabled".into(), enabled.into());
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
            recorded: Canonical::of(&recorded),
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
        recorded: Canonical::of(&json!({})),
        rotate: true,
    };
    write(&api, &caller, (economy, id), writing).await
}

/// What is to become of a webhook, and what a record says of the request.
struct Writing {
    patch: WebhookPatch,
    recorded: Canonical,
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
    let context = extract::request_context(caller, economy.clone(), None, "PUT", &route, &recorded);
    let act = Act::SetWebhook(WebhookRequest {
        webhook: id.clone(),
        patch,
        secret,
        rotate,
    });
    let answer = api.service.act(context, act).await?;
    let is_success = (200..300).contains(&answer.status);
    let Some(webhook) = find(api, &economy, &id).ok().filter(|_| is_success) else {
        return Ok(extract::respond(answer));
    };
    let is_new = rotate || answer.status == StatusCode::CREATED.as_u16();
    let kept: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // What changes nothing is no reason to try again at once.
    if kept.get("changed") == Some(&Value::Bool(true)) {
        api.webhooks.changed(&economy, &id);
    }
    let written = views::to_json(Written {
        kept,
        url: &webhook.definition.url,
        secret: is_new.then(|| reveal(&secret)),
    });
    let body = written.to_string().into();
    Ok(extract::respond(Answer { body, ..answer }))
}

/// `DELETE …/webhooks/{webhook}`
pub(super) async fn remove(
    (State(api), caller, Path(names), _, _): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let route = format!("/v1/economies/{economy}/webhooks/{id}");
    let nothing = Canonical::of(&json!({}));
    let context =
        extract::request_context(&caller, economy.clone(), None, "DELETE", &route, &nothing);
    let act = Act::RemoveWebhook {
        webhook: id.clone(),
    };
    let answer = api.service.act(context, act).await?;
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
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let all = books.webhooks().iter();
    let webhooks = all
        .map(|(id, webhook)| view(&api, &economy, id, webhook))
        .collect();
    Ok(Json(views::to_json(WebhookList { webhooks })))
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
    Ok(Json(views::to_json(DeadLetters {
        dead_letters: &letters,
        most: DEAD_LETTERS_MAX,
    })))
}

/// `POST …/webhooks/{webhook}/replay`: goes on after an event. It says how things are to be, so it
/// needs no idempotency key. It is a record: an admin's act, and one that a crash must not undo.
pub(super) async fn replay(
    (State(api), caller, Path(names), _, body): OfOne,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let ReplayBody { after } = extract::json::<ReplayBody>(body).await?.typed;
    caller.unchanged(&api)?;
    let state = api.service.state();
    let newest = state.books(&economy).map_or(0, |books| books.seq());
    if after > newest {
        let detail = format!("the newest event is {newest}; `after` is a number up to that");
        return Err(Problem::malformed("/after", detail));
    }
    let route = format!("/v1/economies/{economy}/webhooks/{id}/replay");
    let body = json!({ "after": after });
    let context = extract::request_context(
        &caller,
        economy.clone(),
        None,
        "POST",
        &route,
        &Canonical::of(&body),
    );
    let act = Act::ReplayWebhook {
        webhook: id.clone(),
        after,
    };
    let answer = api.service.act(context, act).await?;
    api.webhooks.changed(&economy, &id);
    if !(200..300).contains(&answer.status) {
        return Ok(extract::respond(answer));
    }
    let webhook = find(&api, &economy, &id)?;
    let delivery = api.webhooks.delivery(&economy, &id, &webhook);
    let replayed = Replayed {
        id: &id,
        delivery: views::delivery(&delivery),
    };
    Ok(Json(views::to_json(replayed)).into_response())
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
    let state = api.service.state();
    let books = state.books(economy).ok_or(ServiceError::NoEconomy)?;
    books.webhook(id).cloned().ok_or_else(|| {
        let detail = format!("there is no webhook `{id}`");
        Problem::new(Code::WebhookNotFound, detail)
    })
}

fn view(api: &Api, economy: &EconomyId, id: &WebhookId, webhook: &Webhook) -> Value {
    let delivery: Delivery = api.webhooks.delivery(economy, id, webhook);
    views::to_json(WebhookReadView {
        webhook: views::webhook(id, webhook),
        url: &webhook.definition.url,
        delivery: views::delivery(&delivery),
    })
}
