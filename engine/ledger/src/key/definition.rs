//! API keys: who may ask for what. Only the hash of a key is ever kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::EconomyId;
use crate::key::limits::{RateLimit, TransferCap};
use crate::patch::Patch;
use crate::plugin::account_pattern::AccountPattern;
use crate::time::Timestamp;

/// What a key allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read accounts, assets, plugins and answers.
    Read,
    /// Move money between accounts, and open accounts.
    Transfer,
    /// Call plugins.
    Call,
    /// Issue and burn.
    Issue,
    /// Everything, here and in later versions.
    Admin,
}

impl Scope {
    /// All scopes, from the weakest to the strongest.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Transfer,
        Self::Call,
        Self::Issue,
        Self::Admin,
    ];

    /// The scope as requests and commands name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Transfer => "transfer",
            Self::Call => "call",
            Self::Issue => "issue",
            Self::Admin => "admin",
        }
    }
}

/// The scopes of one key.
pub type Scopes = BTreeSet<Scope>;

/// The accounts that a key with the scope `call` may open, so that a bot which only calls plugins can admit
/// members. It travels with each act, so that a record explains itself whatever becomes of the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerAdmission {
    /// The accounts: new ones, without limits.
    pub accounts: AccountPattern,
    /// Whether they may have metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata: bool,
}

/// What is to become of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMode {
    /// It is made, or changed if it is there; its secret stays then.
    Put,
    /// It is made, and must not be there.
    Create,
    /// It gets another secret; the one before is good for nothing then.
    Rotate,
}

/// What a PUT changes of a key. A new key needs `scopes`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyPatch {
    /// What the key allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// The economies in which it does; cleared, all of them.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub economies: Patch<BTreeSet<EconomyId>>,
    /// The most that one request may move; cleared, any amount.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub transfer_cap: Patch<TransferCap>,
    /// How often it may ask; cleared, as often as it likes.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub rate_limit: Patch<RateLimit>,
    /// The accounts that it may open to call plugins for; cleared, none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub admits: Patch<CallerAdmission>,
    /// Whether it is no longer good for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
    /// Whether it may be the last admin key of every economy that becomes less.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// What a key may do, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyDefinition {
    /// What the key allows; `admin` allows everything.
    pub scopes: Scopes,
    /// The economies in which it does; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub economies: Option<BTreeSet<EconomyId>>,
    /// The most that one request may move; any amount where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer_cap: Option<TransferCap>,
    /// How often it may ask; as often as it likes where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate_limit: Option<RateLimit>,
    /// The accounts that it may open to call plugins for; none where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub admits: Option<CallerAdmission>,
    /// Whether it is no longer good for anything. It stays in the books: records name it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub revoked: bool,
}

impl KeyDefinition {
    /// A key that allows everything everywhere.
    pub fn admin() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Admin]),
            ..Self::default()
        }
    }

    /// Returns whether the key allows everything everywhere.
    pub fn is_admin(&self) -> bool {
        self.scopes.contains(&Scope::Admin) && self.economies.is_none() && !self.revoked
    }

    /// Whether the key allows this somewhere.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether the key may see this economy at all.
    pub fn reaches(&self, economy: &EconomyId) -> bool {
        self.economies
            .as_ref()
            .is_none_or(|some| some.contains(economy))
    }
}

/// A key as the books keep it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// What it may do, and where.
    #[serde(flatten)]
    pub definition: KeyDefinition,
    /// SHA-256 of its secret. A key is 256 bits of randomness, so a fast hash is enough.
    pub secret_hash: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}
