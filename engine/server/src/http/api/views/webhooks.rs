//! Response bodies about webhooks.

use std::collections::BTreeSet;

use bursar_ledger::{EventKind, Timestamp, Webhook, WebhookId, WebhookUrl};
use bursar_storage::{Delivery, DeliveryError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// A webhook without its secret and its URL, for keys that may read the economy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRecord")]
pub(crate) struct WebhookView<'a> {
    #[schemars(with = "schemas::WebhookName")]
    id: &'a WebhookId,
    /// True if events are sent.
    enabled: bool,
    #[schemars(with = "schemas::Timestamp")]
    created_at: Timestamp,
    /// The kinds of events that are sent; all kinds if absent.
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

/// A webhook as an administrator sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(crate) struct WebhookReadView<'a> {
    #[serde(flatten)]
    pub(crate) webhook: WebhookView<'a>,
    #[schemars(with = "schemas::WebhookUrl")]
    pub(crate) url: &'a WebhookUrl,
    pub(crate) delivery: DeliveryView<'a>,
}

/// A deleted webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRemoved")]
pub(crate) struct RemovedWebhookView<'a> {
    #[schemars(with = "schemas::WebhookName")]
    pub(crate) id: &'a WebhookId,
    #[schemars(extend("const" = true))]
    pub(crate) removed: bool,
}

/// The last failed attempt to deliver an event.
#[derive(JsonSchema)]
#[schemars(rename = "WebhookError")]
struct ErrorView {
    #[serde(rename = "at")]
    #[schemars(with = "schemas::Timestamp")]
    _at: Timestamp,
    /// The number of the event.
    #[serde(rename = "seq")]
    _seq: u64,
    /// A description of the failure.
    #[serde(rename = "what")]
    _what: String,
}

/// The progress of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub(crate) struct DeliveryView<'a> {
    /// The number of the next event to deliver.
    next_seq: u64,
    /// The number of failed attempts to deliver that event.
    failures: u32,
    /// The time at which an event was last accepted; null if none was.
    #[schemars(with = "Option<schemas::Timestamp>")]
    last_success: Option<Timestamp>,
    /// The last failure; null if there was none.
    #[schemars(with = "Option<ErrorView>")]
    last_error: Option<&'a DeliveryError>,
    /// The number of events that were given up.
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
