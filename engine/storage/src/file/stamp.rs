//! The stamp of a file: a number of 32 bits on its first page, where SQLite stores `user_version`.
//!
//! It contains the version of the schema and a generation. A file and a write-ahead log are compared by their
//! generations, without SQLite. Each commit increments the generation. So in the log that
//! belongs to a file, either the first commit has the generation after the file's, or another commit has the file's
//! own generation.

/// The bit above the number of the schema. The first commit of an opening sets it, and the last commit of an orderly
/// end clears it.
const OPEN_BIT: u32 = 1 << 8;

/// The number of bits below the generation.
const GENERATION_SHIFT: u32 = 9;

/// The number of generations, after which the count begins again. They use the remaining bits.
const GENERATIONS: u32 = 1 << 23;

/// The stamp of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// Creates a stamp from its bytes on a file's first page.
    pub(crate) fn of_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// Returns the bytes on the file's first page.
    pub(crate) fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Creates a stamp from `user_version`, as SQL returns it.
    pub(crate) fn of_sql(version: i64) -> Self {
        let [.., a, b, c, d] = version.to_be_bytes();
        Self::of_bytes([a, b, c, d])
    }

    /// Returns the stamp as `user_version`, which is signed.
    pub(crate) fn sql(self) -> i32 {
        i32::from_be_bytes(self.bytes())
    }

    /// Returns the version of the schema.
    pub(crate) fn schema(self) -> i64 {
        i64::from(self.0 & (OPEN_BIT - 1))
    }

    /// Returns true if the file is open, or was not closed in an orderly way.
    pub(crate) fn is_open(self) -> bool {
        self.0 & OPEN_BIT != 0
    }

    /// Returns the stamp with another version of the schema.
    #[must_use]
    pub(crate) fn with_schema(self, schema: i64) -> Self {
        let [.., schema] = schema.to_be_bytes();
        Self(self.0 & !(OPEN_BIT - 1) | u32::from(schema))
    }

    /// Returns the stamp of an open or a closed file.
    #[must_use]
    pub(crate) fn with_open(self, is_open: bool) -> Self {
        Self(self.0 & !OPEN_BIT | if is_open { OPEN_BIT } else { 0 })
    }

    /// Returns the stamp with the next generation.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        self.with_generation((self.0 >> GENERATION_SHIFT).wrapping_add(1))
    }

    /// Returns the stamp with a random generation, so that two files do not share one.
    #[must_use]
    pub(crate) fn with_generation(self, drawn: u32) -> Self {
        Self(self.0 & (OPEN_BIT | (OPEN_BIT - 1)) | (drawn % GENERATIONS) << GENERATION_SHIFT)
    }

    /// Returns true if both stamps have the same generation.
    pub(crate) fn is_contemporary(self, other: Self) -> bool {
        self.0 >> GENERATION_SHIFT == other.0 >> GENERATION_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_changes_by_itself() {
        let stamp = Stamp::of_sql(2).with_generation(u32::MAX);
        assert_eq!((stamp.schema(), stamp.is_open()), (2, false));
        let open = stamp.with_open(true).with_schema(255);
        assert_eq!((open.schema(), open.is_open()), (255, true));
        assert!(open.is_contemporary(stamp));
        assert_eq!(open.with_open(false).with_schema(2), stamp);
        assert_eq!(Stamp::of_sql(open.sql().into()), open);
        assert_eq!(Stamp::of_bytes(open.bytes()), open);
    }

    #[test]
    fn the_generation_after_the_last_is_the_first() {
        let last = Stamp::of_sql(2).with_generation(GENERATIONS - 1);
        assert!(!last.next().is_contemporary(last));
        assert_eq!(last.next(), Stamp::of_sql(2));
    }
}
