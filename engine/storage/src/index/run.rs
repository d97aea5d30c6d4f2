//! Sorted runs: immutable files of entries in order, with the first entry of each page and the filters in memory.
//!
//! A file has its pages first, then a *directory* (filters, and first entries), then a footer of fixed length. Each
//! of the three has a checksum; the digest of the whole file is in the manifest.

use std::io::{self, BufReader, Read};

use super::entry::{FingerprintEntry, IndexEntry, SequenceEntry, SideEntry, SideGroup};
use super::error::IndexError;
use super::filter::{FilterGroup, read_u32, read_u64};
use super::folder::{IndexFile, IndexFolder};
use super::identity::IndexIdentity;
use super::manifest::RunDescription;
use super::page::{PAGE_BYTES, PageBytes, PageEntries, PageSeal};

/// The length of a footer: four numbers, and the checksums of the directory and of the footer.
pub(super) const FOOTER_BYTES: usize = 40;

/// The place in checksums that stands for the directory. No run has so many pages.
pub(super) const DIRECTORY_PLACE: u64 = u64::MAX - 1;

/// The place in checksums that stands for the footer.
pub(super) const FOOTER_PLACE: u64 = u64::MAX;

/// The number of bytes that a start reads at once from a directory.
const DIRECTORY_BUFFER: usize = 1 << 16;

/// Returns the offset of a page in its file.
pub(super) fn offset(page: u64) -> u64 {
    page.saturating_mul(PAGE_BYTES as u64)
}

/// The parts of a run that are kept in memory.
pub(super) struct Directory<E> {
    /// The filters, in order of pages. Runs of entries without a fingerprint have none.
    pub(super) groups: Vec<FilterGroup>,
    /// The first entry of each page.
    pub(super) firsts: Vec<E>,
    /// The last entry.
    pub(super) last: E,
    /// The lowest position of an entry.
    pub(super) lowest: u64,
    /// The highest position of an entry.
    pub(super) highest: u64,
}

impl<E: IndexEntry> Directory<E> {
    /// Returns true if each filter has the first entries of its pages.
    ///
    /// This finds filters of a release that hashed in another way, which are intact and would still hide keys.
    fn filters_fit(&self) -> bool {
        let starts = self.groups.iter().map(|group| group.first_page);
        let ends = starts.skip(1).chain([u64::MAX]);
        self.groups.iter().zip(ends).all(|(group, end)| {
            let page = |page| usize::try_from(page).unwrap_or(usize::MAX);
            let firsts = self
                .firsts
                .iter()
                .take(page(end))
                .skip(page(group.first_page));
            firsts
                .filter_map(IndexEntry::filtered)
                .all(|fingerprint| group.may_contain(fingerprint))
        })
    }
}

/// A run whose file is complete.
pub(super) struct SortedRun<E> {
    pub(super) description: RunDescription,
    pub(super) directory: Directory<E>,
    pub(super) file: Box<dyn IndexFile>,
    pub(super) seal: PageSeal,
}

impl<E: IndexEntry> SortedRun<E> {
    /// Opens a run that the manifest names, and reads its directory.
    pub(super) fn open(
        folder: &dyn IndexFolder,
        identity: &IndexIdentity,
        description: RunDescription,
    ) -> Result<Self, IndexError> {
        let name = RunDescription::file_name(description.number);
        let read = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => IndexError::damaged(&name, "its directory is malformed"),
            _ => IndexError::read(&name, error),
        };
        let seal = PageSeal::new(identity.seed(description.kind.code(), description.number));
        let file = folder.open(&name).map_err(read)?;
        if file.length().map_err(read)? != description.length {
            return Err(IndexError::damaged(
                &name,
                "its length is not that of the manifest",
            ));
        }
        let directory = read_directory(&*file, seal, &description).map_err(read)?;
        if !directory.filters_fit() {
            return Err(IndexError::damaged(&name, "a filter misses an entry"));
        }
        Ok(Self {
            description,
            directory,
            file,
            seal,
        })
    }

    /// Returns the name of the file.
    pub(super) fn name(&self) -> String {
        RunDescription::file_name(self.description.number)
    }

    /// Returns the error for a page that is not as it was written.
    pub(super) fn damaged(&self, page: u64) -> IndexError {
        IndexError::damaged(
            &self.name(),
            format!("page {page} is not as it was written"),
        )
    }

    /// Returns the number of pages.
    pub(super) fn pages(&self) -> u64 {
        self.directory.firsts.len() as u64
    }

    /// Returns the bytes in memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let filters: usize = self.directory.groups.iter().map(FilterGroup::memory).sum();
        filters + self.directory.firsts.len() * size_of::<E>()
    }

    /// Reads the entries of one page.
    fn each_of_page(&self, page: u64, mut take: impl FnMut(E) -> bool) -> Result<(), IndexError> {
        let mut bytes: PageBytes = [0; PAGE_BYTES];
        let read = self.file.read_exact_at(&mut bytes, offset(page));
        read.map_err(|error| IndexError::read(&self.name(), error))?;
        let bad = |_| self.damaged(page);
        for entry in PageEntries::open(&bytes, self.seal, page).map_err(bad)? {
            if !take(entry.map_err(bad)?) {
                break;
            }
        }
        Ok(())
    }

    /// Returns the page that holds the first entry from `entry` on, unless that entry begins the next page.
    fn page_of(&self, entry: &E) -> u64 {
        let beyond = self
            .directory
            .firsts
            .partition_point(|first| first <= entry);
        beyond.saturating_sub(1) as u64
    }

    /// Passes the entries from the first one that is not below `from` on, in order, until `take` returns false.
    fn each_from(&self, from: &E, mut take: impl FnMut(E) -> bool) -> Result<(), IndexError> {
        let mut more = *from <= self.directory.last;
        let end = if more { self.pages() } else { 0 };
        for page in self.page_of(from)..end {
            self.each_of_page(page, |entry| {
                more = entry < *from || take(entry);
                more
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}

impl SortedRun<FingerprintEntry> {
    /// Appends the records that have a fingerprint.
    pub(super) fn find(&self, fingerprint: u64, found: &mut Vec<u64>) -> Result<(), IndexError> {
        let groups = &self.directory.groups;
        // The entries of one fingerprint may begin at the end of a group and go on in the next ones.
        let start = groups
            .partition_point(|group| group.first < fingerprint)
            .saturating_sub(1);
        let candidates = groups.get(start..).unwrap_or_default();
        let mut candidates = candidates
            .iter()
            .take_while(|group| group.first <= fingerprint);
        if candidates.any(|group| group.may_contain(fingerprint)) {
            let from = FingerprintEntry {
                fingerprint,
                record: 0,
            };
            self.each_from(&from, |entry| {
                let is_equal = entry.fingerprint == fingerprint;
                if is_equal {
                    found.push(entry.record);
                }
                is_equal
            })?;
        }
        Ok(())
    }
}

impl SortedRun<SequenceEntry> {
    /// Appends records of an economy after a number, in order, until `found` has `limit` of them.
    pub(super) fn after(
        &self,
        economy: u32,
        seq: u64,
        limit: usize,
        found: &mut Vec<(u64, u64)>,
    ) -> Result<(), IndexError> {
        let Some(next) = seq.checked_add(1).filter(|_| found.len() < limit) else {
            return Ok(());
        };
        let from = SequenceEntry {
            economy,
            seq: next,
            record: 0,
        };
        self.each_from(&from, |entry| {
            let fits = entry.economy == economy;
            if fits {
                found.push((entry.seq, entry.record));
            }
            fits && found.len() < limit
        })
    }
}

impl SortedRun<SideEntry> {
    /// Appends movements of a group below a number, newest first, until `found` has `limit` of them.
    pub(super) fn before<T>(
        &self,
        group: SideGroup,
        below: u64,
        limit: usize,
        found: &mut Vec<T>,
        convert: impl Fn(&SideEntry) -> T,
    ) -> Result<(), IndexError> {
        if self.directory.lowest >= below || self.pages() == 0 {
            return Ok(());
        }
        let end = SideEntry {
            group,
            movement: below,
            ..SideEntry::default()
        };
        let mut page = self.page_of(&SideEntry {
            after: i64::MIN,
            ..end
        });
        let mut entries = Vec::new();
        while found.len() < limit {
            entries.clear();
            self.each_of_page(page, |entry| {
                let is_before = (entry.group, entry.movement) < (group, below);
                if is_before && entry.group == group {
                    entries.push(entry);
                }
                is_before
            })?;
            let missing = limit - found.len();
            found.extend(entries.iter().rev().take(missing).map(&convert));
            let begins_before = self
                .directory
                .firsts
                .get(usize::try_from(page).unwrap_or(usize::MAX))
                .is_some_and(|first| first.group < group);
            if begins_before || page == 0 {
                break;
            }
            page -= 1;
        }
        Ok(())
    }
}

/// Reads and checks the footer and the directory of a run.
fn read_directory<E: IndexEntry>(
    file: &dyn IndexFile,
    seal: PageSeal,
    description: &RunDescription,
) -> io::Result<Directory<E>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let footer_at = description
        .length
        .checked_sub(FOOTER_BYTES as u64)
        .ok_or_else(invalid)?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, footer_at)?;
    let (content, checksum) = footer.split_at(FOOTER_BYTES - 4);
    if checksum != seal.checksum(FOOTER_PLACE, content).to_le_bytes() {
        return Err(invalid());
    }
    let input = &mut &content[..];
    let pages = read_u64(input)?;
    let entries = read_u64(input)?;
    let lowest = read_u64(input)?;
    let highest = read_u64(input)?;
    let expected = read_u32(input)?;
    let start = offset(pages);
    if entries != description.entries || start > footer_at {
        return Err(invalid());
    }
    let part = FilePart {
        file,
        at: start,
        end: footer_at,
        checksum: seal.begin(DIRECTORY_PLACE),
    };
    let mut input = BufReader::with_capacity(DIRECTORY_BUFFER, part);
    let directory = decode_directory(&mut input, pages, [lowest, highest])?;
    let part = input.into_inner();
    if part.at != footer_at || part.checksum.finalize() != expected {
        return Err(invalid());
    }
    Ok(directory)
}

fn decode_directory<E: IndexEntry>(
    input: &mut impl Read,
    pages: u64,
    [lowest, highest]: [u64; 2],
) -> io::Result<Directory<E>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let count = read_u64(input)?;
    let groups: io::Result<Vec<_>> = (0..count).map(|_| FilterGroup::decode(input)).collect();
    let length = read_u64(input)?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    let mut rest = &bytes[..];
    let mut previous = E::default();
    let mut firsts = Vec::new();
    for _ in 0..pages {
        previous = E::decode(&previous, &mut rest).ok_or_else(invalid)?;
        firsts.push(previous);
    }
    let last = E::decode(&previous, &mut rest).ok_or_else(invalid)?;
    let is_whole = rest.is_empty() && bytes.len() as u64 == length;
    let at_end = input.read(&mut [0])? == 0;
    if !is_whole || !at_end {
        return Err(invalid());
    }
    Ok(Directory {
        groups: groups?,
        firsts,
        last,
        lowest,
        highest,
    })
}

/// A part of a file, read in order, with the checksum of what was read.
struct FilePart<'a> {
    file: &'a dyn IndexFile,
    at: u64,
    end: u64,
    checksum: crc32fast::Hasher,
}

impl Read for FilePart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let buffer = &mut buffer[..length];
        self.file.read_exact_at(buffer, self.at)?;
        self.checksum.update(buffer);
        self.at += length as u64;
        Ok(length)
    }
}
