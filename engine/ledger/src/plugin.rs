//! Plugins as the books know them: what is installed, what it was granted, and its own state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::amount::Limit;
use crate::digest::Digest;
use crate::id::{AccountId, AssetId};
use crate::time::Timestamp;

/// A component that was uploaded, as the reserved economy `system` knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// Its size in bytes.
    pub bytes: u64,
    /// The id that its manifest names.
    pub name: String,
    /// The version that its manifest names.
    pub version: String,
    /// When it was uploaded.
    pub added_at: Timestamp,
}

/// What the operator allows a plugin beyond its own accounts and the caller's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Accounts whose balances it may read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub read: BTreeSet<AccountId>,
    /// Issuer accounts that it may credit, that is, burn on. Any other account needs no grant.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub credit: BTreeSet<AccountId>,
    /// Accounts that it may debit; an issuer here means that it may issue.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub debit: BTreeSet<AccountId>,
    /// The most that may leave the caller in one call, per asset; an asset that is not named here
    /// may not leave at all. Without it there is no such cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_per_call: Option<BTreeMap<AssetId, Limit>>,
}

impl Grants {
    /// Whether every account in here could be granted.
    pub fn is_grantable(&self) -> bool {
        self.credit.iter().all(AccountId::is_issuer)
    }

    /// Whether everything here is also in `wider`.
    pub fn narrows(&self, wider: &Self) -> bool {
        self.read.is_subset(&wider.read)
            && self.credit.is_subset(&wider.credit)
            && self.debit.is_subset(&wider.debit)
            && self.caps_within(wider)
    }

    /// These grants with the caps of `requested` where they have none of their own: who does not
    /// speak of caps does not lift them.
    pub(crate) fn capped_as(self, requested: &Self) -> Self {
        let caps = requested.spend_per_call.clone();
        Self {
            spend_per_call: self.spend_per_call.or(caps),
            ..self
        }
    }

    /// Whether no asset may leave the caller in greater amounts than under `wider`. A cap on an asset
    /// that is not named is 0; without caps there is none.
    fn caps_within(&self, wider: &Self) -> bool {
        let Some(most) = &wider.spend_per_call else {
            return true;
        };
        let within =
            |(asset, cap): (&AssetId, &Limit)| *cap <= most.get(asset).copied().unwrap_or_default();
        let caps = self.spend_per_call.as_ref();
        caps.is_some_and(|caps| caps.iter().all(within))
    }
}

/// How the operator answers what a plugin asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantChoice {
    /// All that the manifest asks for.
    Requested,
    /// This, which must not be more than the manifest asks for.
    Exactly(Grants),
}

/// A plugin as it is installed in one economy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plugin {
    /// Which component runs.
    pub component: Digest,
    /// What its manifest asks for.
    pub requested: Grants,
    /// What it was granted. Grants belong to a component: another one starts without.
    pub grants: Grants,
    /// The operator's configuration.
    pub config: Arc<Value>,
    /// Whether it may be called.
    pub enabled: bool,
    /// The record that last changed any of the above. A call that ran under another version has
    /// learned something that is no longer true.
    pub version: u64,
    /// Its own keys and values.
    #[serde(default)]
    pub state: OrdMap<Arc<str>, Arc<str>>,
    /// Bytes of all keys and values together.
    #[serde(default)]
    pub state_bytes: usize,
}

/// What a PUT changes of a plugin. What is absent stays.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginPatch {
    /// Another component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentChoice>,
    /// Other grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<GrantChoice>,
    /// Another configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// On or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A component, with what its manifest asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComponentChoice {
    /// Which component.
    pub digest: Digest,
    /// What its manifest asks for.
    pub requested: Grants,
    /// Its own accounts beside `plugin:{id}`.
    pub accounts: Vec<AccountId>,
}
