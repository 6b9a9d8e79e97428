//! The terminal behind standard output.

/// How many columns the terminal behind standard output has; `None` when it is none, or does not say.
#[must_use]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
