//! Assets, which amounts count.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::amount::Limit;
use crate::document::Document;
use crate::id::AssetId;

/// The kind of an asset. Only a currency can be owed: the balance of an item is never negative. Otherwise
/// both follow the same rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A currency, such as `coin`.
    Currency,
    /// An item, such as `item:potion`. Stocks and inventories are balances of it.
    Item,
}

/// An asset. The books keep it under its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// The kind, which never changes.
    pub kind: AssetKind,
    /// The display name.
    pub name: String,
    /// The symbol that a display puts before or after amounts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub symbol: Option<String>,
    /// The number of decimals of a display: 250 with 2 decimals is shown as 2.50. The ledger itself counts
    /// smallest units. Never changes.
    pub decimals: u8,
    /// The most that may be in circulation; 2^53 − 1 by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_supply: Option<Limit>,
    /// The bot's own metadata, as JSON, such as the properties of a unique item.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Document>,
}

impl Asset {
    /// Returns the most that may be in circulation.
    pub fn supply_limit(&self) -> Limit {
        self.max_supply.unwrap_or(Limit::MAX)
    }

    /// Returns the asset's id as that of a currency; none for an item.
    pub(crate) fn currency(&self, id: &AssetId) -> Option<CurrencyId> {
        match self.kind {
            AssetKind::Currency => Some(CurrencyId(id.clone())),
            AssetKind::Item => None,
        }
    }
}

/// The id of an asset that is a currency. It is created from the asset, so that nothing for currencies can
/// be stored for an item.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CurrencyId(AssetId);

impl CurrencyId {
    /// Returns the id of the asset.
    pub fn as_asset(&self) -> &AssetId {
        &self.0
    }
}

impl Borrow<AssetId> for CurrencyId {
    fn borrow(&self) -> &AssetId {
        &self.0
    }
}
