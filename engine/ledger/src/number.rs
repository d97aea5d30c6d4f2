//! Numbers that stand for the names of accounts and assets inside one economy.
//!
//! The books assign them from 0 in the order of creation, and never assign one twice.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a number of things of one kind.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of an account in its economy.
    AccountNumber
}
number! {
    /// The number of an asset in its economy.
    AssetNumber
}
