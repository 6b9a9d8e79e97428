//! A tree as it would be after some edits, without making them: what the refresh is planned on, and what the planned state is
//! judged by.

use std::{collections::BTreeMap, io};

use super::{Node, NodeKind, ReadError, Tree};
use crate::{
    base::{At, TreePath},
    edit::{Edit, Step},
};

/// A tree with edits laid over it; read-only.
pub struct Overlay<'a> {
    base: &'a dyn Tree,
    /// What lies at each changed path; `None` where something was removed.
    changes: BTreeMap<TreePath, Option<Change>>,
}

/// What an edit leaves at a path.
struct Change {
    node: Node,
    bytes: Vec<u8>,
}

impl<'a> Overlay<'a> {
    /// `base` after `steps`, in order. Commands are left out: what they would do is not known here. Directories in a step's path may
    /// be links; the last name is changed itself.
    #[must_use]
    pub fn new(base: &'a dyn Tree, steps: &[Step]) -> Self {
        let mut overlay = Overlay { base, changes: BTreeMap::new() };
        for step in steps {
            overlay.lay(&step.edit);
        }
        overlay
    }

    fn lay(&mut self, edit: &Edit) {
        let Some(path) = edit.path() else { return };
        // What can't be resolved now can't be changed later either, and apply will say so.
        let Ok(above) = self.resolve(&path.parent()) else { return };
        let path = above.path.join(path.name());
        let former = self.node_nofollow(&path).ok().flatten();
        let node = |kind, mode| {
            let (uid, gid, modified) = former.as_ref().map_or((0, 0, At(0)), |n| (n.uid, n.gid, n.modified));
            Node { kind, mode, uid, gid, modified }
        };
        let change = match edit {
            Edit::Run { .. } => return,
            // What is below a folder that moves is found at the old name still; no check looks at both.
            Edit::Move { .. } | Edit::Remove { .. } => None,
            Edit::Link { target, .. } => Some(Change { node: node(NodeKind::Link(target.clone()), 0o777), bytes: Vec::new() }),
            Edit::Write { bytes, mode, .. } => {
                let kept = former.as_ref().filter(|n| matches!(n.kind, NodeKind::File(_))).map(|n| n.mode);
                let mode = mode.or(kept).unwrap_or(0o644);
                Some(Change { node: node(NodeKind::File(bytes.len() as u64), mode), bytes: bytes.clone() })
            }
        };
        self.changes.insert(path, change);
    }

    /// Whether a file that the edits make lies below `path`, so that `path` is a directory then.
    fn has_new_below(&self, path: &TreePath) -> bool {
        self.below(path).any(|(_, change)| change.is_some())
    }

    fn below(&self, path: &TreePath) -> impl Iterator<Item = (&TreePath, &Option<Change>)> {
        let dir = path.clone();
        // In byte order `/a-b` stands between `/a` and `/a/b`, so those beside are skipped and not the end.
        self.changes
            .range(path.clone()..)
            .take_while({
                let dir = dir.clone();
                move |(p, _)| p.as_bytes().starts_with(dir.as_bytes())
            })
            .filter(move |(p, _)| **p != dir && p.starts_with(&dir))
    }

    /// The names in a directory: `base`'s without what is gone, then what is new.
    fn names(&self, path: &TreePath, base: io::Result<Vec<Vec<u8>>>) -> io::Result<Vec<Vec<u8>>> {
        let mut names = match base {
            Err(e) if !self.has_new_below(path) => return Err(e),
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound) => return Err(e),
            other => other.unwrap_or_default(),
        };
        names.retain(|name| !matches!(self.changes.get(&path.join(name)), Some(None)));
        let mut new: Vec<&[u8]> = self
            .below(path)
            .filter(|(_, change)| change.is_some())
            .filter_map(|(p, _)| p.components().nth(path.components().count()))
            .filter(|name| !names.iter().any(|n| n == name))
            .collect();
        new.dedup();
        let new: Vec<Vec<u8>> = new.into_iter().map(<[u8]>::to_vec).collect();
        names.extend(new);
        Ok(names)
    }
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.changes.keys()).finish()
    }
}

impl Tree for Overlay<'_> {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        match self.changes.get(path) {
            Some(change) => Ok(change.as_ref().map(|c| c.node.clone())),
            None => match self.base.node_nofollow(path)? {
                None if self.has_new_below(path) => {
                    Ok(Some(Node { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0, modified: At(0) }))
                }
                found => Ok(found),
            },
        }
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        match self.changes.get(path) {
            None => self.base.read_nofollow(path, limit),
            Some(None) => Err(ReadError::Missing),
            Some(Some(change)) => match change.node.kind {
                NodeKind::File(size) if size > limit => Err(ReadError::TooLarge(size)),
                NodeKind::File(_) => Ok((change.bytes.clone(), change.node.clone())),
                _ => Err(ReadError::NotAFile("link")),
            },
        }
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = self.names(path, self.base.names_nofollow(path))?;
        names.sort_unstable();
        Ok(names)
    }

    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        self.names(path, self.base.names_unsorted_nofollow(path))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{
        edit::{Applicability, Precondition},
        host::dir::DirTree,
    };

    fn step(edit: Edit) -> Step {
        Step {
            edit,
            precondition: Precondition::None,
            because: Vec::new(),
            applicability: Applicability::Auto,
            summary: String::new(),
            generated: false,
        }
    }

    fn write(path: &str, bytes: &[u8], mode: Option<u32>) -> Step {
        step(Edit::Write { path: path.into(), bytes: bytes.to_vec(), mode })
    }

    #[test]
    fn shows_the_tree_after_the_edits_and_leaves_the_real_one_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("etc/ssl/certs")).expect("made");
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join("etc/ssl/certs").join(name), name).expect("written");
        }
        symlink("a", dir.path().join("etc/ssl/certs/l")).expect("linked");
        symlink("/etc/ssl/certs", dir.path().join("certs")).expect("linked");
        let base = DirTree::new(dir.path()).expect("a tree");
        let overlay = Overlay::new(
            &base,
            &[
                write("/certs/a", b"new", None),
                step(Edit::Remove { path: "/etc/ssl/certs/b".into() }),
                step(Edit::Link { path: "/etc/ssl/certs/l".into(), target: b"/etc/ssl/certs/c".to_vec() }),
                write("/etc/new/deep/file", b"x", Some(0o600)),
                write("/etc/ssl/certs-beside", b"y", None),
                step(Edit::Remove { path: "/etc/ssl/certs/c".into() }),
                write("/etc/ssl/certs/c", b"again", None),
            ],
        );
        let names = |path: &str| overlay.names_nofollow(&path.into()).map(|n| n.concat());
        assert_eq!(names("/etc/ssl/certs").expect("listed"), b"acl");
        assert_eq!(names("/etc/new").expect("listed"), b"deep");
        assert_eq!(names("/etc/new/deep").expect("listed"), b"file");
        assert_eq!(names("/etc/ssl").expect("listed"), b"certscerts-beside");
        assert!(names("/etc/none").is_err());

        let read = |path: &str| overlay.read(&path.into(), 100).map(|(bytes, _)| bytes);
        assert_eq!(read("/etc/ssl/certs/a").expect("read"), b"new");
        assert_eq!(read("/certs/l").expect("read"), b"again");
        assert_eq!(read("/etc/new/deep/file").expect("read"), b"x");
        assert!(matches!(read("/etc/ssl/certs/b"), Err(ReadError::Missing)));
        assert!(matches!(overlay.read_nofollow(&"/etc/ssl/certs/a".into(), 2), Err(ReadError::TooLarge(3))));
        let node = overlay.node_nofollow(&"/etc/new/deep/file".into()).expect("asked").expect("there");
        assert_eq!((node.kind, node.mode), (NodeKind::File(1), 0o600));

        assert_eq!(base.names_nofollow(&"/etc/ssl/certs".into()).expect("listed").concat(), b"abcl");
        assert_eq!(fs::read(dir.path().join("etc/ssl/certs/a")).expect("read"), b"a");
    }
}
