//! Webhooks, and how far they have come.

use std::collections::BTreeSet;

use bursar_ledger::{EventKind, Timestamp, Webhook, WebhookId, WebhookUrl};
use bursar_storage::{Delivery, DeliveryError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::shapes;

/// A webhook as everybody may see it who may read: without its secret, and without its URL.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRecord")]
pub(in crate::http) struct WebhookView<'a> {
    #[schemars(with = "shapes::WebhookName")]
    id: &'a WebhookId,
    /// Whether anything is sent.
    enabled: bool,
    #[schemars(with = "shapes::Timestamp")]
    created_at: Timestamp,
    /// Which events are sent; all of them where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<shapes::EventKind>")]
    kinds: Option<&'a BTreeSet<EventKind>>,
}

pub(in crate::http) fn webhook<'a>(id: &'a WebhookId, webhook: &'a Webhook) -> WebhookView<'a> {
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
pub(in crate::http) struct WebhookReadView<'a> {
    #[serde(flatten)]
    pub(in crate::http) webhook: WebhookView<'a>,
    #[schemars(with = "shapes::WebhookUrl")]
    pub(in crate::http) url: &'a WebhookUrl,
    pub(in crate::http) delivery: DeliveryView<'a>,
}

/// A webhook that is gone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRemoved")]
pub(in crate::http) struct RemovedWebhookView<'a> {
    #[schemars(with = "shapes::WebhookName")]
    pub(in crate::http) id: &'a WebhookId,
    #[schemars(extend("const" = true))]
    pub(in crate::http) removed: bool,
}

/// The last try that was not accepted.
#[derive(JsonSchema)]
#[schemars(rename = "WebhookError")]
struct ErrorView {
    #[serde(rename = "at")]
    #[schemars(with = "shapes::Timestamp")]
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
pub(in crate::http) struct DeliveryView<'a> {
    /// The next event that is looked at.
    next_seq: u64,
    /// How often that was tried in vain.
    failures: u32,
    /// When an event was last accepted; null if none was.
    #[schemars(with = "Option<shapes::Timestamp>")]
    last_success: Option<Timestamp>,
    /// What went wrong last; null if nothing did.
    #[schemars(with = "Option<ErrorView>")]
    last_error: Option<&'a DeliveryError>,
    /// How many events were given up.
    dead_letters: usize,
}

pub(in crate::http) fn delivery(delivery: &Delivery) -> DeliveryView<'_> {
    DeliveryView {
        next_seq: delivery.done.saturating_add(1),
        failures: delivery.failures,
        last_success: delivery.last_success,
        last_error: delivery.last_error.as_ref(),
        dead_letters: delivery.dead.len(),
    }
}
