//! A tree with a memory, for looks at one state of it by several who ask for the same things.
//!
//! Absent on purpose: contents of files. Whoever reads one keeps what it needs.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
};

use super::{Listing, Node, ReadError, Resolved, Tree};
use crate::base::TreePath;

/// Where paths lead and what directories hold is asked once. For a single look: a change made meanwhile is not seen.
pub struct Remembered<'a> {
    tree: &'a dyn Tree,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    resolved: BTreeMap<TreePath, Resolved>,
    listed: BTreeMap<TreePath, Listing>,
}

impl<'a> Remembered<'a> {
    /// Looks at `tree` and remembers.
    #[must_use]
    pub fn new(tree: &'a dyn Tree) -> Self {
        Remembered { tree, memory: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tree for Remembered<'_> {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        self.tree.node_nofollow(path)
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        self.tree.read_nofollow(path, limit)
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
        self.tree.read_listed(path, limit)
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
        let remembered = Remembered::new(&tree);
        let (root, file) = (TreePath::root(), TreePath::from("/f"));
        let first = (remembered.names_nofollow(&root).expect("listed"), remembered.resolve(&file).expect("resolved"));
        assert_eq!(first, (tree.names_nofollow(&root).expect("listed"), tree.resolve(&file).expect("resolved")));
        fs::remove_file(dir.path().join("f")).expect("removed");
        assert_eq!(first, (remembered.names_nofollow(&root).expect("listed"), remembered.resolve(&file).expect("resolved")));
        assert!(!tree.exists(&file) && remembered.exists(&file));
    }
}
