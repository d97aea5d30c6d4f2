//! A VFS for SQLite that forwards each call to the system's VFS, records everything that would reach a disk, and fails
//! the calls that a test has chosen.
//!
//! The recorder is SQLite's default VFS in this process, since libsql has no option for another one. Files outside of a
//! recorded folder are not recorded.
#![allow(
    unsafe_code,
    reason = "SQLite calls a VFS through pointers; this is the one place that does so, for a test"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libsql_ffi::{
    SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSTAT,
    SQLITE_IOERR_FSYNC, SQLITE_IOERR_LOCK, SQLITE_IOERR_READ, SQLITE_IOERR_SHMLOCK,
    SQLITE_IOERR_SHMMAP, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_OPEN_CREATE,
    SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL, SQLITE_SHM_LOCK, sqlite3_file, sqlite3_filename,
    sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::recording::{self, Call, Op, Recording, recording_of};
use crate::system_calls::through_sqlite;

/// A file of the recorder. SQLite allocates its memory; the real file follows at [`REAL_AT`].
#[repr(C)]
struct RecordedFile {
    base: sqlite3_file,
    /// The recording, or null if the file is not recorded.
    noted: *mut Noted,
}

struct Noted {
    name: PathBuf,
    recording: Arc<Recording>,
}

/// Returns the name of a file in its folder.
fn name_of(path: &Path) -> PathBuf {
    path.file_name().map(PathBuf::from).unwrap_or_default()
}

/// The offset of the real file in the memory of a recorded file: behind the recorder's part, and aligned for any type.
const REAL_AT: usize = size_of::<RecordedFile>().next_multiple_of(16);

/// The system's VFS, which does the work.
struct Real(*mut sqlite3_vfs);

// SAFETY: SQLite keeps its VFS for as long as the process lives and calls it from any thread.
unsafe impl Send for Real {}
// SAFETY: As above; nothing is written through the pointer.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

fn real_vfs() -> *mut sqlite3_vfs {
    REAL.get().expect("it is registered before it is called").0
}

/// Starts to record the calls in a folder.
pub(crate) fn record(folder: &Path) -> Arc<Recording> {
    register();
    recording::add(folder)
}

/// Makes the recorder SQLite's default.
fn register() {
    REAL.get_or_init(|| {
        // libsql configures SQLite before its first use, and must do so before the recorder.
        let database = libsql::Builder::new_local(":memory:").build();
        let database = pollster::block_on(database).expect("a database in memory");
        drop(database.connect().expect("a connection"));
        // SAFETY: SQLite is configured. A null name requests its default, which is never freed. The recorder is a copy
        // of it with some methods replaced, and is never freed either.
        unsafe {
            let real = sqlite3_vfs_find(std::ptr::null());
            assert!(!real.is_null(), "SQLite has a VFS");
            let size = c_int::try_from(REAL_AT).expect("a few bytes");
            let ours = Box::leak(Box::new(sqlite3_vfs {
                szOsFile: size + (*real).szOsFile,
                pNext: std::ptr::null_mut(),
                zName: c"recorder".as_ptr(),
                xOpen: Some(vfs_open),
                xDelete: Some(vfs_delete),
                ..*real
            }));
            assert_eq!(sqlite3_vfs_register(ours, 1), SQLITE_OK);
            Real(real)
        }
    });
}

/// Returns the path in a name from SQLite; none for a file without a name.
///
/// # Safety
/// The name is null or ends with a zero byte.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: As required from the caller.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn vfs_open(
    _vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite allocates as much memory as the recorder has requested, which includes the real file's part. The
    // arguments are valid for the real VFS and are forwarded unchanged.
    unsafe {
        let ours = file.cast::<RecordedFile>();
        (*ours).base.pMethods = std::ptr::null();
        (*ours).noted = std::ptr::null_mut();
        let real = real_file(file);
        (*real).pMethods = std::ptr::null();
        let Some(open_real) = (*real_vfs()).xOpen else {
            return SQLITE_IOERR;
        };
        let found = path_of(name).and_then(|path| Some((recording_of(&path)?, name_of(&path))));
        if let Some((recording, _)) = &found
            && recording.fails(Call::Open)
        {
            return SQLITE_CANTOPEN;
        }
        let code = open_real(real_vfs(), name, real, flags, out_flags);
        if (*real).pMethods.is_null() {
            return code;
        }
        (*ours).base.pMethods = &raw const METHODS;
        if let Some((recording, name)) = found {
            let is_log = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0;
            recording.note(Op::Open {
                name: name.clone(),
                syncs_folder: is_log && flags & SQLITE_OPEN_CREATE != 0,
            });
            (*ours).noted = Box::into_raw(Box::new(Noted { name, recording }));
        }
        code
    }
}

unsafe extern "C" fn vfs_delete(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    also_syncs: c_int,
) -> c_int {
    // SAFETY: The arguments are those of the real VFS, and are forwarded unchanged.
    unsafe {
        let Some(delete_real) = (*real_vfs()).xDelete else {
            return SQLITE_IOERR;
        };
        let found = path_of(name).and_then(|path| Some((recording_of(&path)?, name_of(&path))));
        if let Some((recording, _)) = &found
            && recording.fails(Call::Delete)
        {
            return SQLITE_IOERR_DELETE;
        }
        let code = delete_real(real_vfs(), name, also_syncs);
        if code == SQLITE_OK
            && let Some((recording, name)) = found
        {
            let syncs_folder = also_syncs != 0;
            recording.note(Op::Remove { name, syncs_folder });
        }
        code
    }
}

/// Returns the real file behind a recorded one.
///
/// # Safety
/// The file is one that SQLite has allocated for this VFS.
unsafe fn real_file(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: The memory extends beyond that offset.
    unsafe { file.byte_add(REAL_AT) }
}

/// Returns the recording of a file, if it is recorded.
///
/// # Safety
/// The file is an open one of this VFS.
unsafe fn noted<'a>(file: *mut sqlite3_file) -> Option<&'a Noted> {
    // SAFETY: The recording lives until the file is closed.
    unsafe { (*file.cast::<RecordedFile>()).noted.as_ref() }
}

/// Records an operation on a file, if the file is recorded.
///
/// # Safety
/// The file is an open one of this VFS.
unsafe fn note(file: *mut sqlite3_file, op: impl FnOnce(PathBuf) -> Op) {
    // SAFETY: As required from the caller.
    if let Some(noted) = unsafe { noted(file) } {
        noted.recording.note(op(noted.name.clone()));
    }
}

/// Returns true if a call of a file has to fail.
///
/// # Safety
/// The file is an open one of this VFS.
unsafe fn fails(file: *mut sqlite3_file, call: Call) -> bool {
    // SAFETY: As required from the caller.
    unsafe { noted(file) }.is_some_and(|noted| noted.recording.fails(call))
}

/// Calls a method of the real file with the same arguments.
macro_rules! hand_on {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls methods of open files only, so the real file is open, too. The arguments are forwarded
        // unchanged.
        unsafe {
            let real = real_file($file);
            let method = (*(*real).pMethods).$method;
            let method = method.expect("the system's VFS has all methods");
            through_sqlite(|| method(real $(, $argument)*))
        }
    }};
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = hand_on!(file, xClose);
    // SAFETY: The recording was created by a box, and no one uses the file after this.
    unsafe {
        let ours = file.cast::<RecordedFile>();
        let noted = std::mem::replace(&mut (*ours).noted, std::ptr::null_mut());
        if !noted.is_null() {
            drop(Box::from_raw(noted));
        }
    }
    code
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Read) } {
        return SQLITE_IOERR_READ;
    }
    hand_on!(file, xRead, into, length, at)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: The file is open.
    let full = unsafe { noted(file) }.is_some_and(|noted| noted.recording.is_full());
    // SAFETY: The file is open.
    let failing = full || unsafe { fails(file, Call::Write) };
    // A write that fails may have written a part.
    let length = if failing { length / 2 } else { length };
    let code = hand_on!(file, xWrite, from, length, at);
    if code == SQLITE_OK {
        let length = usize::try_from(length).expect("a length");
        // SAFETY: SQLite passes a buffer of the stated length.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) }.to_vec();
        let at = u64::try_from(at).expect("a place in the file");
        // SAFETY: The file is open.
        unsafe { note(file, |name| Op::Write { name, at, bytes }) };
    }
    match (full, failing) {
        (true, _) => SQLITE_FULL,
        (false, true) => SQLITE_IOERR_WRITE,
        (false, false) => code,
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Truncate) } {
        return SQLITE_IOERR_TRUNCATE;
    }
    let code = hand_on!(file, xTruncate, length);
    if code == SQLITE_OK {
        let length = u64::try_from(length).expect("a length");
        // SAFETY: The file is open.
        unsafe { note(file, |name| Op::Cut { name, length }) };
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Sync) } {
        // Data that was not synced is lost, but looks as if it were stored.
        // SAFETY: The file is open.
        unsafe { note(file, |name| Op::Lose { name }) };
        return SQLITE_IOERR_FSYNC;
    }
    let code = hand_on!(file, xSync, flags);
    if code == SQLITE_OK {
        // SAFETY: The file is open.
        unsafe { note(file, |name| Op::Sync { name }) };
    }
    code
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Size) } {
        return SQLITE_IOERR_FSTAT;
    }
    hand_on!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Lock) } {
        return SQLITE_IOERR_LOCK;
    }
    hand_on!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    hand_on!(file, xUnlock, level)
}

unsafe extern "C" fn check_lock(file: *mut sqlite3_file, found: *mut c_int) -> c_int {
    hand_on!(file, xCheckReservedLock, found)
}

unsafe extern "C" fn control(file: *mut sqlite3_file, op: c_int, argument: *mut c_void) -> c_int {
    hand_on!(file, xFileControl, op, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    hand_on!(file, xSectorSize)
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    hand_on!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    into: *mut *mut c_void,
) -> c_int {
    // SAFETY: The file is open.
    if unsafe { fails(file, Call::Map) } {
        return SQLITE_IOERR_SHMMAP;
    }
    hand_on!(file, xShmMap, page, size, extend, into)
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // The release of a lock never fails.
    let is_taken = flags & SQLITE_SHM_LOCK != 0;
    // SAFETY: The file is open.
    if is_taken && unsafe { fails(file, Call::Lock) } {
        return SQLITE_IOERR_SHMLOCK;
    }
    hand_on!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    hand_on!(file, xShmBarrier);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    hand_on!(file, xShmUnmap, delete)
}

unsafe extern "C" fn fetch(
    file: *mut sqlite3_file,
    at: sqlite3_int64,
    length: c_int,
    into: *mut *mut c_void,
) -> c_int {
    hand_on!(file, xFetch, at, length, into)
}

unsafe extern "C" fn unfetch(
    file: *mut sqlite3_file,
    at: sqlite3_int64,
    page: *mut c_void,
) -> c_int {
    hand_on!(file, xUnfetch, at, page)
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
