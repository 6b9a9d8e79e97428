//! The allocator of the static binary: dlmalloc behind a lock of this library's own.
//!
//! musl's own allocator is made to be small and hardened: it gives pages back and asks for them again all the time, under one lock too.
//! A scan makes 430 system calls for memory with it, and a handful with this one. The crate's `global` feature is not used, because
//! its lock is musl's `pthread_mutex_t`: a call to take it and one to let it go, in every allocation.
#![expect(unsafe_code, reason = "GlobalAlloc and dlmalloc's Allocator are unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout},
    sync::{Mutex, PoisonError},
};

use dlmalloc::Dlmalloc;

/// dlmalloc as the program's allocator.
pub struct Heap(Mutex<Dlmalloc>);

impl Heap {
    /// An empty heap, which asks the kernel for nothing yet.
    pub const fn new() -> Self {
        let mut heap = Dlmalloc::new();
        // A scan's heap: one call instead of one in 64 KiB. What is not touched costs nothing.
        assert!(heap.set_granularity(1 << 20));
        Heap(Mutex::new(heap))
    }

    /// Nothing panics while it holds the heap, and the lock of `std` allocates nothing where it is a futex.
    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// SAFETY: dlmalloc keeps GlobalAlloc's contract for a size and an alignment that are the layout's, and the lock lets one thread in.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero, as the caller warrants.
        self.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from this heap with this layout, as the caller warrants.
        self.with(|heap| unsafe { heap.free(at, layout.size(), layout.align()) });
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        self.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`, and `size` is not zero.
        self.with(|heap| unsafe { heap.realloc(at, layout.size(), layout.align(), size) })
    }
}
