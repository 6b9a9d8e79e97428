//! A tree in memory: for tests, and for states that were never on a disk.
//!
//! Links, modes and missing directories behave as on a real file system. Owners are always 0. A directory shows its names in the
//! order in which they were made.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Node, NodeKind, ReadError, Tree, TreeMut, Written};
use crate::base::{At, TreePath};

/// A tree whose nodes live in memory. Directories above a new node are made as needed, with mode 0755.
#[derive(Debug, Default)]
pub struct MemoryTree {
    nodes: Mutex<BTreeMap<TreePath, Entry>>,
    made: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Entry {
    node: Node,
    bytes: Vec<u8>,
    /// When it was made, counted over the tree.
    made: usize,
}

impl MemoryTree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        MemoryTree::default()
    }

    /// Puts a node at `path`, whatever was there before; `bytes` count only for files.
    pub fn put(&self, path: impl Into<TreePath>, kind: NodeKind, mode: u32, bytes: Vec<u8>) {
        let path = path.into();
        let mut nodes = self.nodes();
        let mut above = path.parent();
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        while above.name() != b"" && !nodes.contains_key(&above) {
            nodes.insert(above.clone(), Entry { node: node(NodeKind::Directory, 0o755), bytes: Vec::new(), made });
            above = above.parent();
        }
        let made = nodes.get(&path).map_or(made, |former| former.made);
        nodes.insert(path, Entry { node: node(kind, mode), bytes, made });
    }

    /// A regular file with mode 0644.
    pub fn file(&self, path: impl Into<TreePath>, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.put(path, NodeKind::File(bytes.len() as u64), 0o644, bytes);
    }

    /// A symbolic link.
    pub fn symlink(&self, path: impl Into<TreePath>, target: impl Into<Vec<u8>>) {
        self.put(path, NodeKind::Link(target.into()), 0o777, Vec::new());
    }

    /// An empty directory with mode 0755.
    pub fn directory(&self, path: impl Into<TreePath>) {
        self.put(path, NodeKind::Directory, 0o755, Vec::new());
    }

    /// Takes a directory away with all below it; nothing happens when there is none.
    pub fn remove_directory(&self, path: &TreePath) {
        self.nodes().retain(|p, _| !p.starts_with(path));
    }

    /// Every path with what lies there, sorted; the root is left out.
    #[must_use]
    pub fn listing(&self) -> Vec<(TreePath, Node, Vec<u8>)> {
        self.nodes().iter().map(|(path, e)| (path.clone(), e.node.clone(), e.bytes.clone())).collect()
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<TreePath, Entry>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies at `path`, when nothing above it is a link or a file.
    fn find(&self, path: &TreePath) -> io::Result<Option<(Node, Vec<u8>)>> {
        if path.name().is_empty() {
            return Ok(Some((node(NodeKind::Directory, 0o755), Vec::new())));
        }
        let nodes = self.nodes();
        if let Some(found) = nodes.get(path) {
            return Ok(Some((found.node.clone(), found.bytes.clone())));
        }
        let mut above = path.parent();
        while above.name() != b"" {
            match nodes.get(&above) {
                Some(Entry { node: Node { kind: NodeKind::Directory, .. }, .. }) => return Ok(None),
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => above = above.parent(),
            }
        }
        Ok(None)
    }

    /// Gives every path another.
    fn retell(&self, path: impl Fn(&TreePath) -> TreePath) {
        let mut nodes = self.nodes();
        let old = std::mem::take(&mut *nodes);
        nodes.extend(old.into_iter().map(|(at, entry)| (path(&at), entry)));
    }

    fn must_be_directory(&self, path: &TreePath) -> io::Result<()> {
        match self.find(path)? {
            Some((Node { kind: NodeKind::Directory, .. }, _)) => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn replace(&self, path: &TreePath, kind: NodeKind, mode: u32, bytes: Vec<u8>) -> io::Result<()> {
        self.must_be_directory(&path.parent())?;
        if matches!(self.find(path)?, Some((Node { kind: NodeKind::Directory, .. }, _))) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.put(path.clone(), kind, mode, bytes);
        Ok(())
    }
}

/// Where a path is once `from` is called `to`; `None` when it does not lie there.
fn moved(path: &TreePath, from: &TreePath, to: &TreePath) -> Option<TreePath> {
    path.starts_with(from).then(|| TreePath::new([to.as_bytes(), &path.as_bytes()[from.as_bytes().len()..]].concat()))
}

fn node(kind: NodeKind, mode: u32) -> Node {
    Node { kind, mode, uid: 0, gid: 0, modified: At(0) }
}

impl Tree for MemoryTree {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        Ok(self.find(path)?.map(|(node, _)| node))
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        let (node, bytes) = self.find(path)?.ok_or(ReadError::Missing)?;
        match &node.kind {
            NodeKind::File(len) if *len > limit => Err(ReadError::TooLarge(*len)),
            NodeKind::File(_) => Ok((bytes, node)),
            NodeKind::Directory => Err(ReadError::NotAFile("directory")),
            NodeKind::Link(_) => Err(ReadError::NotAFile("link")),
            NodeKind::Other(what) => Err(ReadError::NotAFile(what)),
        }
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = self.names_unsorted_nofollow(path)?;
        names.sort_unstable();
        Ok(names)
    }

    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        self.must_be_directory(path)?;
        let nodes = self.nodes();
        let mut names: Vec<(usize, &TreePath)> =
            nodes.iter().filter(|(p, _)| p.parent() == *path).map(|(p, e)| (e.made, p)).collect();
        names.sort_unstable();
        Ok(names.into_iter().map(|(_, p)| p.name().to_vec()).collect())
    }
}

impl TreeMut for MemoryTree {
    fn write(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<Written> {
        let former = self.node_nofollow(path)?.filter(|n| matches!(n.kind, NodeKind::File(_))).map(|n| n.mode);
        let mode = mode.or(former).unwrap_or(0o644);
        self.replace(path, NodeKind::File(bytes.len() as u64), mode, bytes.to_vec())?;
        Ok(Written::Atomically)
    }

    fn remove(&self, path: &TreePath) -> io::Result<()> {
        match self.node_nofollow(path)? {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Node { kind: NodeKind::Directory, .. }) => Err(io::ErrorKind::IsADirectory.into()),
            Some(_) => {
                self.nodes().remove(path);
                Ok(())
            }
        }
    }

    fn link(&self, path: &TreePath, target: &[u8]) -> io::Result<()> {
        self.replace(path, NodeKind::Link(target.to_vec()), 0o777, Vec::new())
    }

    fn rename(&self, path: &TreePath, to: &[u8]) -> io::Result<()> {
        let to = path.parent().join(to);
        if self.node_nofollow(path)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.node_nofollow(&to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.retell(|at| moved(at, path, &to).unwrap_or_else(|| at.clone()));
        Ok(())
    }

    fn exchange(&self, path: &TreePath, with: &[u8]) -> io::Result<()> {
        let with = path.parent().join(with);
        if self.node_nofollow(path)?.is_none() || self.node_nofollow(&with)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.retell(|at| moved(at, path, &with).or_else(|| moved(at, &with, path)).unwrap_or_else(|| at.clone()));
        Ok(())
    }

    fn set_owner(&self, path: &TreePath, _uid: u32, _gid: u32) -> io::Result<()> {
        self.node_nofollow(path)?.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn make_directory(&self, path: &TreePath, mode: u32) -> io::Result<()> {
        match self.find(path)? {
            Some((Node { kind: NodeKind::Directory, .. }, _)) => Ok(()),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => {
                self.put(path.clone(), NodeKind::Directory, mode, Vec::new());
                Ok(())
            }
        }
    }

    /// One process has this tree, so nobody else holds its lock.
    fn lock(&self, _path: &TreePath) -> io::Result<Box<dyn fmt::Debug>> {
        Ok(Box::new(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let tree = MemoryTree::new();
        tree.file("/etc/real/f", "x");
        tree.symlink("/etc/dir", "../../../etc/real");
        tree.symlink("/loop", "/loop");
        let (bytes, resolved) = tree.read(&"/etc/dir/f".into(), 10).expect("read");
        assert_eq!((bytes.as_slice(), resolved.path), (&b"x"[..], "/etc/real/f".into()));
        assert!(matches!(tree.resolve(&"/loop".into()), Err(ReadError::LinkLoop)));
        assert!(matches!(tree.read(&"/etc/real/f".into(), 0), Err(ReadError::TooLarge(1))));
        assert_eq!(tree.node_nofollow(&"/etc/real/f/g".into()).expect_err("a file").kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn changes_as_a_file_system_does() {
        let tree = MemoryTree::new();
        assert!(tree.write(&"/none/f".into(), b"", None).is_err());
        tree.make_directory(&"/d".into(), 0o700).expect("made");
        tree.write(&"/d/f".into(), b"a", Some(0o600)).expect("written");
        tree.write(&"/d/f".into(), b"b", None).expect("written");
        assert_eq!(tree.node_nofollow(&"/d/f".into()).expect("there").map(|n| n.mode), Some(0o600));
        tree.link(&"/d/l".into(), b"f").expect("linked");
        tree.write(&"/d/l".into(), b"c", None).expect("written");
        assert_eq!(tree.read(&"/d/f".into(), 9).expect("read").0, b"b");
        assert_eq!(tree.names_nofollow(&"/d".into()).expect("listed"), [b"f".to_vec(), b"l".to_vec()]);
        assert!(tree.remove(&"/d".into()).is_err());
        tree.remove(&"/d/l".into()).expect("removed");
        assert!(tree.remove(&"/d/l".into()).is_err());
    }
}
