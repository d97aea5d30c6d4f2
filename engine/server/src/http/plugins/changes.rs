//! In what two installations of a plugin differ: one entry for each place, as a JSON pointer.

use std::collections::BTreeSet;

use bursar_ledger::{Installation, pointer_segment};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::http::api::views;

/// Entries for one member of an installation; with more it is told as a whole.
const CHANGES_MAX: usize = 256;

/// Bytes of a pointer; what lies deeper is told as a whole.
const POINTER_BYTES_MAX: usize = 256;

/// Something that changed.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SettingChange")]
pub(in crate::http) struct ChangeView {
    /// Its place in the plugin, as a JSON pointer. In a list that has become longer or shorter, what went
    /// has the place that it had, and all else the place that it has.
    pointer: String,
    /// As it was; absent if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    from: Option<Value>,
    /// As it is; absent if it is there no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    to: Option<Value>,
}

/// What an operator sets of an installation. When a schedule is due next is no setting.
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

/// In what two settings differ, member by member. Before a plugin was installed there are none.
pub(in crate::http) fn changes(from: Option<&Value>, to: Option<&Value>) -> Vec<ChangeView> {
    let none = Map::new();
    let members = |settings: Option<&'_ Value>| settings.and_then(Value::as_object).cloned();
    let from = members(from).unwrap_or_else(|| none.clone());
    let to = members(to).unwrap_or(none);
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let pointer = pointer_segment(name);
        let (from, to) = (from.get(name), to.get(name));
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

/// Goes on into what is a list or an object on both sides, until one entry more was found than is told.
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
                let (from, to) = (from.get(name), to.get(name));
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

/// Compares a part; false if its pointer would be too long.
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

/// What two lists have in common at their ends stays out of it; the rest is compared in order.
fn compare_lists(pointer: &str, from: &[Value], to: &[Value], found: &mut Vec<ChangeView>) -> bool {
    let same = |(a, b): &(&Value, &Value)| a == b;
    let head = from.iter().zip(to).take_while(same).count();
    let most = from.len().min(to.len()).saturating_sub(head);
    let tails = from.iter().rev().zip(to.iter().rev()).take(most);
    let tail = tails.take_while(same).count();
    let middle = |list: usize| head..list.saturating_sub(tail);
    let (old, new) = (middle(from.len()), middle(to.len()));
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

    fn told(from: &Value, to: &Value) -> Value {
        views::to_json(changes(Some(from), Some(to)))
    }

    #[test]
    fn a_price_that_changes_is_told_with_its_place() {
        let shop = |price: u64| json!({"config": {"items": [{"item": "bow", "price": price}]}});
        assert_eq!(
            told(&shop(50), &shop(60)),
            json!([{"pointer": "/config/items/0/price", "from": 50, "to": 60}])
        );
    }

    #[test]
    fn an_entry_that_comes_or_goes_leaves_its_neighbours_out() {
        let items = |names: &[&str]| json!({ "config": names });
        assert_eq!(
            told(&items(&["a", "c"]), &items(&["a", "b", "c"])),
            json!([{"pointer": "/config/1", "to": "b"}])
        );
        assert_eq!(
            told(&items(&["a", "b", "b", "c"]), &items(&["a", "b", "c"])),
            json!([{"pointer": "/config/2", "from": "b"}])
        );
        assert_eq!(told(&items(&["a"]), &items(&["a"])), json!([]));
    }

    #[test]
    fn what_is_null_is_told_from_what_is_absent() {
        assert_eq!(
            told(&json!({"config": {"role": null}}), &json!({"config": {}})),
            json!([{"pointer": "/config/role", "from": null}])
        );
    }

    #[test]
    fn so_many_changes_are_told_one_by_one() {
        let list = |entries: usize, value: u64| json!({ "config": vec![value; entries] });
        let most = CHANGES_MAX;
        assert_eq!(
            told(&list(most, 1), &list(most, 2))
                .as_array()
                .unwrap()
                .len(),
            most
        );
        let beyond = told(&list(most + 1, 1), &list(most + 1, 2));
        assert_eq!(beyond.as_array().unwrap().len(), 1);
        assert_eq!(beyond[0]["pointer"], "/config");
    }

    #[test]
    fn pointers_end_at_their_bytes() {
        let named = |bytes: usize, value: u64| json!({"config": {"a".repeat(bytes - "/config/".len()): value}});
        let at = |bytes| told(&named(bytes, 1), &named(bytes, 2))[0]["pointer"].clone();
        assert_eq!(
            at(POINTER_BYTES_MAX).as_str().unwrap().len(),
            POINTER_BYTES_MAX
        );
        assert_eq!(at(POINTER_BYTES_MAX + 1), "/config");
    }

    /// A document with few names and values, so that two of them have much in common.
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
        /// There is a change where there is a difference, and what it says of both sides is so.
        #[test]
        fn changes_say_where_two_documents_differ(from in document(), to in document()) {
            let (from, to) = (json!({ "config": from }), json!({ "config": to }));
            let found = changes(Some(&from), Some(&to));
            prop_assert_eq!(found.is_empty(), from == to);
            for change in &found {
                prop_assert!(change.from != change.to);
                for (said, document) in [(&change.from, &from), (&change.to, &to)] {
                    if let Some(said) = said {
                        prop_assert_eq!(Some(said), document.pointer(&change.pointer));
                    }
                }
            }
            let back = changes(Some(&to), Some(&from));
            prop_assert_eq!(back.len(), found.len());
        }
    }
}
