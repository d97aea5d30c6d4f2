//! The route that lists the issued and burned amounts of an asset, by day and plugin.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bursar_ledger::{AssetId, Day, FLOW_DAYS_MAX, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::api::route::Route;
use crate::http::api::views::FlowView;
use crate::http::api::{schemas, views};
use crate::http::auth::Caller;
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::http::{Api, extract};
use crate::service::error::ServiceError;

/// The default number of days in the response.
const DAYS: u64 = 30;

pub(super) fn route() -> Route {
    let size = |days: u64| usize::try_from(days).unwrap_or(usize::MAX);
    Route::get("/v1/economies/{economy}/assets/{asset}/flows", flows_of)
        .operation(
            "list_flows",
            "List issued and burned amounts",
            "Returns the amounts of an asset that were issued and burned, by UTC day and by \
             plugin. Days without issue or burn are left out.",
        )
        .needs(Scope::Read)
        .pages("days", "days", size(DAYS), size(FLOW_DAYS_MAX))
        .query::<FlowsQuery>()
        .answers::<Circulation<'static>>(StatusCode::OK, "The amounts, by day and plugin.")
        .example(json!({
            "asset": "coin", "supply": 200,
            "flows": [{
                "day_starts_at": 1_764_028_800_000_u64, "plugin": null, "issued": 200, "burned": 0,
            }],
        }))
        .error(StatusCode::NOT_FOUND, &["asset_not_found"])
}

/// The query of a list of issued and burned amounts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FlowsQuery {
    /// The number of days up to and including today.
    #[serde(default = "days")]
    #[schemars(range(min = 1, max = 366))]
    days: u64,
}

fn days() -> u64 {
    DAYS
}

/// The circulation of an asset: its supply, and the issued and burned amounts by day and plugin.
#[derive(Serialize, JsonSchema)]
struct Circulation<'a> {
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    /// The amount in circulation.
    #[schemars(with = "schemas::Units")]
    supply: i64,
    flows: Vec<FlowView<'a>>,
}

/// `GET …/assets/{asset}/flows`
async fn flows_of(
    State(api): State<Api>,
    caller: Caller,
    Path((economy, asset)): Path<(String, String)>,
    Query(FlowsQuery { days }): Query<FlowsQuery>,
) -> Result<Json<Value>, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(Scope::Read, &economy)?;
    let id: AssetId = extract::name("asset", &asset)?;
    if !(1..=FLOW_DAYS_MAX).contains(&days) {
        let detail = format!("must be between 1 and {FLOW_DAYS_MAX}");
        return Err(extract::wrong_query("days", &detail));
    }
    let state = api.service.state();
    let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
    if books.asset(&id).is_none() {
        return Err(Problem::no_asset(&id));
    }
    let from = Day::of(api.service.now()).before(days - 1);
    let flows = books
        .flows(&id, from)
        .map(|(day, plugin, flow)| views::flow(day, plugin, flow));
    Ok(Json(views::to_json(Circulation {
        asset: &id,
        supply: books.supply(&id),
        flows: flows.collect(),
    })))
}
