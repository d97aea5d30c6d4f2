//! Restocking: the scheduled transfer of items from the storeroom to the shelf.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;

use crate::config::{Config, RestockLevel};

/// The largest number of restocked items. Each takes one of a call's 16 transfers and two of its 64 reads.
pub(crate) const ITEMS_MAX: usize = 16;

/// The reply of the schedule `restock`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct RestockReply {
    /// The number of units that were moved to the shelf, per item.
    pub(crate) items: BTreeMap<Asset, Amount>,
}

/// Returns the log line for an item that could not be restocked.
pub(crate) fn skipped(item: &Asset, reason: &Decline) -> String {
    format!("{item} is not restocked: {}", reason.message())
}

/// Returns the reason for not restocking an item that two offers restock.
pub(crate) fn two_levels(item: &Asset) -> Decline {
    let message = format!("The configuration restocks {item} to two levels.");
    Decline::new("misconfigured", message)
}

impl RestockLevel {
    /// Returns the number of units that the shelf lacks, up to the stock of the storeroom; `None` for zero.
    pub(crate) fn missing(self, on_shelf: u64, in_store: u64) -> Option<Amount> {
        let missing = self.to.get().saturating_sub(on_shelf);
        Amount::new(missing.min(in_store))
    }
}

impl RestockReply {
    /// Declines a run that has moved nothing.
    pub(crate) fn check(self) -> Result<Self, Decline> {
        if self.items.is_empty() {
            let message = "No item is both below its level and in the storeroom.";
            return Err(Decline::new("nothing_to_restock", message));
        }
        Ok(self)
    }
}

impl Config {
    /// Returns the restocked items, each with its level. An item that two offers restock has `None`.
    pub(crate) fn restocked(&self) -> Result<BTreeMap<&Asset, Option<RestockLevel>>, Decline> {
        let mut restocked = BTreeMap::new();
        for (item, level) in self.levels() {
            let entry = restocked.entry(item);
            entry
                .and_modify(|level| *level = None)
                .or_insert(Some(level));
        }
        if restocked.len() > ITEMS_MAX {
            let count = restocked.len();
            let message = format!(
                "The configuration restocks {count} items; at most {ITEMS_MAX} are allowed."
            );
            return Err(Decline::new("misconfigured", message));
        }
        Ok(restocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(level: u64) -> RestockLevel {
        let to = Amount::new(level).expect("an amount");
        RestockLevel { to }
    }

    fn restocked(offers: &[String]) -> Result<usize, &'static str> {
        let text = format!("{{\"items\": [{}]}}", offers.join(","));
        let config: Config = serde_json::from_str(&text).expect("a configuration");
        let restocked = config.restocked();
        restocked
            .map(|items| items.len())
            .map_err(|decline| decline.code())
    }

    fn offer(item: &str) -> String {
        format!(r#"{{"item": "{item}", "price": {{"coin": 1}}, "restock": {{"to": 5}}}}"#)
    }

    #[test]
    fn a_shelf_is_filled_to_its_level_from_the_available_units() {
        let missing = |on_shelf, in_store| to(10).missing(on_shelf, in_store).map(Amount::get);
        assert_eq!(missing(0, 100), Some(10));
        assert_eq!(missing(9, 100), Some(1));
        assert_eq!(missing(10, 100), None);
        assert_eq!(missing(11, 100), None, "nothing is removed");
        assert_eq!(missing(4, 5), Some(5));
        assert_eq!(missing(4, 0), None);
    }

    #[test]
    fn as_many_items_are_restocked_as_a_call_has_transfers() {
        let offers = |count: usize| -> Vec<String> {
            (0..count)
                .map(|number| offer(&format!("i{number}")))
                .collect()
        };
        assert_eq!(restocked(&offers(ITEMS_MAX)), Ok(ITEMS_MAX));
        assert_eq!(restocked(&offers(ITEMS_MAX + 1)), Err("misconfigured"));
    }

    #[test]
    fn an_item_with_two_levels_is_not_restocked() {
        let plain = r#"{"item": "a", "price": {"coin": 1}, "terms": {"role": "vip"}}"#;
        let text = format!(
            r#"{{"items": [{}, {plain}, {}, {}]}}"#,
            offer("a"),
            offer("b"),
            offer("b")
        );
        let config: Config = serde_json::from_str(&text).expect("a configuration");
        let restocked = config.restocked().expect("few items");
        let of = |item| restocked[&Asset::new(item)].map(|level| level.to.get());
        assert_eq!([of("a"), of("b")], [Some(5), None]);
    }

    #[test]
    fn items_without_a_level_are_not_restocked() {
        let plain = r#"{"item": "plain", "price": {"coin": 1}}"#.to_owned();
        assert_eq!(restocked(&[plain.clone(), offer("a")]), Ok(1));
        assert_eq!(restocked(&[plain]), Ok(0));
    }

    #[test]
    fn the_log_names_a_skipped_item_and_the_reason() {
        let reason = Decline::from(Refusal::UnknownAsset("item:ghost".into()));
        assert_eq!(
            skipped(&Asset::new("item:ghost"), &reason),
            "item:ghost is not restocked: There is no asset item:ghost."
        );
    }

    #[test]
    fn a_run_that_moves_nothing_is_declined() {
        let none = RestockReply {
            items: BTreeMap::new(),
        };
        assert_eq!(
            none.check().expect_err("nothing").code(),
            "nothing_to_restock"
        );
        let some = RestockReply {
            items: [(Asset::new("a"), Amount::ONE)].into(),
        };
        assert!(some.check().is_ok());
    }
}
