//! What answers look like. Nothing below this room is shaped for the wire.
//!
//! The same types are written and described, so that the API's description is what is sent.

mod holds;
mod keys;
mod needs;
mod plugins;
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
pub(crate) use holds::{HoldLeftView, HoldStatus, HoldTerms, HoldView, hold, past_hold};
pub(crate) use keys::{KeyView, WithSecret, key};
pub(crate) use needs::{NeedView, needs};
pub(crate) use plugins::{
    ComponentView, DescribedView, PluginView, RemovedPluginView, component, newer_version, plugin,
};
pub(crate) use quotas::{QuotasView, quotas};
pub(crate) use seeds::{
    ActiveSeedView, ClientSeedView, OriginView, SeedView, active_seed, client_seed, origin, seed,
};
pub(crate) use webhooks::{
    DeliveryView, RemovedWebhookView, WebhookReadView, WebhookView, delivery, webhook,
};

/// A view as the JSON that it is. Views have text for keys and no floats, so this does not fail.
pub(crate) fn to_json(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// What a PUT has made, or left as it was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Put{T}")]
pub(crate) struct Put<T> {
    #[serde(flatten)]
    pub(crate) view: T,
    /// Whether this request changed anything.
    pub(crate) changed: bool,
}

/// One community's books, as they are opened.
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

/// One community's books.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Economy")]
pub(crate) struct EconomyView<'a> {
    #[serde(flatten)]
    opened: OpenedView<'a>,
    /// How many records it has.
    seq: u64,
    /// The hash of the newest record, which covers all before it.
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

/// What amounts count.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Asset")]
pub(crate) struct AssetView<'a> {
    #[schemars(with = "schemas::AssetName")]
    id: &'a AssetId,
    #[schemars(with = "schemas::AssetKind")]
    kind: AssetKind,
    /// The name that people read.
    name: &'a str,
    /// A sign before or after amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    symbol: Option<&'a str>,
    /// How many decimals a display puts into an amount: 250 with 2 decimals reads 2.50.
    #[schemars(range(min = 0, max = 15))]
    decimals: u8,
    /// The most that may be in circulation; 2^53 − 1 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Limit")]
    max_supply: Option<Limit>,
    /// How much of it is in circulation.
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

/// A day of an asset's circulation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Flow")]
pub(crate) struct FlowView<'a> {
    #[schemars(with = "schemas::Timestamp")]
    day_starts_at: Timestamp,
    /// The plugin by which it came and went; null for what keys issued and burned.
    #[schemars(with = "Option<schemas::PluginName>")]
    plugin: Option<&'a PluginName>,
    /// How much came into circulation.
    issued: u64,
    /// How much left it.
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

/// What an account has of one asset.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Balance")]
struct BalanceView {
    /// The sum of all that moved. Below zero only on issuers and within a credit limit.
    #[schemars(with = "schemas::Units")]
    posted: i64,
    /// What holds have reserved of it.
    #[schemars(with = "schemas::Limit")]
    held: Limit,
    /// `posted` − `held`.
    #[schemars(with = "schemas::Units")]
    available: i64,
}

/// Holds balances, one for each asset.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(crate) struct AccountView<'a> {
    #[schemars(with = "schemas::AccountName")]
    id: &'a AccountId,
    #[schemars(with = "schemas::AccountStatus")]
    status: AccountStatus,
    /// The most that balances may be below zero, by asset; 0 where an asset is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schemas::Limits")]
    credit_limit: BTreeMap<&'a AssetId, Amount>,
    /// The most that balances may be, by asset; 2^53 − 1 where an asset is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schemas::Limits")]
    ceiling: BTreeMap<&'a AssetId, Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Document")]
    metadata: Option<&'a Document>,
    /// By asset.
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

/// What moved in one transfer, and what every account touched has posted after it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Movements")]
pub(crate) struct MovementsView<'a> {
    #[schemars(with = "Vec<schemas::Posting>")]
    postings: Vec<&'a Posting>,
    /// What is posted after it, by account and asset.
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
