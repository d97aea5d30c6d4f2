//! A folder in memory that records its operations, fails on request, and shows what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::index::folder::{IndexFile, IndexFolder};

/// Numbers from a seed (`SplitMix64`).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A change of the folder, in the order in which it was made.
#[derive(Clone)]
enum Change {
    Create {
        name: String,
        file: usize,
    },
    Write {
        file: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    SyncFile {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
        file: usize,
    },
    Remove {
        name: String,
    },
    SyncFolder,
}

/// The operations that fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Never,
    Once(u64),
    From(u64),
}

struct State {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    fault: Fault,
    operations: u64,
}

/// The unsynced changes that a power cut keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    LosesAll,
    KeepsAll,
    Mixes(u64),
}

#[derive(Clone)]
pub(super) struct MemoryFolder(Arc<Mutex<State>>);

impl Default for MemoryFolder {
    fn default() -> Self {
        Self::of(Vec::new(), BTreeMap::new())
    }
}

impl MemoryFolder {
    fn of(files: Vec<Vec<u8>>, names: BTreeMap<String, usize>) -> Self {
        Self(Arc::new(Mutex::new(State {
            files,
            names,
            changes: Vec::new(),
            fault: Fault::Never,
            operations: 0,
        })))
    }

    /// Returns a folder with the same content and no history.
    pub(super) fn copy(&self) -> Self {
        let state = self.0.lock().expect("no holder panics");
        Self::of(state.files.clone(), state.names.clone())
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.0.lock().expect("no holder panics").fault = fault;
    }

    pub(super) fn operations(&self) -> u64 {
        self.0.lock().expect("no holder panics").operations
    }

    /// Returns the number of changes, which is the number of places for a power cut.
    pub(super) fn changes(&self) -> usize {
        self.0.lock().expect("no holder panics").changes.len()
    }

    /// Returns the names of files with their lengths.
    pub(super) fn files(&self) -> Vec<(String, usize)> {
        let state = self.0.lock().expect("no holder panics");
        let files = state.names.iter();
        files
            .map(|(name, file)| (name.clone(), state.files[*file].len()))
            .collect()
    }

    /// Returns the bytes of a file.
    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock().expect("no holder panics");
        state.files[state.names[name]].clone()
    }

    /// Changes the bytes of a file without the index.
    pub(super) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().expect("no holder panics");
        let file = state.names[name];
        change(&mut state.files[file]);
    }

    /// Removes a file without the index.
    pub(super) fn lose(&self, name: &str) {
        self.0
            .lock()
            .expect("no holder panics")
            .names
            .remove(name)
            .expect("the file exists");
    }

    /// Returns the folder as a power cut after a number of changes leaves it.
    pub(super) fn cut(&self, changes: usize, cut: Cut) -> Self {
        let state = self.0.lock().expect("no holder panics");
        let mut numbers = Numbers(match cut {
            Cut::Mixes(seed) => seed,
            Cut::LosesAll | Cut::KeepsAll => 0,
        });
        let mut image = Image::default();
        for change in &state.changes[..changes] {
            image.apply(change);
        }
        image.end(cut, &mut numbers)
    }

    fn operate<T>(&self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().expect("no holder panics");
        state.operations += 1;
        let number = state.operations;
        let fails = match state.fault {
            Fault::Never => false,
            Fault::Once(place) => number == place,
            Fault::From(place) => number >= place,
        };
        if fails {
            return Err(io::Error::other("the disk of the test failed"));
        }
        run(&mut state)
    }
}

/// The durable content during a replay of changes, and the changes that are not durable yet.
#[derive(Default)]
struct Image {
    files: Vec<Vec<u8>>,
    unsynced: Vec<Vec<(usize, Vec<u8>)>>,
    names: BTreeMap<String, usize>,
    renames: Vec<Change>,
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { .. } => {
                self.files.push(Vec::new());
                self.unsynced.push(Vec::new());
                self.renames.push(change.clone());
            }
            Change::Rename { .. } | Change::Remove { .. } => self.renames.push(change.clone()),
            Change::Write {
                file,
                offset,
                bytes,
            } => {
                self.unsynced[*file].push((*offset, bytes.clone()));
            }
            Change::SyncFile { file } => {
                for (offset, bytes) in std::mem::take(&mut self.unsynced[*file]) {
                    write(&mut self.files[*file], offset, &bytes);
                }
            }
            Change::SyncFolder => {
                for change in std::mem::take(&mut self.renames) {
                    name(&mut self.names, &change);
                }
            }
        }
    }

    fn end(mut self, cut: Cut, numbers: &mut Numbers) -> MemoryFolder {
        for (file, writes) in self.unsynced.into_iter().enumerate() {
            for (offset, mut bytes) in writes {
                let length = bytes.len();
                bytes.truncate(match cut {
                    Cut::LosesAll => 0,
                    Cut::KeepsAll => length,
                    Cut::Mixes(_) => match numbers.below(3) {
                        0 => 0,
                        1 => length,
                        // A torn write.
                        _ => usize::try_from(numbers.below(length as u64 + 1))
                            .expect("a small number"),
                    },
                });
                if !bytes.is_empty() {
                    write(&mut self.files[file], offset, &bytes);
                }
            }
        }
        for change in &self.renames {
            let is_kept = match cut {
                Cut::LosesAll => false,
                Cut::KeepsAll => true,
                Cut::Mixes(_) => numbers.below(2) == 0,
            };
            if is_kept {
                name(&mut self.names, change);
            }
        }
        MemoryFolder::of(self.files, self.names)
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn name(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Create { name, file } => {
            names.insert(name.clone(), *file);
        }
        Change::Rename { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Change::Remove { name } => {
            names.remove(name);
        }
        Change::Write { .. } | Change::SyncFile { .. } | Change::SyncFolder => {}
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl IndexFolder for MemoryFolder {
    fn create(&self, name: &str) -> io::Result<Box<dyn IndexFile>> {
        let name = name.to_owned();
        let file = self.operate(|state| {
            let file = state.files.len();
            state.files.push(Vec::new());
            state.names.insert(name.clone(), file);
            state.changes.push(Change::Create { name, file });
            Ok(file)
        })?;
        Ok(Box::new(Handle {
            folder: self.clone(),
            file,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn IndexFile>> {
        let file = self.operate(|state| state.names.get(name).copied().ok_or_else(missing))?;
        Ok(Box::new(Handle {
            folder: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate(|state| {
            let file = state.names.remove(from).ok_or_else(missing)?;
            state.names.insert(to.to_owned(), file);
            state.changes.push(Change::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
                file,
            });
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate(|state| {
            state.names.remove(name).ok_or_else(missing)?;
            state.changes.push(Change::Remove {
                name: name.to_owned(),
            });
            Ok(())
        })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.operate(|state| Ok(state.names.keys().cloned().collect()))
    }

    fn sync(&self) -> io::Result<()> {
        self.operate(|state| {
            state.changes.push(Change::SyncFolder);
            Ok(())
        })
    }
}

struct Handle {
    folder: MemoryFolder,
    file: usize,
}

impl IndexFile for Handle {
    fn length(&self) -> io::Result<u64> {
        self.folder
            .operate(|state| Ok(state.files[self.file].len() as u64))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.folder.operate(|state| {
            let start = usize::try_from(offset).expect("a small number");
            let bytes = state.files[self.file].get(start..start + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("a small number");
        self.folder.operate(|state| {
            write(&mut state.files[self.file], offset, bytes);
            state.changes.push(Change::Write {
                file: self.file,
                offset,
                bytes: bytes.to_vec(),
            });
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.folder.operate(|state| {
            state.changes.push(Change::SyncFile { file: self.file });
            Ok(())
        });
        if synced.is_err() {
            // A failed sync loses the pages, and a second one would report success.
            self.folder.0.lock().expect("no holder panics").files[self.file].clear();
        }
        synced
    }
}
