//! Integers of variable length: seven bits a byte, the lowest first.
//!
//! Differences wrap around, so that each pair of numbers has one and no input can overflow.

/// The number of bytes of the longest integer.
const BYTES_MAX: usize = 10;

/// Appends an integer.
pub(super) fn put(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Appends the signed difference of two integers, short if they are close.
pub(super) fn put_difference(out: &mut Vec<u8>, value: u64, from: u64) {
    put(out, zigzag(value.wrapping_sub(from).cast_signed()));
}

/// Takes an integer from the front of the input, or returns `None` if there is none.
pub(super) fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (position, byte) in input.iter().take(BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // Nine bytes hold 63 bits, so the tenth has one.
        if position == BYTES_MAX - 1 && bits > 1 {
            return None;
        }
        value |= bits << (7 * position);
        if byte & 0x80 == 0 {
            *input = input.get(position + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Takes a signed difference and returns the integer that it leads to.
pub(super) fn take_difference(input: &mut &[u8], from: u64) -> Option<u64> {
    let difference = unzigzag(take(input)?);
    Some(from.wrapping_add(difference.cast_unsigned()))
}

/// Maps numbers of small magnitude to small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_differences_return() {
        let values = [0, 1, 127, 128, 1 << 14, 1 << 35, u64::MAX >> 1, u64::MAX];
        for value in values {
            for from in values {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                put_difference(&mut bytes, value, from);
                let mut input = &bytes[..];
                assert_eq!(take(&mut input), Some(value));
                assert_eq!(take_difference(&mut input, from), Some(value));
                assert!(input.is_empty());
            }
        }
    }

    #[test]
    fn an_integer_has_ten_bytes_at_most() {
        let mut longest = Vec::new();
        put(&mut longest, u64::MAX);
        assert_eq!(longest.len(), BYTES_MAX);
        let mut beyond = longest.clone();
        beyond[9] = 2;
        assert_eq!(take(&mut &beyond[..]), None);
        assert_eq!(take(&mut &[0x80; 11][..]), None);
        assert_eq!(take(&mut &longest[..9]), None);
    }
}
