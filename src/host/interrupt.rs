//! Ctrl-C, and SIGTERM (a service manager, `timeout`, a container that is stopped): the first asks for an end, and what is known by then is
//! printed; the second ends at once.
//!
//! A change that is being made is finished or taken back all the same: nothing else looks at the flag. While one is made, the SIGHUP of a
//! lost session asks too.
#![expect(clippy::disallowed_methods, reason = "what the kernel says of this process")]

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// A signal belongs to the process: the one thing here that can be nobody's argument.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// The number of the signal that asked.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on the first of these signals only asks. Where no handler can be set, it ends the process as ever.
pub fn watch() {
    let (asked, number) = (ASKED.get_or_init(Arc::default), SIGNAL.get_or_init(Arc::default));
    for (signal, its_number) in [(SIGINT, 2), (SIGTERM, 15)] {
        ask_at(signal, its_number, asked, number);
    }
}

/// From now on SIGHUP asks too, if [`watch`] was called and unless it is ignored: a handler of ours would undo what `nohup` did.
pub fn watch_hangup() {
    let (Some(asked), Some(number)) = (ASKED.get(), SIGNAL.get()) else { return };
    if !ignores_hangup() {
        ask_at(SIGHUP, 1, asked, number);
    }
}

fn ask_at(signal: i32, its_number: usize, asked: &Arc<AtomicBool>, number: &Arc<AtomicUsize>) {
    // In this order: the second signal finds the flag set, and then the default action is taken; whoever sees the flag sees the number.
    if flag::register_conditional_default(signal, Arc::clone(asked)).is_ok() {
        let _ = flag::register_usize(signal, Arc::clone(number), its_number);
        let _ = flag::register(signal, Arc::clone(asked));
    }
}

/// By proc(5): `SigIgn` is a mask, SIGHUP its lowest bit. Where that can't be read it is taken for ignored, and stays as it is.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 != 0)
}

/// Whether an end was asked for.
#[must_use]
pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}

/// The exit status of a process that ended because it was asked to, as shells tell it: 128 and the number of the signal.
#[must_use]
pub fn status() -> Option<u8> {
    let number = SIGNAL.get().filter(|_| asked())?.load(Ordering::SeqCst);
    u8::try_from(number).ok()?.checked_add(128)
}
