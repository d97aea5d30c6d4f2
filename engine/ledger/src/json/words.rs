//! Texts as words of eight bytes, which are read several times as fast as bytes.

/// Returns the first eight bytes of a quoted name as a number, with zeros after a shorter name.
pub(super) fn prefix(quoted: &[u8]) -> u64 {
    let name = quoted.get(1..quoted.len().saturating_sub(1));
    let name = name.unwrap_or_default();
    if let Some(first) = name.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let bytes = name.iter().chain(&[0; 8]).take(8);
    bytes.fold(0, |prefix, byte| (prefix << 8) | u64::from(*byte))
}

/// Returns the length of the characters at the start of a text up to a quotation mark, a backslash or a control
/// character.
pub(super) fn plain_length(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    let mut length: usize = 0;
    for word in words {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            let before = usize::try_from(special.trailing_zeros() / 8).unwrap_or_default();
            return length.saturating_add(before);
        }
        length = length.saturating_add(8);
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let plain = rest.iter().position(is_special).unwrap_or(rest.len());
    length.saturating_add(plain)
}

/// Returns a word whose lowest set bit lies in the lowest byte that is a quotation mark, a backslash or a control
/// character; zero if there is none.
///
/// A subtraction borrows from the next higher byte only, so that the lowest bit is exact
/// (<https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>).
const fn special_bytes(word: u64) -> u64 {
    // A word of eight bytes 1.
    let ones = u64::MAX / 255;
    let quote = word ^ (ones * 0x22);
    let backslash = word ^ (ones * 0x5c);
    let control = word.wrapping_sub(ones << 5) & !word;
    let quote = quote.wrapping_sub(ones) & !quote;
    let backslash = backslash.wrapping_sub(ones) & !backslash;
    (control | quote | backslash) & (ones << 7)
}
