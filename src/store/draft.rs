//! A tree while a refresh is worked out: reads see the changes made so far, and at the end the differences are the steps.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::edits;
use crate::{
    base::{At, PathMap, TreePath},
    edit::{Applicability, Edit, Step},
    host::{Look, Node, NodeKind, ReadError, Tree},
};

/// What a changed path holds: nothing, or a node with its content.
type Change = Option<(Node, Arc<Vec<u8>>)>;

/// A tree with changes that are not made yet.
pub(super) struct Draft<'a> {
    base: &'a dyn Tree,
    changes: BTreeMap<TreePath, Change>,
    /// Names that did not exist before, in the order of their making.
    new: Vec<TreePath>,
    /// What `base` answered: the script asks for the same paths many times. (Nobody goes through these maps.)
    nodes: Mutex<PathMap<Option<Node>>>,
    contents: Mutex<PathMap<Arc<Vec<u8>>>>,
    names: Mutex<PathMap<Arc<[Vec<u8>]>>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a dyn Tree) -> Self {
        Draft {
            base,
            changes: BTreeMap::new(),
            new: Vec::new(),
            nodes: Mutex::default(),
            contents: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// Looks at everything in these real directories of the base.
    pub(super) fn look_ahead(&mut self, directories: &[TreePath]) {
        /// Larger files are left for those who want them.
        const LARGE: u64 = 1 << 20;
        let (mut nodes, mut contents) = (lock(&self.nodes), lock(&self.contents));
        for directory in directories {
            let Ok(names) = self.base.list_nofollow(directory) else { continue };
            for ((name, _), look) in names.iter().zip(self.base.look_at_each(directory, &names, LARGE)) {
                match look {
                    Look::File(Ok((bytes, found))) => {
                        nodes.insert(directory.join(name), Some(found));
                        contents.insert(directory.join(name), Arc::new(bytes));
                    }
                    Look::Link(Ok(Some(target))) => {
                        nodes.insert(directory.join(name), Some(node(NodeKind::Link(target), 0o777)));
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
        self.new.retain(|p| *p != path);
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

    /// The changes that make a difference, links first and files last, so that a bundle never lacks what a link still shows.
    pub(super) fn steps(mut self, by: &str) -> Vec<Step> {
        let mut links = Vec::new();
        let mut files = Vec::new();
        for (path, change) in std::mem::take(&mut self.changes) {
            let before = self.base_node(&path).ok().flatten();
            let (edit, verb, target) = match (change, before) {
                (None, None) => continue,
                (None, Some(_)) => (Edit::Remove { path: path.clone() }, "remove", &mut links),
                (Some((Node { kind: NodeKind::Link(target), .. }, _)), before) => {
                    if before.is_some_and(|n| n.kind == NodeKind::Link(target.clone())) {
                        continue;
                    }
                    (Edit::Link { path: path.clone(), target }, "link", &mut links)
                }
                (Some((now, bytes)), before) => {
                    let same = before.is_some_and(|n| n.kind == now.kind && n.mode == now.mode)
                        && self.base.read_nofollow(&path, u64::MAX).is_ok_and(|(b, _)| b == *bytes);
                    if same {
                        continue;
                    }
                    let bytes = Arc::unwrap_or_clone(bytes);
                    (Edit::Write { path: path.clone(), bytes, mode: Some(now.mode) }, "write", &mut files)
                }
            };
            let summary = format!("{verb} {path} as {by} does");
            let precondition = edits::found(self.base, &path);
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

    /// What was there before in its order, then what is new in the order of its making. What a file system does with a new name is
    /// its own affair; this is what one that appends would show.
    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let is_gone = |name: &Vec<u8>| matches!(self.changes.get(&path.join(name)), Some(None));
        let mut names: Vec<Vec<u8>> = self.base_names(path)?.iter().filter(|name| !is_gone(name)).cloned().collect();
        let new = self.new.iter().filter(|p| p.parent() == *path).map(|p| p.name().to_vec());
        names.extend(new);
        Ok(names)
    }
}
