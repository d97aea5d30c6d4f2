//! Everything that can be asked of an economy.

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

/// On whose authority a transfer debits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// A bot: any account but issuers and plugins' own.
    Bot,
    /// An admin: plugins' own accounts too.
    Admin,
}

/// A transfer that is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferRequest {
    /// The id that it will have.
    pub id: TransferId,
    /// What is to move, in this order.
    pub postings: Postings,
    /// On whose authority.
    pub authority: Authority,
    /// The most that the key that asks may move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
}

/// The transfers of a batch of which all happen or none: 1 to [`BATCH_TRANSFERS_MAX`], with at most
/// [`BATCH_POSTINGS_MAX`] postings together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<TransferRequest>")]
pub struct Transfers(Vec<TransferRequest>);

/// Why some transfers are no batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransfersError {
    /// There are none, or too many.
    #[error("a batch has 1 to {BATCH_TRANSFERS_MAX} transfers")]
    Count,
    /// They have too many postings.
    #[error("the transfers of an atomic batch have {BATCH_POSTINGS_MAX} postings at most")]
    Postings,
}

impl Transfers {
    /// The transfers of a batch, unless they cannot be one.
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

    /// The transfers, in the order given.
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

/// Several transfers that are asked for as one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchRequest {
    /// The transfers. None has a cap of its own.
    pub transfers: Transfers,
    /// The most that all of them together may move, by the key that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// An amount to reserve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldRequest {
    /// The id that the hold will have.
    pub id: HoldId,
    /// What is to be reserved, and for whom.
    pub reservation: Reservation,
    /// For how long, in seconds.
    pub expires_in_s: u64,
    /// What becomes of it then.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// On whose authority.
    pub authority: Authority,
    /// The most that the key which asks may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

impl HoldRequest {
    /// When a hold ends that is placed at this moment.
    pub fn expires_at(&self, placed_at: Timestamp) -> Timestamp {
        expiry(placed_at, self.expires_in_s)
    }
}

/// Some of a hold, to be moved where it was meant to go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CaptureRequest {
    /// The id that the transfer will have.
    pub id: TransferId,
    /// Of which hold.
    pub hold: HoldId,
    /// How much; all that is left where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// How the hold ended, if whoever asks knew that it had. The books keep open holds only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HoldEnd>,
    /// On whose authority.
    pub authority: Authority,
    /// The most that the key which asks may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// Why a reversal may leave accounts outside their limits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Force {
    /// In the words of the admin who wants it.
    pub reason: String,
}

/// A transfer that is to be taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReversalRequest {
    /// The id that the reversal will have.
    pub id: TransferId,
    /// What is to be taken back: a transfer, or the call that moved something.
    pub original: TransferId,
    /// What is to move, in this order: the reverse of what the journal says of the original.
    pub postings: Postings,
    /// On whose authority.
    pub authority: Authority,
    /// That it is to happen whatever the limits of accounts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Force>,
    /// The most that the key which asks may move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<TransferCap>,
}

/// An amount to bring into circulation, or to take out of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IssueRequest {
    /// The id that the transfer will have.
    pub id: TransferId,
    /// The account on the other side of the issuer.
    pub account: AccountId,
    /// What is issued or burned.
    pub asset: AssetId,
    /// How much of it.
    pub amount: Amount,
    /// The most that the key that asks may move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
}

/// What a PUT says of an asset. A new asset needs `kind` and `name`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AssetPatch {
    /// Money or a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AssetKind>,
    /// The name that people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A sign before or after amounts.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub symbol: Patch<String>,
    /// Decimals in a display; 0 where never given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// The most that may be in circulation.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub max_supply: Patch<Limit>,
    /// Anything, as JSON; replaced as a whole.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub metadata: Patch<Value>,
}

/// One thing that somebody asks for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Open an economy.
    OpenEconomy {
        /// Its randomness, from which draws are made.
        seed: Seed,
    },
    /// Freeze an economy, open it again, or close it for good.
    SetEconomy {
        /// What may be done in it.
        status: EconomyStatus,
    },
    /// Change how much may be kept in an economy. An operator's alone.
    SetQuotas {
        /// The limits to change.
        patch: QuotaPatch,
    },
    /// Make or change an asset.
    SetAsset {
        /// The asset.
        asset: AssetId,
        /// What is said of it.
        patch: AssetPatch,
    },
    /// Make or change an account.
    SetAccount {
        /// The account.
        account: AccountId,
        /// What is said of it.
        patch: AccountPatch,
        /// What the key may open, if it may do no more than that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Box<CallerAdmission>>,
    },
    /// Move money between accounts.
    Transfer(TransferRequest),
    /// Make several transfers, all or none.
    Batch(BatchRequest),
    /// Take a transfer back.
    #[serde(rename = "reversal")]
    Reverse(Box<ReversalRequest>),
    /// Reserve an amount.
    PlaceHold(Box<HoldRequest>),
    /// Move what was reserved, or some of it.
    CaptureHold(CaptureRequest),
    /// Give back what is left of a hold.
    ReleaseHold {
        /// The hold.
        hold: HoldId,
        /// How it ended, if whoever asks knew that it had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<HoldEnd>,
        /// On whose authority.
        authority: Authority,
    },
    /// End a hold by its own rule, since its time is over.
    ExpireHold {
        /// The hold.
        hold: HoldId,
    },
    /// Bring some of an asset into circulation.
    Issue(IssueRequest),
    /// Take some of an asset out of circulation.
    Burn(IssueRequest),
    /// Install or change a plugin.
    SetPlugin {
        /// The plugin.
        plugin: PluginName,
        /// What is said of it.
        patch: Box<PluginPatch>,
    },
    /// Take a plugin away. Its accounts stay, and each of its holds ends by its own rule.
    RemovePlugin {
        /// The plugin.
        plugin: PluginName,
    },
    /// Install a plugin as it was before another component took its place, or give it a configuration back
    /// that it had.
    RollBackPlugin {
        /// The plugin.
        plugin: PluginName,
        /// What goes back.
        what: RollbackTarget,
    },
    /// Switch off a plugin whose calls keep failing. The server asks for it by itself.
    SwitchOffPlugin {
        /// The plugin.
        plugin: PluginName,
        /// The version of the installation whose calls were counted; one that was set since stays on.
        as_of: u64,
        /// The reason.
        why: Box<SwitchOffEvidence>,
    },
    /// Leave due times of a schedule out that were missed, as its rule says.
    SkipDue {
        /// Of which plugin.
        plugin: PluginName,
        /// Which schedule.
        schedule: String,
    },
    /// Commit what a plugin's call has ended in.
    Call(Box<CallResult>),
    /// Put something else into a member's draws.
    SetClientSeed {
        /// Whose draws.
        account: AccountId,
        /// What goes in.
        client_seed: ClientSeedText,
    },
    /// Make new draws from the next server seed.
    RotateSeed,
    /// Make the server seeds public that no open game has drawn from.
    RevealSeeds {
        /// All below this number.
        below: u64,
    },
    /// Have the books go by another time, since the clock that they went by was wrong.
    SetClock {
        /// The time that they went by.
        from: Timestamp,
        /// The time that it is.
        to: Timestamp,
    },
    /// Give open holds of plugins back the time in which nobody was served.
    ExtendHolds {
        /// The holds.
        holds: Vec<HoldId>,
        /// The last moment at which the server is known to have run.
        from: Timestamp,
        /// The moment at which it runs again.
        until: Timestamp,
    },
    /// Note that nonces were handed out to calls that will leave no record.
    BurnNonces {
        /// The nonces.
        nonces: Vec<u64>,
    },
    /// Make or change an API key.
    SetKey {
        /// The key.
        key: KeyId,
        /// What is said of it.
        patch: Box<KeyPatch>,
        /// SHA-256 of a secret, used if the key is new or gets another one.
        secret_hash: Digest,
        /// What is to become of it.
        mode: KeyMode,
    },
    /// Register a component whose bytes are stored beside the record.
    AddComponent {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
        /// The id that its manifest names.
        name: String,
        /// The version that its manifest names.
        version: String,
    },
    /// Make or change a webhook.
    SetWebhook(WebhookRequest),
    /// Remove a webhook.
    RemoveWebhook {
        /// The webhook.
        webhook: WebhookId,
    },
    /// Send events of a webhook again, or leave some out: it goes on after another event.
    ReplayWebhook {
        /// The webhook.
        webhook: WebhookId,
        /// The event after which it goes on.
        after: u64,
    },
}

macro_rules! impl_kind {
    ($($variant:ident = $kind:literal,)*) => {
        impl Act {
            /// The kinds of all acts, in the order of the variants.
            pub const KINDS: [&str; kinds::KINDS.len()] = kinds::KINDS;

            /// The kind, as records and events name it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)*
                }
            }
        }
    };
}

for_each_act_kind!(impl_kind);
