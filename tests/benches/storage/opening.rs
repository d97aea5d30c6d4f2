//! The opening and the end of files.

use std::path::Path;

use bursar_server::clock;
use bursar_server::http::render;
use bursar_storage::{FileLock, Storage};

/// Opens a file as the server does.
pub(crate) fn open(path: &Path) -> Storage {
    let lock = FileLock::acquire(path).unwrap();
    Storage::open(path, lock, &clock::system(), render).unwrap()
}

/// Closes a file, and checks that its writer ended well.
pub(crate) fn close(storage: &Storage) {
    assert!(storage.close(), "the writer has given up the file");
}

/// Removes the folder of a closed file.
pub(crate) fn remove(path: &Path) {
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// Copies what belongs to a closed file: everything but locks and sockets.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else if !name.ends_with("lock") && !name.ends_with("sock") {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
