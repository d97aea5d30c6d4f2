//! What a member has open at a time: the same question wherever something waits for somebody else.

use serde::{Deserialize, Serialize};

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
    /// longer, and is forgotten.
    pub fn add(&mut self, number: u64, until_ms: u64, now_ms: u64, most: usize) -> bool {
        self.0.retain(|open| now_ms < open.until_ms);
        let has_room = self.0.len() < most;
        if has_room {
            self.0.push(Open { number, until_ms });
        }
        has_room
    }

    /// Takes out what is not open any more; a number that is not there stays so.
    pub fn remove(&mut self, number: u64) {
        self.0.retain(|open| open.number != number);
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        list.remove(2);
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
    fn a_list_is_empty_once_all_of_it_was_taken_out() {
        let mut list = OpenList::default();
        assert!(list.add(1, 100, 0, 2) && list.add(2, 100, 0, 2));
        list.remove(1);
        list.remove(7);
        assert!(!list.is_empty());
        list.remove(2);
        assert!(list.is_empty());
    }
}
