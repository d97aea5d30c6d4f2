//! Response bodies of the API. Types of other modules are converted here before they are
//! serialised.
//!
//! The description of the API is generated from these types.

mod events;
mod holds;
mod keys;
mod needs;
mod plugins;
mod problems;
mod quotas;
mod seeds;
mod switched_off;
mod webhooks;

use std::collections::BTreeMap;

use bursar_ledger::{
    Account, AccountId, AccountStatus, Amount, Asset, AssetId, AssetKind, Balance, Books, Day,
    Digest, Document, EconomyId, EconomyStatus, Flow, Limit, Movement, PluginName, Posting,
    Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::schemas;
pub(crate) use events::{EventView, delivered_event, event};
pub(crate) use holds::{HoldLeftView, HoldStatus, HoldTerms, HoldView, hold, past_hold};
pub(crate) use keys::{KeyView, WithSecret, key};
pub(crate) use needs::{NeedView, needs};
pub(crate) use plugins::{
    ComponentView, PluginDetailsView, PluginView, RemovedPluginView, component, newer_version,
    plugin,
};
pub(crate) use problems::{PROBLEM, ProblemBody};
pub(crate) use quotas::{QuotasView, quotas};
pub(crate) use seeds::{
    ActiveSeedView, ClientSeedView, OriginView, SeedView, active_seed, client_seed, origin, seed,
};
pub(crate) use webhooks::{
    DeliveryView, RemovedWebhookView, WebhookReadView, WebhookView, delivery, webhook,
};

/// Serialises a response body to a JSON value. Response bodies have strings as keys and no floats,
/// so serialisation does not fail.
pub(crate) fn to_json(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// The result of a PUT.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Put{T}")]
pub(crate) struct Put<T> {
    #[serde(flatten)]
    pub(crate) view: T,
    /// True if this request changed something.
    pub(crate) changed: bool,
}

/// An economy: the books of one community.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Economy")]
pub(crate) struct OpenedView<'a> {
    #[schemars(with = "schemas::EconomyName")]
    pub(crate) id: &'a EconomyId,
    #[schemars(with = "schemas::EconomyStatus")]
    pub(crate) status: EconomyStatus,
    #[schemars(with = "schemas::Timestamp")]
    pub(crate) opened_at: Timestamp,
}

/// An economy: the books of one community, with its newest record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Economy")]
pub(crate) struct EconomyView<'a> {
    #[serde(flatten)]
    opened: OpenedView<'a>,
    /// The number of records in the log.
    seq: u64,
    /// The hash of the newest record. It covers all earlier records.
    #[schemars(with = "schemas::Digest")]
    head: Digest,
}

pub(crate) fn opened<'a>(id: &'a EconomyId, books: &Books) -> OpenedView<'a> {
    OpenedView {
        id,
        status: books.status(),
        opened_at: books.opened_at(),
    }
}

pub(crate) fn economy<'a>(id: &'a EconomyId, books: &Books) -> EconomyView<'a> {
    EconomyView {
        opened: opened(id, books),
        seq: books.seq(),
        head: books.head(),
    }
}

/// An asset: a currency or an item.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Asset")]
pub(crate) struct AssetView<'a> {
    #[schemars(with = "schemas::AssetName")]
    id: &'a AssetId,
    #[schemars(with = "schemas::AssetKind")]
    kind: AssetKind,
    /// The name for people.
    name: &'a str,
    /// A symbol to display before or after amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    symbol: Option<&'a str>,
    /// The number of decimals in displayed amounts: 250 with 2 decimals is displayed as 2.50.
    #[schemars(range(min = 0, max = 15))]
    decimals: u8,
    /// The greatest amount in circulation; 2^53 − 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Limit")]
    max_supply: Option<Limit>,
    /// The amount in circulation.
    #[schemars(with = "schemas::Units")]
    supply: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Document")]
    metadata: Option<&'a Document>,
}

pub(crate) fn asset<'a>(id: &'a AssetId, asset: &'a Asset, books: &Books) -> AssetView<'a> {
    AssetView {
        id,
        kind: asset.kind,
        name: &asset.name,
        symbol: asset.symbol.as_deref(),
        decimals: asset.decimals,
        max_supply: asset.max_supply,
        supply: books.supply(id),
        metadata: asset.metadata.as_ref(),
    }
}

/// The amounts of an asset that were issued and burned in one UTC day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Flow")]
pub(crate) struct FlowView<'a> {
    #[schemars(with = "schemas::Timestamp")]
    day_starts_at: Timestamp,
    /// The plugin that issued and burned; null for requests of API keys.
    #[schemars(with = "Option<schemas::PluginName>")]
    plugin: Option<&'a PluginName>,
    /// The amount that was issued.
    issued: u64,
    /// The amount that was burned.
    burned: u64,
}

pub(crate) fn flow(day: Day, plugin: Option<&PluginName>, flow: Flow) -> FlowView<'_> {
    FlowView {
        day_starts_at: day.starts_at(),
        plugin,
        issued: flow.issued,
        burned: flow.burned,
    }
}

/// The balance of an account in one asset.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Balance")]
struct BalanceView {
    /// The sum of all movements. Negative only on issuers and within a credit limit.
    #[schemars(with = "schemas::Units")]
    posted: i64,
    /// The amount that open holds reserve.
    #[schemars(with = "schemas::Limit")]
    held: Limit,
    /// `posted` − `held`. The credit limit is not included.
    #[schemars(with = "schemas::Units")]
    available: i64,
}

/// An account and its balances in all assets.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(crate) struct AccountView<'a> {
    #[schemars(with = "schemas::AccountName")]
    id: &'a AccountId,
    #[schemars(with = "schemas::AccountStatus")]
    status: AccountStatus,
    /// The amount by which a balance may be below zero, by asset; 0 for assets that are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schemas::Limits")]
    credit_limit: BTreeMap<&'a AssetId, Amount>,
    /// The greatest balance, by asset; 2^53 − 1 for assets that are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schemas::Limits")]
    ceiling: BTreeMap<&'a AssetId, Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Document")]
    metadata: Option<&'a Document>,
    /// The balances, by asset.
    #[schemars(with = "BTreeMap<String, BalanceView>")]
    balances: BTreeMap<&'a AssetId, BalanceView>,
}

fn balance(balance: &Balance) -> BalanceView {
    BalanceView {
        posted: balance.posted,
        held: balance.held,
        available: balance.available(),
    }
}

pub(crate) fn account<'a>(id: &'a AccountId, account: &'a Account) -> AccountView<'a> {
    let balances = account.balances.iter();
    let credit_limits = account.limits.credit_limits().iter();
    let ceilings = account.limits.ceilings().iter();
    AccountView {
        id,
        status: account.status,
        credit_limit: credit_limits
            .map(|(asset, credit)| (asset.as_asset(), *credit))
            .collect(),
        ceiling: ceilings.map(|(asset, most)| (asset, *most)).collect(),
        metadata: account.metadata.as_ref(),
        balances: balances
            .map(|(asset, amounts)| (asset, balance(amounts)))
            .collect(),
    }
}

/// The movements of one transfer, and the balances of all affected accounts after it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Movements")]
pub(crate) struct MovementsView<'a> {
    #[schemars(with = "Vec<schemas::Posting>")]
    postings: Vec<&'a Posting>,
    /// The posted balances after the transfer, by account and asset.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, schemas::Units>>")]
    balances: BTreeMap<&'a AccountId, BTreeMap<&'a AssetId, i64>>,
}

pub(crate) fn movements(movements: &[Movement]) -> MovementsView<'_> {
    let mut balances: BTreeMap<&AccountId, BTreeMap<&AssetId, i64>> = BTreeMap::new();
    for movement in movements {
        let posting = &movement.posting;
        let sides = [
            (&posting.source, movement.source_after),
            (&posting.destination, movement.destination_after),
        ];
        for (account, after) in sides {
            balances
                .entry(account)
                .or_default()
                .insert(&posting.asset, after);
        }
    }
    MovementsView {
        postings: movements.iter().map(|movement| &movement.posting).collect(),
        balances,
    }
}
