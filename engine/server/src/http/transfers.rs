//! What moves money: transfers between accounts, issue and burn.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bursar_ledger::{
    AccountId, Act, Amount, AssetId, Authority, IssueRequest, Postings, Scope, TransferRequest,
    check_document,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Asked, Parsed, Path, Preview};
use super::problem::Problem;
use super::render::{TransferPreview, TransferView};
use super::route::{Resource, Route};
use super::{Api, batches, extract, outcomes, shapes};
use crate::random;

/// Characters in a memo.
const MEMO_CHARS_MAX: usize = 256;
/// Characters in a reference.
const REFERENCE_CHARS_MAX: usize = 128;
/// Bytes of a transfer's metadata, as JSON.
const METADATA_BYTES_MAX: usize = 4096;

/// What the ledger may refuse of whatever moves money.
pub(super) const REFUSALS: &[&str] = &[
    "account_closed",
    "account_frozen",
    "account_not_found",
    "asset_not_found",
    "ceiling_exceeded",
    "insufficient_funds",
    "issuer_account",
    "plugin_account",
    "reserved_account",
    "state_quota",
    "supply_limit",
];

/// What may contradict how things stand.
pub(super) const CONFLICTS: &[&str] = &["plugin_disabled"];

pub(super) fn routes() -> Resource {
    Resource {
        name: "transfers",
        about: "A transfer is an atomic set of postings. What is issued is born on the asset's \
                issuer, and what is burned returns there.",
        routes: vec![
            transfer_route(),
            batches::route(),
            issue_route(),
            burn_route(),
            outcomes::route(),
        ],
    }
}

fn moves_money(route: Route) -> Route {
    route
        .query::<Preview>()
        .keyed()
        .answers::<TransferPreview>(StatusCode::OK, "What would have moved: it was a preview.")
        .no(StatusCode::UNPROCESSABLE_ENTITY, REFUSALS)
        .writes()
}

fn transfer_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/transfers", transfer)
        .called(
            "create_transfer",
            "Transfer between accounts",
            "All postings move, in this order, or none. Issuers cannot be named, and a plugin's \
             accounts are debited with the scope `admin` only.",
        )
        .needs(Scope::Transfer)
        .body::<TransferBody>(
            "pay",
            json!({ "postings": [
                { "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30 },
            ]}),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.")
        .like(json!({
            "id": "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f", "seq": 7,
            "recorded_at": 1_764_025_200_000_u64,
            "postings": [{ "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30 }],
            "balances": { "user:1": { "coin": 170 }, "user:2": { "coin": 30 } },
        }));
    moves_money(route)
}

fn issue_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/issue", issue)
        .called(
            "issue",
            "Bring some of an asset into circulation",
            "From the asset's issuer to an account, up to the asset's maximum supply.",
        )
        .needs(Scope::Issue)
        .body::<IssueBody>(
            "welcome",
            json!({ "account": "user:1", "asset": "coin", "amount": 200, "memo": "welcome" }),
        )
        .or_body(
            "stock",
            json!({ "account": "plugin:shop", "asset": "item:potion", "amount": 10 }),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.");
    moves_money(route)
}

fn burn_route() -> Route {
    let route = Route::post("/v1/economies/{economy}/burn", burn)
        .called(
            "burn",
            "Take some of an asset out of circulation",
            "From an account back to the asset's issuer.",
        )
        .needs(Scope::Issue)
        .body::<IssueBody>(
            "fee",
            json!({ "account": "user:1", "asset": "coin", "amount": 5 }),
        )
        .answers::<TransferView<'static>>(StatusCode::CREATED, "What has moved.");
    moves_money(route)
}

/// A transfer that is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    /// What is to move, in this order.
    #[schemars(with = "shapes::Postings")]
    pub(super) postings: Postings,
    /// Why, for people.
    #[schemars(length(max = 256))]
    pub(super) memo: Option<String>,
    /// Something of yours by which statements find it again.
    #[schemars(length(max = 128))]
    pub(super) reference: Option<String>,
    /// Anything that you want to keep with it, up to 4 KiB.
    #[schemars(with = "Option<shapes::Document>")]
    pub(super) metadata: Option<Value>,
}

/// An amount to bring into circulation, or to take out of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// The account on the other side of the issuer.
    #[schemars(with = "shapes::AccountName")]
    account: AccountId,
    #[schemars(with = "shapes::AssetName")]
    asset: AssetId,
    #[schemars(with = "shapes::Amount")]
    amount: Amount,
    /// Why, for people.
    #[schemars(length(max = 256))]
    memo: Option<String>,
}

fn check_text(pointer: &str, text: Option<&String>, chars_max: usize) -> Result<(), Problem> {
    if text.is_some_and(|text| text.chars().count() > chars_max) {
        return Err(Problem::malformed(
            pointer,
            format!("at most {chars_max} characters"),
        ));
    }
    Ok(())
}

impl IssueBody {
    fn into_request(self) -> Result<IssueRequest, Problem> {
        check_text("/memo", self.memo.as_ref(), MEMO_CHARS_MAX)?;
        Ok(IssueRequest {
            id: random::transfer_id(),
            account: self.account,
            asset: self.asset,
            amount: self.amount,
        })
    }
}

impl TransferBody {
    pub(super) fn into_act(self, caller: &Caller) -> Act {
        let authority = if caller.allows(Scope::Admin) {
            Authority::Admin
        } else {
            Authority::Bot
        };
        Act::Transfer(TransferRequest {
            id: random::transfer_id(),
            postings: self.postings,
            authority,
        })
    }

    /// Words that go into the journal with the request and mean nothing to the rules.
    pub(super) fn check(&self) -> Result<(), Problem> {
        check_text("/memo", self.memo.as_ref(), MEMO_CHARS_MAX)?;
        check_text("/reference", self.reference.as_ref(), REFERENCE_CHARS_MAX)?;
        match &self.metadata {
            Some(metadata) if !metadata.is_object() => {
                Err(Problem::malformed("/metadata", "metadata is a JSON object"))
            }
            Some(metadata) => check_document(metadata, METADATA_BYTES_MAX)
                .map_err(|error| Problem::malformed("/metadata", error.to_string())),
            None => Ok(()),
        }
    }
}

/// `POST …/transfers`
pub(super) async fn transfer(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: TransferBody, caller: &Caller| {
        body.check()?;
        Ok(body.into_act(caller))
    };
    perform(asked, Scope::Transfer, "transfers", read).await
}

/// `POST …/issue`
pub(super) async fn issue(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: IssueBody, _: &Caller| Ok(Act::Issue(body.into_request()?));
    perform(asked, Scope::Issue, "issue", read).await
}

/// `POST …/burn`
pub(super) async fn burn(asked: MoneyRequest) -> Result<Response, Problem> {
    let read = |body: IssueBody, _: &Caller| Ok(Act::Burn(body.into_request()?));
    perform(asked, Scope::Issue, "burn", read).await
}

/// A request that moves money of an economy, or previews that.
type MoneyRequest = (
    State<Api>,
    Caller,
    Path<String>,
    Asked<Preview>,
    HeaderMap,
    Body,
);

/// Performs or previews the act that `read` makes of the body.
async fn perform<B: DeserializeOwned>(
    (State(api), caller, Path(economy), Asked(Preview { preview }), headers, body): MoneyRequest,
    scope: Scope,
    route: &str,
    read: fn(B, &Caller) -> Result<Act, Problem>,
) -> Result<Response, Problem> {
    let economy = extract::economy(&economy)?;
    caller.require(scope, &economy)?;
    let Parsed { typed, canonical } = extract::json::<B>(body).await?;
    let act = read(typed, &caller)?;
    if preview {
        return Ok(extract::respond(api.bursar.preview(&economy, &act)?));
    }
    let key = extract::idempotency_key(&headers)?;
    let route = format!("/v1/economies/{economy}/{route}");
    let asking = extract::asking(&caller, economy, Some(key), "POST", &route, &canonical);
    Ok(extract::respond(api.bursar.act(asking, act).await?))
}
