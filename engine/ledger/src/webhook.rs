//! Webhooks: the receivers of an economy's events.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::act::kinds::KINDS;
use crate::id::WebhookId;
use crate::limits::WEBHOOK_URL_BYTES_MAX;
use crate::patch::Patch;
use crate::time::Timestamp;

/// The secret by which deliveries are signed: 32 random bytes. It is stored as it is, because signing needs
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// Creates a secret from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the secret.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(secret)")
    }
}

impl From<WebhookSecret> for String {
    fn from(secret: WebhookSecret) -> Self {
        hex::encode(secret.0)
    }
}

impl TryFrom<String> for WebhookSecret {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// The URL of a webhook: `https://…` or `http://…`. The sender decides which hosts it connects to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

/// The error of a text that is not a webhook's URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a webhook's URL begins with https:// or http:// and has at most {WEBHOOK_URL_BYTES_MAX} \
     characters of printable ASCII without spaces"
)]
pub struct WebhookUrlError;

impl WebhookUrl {
    /// Returns the URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = WebhookUrlError;

    fn try_from(text: String) -> Result<Self, WebhookUrlError> {
        let has_scheme = text.starts_with("https://") || text.starts_with("http://");
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if has_scheme && printable && text.len() <= WEBHOOK_URL_BYTES_MAX {
            return Ok(Self(text));
        }
        Err(WebhookUrlError)
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.0
    }
}

/// A kind of event: the kind of an act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct EventKind(&'static str);

/// The error of a text that is not a kind of event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a kind of event is one of {}", KINDS.join(", "))]
pub struct EventKindError;

impl EventKind {
    /// Returns the kind as records name it.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl FromStr for EventKind {
    type Err = EventKindError;

    fn from_str(text: &str) -> Result<Self, EventKindError> {
        let known = KINDS.into_iter().find(|kind| *kind == text);
        known.map(Self).ok_or(EventKindError)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Members of a webhook to set. A new webhook needs `url`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookPatch {
    /// The URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<WebhookUrl>,
    /// The kinds of events to send; all kinds if cleared.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub kinds: Patch<BTreeSet<EventKind>>,
    /// The switch; a new webhook is enabled by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A request to create or change a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookRequest {
    /// The webhook.
    pub webhook: WebhookId,
    /// The members to set.
    pub patch: WebhookPatch,
    /// A new secret, used if the webhook is new or its secret is replaced.
    pub secret: WebhookSecret,
    /// True to replace the secret.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub rotate: bool,
}

/// The definition of a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookDefinition {
    /// The URL.
    pub url: WebhookUrl,
    /// The kinds of events to send; absent, all kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kinds: Option<BTreeSet<EventKind>>,
    /// True if events are sent.
    pub enabled: bool,
    /// The secret by which deliveries are signed.
    pub secret: WebhookSecret,
}

impl WebhookDefinition {
    /// Returns true if events of this kind are sent.
    pub fn wants(&self, kind: &str) -> bool {
        let among = |kinds: &BTreeSet<EventKind>| kinds.iter().any(|each| each.0 == kind);
        self.kinds.as_ref().is_none_or(among)
    }
}

/// A webhook of an economy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// The definition.
    #[serde(flatten)]
    pub definition: WebhookDefinition,
    /// The record that created the webhook; later events are sent. It also distinguishes the webhook from
    /// an earlier one of the same name.
    pub born: u64,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The latest change of the event after which the webhook continues, if there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replay: Option<WebhookReplay>,
}

/// A change of the event after which a webhook continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookReplay {
    /// The record of the change.
    pub seq: u64,
    /// The event after which deliveries continue.
    pub after: u64,
}

impl Webhook {
    /// Returns the event after which deliveries start: the webhook's creation, or the latest change.
    /// Delivered events are counted from there.
    pub fn start(&self) -> WebhookReplay {
        let creation = WebhookReplay {
            seq: self.born,
            after: self.born,
        };
        self.replay.unwrap_or(creation)
    }
}
