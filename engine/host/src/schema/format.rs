//! The formats of values that name something in an economy.

use bursar_ledger::{AccountId, Amount, AssetId, IdError};
use serde_json::Value;

/// A format that values are checked against. All other formats only annotate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// A text that is the name of an account.
    Account,
    /// A text that is the name of an asset.
    Asset,
    /// A number of smallest units of an asset.
    Amount,
}

/// An account, asset or amount that a value names. It need not exist in the economy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum NameFormat {
    /// An account.
    Account(AccountId),
    /// An asset.
    Asset(AssetId),
    /// An amount.
    Amount(Amount),
}

/// A value with one of the formats `account`, `asset` and `amount`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NamedValue {
    /// A JSON pointer to the value. The pointer of a member's name is that of the member.
    pub pointer: String,
    /// The account, the asset or the amount.
    pub named: NameFormat,
}

impl Format {
    /// Returns the format with that name, if values are checked against it.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "account" => Some(Self::Account),
            "asset" => Some(Self::Asset),
            "amount" => Some(Self::Amount),
            _ => None,
        }
    }

    /// Parses the name or the amount. `None` for a value of another type and for a number that is not an amount: `type`,
    /// `minimum` and `maximum` check those.
    pub(super) fn read(self, value: &Value) -> Result<Option<NameFormat>, IdError> {
        let text = value.as_str();
        match self {
            Self::Account => text
                .map(|name| name.parse().map(NameFormat::Account))
                .transpose(),
            Self::Asset => text
                .map(|name| name.parse().map(NameFormat::Asset))
                .transpose(),
            Self::Amount => {
                let amount = value.as_u64().and_then(Amount::new);
                Ok(amount.map(NameFormat::Amount))
            }
        }
    }

    /// Returns a noun phrase for the values of the format.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Account => "the name of an account",
            Self::Asset => "the name of an asset",
            Self::Amount => "an amount",
        }
    }
}
