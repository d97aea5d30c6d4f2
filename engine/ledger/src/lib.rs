//! The rules of an economy: a deterministic state machine for accounts, assets, holds, plugins and draws.
//!
//! [`Books`] are the state of one economy, and an [`Act`] is a request to change it. [`decide`] checks an act against
//! the books and returns a [`Verdict`]; its [`Decision`] is applied by [`Books::apply`]. The crate uses no files,
//! clock, randomness, network or threads: times, ids and seeds are arguments. The same acts in the same order therefore
//! lead to the same books on every machine, and a log of acts and effects is enough to rebuild everything.
//!
//! ```
//! use bursar_ledger::{Act, Books, Seed, Timestamp, Verdict, decide};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp(1_764_000_000_000);
//! let seed = Seed::new([7; 32]);
//! let Verdict::Applied(opening) = decide(None, now, &Act::OpenEconomy { seed }) else {
//!     panic!("a new economy can be opened");
//! };
//! let mut books = Books::new(seed, now);
//! books.apply(&opening, 1, now)?;
//!
//! let acts: Vec<Act> = serde_json::from_value(json!([
//!     {"set_asset": {"asset": "coin", "patch": {"kind": "currency", "name": "Coin"}}},
//!     {"set_account": {"account": "user:1", "patch": {}}},
//!     {"set_account": {"account": "user:2", "patch": {}}},
//!     {"issue": {
//!         "id": "01940000-0000-7000-8000-000000000001",
//!         "account": "user:1", "asset": "coin", "amount": 100,
//!     }},
//!     {"transfer": {
//!         "id": "01940000-0000-7000-8000-000000000002",
//!         "postings": [{"from": "user:1", "to": "user:2", "asset": "coin", "amount": 30}],
//!         "authority": "bot",
//!     }},
//! ]))?;
//! for (act, seq) in acts.iter().zip(2..) {
//!     let Verdict::Applied(decision) = decide(Some(&books), now, act) else {
//!         panic!("{} was not applied", act.kind());
//!     };
//!     books.apply(&decision, seq, now)?;
//! }
//!
//! let account = books.account(&"user:2".parse()?).expect("the account exists");
//! assert_eq!(account.balance(&"coin".parse()?).posted, 30);
//! # Ok(())
//! # }
//! ```
//!
//! * An [`Amount`] is a whole number from 1 to 2^53 − 1 in an asset's smallest unit.
//! * Money moves only by [`Posting`]s, from one account to another, so the balances of each asset always sum to zero.
//!   An asset is issued and burned on its issuer account.
//! * A [`Rejection`] is a value and not an error. A rejected act changes nothing.
//! * A plugin's call runs on a [`Draft`] over a snapshot of the books. Its [`Transcript`] is repeated against the present
//!   books when the call is committed, and the call runs again if a response has changed.
//! * [`check`] verifies the invariants of books independently of the code that changes them.
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
mod account_table;
mod act;
mod amount;
mod asset;
mod balances;
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
mod number;
mod patch;
mod persistent_array;
mod plugin;
mod quota;
mod rejection;
mod subject;
mod text;
mod time;
mod violation;
mod webhook;
mod work;
mod working_balances;

#[cfg(test)]
mod tests;

pub use account::{Account, AccountPatch, AccountStatus};
pub use account_limits::{AccountLimits, LimitsChange, LimitsPatch};
pub use account_table::AccountTable;
pub use act::{
    Act, AssetPatch, Authority, BatchRequest, CaptureRequest, Force, HoldRequest, IssueRequest,
    ReversalRequest, TransferRequest, Transfers, TransfersError,
};
pub use amount::{Amount, Limit};
pub use asset::{Asset, AssetKind, CurrencyId};
pub use balances::{Balance, Balances};
pub use books::{ApplyError, Books};
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
pub use draw::book::{ActiveSeed, ClientSeed, DrawBook, ServerSeed};
pub use draw::change::{DrawChange, DrawUse};
pub use draw::{ClientSeedError, ClientSeedText, Draw, DrawOrigin, Seed};
pub use economy::{Day, EconomyStatus, Flow, Reversal};
pub use hold::{Hold, HoldEnd, OnExpiry, Reservation};
pub use id::{
    AccountId, AccountKind, AssetId, CallId, EconomyId, HoldId, IdError, KeyId, PluginId,
    PluginName, TransferId, WebhookId,
};
pub use invariant::check;
pub use json::{
    CanonicalReader, Json, JsonError, Omissions, UnreadText, check_numbers, pointer_segment,
    read_strictly,
};
pub use key::definition::{
    ApiKey, CallerAdmission, KeyDefinition, KeyMode, KeyPatch, Scope, Scopes,
};
pub use key::limits::{RateLimit, RateLimitError, TransferCap, TransferCapError};
pub use limits::*;
pub use movement::{Movement, NumberedMovement, Posting, Postings, PostingsError};
pub use number::{AccountNumber, AssetNumber};
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
pub use violation::Violation;
pub use webhook::{
    EventKind, EventKindError, Webhook, WebhookDefinition, WebhookPatch, WebhookReplay,
    WebhookRequest, WebhookSecret, WebhookUrl, WebhookUrlError,
};
