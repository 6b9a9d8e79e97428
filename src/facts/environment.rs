//! The surroundings of a client: its environment variables and its clock.

use crate::{
    base::{At, TreePath},
    facts::{CertFile, HashDirectory},
};

/// The variables that redirect trust, as they were when the tool started. Empty for `--root`: an unpacked tree has no processes.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Those that are set, by name.
    pub overrides: Vec<Override>,
}

/// One variable that is set, and what it leads to.
#[derive(Clone, Debug)]
pub struct Override {
    /// The variable's name: `SSL_CERT_FILE`.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What it points to.
    pub redirect: Redirect,
}

/// Another store than the system's: named by a variable or by an option.
#[derive(Clone, Debug, Default)]
pub struct Redirect {
    /// The bundle, if one is named; it may be missing or unreadable (see [`CertFile::state`]).
    pub file: Option<CertFile>,
    /// The hash directories, in order.
    pub directories: Vec<HashDirectory>,
}

/// The instant of judgement and what speaks for or against the clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The instant at which everything is judged.
    pub at: At,
    /// Whether `--at` gave it.
    pub injected: bool,
    /// When this program was built: no honest clock shows an earlier time.
    pub built: Option<At>,
    /// The newest modification time of a store file, and that file.
    pub newest_file: Option<(At, TreePath)>,
    /// `Date` headers that servers sent, with the target's name.
    pub server_dates: Vec<(String, At)>,
}

impl Environment {
    /// The override of `variable`, if it is set.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&Override> {
        self.overrides.iter().find(|o| o.variable == variable)
    }
}
