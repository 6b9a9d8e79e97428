//! What runs a certificate manager again and again: timers, cron, and nothing.

use crate::base::{At, TreePath};

/// The jobs that run a certificate manager, and who would start them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The jobs, timers first.
    pub jobs: Vec<Job>,
    /// Whether systemd is the init system: running here, or installed in the root that is looked at.
    pub systemd: bool,
    /// Whether a cron daemon runs here, or is installed in the root.
    pub cron: bool,
    /// Where jobs may lie that could not be read.
    pub unread: Vec<(TreePath, String)>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where it is defined: the unit file, the table, the link that is left.
    pub path: TreePath,
    /// The line in a table.
    pub line: Option<u32>,
    /// What it runs, as written; empty when that is not known.
    pub command: String,
    /// The first word of the command, when it is an absolute path, and whether something is there.
    pub program: Option<(TreePath, bool)>,
    /// When: as written, with file and line.
    pub when: Vec<(String, TreePath, u32)>,
    /// The longest time between two runs, in days; `None` when it can't be told.
    pub longest_gap: Option<u32>,
    /// When it ran last.
    pub last: Option<At>,
    /// What kind of job.
    pub kind: JobKind,
}

/// Kinds of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// A line in a table of cron, or a script in one of its directories.
    Cron {
        /// Whether the command itself gives way where systemd runs (Debian's `! -d /run/systemd/system`).
        unless_systemd: bool,
        /// What kind of file it stands in.
        table: Table,
    },
    /// A timer of systemd.
    Timer(Timer),
}

/// Where a job of cron stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// A script in a directory whose scripts are run at an interval.
    Script,
    /// A table of the system: its lines have a user behind the time.
    System,
    /// The table of this user.
    User(String),
}

/// A timer of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// `certbot.timer`.
    pub unit: String,
    /// Whether it is started at boot.
    pub state: UnitState,
    /// Its service's file, if there is one.
    pub service: Option<TreePath>,
    /// Settings of the service that keep it from writing where certbot must: setting, file, line.
    pub write_protected: Vec<(String, TreePath, u32)>,
}

/// As `systemctl is-enabled` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// Not linked to any target.
    Disabled,
    /// Linked.
    Enabled,
    /// A link to `/dev/null`, here.
    Masked(TreePath),
    /// Linked from here, but the unit file is gone.
    Gone(TreePath),
}

impl Schedule {
    /// The jobs that run a manager: its name is in the command or in the unit's name.
    pub fn of<'a>(&'a self, manager: &'a str) -> impl Iterator<Item = &'a Job> {
        self.jobs.iter().filter(move |job| job.command.contains(manager) || job.timer().is_some_and(|t| t.unit.contains(manager)))
    }

    /// The jobs of a manager that something starts.
    pub fn starting<'a>(&'a self, manager: &'a str) -> impl Iterator<Item = &'a Job> {
        self.of(manager).filter(|job| self.starts(job))
    }

    /// Whether something starts this job: it is enabled, and who would start it is here.
    #[must_use]
    pub fn starts(&self, job: &Job) -> bool {
        match &job.kind {
            JobKind::Cron { unless_systemd, .. } => self.cron && !(*unless_systemd && self.systemd),
            JobKind::Timer(timer) => self.systemd && timer.state == UnitState::Enabled && !job.when.is_empty(),
        }
    }
}

impl Job {
    /// The timer, if it is one.
    #[must_use]
    pub fn timer(&self) -> Option<&Timer> {
        match &self.kind {
            JobKind::Timer(timer) => Some(timer),
            JobKind::Cron { .. } => None,
        }
    }
}
