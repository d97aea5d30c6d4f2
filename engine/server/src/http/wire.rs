//! What answers look like. Nothing below this room is shaped for the wire.
//!
//! The same types are written and described, so that the API's description is what is sent.

use std::collections::{BTreeMap, BTreeSet};

use bursar_host::Manifest;
use bursar_ledger::{
    Account, AccountId, AccountStatus, ApiKey, Asset, AssetId, AssetKind, Balance, Books,
    Component, Digest, EconomyId, Grants, KeyId, Limit, Movement, Plugin, PluginId, Posting,
    Scopes, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::shapes;

/// A view as the JSON that it is. Views have text for keys and no floats, so this does not fail.
pub(super) fn to_json(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// What a PUT has made, or left as it was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Put{T}")]
pub(super) struct Put<T> {
    #[serde(flatten)]
    pub(super) view: T,
    /// Whether this request changed anything.
    pub(super) changed: bool,
}

/// What an economy can be.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EconomyStatus {
    /// Everything may be done.
    Open,
}

/// One community's books, as they are opened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Economy")]
pub(super) struct OpenedView<'a> {
    #[schemars(with = "shapes::EconomyName")]
    pub(super) id: &'a EconomyId,
    pub(super) status: EconomyStatus,
    #[schemars(with = "shapes::Timestamp")]
    pub(super) opened_at: Timestamp,
}

/// One community's books.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Economy")]
pub(super) struct EconomyView<'a> {
    #[serde(flatten)]
    opened: OpenedView<'a>,
    /// How many records it has.
    seq: u64,
    /// The hash of the newest record, which covers all before it.
    #[schemars(with = "shapes::Digest")]
    head: Digest,
}

pub(super) fn opened<'a>(id: &'a EconomyId, books: &Books) -> OpenedView<'a> {
    OpenedView {
        id,
        status: EconomyStatus::Open,
        opened_at: books.opened_at(),
    }
}

pub(super) fn economy<'a>(id: &'a EconomyId, books: &Books) -> EconomyView<'a> {
    EconomyView {
        opened: opened(id, books),
        seq: books.seq(),
        head: books.head(),
    }
}

/// What amounts count.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Asset")]
pub(super) struct AssetView<'a> {
    #[schemars(with = "shapes::AssetName")]
    id: &'a AssetId,
    #[schemars(with = "shapes::AssetKind")]
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
    #[schemars(with = "shapes::Limit")]
    max_supply: Option<Limit>,
    /// How much of it is in circulation.
    #[schemars(with = "shapes::Units")]
    supply: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Document")]
    metadata: Option<&'a Value>,
}

pub(super) fn asset<'a>(id: &'a AssetId, asset: &'a Asset, books: &Books) -> AssetView<'a> {
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

/// What an account has of one asset.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Balance")]
struct BalanceView {
    /// The sum of all that moved. Below zero only on issuers and within a credit limit.
    #[schemars(with = "shapes::Units")]
    posted: i64,
    /// What holds have reserved of it.
    #[schemars(with = "shapes::Limit")]
    held: Limit,
    /// `posted` − `held`.
    #[schemars(with = "shapes::Units")]
    available: i64,
}

/// Holds balances, one for each asset.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(super) struct AccountView<'a> {
    #[schemars(with = "shapes::AccountName")]
    id: &'a AccountId,
    #[schemars(with = "shapes::AccountStatus")]
    status: AccountStatus,
    /// How far below zero each balance may go.
    #[schemars(with = "shapes::Limit")]
    credit_limit: Limit,
    /// How high each balance may go; 2^53 − 1 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Limit")]
    ceiling: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Document")]
    metadata: Option<&'a Value>,
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

pub(super) fn account<'a>(id: &'a AccountId, account: &'a Account) -> AccountView<'a> {
    let balances = account.balances.iter();
    AccountView {
        id,
        status: account.status,
        credit_limit: account.credit_limit,
        ceiling: account.ceiling,
        metadata: account.metadata.as_ref(),
        balances: balances
            .map(|(asset, amounts)| (asset, balance(amounts)))
            .collect(),
    }
}

/// What moved in one transfer, and what every account touched has posted after it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Movements")]
pub(super) struct MovementsView<'a> {
    #[schemars(with = "Vec<shapes::Posting>")]
    postings: Vec<&'a Posting>,
    /// What is posted after it, by account and asset.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, shapes::Units>>")]
    balances: BTreeMap<&'a AccountId, BTreeMap<&'a AssetId, i64>>,
}

pub(super) fn movements(movements: &[Movement]) -> MovementsView<'_> {
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

/// A plugin as it is installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Plugin")]
pub(super) struct PluginView<'a> {
    #[schemars(with = "shapes::PluginName")]
    id: &'a PluginId,
    /// Which component runs.
    #[schemars(with = "shapes::Digest")]
    component: Digest,
    /// Whether it may be called.
    enabled: bool,
    /// What its manifest asks for.
    #[schemars(with = "shapes::Grants")]
    requested: &'a Grants,
    /// What it was granted.
    #[schemars(with = "shapes::Grants")]
    grants: &'a Grants,
    /// The operator's configuration, as the manifest's schema has it.
    #[schemars(with = "Value")]
    config: &'a Value,
    /// Bytes of its own keys and values together.
    state_bytes: usize,
}

pub(super) fn plugin<'a>(id: &'a PluginId, plugin: &'a Plugin) -> PluginView<'a> {
    PluginView {
        id,
        component: plugin.component,
        enabled: plugin.enabled,
        requested: &plugin.requested,
        grants: &plugin.grants,
        config: &plugin.config,
        state_bytes: plugin.state_bytes,
    }
}

/// A plugin with its manifest; one that does not load says why instead.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginWithManifest")]
pub(super) struct DescribedView<'a> {
    #[serde(flatten)]
    pub(super) plugin: PluginView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Manifest")]
    pub(super) manifest: Option<&'a Manifest>,
    /// Why it does not load.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "super::problem::ProblemBody<'static>")]
    pub(super) problem: Option<Value>,
}

/// An API key, without anything of its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(super) struct KeyView<'a> {
    #[schemars(with = "shapes::KeyName")]
    id: &'a KeyId,
    #[schemars(with = "shapes::Timestamp")]
    created_at: Timestamp,
    #[schemars(with = "Vec<shapes::KeyScope>")]
    scopes: &'a Scopes,
    /// The economies in which it is good; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<shapes::EconomyName>")]
    economies: Option<&'a BTreeSet<EconomyId>>,
    /// Whether it is good for nothing any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

pub(super) fn key<'a>(id: &'a KeyId, key: &'a ApiKey) -> KeyView<'a> {
    KeyView {
        id,
        created_at: key.created_at,
        scopes: &key.definition.scopes,
        economies: key.definition.economies.as_ref(),
        revoked: key.definition.revoked,
    }
}

/// What is sent beside a key that is new or has another secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PutKeyWithSecret")]
pub(super) struct WithSecret<T> {
    #[serde(flatten)]
    pub(super) view: T,
    /// The key itself: here and nowhere else. Absent if the secret stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) key: Option<String>,
}

/// A component that was uploaded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Component")]
pub(super) struct ComponentView<'a> {
    #[schemars(with = "shapes::Digest")]
    component: &'a Digest,
    /// The plugin that it is, as its manifest says.
    plugin: &'a str,
    /// The version that its manifest says.
    version: &'a str,
    /// Its size.
    bytes: u64,
    #[schemars(with = "shapes::Timestamp")]
    added_at: Timestamp,
}

pub(super) fn component<'a>(digest: &'a Digest, component: &'a Component) -> ComponentView<'a> {
    ComponentView {
        component: digest,
        plugin: &component.name,
        version: &component.version,
        bytes: component.bytes,
        added_at: component.added_at,
    }
}
