//! Webhooks, and how far they have come.

use std::collections::BTreeSet;

use bursar_ledger::{EventKind, Timestamp, Webhook, WebhookId, WebhookUrl};
use bursar_storage::{Delivery, DeliveryError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// A webhook as everybody may see it who may read: without its secret, and without its URL.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRecord")]
pub(crate) struct WebhookView<'a> {
    #[schemars(with = "schemas::WebhookName")]
    id: &'a WebhookId,
    /// Whether anything is sent.
    enabled: bool,
    #[schemars(with = "schemas::Timestamp")]
    created_at: Timestamp,
    /// Which events are sent; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<schemas::EventKind>")]
    kinds: Option<&'a BTreeSet<EventKind>>,
}

pub(crate) fn webhook<'a>(id: &'a WebhookId, webhook: &'a Webhook) -> WebhookView<'a> {
    WebhookView {
        id,
        enabled: webhook.definition.enabled,
        created_at: webhook.created_at,
        kinds: webhook.definition.kinds.as_ref(),
    }
}

/// A webhook as an admin sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(crate) struct WebhookReadView<'a> {
    #[serde(flatten)]
    pub(crate) webhook: WebhookView<'a>,
    #[schemars(with = "schemas::WebhookUrl")]
    pub(crate) url: &'a WebhookUrl,
    pub(crate) delivery: DeliveryView<'a>,
}

/// A webhook that is gone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRemoved")]
pub(crate) struct RemovedWebhookView<'a> {
    #[schemars(with = "schemas::WebhookName")]
    pub(crate) id: &'a WebhookId,
    #[schemars(extend("const" = true))]
    pub(crate) removed: bool,
}

/// The last try that was not accepted.
#[derive(JsonSchema)]
#[schemars(rename = "WebhookError")]
struct ErrorView {
    #[serde(rename = "at")]
    #[schemars(with = "schemas::Timestamp")]
    _at: Timestamp,
    /// The event that was sent.
    #[serde(rename = "seq")]
    _seq: u64,
    /// What went wrong.
    #[serde(rename = "what")]
    _what: String,
}

/// How far a webhook has come.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub(crate) struct DeliveryView<'a> {
    /// The next event that is looked at.
    next_seq: u64,
    /// How often that was tried in vain.
    failures: u32,
    /// When an event was last accepted; null if none was.
    #[schemars(with = "Option<schemas::Timestamp>")]
    last_success: Option<Timestamp>,
    /// What went wrong last; null if nothing did.
    #[schemars(with = "Option<ErrorView>")]
    last_error: Option<&'a DeliveryError>,
    /// How many events were given up.
    dead_letters: usize,
}

pub(crate) fn delivery(delivery: &Delivery) -> DeliveryView<'_> {
    DeliveryView {
        next_seq: delivery.done.saturating_add(1),
        failures: delivery.failures,
        last_success: delivery.last_success,
        last_error: delivery.last_error.as_ref(),
        dead_letters: delivery.dead.len(),
    }
}
