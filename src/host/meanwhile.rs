//! Two things at once: what waits for the kernel beside what computes.

use std::thread;

/// Stack of the other thread: it looks at directories and reads certificates.
const STACK: usize = 256 << 10;

/// Does `here` while another thread does `beside`, whose result is `None` when no thread is to be had. A panic is passed on.
pub fn meanwhile<A: Send, B>(beside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (Option<A>, B) {
    let beside = || {
        leave_this_processor();
        beside()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("beside".to_owned()).stack_size(STACK).spawn_scoped(scope, beside).ok();
        // Lets it begin, and so leave.
        thread::yield_now();
        let done = here();
        let beside = thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (beside, done)
    })
}

/// Moves this thread to another processor than the one it was started on, if it may run on another.
///
/// The kernel of a virtual machine takes a halted virtual processor for one that the host has taken away (`vcpu_is_preempted` in
/// `available_idle_cpu`), and leaves a new thread on the processor of its parent, to wait there for milliseconds: as long as all that it
/// is wanted for.
fn leave_this_processor() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
        let Ok(mut allowed) = sched_getaffinity(None) else { return };
        let here = sched_getcpu();
        if here < CpuSet::MAX_CPU && allowed.count() > 1 {
            allowed.unset(here);
            // Staying is no harm.
            let _ = sched_setaffinity(None, &allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_and_a_panic_is_passed_on() {
        let (beside, here) = meanwhile(|| thread::current().id(), || thread::current().id());
        assert!(beside.is_some_and(|beside| beside != here));
        let panic = std::panic::catch_unwind(|| meanwhile(|| panic!("beside"), || ()));
        assert!(panic.is_err_and(|panic| panic.downcast_ref::<&str>() == Some(&"beside")));
    }
}
