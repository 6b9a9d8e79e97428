//! The one place that reads the clock; everything else is handed an instant.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one reading of the clock")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::base::At;

/// The instant now, to the second, as this host's clock tells it.
#[must_use]
pub fn now() -> At {
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => At(seconds(since)),
        // A clock that lost its battery may stand before 1970.
        Err(before) => At(-seconds(before.duration())),
    }
}

/// Waits.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// When this program was built, if the build said so by `SOURCE_DATE_EPOCH` (reproducible-builds.org): no honest clock shows less.
#[must_use]
pub fn built() -> Option<At> {
    option_env!("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok()).map(At)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_after_this_was_written() {
        assert!(now() > At(1_700_000_000));
        assert!(built().is_none_or(|b| b < now()));
    }
}
