//! The check of a configuration, beyond its schema.

use std::collections::{BTreeMap, BTreeSet};

use bursar_plugin::prelude::*;

use crate::config::Config;
use crate::restock::ITEMS_MAX;

impl Config {
    /// Reports duplicate offers, offers that are never for sale, and levels of a restock that conflict.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        let mut offered = BTreeMap::new();
        let mut restocked = BTreeMap::new();
        for (index, offer) in self.items.iter().enumerate() {
            let pointer = format!("/items/{index}");
            let item = &offer.item;
            let first = *offered.entry((item, offer.terms().role())).or_insert(index);
            if first != index {
                let message = match offer.terms().role() {
                    None => format!("/items/{first} already offers {item} without a role"),
                    Some(role) => {
                        format!("/items/{first} already offers {item} to `{role}`")
                    }
                };
                report.finding(format!("{pointer}/item"), message);
            }
            if !offer.terms().has_time() {
                let message = "the sale ends before it begins";
                report.finding(format!("{pointer}/terms/until_ms"), message);
            }
            if offer.restock.is_some() {
                let first = *restocked.entry(item).or_insert(index);
                if first != index {
                    let message = format!("/items/{first} already restocks {item}");
                    report.finding(format!("{pointer}/restock"), message);
                }
            }
        }
        let beyond: BTreeSet<usize> = restocked.into_values().collect();
        for index in beyond.into_iter().skip(ITEMS_MAX) {
            let message =
                format!("at most {ITEMS_MAX} items are restocked, and this one is beyond");
            report.finding(format!("/items/{index}/restock"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(items: &[String]) -> Vec<String> {
        let text = format!("{{\"items\": [{}]}}", items.join(","));
        let config: Config = serde_json::from_str(&text).expect("a configuration");
        let mut report = ConfigReport::new("shop");
        config.check_configuration(&mut report);
        assert!(report.needs.is_empty(), "a shop needs no stock");
        let findings = report.findings.into_iter();
        findings.map(|finding| finding.pointer).collect()
    }

    fn offer(item: &str, more: &str) -> String {
        format!(r#"{{"item": "{item}", "price": {{"coin": 1}}{more}}}"#)
    }

    fn to(role: &str) -> String {
        format!(r#", "terms": {{"role": "{role}"}}"#)
    }

    #[test]
    fn an_item_has_one_offer_without_a_role_and_one_for_each_role() {
        let items = [
            offer("a", ""),
            offer("a", &to("vip")),
            offer("b", &to("vip")),
            offer("a", &to("mod")),
        ];
        assert_eq!(pointers(&items), [""; 0]);
        let twice = [
            offer("a", ""),
            offer("a", &to("vip")),
            offer("a", ""),
            offer("a", &to("vip")),
            offer("a", ""),
        ];
        assert_eq!(
            pointers(&twice),
            ["/items/2/item", "/items/3/item", "/items/4/item"]
        );
    }

    #[test]
    fn a_sale_that_ends_before_it_begins_is_reported() {
        let sale = |terms: &str| pointers(&[offer("a", &format!(r#", "terms": {{{terms}}}"#))]);
        assert_eq!(sale(r#""from_ms": 5, "until_ms": 6"#), [""; 0]);
        assert_eq!(sale(r#""from_ms": 5"#), [""; 0]);
        let never = ["/items/0/terms/until_ms"];
        assert_eq!(sale(r#""from_ms": 5, "until_ms": 5"#), never);
        assert_eq!(sale(r#""until_ms": 0"#), never);
    }

    #[test]
    fn an_item_has_one_level_and_at_most_sixteen_items_have_one() {
        let level = r#", "restock": {"to": 5}"#;
        let items = |count: usize| -> Vec<String> {
            let offers = (0..count).map(|number| offer(&format!("i{number}"), level));
            offers.collect()
        };
        assert_eq!(pointers(&items(ITEMS_MAX)), [""; 0]);
        assert_eq!(pointers(&items(ITEMS_MAX + 1)), ["/items/16/restock"]);
        let terms = r#", "restock": {"to": 5}, "terms": {"role": "vip"}"#;
        let twice = [offer("a", level), offer("a", terms)];
        assert_eq!(pointers(&twice), ["/items/1/restock"]);
    }
}
