//! The writer of a run: takes entries in order and writes the file once, from its beginning to its end.

use sha2::{Digest, Sha256};

use super::entry::IndexEntry;
use super::error::IndexError;
use super::filter::{FILTER_PAGES, FilterGroup};
use super::folder::{IndexFile, IndexFolder};
use super::identity::IndexIdentity;
use super::manifest::{RunDescription, RunKind};
use super::page::{PageSeal, PageWriter};
use super::run::{DIRECTORY_PLACE, Directory, FOOTER_PLACE, SortedRun};

/// The number of bytes that are collected for one write.
const WRITE_BYTES: usize = 1 << 18;

/// The place and the extent of a new run.
#[derive(Clone, Copy)]
pub(super) struct RunPlan {
    /// The number of its file.
    pub(super) number: u64,
    /// The kind of its entries.
    pub(super) kind: RunKind,
    /// Its level.
    pub(super) level: u8,
    /// The first record that it covers.
    pub(super) first: u64,
    /// The last record that it covers.
    pub(super) last: u64,
}

/// A run that is being written.
pub(super) struct RunWriter<E> {
    plan: RunPlan,
    output: HashedOutput,
    seal: PageSeal,
    page: PageWriter<E>,
    pages: u64,
    entries: u64,
    directory: Directory<E>,
    /// The distinct fingerprints of the group that is being filled.
    fingerprints: Vec<u64>,
    group_page: u64,
}

impl<E: IndexEntry> RunWriter<E> {
    pub(super) fn create(
        folder: &dyn IndexFolder,
        identity: &IndexIdentity,
        plan: RunPlan,
    ) -> Result<Self, IndexError> {
        let name = RunDescription::file_name(plan.number);
        let created = folder.create(&name);
        let file = created.map_err(|error| IndexError::io("create", &name, error))?;
        Ok(Self {
            plan,
            output: HashedOutput {
                file,
                name,
                buffer: Vec::with_capacity(WRITE_BYTES * 2),
                written: 0,
                digest: Sha256::new(),
            },
            seal: PageSeal::new(identity.seed(plan.kind.code(), plan.number)),
            page: PageWriter::new(),
            pages: 0,
            entries: 0,
            directory: Directory {
                groups: Vec::new(),
                firsts: Vec::new(),
                last: E::default(),
                lowest: u64::MAX,
                highest: 0,
            },
            fingerprints: Vec::new(),
            group_page: 0,
        })
    }

    /// Appends an entry that is not below the entry before it.
    pub(super) fn push(&mut self, entry: &E) -> Result<(), IndexError> {
        if !self.page.push(entry) {
            self.seal_page()?;
            // An empty page has space for any entry.
            self.page.push(entry);
        }
        if self.directory.firsts.len() as u64 == self.pages {
            self.directory.firsts.push(*entry);
        }
        if let Some(fingerprint) = entry.filtered()
            && self.fingerprints.last() != Some(&fingerprint)
        {
            self.fingerprints.push(fingerprint);
        }
        self.entries += 1;
        self.directory.last = *entry;
        self.directory.lowest = self.directory.lowest.min(entry.position());
        self.directory.highest = self.directory.highest.max(entry.position());
        Ok(())
    }

    fn seal_page(&mut self) -> Result<(), IndexError> {
        self.page
            .seal(self.seal, self.pages, &mut self.output.buffer);
        self.pages += 1;
        if self.pages - self.group_page == FILTER_PAGES {
            self.finish_group();
        }
        self.output.write_if_full()
    }

    fn finish_group(&mut self) {
        if !self.fingerprints.is_empty() {
            let group = FilterGroup::build(self.group_page, &self.fingerprints);
            self.directory.groups.push(group);
            self.fingerprints.clear();
        }
        self.group_page = self.pages;
    }

    /// Completes the file and makes it durable.
    pub(super) fn finish(mut self) -> Result<SortedRun<E>, IndexError> {
        if !self.page.is_empty() {
            self.seal_page()?;
        }
        self.finish_group();
        let checksum = self.write_directory()?;
        let mut footer = Vec::new();
        let directory = &self.directory;
        for number in [
            self.pages,
            self.entries,
            directory.lowest,
            directory.highest,
        ] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&checksum.to_le_bytes());
        let checksum = self.seal.checksum(FOOTER_PLACE, &footer);
        footer.extend_from_slice(&checksum.to_le_bytes());
        self.output.buffer.extend_from_slice(&footer);
        let output = self.output.finish()?;
        Ok(SortedRun {
            description: RunDescription {
                number: self.plan.number,
                kind: self.plan.kind,
                level: self.plan.level,
                first: self.plan.first,
                last: self.plan.last,
                entries: self.entries,
                length: output.written,
                digest: output.digest.finalize().into(),
            },
            directory: self.directory,
            file: output.file,
            seal: self.seal,
        })
    }

    /// Writes the directory in parts and returns its checksum.
    fn write_directory(&mut self) -> Result<u32, IndexError> {
        let mut checksum = self.seal.begin(DIRECTORY_PLACE);
        let mut part = Vec::new();
        part.extend_from_slice(&(self.directory.groups.len() as u64).to_le_bytes());
        for group in &self.directory.groups {
            group.encode(&mut part);
            checksum.update(&part);
            self.output.buffer.append(&mut part);
            self.output.write_if_full()?;
        }
        let mut firsts = Vec::new();
        let mut previous = E::default();
        for first in &self.directory.firsts {
            first.encode(&previous, &mut firsts);
            previous = *first;
        }
        self.directory.last.encode(&previous, &mut firsts);
        part.extend_from_slice(&(firsts.len() as u64).to_le_bytes());
        part.append(&mut firsts);
        checksum.update(&part);
        self.output.buffer.append(&mut part);
        Ok(checksum.finalize())
    }
}

/// A file that is written in order, and the digest of what was written.
struct HashedOutput {
    file: Box<dyn IndexFile>,
    name: String,
    buffer: Vec<u8>,
    written: u64,
    digest: Sha256,
}

impl HashedOutput {
    fn write_if_full(&mut self) -> Result<(), IndexError> {
        if self.buffer.len() < WRITE_BYTES {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), IndexError> {
        self.digest.update(&self.buffer);
        let written = self.file.write_all_at(&self.buffer, self.written);
        written.map_err(|error| IndexError::io("write", &self.name, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and makes the file durable.
    fn finish(mut self) -> Result<Self, IndexError> {
        self.write()?;
        let synced = self.file.sync();
        synced.map_err(|error| IndexError::io("sync", &self.name, error))?;
        Ok(self)
    }
}
