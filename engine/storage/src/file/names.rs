//! The names of files beside a database file.

use std::path::{Path, PathBuf};

/// Returns the path of a file with a suffix added to its name.
pub(crate) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
