//! What the static binary runs on in place of what musl has: an allocator and a `memcpy`. The only unsafe code of this project; the
//! library forbids it.

#[cfg(target_env = "musl")]
mod allocator;
#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
mod memcpy;

#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: allocator::Heap = allocator::Heap::new();
