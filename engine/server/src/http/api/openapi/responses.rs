//! The responses of a route: those that the route lists, and those that follow from its other
//! properties.

use axum::http::StatusCode;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::http::api::route::{Access, ResponseDescription, Route};
use crate::http::api::views::{PROBLEM, ProblemBody};

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
        let status = same[0].0;
        let codes = same.iter().flat_map(|(_, codes)| *codes);
        let codes: Vec<&str> = codes.copied().collect();
        responses.insert(
            status.as_str().into(),
            problem(generator, route, status, codes),
        );
    }
    responses
}

fn content(generator: &mut SchemaGenerator, answer: &ResponseDescription) -> Value {
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
    let reason = status.canonical_reason().unwrap_or("Problem");
    let schema = generator.subschema_for::<ProblemBody<'static>>();
    let mut response = json!({
        "description": format!("{reason}: {}.", listed.join(", ")),
        "content": { PROBLEM: { "schema": schema } },
        "x-codes": codes,
    });
    let stored = [
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
    } else if route.operation.repeats && stored.contains(&status) {
        response["headers"] = replayed();
    }
    response
}

/// Returns the problems that follow from a route's properties, so that the route need not list
/// them.
fn implied(route: &Route) -> Vec<(StatusCode, &'static [&'static str])> {
    let mut implied: Vec<(StatusCode, &'static [&'static str])> = Vec::new();
    let operation = &route.operation;
    let takes_a_key = operation.access != Access::Public;
    if takes_a_key {
        implied.push((StatusCode::UNAUTHORIZED, &["unauthorized"]));
        implied.push((StatusCode::TOO_MANY_REQUESTS, &["rate_limited"]));
        implied.push((StatusCode::INTERNAL_SERVER_ERROR, &["internal"]));
    }
    let in_economy = route.parameters().any(|name| name == "economy");
    let scoped = matches!(
        operation.access,
        Access::Key(_) | Access::Everywhere(_) | Access::Owner
    );
    if scoped || in_economy {
        implied.push((StatusCode::FORBIDDEN, &["forbidden"]));
    }
    if in_economy {
        // This holds for opening an economy, too: an economy that the key may not see is reported
        // as not found.
        implied.push((StatusCode::NOT_FOUND, &["economy_not_found"]));
    }
    if route.parameters().next().is_some() || operation.query.is_some() || operation.body.is_some()
    {
        implied.push((StatusCode::BAD_REQUEST, &["malformed"]));
    }
    if operation.body.is_some() {
        implied.push((StatusCode::REQUEST_TIMEOUT, &["body_timeout"]));
        implied.push((StatusCode::PAYLOAD_TOO_LARGE, &["too_large"]));
    }
    implied
}
