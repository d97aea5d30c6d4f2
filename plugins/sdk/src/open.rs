//! Lists of a member's open offers, lots and the like, with a limit per member.

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::decline::Decline;
use crate::rest::is_far_ahead;

/// A member's open items, such as offers or lots, each with a number and an end.
///
/// It is stored as one value of the plugin's state and limits the items of one member, so that no member can
/// fill the state of the plugin for all others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenList(Vec<OpenItem>);

/// An item that is open until a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct OpenItem {
    number: u64,
    until_ms: u64,
}

impl OpenList {
    /// Adds an item that is open until a time, unless `most` items are open. Returns true if it was added.
    ///
    /// Items that have ended are removed first. Items that end far later than the added one are removed as
    /// well: they were added while the clock was ahead.
    pub fn add(&mut self, number: u64, until_ms: u64, now_ms: u64, most: usize) -> bool {
        let lasts_ms = until_ms.saturating_sub(now_ms);
        self.0.retain(|open| {
            now_ms < open.until_ms && !is_far_ahead(open.until_ms, lasts_ms, until_ms)
        });
        let has_place = self.0.len() < most;
        if has_place {
            self.0.push(OpenItem { number, until_ms });
        }
        has_place
    }

    /// Removes an item from the list that is stored under a key, and deletes the list if it is then empty.
    ///
    /// An item or a list that does not exist is ignored. This is one read and one write.
    pub fn close<C>(call: &Call<C>, key: &str, number: u64) -> Result<(), Decline> {
        if let Some(mut list) = call.get::<Self>(key)? {
            if list.remove(number) {
                call.set(key, &list);
            } else {
                call.delete(key);
            }
        }
        Ok(())
    }

    /// Removes an item. Returns true if any item is left.
    fn remove(&mut self, number: u64) -> bool {
        self.0.retain(|open| open.number != number);
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_limited_to_its_number_of_items() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 2));
        assert!(list.add(2, 200, 0, 2));
        assert!(!list.add(3, 300, 0, 2));
        assert!(list.remove(2));
        assert!(list.add(3, 300, 0, 2));
    }

    #[test]
    fn an_item_counts_until_the_millisecond_of_its_end() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 1));
        assert!(!list.add(2, 200, 99, 1));
        assert!(list.add(2, 200, 100, 1));
    }

    #[test]
    fn an_item_that_was_added_by_a_clock_far_ahead_is_removed() {
        let now = 1_000_000;
        let lasts = 1_000_000;
        for (ahead, is_added) in [(0, false), (lasts, false), (lasts + 1, true)] {
            let mut list = OpenList::default();
            assert!(list.add(1, now + ahead + lasts, now + ahead, 1));
            assert_eq!(list.add(2, now + lasts, now, 1), is_added, "{ahead}");
        }
    }

    #[test]
    fn a_list_is_empty_after_all_items_are_removed() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 2) && list.add(2, 100, 0, 2));
        assert!(list.remove(1));
        assert!(list.remove(7));
        assert!(!list.remove(2));
    }
}
