//! What can be given back: each purchase with what was paid for it, for as long as was promised then.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use bursar_plugin::{member_key, serde_json};

use crate::rules::Bought;

/// Purchases of one member that can be given back at a time; the newest.
pub(crate) const KEPT_MAX: usize = 8;

/// Bytes of a value of the plugin's state, as the contract has it; a longer one is a fault.
const VALUE_BYTES_MAX: usize = 4096;

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
    /// What was never counted takes nothing off the count when it is given back. Before this was kept,
    /// each purchase was taken for a counted one.
    #[serde(default = "yes")]
    counted: bool,
}

fn yes() -> bool {
    true
}

/// What the shop keeps of a member: its purchases that can be given back, the oldest first, and how many
/// there were before. No number comes twice, so that a refund which was asked for late meets no other
/// purchase.
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
pub(crate) fn item_gone(quantity: Amount, item: &Asset) -> Decline {
    let message = format!("You do not have {quantity} {item} to give back.");
    Decline::new("item_gone", message)
}

/// The operator has taken out of the till what would have to be paid back.
pub(crate) fn till_too_small(asset: &Asset) -> Decline {
    let message = format!("There is not enough {asset} in the till to pay that back.");
    Decline::new("till_too_small", message)
}

impl Purchase {
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
    /// The number that the next purchase has.
    pub(crate) fn next(&self) -> u64 {
        self.made.saturating_add(1)
    }

    /// What is kept with one more purchase. What is too old goes, and the oldest where there are too many
    /// of them or where names are so long that they do not all fit.
    pub(crate) fn with(mut self, bought: &Bought, promise: Promise, now_ms: u64) -> Self {
        let number = self.next();
        self.made = number;
        self.open.retain(|purchase| now_ms < purchase.until_ms);
        self.open.push(Purchase {
            number,
            item: bought.item.clone(),
            quantity: bought.quantity,
            paid: bought.paid.clone(),
            until_ms: now_ms.saturating_add(promise.within_s.saturating_mul(1000)),
            counted: promise.counted,
        });
        while self.open.len() > KEPT_MAX || self.bytes() > VALUE_BYTES_MAX {
            self.open.remove(0);
        }
        self
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
        let found = found.ok_or_else(|| not_refundable(number))?;
        Ok(self.open.remove(found))
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

    fn within(within_s: u64) -> Promise {
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

    #[test]
    fn a_purchase_is_given_back_once_for_what_was_paid() {
        let mut purchases = Purchases::default().with(&bought(50), within(60), 0);
        purchases = purchases.with(&bought(70), within(60), 0);
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
    fn the_time_for_it_ends_on_its_millisecond_as_it_was_promised() {
        let purchases = Purchases::default().with(&bought(50), within(60), 5);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 1, 60_005), Err("not_refundable"));
        // What is bought under other rules changes nothing of it.
        let purchases = purchases.with(&bought(50), within(0), 6);
        assert_eq!(code(&purchases, 1, 60_004), Ok(50));
        assert_eq!(code(&purchases, 2, 6), Err("not_refundable"));
        let for_ever = Purchases::default().with(&bought(50), within(u64::MAX), 5);
        assert_eq!(code(&for_ever, 1, u64::MAX - 1), Ok(50));
    }

    #[test]
    fn only_what_was_counted_counts_no_longer_when_it_is_given_back() {
        let promise = |counted| Promise {
            within_s: 60,
            counted,
        };
        let mut purchases = Purchases::default()
            .with(&bought(50), promise(false), 0)
            .with(&bought(50), promise(true), 0);
        let mut counted = |number| purchases.take(number, 0).expect("it is there").counted();
        assert_eq!([counted(1), counted(2)], [None, Some(units(2))]);
    }

    #[test]
    fn purchases_of_before_it_was_kept_were_counted() {
        let text = r#"{"made": 1, "open": [
            {"number": 1, "item": "a", "quantity": 2, "paid": {"coin": 1}, "until_ms": 9}]}"#;
        let mut purchases: Purchases = serde_json::from_str(text).expect("a state");
        let purchase = purchases.take(1, 0).expect("it is there");
        assert_eq!(purchase.counted(), Some(units(2)));
    }

    #[test]
    fn the_newest_purchases_are_kept_and_no_number_comes_twice() {
        let buy = |purchases: Purchases, _| purchases.with(&bought(50), within(60), 0);
        let full = (0..KEPT_MAX).fold(Purchases::default(), buy);
        assert_eq!(code(&full, 1, 0), Ok(50));
        let more = full.with(&bought(60), within(60), 0);
        assert_eq!(more.open.len(), KEPT_MAX);
        assert_eq!(code(&more, 1, 0), Err("not_refundable"));
        assert_eq!((code(&more, 2, 0), code(&more, 9, 0)), (Ok(50), Ok(60)));
        // Those whose time is over make room, and are counted still.
        let later = more.with(&bought(70), within(60), 60_000);
        assert_eq!((later.open.len(), later.next()), (1, 11));
        assert_eq!(code(&later, 10, 60_000), Ok(70));
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
            purchases = purchases.with(&long, within(u64::MAX), 0);
            assert!(purchases.bytes() <= VALUE_BYTES_MAX);
        }
        assert_eq!(purchases.open.len(), 2, "a third has no room");
        assert_eq!(purchases.open[1].number, purchases.made);
    }
}
