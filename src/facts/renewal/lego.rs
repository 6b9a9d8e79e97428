//! What lego keeps, and what runs it.

use crate::base::TreePath;

/// Everything of lego.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lego {
    /// Its stores (`.lego`), by path.
    pub stores: Vec<LegoStore>,
    /// The lines of cron tables, scripts and units that run it.
    pub lines: Vec<LegoLine>,
    /// The programs called lego, and the major version of each.
    pub programs: Vec<(TreePath, u32)>,
    /// Stores that may be there and could not be looked at, and why.
    pub unread: Vec<(TreePath, String)>,
}

/// A directory with `certificates` and `accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegoStore {
    /// The directory.
    pub path: TreePath,
    /// How it was found.
    pub found_by: String,
    /// The `.json` files of the form that versions before 5 wrote: without `id`.
    pub old: Vec<TreePath>,
    /// How many `.json` files have an `id`.
    pub new: usize,
}

/// A line that runs lego.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegoLine {
    /// The file.
    pub path: TreePath,
    /// The line, from 1.
    pub line: u32,
    /// The words from the program's name on.
    pub words: Vec<String>,
}
