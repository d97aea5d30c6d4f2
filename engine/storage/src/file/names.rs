//! The names of files beside a file.

use std::path::{Path, PathBuf};

/// The path of a file whose name goes on with a suffix.
pub(crate) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
