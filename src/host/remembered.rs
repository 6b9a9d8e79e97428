//! A tree with a memory, for looks at one state of it by several who ask for the same things.
//!
//! Contents of files are kept for plans only, which read the same ones many times; whoever loads a store keeps what it needs.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use super::{Listed, Listing, Look, Node, ReadError, Resolved, Tree};
use crate::base::{PathMap, TreePath};

/// Where paths lead and what directories hold is asked once. For a single look: a change made meanwhile is not seen.
pub struct Remembered<'a> {
    tree: &'a dyn Tree,
    memory: Mutex<Memory>,
    /// Whether nodes and contents are kept too.
    whole: bool,
}

/// Only asked, never gone through: the order of hashes does not show.
#[derive(Default)]
struct Memory {
    resolved: PathMap<Resolved>,
    listed: PathMap<Listing>,
    nodes: PathMap<Option<Node>>,
    contents: PathMap<(Vec<u8>, Node)>,
}

impl<'a> Remembered<'a> {
    /// Looks at `tree` and remembers.
    #[must_use]
    pub fn new(tree: &'a dyn Tree) -> Self {
        Remembered { tree, memory: Mutex::default(), whole: false }
    }

    /// Looks at `tree` and remembers contents of files too.
    #[must_use]
    pub fn whole(tree: &'a dyn Tree) -> Self {
        Remembered { whole: true, ..Remembered::new(tree) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tree for Remembered<'_> {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        if let Some(known) = self.with(|m| m.nodes.get(path).cloned()) {
            return Ok(known);
        }
        let node = self.tree.node_nofollow(path)?;
        if self.whole {
            self.with(|m| m.nodes.insert(path.clone(), node.clone()));
        }
        Ok(node)
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        if let Some(known) = self.with(|m| m.contents.get(path).filter(|(bytes, _)| bytes.len() as u64 <= limit).cloned()) {
            return Ok(known);
        }
        let read = self.tree.read_nofollow(path, limit)?;
        if self.whole {
            self.with(|m| m.contents.insert(path.clone(), read.clone()));
        }
        Ok(read)
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        Ok(self.list_nofollow(path)?.iter().map(|(name, _)| name.clone()).collect())
    }

    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        self.tree.names_unsorted_nofollow(path)
    }

    fn list_nofollow(&self, path: &TreePath) -> io::Result<Listing> {
        if let Some(known) = self.with(|m| m.listed.get(path).cloned()) {
            return Ok(known);
        }
        let listed = self.tree.list_nofollow(path)?;
        self.with(|m| m.listed.insert(path.clone(), listed.clone()));
        Ok(listed)
    }

    fn link_nofollow(&self, path: &TreePath) -> io::Result<Option<Vec<u8>>> {
        self.tree.link_nofollow(path)
    }

    fn read_listed(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        if self.whole { self.read_nofollow(path, limit) } else { self.tree.read_listed(path, limit) }
    }

    fn look_at_each(&self, path: &TreePath, names: &[(Vec<u8>, Listed)], limit: u64) -> Vec<Look> {
        self.tree.look_at_each(path, names, limit)
    }

    fn links_nofollow(&self, path: &TreePath, names: &[(Vec<u8>, Listed)]) -> Vec<Option<Vec<u8>>> {
        self.tree.links_nofollow(path, names)
    }

    fn resolve(&self, path: &TreePath) -> Result<Resolved, ReadError> {
        if let Some(known) = self.with(|m| m.resolved.get(path).cloned()) {
            return Ok(known);
        }
        let resolved = self.tree.resolve(path)?;
        self.with(|m| m.resolved.insert(path.clone(), resolved.clone()));
        Ok(resolved)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::DirTree;

    #[test]
    fn answers_as_the_tree_did_at_first() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("f"), "x").expect("written");
        let tree = DirTree::new(dir.path()).expect("a tree");
        let (remembered, whole) = (Remembered::new(&tree), Remembered::whole(&tree));
        let (root, file) = (TreePath::root(), TreePath::from("/f"));
        let read = whole.read_nofollow(&file, 9).expect("read");
        let first = (remembered.names_nofollow(&root).expect("listed"), remembered.resolve(&file).expect("resolved"));
        assert_eq!(first, (tree.names_nofollow(&root).expect("listed"), tree.resolve(&file).expect("resolved")));
        fs::remove_file(dir.path().join("f")).expect("removed");
        assert_eq!(first, (remembered.names_nofollow(&root).expect("listed"), remembered.resolve(&file).expect("resolved")));
        assert!(!tree.exists(&file) && remembered.exists(&file));
        assert!(remembered.read_nofollow(&file, 9).is_err());
        assert_eq!(whole.read_nofollow(&file, 9).expect("kept"), read);
        assert!(whole.read_nofollow(&file, 0).is_err());
    }
}
