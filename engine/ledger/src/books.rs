//! The books of one economy: its state, and the application of decisions to it.

mod clock;
mod draws;
mod holds;
pub(crate) mod open_holds;
mod plugins;
mod quotas;
mod usage;
mod webhooks;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::account::{Account, AccountStatus, Balance};
use crate::account_limits::LimitsChange;
use crate::asset::Asset;
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::document::Document;
use crate::draw::book::{ClientSeed, DrawBook};
use crate::draw::{DrawOrigin, Seed};
use crate::economy::{Day, EconomyStatus, Flow, Reversal};
use crate::hold::Hold;
use crate::id::{
    AccountId, AccountKind, AssetId, HoldId, KeyId, PluginId, PluginName, TransferId, WebhookId,
};
use crate::key::definition::ApiKey;
use crate::limits::FLOW_DAYS_MAX;
use crate::movement::Movement;
use crate::plugin::budget::BudgetCounter;
use crate::plugin::installation::{Component, Installation, Plugin};
use crate::quota::Quotas;
use crate::time::{StepBack, Timestamp};
use crate::webhook::Webhook;
use open_holds::OpenHolds;
use usage::UsageCounters;

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
    pub(crate) accounts: OrdMap<AccountId, Arc<Account>>,
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

/// The previous movements of a movement's two accounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryLink {
    /// The number of the source's previous movement.
    pub source_previous: Option<u64>,
    /// The number of the destination's previous movement.
    pub destination_previous: Option<u64>,
}

/// An effect that does not fit the books.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// A movement does not lead to the balance that it records.
    #[error("a movement of {asset} does not fit the balance of `{account}`")]
    Balance {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// A hold is missing, exists already, or is smaller than the amount taken from it.
    #[error("the hold {hold} is not as the record needs it")]
    Hold {
        /// The hold.
        hold: HoldId,
    },
    /// A change concerns a plugin that is not installed.
    #[error("state is written for the plugin `{plugin}`, which is not installed")]
    Plugin {
        /// The plugin.
        plugin: PluginName,
    },
}

/// Entries of earlier days that are removed with each new entry. Removing a whole day at once would block
/// the writer.
const EXPIRED_REMOVED_MAX: usize = 64;

/// The links of a decision's movements, in order.
pub type HistoryLinks = Vec<HistoryLink>;

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
            accounts: OrdMap::new(),
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
    pub fn account(&self, account: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(account)
    }

    /// Returns all accounts, by name.
    pub fn accounts(&self) -> &OrdMap<AccountId, Arc<Account>> {
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
        for (id, account) in &self.accounts {
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

    /// Applies a decision as record number `seq`, whose first movement has the number `first_movement`, and
    /// returns the previous movements of the accounts.
    ///
    /// After an error the books are half changed and must be discarded. An error means that the decision
    /// was made for other books: the journal was changed, or there is an internal error.
    pub fn apply(
        &mut self,
        decision: &Decision,
        seq: u64,
        at: Timestamp,
        first_movement: u64,
    ) -> Result<HistoryLinks, ApplyError> {
        // Changes come first because movements may use accounts that a change creates: an issuer or a
        // plugin's accounts.
        for change in decision.changes() {
            self.apply_change(change, seq, at)?;
        }
        let moves = decision.movements().iter().zip(first_movement..);
        moves
            .map(|(movement, number)| self.apply_movement(movement, number))
            .collect()
    }

    /// Completes a record by its number, its timestamp, and the hash that covers it.
    pub fn seal(&mut self, seq: u64, at: Timestamp, head: Digest) {
        self.seq = seq;
        self.recorded_at = at;
        self.head = head;
    }

    fn apply_movement(
        &mut self,
        movement: &Movement,
        number: u64,
    ) -> Result<HistoryLink, ApplyError> {
        let posting = &movement.posting;
        let amount = posting.amount.signed();
        let asset = &posting.asset;
        let mut post = |account: &AccountId, by: i64, after: i64| {
            let mismatch = || ApplyError::Balance {
                account: account.clone(),
                asset: asset.clone(),
            };
            let account = Arc::make_mut(self.accounts.get_mut(account).ok_or_else(mismatch)?);
            let before = account.balance(asset);
            let posted = before
                .posted
                .checked_add(by)
                .filter(|posted| *posted == after);
            let posted = posted.ok_or_else(mismatch)?;
            let replaced = account
                .balances
                .insert(asset.clone(), Balance { posted, ..before });
            if replaced.is_none() {
                self.usage.add_balance();
            }
            Ok(account.newest.replace(number))
        };
        let source_previous = post(
            &posting.source,
            amount.saturating_neg(),
            movement.source_after,
        )?;
        let destination_previous = post(&posting.destination, amount, movement.destination_after)?;
        Ok(HistoryLink {
            source_previous,
            destination_previous,
        })
    }

    fn apply_change(&mut self, change: &Change, seq: u64, at: Timestamp) -> Result<(), ApplyError> {
        match change {
            Change::EconomyOpened { seed } => (self.seed, self.opened_at) = (*seed, at),
            Change::EconomyStatusSet { status } => self.status = *status,
            Change::QuotasSet { quotas } => self.quotas = *quotas,
            Change::SupplyMoved {
                asset,
                plugin,
                flow,
            } => self.count_flow((asset.clone(), Day::of(at), plugin.clone()), *flow),
            Change::HoldPlaced { hold, placed } => self.place_hold(*hold, Hold::clone(placed))?,
            Change::HoldCaptured { hold, amount } => self.reduce_hold(*hold, Some(*amount))?,
            Change::HoldEnded { hold, .. } => self.reduce_hold(*hold, None)?,
            Change::HoldDeferred { hold, due_at } => self.defer_hold(*hold, *due_at)?,
            Change::HoldExtended {
                hold,
                expires_at,
                due_at,
                outage_until,
            } => self.extend_hold(*hold, *expires_at, *due_at, *outage_until)?,
            Change::ClockSet { from, to } => self.set_clock(seq, *from, *to),
            Change::Draws(change) => self.apply_draws(change, seq, at)?,
            Change::Reversed { original, reversal } => self.link_reversal(*original, *reversal),
            Change::AssetSet { asset, definition } => self.set_asset(asset, definition),
            Change::AccountSet {
                account,
                status,
                limits,
                metadata,
            } => self.set_account(account, *status, limits, metadata.as_ref()),
            Change::PluginSet {
                plugin,
                installation,
            } => self.set_plugin(plugin, Plugin::new(Installation::clone(installation), seq)),
            Change::PluginSwitchedOff { plugin, why } => self.switch_off(plugin, why, seq, at)?,
            Change::PluginRemoved { plugin } => self.remove_plugin(plugin, at)?,
            Change::DueMoved {
                plugin,
                schedule,
                next_due,
                ..
            } => self.set_next_due(plugin, schedule, *next_due)?,
            Change::BudgetSpent {
                counter,
                day,
                amount,
            } => self.count_budget(*day, counter, *amount),
            Change::StateSet { plugin, key, value } => {
                self.write_state(plugin, key, Some(value))?;
            }
            Change::StateDeleted { plugin, key } => self.write_state(plugin, key, None)?,
            Change::KeySet { key, definition } => {
                self.keys.insert(key.clone(), Arc::new(definition.clone()));
            }
            Change::ComponentAdded { digest, component } => {
                self.components.insert(*digest, Arc::new(component.clone()));
            }
            Change::WebhookSet {
                webhook,
                definition,
            } => self.set_webhook(webhook, definition, seq, at),
            Change::WebhookRemoved { webhook } => drop(self.webhooks.remove(webhook)),
            Change::WebhookReplayed { webhook, after } => self.replay_webhook(webhook, seq, *after),
        }
        Ok(())
    }

    /// Links a transfer and its reversal in both directions.
    fn link_reversal(&mut self, original: TransferId, reversal: TransferId) {
        self.reversals.insert(original, Reversal::By(reversal));
        self.reversals.insert(reversal, Reversal::Of(original));
    }

    /// Sets the status, limits and metadata of an account. Its balances stay, and each asset with a new
    /// limit gets one.
    fn set_account(
        &mut self,
        account: &AccountId,
        status: AccountStatus,
        limits: &LimitsChange,
        metadata: Option<&Document>,
    ) {
        let account = self.accounts.entry(account.clone()).or_default();
        let account = Arc::make_mut(account);
        account.status = status;
        account.limits = std::mem::take(&mut account.limits).changed(limits);
        for asset in limits.assets_set() {
            if !account.balances.contains_key(asset) {
                account.balances.insert(asset.clone(), Balance::default());
                self.usage.add_balance();
            }
        }
        let before = std::mem::replace(&mut account.metadata, metadata.cloned());
        self.usage.replace_metadata(before.as_ref(), metadata);
    }

    /// Sets an asset, and creates its issuer if it is new.
    fn set_asset(&mut self, asset: &AssetId, definition: &Asset) {
        let before = self
            .assets
            .insert(asset.clone(), Arc::new(definition.clone()));
        let before = before.as_ref().and_then(|before| before.metadata.as_ref());
        self.usage
            .replace_metadata(before, definition.metadata.as_ref());
        self.accounts.entry(AccountId::issuer(asset)).or_default();
    }

    /// Adds a flow, and removes the oldest flows of its asset that are no longer served.
    fn count_flow(&mut self, of: FlowKey, flow: Flow) {
        let (asset, day, _) = &of;
        let first = day.before(FLOW_DAYS_MAX.saturating_sub(1));
        let expired = (asset.clone(), Day(0), None)..(asset.clone(), first, None);
        let expired = self.flows.range(expired).take(EXPIRED_REMOVED_MAX);
        let expired: Vec<FlowKey> = expired.map(|(key, _)| key.clone()).collect();
        for key in expired {
            self.flows.remove(&key);
        }
        let sum = self.flows.entry(of).or_default();
        *sum = sum.and(flow);
    }
}
