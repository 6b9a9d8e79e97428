//! What a manager wrote into its log.

use crate::base::{At, TreePath};

/// Events of every log file, the oldest first; those of dry runs, which renew nothing, are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The events.
    pub events: Vec<Event>,
    /// What a CA said the time was (`Date`, RFC 9110), with the time that this host wrote beside it, the file and the line: of each
    /// file the last.
    pub ca_dates: Vec<(At, At, TreePath, u32)>,
    /// Files that could not be read, and why.
    pub unread: Vec<(TreePath, String)>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When; logs have local time, which is taken as UTC unless the file's own time tells how far it is off. What would be in the future has
    /// been moved back to before what follows it in the log.
    pub at: At,
    /// The file.
    pub path: TreePath,
    /// The line, from 1.
    pub line: u32,
    /// Which run of the program, counted over all files.
    pub run: usize,
    /// The lineage that was worked on.
    pub lineage: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The CA answered with an error (RFC 8555, section 6.7): the last part of its type, and the detail.
    Acme(String, String),
    /// A new certificate was written.
    Issued,
    /// A renewal failed, with these words.
    Failed(String),
    /// A hook failed: which, and with what.
    HookFailed(String),
    /// The CA could not be reached, or its certificate was not trusted, with these words.
    Unreachable(String),
    /// A run began: version, and the program.
    Run(String, String),
}

impl Log {
    /// Events about a lineage, the newest first.
    pub fn about<'a>(&'a self, lineage: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().rev().filter(move |e| e.lineage.as_deref() == Some(lineage))
    }

    /// Events about a lineage since it was last issued, the newest first: what a success followed is history.
    pub fn since_issued<'a>(&'a self, lineage: &'a str) -> impl Iterator<Item = &'a Event> {
        self.about(lineage).take_while(|e| e.kind != EventKind::Issued)
    }
}
