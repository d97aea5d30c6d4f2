//! The shop's rules: plain functions, without the host.

use std::collections::{BTreeMap, BTreeSet};

use bursar_plugin::prelude::*;
use bursar_plugin::{is_far_ahead, name_key, rest_left_ms};

use crate::refunds::Promise;
use crate::restock::Restock;
use crate::terms::{Terms, role_required};

/// Most of one item in one purchase.
const QUANTITY_MAX: u64 = 1000;
/// Most offers.
const OFFERS_MAX: usize = 256;
/// Most currencies in one price. With the item itself they stay within a call's 16 transfers.
const CURRENCIES_MAX: usize = 8;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is for sale: each item once for everybody, and once for each role that has a price of its own.
    /// The first offer of an item whose role the buyer has applies, in this order, or else the one without a
    /// role; one that is not for sale at the moment only where no other applies.
    #[schemars(length(max = OFFERS_MAX))]
    pub(crate) items: Vec<Offer>,
}

/// One item for sale, at the price of one role or of everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// The item.
    pub(crate) item: Asset,
    /// What one of it costs, per currency: in one to eight of them.
    // `length` is for texts and lists; of a map schemars would drop it without a word.
    #[schemars(extend("minProperties" = 1, "maxProperties" = CURRENCIES_MAX))]
    price: BTreeMap<Asset, Amount>,
    /// How many one member may buy, ever; any number where absent.
    per_member_limit: Option<u64>,
    /// Seconds that a member waits between two purchases of it; none where absent.
    cooldown_s: Option<u64>,
    /// When it is for sale, and to whom; always and to everybody where absent.
    #[serde(default)]
    terms: Terms,
    /// Seconds in which a member can give a purchase back for what it paid; never where absent. A purchase
    /// keeps what was promised with it.
    refund_within_s: Option<u64>,
    /// What is put onto the shelf when a restock is due; nothing where absent. Of the offers of one item at
    /// most one says it.
    pub(crate) restock: Option<Restock>,
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

/// What a member got.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Bought {
    /// The item.
    pub(crate) item: Asset,
    /// How many of it.
    pub(crate) quantity: Amount,
    /// What was paid, per currency.
    pub(crate) paid: BTreeMap<Asset, Amount>,
    /// Its number, by which it can be given back; absent where it cannot: nothing is promised for it, or
    /// the member has as many purchases open as the shop keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purchase: Option<u64>,
}

/// What the shop remembers of a member and an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// How many were bought, ever, and not given back.
    count: u64,
    /// When the last were bought, given back or not; none before the first.
    last_ms: Option<u64>,
}

impl Buy {
    /// How many are wanted.
    pub(crate) fn quantity(&self) -> Amount {
        self.quantity.0
    }
}

impl Config {
    /// The offer of an item that applies to a buyer now: the first one whose role the buyer has, or else the
    /// one for everybody. One that is not for sale at the moment is passed over if there is another.
    pub(crate) fn find(
        &self,
        item: &Asset,
        now_ms: u64,
        has_role: impl Fn(&str) -> bool,
    ) -> Result<&Offer, Decline> {
        let offers = self.offers(item)?;
        let has = |offer: &&&Offer| offer.terms.role().is_some_and(&has_role);
        let everybody = |offer: &&&Offer| offer.terms.role().is_none();
        let applying = offers.iter().filter(has);
        let applying: Vec<_> = applying.chain(offers.iter().filter(everybody)).collect();
        let on_sale = |offer: &&&&Offer| offer.terms.check_time(now_ms).is_ok();
        match applying.iter().find(on_sale).or(applying.first()) {
            Some(offer) => offer.terms.check_time(now_ms).map(|()| **offer),
            None => Err(role_required(
                offers.iter().filter_map(|offer| offer.terms.role()),
            )),
        }
    }

    /// All offers of an item: at least one, and no two for the same buyers.
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

    /// Whether anything must be remembered of who bought an item: also of a purchase that no limit speaks of,
    /// since another offer of the item may apply to the next.
    pub(crate) fn remembers(&self, item: &Asset) -> bool {
        let mut offers = self.items.iter().filter(|offer| offer.item == *item);
        offers.any(|offer| offer.per_member_limit.is_some() || offer.cooldown_s.is_some())
    }

    /// The levels to be restocked to, each with its item.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (&Asset, Restock)> {
        let items = self.items.iter();
        items.filter_map(|offer| Some((&offer.item, offer.restock?)))
    }
}

impl Offer {
    /// When it is for sale, and to whom.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What is promised with a purchase, if it can be given back.
    pub(crate) fn promise(&self, counted: bool) -> Option<Promise> {
        let within_s = self.refund_within_s.filter(|seconds| *seconds > 0)?;
        Some(Promise { within_s, counted })
    }

    /// What so many cost.
    pub(crate) fn cost(&self, quantity: Amount) -> Result<BTreeMap<Asset, Amount>, Decline> {
        if !(1..=CURRENCIES_MAX).contains(&self.price.len()) {
            let (item, count) = (&self.item, self.price.len());
            let message = format!("The configuration has {count} currencies to pay {item} in.");
            return Err(Decline::new("misconfigured", message));
        }
        let cost = |(asset, price): (&Asset, &Amount)| {
            Ok((asset.clone(), price.checked_mul(quantity.get())?))
        };
        self.price.iter().map(cost).collect()
    }
}

/// Where the shop remembers what a member bought of an item.
///
/// A slash is in no name, so that two pairs never share a key.
pub(crate) fn history_key(item: &Asset, member: &Account) -> Result<String, Decline> {
    name_key(format!("bought/{item}/{member}"))
}

/// There is less of an item than is wanted.
pub(crate) fn out_of_stock(item: &Asset) -> Decline {
    Decline::new("out_of_stock", format!("There is not enough {item} left."))
}

impl History {
    /// What is remembered when some were given back: they count no longer, though they were the last.
    pub(crate) fn without(self, quantity: Amount) -> Self {
        Self {
            count: self.count.saturating_sub(quantity.get()),
            ..self
        }
    }

    /// What is remembered after one more purchase, unless it is one too many or too soon.
    pub(crate) fn with(
        self,
        offer: &Offer,
        quantity: Amount,
        now_ms: u64,
    ) -> Result<Self, Decline> {
        let rest_ms = offer.cooldown_s.unwrap_or(0).saturating_mul(1000);
        // Where the clock was ahead, what it showed is forgotten.
        let last_ms = self.last_ms;
        let last_ms = last_ms.filter(|last_ms| !is_far_ahead(*last_ms, rest_ms, now_ms));
        if let (Some(_), Some(last_ms)) = (offer.cooldown_s, last_ms) {
            let left_ms = rest_left_ms(last_ms, rest_ms, now_ms);
            if left_ms > 0 {
                let seconds = left_ms.div_ceil(1000);
                let message = format!("You can buy {} again in {seconds} s.", offer.item);
                return Err(Decline::new("cooling_down", message));
            }
        }
        let count = self.count.saturating_add(quantity.get());
        match offer.per_member_limit {
            Some(limit) if count > limit => {
                let message = format!("You have {} of at most {limit} {}.", self.count, offer.item);
                Err(Decline::new("limit_reached", message))
            }
            // A call keeps its own time when it has to run again, so a later one may be done before.
            Some(_) | None => Ok(Self {
                count,
                last_ms: last_ms.max(Some(now_ms)),
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
        let offer = config
            .find(&Asset::new("item:potion"), 0, |_| false)
            .expect("on offer");
        let three = History::default()
            .with(offer, units(3), 0)
            .expect("three are allowed");
        let declined = three
            .with(offer, units(1), 60_000)
            .expect_err("a fourth is not");
        assert_eq!(declined.code(), "limit_reached");
        let at_once = History::default()
            .with(offer, units(4), 0)
            .expect_err("nor four at once");
        assert_eq!(at_once.code(), "limit_reached");
    }

    #[test]
    fn the_cooldown_ends_on_its_millisecond() {
        let config = potion();
        let offer = config
            .find(&Asset::new("item:potion"), 0, |_| false)
            .expect("on offer");
        let first = History::default()
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

    /// The price of `a` for a buyer with these roles at a moment, or the code of the decline.
    fn price_for(offers: &str, roles: &[&str], now_ms: u64) -> Result<u64, &'static str> {
        let config = config(offers);
        let found = config.find(&Asset::new("a"), now_ms, |role| roles.contains(&role));
        let price = found.map(|offer| offer.price[&Asset::new("coin")].get());
        price.map_err(|decline| decline.code())
    }

    #[test]
    fn the_first_offer_whose_role_a_member_has_applies_or_the_one_for_everybody() {
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
    fn members_without_a_role_that_an_item_is_sold_to_are_told_so() {
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
    fn an_offer_that_is_not_for_sale_now_gives_way_to_one_that_is() {
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
    fn what_any_offer_of_an_item_limits_is_counted_in_all_of_them() {
        let config = config(
            r#"[
                {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip"}},
                {"item": "a", "price": {"coin": 9}, "per_member_limit": 2},
                {"item": "b", "price": {"coin": 9}}
            ]"#,
        );
        let a = Asset::new("a");
        assert!(config.remembers(&a) && !config.remembers(&Asset::new("b")));
        let vip = config.find(&a, 0, |_| true).expect("on offer");
        let five = History::default().with(vip, units(5), 0).expect("no limit");
        let plain = config.find(&a, 0, |_| false).expect("on offer");
        let more = five
            .with(plain, units(1), 0)
            .expect_err("five are more than two");
        assert_eq!(more.code(), "limit_reached");
    }

    #[test]
    fn a_price_is_multiplied_in_each_currency() {
        let config = config(r#"[{"item": "a", "price": {"coin": 50, "gem": 2}}]"#);
        let offer = config
            .find(&Asset::new("a"), 0, |_| false)
            .expect("on offer");
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
    fn a_price_beyond_all_money_is_declined() {
        let config = config(r#"[{"item": "a", "price": {"coin": 9007199254740991}}]"#);
        let offer = config
            .find(&Asset::new("a"), 0, |_| false)
            .expect("on offer");
        assert!(offer.cost(units(1)).is_ok());
        let too_much = offer.cost(units(2)).expect_err("too much");
        assert_eq!(too_much.code(), "amount_out_of_range");
    }

    #[test]
    fn a_price_is_in_one_to_eight_currencies_and_never_in_none() {
        let code = |currencies: usize| {
            let price: Vec<_> = (0..currencies).map(|n| format!("\"c{n}\": 1")).collect();
            let config = config(&format!(
                r#"[{{"item": "a", "price": {{{}}}}}]"#,
                price.join(",")
            ));
            let offer = config
                .find(&Asset::new("a"), 0, |_| false)
                .expect("on offer");
            offer.cost(units(1)).map_err(|decline| decline.code()).err()
        };
        assert_eq!([code(1), code(CURRENCIES_MAX)], [None, None]);
        assert_eq!(
            [code(0), code(CURRENCIES_MAX + 1)],
            [Some("misconfigured"); 2]
        );
    }

    #[test]
    fn the_schemas_say_what_the_rules_check() {
        let config = serde_json::to_value(schemars::schema_for!(Config)).expect("JSON");
        let price = config
            .pointer("/$defs/Offer/properties/price")
            .expect("a price");
        assert_eq!(price["minProperties"], 1);
        assert_eq!(price["maxProperties"], CURRENCIES_MAX);
        assert_eq!(config["properties"]["items"]["maxItems"], 256);
        let buy = serde_json::to_value(schemars::schema_for!(Buy)).expect("JSON");
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

    #[test]
    fn purchases_that_overtake_each_other_only_wait_where_there_is_a_cooldown() {
        let config = config(r#"[{"item": "a", "price": {"coin": 1}, "per_member_limit": 2}]"#);
        let offer = config
            .find(&Asset::new("a"), 0, |_| false)
            .expect("on offer");
        let later = History::default().with(offer, units(1), 2000);
        let both = later.expect("the first").with(offer, units(1), 1999);
        assert_eq!(both.expect("the second").last_ms, Some(2000));
    }

    #[test]
    fn a_cooldown_beyond_all_time_never_ends() {
        let text = r#"[{"item": "a", "price": {"coin": 1}, "cooldown_s": 18446744073709551615}]"#;
        let config = config(text);
        let offer = config
            .find(&Asset::new("a"), 0, |_| false)
            .expect("on offer");
        let first = History::default().with(offer, units(1), 7);
        let again = first
            .expect("the first")
            .with(offer, units(1), u64::MAX - 1);
        assert_eq!(again.expect_err("still too soon").code(), "cooling_down");
    }

    #[test]
    fn the_longest_key_has_the_bytes_that_the_contract_allows() {
        let member = Account::new("user:81384788765712384");
        let item = |bytes: usize| {
            let name = format!("{}:{}", "a".repeat(60), "b".repeat(bytes - 61));
            Asset::try_from(name).expect("a name")
        };
        let room = 128 - "bought/".len() - "/".len() - member.as_str().len();
        let longest = history_key(&item(room), &member).expect("it fits");
        assert_eq!(longest.len(), 128);
        let declined = history_key(&item(room + 1), &member).expect_err("one too many");
        assert_eq!(declined.code(), "name_too_long");
    }

    #[test]
    fn what_was_given_back_counts_no_longer_but_was_the_last() {
        let config = potion();
        let offer = config
            .find(&Asset::new("item:potion"), 0, |_| false)
            .expect("on offer");
        let three = History::default()
            .with(offer, units(3), 5_000)
            .expect("three");
        let one = three.without(units(2));
        let soon = one.with(offer, units(1), 14_999).expect_err("too soon");
        assert_eq!(soon.code(), "cooling_down");
        assert!(one.with(offer, units(2), 15_000).is_ok());
        let beyond = one.with(offer, units(3), 15_000).expect_err("one too many");
        assert_eq!(beyond.code(), "limit_reached");
        let none = three.without(units(3));
        let soon = none.with(offer, units(1), 14_999).expect_err("too soon");
        assert_eq!(
            soon.code(),
            "cooling_down",
            "nothing is left, but it was bought"
        );
        assert!(none.with(offer, units(3), 15_000).is_ok());
    }

    #[test]
    fn a_history_of_before_is_read_as_it_was_written() {
        let text = r#"{"count": 2, "last_ms": 5000}"#;
        let history: History = serde_json::from_str(text).expect("a history");
        assert_eq!((history.count, history.last_ms), (2, Some(5000)));
        assert_eq!(
            serde_json::to_string(&history).expect("JSON"),
            r#"{"count":2,"last_ms":5000}"#
        );
    }

    #[test]
    fn a_configuration_of_before_has_neither_refunds_nor_restocks() {
        let refunds = |config: &Config, item| {
            let offer = config
                .find(&Asset::new(item), 0, |_| false)
                .expect("on offer");
            offer.promise(false).map(|promise| promise.within_s)
        };
        assert_eq!(refunds(&potion(), "item:potion"), None);
        assert_eq!(potion().levels().count(), 0);
        let offer = |within_s| {
            config(&format!(
                r#"[{{"item": "a", "price": {{"coin": 1}}, "refund_within_s": {within_s}}}]"#
            ))
        };
        assert_eq!(refunds(&offer(0), "a"), None, "no time is never");
        assert_eq!(refunds(&offer(1), "a"), Some(1));
    }
}
