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
//! struct Thanks {
//!     thanks: String,
//! }
//!
//! fn tip(call: &Call<NoConfig>, tip: Tip) -> Result<Thanks, Decline> {
//!     call.transfer(&call.caller(), &tip.to, &Asset::new("coin"), tip.amount)?;
//!     Ok(Thanks { thanks: format!("{} says thanks", tip.to) })
//! }
//!
//! bursar_plugin::plugin! {
//!     id: "tip",
//!     description: "Tips another member.",
//!     license: "MIT",
//!     accounts: [],
//!     config: NoConfig,
//!     actions: {
//!         tip: "Gives some of your coins to another member." => fn(Tip) -> Thanks,
//!     },
//! }
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-unknown-unknown` and
//! `linker = "wasm-component-ld"`; what comes out is a component that imports nothing but the
//! contract. There is no clock, no randomness, no file and no network: `std::time` and `std::env`
//! panic, [`Call::now_ms`] and [`Call::below`] are there instead.
//!
//! Limits of one call: 50 million units of fuel (some 10 ms), 16 MiB of memory, 64 reads, 16
//! transfers, 16 writes, 64 draws, 16 KiB of reply. Anything beyond ends the call as a fault.

#[allow(missing_docs, reason = "the WIT package has the documentation")]
pub mod bindings;
mod call;
mod decline;
mod glue;
mod values;

pub use call::Call;
pub use decline::Decline;
pub use values::{Account, Amount, Asset, NoConfig};

/// What a balance is, and why the host may say no: the contract's own types.
pub use bindings::bursar::plugin::types::{Amounts, Limit, Refusal};

#[doc(hidden)]
pub use glue::{ActionInfo, handle, manifest};
#[doc(hidden)]
pub use schemars;
#[doc(hidden)]
pub use serde_json;

/// Everything that a plugin usually needs.
pub mod prelude {
    pub use crate::{Account, Amount, Amounts, Asset, Call, Decline, NoConfig, Refusal};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// Declares a plugin: its manifest, and which function answers which action.
///
/// The version is the package's. `accounts` are names of further accounts of the plugin's own:
/// `"till"` is made at install as `plugin:{id}:till`. Each action is
/// `name: "what it does" => fn(Arguments) -> Reply`, answered by a function of the same name,
/// `fn name(call: &Call<Config>, arguments: Arguments) -> Result<Reply, Decline>`.
#[macro_export]
macro_rules! plugin {
    (
        id: $id:literal,
        description: $description:literal,
        license: $license:literal,
        accounts: [$($account:literal),* $(,)?],
        config: $config:ty,
        actions: {
            $($action:ident: $does:literal => fn($arguments:ty) -> $reply:ty),+ $(,)?
        } $(,)?
    ) => {
        /// The plugin, as the contract sees it.
        #[derive(Debug)]
        pub struct Component;

        impl $crate::bindings::exports::bursar::plugin::handler::Guest for Component {
            fn describe() -> String {
                $crate::manifest(
                    $id,
                    env!("CARGO_PKG_VERSION"),
                    $description,
                    $license,
                    &[$($account),*],
                    &$crate::schemars::schema_for!($config),
                    &[$($crate::ActionInfo {
                        name: stringify!($action),
                        description: $does,
                        arguments: $crate::schemars::schema_for!($arguments),
                        reply: $crate::schemars::schema_for!($reply),
                    }),+],
                )
            }

            fn handle(
                arguments: String,
            ) -> Result<String, $crate::bindings::exports::bursar::plugin::handler::Decline> {
                $crate::handle::<$config>(&arguments, |call, action, arguments| match action {
                    $(stringify!($action) => Some(call.answer(arguments, $action)),)+
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
