//! Ctrl-C: the first asks for an end, and what is known by then is printed; the second ends at once.
//!
//! A change that is being made is finished or taken back all the same: nothing else looks at the flag.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use signal_hook::{consts::SIGINT, flag};

/// A signal belongs to the process: the one thing here that can be nobody's argument.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on the first Ctrl-C only asks. Where no handler can be set, it ends the process as ever.
pub fn watch() {
    let asked = ASKED.get_or_init(Arc::default);
    // In this order: the second signal finds the flag set, and then the default action is taken.
    if flag::register_conditional_default(SIGINT, Arc::clone(asked)).is_ok() {
        let _ = flag::register(SIGINT, Arc::clone(asked));
    }
}

/// Whether an end was asked for.
#[must_use]
pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}
