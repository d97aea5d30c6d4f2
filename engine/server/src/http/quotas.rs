//! The routes that read and change the quotas of an economy.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{Act, Books, EconomyId, Quota, QuotaPatch, Scope, Timestamp, pointer_segment};
use bursar_storage::{Answer, Request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::route::Route;
use super::api::views::{Put, QuotasView};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::error::ServiceError;
use crate::service::{RequestContext, Service};

const QUOTAS: &str = "/v1/economies/{economy}/quotas";

/// The greatest number of edits between a misspelt name and a suggested one.
const EDITS_MAX: usize = 3;

pub(super) fn read_route() -> Route {
    Route::get(QUOTAS, read)
        .operation(
            "get_quotas",
            "Get quotas",
            "Returns the quotas of the economy and their present use. A request that would exceed \
             a quota is rejected with `quota_reached`; all other requests succeed.",
        )
        .needs(Scope::Read)
        .answers::<QuotasView>(StatusCode::OK, "The quotas.")
        .example(json!({ "quotas": { "accounts": {
            "limit": 250_000, "used": 12, "default": 250_000, "max": 20_000_000,
        }}}))
}

pub(super) fn set_route() -> Route {
    Route::put(QUOTAS, set)
        .operation(
            "set_quotas",
            "Change quotas",
            "Changes quotas of the economy. A key that is bound to economies cannot change their \
             quotas. Absent members keep their present value; `null` restores the default. A quota \
             below the present use deletes nothing, but prevents growth until the use is lower.",
        )
        .needs_everywhere(Scope::Admin)
        .body::<QuotasBody>("more_members", json!({ "accounts": 500_000 }))
        .or_body("as_at_first", json!({ "accounts": null, "holds": null }))
        .answers::<Put<QuotasView>>(StatusCode::OK, "The quotas.")
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes()
}

/// The quotas to change.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct QuotasBody(#[schemars(with = "schemas::QuotaLimits")] BTreeMap<String, Option<u64>>);

impl QuotasBody {
    fn into_patch(self) -> Result<QuotaPatch, Problem> {
        let mut limits = BTreeMap::new();
        for (name, limit) in self.0 {
            let pointer = pointer_segment(&name);
            let wrong = |detail| Problem::malformed(&pointer, detail);
            let quota = named(&name).map_err(wrong)?;
            limits.insert(quota, check(quota, limit).map_err(wrong)?);
        }
        QuotaPatch::try_from(limits).map_err(|error| Problem::malformed("", error.to_string()))
    }
}

/// Parses the name of a quota. The error suggests a similar name.
pub(crate) fn named(name: &str) -> Result<Quota, String> {
    name.parse().map_err(|unknown| {
        // Names of a very different length are not compared, because the given name may be long.
        let near = Quota::ALL.map(Quota::name).into_iter();
        let near = near.filter(|other| other.len().abs_diff(name.len()) <= EDITS_MAX);
        let near = near.map(|other| (strsim::osa_distance(name, other), other));
        match near.min().filter(|(edits, _)| *edits <= EDITS_MAX) {
            Some((_, meant)) => format!("{unknown}; did you mean `{meant}`?"),
            None => format!("{unknown}"),
        }
    })
}

/// Checks that a limit does not exceed the quota's maximum.
pub(crate) fn check(quota: Quota, limit: Option<u64>) -> Result<Option<u64>, String> {
    let patch = QuotaPatch::try_from(BTreeMap::from([(quota, limit)]));
    patch.map(|_| limit).map_err(|error| error.to_string())
}

/// `GET …/quotas`
async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let mut view = views::quotas(books, api.service.now());
    if let Some(streams) = view.quotas.get_mut(Quota::Streams.name()) {
        streams.used = Some(api.streams.used(&economy));
    }
    Ok(Json(views::to_json(view)))
}

/// Returns the quotas of the books of a file that no server uses, so no event stream is open.
pub(crate) fn shown(books: &Books, now: Timestamp) -> Value {
    views::to_json(views::quotas(books, now))
}

/// `PUT …/quotas`
async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    // Otherwise an administrator of one economy could use up the whole machine.
    caller.require_everywhere(Scope::Admin)?;
    let parsed = extract::json_patch::<QuotasBody>(body).await?;
    caller.unchanged(&api)?;
    let patch = parsed.typed.into_patch()?;
    let answer = write(&api.service, &caller.actor, economy, patch, |route| {
        parsed.canonical.request("PUT", route)
    })
    .await?;
    Ok(extract::respond(answer))
}

/// Changes quotas for an operator. `request` builds the recorded request from its route.
pub(crate) async fn write(
    service: &Service,
    actor: &str,
    economy: EconomyId,
    patch: QuotaPatch,
    request: impl FnOnce(&str) -> Request,
) -> Result<Answer, ServiceError> {
    let route = format!("/v1/economies/{economy}/quotas");
    let context = RequestContext {
        economy,
        actor: actor.into(),
        key: None,
        request: request(&route),
    };
    service.act(context, Act::SetQuotas { patch }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_quotas_get_suggestions() {
        assert_eq!(named("holds"), Ok(Quota::Holds));
        let wrong = |name: &str| named(name).expect_err("no quota");
        assert!(wrong("acounts").ends_with("did you mean `accounts`?"));
        assert!(wrong("statebytes").ends_with("did you mean `state_bytes`?"));
        let far = wrong(&"members".repeat(1000));
        assert!(!far.contains("mean") && far.contains("accounts"), "{far}");
    }

    #[test]
    fn limits_end_at_the_maximum() {
        let max = Quota::Holds.max_limit();
        assert_eq!(check(Quota::Holds, Some(max)), Ok(Some(max)));
        let beyond = check(Quota::Holds, Some(max + 1)).expect_err("too high");
        assert!(beyond.contains(&max.to_string()), "{beyond}");
    }
}
