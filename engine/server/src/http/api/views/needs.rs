//! Response bodies about the balances that plugins need.

use bursar_ledger::{AccountId, Amount, AssetId, Books, EconomyId, Installation, Need};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// A balance that a plugin needs, compared with the present balance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Need")]
pub(crate) struct NeedView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    /// The least available balance that the plugin needs.
    #[schemars(with = "schemas::Amount")]
    at_least: Amount,
    /// The present available balance.
    #[schemars(with = "schemas::Units")]
    available: i64,
    /// True if the present balance is sufficient.
    met: bool,
    /// A request that adds the missing amount; absent if nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    fund: Option<FundView<'a>>,
}

/// A request that issues the missing amount. A transfer from another account has the same effect.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fund")]
struct FundView<'a> {
    #[schemars(extend("const" = "POST"))]
    method: &'a str,
    path: String,
    body: FundBody<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FundBody")]
struct FundBody<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    #[schemars(with = "schemas::AssetName")]
    asset: &'a AssetId,
    #[schemars(with = "schemas::Amount")]
    amount: Amount,
}

pub(crate) fn needs<'a>(
    economy: &EconomyId,
    books: &Books,
    installation: &'a Installation,
) -> Vec<NeedView<'a>> {
    let needs = installation.needs.iter();
    needs.map(|need| view(economy, books, need)).collect()
}

fn view<'a>(economy: &EconomyId, books: &Books, need: &'a Need) -> NeedView<'a> {
    let Need {
        account,
        asset,
        at_least,
    } = need;
    let found = books.account(account);
    let available = found.map_or(0, |found| found.balance(asset).available());
    // An account that is far below zero may lack more than one request can add.
    let has = u64::try_from(available).unwrap_or(0);
    let missing = Amount::new(at_least.get().saturating_sub(has));
    NeedView {
        account,
        asset,
        at_least: *at_least,
        available,
        met: missing.is_none(),
        fund: missing.map(|amount| FundView {
            method: "POST",
            path: format!("/v1/economies/{economy}/issue"),
            body: FundBody {
                account,
                asset,
                amount,
            },
        }),
    }
}
