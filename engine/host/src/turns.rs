//! Lines that take turns: one that is long keeps none of the others waiting.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Things that wait, and who of them is next.
pub(crate) trait Line: Default {
    /// What waits.
    type Item;

    /// The next one.
    fn next(&mut self) -> Option<Self::Item>;

    /// Whether nothing waits.
    fn is_empty(&self) -> bool;
}

/// In order of arrival.
impl<T> Line for VecDeque<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

/// Lines by name, each of which gives one in its turn. They may themselves be lines that take turns.
#[derive(Debug)]
pub(crate) struct Turns<K, L> {
    lines: HashMap<K, L>,
    /// Whose turn it is, in order; each line that is not empty is here once.
    order: VecDeque<K>,
}

impl<K, L> Default for Turns<K, L> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, L: Line> Turns<K, L> {
    /// The line of a name, for something to be put into.
    pub(crate) fn line(&mut self, name: &K) -> &mut L {
        if !self.lines.contains_key(name) {
            self.order.push_back(name.clone());
        }
        self.lines.entry(name.clone()).or_default()
    }
}

impl<K: Clone + Eq + Hash, L: Line> Line for Turns<K, L> {
    type Item = L::Item;

    fn next(&mut self) -> Option<L::Item> {
        let name = self.order.pop_front()?;
        let line = self.lines.get_mut(&name)?;
        let next = line.next();
        if line.is_empty() {
            self.lines.remove(&name);
        } else {
            self.order.push_back(name);
        }
        next
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = Turns<&'static str, Turns<&'static str, VecDeque<u32>>>;

    fn all(lines: &mut Lines) -> Vec<u32> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn lines_take_turns_and_so_do_those_within_them() {
        let mut lines = Lines::default();
        for number in 0..6 {
            lines.line(&"busy").line(&"villain").push_back(number);
        }
        lines.line(&"busy").line(&"shop").push_back(10);
        lines.line(&"busy").line(&"shop").push_back(11);
        lines.line(&"quiet").line(&"shop").push_back(20);
        assert_eq!(all(&mut lines), [0, 20, 10, 1, 11, 2, 3, 4, 5]);
        assert!(lines.is_empty() && lines.lines.is_empty(), "none is kept");
    }

    #[test]
    fn who_comes_again_comes_after_those_who_wait() {
        let mut lines = Lines::default();
        lines.line(&"a").line(&"shop").push_back(1);
        lines.line(&"b").line(&"shop").push_back(2);
        assert_eq!(lines.next(), Some(1));
        lines.line(&"a").line(&"shop").push_back(3);
        assert_eq!(all(&mut lines), [2, 3]);
    }
}
