//! Pages of runs: 4 KiB of encoded entries with a checksum.

use super::entry::IndexEntry;

/// The number of bytes of a page.
pub(super) const PAGE_BYTES: usize = 4_096;

/// The bytes of one page.
pub(super) type PageBytes = [u8; PAGE_BYTES];

/// The bytes before the entries: the checksum, the number of entries, and their length.
const HEADER_BYTES: usize = 8;

/// The checksum of the pages of one run. It covers the place of a page as well as its content.
#[derive(Clone, Copy)]
pub(super) struct PageSeal {
    seed: u32,
}

impl PageSeal {
    pub(super) fn new(seed: u32) -> Self {
        Self { seed }
    }

    /// Returns the checksum of bytes at a place of the run.
    pub(super) fn checksum(self, place: u64, bytes: &[u8]) -> u32 {
        let mut checksum = self.begin(place);
        checksum.update(bytes);
        checksum.finalize()
    }

    /// Begins the checksum of bytes at a place of the run.
    pub(super) fn begin(self, place: u64) -> crc32fast::Hasher {
        let mut checksum = crc32fast::Hasher::new_with_initial(self.seed);
        checksum.update(&place.to_le_bytes());
        checksum
    }
}

/// A page that is being filled.
pub(super) struct PageWriter<E> {
    bytes: Vec<u8>,
    entries: u16,
    previous: E,
}

impl<E: IndexEntry> PageWriter<E> {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; HEADER_BYTES],
            entries: 0,
            previous: E::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Appends an entry, or returns false if the page has no space for it.
    pub(super) fn push(&mut self, entry: &E) -> bool {
        let length = self.bytes.len();
        entry.encode(&self.previous, &mut self.bytes);
        if self.bytes.len() > PAGE_BYTES {
            self.bytes.truncate(length);
            return false;
        }
        self.entries += 1;
        self.previous = *entry;
        true
    }

    /// Appends the sealed page to the output, and begins an empty one.
    pub(super) fn seal(&mut self, seal: PageSeal, number: u64, out: &mut Vec<u8>) {
        let used = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        self.bytes.resize(PAGE_BYTES, 0);
        self.bytes[4..6].copy_from_slice(&self.entries.to_le_bytes());
        self.bytes[6..8].copy_from_slice(&used.to_le_bytes());
        let checksum = seal.checksum(number, &self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&self.bytes);
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
        self.entries = 0;
        self.previous = E::default();
    }
}

/// A page whose checksum or encoding is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadPage;

/// The entries of a page, in order.
pub(super) struct PageEntries<'a, E> {
    input: &'a [u8],
    left: u16,
    previous: E,
}

impl<'a, E: IndexEntry> PageEntries<'a, E> {
    /// Checks a page and begins at its first entry.
    pub(super) fn open(bytes: &'a PageBytes, seal: PageSeal, number: u64) -> Result<Self, BadPage> {
        let checksum = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if checksum != seal.checksum(number, &bytes[4..]) {
            return Err(BadPage);
        }
        let used = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        Ok(Self {
            input: bytes.get(HEADER_BYTES..used).ok_or(BadPage)?,
            left: u16::from_le_bytes([bytes[4], bytes[5]]),
            previous: E::default(),
        })
    }
}

impl<E: IndexEntry> Iterator for PageEntries<'_, E> {
    type Item = Result<E, BadPage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Some(entry) = E::decode(&self.previous, &mut self.input) else {
            self.left = 0;
            return Some(Err(BadPage));
        };
        self.previous = entry;
        Some(Ok(entry))
    }
}
