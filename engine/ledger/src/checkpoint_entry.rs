//! Entries of a checkpoint: the books in parts that are small enough to be written between batches.

use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::asset::Asset;
use crate::books::Books;
use crate::digest::Digest;
use crate::draw::book::{ClientSeed, DrawBook};
use crate::draw::{DrawOrigin, Seed};
use crate::economy::{Day, EconomyStatus, Flow, Reversal};
use crate::hold::Hold;
use crate::id::{AccountId, AssetId, HoldId, KeyId, PluginId, PluginName, TransferId, WebhookId};
use crate::key::definition::ApiKey;
use crate::number::AssetNumber;
use crate::plugin::budget::BudgetCounter;
use crate::plugin::installation::{Component, Plugin};
use crate::quota::Quotas;
use crate::time::{StepBack, Timestamp};
use crate::webhook::Webhook;
use CheckpointEntry as Entry;

/// An entry of a checkpoint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointEntry {
    /// The economy itself; always the first entry.
    Economy {
        /// The secret seed from which draws are made.
        seed: Seed,
        /// The time at which the economy was opened.
        opened_at: Timestamp,
        /// The number of the newest record.
        seq: u64,
        /// The hash of the newest record.
        head: Digest,
        /// The timestamp of the newest record.
        recorded_at: Timestamp,
        /// The records at which timestamps went back.
        #[serde(default, skip_serializing_if = "Vector::is_empty")]
        steps_back: Vector<StepBack>,
        /// The status of the economy.
        #[serde(default)]
        status: EconomyStatus,
        /// The server seeds and nonces.
        #[serde(default)]
        draws: DrawBook,
    },
    /// The quotas that an operator has set, if there are any.
    Quotas(Box<Quotas>),
    /// An asset with its number.
    Asset(AssetId, Arc<Asset>, AssetNumber),
    /// An account with its number and balances.
    Account(AccountId, Arc<Account>),
    /// An open hold. It comes after its source account.
    Hold(HoldId, Arc<Hold>),
    /// The link between a transfer and its reversal.
    Reversal(TransferId, Reversal),
    /// The flow of an asset on a day, by a plugin or without one.
    Flow(AssetId, Day, Option<PluginName>, Flow),
    /// A plugin without its state, which follows in entries of its own.
    Plugin(PluginName, Arc<Plugin>),
    /// An entry of a plugin's state. It comes after the plugin.
    State(PluginName, Arc<str>, Arc<str>),
    /// The plugin id that a name is bound to. It comes before the plugin, if one of that name is installed.
    BoundName(PluginName, PluginId),
    /// An API key.
    Key(KeyId, Arc<ApiKey>),
    /// A component.
    Component(Digest, Arc<Component>),
    /// The origin of an unfinished call that has drawn, by the key of its draws.
    Bound(Arc<str>, DrawOrigin),
    /// The count of a budget counter on a day.
    Spend(Day, BudgetCounter, u64),
    /// The client seed of a member.
    ClientSeed(AccountId, ClientSeed),
    /// A webhook.
    Webhook(WebhookId, Arc<Webhook>),
}

impl Books {
    /// Returns the entries of a checkpoint of these books, created one at a time.
    pub fn into_entries(self) -> impl Iterator<Item = CheckpointEntry> + Send {
        let economy = Entry::Economy {
            seed: self.seed,
            opened_at: self.opened_at,
            seq: self.seq,
            head: self.head,
            recorded_at: self.recorded_at,
            steps_back: self.steps_back,
            status: self.status,
            draws: self.draws,
        };
        let quotas = (!self.quotas.is_empty()).then(|| Entry::Quotas(Box::new(self.quotas)));
        let asset_numbers = self.numbers.into_asset_numbers();
        std::iter::once(economy)
            .chain(quotas)
            .chain(
                self.bound_origins
                    .into_iter()
                    .map(|(key, origin)| Entry::Bound(key, origin)),
            )
            .chain(self.spends.into_iter().flat_map(spend_entries))
            .chain(
                self.client_seeds
                    .into_iter()
                    .map(|(account, seed)| Entry::ClientSeed(account, seed)),
            )
            .chain(self.assets.into_iter().map(move |(id, asset)| {
                let number = asset_numbers.get(&id).copied();
                Entry::Asset(id, asset, number.expect("every asset has a number"))
            }))
            .chain(
                self.accounts
                    .into_entries()
                    .map(|(id, account)| Entry::Account(id, account)),
            )
            .chain(
                self.holds
                    .into_entries()
                    .map(|(id, hold)| Entry::Hold(id, hold)),
            )
            .chain(
                self.reversals
                    .into_iter()
                    .map(|(id, link)| Entry::Reversal(id, link)),
            )
            .chain(
                self.flows
                    .into_iter()
                    .map(|((asset, day, plugin), flow)| Entry::Flow(asset, day, plugin, flow)),
            )
            .chain(
                self.bound_names
                    .into_iter()
                    .map(|(name, id)| Entry::BoundName(name, id)),
            )
            .chain(
                self.plugins
                    .into_iter()
                    .flat_map(|(id, plugin)| plugin_entries(id, &plugin)),
            )
            .chain(self.keys.into_iter().map(|(id, key)| Entry::Key(id, key)))
            .chain(
                self.components
                    .into_iter()
                    .map(|(id, component)| Entry::Component(id, component)),
            )
            .chain(
                self.webhooks
                    .into_iter()
                    .map(|(id, webhook)| Entry::Webhook(id, webhook)),
            )
    }

    /// Adds an entry to books that are restored. Returns false if the entry does not fit.
    ///
    /// After the last entry, [`Books::is_complete`] has to hold.
    pub fn restore(books: &mut Option<Self>, entry: CheckpointEntry) -> bool {
        match (books.as_mut(), entry) {
            (
                None,
                CheckpointEntry::Economy {
                    seed,
                    opened_at,
                    seq,
                    head,
                    recorded_at,
                    steps_back,
                    status,
                    draws,
                },
            ) => {
                let mut new = Self::new(seed, opened_at);
                new.steps_back = steps_back;
                new.status = status;
                new.draws = draws;
                new.seal(seq, recorded_at, head);
                *books = Some(new);
                true
            }
            (None, _) | (Some(_), CheckpointEntry::Economy { .. }) => false,
            (Some(books), CheckpointEntry::Quotas(quotas)) => {
                std::mem::replace(&mut books.quotas, *quotas).is_empty()
            }
            (Some(books), CheckpointEntry::Asset(id, asset, number)) => {
                books.restore_asset(id, asset, number)
            }
            (Some(books), CheckpointEntry::Account(id, account)) => {
                books.restore_account(id, Arc::unwrap_or_clone(account))
            }
            (Some(books), CheckpointEntry::Hold(id, hold)) => books.restore_hold(id, hold),
            (Some(books), CheckpointEntry::Reversal(id, link)) => {
                books.reversals.insert(id, link).is_none()
            }
            (Some(books), CheckpointEntry::Flow(asset, day, plugin, flow)) => {
                books.flows.insert((asset, day, plugin), flow).is_none()
            }
            (Some(books), CheckpointEntry::BoundName(name, id)) => {
                books.bound_names.insert(name, id).is_none()
            }
            (Some(books), CheckpointEntry::Plugin(id, plugin)) => {
                books.plugins.insert(id, plugin).is_none()
            }
            (Some(books), CheckpointEntry::State(id, key, value)) => {
                books.restore_state(&id, key, value)
            }
            (Some(books), CheckpointEntry::Key(id, key)) => books.keys.insert(id, key).is_none(),
            (Some(books), CheckpointEntry::Component(id, component)) => {
                books.components.insert(id, component).is_none()
            }
            (Some(books), CheckpointEntry::Bound(key, origin)) => {
                books.bound_origins.insert(key, origin).is_none()
            }
            (Some(books), CheckpointEntry::Spend(day, counter, amount)) => {
                let counters = books.spends.entry(day).or_default();
                counters.insert(counter, amount).is_none()
            }
            (Some(books), CheckpointEntry::ClientSeed(account, seed)) => {
                books.client_seeds.insert(account, seed).is_none()
            }
            (Some(books), CheckpointEntry::Webhook(id, webhook)) => {
                books.webhooks.insert(id, webhook).is_none()
            }
        }
    }
}

fn spend_entries(
    (day, counters): (Day, OrdMap<BudgetCounter, u64>),
) -> impl Iterator<Item = CheckpointEntry> + Send + use<> {
    let counters = counters.into_iter();
    counters.map(move |(counter, amount)| CheckpointEntry::Spend(day, counter, amount))
}

fn plugin_entries(
    id: PluginName,
    plugin: &Plugin,
) -> impl Iterator<Item = CheckpointEntry> + Send + use<> {
    let state = plugin.state.clone();
    let without_state = Plugin {
        state: OrdMap::new(),
        ..plugin.clone()
    };
    let head = CheckpointEntry::Plugin(id.clone(), Arc::new(without_state));
    let state = state
        .into_iter()
        .map(move |(key, value)| CheckpointEntry::State(id.clone(), key, value));
    std::iter::once(head).chain(state)
}
