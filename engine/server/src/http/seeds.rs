//! The routes of server seeds and client seeds, from which draws are made.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{AccountId, Act, CLIENT_SEED_BYTES_MAX, ClientSeedText, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::route::{Resource, Route};
use super::api::views::{ActiveSeedView, ClientSeedView, Put, SeedView};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{KeyHeader, NoParameters, Path, Query, wrong_query as wrong};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::error::ServiceError;

const SEEDS: &str = "/v1/economies/{economy}/seeds";
const CLIENT_SEED: &str = "/v1/economies/{economy}/accounts/{account}/client-seed";

/// The default number of seeds in a page.
const PAGE: usize = 50;

/// The greatest number of seeds in a page.
const PAGE_MAX: usize = 200;

pub(super) fn routes() -> Resource {
    let list = Route::get(SEEDS, list)
        .operation(
            "list_seeds",
            "List server seeds",
            "Returns the server seeds, newest first: the next one, whose commitment is public, the \
             active one, and the previous ones, with the seed itself once it is revealed.",
        )
        .needs(Scope::Read)
        .pages("limit", "seeds", PAGE, PAGE_MAX)
        .query::<SeedsQuery>()
        .answers::<SeedList>(StatusCode::OK, "A page of server seeds.");
    let rotate = Route::post("/v1/economies/{economy}/seeds/rotate", rotate)
        .operation(
            "rotate_seed",
            "Rotate the server seed",
            "Makes the next server seed the active one. The previous seed is revealed as soon as \
             no open game has drawn from it. The server also rotates the seed by itself, after \
             100,000 draws or 30 days.",
        )
        .needs(Scope::Admin)
        .body::<RotateBody>("now", json!({}))
        .keyed()
        .answers::<Put<ActiveSeedView>>(StatusCode::OK, "The new active seed.")
        .error(StatusCode::CONFLICT, &["seeds_hidden"])
        .error(StatusCode::UNPROCESSABLE_ENTITY, &["economy_closed"])
        .writes();
    let read = Route::get(CLIENT_SEED, read)
        .operation(
            "get_client_seed",
            "Get a client seed",
            "Returns the client seed of a member, and the commitment to the server seed with which \
             it is used.",
        )
        .needs(Scope::Read)
        .answers::<ClientSeedView<'static>>(StatusCode::OK, "The client seed.")
        .error(StatusCode::NOT_FOUND, &["account_not_found"]);
    let set = Route::put(CLIENT_SEED, set)
        .operation(
            "set_client_seed",
            "Set a client seed",
            "Sets the client seed that is mixed into a member's draws. If it is chosen after the \
             commitment to the server seed, the operator cannot have chosen the server seed to \
             fit.",
        )
        .needs(Scope::Call)
        .body::<ClientSeedBody>("luck", json!({ "client_seed": "seven is my number" }))
        .answers::<Put<ClientSeedView<'static>>>(StatusCode::OK, "The client seed.")
        .error(
            StatusCode::UNPROCESSABLE_ENTITY,
            &[
                "account_closed",
                "account_frozen",
                "account_not_found",
                "economy_closed",
                "economy_frozen",
                "reserved_account",
            ],
        )
        .writes();
    Resource {
        name: "seeds",
        about: "Draws are derived from a server seed, whose commitment is public in advance, from \
                the member's client seed, and from a nonce. Anyone with the receipt of a call can \
                verify its draws once the server seed is revealed.",
        routes: vec![list, rotate, read, set],
    }
}

/// The query of a list of server seeds.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct SeedsQuery {
    /// Returns only seeds with a lower number. For the next page: the number of the last seed of
    /// this one.
    #[schemars(with = "schemas::Number")]
    before: Option<u64>,
    /// The greatest number of seeds in the page. Default 50.
    #[schemars(with = "usize", range(min = 1, max = 200))]
    limit: Option<usize>,
}

/// A page of server seeds.
#[derive(Serialize, JsonSchema)]
struct SeedList {
    seeds: Vec<SeedView>,
}

/// `GET …/seeds`
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    Query(query): Query<SeedsQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {PAGE_MAX}");
        return Err(wrong("limit", &detail));
    }
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let active = books.active_seed().number;
    let newest = active.saturating_add(1);
    let first = match query.before {
        Some(before) => extract::number("before", before)?.saturating_sub(1),
        None => newest,
    };
    let numbers = (1..=first.min(newest)).rev().take(limit);
    let known = numbers.filter_map(|number| books.server_seed(number));
    Ok(Json(views::to_json(SeedList {
        seeds: known.map(|known| views::seed(&known, active)).collect(),
    })))
}

/// The empty body of a rotation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {}

/// `POST …/seeds/rotate`
async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
    _: Query<NoParameters>,
    key: KeyHeader,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let key = key.required()?;
    let parsed = extract::json::<RotateBody>(body).await?;
    caller.unchanged(&api)?;
    let route = format!("/v1/economies/{economy}/seeds/rotate");
    let canonical = &parsed.canonical;
    let context = extract::request_context(
        &caller,
        economy.clone(),
        Some(key),
        "POST",
        &route,
        canonical,
    );
    let rotated = api.service.act(context, Act::RotateSeed).await?;
    // A seed that cannot be revealed yet is revealed when the last game that drew from it has
    // ended.
    if let Err(problem) = api.service.reveal_seeds(&economy).await {
        tracing::warn!(%economy, %problem, "seeds could not be revealed; they are revealed later");
    }
    Ok(extract::respond(rotated))
}

/// `GET …/accounts/{account}/client-seed`
async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if books.account(&account).is_none() {
        return Err(Problem::no_account(&account));
    }
    Ok(Json(views::to_json(views::client_seed(&account, books))))
}

/// The new client seed of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClientSeedBody {
    /// The client seed: 1 to 64 printable ASCII characters.
    #[schemars(regex(pattern = "^[ -~]{1,64}$"))]
    client_seed: String,
}

/// `PUT …/accounts/{account}/client-seed`
async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, account)): Path<(String, String)>,
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Call, &economy)?;
    let account: AccountId = extract::name("account", &account)?;
    let parsed = extract::json_patch::<ClientSeedBody>(body).await?;
    caller.unchanged(&api)?;
    let client_seed = ClientSeedText::try_from(parsed.typed.client_seed).map_err(|_| {
        let detail = format!(
            "`client_seed` must have 1 to {CLIENT_SEED_BYTES_MAX} printable ASCII \
                              characters"
        );
        Problem::malformed("/client_seed", detail)
    })?;
    let route = format!("/v1/economies/{economy}/accounts/{account}/client-seed");
    let context =
        extract::request_context(&caller, economy, None, "PUT", &route, &parsed.canonical);
    let act = Act::SetClientSeed {
        account,
        client_seed,
    };
    Ok(extract::respond(api.service.act(context, act).await?))
}
