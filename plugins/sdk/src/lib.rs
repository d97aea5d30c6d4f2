//! The SDK for plugins of Bursar in Rust.
//!
//! Bursar is an economy service for Discord bots and games. A plugin adds rules to it, such as a shop, a
//! daily reward or a game. It is a WebAssembly component with named actions. The service calls an action on
//! behalf of a member, and the action reads balances and its own state, and requests transfers.
//!
//! The service commits these requests after the action has returned `Ok`: all of them, or none. After
//! `Err`, a panic or an exceeded limit nothing has changed. The service also checks at the commit that
//! everything the action has read is still true. If it is not, the service runs the action again. A plugin
//! can therefore check a cooldown or a stock with a plain `if`, without locks.
//!
//! ```
//! use bursar_plugin::prelude::*;
//!
//! /// The configuration, which the operator writes.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// The asset that tips are paid in.
//!     asset: Asset,
//! }
//!
//! /// The arguments of `tip`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Tip {
//!     to: Account,
//!     amount: Amount,
//! }
//!
//! /// The reply to `tip`.
//! #[derive(Serialize, JsonSchema)]
//! struct TipReply {
//!     thanks: String,
//! }
//!
//! fn tip(call: &Call<Config>, tip: Tip) -> Result<TipReply, Decline> {
//!     let caller = call.caller();
//!     if tip.to == caller {
//!         return Err(Decline::new("tips_self", "You cannot tip yourself."));
//!     }
//!     call.transfer(&caller, &tip.to, &call.config().asset, tip.amount)?;
//!     Ok(TipReply { thanks: format!("{} thanks {caller}", tip.to) })
//! }
//!
//! bursar_plugin::plugin! {
//!     id: "tip",
//!     description: "Tips from member to member.",
//!     license: "MIT",
//!     accounts: [],
//!     config: Config,
//!     actions: {
//!         tip: "Pays another member." => fn(Tip) -> TipReply,
//!     },
//! }
//! # use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
//! # let manifest: bursar_plugin::serde_json::Value =
//! #     bursar_plugin::serde_json::from_str(&Component::describe()).expect("JSON");
//! # assert_eq!(manifest["actions"][0]["name"], "tip");
//! ```
//!
//! # The most important types
//!
//! * [`plugin!`] declares a plugin: its id, its permissions, its actions and its schedules.
//! * [`Call`] is the call that an action runs in. It reads, transfers, places holds, stores state and draws.
//! * [`Account`], [`Asset`] and [`Amount`] are names and amounts that have been checked.
//! * [`Decline`] is the error of an action: a code for programs and a sentence for the member.
//! * [`Refusal`] is an error of the service. `?` turns it into a [`Decline`].
//! * [`ConfigReport`] collects the errors of a configuration before the operator's change takes effect.
//!
//! # Building a plugin
//!
//! Run `cargo build --release --target wasm32-unknown-unknown` with `linker = "wasm-component-ld"`. The
//! folder `examples/first-plugin` has these settings and can be copied. The result is a component that
//! imports the contract in `wit/` and nothing else: no clock, no randomness, no files and no network. The
//! functions of the standard library for these still compile:
//!
//! | Function | Result in a component | Replacement |
//! |---|---|---|
//! | `std::time::Instant::now`, `SystemTime::now` | a panic: the call ends as a fault | [`Call::now_ms`] |
//! | `std::thread::sleep`, `std::env::vars` | a panic | |
//! | `std::env::var`, `std::env::args` | nothing | the plugin's configuration |
//! | `std::fs`, `std::net`, `std::thread::spawn`, `std::env::current_dir` | an error | |
//! | `println!`, `eprintln!` | the text is lost | [`Call::log`] |
//!
//! Random numbers come from [`Call::below`]. A plugin that stores a time computes the rest of a pause with
//! [`rest_left_ms`], which is also right after an operator has set back a clock that was ahead.
//!
//! # Testing a plugin
//!
//! Write the rules as plain functions and test them natively. Outside a component there is no host: methods
//! of [`Call`] that reach the host panic there, while `describe` works. Test the built component with
//! `bursar-testkit`, which runs it in an economy in memory and returns the transfers of each call.
//!
//! # Limits of a call
//!
//! 50 million units of fuel (about 10 ms), 16 MiB of memory, 64 reads, 16 transfers, 16 writes, 64 draws and
//! a reply of 16 KiB. A plugin may request another class of [`Fuel`]. A call that exceeds a limit ends as a
//! fault.

mod amount;
#[cfg(target_arch = "wasm32")]
mod arena;
#[allow(missing_docs, reason = "the WIT package has the documentation")]
pub mod bindings;
mod call;
mod config_report;
mod decline;
mod dispatch;
mod key;
mod macros;
mod manifest;
#[doc(hidden)]
pub mod names;
mod open;
mod rest;
mod schema;
mod stakes;

pub use amount::{Amount, AmountError};
pub use call::{Call, HoldId, NoArguments, NoConfig};
pub use config_report::{ConfigReport, pointer_segment};
pub use decline::Decline;
pub use key::{member_key, name_key};
pub use manifest::{
    Fuel, HoldRule, MissedRuns, Odds, OnExpiry, PatternRequest, ScheduleInfo, Stake,
};
pub use names::{Account, Asset, NameError};
pub use open::OpenList;
pub use rest::{is_far_ahead, rest_left_ms};
pub use stakes::Stakes;

#[doc(inline)]
pub use bindings::bursar::plugin::log::Level;
#[doc(inline)]
pub use bindings::bursar::plugin::state::Page;
#[doc(inline)]
pub use bindings::bursar::plugin::types::{Amounts, Limit, Refusal};
#[doc(inline)]
pub use bindings::configured::exports::bursar::plugin::configuration::{Finding, Need};

#[doc(hidden)]
pub use dispatch::{
    check_configuration, dispatch_action, dispatch_schedule, run_action, run_schedule,
};
#[doc(hidden)]
pub use manifest::{ActionInfo, Manifest, Permissions};
#[doc(hidden)]
pub use schema::schema_of;
#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde_json;

/// The items that most plugins import.
pub mod prelude {
    pub use crate::{
        Account, Amount, Amounts, Asset, Call, ConfigReport, Decline, HoldId, Level, NoArguments,
        NoConfig, Refusal,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
