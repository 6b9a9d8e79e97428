//! Carrying a plan out, so that whatever happens, the tree is as it was or as it is to be, and a backup tells the rest.
//!
//! The order: lock; compare every byte that the plan was made from; backup and manifest, synced; the edits, each atomic and each
//! compared once more; the refresh; the manifest again. On any failure what was done is put back.
//!
//! Absent on purpose: trust in a refresh command's exit status. It is recorded; what counts is what the stores hold afterwards, and
//! that is for the caller to look at ([`super::Expectation::check`]) and to act upon ([`roll_back`]).

use std::{fmt, io};

use super::{
    BACKUP_DIRECTORY, Plan, Progress, Refresh,
    backup::{self, Bytes, Entry, Listing, Manifest, Place, State, observe},
};
use crate::{
    base::{At, Fingerprint, Limits, TreePath},
    edit::{Edit, Precondition, Step},
    host::{Exec, NodeKind, Tree, TreeMut, Written, environment::TRUST_VARIABLES, shape},
};

/// How to apply.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// The time, for the manifest.
    pub at: At,
    /// Where backups are kept.
    pub backup_directory: TreePath,
    /// The lock file: `/run/lock/certdoctor.lock` for a live host (gone after a reboot), in an unpacked tree `lock` beside the
    /// backups (nobody boots it, and its `/run` should stay empty).
    pub lock: TreePath,
    /// Only the sources: bundle and hash links are left to a later refresh.
    pub no_refresh: bool,
    /// How long one refresh command may take. Debian's takes 1.2 s, 1.0 s more with Java.
    pub seconds: u64,
}

/// What was done.
#[derive(Debug)]
pub struct Applied {
    /// The name of the backup.
    pub id: String,
    /// Where it lies.
    pub backup: TreePath,
    /// Every path that was changed, in order, and how; `None` for links and removals.
    pub changed: Vec<(TreePath, Option<Written>)>,
    /// What the refresh commands said.
    pub runs: Vec<Run>,
    place: Place,
    /// Held until the caller has looked at the outcome.
    _lock: Box<dyn fmt::Debug>,
}

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its exit status; `None` when a signal ended it. No proof of anything.
    pub status: Option<i32>,
    /// Its standard output and error, as text.
    pub output: String,
}

/// Why nothing was applied. What had been changed has been put back, unless the message says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The backup could not be made.
    #[error("cannot keep a backup at {path}: {error}{}; {}", also(not_restored), advice(error, true))]
    Backup {
        /// Where.
        path: TreePath,
        /// Why.
        error: io::Error,
        /// What could not be put back.
        not_restored: NotRestored,
    },
    /// What was read when the plan was made is not what lies there now.
    #[error("{path} has been changed since it was read: {found}{}; run the command again, it will plan anew", also(not_restored))]
    Changed {
        /// Which.
        path: TreePath,
        /// What is there now.
        found: String,
        /// What could not be put back.
        not_restored: NotRestored,
    },
    /// A refresh command could not be run.
    #[error("cannot run {command}: {error}{}; run it by hand, or use --no-refresh", also(not_restored))]
    Command {
        /// Which.
        command: String,
        /// Why.
        error: io::Error,
        /// What could not be put back.
        not_restored: NotRestored,
    },
    /// Another run is at work.
    #[error("another certdoctor is at work here (lock {0}); wait until it has finished")]
    Locked(TreePath),
    /// The lock could not be made.
    #[error("cannot take the lock {path}: {error}; {}", advice(error, false))]
    Lock {
        /// Where.
        path: TreePath,
        /// Why.
        error: io::Error,
    },
    /// An edit failed.
    #[error("cannot change {path}: {error}{}; {}", also(not_restored), advice(error, false))]
    Write {
        /// Which.
        path: TreePath,
        /// Why.
        error: io::Error,
        /// What could not be put back.
        not_restored: NotRestored,
    },
}

/// The paths that a failed run could not put back, and where their former content lies.
#[derive(Debug, Default)]
pub struct NotRestored {
    /// Each path and why.
    pub paths: Vec<(TreePath, io::Error)>,
    /// The backup.
    pub backup: Option<TreePath>,
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paths.first() {
            None => f.write_str("everything was put back")?,
            Some((path, error)) => write!(f, "{path} could not be put back ({error})")?,
        }
        match &self.backup {
            Some(backup) => write!(f, "; the former content lies in {backup}, and `certdoctor undo` puts it back"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NotRestored {}

/// What a message adds when not everything was put back.
fn also(rest: &NotRestored) -> String {
    if rest.paths.is_empty() { String::new() } else { format!(", and {rest}") }
}

impl ApplyOptions {
    /// The usual ones for a live host or an unpacked tree.
    #[must_use]
    pub fn new(at: At, live: bool) -> Self {
        let backup_directory = TreePath::from(BACKUP_DIRECTORY);
        let lock = if live { "/run/lock/certdoctor.lock".into() } else { backup_directory.parent().join("lock") };
        ApplyOptions { at, backup_directory, lock, no_refresh: false, seconds: 300 }
    }
}

/// Applies `plan`. With `exec` a store that has a refresh command is refreshed by it; without, the plan's generated edits are made.
///
/// # Errors
/// [`ApplyError`]; everything that was changed has been put back then.
pub fn apply(tree: &dyn TreeMut, exec: Option<&dyn Exec>, plan: &Plan, options: &ApplyOptions) -> Result<Applied, ApplyError> {
    let lock = take_lock(tree, options)?;
    let by_command = exec.filter(|_| !options.no_refresh && !plan.refreshes.is_empty());
    // What a command of the host makes is left to it: two makers of one file would only overwrite each other.
    let is_left = |s: &Step| {
        let made = |r: &Refresh| s.edit.path().is_some_and(|path| r.outputs.contains(path));
        s.generated && (options.no_refresh || (by_command.is_some() && plan.refreshes.iter().any(made)))
    };
    let own = plan.steps.iter().filter(|s| !is_left(s));
    let steps: Vec<Step> = own.map(|s| settled(tree, s)).collect::<Result<_, _>>()?;
    backup::sweep(tree, steps.iter().filter_map(|s| s.edit.path()));
    let mut seen: Vec<&TreePath> = Vec::new();
    for step in &steps {
        let Some(path) = step.edit.path() else { continue };
        if !seen.contains(&path) {
            seen.push(path);
            check(tree, path, &step.precondition)?;
        }
    }

    let (place, id) = free_place(tree, plan, options)?;
    let mut run = Transaction { tree, manifest: backup::begin(options.at.0, plan_summary(plan)), place, changed: Vec::new() };
    if let Err(error) = run.prepare(&steps, plan, by_command.is_some()) {
        run.place.clear(tree);
        return Err(no_backup(&run.place.dir, error));
    }

    match run.carry_out(exec, by_command, &steps, plan, options) {
        Ok(runs) => {
            let backup = run.place.dir.clone();
            Ok(Applied { id, backup, changed: run.changed, runs, place: run.place, _lock: lock })
        }
        Err(error) => Err(error.with(run.put_back())),
    }
}

/// Puts back what `applied` changed, since the outcome was not as expected.
///
/// # Errors
/// The paths that could not be put back; the backup stays and can still be undone.
pub fn roll_back(tree: &dyn TreeMut, applied: &Applied) -> Result<(), NotRestored> {
    let dir = applied.backup.clone();
    let trouble = |path: TreePath, error| NotRestored { paths: vec![(path, error)], backup: Some(dir.clone()) };
    let manifest = applied.place.read(tree).map_err(|e| trouble(dir.clone(), e))?;
    let mut run = Transaction { tree, manifest, place: applied.place.clone(), changed: applied.changed.clone() };
    let not_restored = run.put_back();
    if not_restored.paths.is_empty() { Ok(()) } else { Err(not_restored) }
}

/// One run between its backup and its end.
struct Transaction<'a> {
    tree: &'a dyn TreeMut,
    manifest: Manifest,
    place: Place,
    changed: Vec<(TreePath, Option<Written>)>,
}

impl Transaction<'_> {
    /// The backup and its manifest.
    fn prepare(&mut self, steps: &[Step], plan: &Plan, by_command: bool) -> io::Result<()> {
        for step in steps {
            self.remember_step(step)?;
        }
        if by_command {
            for refresh in &plan.refreshes {
                self.remember_outputs(refresh)?;
            }
        }
        self.place.write(self.tree, &self.manifest)
    }

    fn remember_step(&mut self, step: &Step) -> io::Result<()> {
        let Some(path) = step.edit.path() else { return Ok(()) };
        let after = match &step.edit {
            Edit::Run { .. } => return Ok(()),
            Edit::Move { to, .. } => return self.remember_move(path, to),
            Edit::Remove { .. } => State::Absent,
            Edit::Link { target, .. } => State::Link { target: target.as_slice().into() },
            Edit::Write { bytes, .. } => State::file(bytes),
        };
        let known = self.manifest.entries.iter().position(|e| e.path.path() == *path);
        let n = match known {
            // Its backup is what was moved.
            Some(n) if self.manifest.entries[n].moved_to.is_some() && !matches!(after, State::Link { .. }) => {
                return Err(io::Error::other(format!("{path} is to be moved")));
            }
            Some(n) => n,
            None => self.remember(path)?,
        };
        if let Edit::Write { bytes, .. } = &step.edit {
            self.place.keep_new(self.tree, n, bytes)?;
        }
        self.manifest.entries[n].after = Some(after);
        Ok(())
    }

    /// Adds a move: its backup is the thing itself under its new name, so that no key is copied.
    fn remember_move(&mut self, path: &TreePath, to: &TreePath) -> io::Result<()> {
        if self.tree.node_nofollow(to)?.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{to} is there already")));
        }
        let shape = shape(self.tree, path)?.ok_or(io::ErrorKind::NotFound)?;
        let before = State::Node { shape: shape.to_string() };
        let entry = Entry { path: path.into(), before, after: Some(State::Absent), moved_to: Some(to.into()) };
        self.manifest.entries.push(entry);
        Ok(())
    }

    /// Adds what lies at `path` to the backup.
    fn remember(&mut self, path: &TreePath) -> io::Result<usize> {
        let n = self.manifest.entries.len();
        let (before, bytes) = observe(self.tree, path)?;
        if let Some(bytes) = bytes {
            self.place.keep_old(self.tree, n, &bytes)?;
        }
        self.manifest.entries.push(Entry { path: path.into(), before, after: None, moved_to: None });
        Ok(n)
    }

    /// Adds what a refresh command may change: the files, and every name in the directories. No refresh tool changes a regular file
    /// that it did not make, but one that goes wrong may.
    fn remember_outputs(&mut self, refresh: &Refresh) -> io::Result<()> {
        let mut paths: Vec<TreePath> = Vec::new();
        for file in refresh.files.iter().chain(&refresh.outputs) {
            paths.push(backup_path(self.tree, file)?);
        }
        for dir in &refresh.directories {
            let dir = self.tree.resolve(dir).map_err(|e| io::Error::other(e.to_string()))?.path;
            let Ok(names) = self.tree.names_nofollow(&dir) else { continue };
            for name in &names {
                let path = dir.join(name);
                let kind = self.tree.node_nofollow(&path)?.map(|node| node.kind);
                // What is too large to be read is no certificate.
                if matches!(kind, Some(NodeKind::Link(_)))
                    || matches!(kind, Some(NodeKind::File(size)) if size <= Limits::DEFAULT.file)
                {
                    paths.push(path);
                }
            }
            let names = names.iter().map(|n| Bytes::from(n.as_slice())).collect();
            self.manifest.directories.push(Listing { path: (&dir).into(), names });
        }
        for path in paths {
            if !self.manifest.entries.iter().any(|e| e.path.path() == path) {
                self.remember(&path)?;
            }
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        exec: Option<&dyn Exec>,
        by_command: Option<&dyn Exec>,
        steps: &[Step],
        plan: &Plan,
        options: &ApplyOptions,
    ) -> Result<Vec<Run>, ApplyError> {
        let mut runs = Vec::new();
        for step in steps {
            match &step.edit {
                Edit::Run { argv } => runs.push(command(exec, argv, options)?),
                _ => self.edit(step)?,
            }
        }
        if let Some(exec) = by_command {
            let path = self.place.dir.clone();
            let failed = |error| no_backup(&path, error);
            self.manifest.progress = Progress::Refreshing;
            self.place.write(self.tree, &self.manifest).map_err(failed)?;
            for refresh in &plan.refreshes {
                runs.extend(self.refresh(exec, plan, refresh, options)?);
            }
            self.record_outputs().map_err(failed)?;
        }
        self.manifest.progress = Progress::Complete;
        self.place.write(self.tree, &self.manifest).map_err(|error| no_backup(&self.place.dir, error))?;
        Ok(runs)
    }

    /// Runs one refresh command. Where a system has the store and not the command (a small image), the generated edits are made: they
    /// are what the command would have done.
    fn refresh(
        &mut self,
        exec: &dyn Exec,
        plan: &Plan,
        refresh: &Refresh,
        options: &ApplyOptions,
    ) -> Result<Option<Run>, ApplyError> {
        let argv: Vec<String> = refresh.argv.iter().map(|a| (*a).to_owned()).collect();
        match command(Some(exec), &argv, options) {
            Err(ApplyError::Command { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                for step in plan.steps.iter().filter(|s| s.generated) {
                    if step.edit.path().is_some_and(|path| refresh.outputs.contains(path)) {
                        self.edit(&settled(self.tree, step)?)?;
                    }
                }
                Ok(None)
            }
            run => run.map(Some),
        }
    }

    fn edit(&mut self, step: &Step) -> Result<(), ApplyError> {
        let Some(path) = step.edit.path() else { return Ok(()) };
        check(self.tree, path, &step.precondition)?;
        let done = match &step.edit {
            Edit::Run { .. } => return Ok(()),
            Edit::Link { target, .. } => self.tree.link(path, target).map(|()| None),
            Edit::Move { to, .. } => self.tree.rename(path, to.name()).map(|()| None),
            Edit::Remove { .. } => self.tree.remove(path).map(|()| None),
            Edit::Write { bytes, mode, .. } => {
                make_directory_above(self.tree, path).and_then(|()| self.tree.write(path, bytes, *mode)).map(Some)
            }
        };
        let error = |error| ApplyError::Write { path: path.clone(), error, not_restored: NotRestored::default() };
        self.changed.push((path.clone(), done.map_err(error)?));
        Ok(())
    }

    /// What the refresh commands made of the paths in the backup, and what they made besides.
    fn record_outputs(&mut self) -> io::Result<()> {
        for entry in self.manifest.entries.iter_mut().filter(|e| e.moved_to.is_none()) {
            let path = entry.path.path();
            let (now, _) = observe(self.tree, &path)?;
            if now != entry.before && !self.changed.iter().any(|(p, _)| *p == path) {
                self.changed.push((path, None));
            }
            entry.after = Some(now);
        }
        for listing in &self.manifest.directories {
            let dir = listing.path.path();
            let names = match self.tree.names_nofollow(&dir) {
                Ok(names) => names,
                // The command took the directory away: that is seen in the stores, and put back.
                Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(e) => return Err(e),
            };
            for name in names {
                let path = dir.join(&name);
                let known = listing.names.iter().any(|n| n.as_bytes() == name)
                    || self.manifest.entries.iter().any(|e| e.path.path() == path);
                if known {
                    continue;
                }
                // What is neither file nor link is none of a refresh tool's makings.
                let Ok((now, _)) = observe(self.tree, &path) else { continue };
                let entry = Entry { path: (&path).into(), before: State::Absent, after: Some(now), moved_to: None };
                self.manifest.entries.push(entry);
                self.changed.push((path, None));
            }
        }
        Ok(())
    }

    /// Puts everything back and says so in the manifest. What somebody else wrote meanwhile stays.
    fn put_back(&mut self) -> NotRestored {
        let foreign = match self.place.foreign(self.tree, &self.manifest) {
            Ok(foreign) => foreign,
            Err(error) => {
                return NotRestored { paths: vec![(self.place.dir.clone(), error)], backup: Some(self.place.dir.clone()) };
            }
        };
        self.place.drop_new(self.tree, &self.manifest);
        let paths: Vec<TreePath> = self.manifest.entries.iter().map(|e| e.path.path()).collect();
        backup::sweep(self.tree, paths.iter());
        let (_, mut failed) = self.place.restore(self.tree, &self.manifest, &foreign);
        for path in foreign.into_iter().filter(|path| self.changed.iter().any(|(changed, _)| changed == path)) {
            failed.push((path, io::Error::other("somebody else changed it meanwhile")));
        }
        if failed.is_empty() {
            self.manifest.progress = Progress::RolledBack;
            // The tree is as it was; should the manifest not tell, an undo will find nothing to do.
            let _ = self.place.write(self.tree, &self.manifest);
            return NotRestored::default();
        }
        NotRestored { paths: failed, backup: Some(self.place.dir.clone()) }
    }
}

impl ApplyError {
    fn with(mut self, rest: NotRestored) -> Self {
        match &mut self {
            ApplyError::Backup { not_restored, .. }
            | ApplyError::Changed { not_restored, .. }
            | ApplyError::Command { not_restored, .. }
            | ApplyError::Write { not_restored, .. } => *not_restored = rest,
            ApplyError::Locked(_) | ApplyError::Lock { .. } => {}
        }
        self
    }
}

/// What to do about an error of the operating system.
fn advice(error: &io::Error, backup: bool) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem if backup => "nothing was changed; name a writable place with --backup-dir",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: remount it, or build the fix into the image (`certdoctor dockerfile`)"
        }
        io::ErrorKind::PermissionDenied => "run it as root (sudo), or let --diff print the patch",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if backup => {
            "nothing is lost; free some space, or name another place with --backup-dir"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space and run it again",
        _ if backup => "name another place with --backup-dir",
        _ => "nothing is lost; look at the path and run it again",
    }
}

/// The step with its directory resolved, since no change goes through a link.
fn settled(tree: &dyn TreeMut, step: &Step) -> Result<Step, ApplyError> {
    let mut step = step.clone();
    let (path, to) = match &mut step.edit {
        Edit::Link { path, .. } | Edit::Remove { path } | Edit::Write { path, .. } => (path, None),
        Edit::Move { path, to } => (path, Some(to)),
        Edit::Run { .. } => return Ok(step),
    };
    match backup_path(tree, path) {
        Ok(resolved) => *path = resolved,
        Err(error) => return Err(ApplyError::Write { path: path.clone(), error, not_restored: NotRestored::default() }),
    }
    if let Some(to) = to {
        *to = path.parent().join(to.name());
    }
    Ok(step)
}

fn backup_path(tree: &dyn TreeMut, path: &TreePath) -> io::Result<TreePath> {
    let above = tree.resolve(&path.parent()).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(above.path.join(path.name()))
}

/// Whether `precondition` holds at `path`.
fn check(tree: &dyn Tree, path: &TreePath, precondition: &Precondition) -> Result<(), ApplyError> {
    let changed = |found: &str| {
        Err(ApplyError::Changed { path: path.clone(), found: found.to_owned(), not_restored: NotRestored::default() })
    };
    if let Precondition::Shape(wanted) = precondition {
        return match shape(tree, path) {
            Ok(Some(found)) if found == *wanted => Ok(()),
            Ok(Some(_)) => changed("what is in it, or its size or time, is another"),
            Ok(None) => changed("it is gone"),
            Err(error) => Err(ApplyError::Write { path: path.clone(), error, not_restored: NotRestored::default() }),
        };
    }
    let (now, bytes) = match observe(tree, path) {
        Ok(now) => now,
        Err(error) => return Err(ApplyError::Write { path: path.clone(), error, not_restored: NotRestored::default() }),
    };
    match (precondition, &now) {
        (Precondition::None, _) | (Precondition::Absent, State::Absent) => Ok(()),
        (Precondition::Link(wanted), State::Link { target }) if target.as_bytes() == wanted.as_slice() => Ok(()),
        (Precondition::Content(wanted), State::File { .. }) if bytes.is_some_and(|b| Fingerprint::of(&b) == *wanted) => Ok(()),
        (_, State::Absent) => changed("it is gone"),
        (_, State::Link { target }) => changed(&format!("it is a link to {}", TreePath::new(target.as_bytes()))),
        (Precondition::Absent, State::File { .. } | State::Node { .. }) => changed("it has appeared"),
        (_, State::File { .. } | State::Node { .. }) => changed("its content is another"),
    }
}

fn take_lock(tree: &dyn TreeMut, options: &ApplyOptions) -> Result<Box<dyn fmt::Debug>, ApplyError> {
    let path = backup_path(tree, &options.lock).map_err(|error| ApplyError::Lock { path: options.lock.clone(), error })?;
    make_directory_above(tree, &path).and_then(|()| tree.lock(&path)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ApplyError::Locked(path),
        _ => ApplyError::Lock { path, error },
    })
}

fn make_directory_above(tree: &dyn TreeMut, path: &TreePath) -> io::Result<()> {
    tree.make_directory(&path.parent(), 0o755)
}

fn no_backup(path: &TreePath, error: io::Error) -> ApplyError {
    ApplyError::Backup { path: path.clone(), error, not_restored: NotRestored::default() }
}

/// A new directory for the backup: the plan's name for it, or that with `-2`, `-3`, … when it is taken.
fn free_place(tree: &dyn TreeMut, plan: &Plan, options: &ApplyOptions) -> Result<(Place, String), ApplyError> {
    let failed = |error| no_backup(&options.backup_directory, error);
    let mut id = plan.id.clone();
    let mut n = 1;
    loop {
        let place = Place::new(tree, &options.backup_directory, &id).map_err(failed)?;
        if tree.node_nofollow(&place.dir).map_err(failed)?.is_none() {
            make_directory_above(tree, &place.dir).and_then(|()| tree.make_directory(&place.dir, 0o700)).map_err(failed)?;
            return Ok((place, id));
        }
        n += 1;
        id = format!("{}-{n}", plan.id);
    }
}

fn plan_summary(plan: &Plan) -> Vec<String> {
    plan.steps.iter().filter(|s| !s.generated).map(|s| s.summary.clone()).collect()
}

/// Runs a command in a clean environment: no variable that redirects trust, the usual search path, messages in English.
fn command(exec: Option<&dyn Exec>, argv: &[String], options: &ApplyOptions) -> Result<Run, ApplyError> {
    let name = argv.join(" ");
    let failed = |error| ApplyError::Command { command: name.clone(), error, not_restored: NotRestored::default() };
    let exec =
        exec.ok_or_else(|| failed(io::Error::new(io::ErrorKind::Unsupported, "no command is run for an unpacked tree")))?;
    let mut env: Vec<(&str, Option<&str>)> = TRUST_VARIABLES.iter().map(|v| (*v, None)).collect();
    env.push(("LC_ALL", Some("C")));
    env.push(("OPENSSL_CONF", None));
    env.push(("PATH", Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")));
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let output = exec.run(&words, b"", &env, options.seconds).map_err(failed)?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Run { argv: argv.to_vec(), status: output.status, output: text })
}
