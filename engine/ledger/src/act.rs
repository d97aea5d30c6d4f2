//! Acts: the requests that an economy decides.

pub(crate) mod kinds;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AccountPatch;
use crate::amount::{Amount, Limit};
use crate::asset::AssetKind;
use crate::call::result::CallResult;
use crate::digest::Digest;
use crate::draw::{ClientSeedText, Seed};
use crate::economy::EconomyStatus;
use crate::hold::{HoldEnd, OnExpiry, Reservation, expiry};
use crate::id::{AccountId, AssetId, HoldId, KeyId, PluginName, TransferId, WebhookId};
use crate::key::definition::{CallerAdmission, KeyMode, KeyPatch};
use crate::key::limits::TransferCap;
use crate::limits::{BATCH_POSTINGS_MAX, BATCH_TRANSFERS_MAX};
use crate::movement::Postings;
use crate::patch::Patch;
use crate::plugin::installation::{PluginPatch, RollbackTarget};
use crate::plugin::switch_off::SwitchOffEvidence;
use crate::quota::QuotaPatch;
use crate::time::Timestamp;
use crate::webhook::WebhookRequest;
use kinds::for_each_act_kind;

/// The authority of an act, which limits the accounts that it may debit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The authority of a bot: debits every account except issuers and plugins' own accounts.
    Bot,
    /// The authority of an admin: also debits plugins' own accounts.
    Admin,
}

/// A request for one transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferRequest {
    /// The id of the new transfer.
    pub id: TransferId,
    /// The postings, in the order in which they are made.
    pub postings: Postings,
    /// The authority of the request.
    pub authority: Authority,
    /// The most that the request's API key may move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
}

/// The transfers of an atomic batch: 1 to [`BATCH_TRANSFERS_MAX`], with at most [`BATCH_POSTINGS_MAX`]
/// postings together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<TransferRequest>")]
pub struct Transfers(Vec<TransferRequest>);

/// An error of a list of transfers that is not a valid batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransfersError {
    /// The list is empty or too long.
    #[error("a batch has 1 to {BATCH_TRANSFERS_MAX} transfers")]
    Count,
    /// The transfers have too many postings together.
    #[error("the transfers of an atomic batch have {BATCH_POSTINGS_MAX} postings at most")]
    Postings,
}

impl Transfers {
    /// Creates a batch. Returns an error if the list is empty, or exceeds a limit.
    pub fn new(transfers: Vec<TransferRequest>) -> Result<Self, TransfersError> {
        if !(1..=BATCH_TRANSFERS_MAX).contains(&transfers.len()) {
            return Err(TransfersError::Count);
        }
        let postings = transfers.iter().map(|each| each.postings.as_slice().len());
        if postings.fold(0, usize::saturating_add) > BATCH_POSTINGS_MAX {
            return Err(TransfersError::Postings);
        }
        Ok(Self(transfers))
    }

    /// Returns the transfers in their order.
    pub fn as_slice(&self) -> &[TransferRequest] {
        &self.0
    }
}

impl TryFrom<Vec<TransferRequest>> for Transfers {
    type Error = TransfersError;

    fn try_from(transfers: Vec<TransferRequest>) -> Result<Self, TransfersError> {
        Self::new(transfers)
    }
}

/// A request for several transfers, of which all are made or none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchRequest {
    /// The transfers. None of them has a cap of its own.
    pub transfers: Transfers,
    /// The most that the request's API key may move, for all transfers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// A request for a new hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldRequest {
    /// The id of the new hold.
    pub id: HoldId,
    /// The amount to reserve, with its source and its destination.
    pub reservation: Reservation,
    /// The lifetime of the hold, in seconds.
    pub expires_in_s: u64,
    /// The rule for the amount that is left when the hold expires.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// The authority of the request.
    pub authority: Authority,
    /// The most that the request's API key may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

impl HoldRequest {
    /// Returns the moment at which the hold expires if it is placed at `placed_at`.
    pub fn expires_at(&self, placed_at: Timestamp) -> Timestamp {
        expiry(placed_at, self.expires_in_s)
    }
}

/// A request to capture a hold, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CaptureRequest {
    /// The id of the new transfer.
    pub id: TransferId,
    /// The hold.
    pub hold: HoldId,
    /// The amount to capture; absent, all that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The end of the hold, if the requester found that it has ended. The books have open holds only, so
    /// this is used for the rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HoldEnd>,
    /// The authority of the request.
    pub authority: Authority,
    /// The most that the request's API key may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// An admin's permission for a reversal to leave accounts outside their limits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Force {
    /// The admin's reason.
    pub reason: String,
}

/// A request to reverse a transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReversalRequest {
    /// The id of the reversal.
    pub id: TransferId,
    /// The transfer to reverse, or the call that moved something.
    pub original: TransferId,
    /// The postings of the reversal, in their order: those of the original in the log, reversed.
    pub postings: Postings,
    /// The authority of the request.
    pub authority: Authority,
    /// The permission to ignore the limits of accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Force>,
    /// The most that the request's API key may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// A request to issue or burn an amount.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IssueRequest {
    /// The id of the new transfer.
    pub id: TransferId,
    /// The account that receives an issued amount, or pays a burned one.
    pub account: AccountId,
    /// The asset.
    pub asset: AssetId,
    /// The amount.
    pub amount: Amount,
    /// The most that the request's API key may move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
}

/// Members of an asset to set. A new asset needs `kind` and `name`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AssetPatch {
    /// The kind: a currency or an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AssetKind>,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The symbol that a display puts before or after amounts.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub symbol: Patch<String>,
    /// The number of decimals of a display; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// The most that may be in circulation.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub max_supply: Patch<Limit>,
    /// Metadata as JSON; replaced as a whole.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub metadata: Patch<Value>,
}

/// A request to an economy. [`decide`](crate::decide) decides it by the economy's [`Books`](crate::Books).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Opens an economy.
    OpenEconomy {
        /// The secret seed from which all draws of the economy follow.
        seed: Seed,
    },
    /// Sets the status of an economy: frozen, open, or closed for ever.
    SetEconomy {
        /// The new status.
        status: EconomyStatus,
    },
    /// Sets quotas of an economy. Only operators do this.
    SetQuotas {
        /// The quotas to set.
        patch: QuotaPatch,
    },
    /// Creates or changes an asset.
    SetAsset {
        /// The asset.
        asset: AssetId,
        /// The members to set.
        patch: AssetPatch,
    },
    /// Creates or changes an account.
    SetAccount {
        /// The account.
        account: AccountId,
        /// The members to set.
        patch: AccountPatch,
        /// The accounts that the API key may create, if it has no other right to accounts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Box<CallerAdmission>>,
    },
    /// Makes a transfer.
    Transfer(TransferRequest),
    /// Makes several transfers, or none.
    Batch(BatchRequest),
    /// Reverses a transfer.
    #[serde(rename = "reversal")]
    Reverse(Box<ReversalRequest>),
    /// Places a hold.
    PlaceHold(Box<HoldRequest>),
    /// Captures a hold, or a part of it.
    CaptureHold(CaptureRequest),
    /// Releases what is left of a hold.
    ReleaseHold {
        /// The hold.
        hold: HoldId,
        /// The end of the hold, if the requester found that it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<HoldEnd>,
        /// The authority of the request.
        authority: Authority,
    },
    /// Ends a hold by its expiry rule.
    ExpireHold {
        /// The hold.
        hold: HoldId,
    },
    /// Issues an amount of an asset.
    Issue(IssueRequest),
    /// Burns an amount of an asset.
    Burn(IssueRequest),
    /// Installs or changes a plugin.
    SetPlugin {
        /// The plugin.
        plugin: PluginName,
        /// The members to set.
        patch: Box<PluginPatch>,
    },
    /// Uninstalls a plugin. Its accounts stay, and each of its holds ends by its own expiry rule.
    RemovePlugin {
        /// The plugin.
        plugin: PluginName,
    },
    /// Restores the component that a plugin ran before, or an earlier configuration.
    RollBackPlugin {
        /// The plugin.
        plugin: PluginName,
        /// The part to restore.
        what: RollbackTarget,
    },
    /// Switches off a plugin whose calls keep failing. Only the server requests this.
    SwitchOffPlugin {
        /// The plugin.
        plugin: PluginName,
        /// The version of the installation whose calls were counted. A plugin that was set after it stays
        /// on.
        as_of: u64,
        /// The evidence.
        why: Box<SwitchOffEvidence>,
    },
    /// Skips due times of a schedule that were missed, by the rule of the schedule.
    SkipDue {
        /// The plugin.
        plugin: PluginName,
        /// The name of the schedule.
        schedule: String,
    },
    /// Commits the result of a plugin's call.
    Call(Box<CallResult>),
    /// Sets the client seed of a member.
    SetClientSeed {
        /// The member's account.
        account: AccountId,
        /// The client seed.
        client_seed: ClientSeedText,
    },
    /// Activates the next server seed for new draws.
    RotateSeed,
    /// Reveals server seeds that no open game has drawn from.
    RevealSeeds {
        /// The number below which all server seeds are revealed.
        below: u64,
    },
    /// Sets the clock of the books, after the clock of the server was wrong.
    SetClock {
        /// The time before.
        from: Timestamp,
        /// The correct time.
        to: Timestamp,
    },
    /// Extends open holds of plugins by the length of an outage.
    ExtendHolds {
        /// The holds.
        holds: Vec<HoldId>,
        /// The last moment at which the server is known to have run.
        from: Timestamp,
        /// The moment at which the server runs again.
        until: Timestamp,
    },
    /// Marks nonces as used that belong to calls without a record.
    BurnNonces {
        /// The nonces.
        nonces: Vec<u64>,
    },
    /// Creates or changes an API key.
    SetKey {
        /// The key.
        key: KeyId,
        /// The members to set.
        patch: Box<KeyPatch>,
        /// SHA-256 of a new secret, used if the key is new or its secret is replaced.
        secret_hash: Digest,
        /// The mode of the change.
        mode: KeyMode,
    },
    /// Registers a component, whose bytes the storage keeps next to the record.
    AddComponent {
        /// SHA-256 of the component's bytes.
        digest: Digest,
        /// The component's size in bytes.
        bytes: u64,
        /// The plugin id in the component's manifest.
        name: String,
        /// The version in the component's manifest.
        version: String,
    },
    /// Creates or changes a webhook.
    SetWebhook(WebhookRequest),
    /// Removes a webhook.
    RemoveWebhook {
        /// The webhook.
        webhook: WebhookId,
    },
    /// Moves a webhook back to earlier events, or ahead of later ones.
    ReplayWebhook {
        /// The webhook.
        webhook: WebhookId,
        /// The event after which deliveries continue.
        after: u64,
    },
}

macro_rules! impl_kind {
    ($($variant:ident = $kind:literal,)*) => {
        impl Act {
            /// The kinds of all acts, in the order of the variants.
            pub const KINDS: [&str; kinds::KINDS.len()] = kinds::KINDS;

            /// Returns the kind of the act, as records and events name it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)*
                }
            }
        }
    };
}

for_each_act_kind!(impl_kind);
