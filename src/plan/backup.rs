//! The backup of one run: what every path was before, what it is to become, and how far the run came.
//!
//! ```text
//! DIRECTORY/ID/manifest.json   written and synced before the first change, and again at the end
//! DIRECTORY/ID/N.old           what entry N held
//! DIRECTORY/ID/N.new           what entry N is to hold
//! ```
//! The new content is kept for two reasons: a write in place that was killed midway is recognised by it as ours, and taking it away
//! frees the room that putting the old content back may need on a full disk.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    base::{Fingerprint, Limits, TreePath},
    host::{NodeKind, ReadError, Tree, TreeMut, dir::TEMPORARY_PREFIX, shape},
};

/// The version of the manifest's form.
const VERSION: u32 = 1;

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Edits were being made.
    Applying,
    /// All was done.
    Complete,
    /// A refresh command was running; what it left is not known.
    Refreshing,
    /// It failed, and all was put back.
    RolledBack,
    /// It was undone.
    Undone,
}

/// `manifest.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub version: u32,
    /// When, in seconds since 1970.
    pub at: i64,
    pub progress: Progress,
    /// What was done, a line for each step.
    pub summary: Vec<String>,
    pub entries: Vec<Entry>,
    /// The names in directories that a refresh command works in.
    pub directories: Vec<Listing>,
}

/// One path that is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub path: Bytes,
    pub before: State,
    /// What it becomes; `None` when a command makes it and has not reported yet.
    pub after: Option<State>,
    /// Where what was there lies under another name; nothing of it is in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Bytes>,
}

/// The names in a directory before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listing {
    pub path: Bytes,
    pub names: Vec<Bytes>,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum State {
    Absent,
    Link {
        target: Bytes,
    },
    /// A file or folder that is moved: its shape ([`shape()`]).
    Node {
        shape: String,
    },
    File {
        sha256: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
    },
}

/// A name or link target: text where it is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Bytes {
    Text(String),
    Raw(Vec<u8>),
}

impl Bytes {
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Bytes::Text(text) => text.as_bytes(),
            Bytes::Raw(raw) => raw,
        }
    }

    pub fn path(&self) -> TreePath {
        TreePath::new(self.as_bytes())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Raw(bytes.to_vec()),
        }
    }
}

impl From<&TreePath> for Bytes {
    fn from(path: &TreePath) -> Self {
        path.as_bytes().into()
    }
}

impl Entry {
    /// Whether the link that was made in the place of what was moved lies at `path`.
    fn is_linked(&self, tree: &dyn Tree, path: &TreePath) -> io::Result<bool> {
        let Some(State::Link { target }) = &self.after else { return Ok(false) };
        Ok(tree.link_nofollow(path)?.is_some_and(|found| found == target.as_bytes()))
    }
}

impl State {
    /// A file of this content, its mode and owner left as they are.
    pub fn file(bytes: &[u8]) -> Self {
        State::File { sha256: Fingerprint::of(bytes).to_string(), mode: None, owner: None }
    }

    /// Whether both are the same content; mode and owner may differ.
    pub fn same_content(&self, other: &State) -> bool {
        match (self, other) {
            (State::Absent, State::Absent) => true,
            (State::Link { target: a }, State::Link { target: b }) => a == b,
            (State::File { sha256: a, .. }, State::File { sha256: b, .. }) => a == b,
            (State::Node { shape: a }, State::Node { shape: b }) => a == b,
            _ => false,
        }
    }
}

/// What lies at `path` itself now, and its content if it is a file.
pub(super) fn observe(tree: &dyn Tree, path: &TreePath) -> io::Result<(State, Option<Vec<u8>>)> {
    let node = match tree.node_nofollow(path) {
        Ok(Some(node)) => node,
        Ok(None) => return Ok((State::Absent, None)),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok((State::Absent, None)),
        Err(e) => return Err(e),
    };
    match node.kind {
        NodeKind::Link(target) => Ok((State::Link { target: target.as_slice().into() }, None)),
        NodeKind::File(_) => {
            let (bytes, node) = tree.read_nofollow(path, Limits::DEFAULT.file).map_err(into_io)?;
            let sha256 = Fingerprint::of(&bytes).to_string();
            Ok((State::File { sha256, mode: Some(node.mode), owner: Some((node.uid, node.gid)) }, Some(bytes)))
        }
        NodeKind::Directory => Err(io::ErrorKind::IsADirectory.into()),
        NodeKind::Other(what) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("is a {what}"))),
    }
}

fn into_io(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(e) => e,
        ReadError::Missing => io::ErrorKind::NotFound.into(),
        other => io::Error::other(other.to_string()),
    }
}

/// One backup's place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `DIRECTORY/ID`, without links.
    pub dir: TreePath,
}

impl Place {
    /// The backup `id` below `directory`.
    pub fn new(tree: &dyn Tree, directory: &TreePath, id: &str) -> io::Result<Place> {
        let above = tree.resolve(directory).map_err(into_io)?;
        Ok(Place { dir: above.path.join(id) })
    }

    fn content(&self, entry: usize, which: &str) -> TreePath {
        self.dir.join(format!("{entry}.{which}"))
    }

    pub fn keep_old(&self, tree: &dyn TreeMut, entry: usize, bytes: &[u8]) -> io::Result<()> {
        tree.write(&self.content(entry, "old"), bytes, Some(0o600)).map(drop)
    }

    pub fn keep_new(&self, tree: &dyn TreeMut, entry: usize, bytes: &[u8]) -> io::Result<()> {
        tree.write(&self.content(entry, "new"), bytes, Some(0o600)).map(drop)
    }

    pub fn write(&self, tree: &dyn TreeMut, manifest: &Manifest) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
        text.push(b'\n');
        tree.write(&self.dir.join("manifest.json"), &text, Some(0o600)).map(drop)
    }

    pub fn read(&self, tree: &dyn Tree) -> io::Result<Manifest> {
        let (bytes, _) = tree.read_nofollow(&self.dir.join("manifest.json"), Limits::DEFAULT.file).map_err(into_io)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        if manifest.version != VERSION {
            return Err(io::Error::other(format!("has the form {}, and only {VERSION} is known", manifest.version)));
        }
        Ok(manifest)
    }

    /// Takes the new contents away: what is left is the old ones.
    pub fn drop_new(&self, tree: &dyn TreeMut, manifest: &Manifest) {
        for entry in 0..manifest.entries.len() {
            // Most entries have none, and room that can't be freed is no reason to stop.
            let _ = tree.remove(&self.content(entry, "new"));
        }
    }

    /// Takes a backup that was never needed away, but for its empty directory.
    pub fn clear(&self, tree: &dyn TreeMut) {
        for name in tree.names_nofollow(&self.dir).unwrap_or_default() {
            let _ = tree.remove(&self.dir.join(name));
        }
    }

    /// Whether what lies at entry `n` is what a write in place leaves when it is killed, on the way there or back.
    fn is_torn(&self, tree: &dyn Tree, n: usize, now: Option<&[u8]>) -> bool {
        let read = |which| tree.read_nofollow(&self.content(n, which), Limits::DEFAULT.file).ok().map(|(bytes, _)| bytes);
        let (Some(now), Some(old), Some(new)) = (now, read("old"), read("new")) else { return false };
        is_between(now, &old, &new) || is_between(now, &new, &old)
    }

    /// The paths whose content is neither what the run made nor what was there before: somebody changed them since.
    pub fn foreign(&self, tree: &dyn Tree, manifest: &Manifest) -> io::Result<Vec<TreePath>> {
        let mut foreign = Vec::new();
        for (n, entry) in manifest.entries.iter().enumerate() {
            let path = entry.path.path();
            if let Some(to) = &entry.moved_to {
                let (here, there) = (node(tree, &path)?, node(tree, &to.path())?);
                let untouched = here == entry.before && there == State::Absent;
                let is_free = here == State::Absent || entry.is_linked(tree, &path)?;
                let moved = is_free && there == entry.before;
                if !untouched && !moved {
                    foreign.push(path);
                }
                continue;
            }
            let (now, bytes) = observe(tree, &path).map_err(|e| io::Error::new(e.kind(), format!("{path}: {e}")))?;
            let ours = match &entry.after {
                Some(after) => now.same_content(after) || self.is_torn(tree, n, bytes.as_deref()),
                // Outputs that a command was making; before it ran nobody of ours touched them.
                None => manifest.progress == Progress::Refreshing,
            };
            if !ours && !now.same_content(&entry.before) {
                foreign.push(path);
            }
        }
        Ok(foreign)
    }

    /// Puts every entry back, last one first; those in `keep` stay as they are. Goes on after a failure, so that as much as possible
    /// is as it was.
    pub fn restore(
        &self,
        tree: &dyn TreeMut,
        manifest: &Manifest,
        keep: &[TreePath],
    ) -> (Vec<TreePath>, Vec<(TreePath, io::Error)>) {
        let mut restored = Vec::new();
        let mut failed = Vec::new();
        for (n, entry) in manifest.entries.iter().enumerate().rev() {
            let path = entry.path.path();
            if keep.contains(&path) {
                continue;
            }
            match self.restore_one(tree, n, entry, &path) {
                Ok(true) => restored.push(path),
                Ok(false) => {}
                Err(e) => failed.push((path, e)),
            }
        }
        if manifest.progress == Progress::Refreshing {
            self.clear_after_command(tree, manifest);
        }
        restored.reverse();
        (restored, failed)
    }

    fn restore_one(&self, tree: &dyn TreeMut, n: usize, entry: &Entry, path: &TreePath) -> io::Result<bool> {
        if let Some(to) = &entry.moved_to {
            if entry.is_linked(tree, path)? && node(tree, &to.path())? == entry.before {
                tree.remove(path)?;
            }
            return move_back(tree, path, &to.path(), &entry.before);
        }
        let (now, _) = observe(tree, path)?;
        if now == entry.before {
            return Ok(false);
        }
        if entry.before != State::Absent {
            // A refresh tool that went wrong may have taken it away.
            tree.make_directory(&path.parent(), 0o755)?;
        }
        match &entry.before {
            State::Absent => tree.remove(path)?,
            State::Node { .. } => return Err(io::Error::other("the backup does not say where it was moved to")),
            State::Link { target } => tree.link(path, target.as_bytes())?,
            State::File { sha256, mode, owner } => {
                let (bytes, _) = tree.read_nofollow(&self.content(n, "old"), Limits::DEFAULT.file).map_err(into_io)?;
                if Fingerprint::of(&bytes).to_string() != *sha256 {
                    return Err(io::Error::other("the copy in the backup is damaged"));
                }
                tree.write(path, &bytes, *mode)?;
                let now = tree.node_nofollow(path)?;
                if let (Some((uid, gid)), Some(now)) = (owner, now)
                    && (*uid, *gid) != (now.uid, now.gid)
                {
                    tree.set_owner(path, *uid, *gid)?;
                }
            }
        }
        Ok(true)
    }

    /// What a refresh command that was interrupted left and nobody reported: links and unfinished bundles that were not there before.
    /// The latter are no clutter: Debian's tool appends to a stale `.new`, and its content enters the next bundle.
    fn clear_after_command(&self, tree: &dyn TreeMut, manifest: &Manifest) {
        for listing in &manifest.directories {
            let dir = listing.path.path();
            for name in tree.names_nofollow(&dir).unwrap_or_default() {
                if listing.names.iter().any(|n| n.as_bytes() == name) {
                    continue;
                }
                let path = dir.join(&name);
                let is_link = matches!(tree.node_nofollow(&path), Ok(Some(node)) if matches!(node.kind, NodeKind::Link(_)));
                if is_link || is_unfinished(&name) {
                    let _ = tree.remove(&path);
                }
            }
        }
    }
}

/// What was moved gets its name back. When something has that name since, the two change names: nothing is lost.
fn move_back(tree: &dyn TreeMut, path: &TreePath, to: &TreePath, before: &State) -> io::Result<bool> {
    match (node(tree, path)?, node(tree, to)?) {
        (here, State::Absent) if here == *before => Ok(false),
        (_, State::Absent) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{to}, its name since the move, is gone"))),
        (State::Absent, _) => tree.rename(to, path.name()).map(|()| true),
        // Undone already, by force.
        (here, _) if here == *before => Ok(false),
        _ => tree.exchange(to, path.name()).map(|()| true),
    }
}

/// What lies at the path of a move.
fn node(tree: &dyn Tree, path: &TreePath) -> io::Result<State> {
    Ok(shape(tree, path)?.map_or(State::Absent, |shape| State::Node { shape: shape.to_string() }))
}

/// Whether a refresh tool gives such a name to the bundle that it is making: `.new` behind it is Debian's, `mkstemp("bundleXXXXXX")`
/// Alpine's (update-ca.c).
fn is_unfinished(name: &[u8]) -> bool {
    name.ends_with(b".new")
        || name.strip_prefix(b"bundle").is_some_and(|rest| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// Whether `now` is the beginning of `to` followed by the rest of `from`.
fn is_between(now: &[u8], from: &[u8], to: &[u8]) -> bool {
    let begun = now.iter().zip(to).take_while(|(a, b)| a == b).count();
    if now.len() == from.len() {
        let kept = now.iter().rev().zip(from.iter().rev()).take_while(|(a, b)| a == b).count();
        return begun + kept >= now.len();
    }
    now.len() > from.len() && begun == now.len()
}

/// Removes the temporary files that a killed run left beside its targets. Only under the lock, when nobody can be writing one.
pub(super) fn sweep<'a>(tree: &dyn TreeMut, paths: impl Iterator<Item = &'a TreePath>) {
    let dirs: std::collections::BTreeSet<TreePath> = paths.map(TreePath::parent).collect();
    for dir in dirs {
        for name in tree.names_nofollow(&dir).unwrap_or_default() {
            if name.starts_with(TEMPORARY_PREFIX) {
                let _ = tree.remove(&dir.join(name));
            }
        }
    }
}

/// An empty manifest of a run that begins.
pub(super) fn begin(at: i64, summary: Vec<String>) -> Manifest {
    Manifest { version: VERSION, at, progress: Progress::Applying, summary, entries: Vec::new(), directories: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_in_place_is_recognised_at_every_byte() {
        for (old, new) in [("aaaa", "bb"), ("aa", "bbbb"), ("same", "same"), ("abc", "abd"), ("", "x"), ("x", "")] {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            for k in 0..=new.len() {
                let mut now = new[..k].to_vec();
                now.extend_from_slice(old.get(k..).unwrap_or_default());
                assert!(is_between(&now, old, new), "{now:?} on the way from {old:?} to {new:?}");
            }
        }
        assert!(!is_between(b"bXaa", b"aaaa", b"bbbb"));
        assert!(!is_between(b"bbaaX", b"aaaa", b"bbbb"));
    }

    #[test]
    fn names_survive_the_manifest() {
        for name in [&b"/etc/plain"[..], b"/etc/\xff\xfe", b"/etc/new\nline"] {
            let entry = Entry {
                path: name.into(),
                before: State::Link { target: name.into() },
                after: Some(State::Absent),
                moved_to: None,
            };
            let text = serde_json::to_string(&entry).expect("written");
            let back: Entry = serde_json::from_str(&text).expect("read");
            assert_eq!(back, entry);
            assert_eq!(back.path.path().as_bytes(), name);
        }
    }
}
