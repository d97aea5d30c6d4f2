//! Input files of commands, read up to a size so that no file fills the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::CommandError;

/// Reads a file, or standard input if the path is `-`. Fails if there are more than `bytes_max` bytes.
pub(super) fn read_up_to(path: &Path, bytes_max: u64, what: &str) -> Result<Vec<u8>, CommandError> {
    let bytes = read_prefix(path, bytes_max.saturating_add(1))?;
    if bytes.len() as u64 > bytes_max {
        let shown = path.display();
        let message = format!("{shown}: {what} has at most {bytes_max} bytes");
        return Err(CommandError::new(message));
    }
    Ok(bytes)
}

/// Reads at most `bytes_max` bytes of a file, or of standard input if the path is `-`.
pub(super) fn read_prefix(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CommandError> {
    let shown = path.display();
    let failed = |error: io::Error| CommandError::new(format!("{shown}: {error}"));
    let input: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut bytes = Vec::new();
    let mut input = input.take(bytes_max);
    input.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_largest_size() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), [7; 100]).expect("it can be written");
        let read = |most: u64| read_up_to(file.path(), most, "an example");
        assert_eq!(read(100).expect("it is small enough").len(), 100);
        let error = read(99).expect_err("it is too large").to_string();
        assert!(
            error.ends_with("an example has at most 99 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_file_without_an_end_is_read_up_to_its_largest_size() {
        let endless = Path::new("/dev/zero");
        assert!(read_up_to(endless, 1 << 20, "an example").is_err());
        assert_eq!(read_prefix(endless, 100).expect("a start").len(), 100);
    }
}
