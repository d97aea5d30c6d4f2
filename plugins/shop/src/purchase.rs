//! The arguments of a purchase and its reply.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;

/// The largest quantity of one purchase.
const QUANTITY_MAX: u64 = 1000;

/// The arguments of `buy`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuyArguments {
    /// The item.
    pub(crate) item: Asset,
    /// The number of units; 1 if absent.
    #[serde(default)]
    quantity: Quantity,
}

/// A number of units of an item: 1 to 1,000.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "Amount")]
struct Quantity(Amount);

impl Default for Quantity {
    fn default() -> Self {
        Self(Amount::ONE)
    }
}

impl TryFrom<Amount> for Quantity {
    type Error = String;

    fn try_from(units: Amount) -> Result<Self, String> {
        if units.get() > QUANTITY_MAX {
            return Err(format!("a quantity is 1 to {QUANTITY_MAX}"));
        }
        Ok(Self(units))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": QUANTITY_MAX })
    }
}

/// The reply to `buy`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct BuyReply {
    /// The item.
    pub(crate) item: Asset,
    /// The number of units.
    pub(crate) quantity: Amount,
    /// The price that was paid, per currency.
    pub(crate) paid: BTreeMap<Asset, Amount>,
    /// The number of the purchase, which `refund` takes. It is absent if the purchase cannot be returned: the
    /// offer has no refunds, or the member has too many purchases that can be returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purchase: Option<u64>,
}

impl BuyArguments {
    /// Returns the requested number of units.
    pub(crate) fn quantity(&self) -> Amount {
        self.quantity.0
    }
}

/// Declines a purchase of more units than are in stock.
pub(crate) fn out_of_stock(item: &Asset) -> Decline {
    Decline::new("out_of_stock", format!("There is not enough {item} left."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_1_to_1000_and_1_if_absent() {
        let read =
            |text: &str| serde_json::from_str::<BuyArguments>(text).map(|buy| buy.quantity().get());
        assert_eq!(read(r#"{"item": "item:potion"}"#).expect("one"), 1);
        assert_eq!(
            read(r#"{"item": "item:potion", "quantity": 1000}"#).expect("most"),
            1000
        );
        assert!(read(r#"{"item": "item:potion", "quantity": 1001}"#).is_err());
        assert!(read(r#"{"item": "item:potion", "quantity": 0}"#).is_err());
    }

    #[test]
    fn the_schema_has_the_limits_of_a_quantity() {
        let buy = serde_json::to_value(schemars::schema_for!(BuyArguments)).expect("JSON");
        let quantity = &buy["properties"]["quantity"];
        assert_eq!(
            [
                &quantity["default"],
                &quantity["minimum"],
                &quantity["maximum"]
            ],
            [1, 1, QUANTITY_MAX]
        );
    }
}
