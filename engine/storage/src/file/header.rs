//! The header of a file. It shows if the file is a Bursar database, before SQLite opens it, a lock file is
//! created or the file is changed.
//!
//! A file that this process has open must not be read here. Closing a handle on it drops the locks that
//! SQLite's connections in this process hold on it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::{ForeignFile, StorageError};
use crate::file::stamp::Stamp;
use crate::schema;

/// The bytes of SQLite's header: <https://www.sqlite.org/fileformat2.html#the_database_header>.
pub(crate) const HEADER_BYTES: usize = 100;

/// The position of the stamp in the header.
pub(crate) const STAMP_AT: usize = 60;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const PAGE_BYTES_AT: usize = 16;
const APPLICATION_AT: usize = 68;

/// The header of a Bursar database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileHeader {
    pub(crate) stamp: Stamp,
    pub(crate) page_bytes: u32,
}

/// Reads the header of the file at a path. Returns none if there is no file and one can be created.
pub(crate) fn read(path: &Path) -> Result<Option<FileHeader>, StorageError> {
    let not_ours = |reason| StorageError::NotOurs {
        path: path.to_owned(),
        reason,
    };
    let failed = |source| StorageError::File {
        path: path.to_owned(),
        source,
    };
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            if folder.is_dir() {
                return Ok(None);
            }
            return Err(not_ours(ForeignFile::NoFolder(folder.to_owned())));
        }
        Err(source) => return Err(failed(source)),
    };
    if found.is_dir() {
        return Err(not_ours(ForeignFile::Folder(path.to_owned())));
    }
    if !found.is_file() {
        return Err(not_ours(ForeignFile::NotAFile));
    }
    if found.len() == 0 {
        return Err(not_ours(ForeignFile::Empty));
    }
    let mut bytes = [0; HEADER_BYTES];
    let mut file = File::open(path).map_err(failed)?;
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(not_ours(ForeignFile::NotADatabase));
        }
        Err(source) => return Err(failed(source)),
    }
    let header = parse(&bytes).map_err(not_ours)?;
    schema::check_version(header.stamp.schema())?;
    Ok(Some(header))
}

fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<FileHeader, ForeignFile> {
    if !bytes.starts_with(MAGIC) {
        return Err(ForeignFile::NotADatabase);
    }
    let application = u32::from_be_bytes(word(bytes, APPLICATION_AT));
    if i64::from(application) != schema::APPLICATION_ID {
        return Err(ForeignFile::OtherProgram(application));
    }
    let [high, low, ..] = word(bytes, PAGE_BYTES_AT);
    Ok(FileHeader {
        stamp: Stamp::of_bytes(word(bytes, STAMP_AT)),
        page_bytes: match u16::from_be_bytes([high, low]) {
            // The size of the largest page does not fit the two bytes.
            1 => 1 << 16,
            bytes => bytes.into(),
        },
    })
}

/// Returns the stamp on a first page.
pub(crate) fn stamp_of_page(page: &[u8]) -> Option<Stamp> {
    let header = page.first_chunk::<HEADER_BYTES>()?;
    parse(header).ok().map(|header| header.stamp)
}

fn word(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; 4] {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.copied().unwrap_or_default()
}
