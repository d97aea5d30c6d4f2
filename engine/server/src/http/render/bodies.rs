//! Response bodies of requests that move money, and of their previews.
//!
//! A preview has no id, no number and no time, because it is not recorded. The types of previews
//! exist for the description of the API only: a preview is derived from the rendered answer.

use bursar_ledger::{CallId, Timestamp, TransferId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::http::api::schemas;
use crate::http::api::views::{HoldLeftView, HoldTerms, HoldView, MovementsView, OriginView};

/// A transfer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Transfer")]
pub(in crate::http) struct TransferView<'a> {
    #[schemars(with = "schemas::Uuid")]
    pub(super) id: TransferId,
    /// The number of the record in the economy's log.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) movements: MovementsView<'a>,
}

/// A transfer that reverses another one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reversal")]
pub(in crate::http) struct ReversalView<'a> {
    #[serde(flatten)]
    pub(super) transfer: TransferView<'a>,
    /// The transfer that it reverses.
    #[schemars(with = "schemas::Uuid")]
    pub(super) reverses: TransferId,
}

/// A transfer of an amount that a hold reserved.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Capture")]
pub(in crate::http) struct CaptureView<'a> {
    #[serde(flatten)]
    pub(super) transfer: TransferView<'a>,
    /// The remaining amount of the hold.
    pub(super) hold: HoldLeftView,
}

/// A hold that was released.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Release")]
pub(in crate::http) struct ReleaseView<'a> {
    /// The number of the record in the economy's log.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) movements: MovementsView<'a>,
    /// The remaining amount of the hold.
    pub(super) hold: HoldLeftView,
}

/// A new hold.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlacedHold")]
pub(in crate::http) struct PlacedView<'a> {
    #[serde(flatten)]
    pub(super) hold: HoldView<'a>,
    /// The number of the record in the economy's log.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
}

/// The transfers of an atomic batch.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AtomicBatch")]
pub(in crate::http) struct BatchView<'a> {
    /// The number of the record in the economy's log.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    /// The transfers, in the order of the request.
    pub(super) transfers: Vec<BatchedView<'a>>,
}

/// A transfer of an atomic batch.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BatchedTransfer")]
pub(in crate::http) struct BatchedView<'a> {
    #[schemars(with = "schemas::Uuid")]
    pub(super) id: TransferId,
    #[serde(flatten)]
    pub(super) movements: MovementsView<'a>,
}

/// A committed call.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Call")]
pub(in crate::http) struct CallView<'a> {
    #[schemars(with = "schemas::Uuid")]
    pub(super) call: CallId,
    /// The number of the record in the economy's log.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) result: CallResultView<'a>,
}

/// The outcome of a successful call.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CallOutcome")]
pub(super) enum CallOutcomeView {
    /// All that the plugin requested is committed.
    Committed,
}

impl CallOutcomeView {
    /// Returns the outcome as it is in JSON.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Committed => "committed",
        }
    }
}

/// The result of a call.
#[derive(Serialize, JsonSchema)]
pub(super) struct CallResultView<'a> {
    pub(super) outcome: CallOutcomeView,
    /// The plugin's reply. It matches the schema in the manifest.
    #[schemars(with = "Value")]
    pub(super) reply: &'a Value,
    /// The movements.
    pub(super) transfer: MovementsView<'a>,
    /// The inputs of its draws; absent if it has not drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) draws: Option<OriginView<'a>>,
    /// The fuel that the call used.
    pub(super) fuel: u64,
}

/// A preview of a transfer.
#[derive(JsonSchema)]
#[schemars(rename = "TransferPreview")]
pub(in crate::http) struct TransferPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A preview of a call. Its draws are discarded.
#[derive(JsonSchema)]
#[schemars(rename = "CallPreview")]
pub(in crate::http) struct CallPreview {
    #[serde(flatten)]
    _result: CallResultView<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A committed call, or a preview.
#[derive(JsonSchema)]
#[schemars(rename = "CallAnswer", untagged)]
pub(in crate::http) enum CallAnswer {
    _Call(CallView<'static>),
    _Preview(CallPreview),
}

/// A preview of a reversal.
#[derive(JsonSchema)]
#[schemars(rename = "ReversalPreview")]
pub(in crate::http) struct ReversalPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    /// The transfer that would be reversed.
    #[serde(rename = "reverses")]
    #[schemars(with = "schemas::Uuid")]
    _reverses: TransferId,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A preview of a capture or a release.
#[derive(JsonSchema)]
#[schemars(rename = "HoldEndPreview")]
pub(in crate::http) struct EndPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    /// The amount of the hold that would remain.
    #[serde(rename = "hold")]
    _hold: HoldLeftView,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A preview of a hold.
#[derive(JsonSchema)]
#[schemars(rename = "HoldPreview")]
pub(in crate::http) struct HoldPreview {
    #[serde(flatten)]
    _hold: HoldTerms<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A preview of an atomic batch.
#[derive(JsonSchema)]
#[schemars(rename = "AtomicBatchPreview")]
pub(in crate::http) struct BatchPreview {
    /// The transfers, in the order of the request. Their ids are not reserved for the real request.
    #[serde(rename = "transfers")]
    _transfers: Vec<BatchedView<'static>>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A released hold, or a preview.
#[derive(JsonSchema)]
#[schemars(rename = "ReleaseAnswer", untagged)]
pub(in crate::http) enum ReleaseAnswer {
    _Release(ReleaseView<'static>),
    _Preview(EndPreview),
}

/// The answer to a request that created a transfer or a hold.
#[derive(JsonSchema)]
#[schemars(rename = "KeptCreated", untagged)]
pub(in crate::http) enum KeptCreated {
    _Capture(CaptureView<'static>),
    _Reversal(ReversalView<'static>),
    _Transfer(TransferView<'static>),
    _Batch(BatchView<'static>),
    _Hold(PlacedView<'static>),
}

/// The answer to a call or to the release of a hold.
#[derive(JsonSchema)]
#[schemars(rename = "KeptDone", untagged)]
pub(in crate::http) enum KeptDone {
    _Call(CallView<'static>),
    _Release(ReleaseView<'static>),
}
