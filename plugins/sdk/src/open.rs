//! What a member has open at a time: the same question wherever something waits for somebody else.

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::decline::Decline;
use crate::rest::is_far_ahead;

/// Numbers of what a member has open, each until a time: a value of the plugin's state, by which it keeps
/// one member from filling that state for all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenList(Vec<Open>);

/// Something that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Open {
    number: u64,
    until_ms: u64,
}

impl OpenList {
    /// Adds what is open until a time, unless `most` are open already. What is over by now counts no
    /// longer, and is forgotten, and so is what is open for far longer than what is added: it was added by a
    /// clock that was ahead.
    pub fn add(&mut self, number: u64, until_ms: u64, now_ms: u64, most: usize) -> bool {
        let lasts_ms = until_ms.saturating_sub(now_ms);
        self.0.retain(|open| {
            now_ms < open.until_ms && !is_far_ahead(open.until_ms, lasts_ms, until_ms)
        });
        let has_room = self.0.len() < most;
        if has_room {
            self.0.push(Open { number, until_ms });
        }
        has_room
    }

    /// Takes out of the list under a key what is not open any more, and forgets the list with the last.
    /// A number that is not on it stays so, and so does a list that is not there. One read, one write.
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

    /// Takes out what is not open any more; says whether anything is left.
    fn remove(&mut self, number: u64) -> bool {
        self.0.retain(|open| open.number != number);
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_so_many_places_and_no_more() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 2));
        assert!(list.add(2, 200, 0, 2));
        assert!(!list.add(3, 300, 0, 2));
        assert!(list.remove(2));
        assert!(list.add(3, 300, 0, 2));
    }

    #[test]
    fn what_is_over_counts_to_its_millisecond() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 1));
        assert!(!list.add(2, 200, 99, 1));
        assert!(list.add(2, 200, 100, 1));
    }

    #[test]
    fn what_was_added_by_a_clock_that_was_far_ahead_takes_no_place() {
        let (now, lasts) = (1_000_000, 1_000_000);
        for (ahead, has_room) in [(0, false), (lasts, false), (lasts + 1, true)] {
            let mut list = OpenList::default();
            assert!(list.add(1, now + ahead + lasts, now + ahead, 1));
            assert_eq!(list.add(2, now + lasts, now, 1), has_room, "{ahead}");
        }
    }

    #[test]
    fn nothing_is_left_once_all_of_it_was_taken_out() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 2) && list.add(2, 100, 0, 2));
        assert!(list.remove(1));
        assert!(list.remove(7));
        assert!(!list.remove(2));
    }
}
