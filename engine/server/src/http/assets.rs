//! The routes that create, change, read and list assets.

mod flows;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{AccountId, Act, AssetId, AssetKind, AssetPatch, Limit, Patch, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::route::{Resource, Route};
use super::api::views::{AssetView, Put};
use super::api::{schemas, views};
use super::auth::Caller;
use super::extract::{NoParameters, Path, Query};
use super::problem::Problem;
use super::{Api, extract};
use crate::service::blocking;
use crate::service::error::ServiceError;

/// The greatest length of an asset's name, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The greatest length of an asset's symbol, in characters.
const SYMBOL_CHARS_MAX: usize = 16;
/// The greatest number of displayed decimals: a balance has at most 16 digits.
const DECIMALS_MAX: u8 = 15;

/// The greatest number of holders in one response.
const HOLDERS_MAX: usize = 1000;

/// The default number of holders in one response.
const HOLDERS: usize = 10;

const ASSET: &str = "/v1/economies/{economy}/assets/{asset}";

pub(super) fn routes() -> Resource {
    Resource {
        name: "assets",
        about: "An asset is a currency or an item. Amounts are whole numbers in its smallest unit.",
        routes: vec![
            set_route(),
            read_route(),
            list_route(),
            holders_route(),
            flows::route(),
        ],
    }
}

fn set_route() -> Route {
    Route::put(ASSET, set)
        .operation(
            "set_asset",
            "Create or change an asset",
            "Creates the asset if it does not exist, which requires `kind` and `name`, and changes \
             it otherwise. `kind` and `decimals` cannot change. Absent members keep their present \
             value; `null` removes an optional one.",
        )
        .needs(Scope::Admin)
        .body::<AssetBody>("currency", json!({ "kind": "currency", "name": "Coin" }))
        .or_body("item", json!({ "kind": "item", "name": "Potion" }))
        .answers::<Put<AssetView<'static>>>(StatusCode::CREATED, "The asset was created.")
        .answers::<Put<AssetView<'static>>>(
            StatusCode::OK,
            "The asset exists; `changed` tells if \
                                                             this request changed it.",
        )
        .example(json!({
            "id": "coin", "kind": "currency", "name": "Coin", "decimals": 0, "supply": 200,
            "changed": false,
        }))
        .error(StatusCode::CONFLICT, &["asset_fixed"])
        .error(
            StatusCode::UNPROCESSABLE_ENTITY,
            &[
                "asset_incomplete",
                "economy_closed",
                "quota_reached",
                "supply_limit",
            ],
        )
        .writes()
}

fn read_route() -> Route {
    Route::get(ASSET, read)
        .operation(
            "get_asset",
            "Get an asset",
            "Returns the asset and the amount in circulation.",
        )
        .needs(Scope::Read)
        .answers::<AssetView<'static>>(StatusCode::OK, "The asset.")
        .error(StatusCode::NOT_FOUND, &["asset_not_found"])
}

fn list_route() -> Route {
    Route::get("/v1/economies/{economy}/assets", list)
        .operation(
            "list_assets",
            "List assets",
            "Returns all assets of the economy and their amounts in circulation.",
        )
        .needs(Scope::Read)
        .whole_list("the quota `assets` is their bound.")
        .answers::<AssetList<'static>>(StatusCode::OK, "The assets.")
}

fn holders_route() -> Route {
    Route::get("/v1/economies/{economy}/assets/{asset}/holders", holders_of)
        .operation(
            "list_holders",
            "List holders",
            "Returns the accounts of members with the highest balances of an asset, in descending \
             order: a leaderboard.",
        )
        .needs(Scope::Read)
        .pages("limit", "holders", HOLDERS, HOLDERS_MAX)
        .query::<HoldersQuery>()
        .answers::<Holders<'static>>(StatusCode::OK, "The holders.")
        .example(json!({ "asset": "coin", "holders": [{ "account": "user:1", "posted": 170 }] }))
        .error(StatusCode::NOT_FOUND, &["asset_not_found"])
}

/// Changes to an asset. Absent members keep their present value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetBody {
    #[schemars(with = "Option<schemas::AssetKind>")]
    kind: Option<AssetKind>,
    /// The name for people.
    #[schemars(length(min = 1, max = 64))]
    name: Option<String>,
    /// A symbol to display before or after amounts.
    #[serde(default)]
    #[schemars(with = "Option<String>", length(min = 1, max = 16))]
    symbol: Patch<String>,
    /// The number of decimals in displayed amounts. Default 0.
    #[schemars(range(min = 0, max = 15))]
    decimals: Option<u8>,
    /// The greatest amount in circulation; 2^53 − 1 after removal.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Limit>")]
    max_supply: Patch<Limit>,
    /// Your own data. It replaces the present metadata completely.
    #[serde(default)]
    #[schemars(with = "Option<schemas::Document>")]
    metadata: Patch<Value>,
}

/// The assets of an economy.
#[derive(Serialize, JsonSchema)]
struct AssetList<'a> {
    assets: Vec<AssetView<'a>>,
}

/// The accounts with the highest balances of an asset.
#[derive(Serialize, JsonSchema)]
struct Holders<'a> {
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    holders: Vec<Holder>,
}

/// An account and its balance.
#[derive(Serialize, JsonSchema)]
struct Holder {
    #[schemars(with = "schemas::AccountName")]
    account: AccountId,
    #[schemars(with = "schemas::Units")]
    posted: i64,
}

impl AssetBody {
    fn into_patch(self) -> Result<AssetPatch, Problem> {
        let too_long = |text: &str, most: usize| text.is_empty() || text.chars().count() > most;
        if self
            .name
            .as_ref()
            .is_some_and(|name| too_long(name, NAME_CHARS_MAX))
        {
            let detail = format!("`name` must have 1 to {NAME_CHARS_MAX} characters");
            return Err(Problem::malformed("/name", detail));
        }
        if matches!(&self.symbol, Patch::Set(symbol) if too_long(symbol, SYMBOL_CHARS_MAX)) {
            let detail = format!("`symbol` must have 1 to {SYMBOL_CHARS_MAX} characters");
            return Err(Problem::malformed("/symbol", detail));
        }
        if self
            .decimals
            .is_some_and(|decimals| decimals > DECIMALS_MAX)
        {
            let detail = format!("`decimals` must be between 0 and {DECIMALS_MAX}");
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
    _: Query<NoParameters>,
    body: Body,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Admin, &economy)?;
    let asset: AssetId = extract::name("asset", &asset)?;
    let parsed = extract::json_patch::<AssetBody>(body).await?;
    caller.unchanged(&api)?;
    let patch = parsed.typed.into_patch()?;
    let route = format!("/v1/economies/{economy}/assets/{asset}");
    let context =
        extract::request_context(&caller, economy, None, "PUT", &route, &parsed.canonical);
    Ok(extract::respond(
        api.service
            .act(context, Act::SetAsset { asset, patch })
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
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let found = books.asset(&id).ok_or_else(|| Problem::no_asset(&id))?;
    Ok(Json(views::to_json(views::asset(&id, found, books))))
}

/// The query of a list of holders.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldersQuery {
    /// The greatest number of holders in the response.
    #[serde(default = "holders")]
    #[schemars(range(min = 1, max = 1000))]
    limit: usize,
}

fn holders() -> usize {
    HOLDERS
}

/// `GET …/assets/{asset}/holders`
pub(super) async fn holders_of(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
    query: Query<HoldersQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AssetId = extract::name("asset", &asset)?;
    let Query(HoldersQuery { limit }) = query;
    if !(1..=HOLDERS_MAX).contains(&limit) {
        let detail = format!("must be between 1 and {HOLDERS_MAX}");
        return Err(extract::wrong_query("limit", &detail));
    }
    let state = api.service.state();
    let books = state
        .books(&economy)
        .ok_or(ServiceError::NoEconomy)?
        .clone();
    if books.asset(&id).is_none() {
        return Err(Problem::no_asset(&id));
    }
    let ranked = {
        let id = id.clone();
        blocking(move || books.holders(&id, limit)).await?
    };
    let ranked = ranked.into_iter();
    let holders = ranked.map(|(account, posted)| Holder { account, posted });
    Ok(Json(views::to_json(Holders {
        asset: &id,
        holders: holders.collect(),
    })))
}

/// `GET …/assets`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(economy): Path<String>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    let assets = books
        .assets()
        .iter()
        .map(|(id, asset)| views::asset(id, asset, books));
    Ok(Json(views::to_json(AssetList {
        assets: assets.collect(),
    })))
}
