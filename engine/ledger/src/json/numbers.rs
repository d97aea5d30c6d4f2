//! Checks of numbers in JSON, which not all readers read alike.
//!
//! Most readers store numbers as IEEE 754 doubles, and RFC 8259 (section 6) promises no more. A number that
//! is not exactly a double changes when it is read: two different requests would be equal, and a plugin
//! would receive another number than was sent.

use std::cmp::Ordering;

use serde_json::Number;

use super::error::JsonError;
use super::place;
use super::place::string_length;
use crate::limits::AMOUNT_MAX;

/// Checks that each number of a JSON text is within ±(2^53 − 1), and stays equal if it is read as a double
/// and written again.
pub fn check_numbers(text: &[u8]) -> Result<(), JsonError> {
    let mut place = 0;
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        let length = match rest.first() {
            Some(b'"') => string_length(rest),
            Some(b'-' | b'0'..=b'9') => {
                let length = number_length(rest);
                let number = rest.get(..length).unwrap_or_default();
                let number = std::str::from_utf8(number).unwrap_or_default();
                if !is_exact(number) {
                    return Err(JsonError {
                        pointer: place::pointer(text, place),
                        what: "a number lies within ±(2^53 - 1) and has no more digits than a \
                               double keeps; send others as text"
                            .into(),
                    });
                }
                length
            }
            Some(_) | None => 1,
        };
        place = place.saturating_add(length);
    }
    Ok(())
}

/// Returns a whole number that is written with a fraction or an exponent, such as `1.0` or `1e3`.
pub(super) fn whole(number: &Number) -> Option<i64> {
    if number.is_i64() || number.is_u64() {
        return None;
    }
    number.to_string().strip_suffix(".0")?.parse().ok()
}

/// Returns the length of the number at the start of a text.
pub(super) fn number_length(text: &[u8]) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text.iter()
        .position(|byte| !is_part(byte))
        .unwrap_or(text.len())
}

/// Returns true if every reader reads the same number.
pub(super) fn is_exact(number: &str) -> bool {
    // Numbers with fewer digits than 2^53 − 1 are always exact.
    let is_short = u32::try_from(number.len()).is_ok_and(|length| length <= AMOUNT_MAX.ilog10());
    let is_short = is_short && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_short {
        return true;
    }
    let Some(written) = Decimal::read(number) else {
        return false;
    };
    // serde_json writes the shortest text that is read as the same double.
    let read = serde_json::from_str::<Number>(number).ok();
    let reread = read.and_then(|read| Decimal::read(&read.to_string()));
    written.is_within_bounds() && reread.is_some_and(|reread| reread == written)
}

/// A decimal number: its digits without leading and trailing zeros, and the position of the point before
/// the first digit. Zero has one representation.
#[derive(PartialEq, Eq, Debug)]
struct Decimal {
    is_negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    /// Reads a number of JSON. Returns none if its exponent is out of range.
    fn read(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let zeros = all.len().saturating_sub(digits.len());
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            let digits = String::new();
            return Some(Self {
                is_negative: false,
                digits,
                point: 0,
            });
        }
        let whole = i64::try_from(whole.len()).ok()?;
        let zeros = i64::try_from(zeros).ok()?;
        let exponent: i64 = exponent
            .strip_prefix('+')
            .unwrap_or(exponent)
            .parse()
            .ok()?;
        Some(Self {
            is_negative,
            digits: digits.into(),
            point: whole.checked_sub(zeros)?.checked_add(exponent)?,
        })
    }

    /// Returns true if the number is within ±[`AMOUNT_MAX`].
    fn is_within_bounds(&self) -> bool {
        let most = AMOUNT_MAX.to_string();
        match usize::try_from(self.point)
            .unwrap_or_default()
            .cmp(&most.len())
        {
            Ordering::Less => true,
            // The comparison of texts is correct because both have the same number of digits before the
            // point.
            Ordering::Equal => self.digits <= most,
            Ordering::Greater => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_are_accepted() {
        for number in [
            "0",
            "-0",
            "0.0",
            "-0e5",
            "0e999999999",
            "1",
            "-1",
            "1.0",
            "1.50",
            "1e3",
            "1E+3",
            "10e-1",
            "0.1",
            "-0.1",
            "1.1e-7",
            "5e-324",
            "2.2250738585072014e-308",
            "0.30000000000000004",
            "123456789012345",
            "9007199254740991",
            "-9007199254740991",
            "9007199254740991.0",
            "9.007199254740991e15",
            "900719925474099.1",
            "0.00000000000000000000000000000000000001",
            "4503599627370495.5",
        ] {
            assert!(is_exact(number), "{number}");
        }
    }

    #[test]
    fn inexact_numbers_are_rejected() {
        for number in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740992.0",
            "9007199254740991.5",
            "1e16",
            "1e300",
            "1e400",
            "-1e400",
            "1e99999999999999999999",
            "0.1e-400",
            "1e-325",
            "3e-324",
            "0.10000000000000001",
            "0.1000000000000000055511151231257827",
            "1.00000000000000000001",
            "123456789.123456789123456789",
            "4503599627370495.25",
        ] {
            assert!(!is_exact(number), "{number}");
        }
    }

    #[test]
    fn an_inexact_number_is_reported_with_its_position() {
        let at = |text: &str| check_numbers(text.as_bytes()).map_err(|error| error.pointer);
        assert_eq!(
            at(r#"{"a":[1,{"b/~\u0041":1e400}]}"#),
            Err("/a/1/b~1~0A".into())
        );
        assert_eq!(
            at(r#"{"x":{},"a":["]\"",[],[1,9007199254740992]]}"#),
            Err("/a/2/1".into())
        );
        assert_eq!(at("1e400"), Err(String::new()));
        // Digits inside a text are not a number.
        assert_eq!(at(r#"{"1e400":"1e400 \" 1e400"}"#), Ok(()));
    }
}
