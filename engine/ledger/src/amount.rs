//! Amounts, and limits on amounts. Neither implements addition, so that every sum is checked and bounded.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::limits::AMOUNT_MAX;

/// An amount that moves: a whole number from 1 to [`AMOUNT_MAX`] in the asset's smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Amount(NonZeroU64);

impl Amount {
    /// The smallest amount.
    pub const ONE: Self = Self(NonZeroU64::MIN);

    /// Creates an amount. Returns none for zero, and above [`AMOUNT_MAX`].
    pub fn new(units: u64) -> Option<Self> {
        NonZeroU64::new(units)
            .filter(|n| n.get() <= AMOUNT_MAX)
            .map(Self)
    }

    /// Returns the number of smallest units.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Returns the amount as a limit.
    pub fn as_limit(self) -> Limit {
        Limit(self.0.get())
    }

    /// Returns the amount as a change of a balance.
    pub(crate) fn signed(self) -> i64 {
        i64::try_from(self.0.get()).expect("an amount is at most 2^53 - 1")
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A bound on a balance or on spending: a whole number from 0 to [`AMOUNT_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Limit(u64);

impl Limit {
    /// The limit 0.
    pub const ZERO: Self = Self(0);
    /// The largest limit, which is also the largest balance.
    pub const MAX: Self = Self(AMOUNT_MAX);

    /// Creates a limit. Returns none above [`AMOUNT_MAX`].
    pub fn new(units: u64) -> Option<Self> {
        (units <= AMOUNT_MAX).then_some(Self(units))
    }

    /// Returns the number of smallest units.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns the limit as a balance.
    pub(crate) fn signed(self) -> i64 {
        i64::try_from(self.0).expect("a limit is at most 2^53 - 1")
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A reader of bounded whole numbers, whose errors describe the expected number.
struct Bounded {
    least: u64,
    expecting: &'static str,
}

impl Visitor<'_> for Bounded {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_u64<E: Error>(self, units: u64) -> Result<u64, E> {
        if (self.least..=AMOUNT_MAX).contains(&units) {
            Ok(units)
        } else {
            Err(E::invalid_value(Unexpected::Unsigned(units), &self))
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a whole number from 1 to 9007199254740991";
        let units = deserializer.deserialize_u64(Bounded {
            least: 1,
            expecting,
        })?;
        Ok(Self(
            NonZeroU64::new(units).expect("the visitor refuses zero"),
        ))
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a whole number from 0 to 9007199254740991";
        deserializer
            .deserialize_u64(Bounded {
                least: 0,
                expecting,
            })
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_holds_one_to_the_maximum_and_nothing_else() {
        assert_eq!(Amount::new(0), None);
        assert_eq!(Amount::new(1), Some(Amount::ONE));
        assert!(Amount::new(AMOUNT_MAX).is_some());
        assert_eq!(Amount::new(AMOUNT_MAX + 1), None);
        assert_eq!(Limit::new(AMOUNT_MAX), Some(Limit::MAX));
        assert_eq!(Limit::new(AMOUNT_MAX + 1), None);
    }

    #[test]
    fn json_amounts_are_whole_positive_and_bounded() {
        for wrong in [
            "0",
            "-1",
            "1.5",
            "1.0",
            "9007199254740992",
            "\"5\"",
            "null",
            "1e3",
        ] {
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
        let most: Amount = serde_json::from_str("9007199254740991").expect("the maximum");
        assert_eq!(most.get(), AMOUNT_MAX);
        assert_eq!(
            serde_json::from_str::<Limit>("0").expect("a limit"),
            Limit::ZERO
        );
        assert!(serde_json::from_str::<Limit>("-1").is_err());
    }
}
