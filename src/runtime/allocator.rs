//! The allocator of the static binary: dlmalloc, behind a lock of the standard library and over huge pages.
//!
//! musl's own allocator is made to be small and hardened: it gives pages back and asks for them again all the time, under one lock too.
//! A scan makes 430 system calls for memory with it, and two with this one. What is left are the page faults, 300 in a scan and each
//! some microseconds: one huge page, where the kernel has any, takes their place. dlmalloc's own `global` feature is not used, for its
//! lock is musl's `pthread_mutex_t`: a call to take it and one to let it go, in every allocation.
#![expect(unsafe_code, reason = "GlobalAlloc and dlmalloc's Allocator are unsafe to implement, and so is mapping memory")]

use std::{
    alloc::{GlobalAlloc, Layout},
    ptr,
    sync::{Mutex, PoisonError},
};

use dlmalloc::{Allocator, Dlmalloc};
use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap};

/// The size of a huge page on x86_64, and on aarch64 with pages of 4 KiB; elsewhere it is only how much is asked for at once. What is not
/// touched costs nothing.
const HUGE: usize = 2 << 20;

/// dlmalloc as the program's allocator.
pub struct Heap(Mutex<Dlmalloc<Pages>>);

impl Heap {
    /// An empty heap, which asks the kernel for nothing yet.
    pub const fn new() -> Self {
        let mut heap = Dlmalloc::new_with_allocator(Pages);
        assert!(heap.set_granularity(HUGE));
        Heap(Mutex::new(heap))
    }

    /// Nothing panics while it holds the heap, and the lock of `std` allocates nothing where it is a futex.
    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc<Pages>) -> T) -> T {
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

/// Memory from the kernel.
pub struct Pages;

// SAFETY: what is handed out is a mapping of its own, readable and writable, of the size that is told; it is only changed as dlmalloc asks.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let mapped = unsafe { mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let Ok(at) = mapped else { return (ptr::null_mut(), 0, 0) };
        // Linux puts what can be huge where it can be huge, from 6.7 on. (Other sizes are those of single large blocks.)
        if size.is_multiple_of(HUGE) && at.addr().is_multiple_of(HUGE) {
            // SAFETY: the mapping is ours, and this changes nothing that can be seen. Without huge pages there are small ones.
            let _ = unsafe { madvise(at, size, Advice::LinuxHugepage) };
        }
        (at.cast(), size, 0)
    }

    fn remap(&self, at: *mut u8, old: usize, new: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
        // SAFETY: dlmalloc gives mappings of its own, and forgets the old place.
        unsafe { mremap(at.cast(), old, new, flags) }.map_or(ptr::null_mut(), |at| at.cast())
    }

    fn free_part(&self, at: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: dlmalloc gives a part that it does not use.
        unsafe { munmap(at.add(new).cast(), old - new) }.is_ok()
    }

    fn free(&self, at: *mut u8, size: usize) -> bool {
        // SAFETY: as above.
        unsafe { munmap(at.cast(), size) }.is_ok()
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        rustix::param::page_size()
    }
}
