//! The rules of money.
//!
//! This crate is a deterministic state machine and nothing else: [`Books`] are the state of one
//! economy, an [`Act`] is what somebody asks for, [`decide`] says what follows, and
//! [`Books::apply`] makes it so. It knows no file, no clock, no randomness, no network and no
//! thread; time, ids and seeds come in as values. So the same acts in the same order give the same
//! books on every machine, and everything above can be rebuilt from a journal of acts and effects.
//!
//! * Amounts are whole numbers from 1 to 2^53 − 1 in an asset's smallest unit ([`Amount`]).
//! * Money moves only in a [`Posting`]: from one account to another, so that every asset's balances
//!   always sum to zero. An asset is born and destroyed on its issuer account.
//! * A refusal is a value ([`Rejection`]), never an error, and changes nothing.
//! * A plugin's call is a [`Draft`] over a snapshot: what it learned and asked is a [`Transcript`]
//!   that is performed once more, step by step, against the present when it is to be committed.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing
)]

mod account;
mod account_limits;
mod act;
mod amount;
mod asset;
mod books;
mod call;
mod checkpoint_entry;
mod decide;
mod decision;
mod digest;
mod document;
mod draw;
mod economy;
mod hold;
mod id;
mod invariant;
mod json;
mod key;
mod limits;
mod movement;
mod patch;
mod plugin;
mod quota;
mod rejection;
mod subject;
mod text;
mod time;
mod webhook;
mod work;
mod working_balances;

#[cfg(test)]
mod tests;

pub use account::{Account, AccountPatch, AccountStatus, Balance};
pub use account_limits::{AccountLimits, LimitsChange, LimitsPatch};
pub use act::{
    Act, AssetPatch, Authority, BatchRequest, CaptureRequest, Force, HoldRequest, IssueRequest,
    ReversalRequest, TransferRequest, Transfers, TransfersError,
};
pub use amount::{Amount, Limit};
pub use asset::{Asset, AssetKind, CurrencyId};
pub use books::{ApplyError, Books, HistoryLink, HistoryLinks};
pub use call::draft::Draft;
pub use call::request::{CallRequest, SpendLimit};
pub use call::result::{CallEnding, CallResult};
pub use call::transcript::{
    Exchange, HostRequest, HostResponse, Refusal, StatePage, Transcript, VisibleBalance,
};
pub use checkpoint_entry::CheckpointEntry;
pub use decide::{Verdict, decide};
pub use decision::{Change, Decision};
pub use digest::{Digest, Sha256Writer};
pub use document::{Document, DocumentError, check_document};
pub use draw::book::{ActiveSeed, ClientSeed, DrawBook, SeedView};
pub use draw::change::{DrawChange, DrawUse};
pub use draw::{ClientSeedError, ClientSeedText, Draw, DrawOrigin, Seed};
pub use economy::{Day, EconomyStatus, Flow, Reversal};
pub use hold::{Hold, HoldEnd, OnExpiry, Reservation};
pub use id::{
    AccountId, AccountKind, AssetId, CallId, EconomyId, HoldId, IdError, KeyId, PluginId,
    PluginName, TransferId, WebhookId,
};
pub use invariant::{Violation, check};
pub use json::{Json, JsonError, check_numbers, pointer_segment, read_strictly};
pub use key::definition::{
    ApiKey, CallerAdmission, KeyDefinition, KeyMode, KeyPatch, Scope, Scopes,
};
pub use key::limits::{RateLimit, RateLimitError, TransferCap, TransferCapError};
pub use limits::*;
pub use movement::{Movement, Posting, Postings, PostingsError};
pub use patch::Patch;
pub use plugin::account_pattern::{AccountPattern, PatternError};
pub use plugin::budget::{Budget, BudgetCounter, Payer};
pub use plugin::grants::{
    Caps, Excess, FuelClass, GrantChoice, Grants, PatternCaps, PatternGrant, Patterns,
    PatternsError, Permissions, RequestedDebit,
};
pub use plugin::installation::{
    Component, ComponentChoice, HoldRule, HoldRules, Installation, Need, Plugin, PluginPatch,
    Revision, RollbackTarget,
};
pub use plugin::schedule::{MissedPolicy, Schedule, ScheduleRule, ScheduleTimes};
pub use plugin::switch_off::{ActiveSwitchOff, SwitchOffEvidence, SwitchOffReason};
pub use quota::{Quota, QuotaPatch, QuotaTooHigh, Quotas, UnknownQuota};
pub use rejection::{Rejection, RejectionClass, RejectionKind, Retry};
pub use subject::{Subject, SubjectId};
pub use text::{Printable, PrintableJson, prints, shown};
pub use time::{StepBack, Timestamp};
pub use webhook::{
    EventKind, EventKindError, Webhook, WebhookDefinition, WebhookPatch, WebhookReplay,
    WebhookRequest, WebhookSecret, WebhookUrl, WebhookUrlError,
};
