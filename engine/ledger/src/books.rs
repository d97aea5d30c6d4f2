//! The books of one economy, and the only way in which they change.

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
use usage::Usage;

/// The state of one economy. Cloning it costs a few pointers: two clones share what neither has
/// changed since.
#[derive(Clone, PartialEq, Debug)]
pub struct Books {
    pub(crate) seed: Seed,
    pub(crate) opened_at: Timestamp,
    pub(crate) status: EconomyStatus,
    pub(crate) seq: u64,
    pub(crate) head: Digest,
    pub(crate) recorded_at: Timestamp,
    /// Where stamps went back, oldest first.
    pub(crate) steps_back: Vector<StepBack>,
    pub(crate) assets: OrdMap<AssetId, Arc<Asset>>,
    pub(crate) accounts: OrdMap<AccountId, Arc<Account>>,
    pub(crate) holds: OpenHolds,
    pub(crate) reversals: OrdMap<TransferId, Reversal>,
    pub(crate) flows: OrdMap<FlowKey, Flow>,
    pub(crate) plugins: OrdMap<PluginName, Arc<Plugin>>,
    /// The id that each name stands for, also of plugins that are gone.
    pub(crate) bound_names: OrdMap<PluginName, PluginId>,
    pub(crate) keys: OrdMap<KeyId, Arc<ApiKey>>,
    pub(crate) components: OrdMap<Digest, Arc<Component>>,
    pub(crate) webhooks: OrdMap<WebhookId, Arc<Webhook>>,
    pub(crate) draws: DrawBook,
    pub(crate) bound_origins: OrdMap<Arc<str>, DrawOrigin>,
    pub(crate) client_seeds: OrdMap<AccountId, ClientSeed>,
    /// The amounts that plugins have taken, by day. Days that are over go.
    pub(crate) spends: OrdMap<Day, OrdMap<BudgetCounter, u64>>,
    pub(crate) quotas: Quotas,
    pub(crate) usage: Usage,
}

/// What a flow is of: an asset, on a day, by a plugin or by none.
pub(crate) type FlowKey = (AssetId, Day, Option<PluginName>);

/// Where the histories of a movement's two accounts went on before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryLink {
    /// The number of the source's movement before this one.
    pub source_previous: Option<u64>,
    /// The number of the destination's movement before this one.
    pub destination_previous: Option<u64>,
}

/// An effect that does not fit the books.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// A movement does not meet the balance that it says it leaves behind.
    #[error("a movement of {asset} does not fit the balance of `{account}`")]
    Balance {
        /// Whose balance.
        account: AccountId,
        /// In which asset.
        asset: AssetId,
    },
    /// A hold is not there, is there already, or has less than is taken of it.
    #[error("the hold {hold} is not as the record needs it")]
    Hold {
        /// The hold.
        hold: HoldId,
    },
    /// State is written for a plugin that is not installed.
    #[error("state is written for the plugin `{plugin}`, which is not installed")]
    Plugin {
        /// The plugin.
        plugin: PluginName,
    },
}

/// Entries of days that are over which go with each new one.
const FORGOTTEN: usize = 64;

/// The links of a decision's movements, in order.
pub type HistoryLinks = Vec<HistoryLink>;

impl Books {
    /// The books of an economy that has just been opened.
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
            usage: Usage::default(),
        }
    }

    /// The randomness from which draws are made.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The same books with other randomness, for what is only tried.
    #[must_use]
    pub fn with_seed(&self, seed: Seed) -> Self {
        Self {
            seed,
            ..self.clone()
        }
    }

    /// When the economy was opened.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// What may be done in the economy.
    pub fn status(&self) -> EconomyStatus {
        self.status
    }

    /// The number of the newest record, counted from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the newest record, which covers all records before it.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// When the newest record was made.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// An asset.
    pub fn asset(&self, asset: &AssetId) -> Option<&Arc<Asset>> {
        self.assets.get(asset)
    }

    /// All assets, by name.
    pub fn assets(&self) -> &OrdMap<AssetId, Arc<Asset>> {
        &self.assets
    }

    /// An account.
    pub fn account(&self, account: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(account)
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> &OrdMap<AccountId, Arc<Account>> {
        &self.accounts
    }

    /// A plugin.
    pub fn plugin(&self, plugin: &PluginName) -> Option<&Arc<Plugin>> {
        self.plugins.get(plugin)
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> &OrdMap<PluginName, Arc<Plugin>> {
        &self.plugins
    }

    /// An API key.
    pub fn key(&self, key: &KeyId) -> Option<&Arc<ApiKey>> {
        self.keys.get(key)
    }

    /// All API keys, by id.
    pub fn keys(&self) -> &OrdMap<KeyId, Arc<ApiKey>> {
        &self.keys
    }

    /// All components, by digest.
    pub fn components(&self) -> &OrdMap<Digest, Arc<Component>> {
        &self.components
    }

    /// A webhook.
    pub fn webhook(&self, webhook: &WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(webhook)
    }

    /// All webhooks, by name.
    pub fn webhooks(&self) -> &OrdMap<WebhookId, Arc<Webhook>> {
        &self.webhooks
    }

    /// What is in circulation of an asset: all that was issued and not burned.
    pub fn supply(&self, asset: &AssetId) -> i64 {
        let issuer = self.account(&AccountId::issuer(asset));
        issuer.map_or(0, |issuer| issuer.balance(asset).posted.saturating_neg())
    }

    /// What ties a transfer to its reversal, if it was reversed or is one.
    pub fn reversal(&self, transfer: TransferId) -> Option<Reversal> {
        self.reversals.get(&transfer).copied()
    }

    /// What came into circulation of an asset and what left it, from a day on: by day, and on each
    /// day by what was no plugin's doing first.
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

    /// Who has most of an asset, richest first and by name among equals: at most `most` accounts that
    /// are neither issuers nor plugins' own and have any. Looks at every account.
    pub fn holders(&self, asset: &AssetId, most: usize) -> Vec<(AccountId, i64)> {
        // The poorest of those found so far is on top, to be the first to go.
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

    /// Applies a decision as record number `seq`, whose first movement has the number
    /// `first_movement`, and says where the histories went on before.
    ///
    /// After an error the books are half changed and must be thrown away: the decision was not
    /// made for them, which only a bug or a tampered journal can bring about.
    pub fn apply(
        &mut self,
        decision: &Decision,
        seq: u64,
        at: Timestamp,
        first_movement: u64,
    ) -> Result<HistoryLinks, ApplyError> {
        // An asset's issuer and a plugin's accounts come with the change that makes them.
        for change in decision.changes() {
            self.apply_change(change, seq, at)?;
        }
        let moves = decision.movements().iter().zip(first_movement..);
        moves
            .map(|(movement, number)| self.apply_movement(movement, number))
            .collect()
    }

    /// Closes a record: its number, its moment, and the hash that covers it.
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
            let misfit = || ApplyError::Balance {
                account: account.clone(),
                asset: asset.clone(),
            };
            let account = Arc::make_mut(self.accounts.get_mut(account).ok_or_else(misfit)?);
            let before = account.balance(asset);
            let posted = before
                .posted
                .checked_add(by)
                .filter(|posted| *posted == after);
            let posted = posted.ok_or_else(misfit)?;
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
            Change::HoldCaptured { hold, amount } => self.shrink_hold(*hold, Some(*amount))?,
            Change::HoldEnded { hold, .. } => self.shrink_hold(*hold, None)?,
            Change::HoldDeferred { hold, due_at } => self.defer_hold(*hold, *due_at)?,
            Change::HoldExtended {
                hold,
                expires_at,
                due_at,
                outage_until,
            } => self.extend_hold(*hold, *expires_at, *due_at, *outage_until)?,
            Change::ClockSet { from, to } => self.set_clock(seq, *from, *to),
            Change::Draws(change) => self.apply_draws(change, seq, at)?,
            Change::Reversed { original, reversal } => self.tie_reversal(*original, *reversal),
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
            } => self.move_due(plugin, schedule, *next_due)?,
            Change::BudgetSpent {
                counter,
                day,
                amount,
            } => self.count_spend(*day, counter, *amount),
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

    /// Ties a transfer and its reversal to each other.
    fn tie_reversal(&mut self, original: TransferId, reversal: TransferId) {
        self.reversals.insert(original, Reversal::By(reversal));
        self.reversals.insert(reversal, Reversal::Of(original));
    }

    /// Puts an account in its place. Its balances stay, and each asset that has a limit gets one.
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

    /// Puts an asset in its place, and its issuer beside it.
    fn set_asset(&mut self, asset: &AssetId, definition: &Asset) {
        let before = self
            .assets
            .insert(asset.clone(), Arc::new(definition.clone()));
        let before = before.as_ref().and_then(|before| before.metadata.as_ref());
        self.usage
            .replace_metadata(before, definition.metadata.as_ref());
        self.accounts.entry(AccountId::issuer(asset)).or_default();
    }

    /// Counts a flow, and forgets the oldest of its asset that nobody can ask for any more.
    fn count_flow(&mut self, of: FlowKey, flow: Flow) {
        let (asset, day, _) = &of;
        let first = day.before(FLOW_DAYS_MAX.saturating_sub(1));
        let over = (asset.clone(), Day(0), None)..(asset.clone(), first, None);
        let over = self.flows.range(over).take(FORGOTTEN);
        let over: Vec<FlowKey> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.flows.remove(&key);
        }
        let sum = self.flows.entry(of).or_default();
        *sum = sum.and(flow);
    }
}
