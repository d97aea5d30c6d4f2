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
//! that imports nothing but the contract. There is no clock, no randomness, no file and no network:
//! `std::time` and `std::env` panic, [`Call::now_ms`] and [`Call::below`] are there instead.
//!
//! Rules are best kept as plain functions and tested natively. Outside a component there is no
//! host, so what reaches it through [`Call`] panics there; `describe` does not.
//!
//! Limits of one call: 50 million units of fuel (some 10 ms), 16 MiB of memory, 64 reads, 16
//! transfers, 16 writes, 64 draws, 16 KiB of reply. Anything beyond ends the call as a fault.

mod amount;
#[allow(missing_docs, reason = "the WIT package has the documentation")]
pub mod bindings;
mod call;
mod decline;
mod glue;
mod names;

pub use amount::{Amount, AmountError};
pub use call::{Call, NoArguments, NoConfig};
pub use decline::Decline;
pub use names::{Account, Asset, NameError};

// The contract's own types, where they are good enough for authors.
pub use bindings::bursar::plugin::log::Level;
pub use bindings::bursar::plugin::state::Page;
pub use bindings::bursar::plugin::types::{Amounts, Limit, Refusal};

#[doc(hidden)]
pub use glue::{ActionInfo, Manifest, Permissions, answer, handle};
#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde_json;

/// Everything that a plugin usually needs.
pub mod prelude {
    pub use crate::{
        Account, Amount, Amounts, Asset, Call, Decline, Level, NoArguments, NoConfig, Refusal,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// Declares a plugin: its manifest, and which function answers which action.
///
/// The version is the package's. `accounts` are names of further accounts of the plugin's own:
/// `"till"` is made at install as `plugin:{id}:till`. Each action is
/// `name: "what it does" => fn(Arguments) -> Reply`, answered by a function of the same name,
/// `fn name(call: &Call<Config>, arguments: Arguments) -> Result<Reply, Decline>`; other types do
/// not compile, nor do names that are none.
///
/// A plugin that needs accounts beyond its own and the caller's asks for them after `accounts`; the
/// operator may grant less. To debit an issuer is to issue, and to credit one is to burn:
///
/// ```text
/// permissions: { read: ["guild:treasury"], credit: [], debit: ["issuer:coin"] },
/// ```
///
/// The macro declares a type named `Component` where it stands, once in a crate.
#[macro_export]
macro_rules! plugin {
    (
        id: $id:literal,
        description: $description:literal,
        license: $license:literal,
        accounts: [$($account:literal),* $(,)?],
        $(permissions: {
            $($right:ident: [$($granted:literal),* $(,)?]),* $(,)?
        },)?
        config: $config:ty,
        actions: {
            $($action:ident: $does:literal => fn($arguments:ty) -> $reply:ty),+ $(,)?
        } $(,)?
    ) => {
        /// The plugin, as the contract sees it.
        #[derive(Debug)]
        pub struct Component;

        // What is not a name does not compile.
        const _: $crate::Account = $crate::Account::new(concat!("plugin:", $id));
        $(const _: $crate::Account = $crate::Account::new(concat!("plugin:", $id, ":", $account));)*
        $($($(const _: $crate::Account = $crate::Account::new($granted);)*)*)?

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
                        arguments: $crate::schemars::schema_for!($arguments),
                        reply: $crate::schemars::schema_for!($reply),
                    }),+],
                    configuration: $crate::schemars::schema_for!($config),
                    permissions: $crate::Permissions::default()$($(.$right(&[$($granted),*]))*)?,
                };
                manifest.to_json()
            }

            fn handle(
                arguments: String,
            ) -> Result<String, $crate::bindings::exports::bursar::plugin::handler::Decline> {
                $crate::handle::<$config>($id, |call, action| match action {
                    $(stringify!($action) => {
                        Some($crate::answer::<$config, $arguments, $reply>(call, &arguments, $action))
                    })+
                    _ => None,
                })
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "what the contract exports is called across the border")]
        mod component {
            use super::Component;
            $crate::bindings::export!(Component with_types_in $crate::bindings);
        }
    };
}
