//! API keys.

use std::collections::BTreeSet;

use bursar_ledger::{
    ApiKey, CallerAdmission, EconomyId, KeyId, RateLimit, Scopes, Timestamp, TransferCap,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// An API key, without anything of its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyView<'a> {
    #[schemars(with = "schemas::KeyName")]
    id: &'a KeyId,
    #[schemars(with = "schemas::Timestamp")]
    created_at: Timestamp,
    #[schemars(with = "Vec<schemas::KeyScope>")]
    scopes: &'a Scopes,
    /// The economies in which it is good; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<schemas::EconomyName>")]
    economies: Option<&'a BTreeSet<EconomyId>>,
    /// The most that one request with it may move; any amount where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::TransferCap")]
    transfer_cap: Option<&'a TransferCap>,
    /// How often it may ask; as often as it likes where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::RateLimit")]
    rate_limit: Option<RateLimit>,
    /// The accounts that it may open with the scope `call`; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Admission")]
    admits: Option<&'a CallerAdmission>,
    /// Whether it is good for nothing any more.
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

/// What is sent beside a key that is new or has another secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PutKeyWithSecret")]
pub(crate) struct WithSecret<T> {
    #[serde(flatten)]
    pub(crate) view: T,
    /// The key itself: here and nowhere else. Absent if the secret stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) key: Option<String>,
}
