//! The purchases of one item by one member, for limits and cooldowns.

use bursar_plugin::prelude::*;
use bursar_plugin::{is_far_ahead, name_key, rest_left_ms};

use crate::config::Offer;

/// The counted purchases of one item by one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PurchaseHistory {
    /// The number of units that were bought and not returned.
    count: u64,
    /// The time of the last purchase, even if it was returned.
    last_ms: Option<u64>,
}

/// Returns the key of a member's history of an item.
///
/// No name contains a slash, so no two pairs share a key.
pub(crate) fn history_key(item: &Asset, member: &Account) -> Result<String, Decline> {
    name_key(format!("bought/{item}/{member}"))
}

impl PurchaseHistory {
    /// Removes returned units from the count. The time of the last purchase stays, so that a refund does not end
    /// a cooldown.
    pub(crate) fn without(self, quantity: Amount) -> Self {
        Self {
            count: self.count.saturating_sub(quantity.get()),
            ..self
        }
    }

    /// Adds a purchase. Declines a purchase beyond the limit or within the cooldown.
    pub(crate) fn with(
        self,
        offer: &Offer,
        quantity: Amount,
        now_ms: u64,
    ) -> Result<Self, Decline> {
        let rest_ms = offer.cooldown_s.unwrap_or(0).saturating_mul(1000);
        // A time far ahead was written while the clock was wrong, and is ignored.
        let last_ms = self
            .last_ms
            .filter(|last_ms| !is_far_ahead(*last_ms, rest_ms, now_ms));
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
                let message = format!(
                    "You have bought {} of at most {limit} {}.",
                    self.count, offer.item
                );
                Err(Decline::new("limit_reached", message))
            }
            // A call keeps its time when it runs again, so a later call may have committed before it.
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
    use crate::config::tests::{config, offer, potion, units};

    #[test]
    fn a_member_buys_at_most_the_limit() {
        let config = potion();
        let offer = offer(&config, "item:potion");
        let three = PurchaseHistory::default()
            .with(offer, units(3), 0)
            .expect("three are allowed");
        let declined = three
            .with(offer, units(1), 60_000)
            .expect_err("a fourth is not");
        assert_eq!(declined.code(), "limit_reached");
        let at_once = PurchaseHistory::default()
            .with(offer, units(4), 0)
            .expect_err("nor four at once");
        assert_eq!(at_once.code(), "limit_reached");
    }

    #[test]
    fn the_cooldown_ends_on_its_millisecond() {
        let config = potion();
        let offer = offer(&config, "item:potion");
        let first = PurchaseHistory::default()
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
    fn purchases_by_all_offers_of_an_item_count_towards_a_limit() {
        let config = config(
            r#"[
                {"item": "a", "price": {"coin": 5}, "terms": {"role": "vip"}},
                {"item": "a", "price": {"coin": 9}, "per_member_limit": 2},
                {"item": "b", "price": {"coin": 9}}
            ]"#,
        );
        let a = Asset::new("a");
        assert!(config.counts(&a) && !config.counts(&Asset::new("b")));
        let vip = config.find(&a, 0, |_| true).expect("on offer");
        let five = PurchaseHistory::default()
            .with(vip, units(5), 0)
            .expect("no limit");
        let plain = config.find(&a, 0, |_| false).expect("on offer");
        let more = five
            .with(plain, units(1), 0)
            .expect_err("five are more than two");
        assert_eq!(more.code(), "limit_reached");
    }

    #[test]
    fn overtaking_purchases_are_declined_only_with_a_cooldown() {
        let config = config(r#"[{"item": "a", "price": {"coin": 1}, "per_member_limit": 2}]"#);
        let offer = offer(&config, "a");
        let later = PurchaseHistory::default().with(offer, units(1), 2000);
        let both = later.expect("the first").with(offer, units(1), 1999);
        assert_eq!(both.expect("the second").last_ms, Some(2000));
    }

    #[test]
    fn a_cooldown_beyond_the_largest_time_never_ends() {
        let text = r#"[{"item": "a", "price": {"coin": 1}, "cooldown_s": 18446744073709551615}]"#;
        let config = config(text);
        let offer = offer(&config, "a");
        let first = PurchaseHistory::default().with(offer, units(1), 7);
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
        let free = 128 - "bought/".len() - "/".len() - member.as_str().len();
        let longest = history_key(&item(free), &member).expect("it fits");
        assert_eq!(longest.len(), 128);
        let declined = history_key(&item(free + 1), &member).expect_err("one too many");
        assert_eq!(declined.code(), "name_too_long");
    }

    #[test]
    fn returned_units_are_not_counted_but_the_cooldown_stays() {
        let config = potion();
        let offer = offer(&config, "item:potion");
        let three = PurchaseHistory::default()
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
            "the returned purchase still starts the cooldown"
        );
        assert!(none.with(offer, units(3), 15_000).is_ok());
    }

    #[test]
    fn a_stored_history_is_read_without_loss() {
        let text = r#"{"count": 2, "last_ms": 5000}"#;
        let history: PurchaseHistory = serde_json::from_str(text).expect("a history");
        assert_eq!((history.count, history.last_ms), (2, Some(5000)));
        assert_eq!(
            serde_json::to_string(&history).expect("JSON"),
            r#"{"count":2,"last_ms":5000}"#
        );
    }
}
