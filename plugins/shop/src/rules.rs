//! The shop's rules: plain functions, without the host.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;

/// Most of one item in one purchase.
const QUANTITY_MAX: u64 = 1000;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is for sale; each item once.
    #[schemars(length(max = 256))]
    items: Vec<Offer>,
}

/// One item for sale.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// The item.
    item: Asset,
    /// What one of it costs, per currency.
    #[schemars(length(min = 1, max = 8))]
    price: BTreeMap<Asset, Amount>,
    /// How many one member may buy, ever.
    per_member_limit: Option<u64>,
    /// Seconds that a member waits between two purchases.
    cooldown_s: Option<u64>,
}

/// What a member asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Buy {
    /// The item.
    pub(crate) item: Asset,
    /// How many; one where absent.
    #[serde(default)]
    quantity: Quantity,
}

/// How many of an item: 1 to 1,000.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Quantity(Amount);

impl Default for Quantity {
    fn default() -> Self {
        Self(Amount::new(1).expect("one is an amount"))
    }
}

impl TryFrom<u64> for Quantity {
    type Error = String;

    fn try_from(units: u64) -> Result<Self, String> {
        let amount = Amount::new(units).filter(|_| units <= QUANTITY_MAX);
        amount
            .map(Self)
            .ok_or_else(|| format!("a quantity is 1 to {QUANTITY_MAX}"))
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

/// What a member got.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Bought {
    /// The item.
    pub(crate) item: Asset,
    /// How many of it.
    pub(crate) quantity: Amount,
    /// What was paid, per currency.
    pub(crate) paid: BTreeMap<Asset, Amount>,
}

/// What the shop remembers of a member and an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Purchases {
    /// How many were bought, ever.
    count: u64,
    /// When the last were bought.
    last_ms: u64,
}

impl Buy {
    /// How many are wanted.
    pub(crate) fn quantity(&self) -> Amount {
        self.quantity.0
    }
}

impl Config {
    /// The one offer for an item.
    pub(crate) fn find(&self, item: &Asset) -> Result<&Offer, Decline> {
        let mut offers = self.items.iter().filter(|offer| offer.item == *item);
        let unknown = || Decline::new("unknown_item", format!("The shop does not sell {item}."));
        let offer = offers.next().ok_or_else(unknown)?;
        if offers.next().is_some() {
            let message = format!("The configuration offers {item} twice.");
            return Err(Decline::new("misconfigured", message));
        }
        Ok(offer)
    }
}

impl Offer {
    /// Whether anything must be remembered of who bought it.
    pub(crate) fn remembers(&self) -> bool {
        self.per_member_limit.is_some() || self.cooldown_s.is_some()
    }

    /// What so many cost.
    pub(crate) fn cost(&self, quantity: Amount) -> Result<BTreeMap<Asset, Amount>, Decline> {
        let cost = |(asset, price): (&Asset, &Amount)| {
            let too_much = || Decline::new("too_much", format!("So much {asset} does not exist."));
            Ok((
                asset.clone(),
                price.times(quantity.get()).ok_or_else(too_much)?,
            ))
        };
        self.price.iter().map(cost).collect()
    }
}

impl Purchases {
    /// What is remembered after one more purchase, unless it is one too many or too soon.
    pub(crate) fn with(
        self,
        offer: &Offer,
        quantity: Amount,
        now_ms: u64,
    ) -> Result<Self, Decline> {
        let ready_ms = self
            .last_ms
            .saturating_add(offer.cooldown_s.unwrap_or(0) * 1000);
        if self.count > 0 && now_ms < ready_ms {
            let seconds = (ready_ms - now_ms).div_ceil(1000);
            let message = format!("You can buy {} again in {seconds} s.", offer.item);
            return Err(Decline::new("cooling_down", message));
        }
        let count = self.count.saturating_add(quantity.get());
        match offer.per_member_limit {
            Some(limit) if count > limit => {
                let message = format!("You have {} of at most {limit} {}.", self.count, offer.item);
                Err(Decline::new("limit_reached", message))
            }
            Some(_) | None => Ok(Self {
                count,
                last_ms: now_ms,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(items: &str) -> Config {
        serde_json::from_str(&format!("{{\"items\": {items}}}")).expect("a configuration")
    }

    fn potion() -> Config {
        config(
            r#"[{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3, "cooldown_s": 10}]"#,
        )
    }

    fn units(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    #[test]
    fn a_quantity_is_1_to_1000_and_1_where_absent() {
        let read = |text: &str| serde_json::from_str::<Buy>(text).map(|buy| buy.quantity().get());
        assert_eq!(read(r#"{"item": "item:potion"}"#).expect("one"), 1);
        assert_eq!(
            read(r#"{"item": "item:potion", "quantity": 1000}"#).expect("most"),
            1000
        );
        assert!(read(r#"{"item": "item:potion", "quantity": 1001}"#).is_err());
        assert!(read(r#"{"item": "item:potion", "quantity": 0}"#).is_err());
    }

    #[test]
    fn a_member_buys_up_to_the_limit_and_no_more() {
        let config = potion();
        let offer = config.find(&Asset::new("item:potion")).expect("on offer");
        let three = Purchases::default()
            .with(offer, units(3), 0)
            .expect("three are allowed");
        let declined = three
            .with(offer, units(1), 60_000)
            .expect_err("a fourth is not");
        assert_eq!(declined.code(), "limit_reached");
        let at_once = Purchases::default()
            .with(offer, units(4), 0)
            .expect_err("nor four at once");
        assert_eq!(at_once.code(), "limit_reached");
    }

    #[test]
    fn the_cooldown_ends_on_its_millisecond() {
        let config = potion();
        let offer = config.find(&Asset::new("item:potion")).expect("on offer");
        let first = Purchases::default()
            .with(offer, units(1), 5_000)
            .expect("the first");
        let early = first.with(offer, units(1), 14_999).expect_err("too soon");
        assert_eq!(
            (early.code(), early.message()),
            ("cooling_down", "You can buy item:potion again in 1 s.")
        );
        assert!(first.with(offer, units(1), 15_000).is_ok());
    }

    #[test]
    fn what_is_not_sold_or_sold_twice_is_declined() {
        let code = |config: &Config, item| {
            config
                .find(&Asset::new(item))
                .map(|_| ())
                .expect_err("no")
                .code()
                .to_owned()
        };
        assert_eq!(code(&potion(), "item:sword"), "unknown_item");
        let twice =
            config(r#"[{"item": "a", "price": {"coin": 1}}, {"item": "a", "price": {"coin": 2}}]"#);
        assert_eq!(code(&twice, "a"), "misconfigured");
    }

    #[test]
    fn a_price_beyond_all_money_is_declined() {
        let config = config(r#"[{"item": "a", "price": {"coin": 9007199254740991}}]"#);
        let offer = config.find(&Asset::new("a")).expect("on offer");
        assert!(offer.cost(units(1)).is_ok());
        assert_eq!(
            offer.cost(units(2)).expect_err("too much").code(),
            "too_much"
        );
    }
}
