//! The formats that say what a value names in an economy.

use bursar_ledger::{AccountId, Amount, AssetId, IdError};
use serde_json::Value;

/// A format with a meaning here. Every other one is for people and forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// A text that is the name of an account.
    Account,
    /// A text that is the name of an asset.
    Asset,
    /// A number of an asset's smallest units.
    Amount,
}

/// Something of an economy that a value names. The economy need not have it.
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
    /// The place of the value, as a JSON pointer. The name of a member has the pointer of the member.
    pub pointer: String,
    /// The account, the asset or the amount.
    pub named: NameFormat,
}

impl Format {
    /// The format of that name, if it has a meaning here.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "account" => Some(Self::Account),
            "asset" => Some(Self::Asset),
            "amount" => Some(Self::Amount),
            _ => None,
        }
    }

    /// Reads the name or the amount that a value is. A value of another type is none, nor is a number that
    /// is no amount: `type`, `minimum` and `maximum` speak of those.
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

    /// A phrase for what the format says of a value.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Account => "the name of an account",
            Self::Asset => "the name of an asset",
            Self::Amount => "an amount",
        }
    }
}
