//! API keys and their scopes. Only the hash of a secret is stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::EconomyId;
use crate::key::limits::{RateLimit, TransferCap};
use crate::patch::Patch;
use crate::plugin::account_pattern::AccountPattern;
use crate::time::Timestamp;

/// A right of an API key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read accounts, assets, plugins and results.
    Read,
    /// Move money between accounts, and create accounts.
    Transfer,
    /// Call plugins.
    Call,
    /// Issue and burn.
    Issue,
    /// Every right, including those of later versions.
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

    /// Returns the name in requests and commands.
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

/// The scopes of a key.
pub type Scopes = BTreeSet<Scope>;

/// The right of a key with the scope `call` to create accounts, for bots that only call plugins.
///
/// It is part of the act, so that a record can be verified without the key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerAdmission {
    /// The accounts that may be created, without limits.
    pub accounts: AccountPattern,
    /// True if they may have metadata.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata: bool,
}

/// The mode of a request to set a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMode {
    /// Create or change the key. An existing key keeps its secret.
    Put,
    /// Create the key. It must not exist.
    Create,
    /// Replace the secret of the key. The old secret is no longer valid.
    Rotate,
}

/// Members of a key to set. A new key needs `scopes`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyPatch {
    /// The scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// The economies; cleared, all economies.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub economies: Patch<BTreeSet<EconomyId>>,
    /// The most that one request may move; cleared, any amount.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub transfer_cap: Patch<TransferCap>,
    /// The rate limit; cleared, none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub rate_limit: Patch<RateLimit>,
    /// The accounts that the key may create to call plugins for; cleared, none.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub admits: Patch<CallerAdmission>,
    /// True to revoke the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
    /// True to allow a change that leaves no admin key of every economy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// The rights and limits of a key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyDefinition {
    /// The scopes; `admin` includes all others.
    pub scopes: Scopes,
    /// The economies; absent, all economies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub economies: Option<BTreeSet<EconomyId>>,
    /// The most that one request may move; absent, any amount.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer_cap: Option<TransferCap>,
    /// The rate limit; absent, none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate_limit: Option<RateLimit>,
    /// The accounts that the key may create to call plugins for; absent, none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub admits: Option<CallerAdmission>,
    /// True if the key is revoked. A revoked key stays in the books because records name it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub revoked: bool,
}

impl KeyDefinition {
    /// Returns a key with every right in every economy.
    pub fn admin() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Admin]),
            ..Self::default()
        }
    }

    /// Returns true if the key has every right in every economy.
    pub fn is_admin(&self) -> bool {
        self.scopes.contains(&Scope::Admin) && self.economies.is_none() && !self.revoked
    }

    /// Returns true if the key has a scope, in the economies that it can access.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Returns true if the key can access an economy.
    pub fn reaches(&self, economy: &EconomyId) -> bool {
        self.economies
            .as_ref()
            .is_none_or(|some| some.contains(economy))
    }
}

/// An API key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// The rights and limits.
    #[serde(flatten)]
    pub definition: KeyDefinition,
    /// SHA-256 of the secret. The secret has 256 random bits, so a fast hash is sufficient.
    pub secret_hash: Digest,
    /// The time of its creation.
    pub created_at: Timestamp,
}
