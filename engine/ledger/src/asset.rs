//! Assets: what amounts count.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::amount::Limit;
use crate::document::Document;
use crate::id::AssetId;

/// Whether an asset is money or a thing. Only money can be owed: no balance of a thing goes below zero,
/// whatever the limits of an account say. Else both follow the same rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// Money, such as `coin`.
    Currency,
    /// A thing, such as `item:potion`. Stock and inventory are balances of it.
    Item,
}

/// What is known of an asset. Its name is the key under which the books keep it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asset {
    /// Money or a thing; never changes.
    pub kind: AssetKind,
    /// The name that people read.
    pub name: String,
    /// A sign before or after amounts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub symbol: Option<String>,
    /// How many decimals a display puts into an amount: 250 with 2 decimals reads 2.50. The ledger
    /// itself counts smallest units only. Never changes.
    pub decimals: u8,
    /// The most that may be in circulation; without it 2^53 − 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_supply: Option<Limit>,
    /// Anything a bot wants to keep here, as JSON: what makes a unique item the one that it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Document>,
}

impl Asset {
    /// The most that may be in circulation.
    pub fn supply_limit(&self) -> Limit {
        self.max_supply.unwrap_or(Limit::MAX)
    }

    /// The asset's id as one of a currency, unless the asset is an item.
    pub(crate) fn currency(&self, id: &AssetId) -> Option<CurrencyId> {
        match self.kind {
            AssetKind::Currency => Some(CurrencyId(id.clone())),
            AssetKind::Item => None,
        }
    }
}

/// The id of an asset that is a currency. It is made from the asset, so that what is kept under it is
/// never kept of an item.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CurrencyId(AssetId);

impl CurrencyId {
    /// The asset.
    pub fn as_asset(&self) -> &AssetId {
        &self.0
    }
}

impl Borrow<AssetId> for CurrencyId {
    fn borrow(&self) -> &AssetId {
        &self.0
    }
}
