//! Reads of whole runs in order, and their merge.

use std::sync::Arc;

use super::entry::IndexEntry;
use super::error::IndexError;
use super::page::{PAGE_BYTES, PageBytes, PageEntries};
use super::run::{SortedRun, offset};

/// The number of pages that are read at once.
const SCAN_PAGES: u64 = 16;

/// A read of all entries of a run, in order.
pub(super) struct RunScan<E> {
    run: Arc<SortedRun<E>>,
    bytes: Vec<u8>,
    /// The first page in `bytes`, and the next one to be decoded.
    first: u64,
    page: u64,
    entries: Vec<E>,
    next: usize,
}

impl<E: IndexEntry> RunScan<E> {
    pub(super) fn new(run: Arc<SortedRun<E>>) -> Self {
        Self {
            run,
            bytes: Vec::new(),
            first: 0,
            page: 0,
            entries: Vec::new(),
            next: 0,
        }
    }

    fn next(&mut self) -> Result<Option<E>, IndexError> {
        while self.next == self.entries.len() {
            if self.page == self.run.pages() {
                return Ok(None);
            }
            self.decode_page()?;
        }
        let entry = self.entries.get(self.next).copied();
        self.next += 1;
        Ok(entry)
    }

    fn decode_page(&mut self) -> Result<(), IndexError> {
        let place = usize::try_from(self.page - self.first).unwrap_or(usize::MAX);
        if self.bytes.len() / PAGE_BYTES <= place {
            return self.read_pages();
        }
        let damaged = || self.run.damaged(self.page);
        let (pages, _) = self.bytes.as_chunks::<PAGE_BYTES>();
        let bytes: &PageBytes = pages.get(place).ok_or_else(damaged)?;
        let entries = PageEntries::open(bytes, self.run.seal, self.page);
        self.entries.clear();
        self.next = 0;
        for entry in entries.map_err(|_| damaged())? {
            self.entries.push(entry.map_err(|_| damaged())?);
        }
        self.page += 1;
        Ok(())
    }

    fn read_pages(&mut self) -> Result<(), IndexError> {
        let pages = (self.run.pages() - self.page).min(SCAN_PAGES);
        let length = usize::try_from(offset(pages)).unwrap_or(usize::MAX);
        self.bytes.resize(length, 0);
        self.first = self.page;
        let read = self
            .run
            .file
            .read_exact_at(&mut self.bytes, offset(self.page));
        read.map_err(|error| IndexError::read(&self.run.name(), error))
    }
}

/// A source of entries in order.
pub(super) enum EntrySource<E> {
    /// A run.
    Run(RunScan<E>),
    /// Entries in memory.
    Sorted(std::vec::IntoIter<E>),
}

impl<E: IndexEntry> EntrySource<E> {
    fn next(&mut self) -> Result<Option<E>, IndexError> {
        match self {
            Self::Run(scan) => scan.next(),
            Self::Sorted(entries) => Ok(entries.next()),
        }
    }
}

/// All entries of several sources in one order. An error ends nothing: the caller stops at the first one.
pub(crate) struct MergedEntries<E> {
    /// Each source that has a further entry, with that entry.
    heads: Vec<(E, EntrySource<E>)>,
    /// Sources whose first entry was not read yet.
    unread: Vec<EntrySource<E>>,
}

impl<E: IndexEntry> MergedEntries<E> {
    pub(super) fn new(sources: Vec<EntrySource<E>>) -> Self {
        Self {
            heads: Vec::new(),
            unread: sources,
        }
    }

    fn take_lowest(&mut self) -> Result<Option<E>, IndexError> {
        while let Some(mut source) = self.unread.pop() {
            if let Some(entry) = source.next()? {
                self.heads.push((entry, source));
            }
        }
        // Sources are few, so a search through all of them is as fast as a heap.
        let lowest = self
            .heads
            .iter()
            .enumerate()
            .min_by(|(_, (one, _)), (_, (other, _))| one.cmp(other));
        let Some((place, _)) = lowest else {
            return Ok(None);
        };
        let Some((head, source)) = self.heads.get_mut(place) else {
            return Ok(None);
        };
        let entry = *head;
        match source.next()? {
            Some(next) => *head = next,
            None => {
                self.heads.swap_remove(place);
            }
        }
        Ok(Some(entry))
    }
}

impl<E: IndexEntry> Iterator for MergedEntries<E> {
    type Item = Result<E, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_lowest().transpose()
    }
}
