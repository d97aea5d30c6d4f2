//! The writes and syncs of this process outside of SQLite, and the full disk for them.
//!
//! These functions replace those of the system library in this binary, so that they see the calls with which the
//! storage itself changes files of SQLite.
#![allow(
    unsafe_code,
    reason = "these functions are called like those of the system library; only this test has them"
)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::Arc;

use crate::recording::{Op, Recording, recording_of};

/// The next definition after the one in this binary, which is that of the system library.
const RTLD_NEXT: *mut c_void = std::ptr::without_provenance_mut(usize::MAX);

/// The error number of a full disk.
const ENOSPC: c_int = 28;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
}

thread_local! {
    static IN_SQLITE: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call of SQLite, which its VFS records.
pub(crate) fn through_sqlite<T>(call: impl FnOnce() -> T) -> T {
    let before = IN_SQLITE.replace(true);
    let done = call();
    IN_SQLITE.set(before);
    done
}

/// Returns the recording of an open file, and its name, unless SQLite works on it.
fn recorded(file: c_int) -> Option<(Arc<Recording>, PathBuf)> {
    if IN_SQLITE.get() {
        return None;
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{file}")).ok()?;
    let name = PathBuf::from(path.file_name()?);
    let recording = recording_of(&path).filter(|_| path.is_file());
    recording.map(|recording| (recording, name))
}

/// Returns true if an open file is in a recorded folder, or in a folder below it, whose disk is full.
fn is_full(file: c_int) -> bool {
    if IN_SQLITE.get() {
        return false;
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{file}")).unwrap_or_default();
    if let Some(recording) = recording_of(&path) {
        return recording.is_full();
    }
    let index = path.parent().and_then(recording_of);
    index.is_some_and(|recording| recording.is_index_full())
}

/// # Safety
/// `F` is the type of the function with that name.
unsafe fn system<F: Copy>(name: &CStr) -> F {
    // SAFETY: The name ends with a zero byte.
    let found = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "{name:?} is in the system library");
    // SAFETY: A function pointer has the size of a pointer; its type is as required from the caller.
    unsafe { std::mem::transmute_copy(&found) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(file: c_int, from: *const c_void, length: usize, at: i64) -> isize {
    type Write = unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize;
    if is_full(file) {
        // SAFETY: The location of the error number belongs to this thread.
        unsafe { *__errno_location() = ENOSPC };
        return -1;
    }
    // SAFETY: The arguments are those of the caller.
    let written = unsafe { system::<Write>(c"pwrite64")(file, from, length, at) };
    if let (Ok(length), Some((recording, name))) = (usize::try_from(written), recorded(file)) {
        // SAFETY: The write has read this many bytes from there.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) }.to_vec();
        let at = u64::try_from(at).expect("a place in the file");
        recording.note(Op::Write { name, at, bytes });
    }
    written
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(file: c_int) -> c_int {
    type Sync = unsafe extern "C" fn(c_int) -> c_int;
    // SAFETY: The argument is that of the caller.
    let code = unsafe { system::<Sync>(c"fsync")(file) };
    if code == 0
        && let Some((recording, name)) = recorded(file)
    {
        recording.note(Op::Sync { name });
    }
    code
}
