//! A tree while a refresh is worked out: reads see the changes made so far, and at the end the differences are the steps.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::edits;
use crate::{
    base::{At, Fingerprint, PathMap, PathSet, TreePath, same},
    edit::{Applicability, Edit, Precondition, Step},
    host::{Look, Node, NodeKind, ReadError, Resolved, Tree, meanwhile, resolve_by_component, resolve_straight},
};

/// What a changed path holds: nothing, or a node with its content.
type Change = Option<(Node, Arc<Vec<u8>>)>;

/// A tree with changes that are not made yet.
pub(super) struct Draft<'a> {
    base: &'a dyn Tree,
    changes: PathMap<Change>,
    /// Names that did not exist before, in the order of their making.
    new: Vec<TreePath>,
    /// Directories that are no link, nor below one.
    straight: Mutex<PathSet>,
    /// What `base` answered: the script asks for the same paths many times. (Nobody goes through these maps.)
    nodes: Mutex<PathMap<Option<Node>>>,
    contents: Mutex<PathMap<Arc<Vec<u8>>>>,
    names: Mutex<PathMap<Arc<[Vec<u8>]>>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a dyn Tree) -> Self {
        Draft {
            base,
            changes: PathMap::default(),
            new: Vec::new(),
            straight: Mutex::default(),
            nodes: Mutex::default(),
            contents: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// Looks at everything in these real directories of the base, at the first beside the others: that is waiting for the kernel.
    pub(super) fn look_ahead(&mut self, directories: &[TreePath]) {
        /// Larger files are left for those who want them.
        const LARGE: u64 = 1 << 20;
        let base = self.base;
        let look = |directory: &TreePath| {
            let names = base.list_nofollow(directory).ok()?;
            let looks = base.look_at_each(directory, &names, LARGE);
            Some((names, looks))
        };
        let Some((first, others)) = directories.split_first() else { return };
        let (ahead, mut seen) = meanwhile(|| look(first), || others.iter().map(look).collect::<Vec<_>>());
        seen.insert(0, ahead.flatten());
        let (mut nodes, mut contents) = (lock(&self.nodes), lock(&self.contents));
        for (directory, seen) in directories.iter().zip(seen) {
            let Some((names, looks)) = seen else { continue };
            for ((name, _), look) in names.iter().zip(looks) {
                match look {
                    Look::File(Ok((bytes, found))) => {
                        let path = directory.child(name);
                        nodes.insert(path.clone(), Some(found));
                        contents.insert(path, Arc::new(bytes));
                    }
                    Look::Link(Ok(Some(target))) => {
                        nodes.insert(directory.child(name), Some(node(NodeKind::Link(target), 0o777)));
                    }
                    Look::File(Err(_)) | Look::Link(_) | Look::None => {}
                }
            }
        }
    }

    /// Makes a link at `path`, whose directory is real, or replaces what is there.
    pub(super) fn link(&mut self, path: TreePath, target: Vec<u8>) {
        self.change(path, Some((node(NodeKind::Link(target), 0o777), Arc::default())));
    }

    /// Writes a file.
    pub(super) fn write(&mut self, path: TreePath, bytes: Vec<u8>, mode: u32) {
        self.change(path, Some((node(NodeKind::File(bytes.len() as u64), mode), Arc::new(bytes))));
    }

    /// Removes a file or link.
    pub(super) fn remove(&mut self, path: TreePath) {
        self.change(path, None);
    }

    fn change(&mut self, path: TreePath, to: Change) {
        if self.changes.contains_key(&path) {
            self.new.retain(|p| *p != path);
        }
        if to.is_some() && self.base_node(&path).ok().flatten().is_none() {
            self.new.push(path.clone());
        }
        self.changes.insert(path, to);
    }

    /// The content of the file that `path` leads to; `None` when it leads to none that can be read.
    pub(super) fn content(&self, path: &TreePath) -> Option<Arc<Vec<u8>>> {
        let resolved = self.resolve(path).ok()?;
        matches!(resolved.node?.kind, NodeKind::File(_)).then(|| self.content_at(&resolved.path).ok())?
    }

    fn content_at(&self, path: &TreePath) -> Result<Arc<Vec<u8>>, ReadError> {
        if let Some(change) = self.changes.get(path) {
            return change.as_ref().map(|(_, bytes)| bytes.clone()).ok_or(ReadError::Missing);
        }
        self.base_content(path)
    }

    fn base_content(&self, path: &TreePath) -> Result<Arc<Vec<u8>>, ReadError> {
        if let Some(known) = lock(&self.contents).get(path) {
            return Ok(known.clone());
        }
        let bytes = Arc::new(self.base.read_nofollow(path, crate::base::Limits::DEFAULT.file)?.0);
        lock(&self.contents).insert(path.clone(), bytes.clone());
        Ok(bytes)
    }

    fn base_node(&self, path: &TreePath) -> io::Result<Option<Node>> {
        if let Some(known) = lock(&self.nodes).get(path) {
            return Ok(known.clone());
        }
        let found = self.base.node_nofollow(path)?;
        lock(&self.nodes).insert(path.clone(), found.clone());
        Ok(found)
    }

    fn base_names(&self, path: &TreePath) -> io::Result<Arc<[Vec<u8>]>> {
        if let Some(known) = lock(&self.names).get(path) {
            return Ok(known.clone());
        }
        let found: Arc<[Vec<u8>]> = self.base.names_unsorted_nofollow(path)?.into();
        lock(&self.names).insert(path.clone(), found.clone());
        Ok(found)
    }

    /// What the file holds that `path` leads to, or what it leads to instead.
    pub(super) fn file_at(&self, path: &TreePath) -> Result<Arc<Vec<u8>>, Option<NodeKind>> {
        let resolved = self.resolve(path).map_err(|_| None)?;
        match resolved.node.map(|n| n.kind) {
            Some(kind @ NodeKind::File(_)) => self.content_at(&resolved.path).map_err(|_| Some(kind)),
            kind => Err(kind),
        }
    }

    /// Whether the directory at `path` is what its path says: no link, and not below one.
    fn is_straight(&self, path: TreePath) -> bool {
        if lock(&self.straight).contains(&path) {
            return true;
        }
        let is_directory = |r: &Resolved| matches!(r.node.as_ref().map(|n| &n.kind), Some(NodeKind::Directory));
        let straight = self.resolve(&path).is_ok_and(|r| r.links.is_empty() && r.path == path && is_directory(&r));
        if straight {
            lock(&self.straight).insert(path);
        }
        straight
    }

    /// What kind of thing `path` leads to.
    pub(super) fn leads_to(&self, path: &TreePath) -> Option<NodeKind> {
        self.resolve(path).ok()?.node.map(|n| n.kind)
    }

    /// The target of the link at `path` itself.
    pub(super) fn link_target(&self, path: &TreePath) -> Option<Vec<u8>> {
        match self.node_nofollow(path).ok()??.kind {
            NodeKind::Link(target) => Some(target),
            _ => None,
        }
    }

    /// What this plan found at `path`, where `node` lies.
    fn found(&self, path: &TreePath, node: Option<Node>) -> Precondition {
        match node.map(|n| n.kind) {
            None => Precondition::Absent,
            Some(NodeKind::Link(target)) => Precondition::Link(target),
            Some(NodeKind::File(_)) => match self.base_content(path) {
                Ok(bytes) => Precondition::Content(Fingerprint::of(&bytes)),
                // Too large to be kept, or unreadable.
                Err(_) => edits::found(self.base, path),
            },
            Some(NodeKind::Directory | NodeKind::Other(_)) => Precondition::None,
        }
    }

    /// The changes that make a difference, links first and files last, so that a bundle never lacks what a link still shows.
    pub(super) fn steps(mut self, by: &str) -> Vec<Step> {
        let mut links = Vec::new();
        let mut files = Vec::new();
        let mut changes: Vec<(TreePath, Change)> = std::mem::take(&mut self.changes).into_iter().collect();
        changes.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (path, change) in changes {
            let before = self.base_node(&path).ok().flatten();
            let (edit, verb, target) = match (change, &before) {
                (None, None) => continue,
                (None, Some(_)) => (Edit::Remove { path: path.clone() }, "remove", &mut links),
                (Some((Node { kind: NodeKind::Link(target), .. }, _)), before) => {
                    if before.as_ref().is_some_and(|n| matches!(&n.kind, NodeKind::Link(old) if *old == target)) {
                        continue;
                    }
                    (Edit::Link { path: path.clone(), target }, "link", &mut links)
                }
                (Some((now, bytes)), before) => {
                    let is_same = before.as_ref().is_some_and(|n| n.kind == now.kind && n.mode == now.mode)
                        && self.base_content(&path).is_ok_and(|old| same(&old, &bytes));
                    if is_same {
                        continue;
                    }
                    let bytes = Arc::unwrap_or_clone(bytes);
                    (Edit::Write { path: path.clone(), bytes, mode: Some(now.mode) }, "write", &mut files)
                }
            };
            let summary = format!("{verb} {path} as {by} does");
            let precondition = self.found(&path, before);
            let applicability = Applicability::Auto;
            target.push(Step { edit, precondition, because: Vec::new(), applicability, summary, generated: true });
        }
        links.extend(files);
        links
    }
}

fn node(kind: NodeKind, mode: u32) -> Node {
    Node { kind, mode, uid: 0, gid: 0, modified: At(0) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tree for Draft<'_> {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        match self.changes.get(path) {
            Some(change) => Ok(change.as_ref().map(|(node, _)| node.clone())),
            None => self.base_node(path),
        }
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        match self.changes.get(path) {
            Some(Some((node @ Node { kind: NodeKind::File(len), .. }, bytes))) if *len <= limit => {
                Ok((bytes.as_ref().clone(), node.clone()))
            }
            Some(Some((Node { kind: NodeKind::File(len), .. }, _))) => Err(ReadError::TooLarge(*len)),
            Some(Some(_)) => Err(ReadError::NotAFile("link")),
            Some(None) => Err(ReadError::Missing),
            None => self.base.read_nofollow(path, limit),
        }
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = self.names_unsorted_nofollow(path)?;
        names.sort_unstable();
        Ok(names)
    }

    /// A name that is not there is asked for as often as one that is.
    fn resolve(&self, path: &TreePath) -> Result<Resolved, ReadError> {
        let is_straight = |directory| self.is_straight(directory);
        resolve_straight(self, path, &is_straight).map_or_else(|| resolve_by_component(self, path), Ok)
    }

    /// What was there before in its order, then what is new in the order of its making. What a file system does with a new name is
    /// its own affair; this is what one that appends would show.
    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let is_gone = |name: &Vec<u8>| !self.changes.is_empty() && matches!(self.changes.get(&path.child(name)), Some(None));
        let mut names: Vec<Vec<u8>> = self.base_names(path)?.iter().filter(|name| !is_gone(name)).cloned().collect();
        let new = self.new.iter().filter(|p| p.parent_bytes() == path.as_bytes()).map(|p| p.name().to_vec());
        names.extend(new);
        Ok(names)
    }
}
