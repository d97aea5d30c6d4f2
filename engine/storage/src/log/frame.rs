//! Frames: up to 64 consecutive records of one commit, encoded and compressed together.
//!
//! A frame is the unit that is read from the disk: small, so that one record costs little to read, and large enough to
//! compress well. Its header says, for each economy with records in it, the hash of the record before them. So every
//! frame can be checked by itself, and the frames form a chain of their own, which fixes the order of all records.

use bursar_ledger::{Digest, Sha256Writer, Timestamp};
use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};
use zstd::bulk::Decompressor;

use crate::error::{Result, StorageError};
use crate::log::codec::{self, array, fixed};
use crate::log::compressor::FrameCompressor;
use crate::log::header::{FrameEconomy, FrameHeader};
use crate::record::{ChainLink, EconomyNumber, Record};

/// The format of frames that this version writes.
pub(crate) const FORMAT: u32 = 1;

/// The largest number of records in a frame. A read of one record decompresses its whole frame, which costs about as
/// much as finding it.
pub(crate) const FRAME_RECORDS_MAX: usize = 64;

/// The bytes of encoded records beyond which a frame takes no further record.
pub(crate) const FRAME_BYTES_MAX: usize = 128 << 10;

/// The largest number of bytes of a frame's records. The largest record is smaller, so a larger number is damage.
pub(crate) const FRAME_BYTES_READ_MAX: usize = 256 << 20;

/// The number of bytes of the checksum at the end of a frame.
const CHECKSUM_BYTES: usize = 4;

/// A frame as a row of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FrameRow {
    /// The number of the first record.
    pub(crate) first_record: u64,
    /// The number of the commit. All frames of a commit are written or none is.
    pub(crate) batch: u64,
    /// The number of records.
    pub(crate) records: u64,
    pub(crate) format: u32,
    /// The length of the request, if the frame has one record only. It tells requests apart without a read of a large
    /// record.
    pub(crate) request_bytes: Option<u64>,
    /// The hash of this frame and of all frames before it.
    pub(crate) head: Digest,
    /// The header, the compressed records and a checksum.
    pub(crate) bytes: Vec<u8>,
}

/// A frame that is being filled.
pub(crate) struct FrameBuilder {
    header: FrameHeader,
    payload: Vec<u8>,
    records: u64,
    request_bytes: u64,
    /// True if the frame has one large record and takes no other.
    is_large: bool,
    hash: FrameHash,
}

impl FrameBuilder {
    /// Begins a frame with its first record.
    pub(crate) fn begin(batch: u64, record: &Record, link: &ChainLink, is_large: bool) -> Self {
        let mut builder = Self {
            header: FrameHeader {
                first_record: record.id,
                first_movement: record.first_movement,
                base: record.recorded_at,
                economies: Vec::with_capacity(1),
            },
            payload: Vec::with_capacity(4 << 10),
            records: 0,
            request_bytes: record.request.len() as u64,
            is_large,
            hash: FrameHash::new(batch, record.id),
        };
        builder.add(record, link);
        builder
    }

    /// Returns true if the frame takes no further record.
    pub(crate) fn is_full(&self) -> bool {
        self.is_large
            || self.records >= FRAME_RECORDS_MAX as u64
            || self.payload.len() >= FRAME_BYTES_MAX
    }

    /// Returns true if a record is so large that it gets a frame of its own.
    pub(crate) fn is_large(record: &Record) -> bool {
        let texts = record.request.len() + record.act.len() + record.changes.len();
        texts + record.answer.len() >= FRAME_BYTES_MAX / 4
    }

    /// Adds the next record.
    pub(crate) fn add(&mut self, record: &Record, link: &ChainLink) {
        let known = &mut self.header.economies;
        let place = known.iter().position(|it| it.number == record.number);
        let place = place.unwrap_or_else(|| {
            known.push(FrameEconomy {
                economy: record.economy.clone(),
                number: record.number,
                seq: record.seq,
                previous: link.previous,
            });
            known.len() - 1
        });
        let place = u32::try_from(place).expect("a frame has few records");
        codec::encode(
            &mut self.payload,
            record,
            &link.hash,
            place,
            self.header.base,
        );
        self.hash.add(&link.hash);
        self.records += 1;
    }

    /// Compresses the frame and links it to the one before it.
    pub(crate) fn finish(
        self,
        batch: u64,
        previous: &Digest,
        compressor: &mut FrameCompressor,
    ) -> Result<FrameRow> {
        let Self {
            header,
            payload,
            records,
            request_bytes,
            is_large,
            hash,
        } = self;
        if payload.len() > FRAME_BYTES_READ_MAX {
            let what = format!("it has {} bytes and cannot be stored", payload.len());
            return Err(StorageError::damaged(header.first_record, what));
        }
        let compressed = if records == 1 && !is_large {
            compressor.compress_single(&payload)
        } else {
            compressor.compress(&payload)
        };
        let mut bytes = Vec::with_capacity(payload.len() / 4 + 128);
        let written = write_header(&mut bytes, &header, &payload, compressed);
        written.expect("memory takes all bytes");
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(FrameRow {
            first_record: header.first_record,
            batch,
            records,
            format: FORMAT,
            request_bytes: (records == 1).then_some(request_bytes),
            head: hash.finish(previous),
            bytes,
        })
    }
}

/// Writes the header and the records, compressed if that is shorter.
fn write_header(
    into: &mut Vec<u8>,
    header: &FrameHeader,
    payload: &[u8],
    compressed: &[u8],
) -> std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let mut to = Encoder::new(into);
    to.array(5)?
        .u64(header.first_movement)?
        .u64(header.base.0)?
        .array(header.economies.len() as u64 * 4)?;
    for entry in &header.economies {
        to.str(entry.economy.as_str())?
            .u32(entry.number.0)?
            .u64(entry.seq)?
            .bytes(entry.previous.as_bytes())?;
    }
    if compressed.is_empty() || compressed.len() >= payload.len() {
        to.u64(0)?.bytes(payload)?;
    } else {
        to.u64(payload.len() as u64)?.bytes(compressed)?;
    }
    Ok(())
}

/// The hash of a frame over the hashes of its records.
struct FrameHash(Sha256Writer);

impl FrameHash {
    fn new(batch: u64, first_record: u64) -> Self {
        let mut hash = Sha256Writer::new("bursar-frame-1");
        hash.number(batch);
        hash.number(first_record);
        Self(hash)
    }

    fn add(&mut self, record: &Digest) {
        self.0.text(record.as_bytes());
    }

    /// Returns the hash of the frame and of all frames before it.
    fn finish(mut self, previous: &Digest) -> Digest {
        self.0.text(previous.as_bytes());
        self.0.finish()
    }
}

/// A frame that was read and decompressed.
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) batch: u64,
    pub(crate) records: u64,
    pub(crate) head: Digest,
    payload: Vec<u8>,
}

impl Frame {
    /// Checks and decompresses a row of the log.
    pub(crate) fn open(row: &FrameRow) -> Result<Self> {
        let first = row.first_record;
        let damaged = |what: &str| StorageError::damaged(first, format!("its frame {what}"));
        if row.format != FORMAT {
            let format = row.format;
            return Err(damaged(&format!(
                "has format {format}, and this version knows {FORMAT}"
            )));
        }
        let (bytes, checksum) = row
            .bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| damaged("is cut"))?;
        if crc32fast::hash(bytes).to_le_bytes() != *checksum {
            return Err(damaged("was altered: its checksum is wrong"));
        }
        let mut from = Decoder::new(bytes);
        let (header, payload) =
            read(&mut from, first).map_err(|error| damaged(&error.to_string()))?;
        if from.position() != bytes.len() {
            return Err(damaged("has bytes after its end"));
        }
        if row.records == 0 || row.records > FRAME_RECORDS_MAX as u64 {
            return Err(damaged("has another number of records"));
        }
        let frame = Self {
            header,
            batch: row.batch,
            records: row.records,
            head: row.head,
            payload,
        };
        if row.request_bytes.is_some() != (frame.records == 1) {
            return Err(damaged("has another number of records"));
        }
        if let Some(length) = row.request_bytes
            && frame.record(first)?.request.len() as u64 != length
        {
            return Err(damaged("states another length of its request"));
        }
        Ok(frame)
    }

    /// Returns true if the frame has a record with this number.
    pub(crate) fn has(&self, record: u64) -> bool {
        record
            .checked_sub(self.header.first_record)
            .is_some_and(|place| place < self.records)
    }

    /// Returns the number of the record after the last one.
    pub(crate) fn next_record(&self) -> u64 {
        self.header.first_record.saturating_add(self.records)
    }

    /// Returns the length of the decompressed records in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Reads one record, without its hash, which would need those before it.
    pub(crate) fn record(&self, record: u64) -> Result<Record> {
        let place = record
            .checked_sub(self.header.first_record)
            .filter(|place| *place < self.records);
        let place = place.ok_or_else(|| StorageError::damaged(record, "it is missing"))?;
        let mut from = Decoder::new(&self.payload);
        let mut before = Before::new(&self.header);
        for number in 0..place {
            let skipped = codec::skip(&mut from);
            let (economy, movements) = skipped.map_err(|error| self.unreadable(number, &error))?;
            before.count(economy, movements);
        }
        let read = codec::decode(&mut from, &self.header);
        let read = read.map_err(|error| self.unreadable(place, &error))?;
        Ok(before.place(read.record, read.economy, place))
    }

    /// Reads all records in their order, without their hashes.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<Record>> + '_ {
        let mut from = Decoder::new(&self.payload);
        let mut before = Before::new(&self.header);
        (0..self.records).map(move |place| {
            let read = codec::decode(&mut from, &self.header);
            let read = read.map_err(|error| self.unreadable(place, &error))?;
            let record = before.place(read.record, read.economy, place);
            before.count(read.economy, record.movements.len() as u64);
            Ok(record)
        })
    }

    /// Reads all records with their hashes, and checks each hash against the bytes that are stored of it.
    pub(crate) fn reader(&self) -> FrameReader<'_> {
        FrameReader {
            frame: self,
            from: Decoder::new(&self.payload),
            before: Before::new(&self.header),
            heads: self.header.economies.iter().map(|it| it.previous).collect(),
            hash: FrameHash::new(self.batch, self.header.first_record),
            place: 0,
        }
    }

    fn unreadable(&self, place: u64, error: &Error) -> StorageError {
        let record = self.header.first_record.saturating_add(place);
        StorageError::damaged(record, format!("it cannot be read: {error}"))
    }
}

/// The numbers that the records of a frame before a place have used.
struct Before {
    seqs: Vec<u64>,
    movements: u64,
}

impl Before {
    fn new(header: &FrameHeader) -> Self {
        Self {
            seqs: header.economies.iter().map(|_| 0).collect(),
            movements: 0,
        }
    }

    /// Counts a record.
    fn count(&mut self, economy: usize, movements: u64) {
        if let Some(seq) = self.seqs.get_mut(economy) {
            *seq += 1;
        }
        self.movements = self.movements.saturating_add(movements);
    }

    /// Gives a record, which has the numbers of the header, those of its place.
    fn place(&self, record: Record, economy: usize, place: u64) -> Record {
        let seq = self.seqs.get(economy).copied().unwrap_or_default();
        Record {
            id: record.id.saturating_add(place),
            seq: record.seq.saturating_add(seq),
            first_movement: record.first_movement.saturating_add(self.movements),
            ..record
        }
    }
}

/// A reader of the records of a frame in their order.
pub(crate) struct FrameReader<'a> {
    frame: &'a Frame,
    from: Decoder<'a>,
    before: Before,
    heads: Vec<Digest>,
    hash: FrameHash,
    place: u64,
}

impl FrameReader<'_> {
    /// Returns the next record, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Record, ChainLink)>> {
        if self.place == self.frame.records {
            return Ok(None);
        }
        let read = codec::decode(&mut self.from, &self.frame.header);
        let read = read.map_err(|error| self.frame.unreadable(self.place, &error))?;
        let record = self.before.place(read.record, read.economy, self.place);
        let head = self.heads.get_mut(read.economy);
        let head = head.expect("the codec has found it in the header");
        let link = record.link(*head);
        *head = link.hash;
        if !link.hash.as_bytes().starts_with(&read.check) {
            let what = "its hash is not that of its content";
            return Err(StorageError::damaged(record.id, what));
        }
        self.hash.add(&link.hash);
        self.before
            .count(read.economy, record.movements.len() as u64);
        self.place += 1;
        Ok(Some((record, link)))
    }

    /// Checks, after the last record, that the frame follows the one before it.
    pub(crate) fn finish(self, previous: &Digest) -> Result<()> {
        let first = self.frame.header.first_record;
        if self.from.position() != self.frame.payload.len() {
            let what = "its frame has bytes after its last record";
            return Err(StorageError::damaged(first, what));
        }
        if self.hash.finish(previous) != self.frame.head {
            let what = "its frame does not follow the one before it";
            return Err(StorageError::damaged(first, what));
        }
        Ok(())
    }
}

/// Reads the header and decompresses the records.
fn read(
    from: &mut Decoder<'_>,
    first_record: u64,
) -> std::result::Result<(FrameHeader, Vec<u8>), Error> {
    if array(from)? != 5 {
        return Err(Error::message("has a header of another form"));
    }
    let first_movement = from.u64()?;
    let base = Timestamp(from.u64()?);
    let members = array(from)?;
    let mut economies = Vec::new();
    if members % 4 != 0 || members / 4 > FRAME_RECORDS_MAX as u64 {
        return Err(Error::message("has a header of another form"));
    }
    for _ in 0..members / 4 {
        economies.push(FrameEconomy {
            economy: from.str()?.parse().map_err(Error::custom)?,
            number: EconomyNumber(from.u32()?),
            seq: from.u64()?,
            previous: Digest::from_bytes(fixed(from.bytes()?)?),
        });
    }
    let length = codec::length(from.u64()?).map_err(Error::custom)?;
    let stored = from.bytes()?;
    let payload = if length == 0 {
        stored.to_vec()
    } else if length > FRAME_BYTES_READ_MAX {
        return Err(Error::message("has too many bytes"));
    } else {
        let mut zstd = Decompressor::new().map_err(Error::custom)?;
        let payload = zstd.decompress(stored, length).map_err(Error::custom)?;
        if payload.len() != length {
            return Err(Error::message("has another length"));
        }
        payload
    };
    let header = FrameHeader {
        first_record,
        first_movement,
        base,
        economies,
    };
    Ok((header, payload))
}
