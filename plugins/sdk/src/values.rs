//! Names and amounts as plugins use them: checked when they are read, so that rules need not.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The largest amount: 2^53 − 1.
const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// Characters in a name.
const NAME_CHARS_MAX: usize = 128;

/// Declares a name. The host checks it again; here it only has to be safe to put into a text.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// A name that is written in the code. That it is one shows when it is used: what is no
            /// name ends the call as a fault.
            pub const fn new(name: &'static str) -> Self {
                Self(Cow::Borrowed(name))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Cow::Owned(name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": "^[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$",
                    "maxLength": NAME_CHARS_MAX,
                    "examples": [$example],
                })
            }
        }
    };
}

name! {
    /// An account, such as `user:81384788765712384`.
    Account, "user:81384788765712384"
}

name! {
    /// An asset, such as `coin` or `item:potion`.
    Asset, "item:potion"
}

/// An amount in an asset's smallest unit: a whole number from 1 to 2^53 − 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(u64);

impl Amount {
    /// An amount, unless the number is zero or above 2^53 − 1.
    pub const fn new(units: u64) -> Option<Self> {
        if units >= 1 && units <= AMOUNT_MAX {
            Some(Self(units))
        } else {
            None
        }
    }

    /// The number of smallest units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// So many times this, unless that is no amount.
    pub fn times(self, factor: u64) -> Option<Self> {
        self.0.checked_mul(factor).and_then(Self::new)
    }

    /// This and another, unless that is no amount.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }
}

impl TryFrom<u64> for Amount {
    type Error = &'static str;

    fn try_from(units: u64) -> Result<Self, Self::Error> {
        Self::new(units).ok_or("an amount is a whole number from 1 to 9007199254740991")
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": AMOUNT_MAX })
    }
}

/// The configuration of a plugin that has none: `{}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_end_at_their_limits() {
        assert_eq!(Amount::new(0), None);
        assert!(Amount::new(AMOUNT_MAX).is_some());
        assert_eq!(Amount::new(AMOUNT_MAX + 1), None);
        let most = Amount::new(AMOUNT_MAX).expect("the maximum");
        assert_eq!(most.times(2), None);
        assert_eq!(most.times(0), None);
        assert_eq!(most.plus(most), None);
        assert!(serde_json::from_str::<Amount>("0").is_err());
        assert!(serde_json::from_str::<Amount>("1.5").is_err());
    }
}
