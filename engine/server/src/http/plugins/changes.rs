//! Comparison of two installations of a plugin: one change for each place that differs.

use std::collections::BTreeSet;

use bursar_ledger::{Installation, pointer_segment};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::http::api::views;

/// The greatest number of changes inside of one member of an installation. Beyond it the member is
/// reported as one change.
const CHANGES_MAX: usize = 256;

/// The greatest length of a pointer, in bytes. A difference at a deeper place is reported as a
/// change of its parent.
const POINTER_BYTES_MAX: usize = 256;

/// A changed setting.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SettingChange")]
pub(in crate::http) struct ChangeView {
    /// The place of the setting, as a JSON pointer (RFC 6901). In a list whose length changed, a
    /// removed element has its previous index and every other element its present one.
    pointer: String,
    /// The previous value; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    from: Option<Value>,
    /// The present value; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    to: Option<Value>,
}

/// Returns the settings of an installation that an operator controls. The next due time of a
/// schedule is not one of them.
pub(in crate::http) fn settings(installation: &Installation, enabled: bool) -> Value {
    let schedules = installation.schedules.iter().map(|(name, schedule)| {
        let times = schedule.rule.times;
        let times = json!({ "every_s": times.every_s, "offset_s": times.offset_s });
        (name.clone(), times)
    });
    json!({
        "component": installation.component,
        "config": installation.config.value(),
        "grants": views::to_json(&installation.grants),
        "enabled": enabled,
        "follow": installation.follow,
        "schedules": schedules.collect::<Map<_, _>>(),
    })
}

/// Compares two versions of the settings. A plugin that was not installed has no settings.
pub(in crate::http) fn changes(from: Option<&Value>, to: Option<&Value>) -> Vec<ChangeView> {
    let none = Map::new();
    let members = |settings: Option<&'_ Value>| settings.and_then(Value::as_object).cloned();
    let from = members(from).unwrap_or_else(|| none.clone());
    let to = members(to).unwrap_or(none);
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let pointer = pointer_segment(name);
        let from = from.get(name);
        let to = to.get(name);
        let mut inside = Vec::new();
        compare(&pointer, from, to, &mut inside);
        if inside.len() > CHANGES_MAX {
            inside = vec![whole(&pointer, from, to)];
        }
        found.append(&mut inside);
    }
    found
}

fn whole(pointer: &str, from: Option<&Value>, to: Option<&Value>) -> ChangeView {
    ChangeView {
        pointer: pointer.into(),
        from: from.cloned(),
        to: to.cloned(),
    }
}

/// Compares lists and objects recursively, until more than `CHANGES_MAX` changes are found.
fn compare(pointer: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<ChangeView>) {
    if from == to || found.len() > CHANGES_MAX {
        return;
    }
    let before = found.len();
    let fits = match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
            names.into_iter().all(|name| {
                let segment = pointer_segment(name);
                let from = from.get(name);
                let to = to.get(name);
                compare_part(pointer, &segment, from, to, found)
            })
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            compare_lists(pointer, from, to, found)
        }
        (_, _) => false,
    };
    if !fits {
        found.truncate(before);
        found.push(whole(pointer, from, to));
    }
}

/// Compares a member; returns false if its pointer would be too long.
fn compare_part(
    pointer: &str,
    segment: &str,
    from: Option<&Value>,
    to: Option<&Value>,
    found: &mut Vec<ChangeView>,
) -> bool {
    if from == to {
        return true;
    }
    if pointer.len().saturating_add(segment.len()) > POINTER_BYTES_MAX {
        return false;
    }
    compare(&format!("{pointer}{segment}"), from, to, found);
    true
}

/// Compares two lists in order, without their common beginning and end.
fn compare_lists(pointer: &str, from: &[Value], to: &[Value], found: &mut Vec<ChangeView>) -> bool {
    let same = |(a, b): &(&Value, &Value)| a == b;
    let head = from.iter().zip(to).take_while(same).count();
    let most = from.len().min(to.len()).saturating_sub(head);
    let tails = from.iter().rev().zip(to.iter().rev()).take(most);
    let tail = tails.take_while(same).count();
    let middle = |list: usize| head..list.saturating_sub(tail);
    let old = middle(from.len());
    let new = middle(to.len());
    (head..old.end.max(new.end)).all(|index| {
        let from = from.get(index).filter(|_| old.contains(&index));
        let to = to.get(index).filter(|_| new.contains(&index));
        compare_part(pointer, &format!("/{index}"), from, to, found)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reported(from: &Value, to: &Value) -> Value {
        views::to_json(changes(Some(from), Some(to)))
    }

    #[test]
    fn a_changed_price_is_reported_with_its_place() {
        let shop = |price: u64| json!({"config": {"items": [{"item": "bow", "price": price}]}});
        assert_eq!(
            reported(&shop(50), &shop(60)),
            json!([{"pointer": "/config/items/0/price", "from": 50, "to": 60}])
        );
    }

    #[test]
    fn an_added_or_removed_entry_leaves_its_neighbours_out() {
        let items = |names: &[&str]| json!({ "config": names });
        assert_eq!(
            reported(&items(&["a", "c"]), &items(&["a", "b", "c"])),
            json!([{"pointer": "/config/1", "to": "b"}])
        );
        assert_eq!(
            reported(&items(&["a", "b", "b", "c"]), &items(&["a", "b", "c"])),
            json!([{"pointer": "/config/2", "from": "b"}])
        );
        assert_eq!(reported(&items(&["a"]), &items(&["a"])), json!([]));
    }

    #[test]
    fn null_differs_from_absent() {
        assert_eq!(
            reported(&json!({"config": {"role": null}}), &json!({"config": {}})),
            json!([{"pointer": "/config/role", "from": null}])
        );
    }

    #[test]
    fn changes_are_listed_up_to_their_limit() {
        let list = |entries: usize, value: u64| json!({ "config": vec![value; entries] });
        let most = CHANGES_MAX;
        assert_eq!(
            reported(&list(most, 1), &list(most, 2))
                .as_array()
                .unwrap()
                .len(),
            most
        );
        let beyond = reported(&list(most + 1, 1), &list(most + 1, 2));
        assert_eq!(beyond.as_array().unwrap().len(), 1);
        assert_eq!(beyond[0]["pointer"], "/config");
    }

    #[test]
    fn pointers_are_bounded() {
        let named = |bytes: usize, value: u64| json!({"config": {"a".repeat(bytes - "/config/".len()): value}});
        let at = |bytes| reported(&named(bytes, 1), &named(bytes, 2))[0]["pointer"].clone();
        assert_eq!(
            at(POINTER_BYTES_MAX).as_str().unwrap().len(),
            POINTER_BYTES_MAX
        );
        assert_eq!(at(POINTER_BYTES_MAX + 1), "/config");
    }

    /// Generates documents with few names and values, so that two of them have much in common.
    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_u64).prop_map(Value::from),
            "[a-b/~]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let members = proptest::collection::btree_map("[a-b/~]{1,2}", inner.clone(), 0..4);
            let members = members.prop_map(|members| Value::Object(members.into_iter().collect()));
            prop_oneof![
                proptest::collection::vec(inner, 0..5).prop_map(Value::Array),
                members,
            ]
        })
    }

    proptest! {
        /// Changes are reported exactly for differing documents, and their values are those of the
        /// documents.
        #[test]
        fn changes_are_reported_where_documents_differ(from in document(), to in document()) {
            let from = json!({ "config": from });
            let to = json!({ "config": to });
            let found = changes(Some(&from), Some(&to));
            prop_assert_eq!(found.is_empty(), from == to);
            for change in &found {
                prop_assert!(change.from != change.to);
                for (value, document) in [(&change.from, &from), (&change.to, &to)] {
                    if let Some(value) = value {
                        prop_assert_eq!(Some(value), document.pointer(&change.pointer));
                    }
                }
            }
            let back = changes(Some(&to), Some(&from));
            prop_assert_eq!(back.len(), found.len());
        }
    }
}
