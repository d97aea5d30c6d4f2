//! What can be given back: each purchase with what was paid for it, for as long as was promised then.
//!
//! Items of a kind are alike, so a rule says which purchase those are of that a member still has: what was
//! bought first is used first. A purchase can be given back while the member has as many of the item as
//! were bought with it and after it; so nobody gives back for an old price what was bought for a new one.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use bursar_plugin::{member_key, serde_json};

use crate::rules::Bought;

/// Purchases of one member that can be given back at a time. Whoever has more of them open buys without
/// that promise, and the reply says so: what was promised before stays.
pub(crate) const KEPT_MAX: usize = 24;

/// Bytes of a value of the plugin's state, as the contract has it; a longer one is a fault.
const VALUE_BYTES_MAX: usize = 4096;

/// Bytes that a purchase may still grow by, as more is bought: `,"since":` and the longest number.
const SINCE_BYTES: usize = 29;

/// What a member gives back.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refund {
    /// The number of the purchase, as the reply to it said.
    pub(crate) purchase: u64,
}

/// What was given back, and for what.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refunded {
    /// The item that is the shop's again.
    pub(crate) item: Asset,
    /// How many of it.
    pub(crate) quantity: Amount,
    /// What was paid for it, and came back, per currency.
    pub(crate) paid: BTreeMap<Asset, Amount>,
}

/// What was promised with a purchase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// Seconds in which it can be given back.
    pub(crate) within_s: u64,
    /// Whether it was counted against what a member may buy.
    pub(crate) counted: bool,
}

/// A purchase that can be given back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Purchase {
    number: u64,
    item: Asset,
    quantity: Amount,
    paid: BTreeMap<Asset, Amount>,
    until_ms: u64,
    /// What was never counted takes nothing off the count when it is given back.
    counted: bool,
    /// How many of the item the member has bought since, on whatever terms, and not given back.
    #[serde(default, skip_serializing_if = "is_none")]
    since: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]
fn is_none(units: &u64) -> bool {
    *units == 0
}

/// What the shop keeps of a member: its purchases that can be given back, the oldest first, and the number
/// of the newest. No number comes twice, so that a refund which was asked for late meets no other purchase.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Purchases {
    made: u64,
    open: Vec<Purchase>,
}

/// Where that is kept.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    member_key("paid", member)
}

fn not_refundable(number: u64) -> Decline {
    let message = format!("You have no purchase {number} that can be given back any more.");
    Decline::new("not_refundable", message)
}

/// The member has sold, used or given away what it would have to give back.
pub(crate) fn item_gone(purchase: &Purchase) -> Decline {
    let Purchase {
        quantity,
        item,
        since,
        ..
    } = purchase;
    let message = match since {
        0 => format!("You do not have {quantity} {item} to give back."),
        since => format!(
            "You do not have {quantity} {item} of that purchase any more: you have bought {since} since, \
             and what was bought first is used first."
        ),
    };
    Decline::new("item_gone", message)
}

/// The operator has taken out of the till what would have to be paid back.
pub(crate) fn till_too_small(asset: &Asset) -> Decline {
    let message = format!("There is not enough {asset} in the till to pay that back.");
    Decline::new("till_too_small", message)
}

impl Purchase {
    pub(crate) fn item(&self) -> &Asset {
        &self.item
    }

    /// How many of the item the member has, if those of this purchase are still among them.
    pub(crate) fn needed(&self) -> Result<Amount, Decline> {
        match Amount::new(self.since) {
            Some(since) => Ok(self.quantity.checked_add(since)?),
            None => Ok(self.quantity),
        }
    }

    /// How many of its item count no longer once it is given back.
    pub(crate) fn counted(&self) -> Option<Amount> {
        self.counted.then_some(self.quantity)
    }
}

impl From<Purchase> for Refunded {
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
    /// Whether anything has to be kept of a purchase of an item: it can be given back, or another one of
    /// the item can.
    pub(crate) fn concern(&self, item: &Asset, promise: Option<Promise>) -> bool {
        promise.is_some() || self.open.iter().any(|purchase| purchase.item == *item)
    }

    /// Takes down a purchase, and hands back its number if it can be given back: if that is promised, and
    /// there is a place for it. What is too old goes.
    pub(crate) fn add(
        &mut self,
        bought: &Bought,
        promise: Option<Promise>,
        now_ms: u64,
    ) -> Option<u64> {
        self.open.retain(|purchase| now_ms < purchase.until_ms);
        for before in self.of(&bought.item) {
            before.since = before.since.saturating_add(bought.quantity.get());
        }
        let (promise, number) = (promise?, self.made.saturating_add(1));
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
        if self.open.len() > KEPT_MAX || self.bytes().saturating_add(reserved) > VALUE_BYTES_MAX {
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
        let text = serde_json::to_string(self).expect("names and numbers are JSON");
        text.len()
    }

    /// Takes a purchase out, if it can still be given back.
    pub(crate) fn take(&mut self, number: u64, now_ms: u64) -> Result<Purchase, Decline> {
        let found = self
            .open
            .iter()
            .position(|purchase| purchase.number == number && now_ms < purchase.until_ms);
        let taken = self
            .open
            .remove(found.ok_or_else(|| not_refundable(number))?);
        let before = self.of(&taken.item);
        for before in before.filter(|before| before.number < number) {
            before.since = before.since.saturating_sub(taken.quantity.get());
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn bought(price: u64) -> Bought {
        Bought {
            item: Asset::new("item:potion"),
            quantity: units(2),
            paid: [(Asset::new("coin"), units(price))].into(),
            purchase: None,
        }
    }

    fn lasting(within_s: u64) -> Promise {
        Promise {
            within_s,
            counted: true,
        }
    }

    fn code(purchases: &Purchases, number: u64, now_ms: u64) -> Result<u64, &'static str> {
        let taken = purchases.clone().take(number, now_ms);
        let paid = taken.map(|purchase| purchase.paid[&Asset::new("coin")].get());
        paid.map_err(|decline| decline.code())
    }

    /// How many of the item a member must have to give a purchase back.
    fn needed(purchases: &Purchases, number: u64) -> u64 {
        let taken = purchases.clone().take(number, 0).expect("it is open");
        taken.needed().expect("so many can be").get()
    }

    #[test]
    fn a_purchase_is_given_back_once_for_what_was_paid() {
        let mut purchases = Purchases::default();
        assert_eq!(purchases.add(&bought(50), Some(lasting(60)), 0), Some(1));
        assert_eq!(purchases.add(&bought(70), Some(lasting(60)), 0), Some(2));
        let first = Refunded::from(purchases.take(1, 0).expect("the first"));
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
    fn what_was_bought_first_is_used_first() {
        let mut purchases = Purchases::default();
        for price in [100, 50, 30] {
            purchases.add(&bought(price), Some(lasting(60)), 0);
        }
        assert_eq!([1, 2, 3].map(|it| needed(&purchases, it)), [6, 4, 2]);
        // What the shop has back was not used.
        purchases.take(2, 0).expect("it is open");
        assert_eq!([1, 3].map(|it| needed(&purchases, it)), [4, 2]);
        // What cannot be given back counts as well, and other items do not.
        assert_eq!(purchases.add(&bought(10), None, 0), None);
        let sword = Bought {
            item: Asset::new("item:sword"),
            ..bought(1)
        };
        purchases.add(&sword, Some(lasting(60)), 0);
        assert_eq!([1, 3, 4].map(|it| needed(&purchases, it)), [6, 4, 2]);
        assert!(purchases.concern(&bought(1).item, None));
        assert!(!purchases.concern(&Asset::new("item:bow"), None));
    }

    #[test]
    fn the_time_for_it_ends_on_its_millisecond_as_it_was_promised() {
        let mut purchases = Purchases::default();
        purchases.add(&bought(50), Some(lasting(60)), 5);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 1, 60_005), Err("not_refundable"));
        // What is bought under other rules changes nothing of it.
        purchases.add(&bought(50), Some(lasting(0)), 6);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 2, 6), Err("not_refundable"));
        let mut for_ever = Purchases::default();
        for_ever.add(&bought(50), Some(lasting(u64::MAX)), 5);
        assert_eq!(code(&for_ever, 1, u64::MAX - 1), Ok(50));
    }

    #[test]
    fn only_what_was_counted_counts_no_longer_when_it_is_given_back() {
        let promise = |counted| {
            Some(Promise {
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
    fn a_full_record_keeps_what_was_promised_and_takes_no_more() {
        let mut purchases = Purchases::default();
        for number in 1..=KEPT_MAX as u64 {
            let added = purchases.add(&bought(50), Some(lasting(60)), 0);
            assert_eq!(added, Some(number));
        }
        assert_eq!(purchases.add(&bought(60), Some(lasting(60)), 0), None);
        assert_eq!(code(&purchases, 1, 0), Ok(50));
        // It is bought all the same, and what is used first is another's.
        assert_eq!(needed(&purchases, KEPT_MAX as u64), 4);
        // Room is made by giving back, and by time; no number comes twice.
        purchases.take(1, 0).expect("it is open");
        let next = KEPT_MAX as u64 + 1;
        assert_eq!(purchases.add(&bought(60), Some(lasting(90)), 0), Some(next));
        assert_eq!(
            purchases.add(&bought(70), Some(lasting(60)), 60_000),
            Some(next + 1)
        );
        assert_eq!(purchases.open.len(), 2);
    }

    #[test]
    fn purchases_with_the_longest_names_fit_into_a_value_one_or_more_of_them() {
        let name = |number: usize| {
            let name = format!("{}:{}{number}", "a".repeat(64), "b".repeat(62));
            name.parse::<Asset>().expect("a name")
        };
        let most = units((1 << 53) - 1);
        let long = Bought {
            item: name(9),
            quantity: units(1000),
            paid: (0..8).map(|number| (name(number), most)).collect(),
            purchase: None,
        };
        let mut purchases = Purchases {
            made: u64::MAX - KEPT_MAX as u64,
            ..Purchases::default()
        };
        for _ in 0..KEPT_MAX {
            purchases.add(&long, Some(lasting(u64::MAX)), 0);
        }
        assert_eq!(purchases.open.len(), 2, "a third has no room");
        // They fit as well when as much was bought since as can be counted.
        for purchase in &mut purchases.open {
            purchase.since = u64::MAX;
        }
        assert!(purchases.bytes() <= VALUE_BYTES_MAX);
    }
}
