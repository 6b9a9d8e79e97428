//! What a plan may do to a tree: a closed set, so that a new edit does not compile until apply, undo, diff and dockerfile know it.

use std::ops::Range;

use crate::base::{Fingerprint, TreePath};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Make a symbolic link, or replace what is there by one.
    Link {
        /// Where.
        path: TreePath,
        /// The target, as it is to be written.
        target: Vec<u8>,
    },
    /// Give a file or folder another name beside it: nothing is read or copied, so that private keys stay where they are.
    Move {
        /// Which.
        path: TreePath,
        /// Its new name, in the same directory; nothing is there yet.
        to: TreePath,
    },
    /// Remove a file or link.
    Remove {
        /// Which.
        path: TreePath,
    },
    /// Run a command of the host (never for a `--root` tree).
    Run {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Write a whole file, atomically.
    Write {
        /// Which.
        path: TreePath,
        /// Its new content.
        bytes: Vec<u8>,
        /// Permission bits for a new file; an existing one keeps its own when `None`.
        mode: Option<u32>,
    },
}

/// A change as a finding proposes it, made from what was read: [`crate::plan::patch()`] joins those of one file and one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new file.
    Create {
        /// Where; nothing is there yet.
        path: TreePath,
        /// Its content.
        bytes: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link, new or in the place of what is there.
    Link {
        /// Where.
        path: TreePath,
        /// What is there.
        was: Precondition,
        /// The target, as it is to be written.
        target: Vec<u8>,
    },
    /// Another name for a file or folder, in the same directory.
    Move {
        /// Which.
        path: TreePath,
        /// What is there.
        was: Precondition,
        /// Its new name; nothing is there yet.
        to: TreePath,
    },
    /// Other bytes in the place of some in a file.
    Splice {
        /// The file.
        path: TreePath,
        /// The SHA-256 of what was read.
        read: Fingerprint,
        /// Which bytes of it; empty to insert.
        at: Range<usize>,
        /// What stands there afterwards.
        with: Vec<u8>,
    },
}

/// What must still be true when an edit is made; it is what was read when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is there.
    Absent,
    /// A link with this target.
    Link(Vec<u8>),
    /// A regular file with this SHA-256.
    Content(Fingerprint),
    /// A file or folder of this shape ([`crate::host::shape()`]): its content is not read.
    Shape(Fingerprint),
    /// Nothing to compare: a command.
    None,
}

/// How freely a step may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applicability {
    /// By `--apply`.
    Auto,
    /// By `--apply` with `--yes` for this anchor by name.
    Ask,
    /// Only by hand: the tool prints what to do.
    Manual,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub edit: Edit,
    /// What must hold before.
    pub precondition: Precondition,
    /// The codes of the findings that it cures.
    pub because: Vec<&'static str>,
    /// How freely.
    pub applicability: Applicability,
    /// One line for people: `deselect AddTrust External CA Root`.
    pub summary: String,
    /// Whether the edit only regenerates an output from sources (bundle, hash links): not part of the diff that people read, since
    /// the refresh tool makes it.
    pub generated: bool,
}

impl Edit {
    /// The path that the edit changes; `None` for a command.
    #[must_use]
    pub fn path(&self) -> Option<&TreePath> {
        match self {
            Edit::Link { path, .. } | Edit::Move { path, .. } | Edit::Remove { path } | Edit::Write { path, .. } => Some(path),
            Edit::Run { .. } => None,
        }
    }
}
