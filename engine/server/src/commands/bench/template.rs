//! Requests as prepared bytes with places that are filled in: the load must cost little beside the server.
//!
//! Every place has a fixed width, so that a request keeps its length, and even a batch of 8,192 transfers is filled
//! without a copy.

use clap::ValueEnum;
use serde::Serialize;

/// The digits of an economy's number.
const ECONOMY_DIGITS: usize = 4;

/// The digits of a member's number. Ids of Discord have as many.
const MEMBER_DIGITS: usize = 18;

/// The number of the first member.
const FIRST_MEMBER: u64 = 100_000_000_000_000_000;

/// The hexadecimal digits of an idempotency key.
const KEY_DIGITS: usize = 32;

/// The order of idempotency keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyOrder {
    /// Random keys, as clients with UUIDs of version 4 send them
    Random,
    /// Ascending keys, as clients with ids of messages send them
    Ordered,
}

/// A place of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Economy,
    Key,
    Payer,
    Payee,
    Amount,
}

impl Slot {
    fn width(self) -> usize {
        match self {
            Self::Economy => ECONOMY_DIGITS,
            Self::Key => KEY_DIGITS,
            Self::Payer | Self::Payee => MEMBER_DIGITS,
            Self::Amount => 1,
        }
    }
}

/// A value for a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum SlotValue {
    Economy(u64),
    Key(u128),
    Member(u64),
    Amount(u8),
}

/// Bytes with places.
#[derive(Clone, Default)]
pub(super) struct Template {
    bytes: Vec<u8>,
    slots: Vec<(usize, Slot)>,
}

impl Template {
    /// Creates a template of a text without places.
    pub(super) fn of(text: &str) -> Self {
        Self::default().text(text)
    }

    /// Appends a text.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a place.
    pub(super) fn slot(mut self, slot: Slot) -> Self {
        self.slots.push((self.bytes.len(), slot));
        self.bytes
            .resize(self.bytes.len().saturating_add(slot.width()), b'0');
        self
    }

    /// Appends another template.
    pub(super) fn with(mut self, other: &Self) -> Self {
        let begin = self.bytes.len();
        let moved = other.slots.iter();
        self.slots
            .extend(moved.map(|(at, slot)| (at.saturating_add(begin), *slot)));
        self.bytes.extend_from_slice(&other.bytes);
        self
    }

    /// Returns a request with a head for this body. A keyed request has an `Idempotency-Key`.
    pub(super) fn request(
        method: &str,
        path: &Self,
        bearer: &str,
        keyed: bool,
        body: &Self,
    ) -> Self {
        let head = Self::of(method)
            .text(" ")
            .with(path)
            .text(" HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer ")
            .text(bearer)
            .text("\r\n");
        let head = if keyed {
            head.text("idempotency-key: ").slot(Slot::Key).text("\r\n")
        } else {
            head
        };
        let head = if body.bytes.is_empty() {
            head
        } else {
            let length = body.bytes.len();
            head.text(&format!(
                "content-type: application/json\r\ncontent-length: {length}\r\n"
            ))
        };
        head.text("\r\n").with(body)
    }

    /// Writes the bytes to `out`, with the places filled in order by `value`.
    pub(super) fn write(&self, out: &mut Vec<u8>, mut value: impl FnMut(Slot) -> SlotValue) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        for (at, slot) in &self.slots {
            let end = at.saturating_add(slot.width());
            if let Some(place) = out.get_mut(*at..end) {
                fill(place, value(*slot));
            }
        }
    }
}

fn fill(place: &mut [u8], value: SlotValue) {
    match value {
        SlotValue::Economy(number) => write_decimal(place, number),
        SlotValue::Member(number) => write_decimal(place, FIRST_MEMBER.saturating_add(number)),
        SlotValue::Amount(number) => write_decimal(place, number.into()),
        SlotValue::Key(number) => write_hexadecimal(place, number),
    }
}

/// Writes a number with leading zeros. Formatting would cost a tenth of what the server spends on a transfer.
fn write_decimal(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0'.wrapping_add((number % 10) as u8);
        number /= 10;
    }
}

/// Writes a number in base 16 with leading zeros.
#[expect(clippy::cast_possible_truncation, reason = "a digit is below 16")]
fn write_hexadecimal(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = match number & 0xf {
            low @ 0..10 => b'0'.wrapping_add(low as u8),
            low => b'a'.wrapping_add((low as u8).wrapping_sub(10)),
        };
        number >>= 4;
    }
}

/// Returns the part of economy names that all economies of a run share.
pub(super) fn economy_prefix(run: u32) -> String {
    format!("bench-{run:08x}-")
}

/// Returns the name of an economy.
pub(super) fn economy_name(run: u32, number: u64) -> String {
    format!("{}{number:04}", economy_prefix(run))
}

/// Returns the account of a member.
#[cfg(test)]
pub(super) fn member_name(number: u64) -> String {
    format!("user:{}", FIRST_MEMBER + number)
}

/// Idempotency keys, which differ from run to run: a run never repeats the requests of another one.
pub(super) struct Keys {
    order: KeyOrder,
    random: rand_pcg::Pcg64Mcg,
    run: u32,
    next: u64,
}

impl Keys {
    /// Creates keys from a random number of the run.
    pub(super) fn new(order: KeyOrder, run: u32, random: u128) -> Self {
        Self {
            order,
            random: rand_pcg::Pcg64Mcg::new(random),
            run,
            next: 0,
        }
    }

    /// Returns a new key.
    pub(super) fn key(&mut self) -> u128 {
        use rand::RngExt;
        match self.order {
            KeyOrder::Random => self.random.random(),
            KeyOrder::Ordered => {
                self.next = self.next.saturating_add(1);
                u128::from(self.run) << u64::BITS | u128::from(self.next)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn written(template: &Template, mut values: Vec<SlotValue>) -> String {
        values.reverse();
        let mut out = b"earlier".to_vec();
        template.write(&mut out, |_| values.pop().unwrap());
        assert!(values.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled_in_order() {
        let path = Template::of("/v1/economies/e-").slot(Slot::Economy);
        let body = Template::of("{")
            .slot(Slot::Payer)
            .text(",")
            .slot(Slot::Amount)
            .text("}");
        let request = Template::request("POST", &path, "secret", true, &body);
        let values = vec![
            SlotValue::Economy(7),
            SlotValue::Key(0xabc),
            SlotValue::Member(12),
            SlotValue::Amount(9),
        ];
        let expected = "POST /v1/economies/e-0007 HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer secret\r\n\
            idempotency-key: 00000000000000000000000000000abc\r\ncontent-type: application/json\r\n\
            content-length: 22\r\n\r\n{100000000000000012,9}";
        assert_eq!(written(&request, values), expected);
    }

    #[test]
    fn a_request_without_a_body_has_no_length() {
        let request = Template::request(
            "GET",
            &Template::of("/healthz"),
            "",
            false,
            &Template::default(),
        );
        let text = written(&request, vec![]);
        assert!(
            text.ends_with("\r\n\r\n") && !text.contains("content"),
            "{text}"
        );
    }

    #[test]
    fn numbers_fill_their_width() {
        for (number, expected) in [(0, "000"), (42, "042"), (999, "999")] {
            let mut place = [b'x'; 3];
            write_decimal(&mut place, number);
            assert_eq!(place, expected.as_bytes());
        }
        for (number, expected) in [
            (u128::MAX, "ffffffffffffffffff"),
            (1 << 64, "010000000000000000"),
        ] {
            let mut place = [b'x'; 18];
            write_hexadecimal(&mut place, number);
            assert_eq!(place, expected.as_bytes());
        }
        assert_eq!(economy_name(0xab, 12), "bench-000000ab-0012");
        assert_eq!(member_name(3), "user:100000000000000003");
    }

    #[test]
    fn keys_are_new_and_of_their_order() {
        let mut ordered = Keys::new(KeyOrder::Ordered, 5, 1);
        let first = ordered.key();
        assert!(ordered.key() > first);
        assert_ne!(Keys::new(KeyOrder::Ordered, 6, 1).key(), first);
        let mut random = Keys::new(KeyOrder::Random, 5, 1);
        let keys: std::collections::BTreeSet<u128> = (0..1_000).map(|_| random.key()).collect();
        assert_eq!(keys.len(), 1_000);
        assert_ne!(
            Keys::new(KeyOrder::Random, 5, 2).key(),
            Keys::new(KeyOrder::Random, 5, 1).key()
        );
    }
}
