//! What a decision consists of: movements and other changes, the effects that a record keeps.

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

/// What is to happen: movements with the balances after each, and other changes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decision {
    movements: Vec<Movement>,
    changes: Vec<Change>,
    creates: bool,
}

impl Decision {
    /// What was decided; only `decide` makes one.
    pub(crate) fn new(movements: Vec<Movement>, changes: Vec<Change>, creates: bool) -> Self {
        Self {
            movements,
            changes,
            creates,
        }
    }

    /// Effects that a journal has kept.
    pub fn recorded(movements: Vec<Movement>, changes: Vec<Change>) -> Self {
        Self::new(movements, changes, false)
    }

    /// One change and no movement.
    pub(crate) fn change(change: Change, creates: bool) -> Self {
        Self::new(Vec::new(), vec![change], creates)
    }

    /// The movements, in order.
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// The other changes, in order. They apply before the movements.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether a PUT makes something that was not there.
    pub fn creates(&self) -> bool {
        self.creates
    }
}

/// One change other than a movement. Movements and changes together are a record's effects, and all
/// that is ever applied: starting up applies them and never decides again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The economy is open.
    EconomyOpened {
        /// Its randomness.
        seed: Seed,
    },
    /// An asset is so.
    AssetSet {
        /// The asset.
        asset: AssetId,
        /// How it is.
        definition: Asset,
    },
    /// An account is so; its balances stay.
    AccountSet {
        /// The account.
        account: AccountId,
        /// What may be done with it.
        #[serde(skip_serializing_if = "AccountStatus::is_open", default)]
        status: AccountStatus,
        /// The limits that change; the others stay.
        #[serde(skip_serializing_if = "LimitsChange::is_empty", default)]
        limits: LimitsChange,
        /// Anything, as JSON.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        metadata: Option<Document>,
    },
    /// The economy may be used so.
    EconomyStatusSet {
        /// What may be done in it.
        status: EconomyStatus,
    },
    /// The economy may keep so much.
    QuotasSet {
        /// The limits that are set; the others are the defaults.
        quotas: Quotas,
    },
    /// So much of an asset came into circulation or left it.
    SupplyMoved {
        /// Which asset.
        asset: AssetId,
        /// By which plugin; by none where an operator or a bot did it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        plugin: Option<PluginName>,
        /// How much came and how much left.
        #[serde(flatten)]
        flow: Flow,
    },
    /// An amount is reserved.
    HoldPlaced {
        /// The hold.
        hold: HoldId,
        /// What it is.
        placed: Box<Hold>,
    },
    /// Some of a hold is reserved no longer, since it moves.
    HoldCaptured {
        /// The hold.
        hold: HoldId,
        /// How much of it.
        amount: Amount,
    },
    /// What was left of a hold is reserved no longer.
    HoldEnded {
        /// The hold.
        hold: HoldId,
        /// How it ended.
        end: HoldEnd,
    },
    /// A hold could not be ended by its rule, and is to be tried again.
    HoldDeferred {
        /// The hold.
        hold: HoldId,
        /// When.
        due_at: Timestamp,
    },
    /// A hold ends later, by the time in which nobody was served.
    HoldExtended {
        /// The hold.
        hold: HoldId,
        /// From when on it cannot be captured any more.
        expires_at: Timestamp,
        /// When it is to be ended by its rule.
        due_at: Timestamp,
        /// The end of the outage that is made up for.
        outage_until: Timestamp,
    },
    /// The books go by another time: holds and what is due move with it.
    ClockSet {
        /// The time that they went by.
        from: Timestamp,
        /// The time that they go by now.
        to: Timestamp,
    },
    /// Seeds, nonces, or what a call has drawn.
    Draws(DrawChange),
    /// A transfer was taken back.
    Reversed {
        /// What was taken back.
        original: TransferId,
        /// By which transfer.
        reversal: TransferId,
    },
    /// A plugin is so; its state stays.
    PluginSet {
        /// The plugin.
        plugin: PluginName,
        /// How it is.
        #[serde(flatten)]
        installation: Box<Installation>,
    },
    /// A plugin is gone. Its accounts stay; its holds are due, to end by their own rule.
    PluginRemoved {
        /// The plugin.
        plugin: PluginName,
    },
    /// A plugin is off, since its calls kept failing.
    PluginSwitchedOff {
        /// The plugin.
        plugin: PluginName,
        /// The reason.
        #[serde(flatten)]
        why: Box<SwitchOffEvidence>,
    },
    /// A due time of a schedule has had its run, was left out, or has come forward.
    DueMoved {
        /// Of which plugin.
        plugin: PluginName,
        /// Which schedule.
        schedule: String,
        /// What was due.
        due: Timestamp,
        /// What is due next.
        next_due: Timestamp,
    },
    /// So much was taken in a day, of what a plugin may take.
    BudgetSpent {
        /// Where it is counted.
        #[serde(flatten)]
        counter: BudgetCounter,
        /// On which day.
        day: Day,
        /// How much more.
        amount: u64,
    },
    /// A key of a plugin's state has a value.
    StateSet {
        /// Whose state.
        plugin: PluginName,
        /// Which key.
        key: Arc<str>,
        /// Which value.
        value: Arc<str>,
    },
    /// A key of a plugin's state is gone.
    StateDeleted {
        /// Whose state.
        plugin: PluginName,
        /// Which key.
        key: Arc<str>,
    },
    /// An API key is so.
    KeySet {
        /// The key.
        key: KeyId,
        /// How it is.
        definition: ApiKey,
    },
    /// A component is registered.
    ComponentAdded {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// What is known of it.
        component: Component,
    },
    /// A webhook is so.
    WebhookSet {
        /// The webhook.
        webhook: WebhookId,
        /// How it is.
        definition: WebhookDefinition,
    },
    /// A webhook is gone.
    WebhookRemoved {
        /// The webhook.
        webhook: WebhookId,
    },
    /// A webhook goes on after another event.
    WebhookReplayed {
        /// The webhook.
        webhook: WebhookId,
        /// The event after which it goes on.
        after: u64,
    },
}
