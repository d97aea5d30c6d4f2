//! What is answered to what moves money, and what its preview says.
//!
//! A preview has no id, no number and no time, since it is not recorded. Its types are only
//! described: it is made of the answer that would be kept.

use bursar_ledger::{CallId, Timestamp, TransferId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::http::api::schemas;
use crate::http::api::views::{HoldLeftView, HoldTerms, HoldView, MovementsView, OriginView};

/// A transfer that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Transfer")]
pub(in crate::http) struct TransferView<'a> {
    #[schemars(with = "schemas::Uuid")]
    pub(super) id: TransferId,
    /// Its number in the economy's journal.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) movements: MovementsView<'a>,
}

/// A transfer that takes another back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reversal")]
pub(in crate::http) struct ReversalView<'a> {
    #[serde(flatten)]
    pub(super) transfer: TransferView<'a>,
    /// The transfer that is taken back.
    #[schemars(with = "schemas::Uuid")]
    pub(super) reverses: TransferId,
}

/// A transfer of what was reserved.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Capture")]
pub(in crate::http) struct CaptureView<'a> {
    #[serde(flatten)]
    pub(super) transfer: TransferView<'a>,
    /// What is left of the hold.
    pub(super) hold: HoldLeftView,
}

/// A hold that has ended otherwise.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Release")]
pub(in crate::http) struct ReleaseView<'a> {
    /// Its number in the economy's journal.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) movements: MovementsView<'a>,
    /// What is left of the hold.
    pub(super) hold: HoldLeftView,
}

/// A hold that was placed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlacedHold")]
pub(in crate::http) struct PlacedView<'a> {
    #[serde(flatten)]
    pub(super) hold: HoldView<'a>,
    /// Its number in the economy's journal.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
}

/// Transfers that were made as one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AtomicBatch")]
pub(in crate::http) struct BatchView<'a> {
    /// Its number in the economy's journal.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    /// The transfers, in their order.
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

/// A call that was committed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Call")]
pub(in crate::http) struct CallView<'a> {
    #[schemars(with = "schemas::Uuid")]
    pub(super) call: CallId,
    /// Its number in the economy's journal.
    pub(super) seq: u64,
    #[schemars(with = "schemas::Timestamp")]
    pub(super) recorded_at: Timestamp,
    #[serde(flatten)]
    pub(super) came: CameOf<'a>,
}

/// How a call can end that is no problem.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CallOutcome")]
pub(super) enum Committed {
    /// Everything that it asked for has happened.
    Committed,
}

/// What came of a call.
#[derive(Serialize, JsonSchema)]
pub(super) struct CameOf<'a> {
    pub(super) outcome: Committed,
    /// The plugin's reply, as the manifest's schema has it.
    #[schemars(with = "Value")]
    pub(super) reply: &'a Value,
    /// What moved.
    pub(super) transfer: MovementsView<'a>,
    /// Where its draws come from, if it has drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) draws: Option<OriginView<'a>>,
    /// What the call used up.
    pub(super) fuel: u64,
}

/// What would come of a transfer.
#[derive(JsonSchema)]
#[schemars(rename = "TransferPreview")]
pub(in crate::http) struct TransferPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// What would come of a call. Its draws are thrown away.
#[derive(JsonSchema)]
#[schemars(rename = "CallPreview")]
pub(in crate::http) struct CallPreview {
    #[serde(flatten)]
    _came: CameOf<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A call that was committed, or previewed.
#[derive(JsonSchema)]
#[schemars(rename = "CallAnswer", untagged)]
pub(in crate::http) enum CallAnswer {
    _Call(CallView<'static>),
    _Preview(CallPreview),
}

/// What would come of a reversal.
#[derive(JsonSchema)]
#[schemars(rename = "ReversalPreview")]
pub(in crate::http) struct ReversalPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    /// The transfer that would be taken back.
    #[serde(rename = "reverses")]
    #[schemars(with = "schemas::Uuid")]
    _reverses: TransferId,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// What would come of a capture, or of a release.
#[derive(JsonSchema)]
#[schemars(rename = "HoldEndPreview")]
pub(in crate::http) struct EndPreview {
    #[serde(flatten)]
    _movements: MovementsView<'static>,
    /// What would be left of the hold.
    #[serde(rename = "hold")]
    _hold: HoldLeftView,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// What would come of a hold that is placed.
#[derive(JsonSchema)]
#[schemars(rename = "HoldPreview")]
pub(in crate::http) struct HoldPreview {
    #[serde(flatten)]
    _hold: HoldTerms<'static>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// What would come of an atomic batch.
#[derive(JsonSchema)]
#[schemars(rename = "AtomicBatchPreview")]
pub(in crate::http) struct BatchPreview {
    /// The transfers, in their order. Their ids are thrown away.
    #[serde(rename = "transfers")]
    _transfers: Vec<BatchedView<'static>>,
    #[serde(rename = "preview")]
    #[schemars(extend("const" = true))]
    _preview: bool,
}

/// A hold that was released, or previewed.
#[derive(JsonSchema)]
#[schemars(rename = "ReleaseAnswer", untagged)]
pub(in crate::http) enum ReleaseAnswer {
    _Release(ReleaseView<'static>),
    _Preview(EndPreview),
}

/// What is kept of something that was made.
#[derive(JsonSchema)]
#[schemars(rename = "KeptCreated", untagged)]
pub(in crate::http) enum KeptCreated {
    _Capture(CaptureView<'static>),
    _Reversal(ReversalView<'static>),
    _Transfer(TransferView<'static>),
    _Batch(BatchView<'static>),
    _Hold(PlacedView<'static>),
}

/// What is kept of something that was done.
#[derive(JsonSchema)]
#[schemars(rename = "KeptDone", untagged)]
pub(in crate::http) enum KeptDone {
    _Call(CallView<'static>),
    _Release(ReleaseView<'static>),
}
