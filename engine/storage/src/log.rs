//! The log: the records of a file, in frames that are linked, compressed and checked.

pub(crate) mod codec;
pub(crate) mod compressor;
pub(crate) mod file;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod indexing;
pub(crate) mod reader;
pub(crate) mod store;
