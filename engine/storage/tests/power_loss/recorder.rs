//! A VFS for SQLite that hands everything on to the system's own, and notes what would reach a disk: files
//! that are opened, bytes written, files cut and removed, and each sync.
//!
//! It is SQLite's default in this process, since libsql cannot be told which one to use; files outside of a
//! folder that is recorded pass through unnoted. It notes what SQLite asks of it, whichever thread asks.
#![allow(
    unsafe_code,
    reason = "SQLite calls a VFS through pointers; this is the one place that does so, for a test"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use libsql_ffi::{
    SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL,
    sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register,
};

/// One thing that SQLite asks of a file system, in the order in which it asks.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A file was opened, or made.
    Open {
        path: PathBuf,
        /// True if SQLite syncs its folder with the first sync of the file, as it does for a log that it
        /// may have made.
        syncs_folder: bool,
    },
    /// Bytes were written at a place.
    Write {
        path: PathBuf,
        at: u64,
        bytes: Vec<u8>,
    },
    /// A file was cut to a length, or made longer.
    Cut { path: PathBuf, length: u64 },
    /// A file was synced: what was written to it before is on the disk.
    Sync { path: PathBuf },
    /// A file was removed.
    Remove { path: PathBuf, syncs_folder: bool },
}

/// The recorded operations of one folder.
#[derive(Default)]
pub(crate) struct Recording {
    ops: Mutex<Vec<Op>>,
}

impl Recording {
    /// The number of things asked so far.
    pub(crate) fn len(&self) -> usize {
        open(&self.ops).len()
    }

    /// All that was asked, in order.
    pub(crate) fn ops(&self) -> Vec<Op> {
        open(&self.ops).clone()
    }
}

/// Folders that are recorded.
static FOLDERS: Mutex<Vec<(PathBuf, Arc<Recording>)>> = Mutex::new(Vec::new());

/// Begins to record what is asked in a folder.
pub(crate) fn record(folder: &Path) -> Arc<Recording> {
    register();
    let recording = Arc::<Recording>::default();
    open(&FOLDERS).push((folder.to_owned(), Arc::clone(&recording)));
    recording
}

fn recording_of(path: &Path) -> Option<Arc<Recording>> {
    let folders = open(&FOLDERS);
    let found = folders.iter().find(|(folder, _)| path.starts_with(folder));
    found.map(|(_, recording)| Arc::clone(recording))
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of ours: SQLite allots the memory for it, and that of the real one follows at [`REAL_AT`].
#[repr(C)]
struct RecordedFile {
    base: sqlite3_file,
    /// The recording, or null if the file is not recorded.
    noted: *mut Noted,
}

struct Noted {
    path: PathBuf,
    recording: Arc<Recording>,
}

/// The place of the real file in the memory of one: behind ours, and aligned for anything.
const REAL_AT: usize = size_of::<RecordedFile>().next_multiple_of(16);

/// The system's own VFS, which does the work.
struct Real(*mut sqlite3_vfs);

// SAFETY: SQLite keeps its VFS for as long as the process lives and calls it from any thread.
unsafe impl Send for Real {}
// SAFETY: As above; nothing is written through the pointer.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

fn real_vfs() -> *mut sqlite3_vfs {
    REAL.get().expect("it is registered before it is called").0
}

/// Makes the recorder SQLite's default.
fn register() {
    REAL.get_or_init(|| {
        // libsql sets SQLite up before its first use, and must come before us.
        let database = libsql::Builder::new_local(":memory:").build();
        let database = pollster::block_on(database).expect("a database in memory");
        drop(database.connect().expect("a connection"));
        // SAFETY: SQLite is set up. A null name asks for its default, which is never freed; ours is a copy
        // of it but for what is replaced, and is never freed either.
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

/// The path of a name that SQLite gives; none for a file without one.
///
/// # Safety
/// The name is null or ends with a zero byte.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: As the caller says.
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
    // SAFETY: SQLite gives memory of the size that we asked for, of which the real file's part is enough
    // for it; and arguments that are fit for the real VFS, which we hand on as they are.
    unsafe {
        let ours = file.cast::<RecordedFile>();
        (*ours).base.pMethods = std::ptr::null();
        (*ours).noted = std::ptr::null_mut();
        let real = real_file(file);
        (*real).pMethods = std::ptr::null();
        let Some(open_real) = (*real_vfs()).xOpen else {
            return SQLITE_IOERR;
        };
        let code = open_real(real_vfs(), name, real, flags, out_flags);
        if (*real).pMethods.is_null() {
            return code;
        }
        (*ours).base.pMethods = &raw const METHODS;
        if let Some(path) = path_of(name)
            && let Some(recording) = recording_of(&path)
        {
            let is_log = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0;
            let op = Op::Open {
                path: path.clone(),
                syncs_folder: is_log && flags & SQLITE_OPEN_CREATE != 0,
            };
            self::open(&recording.ops).push(op);
            (*ours).noted = Box::into_raw(Box::new(Noted { path, recording }));
        }
        code
    }
}

unsafe extern "C" fn vfs_delete(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    also_syncs: c_int,
) -> c_int {
    // SAFETY: The arguments are those of the real VFS, and handed on as they are.
    unsafe {
        let Some(delete_real) = (*real_vfs()).xDelete else {
            return SQLITE_IOERR;
        };
        let code = delete_real(real_vfs(), name, also_syncs);
        if code == SQLITE_OK
            && let Some(path) = path_of(name)
            && let Some(recording) = recording_of(&path)
        {
            let syncs_folder = also_syncs != 0;
            self::open(&recording.ops).push(Op::Remove { path, syncs_folder });
        }
        code
    }
}

/// The real file behind one of ours.
///
/// # Safety
/// The file is one that SQLite has allotted for this VFS.
unsafe fn real_file(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: The memory reaches beyond that place.
    unsafe { file.byte_add(REAL_AT) }
}

/// Notes what was done to a file, if it is recorded.
///
/// # Safety
/// The file is an open one of ours.
unsafe fn note(file: *mut sqlite3_file, op: impl FnOnce(PathBuf) -> Op) {
    // SAFETY: What is noted lives until the file is closed.
    let noted = unsafe { (*file.cast::<RecordedFile>()).noted.as_ref() };
    if let Some(noted) = noted {
        open(&noted.recording.ops).push(op(noted.path.clone()));
    }
}

/// Calls a method of the real file with the same arguments.
macro_rules! hand_on {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls the methods of an open file alone, so the real one is open too; the
        // arguments are handed on as they are.
        unsafe {
            let real = real_file($file);
            let method = (*(*real).pMethods).$method;
            method.expect("the system's VFS has all methods")(real $(, $argument)*)
        }
    }};
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = hand_on!(file, xClose);
    // SAFETY: What is noted was made by a box, and nobody uses the file after this.
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
    hand_on!(file, xRead, into, length, at)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    let code = hand_on!(file, xWrite, from, length, at);
    if code == SQLITE_OK {
        let length = usize::try_from(length).expect("a length");
        // SAFETY: SQLite gives as many bytes as it says.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) }.to_vec();
        let at = u64::try_from(at).expect("a place in the file");
        // SAFETY: The file is open.
        unsafe { note(file, |path| Op::Write { path, at, bytes }) };
    }
    code
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    let code = hand_on!(file, xTruncate, length);
    if code == SQLITE_OK {
        let length = u64::try_from(length).expect("a length");
        // SAFETY: The file is open.
        unsafe { note(file, |path| Op::Cut { path, length }) };
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let code = hand_on!(file, xSync, flags);
    if code == SQLITE_OK {
        // SAFETY: The file is open.
        unsafe { note(file, |path| Op::Sync { path }) };
    }
    code
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    hand_on!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
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
    hand_on!(file, xShmMap, page, size, extend, into)
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
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
