//! A model of a disk after a power cut: synced data is kept, and any part of the other data may be kept. Data that a
//! failed sync lost is not kept, even if it is still readable before the cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::recording::Op;

/// The number of bytes that a disk writes as a whole.
const SECTOR: u64 = 512;

/// The fate of unsynced data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// All of it is lost.
    Lost,
    /// All of it is kept, as after a death of the process alone.
    Kept,
    /// Some sectors of it are kept, chosen by this seed.
    Torn(u64),
}

/// The files of a folder, by name.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    /// The contents of files at their last sync, by numbers that are never used twice.
    files: Vec<File>,
    /// The number of the file that has a name in the running system.
    now: BTreeMap<PathBuf, usize>,
    /// The number of the file that has a name on the disk.
    synced: BTreeMap<PathBuf, usize>,
    /// The operations on the folder since its last sync.
    pending: Vec<Naming>,
}

#[derive(Clone)]
enum Naming {
    Made(PathBuf, usize),
    Removed(PathBuf),
}

#[derive(Clone, Default)]
struct File {
    synced: Vec<u8>,
    /// The operations on the file since its last sync.
    pending: Vec<Change>,
    /// True if the next sync of the file also syncs its folder.
    syncs_folder: bool,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl Disk {
    /// Creates a disk with one file.
    pub(crate) fn with(name: PathBuf, synced: Vec<u8>) -> Self {
        let names = BTreeMap::from([(name, 0)]);
        Self {
            files: vec![File {
                synced,
                ..File::default()
            }],
            now: names.clone(),
            synced: names,
            pending: Vec::new(),
        }
    }

    /// Applies an operation to the disk.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Open { name, syncs_folder } => {
                let file = self.find_or_make(name);
                self.file(file).syncs_folder |= syncs_folder;
            }
            Op::Write { name, at, bytes } => {
                let file = self.find_or_make(name);
                let change = Change::Write(*at, bytes.clone());
                self.file(file).pending.push(change);
            }
            Op::Cut { name, length } => {
                let file = self.find_or_make(name);
                self.file(file).pending.push(Change::Cut(*length));
            }
            Op::Lose { name } => {
                let file = self.find_or_make(name);
                self.file(file).pending.clear();
            }
            Op::Sync { name } => {
                let file = self.find_or_make(name);
                let file = self.file(file);
                for change in std::mem::take(&mut file.pending) {
                    change.apply(&mut file.synced);
                }
                if std::mem::take(&mut file.syncs_folder) {
                    self.sync_folder();
                }
            }
            Op::Remove { name, syncs_folder } => {
                self.now.remove(name);
                self.pending.push(Naming::Removed(name.clone()));
                if *syncs_folder {
                    self.sync_folder();
                }
            }
        }
    }

    /// Writes the files to another folder as a power cut at this moment would leave them.
    pub(crate) fn cut(&self, fate: Fate, folder: &Path) {
        let mut chance = Chance::of(fate);
        let mut names = self.synced.clone();
        for naming in &self.pending {
            if chance.keeps() {
                naming.apply(&mut names);
            }
        }
        for (name, file) in names {
            let file = self.files.get(file).expect("a file has a number");
            let mut bytes = file.synced.clone();
            for change in &file.pending {
                change.apply_some(&mut bytes, &mut chance);
            }
            std::fs::write(folder.join(name), bytes).expect("the folder takes files");
        }
    }

    fn file(&mut self, file: usize) -> &mut File {
        self.files.get_mut(file).expect("a file has a number")
    }

    fn find_or_make(&mut self, name: &Path) -> usize {
        if let Some(found) = self.now.get(name) {
            return *found;
        }
        let made = self.files.len();
        self.files.push(File::default());
        self.now.insert(name.to_owned(), made);
        self.pending.push(Naming::Made(name.to_owned(), made));
        made
    }

    fn sync_folder(&mut self) {
        for naming in std::mem::take(&mut self.pending) {
            naming.apply(&mut self.synced);
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, written) => overwrite(bytes, *at, written),
            Self::Cut(length) => bytes.resize(place(*length), 0),
        }
    }

    /// Applies the part of an operation that has reached the disk: of a write, some sectors.
    fn apply_some(&self, bytes: &mut Vec<u8>, chance: &mut Chance) {
        match self {
            Self::Write(at, written) => {
                if chance.is_whole() {
                    if chance.keeps() {
                        overwrite(bytes, *at, written);
                    }
                    return;
                }
                let mut at = *at;
                let mut left = &written[..];
                while !left.is_empty() {
                    let to_boundary = place(SECTOR - at % SECTOR).min(left.len());
                    let (sector, rest) = left.split_at(to_boundary);
                    if chance.keeps() {
                        overwrite(bytes, at, sector);
                    }
                    at += sector.len() as u64;
                    left = rest;
                }
            }
            Self::Cut(_) => {
                if chance.keeps() {
                    self.apply(bytes);
                }
            }
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, at: u64, written: &[u8]) {
    let from = place(at);
    let to = place(at) + written.len();
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(written);
}

fn place(at: u64) -> usize {
    usize::try_from(at).expect("the file fits in memory")
}

/// The source of random choices for unsynced parts.
struct Chance {
    fate: Fate,
    state: u64,
}

impl Chance {
    fn of(fate: Fate) -> Self {
        let state = match fate {
            Fate::Lost | Fate::Kept => 0,
            Fate::Torn(seed) => seed,
        };
        Self { fate, state }
    }

    fn keeps(&mut self) -> bool {
        match self.fate {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Torn(_) => self.next().is_multiple_of(2),
        }
    }

    /// Returns true if a write is kept or lost as a whole, which is the case for half of the writes.
    fn is_whole(&mut self) -> bool {
        match self.fate {
            Fate::Lost | Fate::Kept => true,
            Fate::Torn(_) => self.next().is_multiple_of(2),
        }
    }

    /// Returns the next number of a sequence that is the same in every run (`SplitMix64`).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
