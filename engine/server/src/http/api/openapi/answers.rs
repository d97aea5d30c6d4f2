//! The answers of a route: those that it says, and those that follow from what it takes.

use axum::http::StatusCode;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{PROBLEM, names};
use crate::http::api::route::{Access, Answers, Route};
use crate::http::problem::ProblemBody;

pub(super) fn responses(generator: &mut SchemaGenerator, route: &Route) -> Map<String, Value> {
    let mut responses = Map::new();
    for answer in &route.operation.answers {
        let response = responses
            .entry(answer.status.as_str())
            .or_insert_with(|| json!({ "description": answer.description, "content": {} }));
        response["content"][answer.media] = content(generator, answer);
        if route.operation.repeats {
            response["headers"] = replayed();
        }
    }
    let mut problems = route.operation.problems.clone();
    problems.extend(implied(route));
    problems.sort_by_key(|(status, _)| *status);
    for same in problems.chunk_by(|one, other| one.0 == other.0) {
        let (status, codes) = (same[0].0, same.iter().flat_map(|(_, codes)| *codes));
        let codes: Vec<&str> = codes.copied().collect();
        responses.insert(
            status.as_str().into(),
            problem(generator, route, status, codes),
        );
    }
    responses
}

fn content(generator: &mut SchemaGenerator, answer: &Answers) -> Value {
    let mut content = json!({ "schema": (answer.schema)(generator) });
    if let Some(example) = &answer.example {
        content["example"] = example.clone();
    }
    content
}

fn replayed() -> Value {
    json!({ "Idempotency-Replayed": { "$ref": "#/components/headers/IdempotencyReplayed" } })
}

fn problem(
    generator: &mut SchemaGenerator,
    route: &Route,
    status: StatusCode,
    mut codes: Vec<&str>,
) -> Value {
    codes.sort_unstable();
    codes.dedup();
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let reason = status.canonical_reason().unwrap_or("A no");
    let schema = generator.subschema_for::<ProblemBody<'static>>();
    let mut response = json!({
        "description": format!("{reason}: {}.", listed.join(", ")),
        "content": { PROBLEM: { "schema": schema } },
        "x-codes": codes,
    });
    let kept = [
        StatusCode::CONFLICT,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::BAD_GATEWAY,
    ];
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response["headers"] = json!({ "Retry-After": header("RetryAfter") });
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        response["headers"] = json!({
            "Retry-After": header("RetryAfter"),
            "RateLimit-Policy": header("RateLimitPolicy"),
            "RateLimit": header("RateLimit"),
        });
    } else if status == StatusCode::UNAUTHORIZED {
        response["headers"] = json!({ "WWW-Authenticate": header("WwwAuthenticate") });
    } else if route.operation.repeats && kept.contains(&status) {
        response["headers"] = replayed();
    }
    response
}

/// The ways to say no that a route need not mention.
fn implied(route: &Route) -> Vec<(StatusCode, &'static [&'static str])> {
    let mut implied: Vec<(StatusCode, &'static [&'static str])> = Vec::new();
    let operation = &route.operation;
    let takes_a_key = operation.access != Access::Anybody;
    if takes_a_key {
        implied.push((StatusCode::UNAUTHORIZED, &["unauthorized"]));
        implied.push((StatusCode::TOO_MANY_REQUESTS, &["rate_limited"]));
        implied.push((StatusCode::INTERNAL_SERVER_ERROR, &["internal"]));
    }
    let in_economy = names(route.path).any(|name| name == "economy");
    let scoped = matches!(
        operation.access,
        Access::Key(_) | Access::Everywhere(_) | Access::Owner
    );
    if scoped || in_economy {
        implied.push((StatusCode::FORBIDDEN, &["forbidden"]));
    }
    if in_economy {
        // To open an economy, too: one that the key may not see is not there.
        implied.push((StatusCode::NOT_FOUND, &["economy_not_found"]));
    }
    if names(route.path).next().is_some() || operation.query.is_some() || operation.body.is_some() {
        implied.push((StatusCode::BAD_REQUEST, &["malformed"]));
    }
    if operation.body.is_some() {
        implied.push((StatusCode::REQUEST_TIMEOUT, &["body_timeout"]));
        implied.push((StatusCode::PAYLOAD_TOO_LARGE, &["too_large"]));
    }
    implied
}
