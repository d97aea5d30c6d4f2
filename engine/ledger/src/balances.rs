//! The balances of one account, by asset.
//!
//! Most accounts have one asset and economies have many accounts, so the memory of small accounts counts: one
//! balance is stored in place, a few in a sorted slice, and more in a persistent map, whose copies share what
//! neither changes.

use std::fmt;
use std::slice;
use std::sync::Arc;

use imbl::OrdMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::amount::Limit;
use crate::id::AssetId;

/// The balance of one account in one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Balance {
    /// The sum of all postings. It is negative only on issuers and within a credit limit.
    pub posted: i64,
    /// The amount that holds reserve.
    pub held: Limit,
}

impl Balance {
    /// Returns the posted amount that is not held.
    pub fn available(self) -> i64 {
        self.posted.saturating_sub(self.held.signed())
    }
}

/// Balances that are stored in a slice. A slice of this many takes half the memory of a map, and is copied
/// as a whole when its account changes.
const FEW_MAX: usize = 8;

type Entry = (AssetId, Balance);

/// The balances of an account, in the order of assets. A balance that was added stays.
#[derive(Clone)]
pub struct Balances(Form);

// A name has invalid bit patterns that distinguish the cases without a tag. So the whole has the size of one balance
// with its name.
#[derive(Clone)]
enum Form {
    One(Entry),
    /// Sorted by asset. Never one balance, and none only at the beginning.
    Few(Box<[Entry]>),
    /// Behind a pointer, because the map is larger than the place beside the invalid bit pattern.
    Many(Arc<OrdMap<AssetId, Balance>>),
}

/// The two forms for reading.
enum View<'a> {
    Slice(&'a [Entry]),
    Map(&'a OrdMap<AssetId, Balance>),
}

impl Balances {
    /// Creates balances of no asset.
    pub fn new() -> Self {
        Self(Form::Few(Box::default()))
    }

    /// Returns the number of balances.
    pub fn len(&self) -> usize {
        match self.view() {
            View::Slice(entries) => entries.len(),
            View::Map(map) => map.len(),
        }
    }

    /// Returns true if there is no balance.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the balance in an asset.
    pub fn get(&self, asset: &AssetId) -> Option<&Balance> {
        match self.view() {
            View::Slice(entries) => {
                let index = position(entries, asset).ok()?;
                entries.get(index).map(|(_, balance)| balance)
            }
            View::Map(map) => map.get(asset),
        }
    }

    /// Returns the balance in an asset for a change.
    pub fn get_mut(&mut self, asset: &AssetId) -> Option<&mut Balance> {
        let entries = match &mut self.0 {
            Form::One(entry) => slice::from_mut(entry),
            Form::Few(entries) => entries,
            Form::Many(map) => return Arc::make_mut(map).get_mut(asset),
        };
        let index = position(entries, asset).ok()?;
        entries.get_mut(index).map(|(_, balance)| balance)
    }

    /// Returns true if there is a balance in an asset, even a zero one.
    pub fn contains_key(&self, asset: &AssetId) -> bool {
        self.get(asset).is_some()
    }

    /// Sets the balance in an asset. Returns the balance before.
    pub fn insert(&mut self, asset: AssetId, balance: Balance) -> Option<Balance> {
        if let Some(present) = self.get_mut(&asset) {
            return Some(std::mem::replace(present, balance));
        }
        self.add(asset, balance);
        None
    }

    /// Adds a balance in an asset that has none.
    fn add(&mut self, asset: AssetId, balance: Balance) {
        let entries = match std::mem::take(self).0 {
            Form::One(entry) => vec![entry],
            Form::Few(entries) => entries.into_vec(),
            Form::Many(mut map) => {
                Arc::make_mut(&mut map).insert(asset, balance);
                self.0 = Form::Many(map);
                return;
            }
        };
        self.0 = if entries.is_empty() {
            Form::One((asset, balance))
        } else if entries.len() < FEW_MAX {
            let at = position(&entries, &asset).unwrap_or_else(|at| at);
            let mut grown = Vec::with_capacity(entries.len().saturating_add(1));
            grown.extend(entries);
            grown.insert(at, (asset, balance));
            Form::Few(grown.into_boxed_slice())
        } else {
            let mut map: OrdMap<AssetId, Balance> = entries.into_iter().collect();
            map.insert(asset, balance);
            Form::Many(Arc::new(map))
        };
    }

    /// Returns the balances with their assets.
    pub fn iter(&self) -> impl Iterator<Item = (&AssetId, &Balance)> {
        let (slice, map): (&[Entry], _) = match self.view() {
            View::Slice(entries) => (entries, None),
            View::Map(map) => (&[], Some(map)),
        };
        let slice = slice.iter().map(|(asset, balance)| (asset, balance));
        slice.chain(map.into_iter().flatten())
    }

    /// Returns the assets.
    pub fn keys(&self) -> impl Iterator<Item = &AssetId> {
        self.iter().map(|(asset, _)| asset)
    }

    fn view(&self) -> View<'_> {
        match &self.0 {
            Form::One(entry) => View::Slice(slice::from_ref(entry)),
            Form::Few(entries) => View::Slice(entries),
            Form::Many(map) => View::Map(map),
        }
    }
}

/// Returns the index of an asset in sorted entries, or the index at which it would be.
fn position(entries: &[Entry], asset: &AssetId) -> Result<usize, usize> {
    entries.binary_search_by(|(present, _)| present.cmp(asset))
}

impl Default for Balances {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Balances {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Balances {}

impl fmt::Debug for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Balances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Balances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BalancesVisitor)
    }
}

struct BalancesVisitor;

impl<'de> Visitor<'de> for BalancesVisitor {
    type Value = Balances;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("balances by asset")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Balances, A::Error> {
        let mut balances = Balances::new();
        while let Some((asset, balance)) = map.next_entry()? {
            balances.insert(asset, balance);
        }
        Ok(balances)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn asset(number: u32) -> AssetId {
        format!("item:{number}").parse().expect("an asset")
    }

    fn balance(posted: i64) -> Balance {
        let held = Limit::new(posted.unsigned_abs() % 3).expect("a limit");
        Balance { posted, held }
    }

    fn with(assets: u32) -> Balances {
        let mut balances = Balances::new();
        for number in 0..assets {
            balances.insert(asset(number), balance(number.into()));
        }
        balances
    }

    #[test]
    fn balances_have_the_size_of_one_entry() {
        assert_eq!(size_of::<Balances>(), size_of::<Entry>());
        assert_eq!(size_of::<Balances>(), 40);
    }

    #[test]
    fn a_slice_becomes_a_map_beyond_its_limit() {
        let most = u32::try_from(FEW_MAX).expect("32 bits");
        let few = with(most);
        assert!(matches!(few.0, Form::Few(_)));
        assert_eq!(few.len(), FEW_MAX);
        let many = with(most + 1);
        assert!(matches!(many.0, Form::Many(_)));
        assert_eq!(many.len(), FEW_MAX + 1);
    }

    #[test]
    fn equality_is_independent_of_the_form() {
        let few = with(5);
        let map = few.iter().map(|(asset, is)| (asset.clone(), *is));
        let map = Balances(Form::Many(Arc::new(map.collect())));
        assert_eq!(few, map);
        assert_ne!(with(4), map);
        let one = Balances(Form::Few([(asset(0), balance(0))].into()));
        assert_eq!(one, with(1));
    }

    proptest! {
        #[test]
        fn balances_are_a_sorted_map(
            steps in proptest::collection::vec((0_u32..24, any::<i64>(), any::<bool>()), 0..40),
        ) {
            let mut model = BTreeMap::new();
            let mut balances = Balances::new();
            for (number, posted, copies) in steps {
                let copy = (balances.clone(), model.clone());
                let before = balances.insert(asset(number), balance(posted));
                prop_assert_eq!(before, model.insert(asset(number), balance(posted)));
                prop_assert!(copy.0.iter().eq(&copy.1), "a copy has changed");
                if copies {
                    if let Some(balance) = balances.get_mut(&asset(number)) {
                        balance.posted = 7;
                    }
                    model.entry(asset(number)).and_modify(|balance| balance.posted = 7);
                }
                prop_assert!(balances.iter().eq(&model));
                prop_assert!(balances.keys().eq(model.keys()));
                prop_assert_eq!(balances.len(), model.len());
                prop_assert_eq!(balances.is_empty(), model.is_empty());
                for number in 0..24 {
                    let asset = asset(number);
                    prop_assert_eq!(balances.get(&asset), model.get(&asset));
                    prop_assert_eq!(balances.get_mut(&asset), model.get_mut(&asset));
                    prop_assert_eq!(balances.contains_key(&asset), model.contains_key(&asset));
                }
            }
            let text = serde_json::to_string(&balances).expect("JSON");
            prop_assert_eq!(&text, &serde_json::to_string(&model).expect("JSON"));
            let read: Balances = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(read, balances);
        }
    }
}
