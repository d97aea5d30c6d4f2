//! The check that the write-ahead log beside a file belongs to it. SQLite applies any log with the right
//! name. A log of another file, or of the same file at another time, would destroy the file.
//!
//! The format of the log is described at <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::StorageError;
use crate::file::header::{self, FileHeader};
use crate::file::names::with_suffix;
use crate::file::stamp::Stamp;

/// The number of bytes before the first frame.
const LOG_HEADER_BYTES: usize = 32;

/// The number of bytes of a frame before its page.
const FRAME_HEADER_BYTES: usize = 24;

/// The first word of a log, without its last bit, which states the order of bytes in checksums.
const MAGIC: u32 = 0x377f_0682;

/// The largest page that SQLite has.
const PAGE_BYTES_MAX: u32 = 1 << 16;

/// The log beside a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogBeside {
    /// There is no log, or it is empty.
    Absent,
    /// The log belongs to the file, or contains no commit.
    Own,
}

/// Returns the path of a file's write-ahead log.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    with_suffix(database, "-wal")
}

/// Returns the path of the index that SQLite creates beside a log.
pub(crate) fn index_of(database: &Path) -> PathBuf {
    with_suffix(database, "-shm")
}

/// Checks that the log beside a file belongs to the file, if there is one.
pub(crate) fn check(database: &Path, header: FileHeader) -> Result<LogBeside, StorageError> {
    let path = path_of(database);
    let failed = |source| StorageError::File {
        path: path.clone(),
        source,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LogBeside::Absent),
        Err(source) => return Err(failed(source)),
    };
    if file.metadata().map_err(failed)?.len() == 0 {
        return Ok(LogBeside::Absent);
    }
    if is_own(BufReader::with_capacity(1 << 20, file), header).map_err(failed)? {
        return Ok(LogBeside::Own);
    }
    Err(StorageError::ForeignLog {
        path: database.to_owned(),
        log: path,
    })
}

/// Returns true if a log continues the file with this header. Frames that SQLite would not apply, because
/// they are incomplete or left from before a restart of the log, are ignored.
fn is_own(mut log: impl Read, file: FileHeader) -> std::io::Result<bool> {
    let mut head = [0; LOG_HEADER_BYTES];
    if !fill(&mut log, &mut head)? {
        return Ok(true);
    }
    let [magic, _, page_bytes, _, salt_1, salt_2, sum_1, sum_2] = words(&head, u32::from_be_bytes);
    let order = match magic ^ MAGIC {
        0 => u32::from_le_bytes,
        1 => u32::from_be_bytes,
        _ => return Ok(true),
    };
    let mut sum = Checksum::default();
    sum.add(head.get(..24).unwrap_or_default(), order);
    if sum.0 != [sum_1, sum_2] || !page_bytes.is_power_of_two() || page_bytes > PAGE_BYTES_MAX {
        return Ok(true);
    }
    if page_bytes != file.page_bytes {
        return Ok(false);
    }
    let mut page = vec![0; page_bytes as usize];
    let mut head = [0; FRAME_HEADER_BYTES];
    let mut stamp = None::<Stamp>;
    let mut is_first = true;
    while fill(&mut log, &mut head)? && fill(&mut log, &mut page)? {
        let [number, committed, first, second, sum_1, sum_2] = words(&head, u32::from_be_bytes);
        sum.add(head.get(..8).unwrap_or_default(), order);
        sum.add(&page, order);
        if [first, second] != [salt_1, salt_2] || sum.0 != [sum_1, sum_2] {
            break;
        }
        if number == 1 {
            stamp = header::stamp_of_page(&page);
        }
        if committed == 0 {
            continue;
        }
        match stamp {
            Some(stamp) if stamp.is_contemporary(file.stamp) => return Ok(true),
            Some(stamp) if is_first && stamp.is_contemporary(file.stamp.next()) => {
                return Ok(true);
            }
            // Each commit of Bursar writes the first page, which has the generation.
            None if is_first => return Ok(false),
            Some(_) | None => is_first = false,
        }
    }
    // The log has no commit, or none with the generation of this file.
    Ok(is_first)
}

/// Fills a buffer. Returns false if fewer bytes are left.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn words<const N: usize>(bytes: &[u8], order: fn([u8; 4]) -> u32) -> [u32; N] {
    let mut words = [0; N];
    let (chunks, _) = bytes.as_chunks::<4>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = order(*chunk);
    }
    words
}

/// The cumulative checksum, which each frame of a log contains.
#[derive(Default)]
struct Checksum([u32; 2]);

impl Checksum {
    fn add(&mut self, bytes: &[u8], order: fn([u8; 4]) -> u32) {
        let [mut first, mut second] = self.0;
        let (pairs, _) = bytes.as_chunks::<8>();
        for pair in pairs {
            let [one, two] = words(pair, order);
            first = first.wrapping_add(one).wrapping_add(second);
            second = second.wrapping_add(two).wrapping_add(first);
        }
        self.0 = [first, second];
    }
}
