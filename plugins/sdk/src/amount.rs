//! Amounts: positive whole numbers up to 2^53 − 1, checked when they are read and when they are computed.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// The largest amount: 2^53 − 1.
const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// An amount in an asset's smallest unit: a whole number from 1 to 2^53 − 1.
///
/// There is no `+`: a sum may be too large, so each computation returns a result.
///
/// ```
/// use bursar_plugin::Amount;
///
/// let price = Amount::new(50).expect("50 is an amount");
/// assert_eq!(price.checked_mul(3).map(Amount::get), Ok(150));
/// assert!(price.checked_mul(0).is_err());
/// // 3 % of 50 is 1.5, which is rounded down.
/// assert_eq!(price.percent_rounded_down(3).map(Amount::get), Ok(1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Amount(u64);

/// The error of a sum, a difference, a product or a share that is not an amount. Its text names both operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AmountError {
    left: u64,
    operator: Operator,
    right: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Plus,
    Minus,
    Times,
    Percent,
}

impl Amount {
    /// The smallest amount: 1.
    pub const ONE: Self = Self(1);

    /// Creates an amount. Returns `None` for zero and for numbers above 2^53 − 1.
    pub const fn new(units: u64) -> Option<Self> {
        if units >= 1 && units <= AMOUNT_MAX {
            Some(Self(units))
        } else {
            None
        }
    }

    /// Returns the amount as a number of smallest units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Adds another amount.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        let sum = self.0.checked_add(other.0);
        self.amount_of(sum, Operator::Plus, other.0)
    }

    /// Subtracts another amount. Equal amounts are an error, since zero is not an amount.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        let difference = self.0.checked_sub(other.0);
        self.amount_of(difference, Operator::Minus, other.0)
    }

    /// Multiplies the amount by a factor.
    pub fn checked_mul(self, factor: u64) -> Result<Self, AmountError> {
        let product = self.0.checked_mul(factor);
        self.amount_of(product, Operator::Times, factor)
    }

    /// Returns a percentage of the amount, rounded down. A share of less than one unit is an error, since zero
    /// is not an amount.
    pub fn percent_rounded_down(self, percent: u64) -> Result<Self, AmountError> {
        let share = u128::from(self.0) * u128::from(percent) / 100;
        self.amount_of(u64::try_from(share).ok(), Operator::Percent, percent)
    }

    fn amount_of(
        self,
        units: Option<u64>,
        operator: Operator,
        right: u64,
    ) -> Result<Self, AmountError> {
        units.and_then(Self::new).ok_or(AmountError {
            left: self.0,
            operator,
            right,
        })
    }
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            left,
            operator,
            right,
        } = self;
        match operator {
            Operator::Plus => write!(f, "{left} + {right}")?,
            Operator::Minus => write!(f, "{left} − {right}")?,
            Operator::Times => write!(f, "{left} × {right}")?,
            Operator::Percent => write!(f, "{right} % of {left}")?,
        }
        write!(f, " is not an amount: amounts are 1 to {AMOUNT_MAX}")
    }
}

impl std::error::Error for AmountError {}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(AmountVisitor)
    }
}

/// Reads an amount. The error message names the range for every wrong input, such as 0, −1, 1.5 or a text.
struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 1 to {AMOUNT_MAX}")
    }

    fn visit_u64<E: Error>(self, units: u64) -> Result<Amount, E> {
        Amount::new(units).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(units), &self))
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "format": "amount",
            "minimum": 1,
            "maximum": AMOUNT_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Amount = Amount(AMOUNT_MAX);

    #[test]
    fn amounts_end_at_their_limits() {
        assert_eq!(Amount::new(0), None);
        assert_eq!(Amount::new(1), Some(Amount::ONE));
        assert_eq!(Amount::new(AMOUNT_MAX), Some(MOST));
        assert_eq!(Amount::new(AMOUNT_MAX + 1), None);
    }

    #[test]
    fn sums_and_products_end_at_the_same_limits() {
        let almost = Amount(AMOUNT_MAX - 1);
        assert_eq!(almost.checked_add(Amount::ONE), Ok(MOST));
        assert!(MOST.checked_add(Amount::ONE).is_err());
        assert_eq!(MOST.checked_mul(1), Ok(MOST));
        assert!(MOST.checked_mul(0).is_err());
        assert!(MOST.checked_mul(u64::MAX).is_err());
    }

    #[test]
    fn a_difference_of_zero_or_less_is_an_error() {
        let [two, three] = [Amount(2), Amount(3)];
        assert_eq!(three.checked_sub(two), Ok(Amount::ONE));
        assert_eq!(MOST.checked_sub(Amount::ONE), Ok(Amount(AMOUNT_MAX - 1)));
        for (left, right) in [(two, two), (two, three)] {
            assert!(left.checked_sub(right).is_err());
        }
        let error = two.checked_sub(three).expect_err("less than nothing");
        assert!(error.to_string().starts_with("2 − 3 is not"), "{error}");
    }

    #[test]
    fn a_share_is_rounded_down_and_zero_is_an_error() {
        let share = |units, percent| Amount(units).percent_rounded_down(percent).map(Amount::get);
        assert_eq!(share(199, 50), Ok(99));
        assert_eq!(share(100, 1), Ok(1));
        assert!(share(99, 1).is_err());
        assert!(share(99, 0).is_err());
        assert_eq!(share(AMOUNT_MAX, 100), Ok(AMOUNT_MAX));
        assert!(share(AMOUNT_MAX, 101).is_err());
        assert!(share(AMOUNT_MAX, u64::MAX).is_err());
        let error = Amount(99)
            .percent_rounded_down(1)
            .expect_err("less than one");
        assert!(error.to_string().starts_with("1 % of 99 is not"), "{error}");
    }

    #[test]
    fn the_error_of_an_overflow_names_the_operands() {
        let error = MOST.checked_mul(2).expect_err("too much");
        assert_eq!(
            error.to_string(),
            "9007199254740991 × 2 is not an amount: amounts are 1 to 9007199254740991"
        );
    }

    #[test]
    fn the_error_of_a_wrong_amount_names_the_range() {
        for wrong in [
            "0",
            "-1",
            "1.5",
            "10.0",
            "9007199254740992",
            "\"7\"",
            "null",
        ] {
            let error = serde_json::from_str::<Amount>(wrong).expect_err(wrong);
            let expected = "a whole number from 1 to 9007199254740991";
            assert!(error.to_string().contains(expected), "{wrong}: {error}");
        }
        assert_eq!(
            serde_json::from_str::<Amount>("9007199254740991").expect("the most"),
            MOST
        );
    }
}
