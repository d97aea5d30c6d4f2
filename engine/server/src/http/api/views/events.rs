//! Response bodies about events.

use bursar_ledger::{Digest, EconomyId, Timestamp};
use bursar_storage::Event;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::to_json;
use crate::http::api::schemas;
use crate::http::position::Position;

/// A record of the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(crate) struct EventView<'a> {
    /// The number of the record in the economy, without gaps.
    seq: u64,
    /// The position of the record. As `after` it continues with the next record.
    #[schemars(with = "schemas::Position")]
    position: String,
    #[schemars(with = "schemas::Timestamp")]
    recorded_at: Timestamp,
    /// The kind of the record's act, such as `transfer` or `call`.
    kind: &'a str,
    #[schemars(extend("enum" = ["applied", "rejected", "declined", "faulted", "broken"]))]
    outcome: &'a str,
    /// The name of the API key that sent the request.
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::IdempotencyKey")]
    idempotency_key: Option<&'a str>,
    /// The request: method, path and body.
    #[schemars(with = "Value")]
    request: &'a Value,
    /// The response.
    #[schemars(with = "Value")]
    answer: &'a Value,
    /// The hash of the record. It covers all earlier records.
    #[schemars(with = "schemas::Digest")]
    hash: Digest,
    /// The economy. Present in deliveries to webhooks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::EconomyName")]
    economy: Option<&'a EconomyId>,
}

/// Returns the body of an event's delivery to a webhook. It names the economy, because one receiver
/// may serve several.
pub(crate) fn delivered_event(event: &Event, economy: &EconomyId) -> Value {
    to_json(EventView {
        economy: Some(economy),
        ..self::event(event)
    })
}

/// Converts a record of the log.
pub(crate) fn event(event: &Event) -> EventView<'_> {
    EventView {
        economy: None,
        seq: event.seq,
        position: Position::of_event(event).to_string(),
        recorded_at: event.recorded_at,
        kind: &event.kind,
        outcome: &event.outcome,
        actor: &event.actor,
        idempotency_key: event.key.as_deref(),
        request: &event.request,
        answer: &event.answer,
        hash: event.hash,
    }
}
