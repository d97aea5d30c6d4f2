//! The configuration of the shop, and the offer that applies to a buyer.

use std::collections::{BTreeMap, BTreeSet};

use bursar_plugin::prelude::*;

use crate::terms::{SaleTerms, role_required};

/// The largest number of offers.
const OFFERS_MAX: usize = 256;
/// The largest number of currencies in one price. Together with the item they stay within a call's 16
/// transfers.
const CURRENCIES_MAX: usize = 8;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The offers. An item may have one offer without a role and one for each role. The first offer whose role
    /// the buyer has applies, in this order; otherwise the offer without a role applies. An offer that is not
    /// for sale at the moment applies only if there is no other.
    #[schemars(length(max = OFFERS_MAX))]
    pub(crate) items: Vec<Offer>,
}

/// An item for sale, at the price for one role or for all members.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// The item.
    pub(crate) item: Asset,
    /// The price of one unit, per currency. It has one to eight currencies.
    // `length` is for texts and lists; schemars ignores it silently for a map.
    #[schemars(extend("minProperties" = 1, "maxProperties" = CURRENCIES_MAX))]
    price: BTreeMap<Asset, Amount>,
    /// The number of units that one member may ever buy; unlimited if absent.
    pub(crate) per_member_limit: Option<u64>,
    /// The seconds between two purchases by one member; no pause if absent.
    pub(crate) cooldown_s: Option<u64>,
    /// The time of the sale and the conditions for buyers; always and for all members if absent.
    #[serde(default)]
    terms: SaleTerms,
    /// The seconds in which a member can return a purchase for the price that was paid; no refunds if absent. A
    /// later change does not affect earlier purchases.
    refund_within_s: Option<u64>,
    /// The level of the shelf after a restock; no restock if absent. At most one offer of an item sets it.
    pub(crate) restock: Option<RestockLevel>,
}

/// The level to which an item is restocked.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestockLevel {
    /// The number of units for sale after a restock. A shelf with more units stays as it is.
    pub(crate) to: Amount,
}

/// The refund that is promised with a purchase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefundPromise {
    /// Seconds in which the purchase can be returned.
    pub(crate) within_s: u64,
    /// `true` if the purchase was counted towards the member's limit.
    pub(crate) counted: bool,
}

impl Config {
    /// Returns the offer of an item that applies to a buyer now: the first one whose role the buyer has, or else
    /// the one without a role. An offer that is not for sale at the moment is skipped if there is another one.
    pub(crate) fn find(
        &self,
        item: &Asset,
        now_ms: u64,
        has_role: impl Fn(&str) -> bool,
    ) -> Result<&Offer, Decline> {
        let offers = self.offers(item)?;
        let for_role = |offer: &&&Offer| offer.terms.role().is_some_and(&has_role);
        let without_role = |offer: &&&Offer| offer.terms.role().is_none();
        let applicable = offers.iter().filter(for_role);
        let applicable: Vec<_> = applicable
            .chain(offers.iter().filter(without_role))
            .collect();
        let on_sale = |offer: &&&&Offer| offer.terms.check_time(now_ms).is_ok();
        match applicable.iter().find(on_sale).or(applicable.first()) {
            Some(offer) => offer.terms.check_time(now_ms).map(|()| **offer),
            None => Err(role_required(
                offers.iter().filter_map(|offer| offer.terms.role()),
            )),
        }
    }

    /// Returns all offers of an item: at least one, and at most one for each role.
    fn offers(&self, item: &Asset) -> Result<Vec<&Offer>, Decline> {
        let offers = self.items.iter().filter(|offer| offer.item == *item);
        let offers: Vec<_> = offers.collect();
        if offers.is_empty() {
            let message = format!("The shop does not sell {item}.");
            return Err(Decline::new("unknown_item", message));
        }
        let mut roles = BTreeSet::new();
        if offers.iter().all(|offer| roles.insert(offer.terms.role())) {
            return Ok(offers);
        }
        let message = format!("The configuration offers {item} twice to the same members.");
        Err(Decline::new("misconfigured", message))
    }

    /// Returns true if purchases of an item are counted for each member.
    ///
    /// A purchase by an offer without a limit is counted as well, since another offer of the item may apply to
    /// the next purchase.
    pub(crate) fn counts(&self, item: &Asset) -> bool {
        let mut offers = self.items.iter().filter(|offer| offer.item == *item);
        offers.any(|offer| offer.per_member_limit.is_some() || offer.cooldown_s.is_some())
    }

    /// Returns the item and the level of each offer that restocks its item.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Asset, RestockLevel)> {
        let items = self.items.iter();
        items.filter_map(|offer| Some((&offer.item, offer.restock?)))
    }
}

impl Offer {
    /// Returns the time of the sale and the conditions for buyers.
    pub(crate) fn terms(&self) -> &SaleTerms {
        &self.terms
    }

    /// Returns the refund that is promised with a purchase.
    pub(crate) fn refund_promise(&self, counted: bool) -> Option<RefundPromise> {
        let within_s = self.refund_within_s.filter(|seconds| *seconds > 0)?;
        Some(RefundPromise { within_s, counted })
    }

    /// Returns the price of a quantity, per currency.
    pub(crate) fn cost(&self, quantity: Amount) -> Result<BTreeMap<Asset, Amount>, Decline> {
        let count = self.price.len();
        if !(1..=CURRENCIES_MAX).contains(&count) {
            let item = &self.item;
            let message = format!(
                "The configuration has a price of {count} currencies for {item}: it must have 1 to {CURRENCIES_MAX}."
            );
            return Err(Decline::new("misconfigured", message));
        }
        let cost = |(asset, price): (&Asset, &Amount)| {
            Ok((asset.clone(), price.checked_mul(quantity.get())?))
        };
        self.price.iter().map(cost).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a configuration with these offers, as JSON.
    pub(crate) fn config(items: &str) -> Config {
        serde_json::from_str(&format!("{{\"items\": {items}}}")).expect("a configuration")
    }

    /// Returns a configuration that sells potions with a limit and a cooldown.
    pub(crate) fn potion() -> Config {
        config(
            r#"[{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3, "cooldown_s": 10}]"#,
        )
    }

    pub(crate) fn units(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    /// Returns the offer of an item for a member without roles.
    pub(crate) fn offer<'a>(config: &'a Config, item: &'static str) -> &'a Offer {
        let found = config.find(&Asset::new(item), 0, |_| false);
        found.expect("on offer")
    }

    #[test]
    fn an_item_without_an_offer_or_with_two_is_declined() {
        let code = |config: &Config, item| {
            config
                .find(&Asset::new(item), 0, |_| false)
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

    /// Returns the price of `a` for a buyer with these roles at a time, or the code of the decline.
    fn price_for(offers: &str, roles: &[&str], now_ms: u64) -> Result<u64, &'static str> {
        let config = config(offers);
        let found = config.find(&Asset::new("a"), now_ms, |role| roles.contains(&role));
        let price = found.map(|offer| offer.price[&Asset::new("coin")].get());
        price.map_err(|decline| decline.code())
    }

    #[test]
    fn the_first_offer_with_a_role_of_the_member_applies_or_the_one_without_a_role() {
        let offers = r#"[
            {"item": "a", "price": {"coin": 9}},
            {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip"}},
            {"item": "b", "price": {"coin": 1}, "terms": {"role": "other"}},
            {"item": "a", "price": {"coin": 7}, "terms": {"role": "mod"}}
        ]"#;
        let price = |roles: &[&str]| price_for(offers, roles, 0);
        assert_eq!(price(&[]), Ok(9));
        assert_eq!(price(&["other"]), Ok(9));
        assert_eq!(price(&["mod"]), Ok(7));
        assert_eq!(price(&["vip"]), Ok(5));
        assert_eq!(
            price(&["mod", "vip"]),
            Ok(5),
            "in the order of the configuration"
        );
    }

    #[test]
    fn a_member_without_the_role_of_an_offer_is_declined() {
        let offers = r#"[
            {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip"}},
            {"item": "a", "price": {"coin": 7}, "terms": {"role": "mod"}}
        ]"#;
        assert_eq!(price_for(offers, &["x"], 0), Err("role_required"));
        let twice = r#"[
            {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip"}},
            {"item": "a", "price": {"coin": 7}, "terms": {"role": "vip"}}
        ]"#;
        assert_eq!(price_for(twice, &["vip"], 0), Err("misconfigured"));
    }

    #[test]
    fn an_offer_that_is_not_for_sale_is_skipped() {
        let offers = r#"[
            {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip", "until_ms": 1000}},
            {"item": "a", "price": {"coin": 9}, "terms": {"from_ms": 500}}
        ]"#;
        let price = |roles: &[&str], now_ms| price_for(offers, roles, now_ms);
        assert_eq!(price(&["vip"], 999), Ok(5));
        assert_eq!(price(&["vip"], 1000), Ok(9));
        assert_eq!(price(&[], 499), Err("not_yet_for_sale"));
        let over = r#"[{"item": "a", "price": {"coin": 5}, "terms": {"until_ms": 1000}}]"#;
        assert_eq!(price_for(over, &[], 1000), Err("sale_over"));
    }

    #[test]
    fn a_price_is_multiplied_in_each_currency() {
        let config = config(r#"[{"item": "a", "price": {"coin": 50, "gem": 2}}]"#);
        let offer = offer(&config, "a");
        let cost = offer.cost(units(3)).expect("a cost");
        assert_eq!(
            cost.into_iter().collect::<Vec<_>>(),
            [
                (Asset::new("coin"), units(150)),
                (Asset::new("gem"), units(6))
            ]
        );
    }

    #[test]
    fn a_price_beyond_the_largest_amount_is_declined() {
        let config = config(r#"[{"item": "a", "price": {"coin": 9007199254740991}}]"#);
        let offer = offer(&config, "a");
        assert!(offer.cost(units(1)).is_ok());
        let too_much = offer.cost(units(2)).expect_err("too much");
        assert_eq!(too_much.code(), "amount_out_of_range");
    }

    #[test]
    fn a_price_has_one_to_eight_currencies() {
        let code = |currencies: usize| {
            let price: Vec<_> = (0..currencies).map(|n| format!("\"c{n}\": 1")).collect();
            let config = config(&format!(
                r#"[{{"item": "a", "price": {{{}}}}}]"#,
                price.join(",")
            ));
            let offer = offer(&config, "a");
            offer.cost(units(1)).map_err(|decline| decline.code()).err()
        };
        assert_eq!([code(1), code(CURRENCIES_MAX)], [None, None]);
        assert_eq!(
            [code(0), code(CURRENCIES_MAX + 1)],
            [Some("misconfigured"); 2]
        );
    }

    #[test]
    fn an_older_configuration_has_neither_refunds_nor_restocks() {
        let refunds = |config: &Config, item| {
            let offer = config
                .find(&Asset::new(item), 0, |_| false)
                .expect("on offer");
            offer.refund_promise(false).map(|promise| promise.within_s)
        };
        assert_eq!(refunds(&potion(), "item:potion"), None);
        assert_eq!(potion().levels().count(), 0);
        let offer = |within_s| {
            config(&format!(
                r#"[{{"item": "a", "price": {{"coin": 1}}, "refund_within_s": {within_s}}}]"#
            ))
        };
        assert_eq!(refunds(&offer(0), "a"), None, "no time means no refund");
        assert_eq!(refunds(&offer(1), "a"), Some(1));
    }

    #[test]
    fn the_schema_has_the_limits_of_the_rules() {
        let config = serde_json::to_value(schemars::schema_for!(Config)).expect("JSON");
        let price = config
            .pointer("/$defs/Offer/properties/price")
            .expect("a price");
        assert_eq!(price["minProperties"], 1);
        assert_eq!(price["maxProperties"], CURRENCIES_MAX);
        assert_eq!(config["properties"]["items"]["maxItems"], 256);
    }
}
