//! Application of effects to the books: those of a new decision, and recorded ones.

use std::sync::Arc;

use super::{Books, EXPIRED_REMOVED_MAX, FlowKey};
use crate::account::AccountStatus;
use crate::account_limits::LimitsChange;
use crate::asset::Asset;
use crate::balances::Balance;
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::document::Document;
use crate::economy::{Day, Flow, Reversal};
use crate::hold::Hold;
use crate::id::{AccountId, AssetId, HoldId, PluginName, TransferId};
use crate::limits::FLOW_DAYS_MAX;
use crate::movement::{Movement, NumberedMovement};
use crate::number::{AccountNumber, AssetNumber};
use crate::plugin::installation::{Installation, Plugin};
use crate::time::Timestamp;

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
    #[error("the hold {hold} does not fit the record")]
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
    /// A recorded movement has an account number that no account has.
    #[error("a movement names the account number {number}, which no account has")]
    AccountNumber {
        /// The number.
        number: AccountNumber,
    },
    /// A recorded movement has an asset number that no asset has.
    #[error("a movement names the asset number {number}, which no asset has")]
    AssetNumber {
        /// The number.
        number: AssetNumber,
    },
}

impl Books {
    /// Applies a decision as record number `seq`, and returns its movements by number.
    ///
    /// After an error the books are half changed and must be discarded. An error means that the decision
    /// was made for other books: the log was changed, or there is an internal error.
    pub fn apply(
        &mut self,
        decision: &Decision,
        seq: u64,
        at: Timestamp,
    ) -> Result<Vec<NumberedMovement>, ApplyError> {
        self.apply_changes(decision.changes(), seq, at)?;
        let movements = decision.movements().iter();
        movements
            .map(|movement| self.apply_movement(movement))
            .collect()
    }

    /// Applies recorded effects as record number `seq`. Fails like [`Books::apply`], and also for a number of an
    /// account or an asset that these books have not assigned.
    pub fn replay(
        &mut self,
        changes: &[Change],
        movements: &[NumberedMovement],
        seq: u64,
        at: Timestamp,
    ) -> Result<(), ApplyError> {
        self.apply_changes(changes, seq, at)?;
        for movement in movements {
            let movement = self.resolve(movement)?;
            self.apply_movement(&movement)?;
        }
        Ok(())
    }

    /// Applies the changes of a record. They come before its movements, which may use accounts that a change
    /// creates: an issuer or a plugin's accounts.
    fn apply_changes(
        &mut self,
        changes: &[Change],
        seq: u64,
        at: Timestamp,
    ) -> Result<(), ApplyError> {
        for change in changes {
            self.apply_change(change, seq, at)?;
        }
        Ok(())
    }

    /// Completes a record by its number, its timestamp, and the hash that covers it.
    pub fn seal(&mut self, seq: u64, at: Timestamp, head: Digest) {
        self.seq = seq;
        self.recorded_at = at;
        self.head = head;
    }

    fn apply_movement(&mut self, movement: &Movement) -> Result<NumberedMovement, ApplyError> {
        let posting = &movement.posting;
        let amount = posting.amount.signed();
        let asset = &posting.asset;
        let mut post = |account: &AccountId, by: i64, after: i64| {
            let mismatch = || ApplyError::Balance {
                account: account.clone(),
                asset: asset.clone(),
            };
            let account = self.accounts.get_mut(account).ok_or_else(mismatch)?;
            let present = account.balances.get_mut(asset);
            let before = present.as_ref().map_or(0, |balance| balance.posted);
            // The recorded balance is compared with the computed one, so that a start finds a record that
            // does not belong to these books.
            let posted = before.checked_add(by).filter(|posted| *posted == after);
            let posted = posted.ok_or_else(mismatch)?;
            if let Some(balance) = present {
                balance.posted = posted;
            } else {
                let new = Balance {
                    posted,
                    ..Balance::default()
                };
                account.balances.insert(asset.clone(), new);
                self.usage.add_balance();
            }
            Ok(account.number)
        };
        let source = post(
            &posting.source,
            amount.saturating_neg(),
            movement.source_after,
        )?;
        let destination = post(&posting.destination, amount, movement.destination_after)?;
        let asset = self
            .asset_number(asset)
            .ok_or_else(|| ApplyError::Balance {
                account: posting.source.clone(),
                asset: asset.clone(),
            })?;
        Ok(NumberedMovement {
            part: movement.part,
            source,
            destination,
            asset,
            amount: posting.amount,
            source_after: movement.source_after,
            destination_after: movement.destination_after,
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
    /// limit gets a balance.
    fn set_account(
        &mut self,
        account: &AccountId,
        status: AccountStatus,
        limits: &LimitsChange,
        metadata: Option<&Document>,
    ) {
        let account = self.accounts.get_mut_or_add(account);
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

    /// Sets an asset, and creates its issuer if the asset is new.
    fn set_asset(&mut self, asset: &AssetId, definition: &Asset) {
        self.numbers.number_asset(asset);
        let before = self
            .assets
            .insert(asset.clone(), Arc::new(definition.clone()));
        let before = before.as_ref().and_then(|before| before.metadata.as_ref());
        self.usage
            .replace_metadata(before, definition.metadata.as_ref());
        self.accounts.get_mut_or_add(&AccountId::issuer(asset));
    }

    /// Adds a flow, and removes the oldest flows of its asset that are no longer served.
    fn count_flow(&mut self, of: FlowKey, flow: Flow) {
        let (asset, day, _) = &of;
        let first = day.before(FLOW_DAYS_MAX.saturating_sub(1));
        let expired = (asset.clone(), Day(0), None)..(asset.clone(), first, None);
        // Without a bound, the first record after a long pause would remove the flows of all days at once.
        let expired = self.flows.range(expired).take(EXPIRED_REMOVED_MAX);
        let expired: Vec<FlowKey> = expired.map(|(key, _)| key.clone()).collect();
        for key in expired {
            self.flows.remove(&key);
        }
        let sum = self.flows.entry(of).or_default();
        *sum = sum.and(flow);
    }
}
