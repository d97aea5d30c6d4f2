//! Errors of the index.

use std::io;
use std::sync::Arc;

/// An error of the index. None of them means that an entry is absent.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// The operating system reported an error.
    #[error("the index could not {action} {file}: {source}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The name of the file in the folder of the index.
        file: String,
        /// The error.
        source: Arc<io::Error>,
    },
    /// A file is not as it was written.
    #[error(
        "{file} of the index is damaged ({detail}): stop the server, remove the folder of the index and start \
         the server again, which rebuilds it"
    )]
    Damaged {
        /// The name of the file in the folder of the index.
        file: String,
        /// The part that is wrong.
        detail: String,
    },
    /// A record does not follow the newest indexed record.
    #[error("internal error: record {found} was added to an index that ends at record {last}")]
    OutOfOrder {
        /// The newest indexed record.
        last: u64,
        /// The record.
        found: u64,
    },
    /// The thread that writes the runs ended.
    #[error("internal error: the thread that builds the index has stopped; restart the server")]
    BuilderStopped,
}

impl IndexError {
    /// Creates an error of the operating system.
    pub(super) fn io(action: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io {
            action,
            file: file.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Creates an error of a damaged file.
    pub(super) fn damaged(file: &str, detail: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            detail: detail.into(),
        }
    }

    /// Creates an error of a read. A file that ends too early is damaged, and a missing one is, too.
    pub(super) fn read(file: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged(file, "it is too short"),
            io::ErrorKind::NotFound => Self::damaged(file, "it is missing"),
            _ => Self::io("read", file, source),
        }
    }
}
