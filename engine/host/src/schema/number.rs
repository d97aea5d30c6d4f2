//! The comparison of JSON numbers by their mathematical value, as JSON Schema requires: `1` and `1.0` are equal.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The exact value of a number.
#[derive(Clone, Copy, Debug)]
enum ExactNumber {
    Whole(i128),
    Float(f64),
}

fn exact(number: &Number) -> ExactNumber {
    if let Some(whole) = number.as_u64() {
        return ExactNumber::Whole(whole.into());
    }
    if let Some(whole) = number.as_i64() {
        return ExactNumber::Whole(whole.into());
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    // Each float without a fraction in this range fits into 128 bits.
    if float.fract() == 0.0 && float.abs() < 1e38 {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "it has no fraction and fits"
        )]
        return ExactNumber::Whole(float as i128);
    }
    ExactNumber::Float(float)
}

/// Returns true if a number has no fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    match exact(number) {
        ExactNumber::Whole(_) => true,
        ExactNumber::Float(float) => float.fract() == 0.0,
    }
}

/// Compares two numbers.
pub(super) fn compare(a: &Number, b: &Number) -> Ordering {
    match (exact(a), exact(b)) {
        (ExactNumber::Whole(a), ExactNumber::Whole(b)) => a.cmp(&b),
        (ExactNumber::Float(a), ExactNumber::Float(b)) => a.total_cmp(&b),
        (ExactNumber::Whole(a), ExactNumber::Float(b)) => against_float(a, b),
        (ExactNumber::Float(a), ExactNumber::Whole(b)) => against_float(b, a).reverse(),
    }
}

/// Compares a whole number with a float that has a fraction or is beyond 10^38.
fn against_float(whole: i128, float: f64) -> Ordering {
    if float.abs() >= 1e38 {
        return 0.0_f64.total_cmp(&float);
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the fraction is compared below"
    )]
    let truncated = float.trunc() as i128;
    let fraction = 0.0_f64.total_cmp(&float.fract());
    whole.cmp(&truncated).then(fraction)
}

/// Returns true if a number is a multiple of a whole number.
pub(super) fn is_multiple(number: &Number, of: u64) -> bool {
    match exact(number) {
        ExactNumber::Whole(whole) => whole % i128::from(of) == 0,
        #[allow(
            clippy::cast_precision_loss,
            reason = "it is at most 2^53 - 1, and so exact"
        )]
        ExactNumber::Float(float) => float.fract() == 0.0 && float % (of as f64) == 0.0,
    }
}

/// Writes a number so that equal numbers are equal texts.
pub(super) fn write_canonical(number: &Number, to: &mut String) {
    match exact(number) {
        ExactNumber::Whole(whole) => to.push_str(&whole.to_string()),
        ExactNumber::Float(float) => to.push_str(&float.to_string()),
    }
}

/// Returns the number of values in a value, including itself, and one more for each 64 bytes of a text: the most steps that
/// a comparison takes.
pub(super) fn values_in(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(values_in).fold(1, usize::saturating_add),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| values_in(value) + name.len() / 64)
            .fold(1, usize::saturating_add),
        Value::String(text) => 1 + text.len() / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(value: &Value) -> Number {
        value.as_number().expect("a number").clone()
    }

    #[test]
    fn numbers_compare_by_their_value() {
        let ascending = [
            json!(-1e300),
            json!(-1e38),
            json!(i64::MIN),
            json!(-2),
            json!(-1.5),
            json!(-1),
            json!(-0.5),
            json!(0),
            json!(0.5),
            json!(1),
            json!(1.5),
            json!(9_007_199_254_740_993_u64),
            json!(u64::MAX),
            json!(1e38),
            json!(1e300),
        ];
        for (a, left) in ascending.iter().enumerate() {
            for (b, right) in ascending.iter().enumerate() {
                let compared = compare(&number(left), &number(right));
                assert_eq!(compared, a.cmp(&b), "{left} and {right}");
            }
        }
        for (a, b) in [(json!(1), json!(1.0)), (json!(0), json!(-0.0))] {
            assert_eq!(compare(&number(&a), &number(&b)), Ordering::Equal);
        }
    }

    #[test]
    fn multiples_have_no_fraction_and_no_remainder() {
        for (value, of, is) in [
            (json!(10), 5, true),
            (json!(10.0), 5, true),
            (json!(-10), 5, true),
            (json!(0), 7, true),
            (json!(11), 5, false),
            (json!(10.5), 5, false),
            (json!(1e300), 2, true),
            (json!(1e300), (1 << 53) - 1, false),
        ] {
            assert_eq!(is_multiple(&number(&value), of), is, "{value} of {of}");
        }
    }
}
