//! Webhooks: where an economy's events are sent, which of them, and signed with what.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::act::kinds::KINDS;
use crate::id::WebhookId;
use crate::limits::WEBHOOK_URL_BYTES_MAX;
use crate::patch::Patch;
use crate::time::Timestamp;

/// What deliveries are signed with: 32 random bytes. It has to be kept as it is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// A secret from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret itself.
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

/// Where deliveries go: `https://…` or `http://…`. Where that may lead is for the sender to say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

/// A text that is no URL of a webhook.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a webhook's URL begins with https:// or http:// and has at most {WEBHOOK_URL_BYTES_MAX} \
     characters of printable ASCII without spaces"
)]
pub struct WebhookUrlError;

impl WebhookUrl {
    /// The URL as text.
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

/// A kind of event: of an act, as records name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct EventKind(&'static str);

/// A text that is no kind of event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a kind of event is one of {}", KINDS.join(", "))]
pub struct EventKindError;

impl EventKind {
    /// The kind as records name it.
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

/// What a PUT says of a webhook. A new one needs `url`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookPatch {
    /// Where deliveries go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<WebhookUrl>,
    /// Which events are sent; cleared, all of them.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub kinds: Patch<BTreeSet<EventKind>>,
    /// Whether anything is sent; a new one is enabled unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A webhook that is to be made or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookRequest {
    /// The webhook.
    pub webhook: WebhookId,
    /// What is said of it.
    pub patch: WebhookPatch,
    /// A secret, used if the webhook is new or gets another one.
    pub secret: WebhookSecret,
    /// Whether it gets another one.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub rotate: bool,
}

/// How a webhook is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookDefinition {
    /// Where deliveries go.
    pub url: WebhookUrl,
    /// Which events are sent; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kinds: Option<BTreeSet<EventKind>>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
}

impl WebhookDefinition {
    /// Whether events of this kind are sent.
    pub fn wants(&self, kind: &str) -> bool {
        let among = |kinds: &BTreeSet<EventKind>| kinds.iter().any(|wanted| wanted.0 == kind);
        self.kinds.as_ref().is_none_or(among)
    }
}

/// A webhook as the books keep it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// How it is.
    #[serde(flatten)]
    pub definition: WebhookDefinition,
    /// The record that made it; what comes after is sent. It tells the webhook from another of the
    /// same name that was there before.
    pub born: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The place at which it was last told to go on, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replay: Option<WebhookReplay>,
}

/// The place at which a webhook was told to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookReplay {
    /// The record that says so.
    pub seq: u64,
    /// The event after which it goes on.
    pub after: u64,
}

impl Webhook {
    /// Returns where deliveries begin: after the record that made the webhook, or where it was last told to
    /// go on. What has been delivered counts from there.
    pub fn start(&self) -> WebhookReplay {
        let made = WebhookReplay {
            seq: self.born,
            after: self.born,
        };
        self.replay.unwrap_or(made)
    }
}
