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

mod access;
mod account;
mod account_limits;
mod act;
mod amount;
mod asset;
mod books;
mod budget;
mod call;
mod decide;
mod decision;
mod digest;
mod document;
mod draft;
mod draw;
mod economy;
mod fact;
mod grants;
mod hold;
mod id;
mod invariant;
mod item;
mod json;
mod key_limits;
mod limits;
mod movement;
mod patch;
mod pattern;
mod plugin;
mod proposal;
mod quota;
mod rejection;
mod schedule;
mod scratch;
mod subject;
mod switch_off;
mod text;
mod time;
mod webhook;
mod work;

#[cfg(test)]
mod tests;

pub use access::{Admission, ApiKey, KeyDefinition, KeyMode, KeyPatch, Scope, Scopes};
pub use account::{Account, AccountPatch, AccountStatus, Balance};
pub use account_limits::{AccountLimits, LimitsChange, LimitsPatch};
pub use act::{
    Act, AssetPatch, Authority, BatchRequest, CaptureRequest, Force, HoldRequest, IssueRequest,
    ReversalRequest, TransferRequest, Transfers, TransfersError,
};
pub use amount::{Amount, Limit};
pub use asset::{Asset, AssetKind, CurrencyId};
pub use books::{
    ActiveSeed, Books, ClientSeed, DrawBook, DrawChange, Drew, Link, Links, Misfit, SeedView,
    StepBack,
};
pub use budget::{Budget, BudgetCounter, Payer};
pub use call::{CallRequest, CallResult, Ending, SpendLimit};
pub use decide::{Verdict, decide};
pub use decision::{Change, Decision};
pub use digest::{Digest, Sha256Writer};
pub use document::{Document, DocumentError, check_document};
pub use draft::Draft;
pub use draw::{ClientSeedError, ClientSeedText, Draw, DrawOrigin, Seed};
pub use economy::{Day, EconomyStatus, Flow, Reversal};
pub use fact::{Answer, Ask, Fact, Page, Refusal, Seen, Transcript};
pub use grants::{
    Caps, Excess, FuelClass, GrantChoice, Grants, PatternCaps, PatternGrant, Patterns,
    PatternsError, Permissions, WantedDebit,
};
pub use hold::{Hold, HoldEnd, OnExpiry, Reservation};
pub use id::{
    AccountId, AccountKind, AssetId, CallId, EconomyId, HoldId, IdError, KeyId, PluginId,
    PluginName, TransferId, WebhookId,
};
pub use invariant::{Violation, check};
pub use item::Item;
pub use json::{Json, JsonError, check_numbers, pointer_segment, read_strictly};
pub use key_limits::{RateLimit, RateLimitError, TransferCap, TransferCapError};
pub use limits::*;
pub use movement::{Movement, Posting, Postings, PostingsError};
pub use patch::Patch;
pub use pattern::{AccountPattern, PatternError};
pub use plugin::{
    Component, ComponentChoice, HoldRule, HoldRules, Installation, Need, Plugin, PluginPatch,
    Revision, RollBack,
};
pub use quota::{Quota, QuotaPatch, QuotaTooHigh, Quotas, UnknownQuota};
pub use rejection::{Class, Rejection, RejectionKind, Retry};
pub use schedule::{Missed, Schedule, ScheduleRule, Times};
pub use subject::{Subject, SubjectId};
pub use switch_off::{SwitchOff, SwitchOffReason, SwitchedOff};
pub use text::{Shown, ShownJson, prints, shown};
pub use time::Timestamp;
pub use webhook::{
    EventKind, EventKindError, Webhook, WebhookDefinition, WebhookPatch, WebhookReplay,
    WebhookRequest, WebhookSecret, WebhookUrl, WebhookUrlError,
};
