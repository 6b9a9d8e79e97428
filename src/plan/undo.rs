//! Putting back what a run changed, from its backup: a finished one or one that was killed.

use std::{fmt, io};

use super::backup::{self, Place, Progress};
use crate::{
    base::{At, TreePath},
    host::{Tree, TreeMut},
};

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub id: String,
    /// When the run was.
    pub at: At,
    /// How far it came; why the manifest can't be read.
    pub progress: Result<Progress, String>,
    /// What was done, a line for each step.
    pub summary: Vec<String>,
    /// The paths that it covers.
    pub paths: Vec<TreePath>,
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The backup's name.
    pub id: String,
    /// The paths that were changed; empty when all was as before already.
    pub restored: Vec<TreePath>,
}

/// Why nothing, or not everything, was put back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// Somebody changed these paths after the run.
    #[error("{} changed since the fix, and going back would lose that; nothing was touched; use --force to put the former content back all the same", Paths(.0))]
    ChangedSince(Vec<TreePath>),
    /// The lock is held.
    #[error("another certdoctor is at work here (lock {0}); wait until it has finished")]
    Locked(TreePath),
    /// A path could not be put back; the rest was.
    #[error("cannot put {path} back: {error}; its former content lies in {backup}")]
    NotRestored {
        /// Which.
        path: TreePath,
        /// Why.
        error: io::Error,
        /// The backup.
        backup: TreePath,
    },
    /// No such backup, or it can't be read.
    #[error("cannot read the backup {id}: {error}; `certdoctor undo --list` shows what there is")]
    Unreadable {
        /// Its name.
        id: String,
        /// Why.
        error: io::Error,
    },
}

/// Every backup below `directory`, oldest first. A directory without a manifest is a run that was killed before its first change, and
/// is left out.
///
/// # Errors
/// The operating system's; a missing directory is no error, only empty.
pub fn list(tree: &dyn Tree, directory: &TreePath) -> io::Result<Vec<Backup>> {
    let above = tree.resolve(directory).map_err(|e| io::Error::other(e.to_string()))?.path;
    let names = match tree.names_nofollow(&above) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut backups = Vec::new();
    for id in names.into_iter().filter_map(|name| String::from_utf8(name).ok()) {
        match Place::new(tree, directory, &id)?.read(tree) {
            Ok(manifest) => backups.push(Backup {
                id,
                at: At(manifest.at),
                progress: Ok(manifest.progress),
                paths: manifest.entries.iter().map(|e| e.path.path()).collect(),
                summary: manifest.summary,
            }),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => {
                backups.push(Backup { id, at: At(0), progress: Err(e.to_string()), summary: Vec::new(), paths: Vec::new() })
            }
        }
    }
    // `…Z-10` comes after `…Z-9`.
    backups.sort_by_key(|b| (b.at, b.id.len(), b.id.clone()));
    Ok(backups)
}

/// Puts back what the run `id` changed. Nothing is touched when a path was changed by somebody else since, unless `force`. Undoing
/// twice does nothing the second time. Directories that the run made stay, empty.
///
/// # Errors
/// [`UndoError`].
pub fn undo(tree: &dyn TreeMut, directory: &TreePath, id: &str, lock: &TreePath, force: bool) -> Result<Undone, UndoError> {
    let unreadable = |error| UndoError::Unreadable { id: id.to_owned(), error };
    if id.is_empty() || id.contains('/') || id.starts_with('.') {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "is not the name of a backup")));
    }
    let place = Place::new(tree, directory, id).map_err(unreadable)?;
    place.read(tree).map_err(unreadable)?;
    let _guard = take_lock(tree, lock).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => UndoError::Locked(lock.clone()),
        _ => UndoError::NotRestored { path: lock.clone(), error, backup: place.dir.clone() },
    })?;
    let mut manifest = place.read(tree).map_err(unreadable)?;
    if matches!(manifest.progress, Progress::Undone | Progress::RolledBack) {
        return Ok(Undone { id: id.to_owned(), restored: Vec::new() });
    }
    let paths: Vec<TreePath> = manifest.entries.iter().map(|e| e.path.path()).collect();
    backup::sweep(tree, paths.iter());
    if !force {
        let foreign = place.foreign(tree, &manifest).map_err(unreadable)?;
        if !foreign.is_empty() {
            return Err(UndoError::ChangedSince(foreign));
        }
    }
    let (mut restored, mut failed) = place.restore(tree, &manifest, &[]);
    if failed.iter().any(|(_, error)| error.kind() == io::ErrorKind::StorageFull) {
        // The new contents in the backup are room that can be had.
        place.drop_new(tree, &manifest);
        let (more, still) = place.restore(tree, &manifest, &[]);
        restored.extend(more);
        failed = still;
    }
    if let Some((path, error)) = failed.into_iter().next() {
        return Err(UndoError::NotRestored { path, error, backup: place.dir });
    }
    manifest.progress = Progress::Undone;
    let path = place.dir.clone();
    place.write(tree, &manifest).map_err(|error| UndoError::NotRestored { backup: path.clone(), path, error })?;
    Ok(Undone { id: id.to_owned(), restored })
}

fn take_lock(tree: &dyn TreeMut, lock: &TreePath) -> io::Result<Box<dyn fmt::Debug>> {
    let above = tree.resolve(&lock.parent()).map_err(|e| io::Error::other(e.to_string()))?.path;
    tree.make_directory(&above, 0o755)?;
    tree.lock(&above.join(lock.name()))
}

/// The first of some paths, and how many more.
struct Paths<'a>(&'a [TreePath]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            [one] => write!(f, "{one} was"),
            [first, rest @ ..] => write!(f, "{first} and {} more were", rest.len()),
        }
    }
}
