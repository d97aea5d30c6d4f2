//! A global allocator that counts the memory of each test thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn add(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _missing = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _missing = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe; this one forwards everything to the system's"
)]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: the caller fulfils the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-signed(layout.size()));
        // SAFETY: as above, and the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(signed(size) - signed(layout.size()));
        // SAFETY: as above, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Returns the result of some work, and the peak of this thread's memory during it, minus the memory before.
pub(super) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

#[test]
fn memory_is_counted_at_its_peak() {
    let (_, peak) = peak_of(|| {
        drop(vec![0_u8; 1_000]);
        drop(vec![0_u8; 3_000]);
        vec![0_u8; 2_000].len()
    });
    assert!((3_000..6_000).contains(&peak), "{peak}");
}
