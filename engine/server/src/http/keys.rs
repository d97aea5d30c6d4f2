//! API keys. The secret is in the answer that makes the key, and nowhere else: not in the journal,
//! not in any later answer.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{
    Act, CallerAdmission, EconomyId, KeyId, KeyMode, KeyPatch, Patch, RateLimit, Scope, Scopes,
    TransferCap,
};
use bursar_storage::Answer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::codes::Code;
use super::api::route::{Resource, Route};
use super::api::views::{KeyView, Put, WithSecret};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{Nothing, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::api_keys::Secret;
use crate::random;
use crate::service::error::ServiceError;
use crate::service::{SYSTEM, Service};

/// Names under which the journal keeps what the server and its owner do by themselves.
const RESERVED: [&str; 2] = ["bursar", "owner"];

const KEY: &str = "/v1/keys/{key}";

/// What is answered where a secret may be new.
type Written = WithSecret<Put<KeyView<'static>>>;

pub(super) fn routes() -> Resource {
    Resource {
        name: "keys",
        about: "API keys have scopes, and may be bound to economies. Only their hashes are kept.",
        routes: vec![set_route(), create_route(), rotate_route(), list_route()],
    }
}

fn body() -> Value {
    json!({ "scopes": ["read", "transfer", "call"], "economies": ["guild"] })
}

fn set_route() -> Route {
    Route::put(KEY, set)
        .operation(
            "set_key",
            "Make or change an API key",
            "A new key needs `scopes`; its secret is in the first answer only. A key is ended by \
             `revoked`, and stays listed, since records name it. The last admin key of every economy \
             is ended, bound or given less only with `force`.",
        )
        .needs_everywhere(Scope::Admin)
        .body::<KeyBody>("my_bot", body())
        .or_body(
            "within_limits",
            json!({
                "scopes": ["transfer"], "transfer_cap": { "coin": 100 },
                "rate_limit": { "requests": 60, "per_s": 60 },
            }),
        )
        .or_body(
            "that_admits_members",
            json!({ "scopes": ["read", "call"], "admits": { "accounts": "user:*", "metadata": true } }),
        )
        .or_body("end_it", json!({ "revoked": true }))
        .answers::<Written>(
            StatusCode::CREATED,
            "The key is new, and here is its secret.",
        )
        .answers::<Written>(StatusCode::OK, "The key was there; its secret stays.")
        .error(StatusCode::CONFLICT, &["last_admin_key"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["key_incomplete"])
        .writes()
}

fn create_route() -> Route {
    Route::post(KEY, create)
        .operation(
            "create_key",
            "Make an API key",
            "The key must not be there, so that nobody changes one by mistake. It takes no \
             idempotency key: a second try is told that the key is there, and can give it another \
             secret.",
        )
        .needs_everywhere(Scope::Admin)
        .body::<KeyBody>("my_bot", body())
        .answers::<Written>(StatusCode::CREATED, "The key, with its secret.")
        .error(StatusCode::CONFLICT, &["key_exists"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["key_incomplete"])
        .writes()
}

fn rotate_route() -> Route {
    Route::put("/v1/keys/{key}/secret", rotate)
        .operation(
            "rotate_key",
            "Give an API key another secret",
            "The secret before is good for nothing from then on. It takes no body.",
        )
        .needs_everywhere(Scope::Admin)
        .answers::<Written>(StatusCode::OK, "The key, with its new secret.")
        .error(StatusCode::NOT_FOUND, &["key_not_found"])
        .error(StatusCode::CONFLICT, &["key_revoked"])
        .writes()
}

fn list_route() -> Route {
    Route::get("/v1/keys", list)
        .operation(
            "list_keys",
            "List API keys",
            "All keys, without anything of their secrets.",
        )
        .needs_everywhere(Scope::Admin)
        .answers::<KeyList<'static>>(StatusCode::OK, "The keys.")
}

/// The keys of a file.
#[derive(Serialize, JsonSchema)]
struct KeyList<'a> {
    keys: Vec<KeyView<'a>>,
}

/// What a PUT says of an API key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    /// What the key allows.
    #[schemars(with = "Option<Vec<schemas::KeyScope>>", length(min = 1))]
    scopes: Option<Scopes>,
    /// The economies in which it is good; cleared, all of them.
    #[serde(default)]
    #[schemars(with = "Option<Vec<schemas::EconomyName>>")]
    economies: Patch<BTreeSet<EconomyId>>,
    /// The most that one request with it may move; cleared, any amount.
    #[serde(default)]
    #[schemars(with = "Option<schemas::TransferCap>")]
    transfer_cap: Patch<TransferCap>,
    /// How often it may ask; cleared, as often as it likes.
    #[serde(default)]
    #[schemars(with = "Option<schemas::RateLimit>")]
    rate_limit: Patch<RateLimit>,
    /// The accounts that it may open with the scope `call`; cleared, none.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Admission>")]
    admits: Patch<CallerAdmission>,
    /// Whether it is good for nothing any more.
    revoked: Option<bool>,
    /// Whether the last admin key of every economy may become less by this.
    force: Option<bool>,
}

/// What a body says of a key.
async fn read_patch(body: Body) -> Result<KeyPatch, Problem> {
    let parsed = extract::json_patch::<KeyBody>(body).await?;
    let KeyBody {
        scopes,
        economies,
        transfer_cap,
        rate_limit,
        admits,
        revoked,
        force,
    } = parsed.typed;
    if scopes.as_ref().is_some_and(Scopes::is_empty) {
        return Err(Problem::malformed(
            "/scopes",
            "a key has at least one scope; to end it, say that it is `revoked`",
        ));
    }
    Ok(KeyPatch {
        scopes,
        economies,
        transfer_cap,
        rate_limit,
        admits,
        revoked,
        force: force.unwrap_or(false),
    })
}

/// `PUT /v1/keys/{key}`
pub(super) async fn set(asked: KeyRequest) -> Result<Response, Problem> {
    write_asked(asked, KeyMode::Put).await
}

/// `POST /v1/keys/{key}`: makes a key that must not be there, so that nobody changes one by mistake.
/// It needs no idempotency key: a second try is told that the key is there, and can give it another
/// secret.
pub(super) async fn create(asked: KeyRequest) -> Result<Response, Problem> {
    write_asked(asked, KeyMode::Create).await
}

/// A request that says what a key is to be.
type KeyRequest = (State<Api>, Caller, Path<String>, Query<Nothing>, Body);

async fn write_asked(
    (State(api), caller, Path(key), _, body): KeyRequest,
    mode: KeyMode,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    let patch = read_patch(body).await?;
    caller.unchanged(&api)?;
    Ok(extract::respond(
        write(&api.service, &caller.actor, id, patch, mode).await?,
    ))
}

/// `PUT /v1/keys/{key}/secret`: another secret for a key that is there. The one before is good for
/// nothing from then on.
pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Path(key): Path<String>,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    let state = api.service.state();
    let system = state.books(api.service.system());
    if system.and_then(|system| system.key(&id)).is_none() {
        let detail = format!("there is no key `{id}`");
        return Err(Problem::new(Code::KeyNotFound, detail));
    }
    Ok(extract::respond(
        write(
            &api.service,
            &caller.actor,
            id,
            KeyPatch::default(),
            KeyMode::Rotate,
        )
        .await?,
    ))
}

/// Returns whether a name stands for the server or its owner in the journal.
pub(crate) fn is_reserved(id: &KeyId) -> bool {
    RESERVED.contains(&id.as_str())
}

/// Does with a key what `mode` says. The answer has its secret if that is new.
pub(crate) async fn write(
    service: &Service,
    actor: &str,
    id: KeyId,
    patch: KeyPatch,
    mode: KeyMode,
) -> Result<Answer, ServiceError> {
    if is_reserved(&id) {
        return Err(ServiceError::ReservedKey(id));
    }
    let (method, route) = match mode {
        KeyMode::Put => ("PUT", format!("/v1/keys/{id}")),
        KeyMode::Create => ("POST", format!("/v1/keys/{id}")),
        KeyMode::Rotate => ("PUT", format!("/v1/keys/{id}/secret")),
    };
    let body = serde_json::to_value(&patch).unwrap_or_default();
    let context = service.system_context(actor, method, &route, &body);
    let secret = Secret::new(id.clone(), random::bytes());
    let act = Act::SetKey {
        key: id,
        patch: Box::new(patch),
        secret_hash: secret.hash(),
        mode,
    };
    let answer = service.act(context, act).await?;
    let created = answer.status == axum::http::StatusCode::CREATED.as_u16();
    let rotated = mode == KeyMode::Rotate && answer.status == axum::http::StatusCode::OK.as_u16();
    // A key that was there keeps its secret, and nobody here knows it.
    if !(created || rotated) {
        return Ok(answer);
    }
    let view: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let key = Some(secret.reveal());
    let body = views::to_json(WithSecret { view, key }).to_string();
    Ok(Answer {
        body: body.into(),
        ..answer
    })
}

/// `GET /v1/keys`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(Json(all(&api.service.state())))
}

/// All keys of a file, without anything of their secrets.
pub(crate) fn all(state: &bursar_storage::State) -> Value {
    let system: Option<EconomyId> = SYSTEM.parse().ok();
    let books = system.and_then(|system| state.books(&system).cloned());
    let keys = books.iter().flat_map(|books| books.keys());
    views::to_json(KeyList {
        keys: keys.map(|(id, key)| views::key(id, key)).collect(),
    })
}
