//! What comes onto the shelves when it is due, from the storeroom.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;

use crate::rules::Config;

/// Items that are restocked: as many as a call has transfers. Each takes two reads, of which a call has
/// four times as many.
pub(crate) const ITEMS_MAX: usize = 16;

/// Up to which level an item is restocked.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restock {
    /// How many are for sale then. What is there beyond that stays.
    to: Amount,
}

/// What was put onto the shelves.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Restocked {
    /// How many of each item.
    pub(crate) items: BTreeMap<Asset, Amount>,
}

/// What the operator is told of an item that could not be restocked.
pub(crate) fn skipped(item: &Asset, no: &Decline) -> String {
    format!("{item} is not restocked: {}", no.message())
}

/// Two offers of an item say how far it is restocked.
pub(crate) fn two_levels(item: &Asset) -> Decline {
    let message = format!("The configuration restocks {item} to two levels.");
    Decline::new("misconfigured", message)
}

impl Restock {
    /// How many are missing on the shelf, as far as the storeroom has them.
    pub(crate) fn missing(self, on_shelf: u64, in_store: u64) -> Option<Amount> {
        let missing = self.to.get().saturating_sub(on_shelf);
        Amount::new(missing.min(in_store))
    }
}

impl Restocked {
    /// Nothing was missing, or there was nothing to fill it up from.
    pub(crate) fn check(self) -> Result<Self, Decline> {
        if self.items.is_empty() {
            let message = "No item is below its level and in the storeroom.";
            return Err(Decline::new("nothing_to_restock", message));
        }
        Ok(self)
    }
}

impl Config {
    /// The items that are restocked. One with two levels has none.
    pub(crate) fn restocked(&self) -> Result<BTreeMap<&Asset, Option<Restock>>, Decline> {
        let mut restocked = BTreeMap::new();
        for (item, level) in self.levels() {
            let known = restocked.entry(item);
            known
                .and_modify(|known| *known = None)
                .or_insert(Some(level));
        }
        if restocked.len() > ITEMS_MAX {
            let count = restocked.len();
            let message =
                format!("The configuration restocks {count} items; {ITEMS_MAX} are the most.");
            return Err(Decline::new("misconfigured", message));
        }
        Ok(restocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(level: u64) -> Restock {
        let to = Amount::new(level).expect("an amount");
        Restock { to }
    }

    fn restocked(offers: &[String]) -> Result<usize, &'static str> {
        let text = format!("{{\"items\": [{}]}}", offers.join(","));
        let config: Config = serde_json::from_str(&text).expect("a configuration");
        let restocked = config.restocked();
        restocked.map(|items| items.len()).map_err(|no| no.code())
    }

    fn offer(item: &str) -> String {
        format!(r#"{{"item": "{item}", "price": {{"coin": 1}}, "restock": {{"to": 5}}}}"#)
    }

    #[test]
    fn a_shelf_is_filled_up_to_its_level_as_far_as_there_is_something() {
        let missing = |on_shelf, in_store| to(10).missing(on_shelf, in_store).map(Amount::get);
        assert_eq!(missing(0, 100), Some(10));
        assert_eq!(missing(9, 100), Some(1));
        assert_eq!(missing(10, 100), None);
        assert_eq!(missing(11, 100), None, "nothing is taken away");
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
    fn an_item_with_two_levels_has_none_and_one_of_its_offers_may_say_it() {
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
    fn items_without_a_level_are_left_alone() {
        let plain = r#"{"item": "plain", "price": {"coin": 1}}"#.to_owned();
        assert_eq!(restocked(&[plain.clone(), offer("a")]), Ok(1));
        assert_eq!(restocked(&[plain]), Ok(0));
    }

    #[test]
    fn the_operator_is_told_which_item_was_left_out_and_why() {
        let no = Decline::from(Refusal::UnknownAsset("item:ghost".into()));
        assert_eq!(
            skipped(&Asset::new("item:ghost"), &no),
            "item:ghost is not restocked: There is no item:ghost here."
        );
    }

    #[test]
    fn a_run_in_which_nothing_moves_says_so() {
        let none = Restocked {
            items: BTreeMap::new(),
        };
        assert_eq!(
            none.check().expect_err("nothing").code(),
            "nothing_to_restock"
        );
        let some = Restocked {
            items: [(Asset::new("a"), Amount::ONE)].into(),
        };
        assert!(some.check().is_ok());
    }
}
