//! Randomly damaged components. One number always gives the same damage. The tests of the server use this file, too.

/// A small random number generator.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Without this, consecutive seeds would start with similar numbers.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let n = u64::try_from(n.max(1)).unwrap();
        usize::try_from((self.0 >> 11) % n).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Returns the mutant of a number, with one to three changes.
pub(crate) fn mutant(good: &[u8], number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(40)).min(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let range = bytes[at..end].to_vec();
                bytes.splice(at..at, range);
            }
            3 => bytes.insert(at, dice.byte()),
            4 => bytes[at] = dice.byte(),
            _ => bytes[at] ^= 1 << dice.below(8),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}
