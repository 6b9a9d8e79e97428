//! From findings to steps, and from steps to a changed tree and back.
//!
//! [`solve()`], [`diff()`] and [`expect`] read and compute only; [`apply()`] and [`undo()`] change a tree through
//! [`crate::host::TreeMut`], and leave a backup from which the former state can be had at any moment, even after a kill.

mod advice;
pub mod apply;
mod backup;
pub mod diff;
pub mod expect;
mod patch;
pub mod solve;
pub mod undo;

use crate::{base::TreePath, edit::Step, x509::Certificate};

pub use apply::{Applied, ApplyError, ApplyOptions, apply, roll_back};
pub use backup::Progress;
pub use diff::diff;
pub use expect::{Deviation, Expectation, compare};
pub use patch::{Proposal, patch};
pub use solve::{Options, Request, Wanted, solve};
pub use undo::{Backup, UndoError, list, undo};

/// Where backups are kept unless told otherwise.
pub const BACKUP_DIRECTORY: &str = "/var/lib/certdoctor/backup";

/// What is to be done, what is to be done by people, and what won't be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The edits in order: sources first, then generated outputs; at most one a path.
    pub steps: Vec<Step>,
    /// The refresh of each touched store that has a command for it.
    pub refreshes: Vec<Refresh>,
    /// The anchors that leave a store by this plan.
    pub remove: Vec<Removal>,
    /// What to know or to do first, in order.
    pub advice: Vec<Advice>,
    /// What was asked for and won't be done.
    pub refusals: Vec<Refused>,
    /// What is left out until a person says yes by name.
    pub needs_yes: Vec<NeedsYes>,
    /// What the stores must look like afterwards.
    pub expectation: Expectation,
    /// The name of the backup, unless it is taken: the time, `20200530T104838Z`.
    pub id: String,
}

/// How the outputs of one store are made anew by its own command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// The kind of store.
    pub store: &'static str,
    /// The command of a live host.
    pub argv: Vec<&'static str>,
    /// What the plan's generated edits would change: those are made when there is no such command, or none may be run.
    pub outputs: Vec<TreePath>,
    /// Files that the command may change.
    pub files: Vec<TreePath>,
    /// Directories in which the command may make, change and remove links.
    pub directories: Vec<TreePath>,
}

/// An anchor that leaves a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Which.
    pub certificate: Certificate,
    /// The kind of store.
    pub store: &'static str,
    /// The store's place.
    pub location: TreePath,
}

/// A word to the person at the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// One line.
    pub text: String,
    /// A command to copy, if there is one.
    pub command: Option<String>,
}

/// Something that won't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The certificate's label, or a path.
    pub subject: String,
    /// What stands against it.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}

/// An anchor that an administrator put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsYes {
    /// Which.
    pub certificate: Certificate,
    /// The kind of store.
    pub store: &'static str,
    /// Its place.
    pub path: TreePath,
}

impl Plan {
    /// Whether there is anything to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

pub mod dockerfile;
