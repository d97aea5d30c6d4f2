//! API keys. The secret is in the answer that makes the key, and nowhere else: not in the journal,
//! not in any later answer.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{
    Act, EconomyId, KeyId, KeyMode, KeyPatch, Patch, RateLimit, Scope, Scopes, TransferCap,
};
use bursar_storage::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::economy::{Bursar, SYSTEM};
use crate::keys::Secret;
use crate::no_answer::NoAnswer;
use crate::random;

/// Names under which the journal keeps what the server and its owner do by themselves.
const RESERVED: [&str; 2] = ["bursar", "owner"];

/// The body of a PUT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    scopes: Option<Scopes>,
    #[serde(default)]
    economies: Patch<BTreeSet<EconomyId>>,
    #[serde(default)]
    transfer_cap: Patch<TransferCap>,
    #[serde(default)]
    rate_limit: Patch<RateLimit>,
    revoked: Option<bool>,
}

/// What a body says of a key.
async fn read_patch(body: Body) -> Result<KeyPatch, Problem> {
    let parsed = extract::json::<KeyBody>(body).await?;
    let KeyBody {
        scopes,
        economies,
        transfer_cap,
        rate_limit,
        revoked,
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
        revoked,
    })
}

/// `PUT /v1/keys/{key}`
pub(super) async fn set(asked: Written) -> Result<Response, Problem> {
    write_asked(asked, KeyMode::Put).await
}

/// `POST /v1/keys/{key}`: makes a key that must not be there, so that nobody changes one by mistake.
/// It needs no idempotency key: a second try is told that the key is there, and can give it another
/// secret.
pub(super) async fn create(asked: Written) -> Result<Response, Problem> {
    write_asked(asked, KeyMode::Create).await
}

/// A request that says what a key is to be.
type Written = (State<Api>, Caller, Path<String>, Asked<Nothing>, Body);

async fn write_asked(
    (State(api), caller, Path(key), _, body): Written,
    mode: KeyMode,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    let patch = read_patch(body).await?;
    Ok(extract::respond(
        write(&api.bursar, &caller.actor, id, patch, mode).await?,
    ))
}

/// `PUT /v1/keys/{key}/secret`: another secret for a key that is there. The one before is good for
/// nothing from then on.
pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Path(key): Path<String>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    let state = api.bursar.state();
    let system = state.books(api.bursar.system());
    if system.and_then(|system| system.key(&id)).is_none() {
        let detail = format!("there is no key `{id}`");
        return Err(Problem::not_found("key_not_found", detail));
    }
    Ok(extract::respond(
        write(
            &api.bursar,
            &caller.actor,
            id,
            KeyPatch::default(),
            KeyMode::Rotate,
        )
        .await?,
    ))
}

/// Does with a key what `mode` says. The answer has its secret if that is new.
pub(crate) async fn write(
    bursar: &Bursar,
    actor: &str,
    id: KeyId,
    patch: KeyPatch,
    mode: KeyMode,
) -> Result<Answer, NoAnswer> {
    if RESERVED.contains(&id.as_str()) {
        return Err(NoAnswer::ReservedKey(id));
    }
    let (method, route) = match mode {
        KeyMode::Put => ("PUT", format!("/v1/keys/{id}")),
        KeyMode::Create => ("POST", format!("/v1/keys/{id}")),
        KeyMode::Rotate => ("PUT", format!("/v1/keys/{id}/secret")),
    };
    let body = serde_json::to_value(&patch).unwrap_or_default();
    let asking = bursar.system_asking(actor, method, &route, &body);
    let secret = Secret::new(id.clone(), random::bytes());
    let act = Act::SetKey {
        key: id,
        patch,
        secret_hash: secret.hash(),
        mode,
    };
    let answer = bursar.act(asking, act).await?;
    let created = answer.status == axum::http::StatusCode::CREATED.as_u16();
    let rotated = mode == KeyMode::Rotate && answer.status == axum::http::StatusCode::OK.as_u16();
    // A key that was there keeps its secret, and nobody here knows it.
    if !(created || rotated) {
        return Ok(answer);
    }
    let view: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let body = wire::extend(view, json!({ "key": secret.reveal() })).to_string();
    Ok(Answer {
        body: body.into(),
        ..answer
    })
}

/// `GET /v1/keys`
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    Ok(Json(all(&api.bursar.state())))
}

/// All keys of a file, without anything of their secrets.
pub(crate) fn all(state: &bursar_storage::State) -> Value {
    let system: Option<EconomyId> = SYSTEM.parse().ok();
    let books = system.and_then(|system| state.books(&system).cloned());
    let keys: Vec<Value> = books
        .iter()
        .flat_map(|books| books.keys())
        .map(|(id, key)| wire::key(id, key))
        .collect();
    json!({ "keys": keys })
}
