//! The routes of API keys. A secret is sent in the response that creates it and nowhere else:
//! neither in the log nor in a later response.

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
use super::extract::{NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::api_keys::Secret;
use crate::random;
use crate::service::error::ServiceError;
use crate::service::{SYSTEM, Service};

/// Actors that are not API keys: the server itself and its owner. No key can have these names.
const RESERVED: [&str; 2] = ["bursar", "owner"];

const KEY: &str = "/v1/keys/{key}";

/// The body of a response that may contain a new secret.
type KeyResponse = WithSecret<Put<KeyView<'static>>>;

pub(super) fn routes() -> Resource {
    Resource {
        name: "keys",
        about: "An API key has scopes and may be bound to economies. The server stores only the \
                hash of its secret.",
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
            "Create or change an API key",
            "Creates the key if it does not exist, which requires `scopes`, and changes it \
             otherwise. The secret of a new key is in this response only. Absent members keep \
             their present value; `null` removes an optional one. `\"revoked\": true` makes the \
             key invalid; it stays in the list, because records name it. Changes that would leave \
             no key with the scope `admin` for all economies require `\"force\": true`.",
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
        .answers::<KeyResponse>(
            StatusCode::CREATED,
            "The key was created. `key` is its secret.",
        )
        .answers::<KeyResponse>(StatusCode::OK, "The key exists; its secret did not change.")
        .error(StatusCode::CONFLICT, &["last_admin_key"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["key_incomplete"])
        .writes()
}

fn create_route() -> Route {
    Route::post(KEY, create)
        .operation(
            "create_key",
            "Create an API key",
            "Creates a key that does not exist yet, so that no present key is changed by mistake. \
             The request requires no idempotency key: a second attempt fails with `key_exists`. If \
             the response with the secret was lost, create a new secret with `PUT \
             /v1/keys/{key}/secret`.",
        )
        .needs_everywhere(Scope::Admin)
        .body::<KeyBody>("my_bot", body())
        .answers::<KeyResponse>(
            StatusCode::CREATED,
            "The key was created. `key` is its secret.",
        )
        .error(StatusCode::CONFLICT, &["key_exists"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["key_incomplete"])
        .writes()
}

fn rotate_route() -> Route {
    Route::put("/v1/keys/{key}/secret", rotate)
        .operation(
            "rotate_key",
            "Rotate the secret of an API key",
            "Gives the key a new secret. The previous secret is no longer valid. The request has \
             no body.",
        )
        .needs_everywhere(Scope::Admin)
        .answers::<KeyResponse>(
            StatusCode::OK,
            "The secret was replaced. `key` is the new one.",
        )
        .error(StatusCode::NOT_FOUND, &["key_not_found"])
        .error(StatusCode::CONFLICT, &["key_revoked"])
        .writes()
}

fn list_route() -> Route {
    Route::get("/v1/keys", list)
        .operation(
            "list_keys",
            "List API keys",
            "Returns all keys without their secrets.",
        )
        .needs_everywhere(Scope::Admin)
        .whole_list("only operators create keys.")
        .answers::<KeyList<'static>>(StatusCode::OK, "The keys.")
}

/// The API keys of a server.
#[derive(Serialize, JsonSchema)]
struct KeyList<'a> {
    keys: Vec<KeyView<'a>>,
}

/// Changes to an API key. Absent members keep their present value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    /// The permissions of the key.
    #[schemars(with = "Option<Vec<schemas::KeyScope>>", length(min = 1))]
    scopes: Option<Scopes>,
    /// The economies in which the key is valid; all economies after removal.
    #[serde(default)]
    #[schemars(with = "Option<Vec<schemas::EconomyName>>")]
    economies: Patch<BTreeSet<EconomyId>>,
    /// The most that one request with the key may move; unlimited after removal.
    #[serde(default)]
    #[schemars(with = "Option<schemas::TransferCap>")]
    transfer_cap: Patch<TransferCap>,
    /// The rate limit of the key; unlimited after removal.
    #[serde(default)]
    #[schemars(with = "Option<schemas::RateLimit>")]
    rate_limit: Patch<RateLimit>,
    /// The accounts that the key may open with the scope `call`; none after removal.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Admission>")]
    admits: Patch<CallerAdmission>,
    /// True to make the key invalid.
    revoked: Option<bool>,
    /// Allows a change that leaves no key with the scope `admin` for all economies.
    force: Option<bool>,
}

/// Reads the changes in a body.
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
            "a key must have at least one scope; to make it invalid, send `\"revoked\": true`",
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
pub(super) async fn set(request: KeyRequest) -> Result<Response, Problem> {
    write_request(request, KeyMode::Put).await
}

/// `POST /v1/keys/{key}`: creates a key that does not exist yet. It requires no idempotency key: a
/// second attempt fails with `key_exists`, and a lost secret can be replaced.
pub(super) async fn create(request: KeyRequest) -> Result<Response, Problem> {
    write_request(request, KeyMode::Create).await
}

/// The parts of a request that creates or changes a key.
type KeyRequest = (State<Api>, Caller, Path<String>, Query<NoParameters>, Body);

async fn write_request(
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

/// `PUT /v1/keys/{key}/secret`: replaces the secret of a key.
pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Path(key): Path<String>,
    _: Query<NoParameters>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    let state = api.service.state();
    let system = state.books(api.service.system());
    if system.and_then(|system| system.key(&id)).is_none() {
        let detail = format!("there is no API key `{id}`");
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

/// Returns true if the name stands for the server or its owner in the log.
pub(crate) fn is_reserved(id: &KeyId) -> bool {
    RESERVED.contains(&id.as_str())
}

/// Creates, changes or rotates a key. The answer contains the secret if it is new.
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
    // The secret of an existing key does not change, and only its hash is known here.
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

/// Returns all API keys of a server, without their secrets.
pub(crate) fn all(state: &bursar_storage::State) -> Value {
    let system: Option<EconomyId> = SYSTEM.parse().ok();
    let books = system.and_then(|system| state.books(&system).cloned());
    let keys = books.iter().flat_map(|books| books.keys());
    views::to_json(KeyList {
        keys: keys.map(|(id, key)| views::key(id, key)).collect(),
    })
}
