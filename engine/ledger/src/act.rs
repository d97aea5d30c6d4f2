//! Everything that can be asked of an economy.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{KeyMode, KeyPatch};
use crate::account::AccountPatch;
use crate::amount::{Amount, Limit};
use crate::asset::AssetKind;
use crate::call::CallResult;
use crate::delivery::{DeliveryNote, ForgottenDelivery};
use crate::digest::Digest;
use crate::draw::Seed;
use crate::id::{AccountId, AssetId, KeyId, PluginId, TransferId, WebhookId};
use crate::key_limits::TransferCap;
use crate::movement::Postings;
use crate::patch::Patch;
use crate::plugin::PluginPatch;
use crate::webhook::WebhookRequest;

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
    /// Make or change an asset.
    SetAsset {
        /// Which.
        asset: AssetId,
        /// What is said of it.
        patch: AssetPatch,
    },
    /// Make or change an account.
    SetAccount {
        /// Which.
        account: AccountId,
        /// What is said of it.
        patch: AccountPatch,
    },
    /// Move money between accounts.
    Transfer(TransferRequest),
    /// Bring some of an asset into circulation.
    Issue(IssueRequest),
    /// Take some of an asset out of circulation.
    Burn(IssueRequest),
    /// Install or change a plugin.
    SetPlugin {
        /// Which.
        plugin: PluginId,
        /// What is said of it.
        patch: Box<PluginPatch>,
    },
    /// Commit what a plugin's call has ended in.
    Call(Box<CallResult>),
    /// Make or change an API key.
    SetKey {
        /// Which.
        key: KeyId,
        /// What is said of it.
        patch: KeyPatch,
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
        /// Which.
        webhook: WebhookId,
    },
    /// Keep how far a webhook of some economy has come. Of the reserved economy alone.
    NoteDelivery(Box<DeliveryNote>),
    /// Drop how far a webhook had come that is no longer there. Of the reserved economy alone.
    ForgetDelivery(ForgottenDelivery),
}

impl Act {
    /// The kinds of all acts, in the order of the variants.
    pub const KINDS: [&str; 14] = [
        "open_economy",
        "set_asset",
        "set_account",
        "transfer",
        "issue",
        "burn",
        "set_plugin",
        "call",
        "set_key",
        "add_component",
        "set_webhook",
        "remove_webhook",
        "note_delivery",
        "forget_delivery",
    ];

    /// The act's kind, as the journal names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OpenEconomy { .. } => "open_economy",
            Self::SetAsset { .. } => "set_asset",
            Self::SetAccount { .. } => "set_account",
            Self::Transfer(_) => "transfer",
            Self::Issue(_) => "issue",
            Self::Burn(_) => "burn",
            Self::SetPlugin { .. } => "set_plugin",
            Self::Call(_) => "call",
            Self::SetKey { .. } => "set_key",
            Self::AddComponent { .. } => "add_component",
            Self::SetWebhook(_) => "set_webhook",
            Self::RemoveWebhook { .. } => "remove_webhook",
            Self::NoteDelivery(_) => "note_delivery",
            Self::ForgetDelivery(_) => "forget_delivery",
        }
    }
}
