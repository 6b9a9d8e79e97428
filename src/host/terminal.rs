//! The terminal: its width, and a line that counts.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
};

/// How many columns the terminal behind standard output has; `None` when it is none, or does not say.
#[must_use]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// A line on standard error that counts: for a person who waits, and so for a terminal only.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    done: AtomicUsize,
    shown: bool,
}

/// Fewer than this are done before anybody wonders.
const WORTH_COUNTING: usize = 9;

impl Progress {
    /// Counts to `total`; shows nothing unless standard error is a terminal.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let shown = total >= WORTH_COUNTING && std::io::stderr().is_terminal();
        Progress { total, done: AtomicUsize::new(0), shown }
    }

    /// One more is done.
    pub fn tick(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r{done} of {} targets ", self.total);
        }
    }
}

impl Drop for Progress {
    /// The line goes away: what stands in a terminal's history is the report.
    fn drop(&mut self) {
        if self.shown {
            let blank = " ".repeat(self.total.to_string().len() * 2 + 14);
            let _ = write!(std::io::stderr().lock(), "\r{blank}\r");
        }
    }
}
