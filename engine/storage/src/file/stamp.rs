//! The stamp of a file: one word on its first page, where SQLite keeps `user_version`.
//!
//! It says by which schema the file is written, and lets a file and a write-ahead log be held against
//! each other by their bytes alone. Its generation grows with each commit, so the first commit in a log has
//! the generation that follows the file's, or the file has one out of the log.

/// The bit above the number of the schema. It is set from the first commit of an opening to the last one of an
/// orderly end.
const OPEN_BIT: u32 = 1 << 8;

/// Bits below the generation.
const GENERATION_SHIFT: u32 = 9;

/// Generations after which the count begins anew: the other bits of the word.
const GENERATIONS: u32 = 1 << 23;

/// The stamp of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// The stamp that a file's first page has.
    pub(crate) fn of_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// The bytes on the file's first page.
    pub(crate) fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// The stamp that SQL calls `user_version`.
    pub(crate) fn of_sql(version: i64) -> Self {
        let [.., a, b, c, d] = version.to_be_bytes();
        Self::of_bytes([a, b, c, d])
    }

    /// Its `user_version`, which has a sign.
    pub(crate) fn sql(self) -> i32 {
        i32::from_be_bytes(self.bytes())
    }

    /// The number of the schema.
    pub(crate) fn schema(self) -> i64 {
        i64::from(self.0 & (OPEN_BIT - 1))
    }

    /// Returns whether the file was not closed in order.
    pub(crate) fn is_open(self) -> bool {
        self.0 & OPEN_BIT != 0
    }

    /// Returns the stamp with another schema.
    #[must_use]
    pub(crate) fn with_schema(self, schema: i64) -> Self {
        let [.., schema] = schema.to_be_bytes();
        Self(self.0 & !(OPEN_BIT - 1) | u32::from(schema))
    }

    /// Returns the stamp of an open or closed file.
    #[must_use]
    pub(crate) fn with_open(self, is_open: bool) -> Self {
        Self(self.0 & !OPEN_BIT | if is_open { OPEN_BIT } else { 0 })
    }

    /// Returns the stamp of the next generation.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        self.with_generation((self.0 >> GENERATION_SHIFT).wrapping_add(1))
    }

    /// Returns the stamp with a random generation, so that no two files share one.
    #[must_use]
    pub(crate) fn with_generation(self, drawn: u32) -> Self {
        Self(self.0 & (OPEN_BIT | (OPEN_BIT - 1)) | (drawn % GENERATIONS) << GENERATION_SHIFT)
    }

    /// Returns whether both are of one generation.
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
