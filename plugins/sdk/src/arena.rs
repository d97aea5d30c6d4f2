//! The memory allocator of a component: a position that moves through an arena.
//!
//! Each call runs in a new instance, and its whole memory is reset after the call. So freeing matters little, and an
//! allocation is an addition. The arena is a part of the memory that an instance starts with: the allocator of the
//! standard library begins with `memory.grow`, for which the host changes the protection of pages twice a call.
#![allow(
    unsafe_code,
    reason = "an allocator hands out memory, and its trait is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// The size of the arena in bytes. Calls of the bundled plugins use a small part of it. Beyond it the allocator of the
/// standard library takes over.
const ARENA_BYTES: usize = 256 * 1024;

/// An allocator that takes memory from an arena first.
struct Arena {
    /// The position of the first free byte.
    next: Cell<usize>,
    bytes: UnsafeCell<Bytes>,
}

/// The bytes of the arena, aligned for the most common layouts.
#[repr(align(16))]
struct Bytes([u8; ARENA_BYTES]);

// SAFETY: a component has one thread.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena {
    next: Cell::new(0),
    // Zeros are no data of the component, so its size does not grow by the arena.
    bytes: UnsafeCell::new(Bytes([0; ARENA_BYTES])),
};

impl Arena {
    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// Returns the position of a block in the arena; none if the standard allocator has allocated it.
    fn position(&self, block: *mut u8) -> Option<usize> {
        let position = block.addr().wrapping_sub(self.start().addr());
        (position < ARENA_BYTES).then_some(position)
    }
}

// SAFETY: a block lies between `next` before and after its allocation, so blocks in use never overlap. `next` moves back
// only over a block that is freed. Blocks outside the arena are those of the standard allocator.
unsafe impl GlobalAlloc for Arena {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.start();
        let next = start.wrapping_add(self.next.get());
        let padding = next.addr().wrapping_neg() & (layout.align() - 1);
        let position = self.next.get() + padding;
        // The order of the subtractions keeps a large layout from overflowing.
        if position <= ARENA_BYTES && layout.size() <= ARENA_BYTES - position {
            self.next.set(position + layout.size());
            start.wrapping_add(position)
        } else {
            unsafe { System.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.position(block) {
            Some(position) if position + layout.size() == self.next.get() => {
                self.next.set(position);
            }
            Some(_) => {}
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(position) = self.position(block) else {
            return unsafe { System.realloc(block, layout, size) };
        };
        // The newest block grows in place, as texts and lists do while they are built.
        if position + layout.size() == self.next.get() && size <= ARENA_BYTES - position {
            self.next.set(position + size);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        let layout_after = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = unsafe { self.alloc(layout_after) };
        if !moved.is_null() {
            unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        }
        moved
    }
}
