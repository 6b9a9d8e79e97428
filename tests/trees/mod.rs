//! The trees of `fixtures/roots`, and edits made on them.

use std::io::Read;

use certdoctor::{
    base::TreePath,
    edit::{Edit, Precondition, Step},
    host::{NodeKind, TreeMut, memory::MemoryTree},
};

/// One of `fixtures/roots/trees`, unpacked into memory.
pub fn tree(name: &str) -> MemoryTree {
    let tree = MemoryTree::new();
    let file = std::fs::File::open(crate::support::fixture(&format!("roots/trees/{name}.tar.gz"))).expect("a tree");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = TreePath::new(entry.path_bytes());
        let mode = entry.header().mode().expect("a mode");
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            tree.symlink(path, entry.link_name_bytes().expect("a target").into_owned());
        } else if kind.is_dir() {
            tree.put(path, NodeKind::Directory, mode, Vec::new());
        } else {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("read");
            tree.put(path, NodeKind::File(bytes.len() as u64), mode, bytes);
        }
    }
    tree
}

/// Makes the edits of `steps`, each under its precondition.
pub fn apply(tree: &dyn TreeMut, steps: &[Step]) {
    for step in steps {
        let path = step.edit.path().expect("no command");
        let node = tree.node_nofollow(path).expect("looked at");
        match (&step.precondition, node.map(|n| n.kind)) {
            (Precondition::Absent, None) => {}
            (Precondition::Link(target), Some(NodeKind::Link(found))) => assert_eq!(*target, found, "{path}"),
            (Precondition::Content(digest), Some(NodeKind::File(_))) => {
                let (bytes, _) = tree.read_nofollow(path, u64::MAX).expect("read");
                assert_eq!(certdoctor::base::Fingerprint::of(&bytes), *digest, "{path}");
            }
            (expected, found) => panic!("{}: {found:?} is not {expected:?}", step.summary),
        }
        match &step.edit {
            Edit::Link { path, target } => tree.link(path, target).expect("linked"),
            Edit::Move { path, to } => tree.rename(path, to.name()).expect("moved"),
            Edit::Remove { path } => tree.remove(path).expect("removed"),
            Edit::Write { path, bytes, mode } => {
                tree.write(path, bytes, *mode).expect("written");
            }
            Edit::Run { .. } => unreachable!("has no path"),
        }
    }
}
