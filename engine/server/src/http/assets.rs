//! Assets: made and changed by PUT, listed with their supply.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bursar_ledger::{Act, AssetId, AssetKind, AssetPatch, Day, Limit, Patch, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Nothing, Path};
use super::problem::Problem;
use super::{Api, extract, wire};
use crate::economy::blocking;
use crate::no_answer::NoAnswer;

/// Characters in an asset's name.
const NAME_CHARS_MAX: usize = 64;
/// Characters in an asset's symbol.
const SYMBOL_CHARS_MAX: usize = 16;
/// Decimals in a display: a balance has 16 digits at most.
const DECIMALS_MAX: u8 = 15;

/// Days of circulation in one answer.
const DAYS_MAX: u64 = 366;

/// Holders in one answer.
const HOLDERS_MAX: usize = 1000;

/// The body of a PUT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetBody {
    kind: Option<AssetKind>,
    name: Option<String>,
    #[serde(default)]
    symbol: Patch<String>,
    decimals: Option<u8>,
    #[serde(default)]
    max_supply: Patch<Limit>,
    #[serde(default)]
    metadata: Patch<Value>,
}

impl AssetBody {
    fn into_patch(self) -> Result<AssetPatch, Problem> {
        let too_long = |text: &str, most: usize| text.is_empty() || text.chars().count() > most;
        if self
            .name
            .as_ref()
            .is_some_and(|name| too_long(name, NAME_CHARS_MAX))
        {
            let detail = format!("a name has 1 to {NAME_CHARS_MAX} characters");
            return Err(Problem::malformed("/name", detail));
        }
        if matches!(&self.symbol, Patch::Set(symbol) if too_long(symbol, SYMBOL_CHARS_MAX)) {
            let detail = format!("a symbol has 1 to {SYMBOL_CHARS_MAX} characters");
            return Err(Problem::malformed("/symbol", detail));
        }
        if self
            .decimals
            .is_some_and(|decimals| decimals > DECIMALS_MAX)
        {
            let detail = format!("an asset has 0 to {DECIMALS_MAX} decimals");
            return Err(Problem::malformed("/decimals", detail));
        }
        let Self {
            kind,
            name,
            symbol,
            decimals,
            max_supply,
            metadata,
        } = self;
        extract::check_metadata(&metadata)?;
        Ok(AssetPatch {
            kind,
            name,
            symbol,
            decimals,
            max_supply,
            metadata,
        })
    }
}

/// `PUT …/assets/{asset}`
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
    _: Asked<Nothing>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let asset: AssetId = extract::name("asset", &asset)?;
    let parsed = extract::json::<AssetBody>(body).await?;
    let patch = parsed.typed.into_patch()?;
    let route = format!("/v1/economies/{economy}/assets/{asset}");
    let asking = extract::asking(&caller, economy, None, "PUT", &route, &parsed.canonical);
    Ok(extract::respond(
        api.bursar
            .act(asking, Act::SetAsset { asset, patch })
            .await?,
    ))
}

/// `GET …/assets/{asset}`
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AssetId = extract::name("asset", &asset)?;
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let found = books.asset(&id).ok_or_else(|| no_asset(&id))?;
    Ok(Json(wire::asset(&id, found, books)))
}

/// How many holders are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldersQuery {
    #[serde(default = "holders")]
    limit: usize,
}

fn holders() -> usize {
    10
}

/// `GET …/assets/{asset}/holders`: who has most of it.
pub(super) async fn holders_of(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
    query: Asked<HoldersQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AssetId = extract::name("asset", &asset)?;
    let Asked(HoldersQuery { limit }) = query;
    if !(1..=HOLDERS_MAX).contains(&limit) {
        let detail = format!("1 to {HOLDERS_MAX} holders can be asked for");
        return Err(extract::wrong_query("limit", &detail));
    }
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?.clone();
    if books.asset(&id).is_none() {
        let detail = format!("the economy has no asset `{id}`");
        return Err(Problem::not_found("asset_not_found", detail));
    }
    let ranked = {
        let id = id.clone();
        blocking(move || books.holders(&id, limit)).await?
    };
    let holders = ranked
        .into_iter()
        .map(|(account, posted)| json!({ "account": account, "posted": posted }));
    Ok(Json(
        json!({ "asset": id, "holders": holders.collect::<Vec<_>>() }),
    ))
}

/// How many days are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowsQuery {
    #[serde(default = "days")]
    days: u64,
}

fn days() -> u64 {
    30
}

/// `GET …/assets/{asset}/flows`: what came into circulation and what left it, by day and plugin.
pub(super) async fn flows_of(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
    Asked(FlowsQuery { days }): Asked<FlowsQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AssetId = extract::name("asset", &asset)?;
    if !(1..=DAYS_MAX).contains(&days) {
        let detail = format!("1 to {DAYS_MAX} days are asked for");
        return Err(extract::wrong_query("days", &detail));
    }
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    if books.asset(&id).is_none() {
        return Err(no_asset(&id));
    }
    let from = Day::of(api.bursar.now()).before(days - 1);
    let flows = books
        .flows(&id, from)
        .map(|(day, plugin, flow)| wire::flow(day, plugin, flow));
    let flows: Vec<Value> = flows.collect();
    let body = json!({ "asset": id, "supply": books.supply(&id), "flows": flows });
    Ok(Json(body))
}

fn no_asset(id: &AssetId) -> Problem {
    let detail = format!("the economy has no asset `{id}`");
    Problem::not_found("asset_not_found", detail)
}

/// `GET …/assets`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let state = api.bursar.state();
    let books = state.books(&economy).ok_or(NoAnswer::NoEconomy)?;
    let assets = books
        .assets()
        .iter()
        .map(|(id, asset)| wire::asset(id, asset, books));
    Ok(Json(json!({ "assets": assets.collect::<Vec<_>>() })))
}
