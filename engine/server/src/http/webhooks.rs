//! The handlers of webhooks. A secret is sent in the response that creates it and nowhere else. The
//! path of a URL is shown to administrators only, because receivers often use it to authenticate
//! deliveries.

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
use super::extract::{Canonical, NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::random;
use crate::service::error::ServiceError;
use crate::webhooks::signature::reveal;

pub(super) use routes::routes;

/// Changes to a webhook. Absent members keep their present value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookBody {
    #[schemars(with = "Option<schemas::WebhookUrl>")]
    url: Option<WebhookUrl>,
    /// The kinds of events that are sent; all kinds after removal.
    #[serde(default)]
    #[schemars(with = "Option<Vec<schemas::EventKind>>", length(min = 1))]
    kinds: Patch<BTreeSet<EventKind>>,
    /// True if events are sent.
    enabled: Option<bool>,
}

/// The event after which the webhook continues.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReplayBody")]
pub(super) struct ReplayBody {
    /// Events after this number are sent again; 0 for all events.
    #[schemars(with = "schemas::Number")]
    after: u64,
}

/// The body of a response about a webhook that may have a new secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PutWebhookWithSecret")]
struct WebhookResponse<'a> {
    /// The recorded part of the webhook.
    #[serde(flatten)]
    #[schemars(with = "Put<WebhookView<'static>>")]
    record: Value,
    #[schemars(with = "schemas::WebhookUrl")]
    url: &'a WebhookUrl,
    /// The secret with which deliveries are signed. It is sent in this response only and cannot be
    /// retrieved later. Absent if the secret did not change.
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

/// An event that was not delivered after all attempts.
#[derive(JsonSchema)]
#[schemars(rename = "DeadLetter")]
struct LetterView {
    #[serde(rename = "seq")]
    _seq: u64,
    #[serde(rename = "kind")]
    #[schemars(with = "schemas::EventKind")]
    _kind: String,
    /// The time of the last attempt.
    #[serde(rename = "at")]
    #[schemars(with = "schemas::Timestamp")]
    _at: Timestamp,
    #[serde(rename = "attempts")]
    _attempts: u32,
    /// A description of the last failure.
    #[serde(rename = "error")]
    _error: String,
}

/// The dead letters of a webhook, oldest first.
#[derive(Serialize, JsonSchema)]
struct DeadLetters<'a> {
    #[schemars(with = "Vec<LetterView>")]
    dead_letters: &'a [DeadLetter],
    /// The greatest number of dead letters. A webhook that reaches it is disabled.
    most: usize,
}

/// The progress of a webhook after a replay.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookReplay")]
struct ReplayResponse<'a> {
    #[schemars(with = "schemas::WebhookName")]
    id: &'a WebhookId,
    delivery: DeliveryView<'a>,
}

/// The parts of a request about one webhook.
type WebhookParts = (
    State<Api>,
    Caller,
    Path<(String, String)>,
    Query<NoParameters>,
    Body,
);

/// `PUT …/webhooks/{webhook}`
pub(super) async fn set(
    (State(api), caller, Path(names), _, body): WebhookParts,
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
        let detail = "`kinds` must name at least one kind. Send `null` for all kinds, or \
                      `\"enabled\": false` to disable the webhook";
        return Err(Problem::malformed("/kinds", detail));
    }
    // The path of a URL may be a secret, so the log records only the origin.
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
        WebhookChange {
            patch,
            recorded_body: Canonical::of(&recorded),
            rotate: false,
        },
    )
    .await
}

/// `PUT …/webhooks/{webhook}/secret`: replaces the secret with which deliveries are signed.
pub(super) async fn rotate(
    (State(api), caller, Path(names), _, _): WebhookParts,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let change = WebhookChange {
        patch: WebhookPatch::default(),
        recorded_body: Canonical::of(&json!({})),
        rotate: true,
    };
    write(&api, &caller, (economy, id), change).await
}

/// The changes to a webhook, and the recorded body of the request.
struct WebhookChange {
    patch: WebhookPatch,
    recorded_body: Canonical,
    rotate: bool,
}

async fn write(
    api: &Api,
    caller: &Caller,
    (economy, id): (EconomyId, WebhookId),
    change: WebhookChange,
) -> Result<Response, Problem> {
    let WebhookChange {
        patch,
        recorded_body,
        rotate,
    } = change;
    let secret = WebhookSecret::new(random::bytes());
    let tail = if rotate { "/secret" } else { "" };
    let route = format!("/v1/economies/{economy}/webhooks/{id}{tail}");
    let context =
        extract::request_context(caller, economy.clone(), None, "PUT", &route, &recorded_body);
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
    let record: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    // A request without effect must not trigger an attempt before its time.
    if record.get("changed") == Some(&Value::Bool(true)) {
        api.webhooks.changed(&economy, &id);
    }
    let response = views::to_json(WebhookResponse {
        record,
        url: &webhook.definition.url,
        secret: is_new.then(|| reveal(&secret)),
    });
    let body = response.to_string().into();
    Ok(extract::respond(Answer { body, ..answer }))
}

/// `DELETE …/webhooks/{webhook}`
pub(super) async fn remove(
    (State(api), caller, Path(names), _, _): WebhookParts,
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

/// `GET …/webhooks/{webhook}/dead-letters`
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

/// `POST …/webhooks/{webhook}/replay`: continues after an event. The request sets a state and
/// requires no idempotency key. It is recorded, because an administrator has sent it and a crash
/// must not undo it.
pub(super) async fn replay(
    (State(api), caller, Path(names), _, body): WebhookParts,
) -> Result<Response, Problem> {
    let (economy, id) = named(&caller, &names)?;
    find(&api, &economy, &id)?;
    let ReplayBody { after } = extract::json::<ReplayBody>(body).await?.typed;
    caller.unchanged(&api)?;
    let state = api.service.state();
    let newest = state.books(&economy).map_or(0, |books| books.seq());
    if after > newest {
        let detail = format!(
            "`after` must not be greater than {newest}, the number of the newest \
                              event"
        );
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
    let response = ReplayResponse {
        id: &id,
        delivery: views::delivery(&delivery),
    };
    Ok(Json(views::to_json(response)).into_response())
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
        let detail = format!("the economy has no webhook `{id}`");
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
