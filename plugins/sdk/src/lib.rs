//! Write plugins for Bursar in Rust.
//!
//! A plugin is a component that reads balances and its own state, and *asks* for movements. What it
//! asked for is committed when its action has returned `Ok`, all or nothing, if every rule of the
//! ledger agrees; after `Err`, a panic or a broken limit nothing has happened. What it read is
//! still true at that moment, or the action runs again: so a cooldown or a stock that is checked
//! here holds under any concurrency.
//!
//! ```
//! use bursar_plugin::prelude::*;
//!
//! /// What the operator sets.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// What is given.
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
//! struct Tipped {
//!     thanks: String,
//! }
//!
//! fn tip(call: &Call<Config>, tip: Tip) -> Result<Tipped, Decline> {
//!     let caller = call.caller();
//!     if tip.to == caller {
//!         return Err(Decline::new("tips_self", "A tip is for somebody else."));
//!     }
//!     call.transfer(&caller, &tip.to, &call.config().asset, tip.amount)?;
//!     Ok(Tipped { thanks: format!("{} thanks {caller}", tip.to) })
//! }
//!
//! bursar_plugin::plugin! {
//!     id: "tip",
//!     description: "Tips from member to member.",
//!     license: "MIT",
//!     accounts: [],
//!     config: Config,
//!     actions: {
//!         tip: "Gives another member some of yours." => fn(Tip) -> Tipped,
//!     },
//! }
//! # use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
//! # let manifest: bursar_plugin::serde_json::Value =
//! #     bursar_plugin::serde_json::from_str(&Component::describe()).expect("JSON");
//! # assert_eq!(manifest["actions"][0]["name"], "tip");
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown` and
//! `linker = "wasm-component-ld"`, as `examples/first-plugin` does; what comes out is a component
//! that imports nothing but the contract. There is no clock, no randomness, no file and no network, and what
//! the standard library has for them compiles all the same:
//!
//! | in a component | is | instead |
//! |---|---|---|
//! | `std::time::Instant::now`, `SystemTime::now` | a panic: the call is a fault | [`Call::now_ms`] |
//! | `std::thread::sleep`, `std::env::vars` | a panic | |
//! | `std::env::var`, `std::env::args` | nothing | the plugin's configuration |
//! | `std::fs`, `std::net`, `std::thread::spawn`, `std::env::current_dir` | an error | |
//! | `println!`, `eprintln!` | lost | [`Call::log`] |
//!
//! Draws are [`Call::below`]'s. Where a plugin keeps a moment, [`rest_left_ms`] tells how long it is to be waited for, also after the operator has set
//! a clock back that was ahead.
//!
//! Rules are best kept as plain functions and tested natively. Outside a component there is no
//! host, so what reaches it through [`Call`] panics there; `describe` does not. What is built is tested
//! with `bursar-testkit`: it runs the component against a seeded economy in memory, and tells what moved.
//!
//! Limits of one call: 50 million units of fuel (some 10 ms) unless the plugin asks for another class and is
//! granted it, 16 MiB of memory, 64 reads, 16
//! transfers, 16 writes, 64 draws, 16 KiB of reply. Anything beyond ends the call as a fault.

mod amount;
#[allow(missing_docs, reason = "the WIT package has the documentation")]
pub mod bindings;
mod call;
mod config_report;
mod decline;
mod glue;
mod key;
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
pub use names::{Account, Asset, NameError};
pub use open::OpenList;
pub use rest::{is_far_ahead, rest_left_ms};
pub use stakes::Stakes;

// The contract's own types, where they are good enough for authors.
pub use bindings::bursar::plugin::log::Level;
pub use bindings::bursar::plugin::state::Page;
pub use bindings::bursar::plugin::types::{Amounts, Limit, Refusal};
pub use bindings::configured::exports::bursar::plugin::configuration::{Finding, Need};

pub use glue::{Fuel, HoldRule, Missed, Odds, OnExpiry, PatternWish, ScheduleInfo, Stake};

#[doc(hidden)]
pub use glue::{
    ActionInfo, Manifest, Permissions, answer, check_configuration, handle, run_schedule, scheduled,
};
#[doc(hidden)]
pub use schema::schema_of;
#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde_json;

/// Everything that a plugin usually needs.
pub mod prelude {
    pub use crate::{
        Account, Amount, Amounts, Asset, Call, ConfigReport, Decline, HoldId, Level, NoArguments,
        NoConfig, Refusal,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// Declares a plugin: its manifest, and which function answers which action.
///
/// The version is the package's. `accounts` are names of further accounts of the plugin's own:
/// `"till"` is made at install as `plugin:{name}:till`, where `name` is what the operator installs it as:
/// usually its id. Each action is
/// `name: "what it does" => fn(Arguments) -> Reply`, answered by a function of the same name,
/// `fn name(call: &Call<Config>, arguments: Arguments) -> Result<Reply, Decline>`; other types do
/// not compile, nor do names that are none.
///
/// What else a plugin may say stands in this order, each where it is needed and as often as here:
///
/// ```
/// use bursar_plugin::prelude::*;
/// use bursar_plugin::{Odds, Stake, serde_json::json};
///
/// # #[derive(Serialize, JsonSchema)]
/// # struct Entered {}
/// # #[derive(Serialize, JsonSchema)]
/// # struct Drawn {}
/// #[derive(Deserialize, JsonSchema)]
/// struct Config {
///     prize: Asset,
///     winners: u32,
/// }
///
/// bursar_plugin::plugin! {
///     id: "raffle",
///     description: "A raffle.",
///     license: "MIT",
///     accounts: ["pot"],
///     permissions: {
///         read: ["guild:treasury"],
///         credit: ["issuer:ticket"],
///         debit: ["issuer:coin"],
///         patterns: ["user:*": read debit, "team:*": read],
///         state_bytes: 16_777_216,
///         fuel: large,
///     },
///     config: Config,
///     check: check,
///     actions: {
///         enter: "Stakes a ticket." => fn(NoArguments) -> Entered,
///     },
///     holds: {
///         stake: 3_600 s then capture,
///         prize: 86_400 s then release,
///     },
///     schedules: {
///         draw: "Draws the winner." every 86_400 s from 72_000 s missed catch_up => fn() -> Drawn,
///         tidy: "Forgets old rounds." every 3_600 s from 0 s missed skip => fn() -> Drawn,
///     },
///     odds: odds(),
/// }
///
/// fn check(config: &Config, report: &mut ConfigReport) {
///     if config.winners > 3 {
///         report.finding("/winners", "there are three prizes: at most 3 can win");
///     }
///     report.need(&report.own_sub_account("pot"), &config.prize, Amount::new(3).unwrap());
/// }
///
/// fn enter(call: &Call<Config>, _: NoArguments) -> Result<Entered, Decline> {
///     // …
/// #   Ok(Entered {})
/// }
///
/// fn draw(call: &Call<Config>, due_ms: u64) -> Result<Drawn, Decline> {
///     // …
/// #   Ok(Drawn {})
/// }
///
/// fn tidy(call: &Call<Config>, due_ms: u64) -> Result<Drawn, Decline> {
///     // …
/// #   Ok(Drawn {})
/// }
///
/// fn odds() -> Vec<Odds> {
///     let stake = Stake { asset: "ticket", amount: 1 };
///     vec![Odds {
///         action: "enter",
///         description: "A ticket in a hundred wins ninety.",
///         arguments: json!({}),
///         config: json!({"prize": "coin", "winners": 1}),
///         stake,
///         returns_ppm: 900_000,
///         follow: None,
///     }]
/// }
/// # use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
/// # let manifest: bursar_plugin::serde_json::Value =
/// #     bursar_plugin::serde_json::from_str(&Component::describe()).expect("JSON");
/// # assert_eq!(manifest["permissions"]["state_bytes"], 16_777_216);
/// # let wishes = &manifest["permissions"]["patterns"];
/// # assert_eq!(wishes[0]["debit"], true);
/// # assert_eq!(wishes[1].to_string(), r#"{"accounts":"team:*","read":true}"#);
/// # assert_eq!(manifest["permissions"]["fuel"], "large");
/// # assert_eq!(manifest["holds"]["stake"]["expires_in_s"], 3_600);
/// # assert_eq!(manifest["schedules"][0]["offset_s"], 72_000);
/// # assert_eq!(manifest["odds"][0]["returns_ppm"], 900_000);
/// # use bursar_plugin::bindings::configured::exports::bursar::plugin::configuration;
/// # let config = json!({"prize": "coin", "winners": 4}).to_string();
/// # let report = <Component as configuration::Guest>::check("raffle".into(), config);
/// # assert_eq!(report.findings[0].pointer, "/winners");
/// # assert_eq!(report.needs[0].account, "plugin:raffle:pot");
/// ```
///
/// * `check` looks at a configuration before an operator's PUT is taken ([`ConfigReport`]): all that the schema
///   cannot say, and what the plugin needs. It decides by the configuration alone, and can ask for nothing. A
///   configuration that cannot be read as the type is refused also without it.
/// * `permissions` are what a plugin needs beyond its own accounts and the caller's; the operator may grant
///   less. Accounts whose balances it may `read`; issuers that it may `credit`, which is to burn; accounts
///   that it may `debit`, which of an issuer is to issue. `state_bytes` are what its keys and values may have
///   together in one economy: 1 MiB where absent, 64 MiB at most. `fuel` is what it may compute in one call:
///   `small`, `standard` as where absent, or `large` ([`Fuel`]). `patterns` are only wishes, shown to the
///   operator: `["user:*": read debit]` would read and debit any account beneath `user`. The operator writes
///   each out, with its caps.
/// * `holds` are the kinds of holds that [`Call::place_hold`] places: how many seconds they live, up to a leap
///   year, and whether what is left then is captured or released.
/// * `schedules` are what the plugin does by itself, at multiples of so many seconds since 1970-01-01 UTC,
///   some seconds later. Each is run by a function of its name. What was missed while no server ran is made
///   up for (`catch_up`) or left out (`skip`).
/// * `odds` say what a game returns on average ([`Odds`]); `bursar plugin check --simulate` plays it, and
///   compares.
///
/// The macro declares a type named `Component` where it stands, once in a crate. A name that is none does not
/// compile, and the error says which one: `` `User 1` in `read` of `permissions` is not the name of an account ``.
///
/// ```compile_fail
/// # use bursar_plugin::prelude::*;
/// # #[derive(Serialize, JsonSchema)]
/// # struct Looked {}
/// # fn look(_: &Call<NoConfig>, _: NoArguments) -> Result<Looked, Decline> { Ok(Looked {}) }
/// bursar_plugin::plugin! {
///     id: "spy",
///     description: "Looks.",
///     license: "MIT",
///     accounts: [],
///     permissions: { read: ["User 1"] },
///     config: NoConfig,
///     actions: { look: "Looks." => fn(NoArguments) -> Looked },
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    (
        id: $id:literal,
        description: $description:literal,
        license: $license:literal,
        accounts: [$($account:literal),* $(,)?],
        $(permissions: {
            $($right:ident: $granted:tt),* $(,)?
        },)?
        config: $config:ty,
        $(check: $check:path,)?
        actions: {
            $($action:ident: $does:literal => fn($arguments:ty) -> $reply:ty),+ $(,)?
        } $(,)?
        $(holds: {
            $($hold:ident: $lives:literal s then $ends:ident),+ $(,)?
        } $(,)?)?
        $(schedules: {
            $($schedule:ident: $runs:literal every $every:literal s from $offset:literal s
                missed $missed:ident => fn() -> $ran:ty),+ $(,)?
        } $(,)?)?
        $(odds: $odds:expr $(,)?)?
    ) => {
        /// The plugin, as the contract sees it.
        #[derive(Debug)]
        pub struct Component;

        // What is not a name does not compile.
        $crate::__require!(is_segment($id), "the `id`", "one segment of a name");
        $($crate::__require!(is_segment($account), "`accounts`", "one segment of a name");)*
        $($($crate::__names!($right $granted);)*)?
        $($crate::__require!(is_word(stringify!($action)), "`actions`", "the name of an action");)+
        $($($crate::__require!(is_word(stringify!($hold)), "`holds`", "the name of a hold");)+)?
        $($($crate::__require!(
            is_word(stringify!($schedule)), "`schedules`", "the name of a schedule"
        );)+)?

        impl $crate::bindings::exports::bursar::plugin::handler::Guest for Component {
            fn describe() -> String {
                let manifest = $crate::Manifest {
                    id: $id,
                    version: env!("CARGO_PKG_VERSION"),
                    description: $description,
                    license: $license,
                    accounts: &[$($account),*],
                    actions: vec![$($crate::ActionInfo {
                        name: stringify!($action),
                        description: $does,
                        arguments: $crate::schema_of::<$arguments>(),
                        reply: $crate::schema_of::<$reply>(),
                    }),+],
                    configuration: $crate::schema_of::<$config>(),
                    permissions: $crate::Permissions::default()
                        $($(.$right($crate::__permission!($right $granted)))*)?,
                    holds: [$($((stringify!($hold), $crate::HoldRule {
                        expires_in_s: $lives,
                        on_expiry: $crate::__on_expiry!($ends),
                    }),)+)?].into_iter().collect(),
                    schedules: vec![$($($crate::ScheduleInfo {
                        name: stringify!($schedule),
                        description: $runs,
                        every_s: $every,
                        offset_s: $offset,
                        missed: $crate::__missed!($missed),
                    }),+)?],
                    odds: Vec::new()$(.into_iter().chain::<Vec<$crate::Odds>>($odds).collect())?,
                };
                manifest.to_json()
            }

            fn handle(
                arguments: String,
            ) -> Result<String, $crate::bindings::exports::bursar::plugin::handler::Decline> {
                $crate::handle::<$config>(|call, action| match action {
                    $(stringify!($action) => {
                        Some($crate::answer::<$config, $arguments, $reply>(call, &arguments, $action))
                    })+
                    _ => None,
                })
            }
        }

        impl $crate::bindings::configured::exports::bursar::plugin::configuration::Guest
            for Component
        {
            fn check(
                plugin: String,
                configuration: String,
            ) -> $crate::bindings::configured::exports::bursar::plugin::configuration::Report {
                let check: fn(&$config, &mut $crate::ConfigReport) = $crate::__check!($($check)?);
                $crate::check_configuration::<$config>(&plugin, &configuration, check)
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "what the contract exports is called across the border")]
        mod component {
            use super::Component;
            $crate::bindings::export!(Component with_types_in $crate::bindings);
            $crate::bindings::configured::export_configured!(
                Component with_types_in $crate::bindings::configured
            );
        }

        $(
        impl $crate::bindings::schedules::exports::bursar::plugin::schedule::Guest for Component {
            fn run(
                name: String,
                due: u64,
            ) -> Result<
                String,
                $crate::bindings::schedules::exports::bursar::plugin::schedule::Decline,
            > {
                $crate::run_schedule::<$config>(&name, |call| match name.as_str() {
                    $(stringify!($schedule) => {
                        Some($crate::scheduled::<$config, $ran>(call, due, $schedule))
                    })+
                    _ => None,
                })
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "what the contract exports is called across the border")]
        mod scheduled_component {
            use super::Component;
            $crate::bindings::schedules::export_schedules!(
                Component with_types_in $crate::bindings::schedules
            );
        }
        )?
    };
}

/// The plugin's own check of a configuration; without one, whatever can be read is right.
#[doc(hidden)]
#[macro_export]
macro_rules! __check {
    () => {
        |_, _| {}
    };
    ($check:path) => {
        $check
    };
}

/// A name that is checked when the plugin is compiled: the error says which one it is, and where it stands.
#[doc(hidden)]
#[macro_export]
macro_rules! __require {
    ($is_one:ident($($name:tt)+), $place:literal, $what:literal) => {
        const _: () = $crate::names::require(
            $crate::names::$is_one($($name)+),
            concat!("`", $($name)+, "` in ", $place, " is not ", $what),
        );
    };
}

/// Names of accounts that are asked for, checked when the plugin is compiled.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    (read [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_account_name($name), "`read` of `permissions`", "the name of an account"
        );)*
    };
    (credit [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_issuer_name($name), "`credit` of `permissions`",
            "an issuer (`issuer:coin`), and any other account is credited without permission"
        );)*
    };
    (debit [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_account_name($name), "`debit` of `permissions`", "the name of an account"
        );)*
    };
    ($other:ident $value:tt) => {};
}

/// What is asked for, as the manifest has it.
#[doc(hidden)]
#[macro_export]
macro_rules! __permission {
    (fuel $fuel:ident) => {
        $crate::__fuel!($fuel)
    };
    (state_bytes $bytes:literal) => {
        $bytes
    };
    (patterns [$($accounts:literal: $($right:ident)+),* $(,)?]) => {
        &[$($crate::PatternWish {
            $($right: true,)+
            ..$crate::PatternWish {
                accounts: $accounts,
                read: false,
                debit: false,
            }
        }),*]
    };
    ($accounts:ident [$($name:literal),* $(,)?]) => {
        &[$($name),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fuel {
    (small) => {
        $crate::Fuel::Small
    };
    (standard) => {
        $crate::Fuel::Standard
    };
    (large) => {
        $crate::Fuel::Large
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __on_expiry {
    (capture) => {
        $crate::OnExpiry::Capture
    };
    (release) => {
        $crate::OnExpiry::Release
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __missed {
    (catch_up) => {
        $crate::Missed::CatchUp
    };
    (skip) => {
        $crate::Missed::Skip
    };
}
