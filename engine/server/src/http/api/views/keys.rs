//! Response bodies about API keys.

use std::collections::BTreeSet;

use bursar_ledger::{
    ApiKey, CallerAdmission, EconomyId, KeyId, RateLimit, Scopes, Timestamp, TransferCap,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// An API key without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyView<'a> {
    #[schemars(with = "schemas::KeyName")]
    id: &'a KeyId,
    #[schemars(with = "schemas::Timestamp")]
    created_at: Timestamp,
    #[schemars(with = "Vec<schemas::KeyScope>")]
    scopes: &'a Scopes,
    /// The economies in which the key is valid; all economies if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<schemas::EconomyName>")]
    economies: Option<&'a BTreeSet<EconomyId>>,
    /// The most that one request with this key may move; unlimited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::TransferCap")]
    transfer_cap: Option<&'a TransferCap>,
    /// The rate limit of the key; unlimited if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::RateLimit")]
    rate_limit: Option<RateLimit>,
    /// The accounts that the key may open with the scope `call`; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Admission")]
    admits: Option<&'a CallerAdmission>,
    /// True if the key is revoked and no longer valid.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

pub(crate) fn key<'a>(id: &'a KeyId, key: &'a ApiKey) -> KeyView<'a> {
    KeyView {
        id,
        created_at: key.created_at,
        scopes: &key.definition.scopes,
        economies: key.definition.economies.as_ref(),
        transfer_cap: key.definition.transfer_cap.as_ref(),
        rate_limit: key.definition.rate_limit,
        admits: key.definition.admits.as_ref(),
        revoked: key.definition.revoked,
    }
}

/// The body of a response about a key that may have a new secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PutKeyWithSecret")]
pub(crate) struct WithSecret<T> {
    #[serde(flatten)]
    pub(crate) view: T,
    /// The secret key itself. It is sent in this response only and cannot be retrieved later.
    /// Absent if the secret did not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) key: Option<String>,
}
