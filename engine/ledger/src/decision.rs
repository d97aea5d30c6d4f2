//! The effects of an act: movements and other changes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::AccountStatus;
use crate::account_limits::LimitsChange;
use crate::amount::Amount;
use crate::asset::Asset;
use crate::digest::Digest;
use crate::document::Document;
use crate::draw::Seed;
use crate::draw::change::DrawChange;
use crate::economy::{Day, EconomyStatus, Flow};
use crate::hold::{Hold, HoldEnd};
use crate::id::{AccountId, AssetId, HoldId, KeyId, PluginName, TransferId, WebhookId};
use crate::key::definition::ApiKey;
use crate::movement::Movement;
use crate::plugin::budget::BudgetCounter;
use crate::plugin::installation::{Component, Installation};
use crate::plugin::switch_off::SwitchOffEvidence;
use crate::quota::Quotas;
use crate::time::Timestamp;
use crate::webhook::WebhookDefinition;

/// The effects of an act, as a record keeps them: movements with the balances after each, and other
/// changes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decision {
    movements: Vec<Movement>,
    changes: Vec<Change>,
    creates: bool,
}

impl Decision {
    /// Creates a decision. Only `decide` calls this.
    pub(crate) fn new(movements: Vec<Movement>, changes: Vec<Change>, creates: bool) -> Self {
        Self {
            movements,
            changes,
            creates,
        }
    }

    /// Creates a decision from the effects in a log.
    pub fn recorded(movements: Vec<Movement>, changes: Vec<Change>) -> Self {
        Self::new(movements, changes, false)
    }

    /// Creates a decision of one change without movements.
    pub(crate) fn change(change: Change, creates: bool) -> Self {
        Self::new(Vec::new(), vec![change], creates)
    }

    /// Returns the movements, in order.
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// Returns the other changes, in order. They are applied before the movements.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns true if the act creates something that did not exist.
    pub fn creates(&self) -> bool {
        self.creates
    }
}

/// An effect other than a movement.
///
/// A record contains its movements and its changes, which together are its effects. When a file is opened,
/// these are applied, and no act is decided again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The economy is opened.
    EconomyOpened {
        /// The secret seed from which all draws of the economy follow.
        seed: Seed,
    },
    /// An asset is set.
    AssetSet {
        /// The asset.
        asset: AssetId,
        /// The new definition.
        definition: Asset,
    },
    /// An account is set; its balances stay.
    AccountSet {
        /// The account.
        account: AccountId,
        /// The new status.
        #[serde(skip_serializing_if = "AccountStatus::is_open", default)]
        status: AccountStatus,
        /// The limits that change; the others stay.
        #[serde(skip_serializing_if = "LimitsChange::is_empty", default)]
        limits: LimitsChange,
        /// The new metadata.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        metadata: Option<Document>,
    },
    /// The status of the economy is set.
    EconomyStatusSet {
        /// The new status.
        status: EconomyStatus,
    },
    /// The quotas of the economy are set.
    QuotasSet {
        /// The quotas that differ from the defaults.
        quotas: Quotas,
    },
    /// An amount of an asset enters or leaves circulation.
    SupplyMoved {
        /// The asset.
        asset: AssetId,
        /// The plugin that moves it, if any.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        plugin: Option<PluginName>,
        /// The amounts.
        #[serde(flatten)]
        flow: Flow,
    },
    /// A hold is placed.
    HoldPlaced {
        /// The id of the hold.
        hold: HoldId,
        /// The hold.
        placed: Box<Hold>,
    },
    /// An amount of a hold is captured. The movement itself is another effect of the record.
    HoldCaptured {
        /// The hold.
        hold: HoldId,
        /// The captured amount.
        amount: Amount,
    },
    /// A hold ends, and its remaining amount is no longer reserved.
    HoldEnded {
        /// The hold.
        hold: HoldId,
        /// The way in which it ends.
        end: HoldEnd,
    },
    /// A hold cannot be captured at its expiry; the capture is attempted again later.
    HoldDeferred {
        /// The hold.
        hold: HoldId,
        /// The moment of the next attempt.
        due_at: Timestamp,
    },
    /// A hold is extended by the length of an outage.
    HoldExtended {
        /// The hold.
        hold: HoldId,
        /// The new moment of expiry.
        expires_at: Timestamp,
        /// The moment at which the hold ends by its rule.
        due_at: Timestamp,
        /// The end of the outage.
        outage_until: Timestamp,
    },
    /// The clock of the books is set. Holds move with it, and due times if it goes back.
    ClockSet {
        /// The time before.
        from: Timestamp,
        /// The time after.
        to: Timestamp,
    },
    /// A change of seeds and nonces, or the draws of a call.
    Draws(DrawChange),
    /// A transfer is reversed.
    Reversed {
        /// The original transfer.
        original: TransferId,
        /// The reversal.
        reversal: TransferId,
    },
    /// The installation of a plugin is set; its state stays.
    PluginSet {
        /// The plugin.
        plugin: PluginName,
        /// The new installation.
        #[serde(flatten)]
        installation: Box<Installation>,
    },
    /// A plugin is uninstalled. Its accounts stay, and its holds become due.
    PluginRemoved {
        /// The plugin.
        plugin: PluginName,
    },
    /// A plugin is switched off because its calls keep failing.
    PluginSwitchedOff {
        /// The plugin.
        plugin: PluginName,
        /// The evidence.
        #[serde(flatten)]
        why: Box<SwitchOffEvidence>,
    },
    /// The next due time of a schedule changes: after a run, after a skipped due time, or because a call
    /// requests an earlier one.
    DueMoved {
        /// The plugin.
        plugin: PluginName,
        /// The name of the schedule.
        schedule: String,
        /// The due time before.
        due: Timestamp,
        /// The next due time.
        next_due: Timestamp,
    },
    /// An amount is counted for a budget of a plugin.
    BudgetSpent {
        /// The budget counter.
        #[serde(flatten)]
        counter: BudgetCounter,
        /// The day of the count.
        day: Day,
        /// The amount to add.
        amount: u64,
    },
    /// A key of a plugin's state is set.
    StateSet {
        /// The plugin.
        plugin: PluginName,
        /// The key.
        key: Arc<str>,
        /// The new value.
        value: Arc<str>,
    },
    /// A key of a plugin's state is deleted.
    StateDeleted {
        /// The plugin.
        plugin: PluginName,
        /// The key.
        key: Arc<str>,
    },
    /// An API key is set.
    KeySet {
        /// The key.
        key: KeyId,
        /// The new definition.
        definition: ApiKey,
    },
    /// A component is registered.
    ComponentAdded {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// The properties of the component.
        component: Component,
    },
    /// A webhook is set.
    WebhookSet {
        /// The webhook.
        webhook: WebhookId,
        /// The new definition.
        definition: WebhookDefinition,
    },
    /// A webhook is removed.
    WebhookRemoved {
        /// The webhook.
        webhook: WebhookId,
    },
    /// The deliveries of a webhook continue after a chosen event.
    WebhookReplayed {
        /// The webhook.
        webhook: WebhookId,
        /// The event after which deliveries continue.
        after: u64,
    },
}
