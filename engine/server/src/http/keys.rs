//! API keys. The secret is in the answer that makes the key, and nowhere else: not in the journal,
//! not in any later answer.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{Act, EconomyId, KeyDefinition, KeyId, Scope, Scopes};
use bursar_storage::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::Path;
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::economy::Bursar;
use crate::keys::Secret;
use crate::no_answer::NoAnswer;
use crate::random;

/// Names under which the journal keeps what the server and its owner do by themselves.
const RESERVED: [&str; 2] = ["bursar", "owner"];

/// The body of a PUT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    scopes: Scopes,
    economies: Option<BTreeSet<EconomyId>>,
}

/// `PUT /v1/keys/{key}`
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path(key): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let id: KeyId = extract::name("key", &key)?;
    if RESERVED.contains(&id.as_str()) {
        let detail = format!("`{id}` stands for the server itself in the journal");
        return Err(Problem::malformed("", detail));
    }
    let parsed = extract::json::<KeyBody>(body).await?;
    let KeyBody { scopes, economies } = parsed.typed;
    if scopes.is_empty() {
        return Err(Problem::malformed(
            "/scopes",
            "a key has at least one scope",
        ));
    }
    let definition = KeyDefinition { scopes, economies };
    Ok(extract::respond(
        make(&api.bursar, &caller.actor, id, definition).await?,
    ))
}

/// Makes a key. The answer has its secret if it is new.
pub(crate) async fn make(
    bursar: &Bursar,
    actor: &str,
    id: KeyId,
    definition: KeyDefinition,
) -> Result<Answer, NoAnswer> {
    let secret = Secret::new(id.clone(), random::bytes());
    let body = serde_json::to_value(&definition).unwrap_or_default();
    let asking = bursar.system_asking(actor, "PUT", &format!("/v1/keys/{id}"), &body);
    let act = Act::SetKey {
        key: id,
        definition,
        secret_hash: secret.hash(),
    };
    let answer = bursar.act(asking, act).await?;
    // A key that was there keeps its secret, and nobody here knows it.
    if answer.status != axum::http::StatusCode::CREATED.as_u16() {
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
    let state = api.bursar.state();
    let books = state.books(api.bursar.system());
    let keys = books.into_iter().flat_map(|books| books.keys());
    let keys = keys.map(|(id, key)| wire::key(id, key));
    Ok(Json(json!({ "keys": keys.collect::<Vec<_>>() })))
}
