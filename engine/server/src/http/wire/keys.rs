//! API keys.

use std::collections::BTreeSet;

use bursar_ledger::{
    Admission, ApiKey, EconomyId, KeyId, RateLimit, Scopes, Timestamp, TransferCap,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::shapes;

/// An API key, without anything of its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(in crate::http) struct KeyView<'a> {
    #[schemars(with = "shapes::KeyName")]
    id: &'a KeyId,
    #[schemars(with = "shapes::Timestamp")]
    created_at: Timestamp,
    #[schemars(with = "Vec<shapes::KeyScope>")]
    scopes: &'a Scopes,
    /// The economies in which it is good; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<shapes::EconomyName>")]
    economies: Option<&'a BTreeSet<EconomyId>>,
    /// The most that one request with it may move; any amount where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::TransferCap")]
    transfer_cap: Option<&'a TransferCap>,
    /// How often it may ask; as often as it likes where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::RateLimit")]
    rate_limit: Option<RateLimit>,
    /// The accounts that it may open with the scope `call`; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shapes::Admission")]
    admits: Option<&'a Admission>,
    /// Whether it is good for nothing any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

pub(in crate::http) fn key<'a>(id: &'a KeyId, key: &'a ApiKey) -> KeyView<'a> {
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
pub(in crate::http) struct WithSecret<T> {
    #[serde(flatten)]
    pub(in crate::http) view: T,
    /// The key itself: here and nowhere else. Absent if the secret stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::http) key: Option<String>,
}
