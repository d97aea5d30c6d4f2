//! The books of one economy: its state, and the application of decisions to it.

mod apply;
mod clock;
mod draws;
mod holds;
mod numbering;
mod numbers;
pub(crate) mod open_holds;
mod plugins;
mod quotas;
mod usage;
mod webhooks;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::account::Account;
use crate::account_table::AccountTable;
use crate::asset::Asset;
use crate::digest::Digest;
use crate::draw::book::{ClientSeed, DrawBook};
use crate::draw::{DrawOrigin, Seed};
use crate::economy::{Day, EconomyStatus, Flow, Reversal};
use crate::id::{
    AccountId, AccountKind, AssetId, KeyId, PluginId, PluginName, TransferId, WebhookId,
};
use crate::key::definition::ApiKey;
use crate::plugin::budget::BudgetCounter;
use crate::plugin::installation::{Component, Plugin};
use crate::quota::Quotas;
use crate::time::{StepBack, Timestamp};
use crate::webhook::Webhook;
use numbers::NumberTable;
use open_holds::OpenHolds;
use usage::UsageCounters;

pub use apply::ApplyError;

/// The state of one economy. A clone copies a few pointers and shares everything that neither copy changes.
#[derive(Clone, PartialEq, Debug)]
pub struct Books {
    pub(crate) seed: Seed,
    pub(crate) opened_at: Timestamp,
    pub(crate) status: EconomyStatus,
    pub(crate) seq: u64,
    pub(crate) head: Digest,
    pub(crate) recorded_at: Timestamp,
    /// The records at which timestamps went back, oldest first.
    pub(crate) steps_back: Vector<StepBack>,
    pub(crate) assets: OrdMap<AssetId, Arc<Asset>>,
    pub(crate) accounts: AccountTable,
    pub(crate) numbers: NumberTable,
    pub(crate) holds: OpenHolds,
    pub(crate) reversals: OrdMap<TransferId, Reversal>,
    pub(crate) flows: OrdMap<FlowKey, Flow>,
    pub(crate) plugins: OrdMap<PluginName, Arc<Plugin>>,
    /// The plugin id that each name is bound to, including names of uninstalled plugins.
    pub(crate) bound_names: OrdMap<PluginName, PluginId>,
    pub(crate) keys: OrdMap<KeyId, Arc<ApiKey>>,
    pub(crate) components: OrdMap<Digest, Arc<Component>>,
    pub(crate) webhooks: OrdMap<WebhookId, Arc<Webhook>>,
    pub(crate) draws: DrawBook,
    pub(crate) bound_origins: OrdMap<Arc<str>, DrawOrigin>,
    pub(crate) client_seeds: OrdMap<AccountId, ClientSeed>,
    /// The amounts that plugins have taken, by day. Earlier days are removed little by little.
    pub(crate) spends: OrdMap<Day, OrdMap<BudgetCounter, u64>>,
    pub(crate) quotas: Quotas,
    pub(crate) usage: UsageCounters,
}

/// The key of a flow: an asset, a day, and the plugin that caused it, if any.
pub(crate) type FlowKey = (AssetId, Day, Option<PluginName>);

/// Entries of earlier days that are removed with each new entry. Removing a whole day at once would block
/// the writer.
const EXPIRED_REMOVED_MAX: usize = 64;

impl Books {
    /// Creates the books of a new economy.
    pub fn new(seed: Seed, opened_at: Timestamp) -> Self {
        Self {
            seed,
            opened_at,
            status: EconomyStatus::Open,
            seq: 0,
            head: Digest::ZERO,
            recorded_at: opened_at,
            steps_back: Vector::new(),
            assets: OrdMap::new(),
            accounts: AccountTable::default(),
            numbers: NumberTable::default(),
            holds: OpenHolds::default(),
            reversals: OrdMap::new(),
            flows: OrdMap::new(),
            plugins: OrdMap::new(),
            bound_names: OrdMap::new(),
            keys: OrdMap::new(),
            components: OrdMap::new(),
            webhooks: OrdMap::new(),
            draws: DrawBook::default(),
            bound_origins: OrdMap::new(),
            client_seeds: OrdMap::new(),
            spends: OrdMap::new(),
            quotas: Quotas::default(),
            usage: UsageCounters::default(),
        }
    }

    /// Returns the secret seed from which draws are made.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Returns these books with another seed, for previews that must not reveal real draws.
    #[must_use]
    pub fn with_seed(&self, seed: Seed) -> Self {
        Self {
            seed,
            ..self.clone()
        }
    }

    /// Returns the moment at which the economy was opened.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// Returns the status of the economy.
    pub fn status(&self) -> EconomyStatus {
        self.status
    }

    /// Returns the number of the newest record, counted from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the hash of the newest record, which covers all records before it.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Returns the timestamp of the newest record.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Returns an asset.
    pub fn asset(&self, asset: &AssetId) -> Option<&Arc<Asset>> {
        self.assets.get(asset)
    }

    /// Returns all assets, by id.
    pub fn assets(&self) -> &OrdMap<AssetId, Arc<Asset>> {
        &self.assets
    }

    /// Returns an account.
    pub fn account(&self, account: &AccountId) -> Option<&Account> {
        self.accounts.get(account)
    }

    /// Returns all accounts, by name.
    pub fn accounts(&self) -> &AccountTable {
        &self.accounts
    }

    /// Returns an installed plugin.
    pub fn plugin(&self, plugin: &PluginName) -> Option<&Arc<Plugin>> {
        self.plugins.get(plugin)
    }

    /// Returns all installed plugins, by name.
    pub fn plugins(&self) -> &OrdMap<PluginName, Arc<Plugin>> {
        &self.plugins
    }

    /// Returns an API key.
    pub fn key(&self, key: &KeyId) -> Option<&Arc<ApiKey>> {
        self.keys.get(key)
    }

    /// Returns all API keys, by id.
    pub fn keys(&self) -> &OrdMap<KeyId, Arc<ApiKey>> {
        &self.keys
    }

    /// Returns all components, by digest.
    pub fn components(&self) -> &OrdMap<Digest, Arc<Component>> {
        &self.components
    }

    /// Returns a webhook.
    pub fn webhook(&self, webhook: &WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(webhook)
    }

    /// Returns all webhooks, by id.
    pub fn webhooks(&self) -> &OrdMap<WebhookId, Arc<Webhook>> {
        &self.webhooks
    }

    /// Returns the amount of an asset in circulation: all that was issued and not burned.
    pub fn supply(&self, asset: &AssetId) -> i64 {
        let issuer = self.account(&AccountId::issuer(asset));
        issuer.map_or(0, |issuer| issuer.balance(asset).posted.saturating_neg())
    }

    /// Returns the link between a transfer and its reversal, if the transfer was reversed or is a reversal.
    pub fn reversal(&self, transfer: TransferId) -> Option<Reversal> {
        self.reversals.get(&transfer).copied()
    }

    /// Returns the flows of an asset from a day on, ordered by day and plugin; on each day the flow without
    /// a plugin is first.
    pub fn flows<'a>(
        &'a self,
        asset: &'a AssetId,
        from: Day,
    ) -> impl Iterator<Item = (Day, Option<&'a PluginName>, Flow)> + 'a {
        let flows = self.flows.range((asset.clone(), from, None)..);
        flows
            .take_while(move |((of, _, _), _)| of == asset)
            .map(|((_, day, plugin), flow)| (*day, plugin.as_ref(), *flow))
    }

    /// Returns at most `most` accounts with the largest balances in an asset, largest first, equal ones by
    /// name. Issuers and plugins' own accounts are left out. Visits every account.
    pub fn holders(&self, asset: &AssetId, most: usize) -> Vec<(AccountId, i64)> {
        // The heap is reversed: its top is the smallest balance found so far, which is dropped first.
        let mut found = BinaryHeap::new();
        for (id, account) in self.accounts.iter() {
            let posted = account.balance(asset).posted;
            if posted > 0 && id.kind() == AccountKind::Open {
                found.push(Reverse((posted, Reverse(id))));
                if found.len() > most {
                    found.pop();
                }
            }
        }
        let ranked = found.into_sorted_vec().into_iter();
        ranked
            .map(|Reverse((posted, Reverse(id)))| (id.clone(), posted))
            .collect()
    }
}
