//! The compression of the records of a frame.

use zstd::bulk::Compressor;

use crate::error::{Result, StorageError};

/// The compression level of zstd. Higher levels cost the writer more than the disk gains.
const LEVEL: i32 = 1;

/// The compression level of a small record that is a frame of its own. Below 1, zstd builds no Huffman tables, which
/// would cost such a commit more than everything else in it and save some fifty bytes.
const SINGLE_LEVEL: i32 = -1;

/// A compressor whose memory is reused for each frame.
pub(crate) struct FrameCompressor {
    full: Compressor<'static>,
    /// Another compressor, because a change of the level discards the tables of the one before.
    single: Compressor<'static>,
    buffer: Vec<u8>,
}

impl FrameCompressor {
    pub(crate) fn new() -> Result<Self> {
        let with_level = |level| Compressor::new(level).map_err(|it| StorageError::damaged(0, it));
        Ok(Self {
            full: with_level(LEVEL)?,
            single: with_level(SINGLE_LEVEL)?,
            buffer: Vec::new(),
        })
    }

    /// Compresses the records of a frame. Returns no bytes if they could not be compressed; they are stored as they are
    /// then.
    pub(super) fn compress(&mut self, records: &[u8]) -> &[u8] {
        compress_into(&mut self.full, records, &mut self.buffer)
    }

    /// Compresses a small record that is alone in its frame like [`Self::compress`], in less time.
    pub(super) fn compress_single(&mut self, record: &[u8]) -> &[u8] {
        compress_into(&mut self.single, record, &mut self.buffer)
    }
}

/// Compresses bytes into a buffer. Returns no bytes if they could not be compressed.
fn compress_into<'a>(
    zstd: &mut Compressor<'static>,
    bytes: &[u8],
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    buffer.clear();
    buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
    let compressed = zstd.compress_to_buffer(bytes, buffer);
    let length = compressed.unwrap_or_default();
    buffer.get(..length).unwrap_or_default()
}
