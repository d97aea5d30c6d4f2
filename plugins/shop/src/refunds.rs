//! Refunds: the purchases of a member that can still be returned.
//!
//! Units of an item are alike, so a rule decides to which purchase a member's units belong: the units that were
//! bought first are used first. A purchase can be returned while the member has as many units as were bought
//! with it and after it. A member can therefore not return units that were bought at a new price for an old
//! price.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use bursar_plugin::{member_key, serde_json};

use crate::config::RefundPromise;
use crate::purchase::BuyReply;

/// The largest number of purchases of one member that can be returned at a time. Further purchases have no
/// refund, as their reply shows; earlier promises stay.
pub(crate) const OPEN_MAX: usize = 24;

/// The largest value of the plugin's state, in bytes. A longer one is a fault by the contract.
const VALUE_BYTES_MAX: usize = 4096;

/// The bytes by which a stored purchase can grow: `,"since":` and the longest number.
const SINCE_BYTES: usize = 29;

/// The arguments of `refund`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundArguments {
    /// The number of the purchase, from the reply to `buy`.
    pub(crate) purchase: u64,
}

/// The reply to `refund`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RefundReply {
    /// The returned item.
    pub(crate) item: Asset,
    /// The number of returned units.
    pub(crate) quantity: Amount,
    /// The refunded price, per currency.
    pub(crate) paid: BTreeMap<Asset, Amount>,
}

/// A stored purchase that can be returned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Purchase {
    number: u64,
    item: Asset,
    quantity: Amount,
    paid: BTreeMap<Asset, Amount>,
    until_ms: u64,
    /// `true` if the purchase was counted towards the member's limit. A refund of an uncounted purchase leaves
    /// the count as it is.
    counted: bool,
    /// The number of units of the item that the member has bought later by any offer and not returned.
    #[serde(default, skip_serializing_if = "is_zero")]
    since: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_zero(units: &u64) -> bool {
    *units == 0
}

/// A member's purchases that can be returned, the oldest first.
///
/// No number is used twice, so that a late refund request cannot return another purchase.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Purchases {
    /// The number of the newest purchase.
    made: u64,
    open: Vec<Purchase>,
}

/// Returns the key of a member's purchases.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    member_key("paid", member)
}

fn not_refundable(number: u64) -> Decline {
    let message = format!("You have no purchase {number} that can still be returned.");
    Decline::new("not_refundable", message)
}

/// Declines a refund of units that the member has sold, used or given away.
pub(crate) fn item_gone(purchase: &Purchase) -> Decline {
    let Purchase {
        quantity,
        item,
        since,
        ..
    } = purchase;
    let message = match since {
        0 => format!("You do not have {quantity} {item} to return."),
        since => format!(
            "You no longer have {quantity} {item} of that purchase: you have bought {since} since, and units \
             that were bought first are used first."
        ),
    };
    Decline::new("item_gone", message)
}

/// Declines a refund that the till cannot pay.
pub(crate) fn till_too_small(asset: &Asset) -> Decline {
    let message = format!("The till does not have enough {asset} for the refund.");
    Decline::new("till_too_small", message)
}

impl Purchase {
    pub(crate) fn item(&self) -> &Asset {
        &self.item
    }

    /// Returns the number of units that the member must have, so that the units of this purchase are among them.
    pub(crate) fn needed(&self) -> Result<Amount, Decline> {
        match Amount::new(self.since) {
            Some(since) => Ok(self.quantity.checked_add(since)?),
            None => Ok(self.quantity),
        }
    }

    /// Returns the number of units to remove from the member's count after a refund.
    pub(crate) fn counted(&self) -> Option<Amount> {
        self.counted.then_some(self.quantity)
    }
}

impl From<Purchase> for RefundReply {
    fn from(purchase: Purchase) -> Self {
        let Purchase {
            item,
            quantity,
            paid,
            ..
        } = purchase;
        Self {
            item,
            quantity,
            paid,
        }
    }
}

impl Purchases {
    /// Returns true if a purchase of an item changes the list: it can be returned, or an earlier purchase of the
    /// item can.
    pub(crate) fn are_changed_by(&self, item: &Asset, promise: Option<RefundPromise>) -> bool {
        promise.is_some() || self.open.iter().any(|purchase| purchase.item == *item)
    }

    /// Records a purchase and removes purchases whose time is over. Returns the number of the purchase if it can
    /// be returned: a refund is promised, and the list has a place.
    pub(crate) fn add(
        &mut self,
        bought: &BuyReply,
        promise: Option<RefundPromise>,
        now_ms: u64,
    ) -> Option<u64> {
        self.open.retain(|purchase| now_ms < purchase.until_ms);
        for earlier in self.of(&bought.item) {
            earlier.since = earlier.since.saturating_add(bought.quantity.get());
        }
        let promise = promise?;
        let number = self.made.saturating_add(1);
        self.open.push(Purchase {
            number,
            item: bought.item.clone(),
            quantity: bought.quantity,
            paid: bought.paid.clone(),
            until_ms: now_ms.saturating_add(promise.within_s.saturating_mul(1000)),
            counted: promise.counted,
            since: 0,
        });
        let reserved = self.open.len().saturating_mul(SINCE_BYTES);
        if self.open.len() > OPEN_MAX || self.bytes().saturating_add(reserved) > VALUE_BYTES_MAX {
            self.open.pop();
            return None;
        }
        self.made = number;
        Some(number)
    }

    fn of(&mut self, item: &Asset) -> impl Iterator<Item = &mut Purchase> {
        let open = self.open.iter_mut();
        open.filter(move |purchase| purchase.item == *item)
    }

    fn bytes(&self) -> usize {
        let text = serde_json::to_string(self).expect("names and numbers can be written as JSON");
        text.len()
    }

    /// Removes a purchase that can still be returned, and returns it.
    pub(crate) fn take(&mut self, number: u64, now_ms: u64) -> Result<Purchase, Decline> {
        let found = self
            .open
            .iter()
            .position(|it| it.number == number && now_ms < it.until_ms);
        let purchase = self
            .open
            .remove(found.ok_or_else(|| not_refundable(number))?);
        let earlier = self
            .of(&purchase.item)
            .filter(|other| other.number < number);
        for earlier in earlier {
            earlier.since = earlier.since.saturating_sub(purchase.quantity.get());
        }
        Ok(purchase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn bought(price: u64) -> BuyReply {
        BuyReply {
            item: Asset::new("item:potion"),
            quantity: units(2),
            paid: [(Asset::new("coin"), units(price))].into(),
            purchase: None,
        }
    }

    fn lasting(within_s: u64) -> RefundPromise {
        RefundPromise {
            within_s,
            counted: true,
        }
    }

    fn code(purchases: &Purchases, number: u64, now_ms: u64) -> Result<u64, &'static str> {
        let taken = purchases.clone().take(number, now_ms);
        let paid = taken.map(|purchase| purchase.paid[&Asset::new("coin")].get());
        paid.map_err(|decline| decline.code())
    }

    /// Returns the number of units that a member must have to return a purchase.
    fn needed(purchases: &Purchases, number: u64) -> u64 {
        let taken = purchases.clone().take(number, 0).expect("it is open");
        taken.needed().expect("so many can be").get()
    }

    #[test]
    fn a_purchase_is_returned_once_for_its_price() {
        let mut purchases = Purchases::default();
        assert_eq!(purchases.add(&bought(50), Some(lasting(60)), 0), Some(1));
        assert_eq!(purchases.add(&bought(70), Some(lasting(60)), 0), Some(2));
        let first = RefundReply::from(purchases.take(1, 0).expect("the first"));
        assert_eq!(first.paid[&Asset::new("coin")], units(50));
        assert_eq!(
            (first.item, first.quantity),
            (Asset::new("item:potion"), units(2))
        );
        assert_eq!(code(&purchases, 1, 0), Err("not_refundable"));
        assert_eq!(code(&purchases, 2, 0), Ok(70));
        assert_eq!(code(&purchases, 3, 0), Err("not_refundable"));
    }

    #[test]
    fn units_that_were_bought_first_are_used_first() {
        let mut purchases = Purchases::default();
        for price in [100, 50, 30] {
            purchases.add(&bought(price), Some(lasting(60)), 0);
        }
        assert_eq!([1, 2, 3].map(|it| needed(&purchases, it)), [6, 4, 2]);
        // Returned units do not count as used.
        purchases.take(2, 0).expect("it is open");
        assert_eq!([1, 3].map(|it| needed(&purchases, it)), [4, 2]);
        // Purchases without a refund count as well, and other items do not.
        assert_eq!(purchases.add(&bought(10), None, 0), None);
        let sword = BuyReply {
            item: Asset::new("item:sword"),
            ..bought(1)
        };
        purchases.add(&sword, Some(lasting(60)), 0);
        assert_eq!([1, 3, 4].map(|it| needed(&purchases, it)), [6, 4, 2]);
        assert!(purchases.are_changed_by(&bought(1).item, None));
        assert!(!purchases.are_changed_by(&Asset::new("item:bow"), None));
    }

    #[test]
    fn a_refund_ends_on_its_millisecond_as_promised() {
        let mut purchases = Purchases::default();
        purchases.add(&bought(50), Some(lasting(60)), 5);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 1, 60_005), Err("not_refundable"));
        // A later purchase with another promise does not change it.
        purchases.add(&bought(50), Some(lasting(0)), 6);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 2, 6), Err("not_refundable"));
        let mut for_ever = Purchases::default();
        for_ever.add(&bought(50), Some(lasting(u64::MAX)), 5);
        assert_eq!(code(&for_ever, 1, u64::MAX - 1), Ok(50));
    }

    #[test]
    fn only_a_counted_purchase_is_removed_from_the_count() {
        let promise = |counted| {
            Some(RefundPromise {
                within_s: 60,
                counted,
            })
        };
        let mut purchases = Purchases::default();
        purchases.add(&bought(50), promise(false), 0);
        purchases.add(&bought(50), promise(true), 0);
        let mut counted = |number| purchases.take(number, 0).expect("it is there").counted();
        assert_eq!([counted(1), counted(2)], [None, Some(units(2))]);
    }

    #[test]
    fn a_full_list_keeps_its_promises_and_adds_none() {
        let mut purchases = Purchases::default();
        for number in 1..=OPEN_MAX as u64 {
            let added = purchases.add(&bought(50), Some(lasting(60)), 0);
            assert_eq!(added, Some(number));
        }
        assert_eq!(purchases.add(&bought(60), Some(lasting(60)), 0), None);
        assert_eq!(code(&purchases, 1, 0), Ok(50));
        // It is bought nevertheless, and counts for the earlier purchases.
        assert_eq!(needed(&purchases, OPEN_MAX as u64), 4);
        // A refund and the time make a place. No number is used twice.
        purchases.take(1, 0).expect("it is open");
        let next = OPEN_MAX as u64 + 1;
        assert_eq!(purchases.add(&bought(60), Some(lasting(90)), 0), Some(next));
        assert_eq!(
            purchases.add(&bought(70), Some(lasting(60)), 60_000),
            Some(next + 1)
        );
        assert_eq!(purchases.open.len(), 2);
    }

    #[test]
    fn purchases_with_the_longest_names_fit_into_a_value() {
        let name = |number: usize| {
            let name = format!("{}:{}{number}", "a".repeat(64), "b".repeat(62));
            name.parse::<Asset>().expect("a name")
        };
        let most = units((1 << 53) - 1);
        let long = BuyReply {
            item: name(9),
            quantity: units(1000),
            paid: (0..8).map(|number| (name(number), most)).collect(),
            purchase: None,
        };
        let mut purchases = Purchases {
            made: u64::MAX - OPEN_MAX as u64,
            ..Purchases::default()
        };
        for _ in 0..OPEN_MAX {
            purchases.add(&long, Some(lasting(u64::MAX)), 0);
        }
        assert_eq!(purchases.open.len(), 2, "a third one does not fit");
        // They still fit with the largest count of later units.
        for purchase in &mut purchases.open {
            purchase.since = u64::MAX;
        }
        assert!(purchases.bytes() <= VALUE_BYTES_MAX);
    }
}
