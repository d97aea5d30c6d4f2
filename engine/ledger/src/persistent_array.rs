//! A persistent array: a copy and its original share each part until one of them changes it.

use std::sync::Arc;

/// The most elements of a leaf, and the most children of a branch.
///
/// The first change after a copy copies one node of each level. The copy of a branch raises the reference count of each
/// child, most of them in a cache line of its own, so wide nodes cost more than the levels that they save.
const WIDTH: usize = 1 << BITS;

/// The number of bits of an index that choose a child or an element of one node.
const BITS: u32 = 4;

/// An array of elements that are found by their index. Elements are added at its end and changed in place.
#[derive(Clone, Debug)]
pub(crate) struct PersistentArray<T> {
    root: ArrayNode<T>,
    /// The number of levels of branches above the leaves.
    height: u32,
    len: usize,
}

#[derive(Clone, Debug)]
enum ArrayNode<T> {
    Leaf(Arc<[T]>),
    Branch(Arc<[ArrayNode<T>]>),
}

impl<T: Clone> PersistentArray<T> {
    /// Returns the number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the element with an index.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        let mut node = &self.root;
        let mut level = self.height;
        loop {
            match node {
                ArrayNode::Leaf(elements) => return elements.get(place(index, 0)),
                ArrayNode::Branch(children) => node = children.get(place(index, level))?,
            }
            level = level.saturating_sub(1);
        }
    }

    /// Returns the element with an index for a change.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let mut node = &mut self.root;
        let mut level = self.height;
        loop {
            match node {
                ArrayNode::Leaf(elements) => {
                    return Arc::make_mut(elements).get_mut(place(index, 0));
                }
                ArrayNode::Branch(children) => {
                    node = Arc::make_mut(children).get_mut(place(index, level))?;
                }
            }
            level = level.saturating_sub(1);
        }
    }

    /// Adds an element at the end.
    pub(crate) fn push(&mut self, element: T) {
        if self.len >= capacity(self.height) {
            self.root = ArrayNode::Branch([self.root.clone()].into());
            self.height = self.height.saturating_add(1);
        }
        self.root.push(self.len, self.height, element);
        self.len = self.len.saturating_add(1);
    }

    /// Returns the elements in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).filter_map(|index| self.get(index))
    }
}

impl<T: Clone> PersistentArray<Option<T>> {
    /// Stores an element at an index that has none, after growing the array up to it. Returns false if the index has an
    /// element.
    pub(crate) fn fill(&mut self, index: usize, element: T) -> bool {
        while self.len <= index {
            self.push(None);
        }
        let place = self.get_mut(index).filter(|place| place.is_none());
        place.is_some_and(|place| place.replace(element).is_none())
    }
}

impl<T: Clone> ArrayNode<T> {
    /// Adds the element with the next index below this node, which has a free place.
    fn push(&mut self, index: usize, level: u32, element: T) {
        match self {
            Self::Leaf(elements) => *elements = extended(elements, element),
            Self::Branch(children) => {
                let below = level.saturating_sub(1);
                if place(index, level) == children.len() {
                    *children = extended(children, Self::first(below, element));
                } else if let Some(child) = Arc::make_mut(children).last_mut() {
                    child.push(index, below, element);
                }
            }
        }
    }

    /// Returns a node with one element.
    fn first(level: u32, element: T) -> Self {
        let leaf = Self::Leaf([element].into());
        (0..level).fold(leaf, |node, _| Self::Branch([node].into()))
    }
}

/// Returns elements with one more at the end.
fn extended<T: Clone>(elements: &[T], element: T) -> Arc<[T]> {
    elements.iter().cloned().chain([element]).collect()
}

/// Returns the position of an index within a node of a level.
fn place(index: usize, level: u32) -> usize {
    let shift = BITS.saturating_mul(level);
    index.checked_shr(shift).unwrap_or(0) & WIDTH.saturating_sub(1)
}

/// Returns the largest number of elements below a node of a level.
fn capacity(level: u32) -> usize {
    let shift = BITS.saturating_mul(level);
    WIDTH.checked_shl(shift).unwrap_or(usize::MAX)
}

impl<T> Default for PersistentArray<T> {
    fn default() -> Self {
        Self {
            root: ArrayNode::Leaf(Arc::default()),
            height: 0,
            len: 0,
        }
    }
}

impl<T: Clone + PartialEq> PartialEq for PersistentArray<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_array_grows_by_levels() {
        let mut array = PersistentArray::default();
        for index in 0..=WIDTH * WIDTH * WIDTH {
            let height = array.height;
            array.push(index);
            let grows = [WIDTH, WIDTH * WIDTH, WIDTH * WIDTH * WIDTH].contains(&index);
            assert_eq!(array.height, height + u32::from(grows), "{index}");
            assert_eq!(array.get(index), Some(&index));
            assert_eq!(array.get(index + 1), None);
            assert_eq!(array.get_mut(index + WIDTH), None);
        }
        assert!(array.iter().copied().eq(0..array.len()));
    }

    proptest! {
        #[test]
        fn copies_do_not_see_later_changes(
            steps in proptest::collection::vec((0_usize..700, any::<u32>(), any::<bool>()), 0..600),
        ) {
            let mut model: Vec<u32> = Vec::new();
            let mut array = PersistentArray::default();
            let mut copies = Vec::new();
            for (index, value, copies_now) in steps {
                if let Some((element, place)) = array.get_mut(index).zip(model.get_mut(index)) {
                    *element = value;
                    *place = value;
                } else {
                    array.push(value);
                    model.push(value);
                }
                if copies_now && copies.len() < 20 {
                    copies.push((array.clone(), model.clone()));
                }
            }
            copies.push((array, model));
            for (array, model) in &copies {
                prop_assert_eq!(array.len(), model.len());
                prop_assert!(array.iter().eq(model));
                for index in 0..700 {
                    prop_assert_eq!(array.get(index), model.get(index));
                }
            }
        }
    }
}
