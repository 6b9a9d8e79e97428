//! What a file or folder looks like from outside, so that it can be told from another without a look at what it holds: private keys
//! are moved by this, and neither read nor copied.

use std::io;

use super::{Node, NodeKind, Tree};
use crate::base::{Fingerprint, Limits, TreePath};

/// The most folders below one another.
const DEPTH: usize = 8;

/// A digest over the names, kinds, sizes, permissions, owners and times of what lies at `path` and below; `None` when nothing does.
/// A folder's own time is left out, since it changes with every name in it and the names are in the digest.
///
/// # Errors
/// The operating system's; more than [`Limits::names`] names or 8 levels.
pub fn shape(tree: &dyn Tree, path: &TreePath) -> io::Result<Option<Fingerprint>> {
    let Some(node) = tree.node_nofollow(path)? else { return Ok(None) };
    let mut text = Vec::new();
    let mut left = Limits::DEFAULT.names;
    describe(tree, path, &node, DEPTH, &mut left, &mut text)?;
    Ok(Some(Fingerprint::of(&text)))
}

fn describe(tree: &dyn Tree, path: &TreePath, node: &Node, depth: usize, left: &mut usize, text: &mut Vec<u8>) -> io::Result<()> {
    let (kind, modified) = match &node.kind {
        NodeKind::Directory => ("directory".to_owned(), 0),
        NodeKind::File(size) => (format!("file {size}"), node.modified.0),
        NodeKind::Link(target) => (format!("link {}", Fingerprint::of(target)), node.modified.0),
        NodeKind::Other(what) => ((*what).to_owned(), node.modified.0),
    };
    text.extend_from_slice(format!("{kind} {:o} {} {} {modified}\n", node.mode, node.uid, node.gid).as_bytes());
    if node.kind != NodeKind::Directory {
        return Ok(());
    }
    let names = tree.names_nofollow(path)?;
    *left = left.checked_sub(names.len()).ok_or_else(|| io::Error::other("holds too many names"))?;
    let depth = depth.checked_sub(1).ok_or_else(|| io::Error::other("holds folders too deep"))?;
    for name in names {
        let below = path.join(&name);
        let Some(node) = tree.node_nofollow(&below)? else { continue };
        text.extend_from_slice(&name);
        text.push(0);
        describe(tree, &below, &node, depth, left, text)?;
    }
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    #[test]
    fn another_size_or_name_is_another_shape_and_another_place_is_not() {
        let tree = MemoryTree::new();
        tree.file("/a/site/x.key", "1");
        tree.file("/b/site/x.key", "2");
        let of = |path: &str| shape(&tree, &path.into()).expect("a shape");
        assert!(of("/a/site").is_some());
        assert_eq!(of("/a/site"), of("/b/site"), "content is not looked at");
        assert_eq!(of("/none"), None);
        tree.file("/b/site/x.key", "22");
        assert_ne!(of("/a/site"), of("/b/site"));
        tree.file("/a/site/y.key", "2");
        assert_ne!(of("/a/site/x.key"), of("/a/site"));
    }

    #[test]
    fn too_deep_is_an_error() {
        let tree = MemoryTree::new();
        tree.file("/a/1/2/3/4/5/6/7/8/9", "x");
        assert!(shape(&tree, &"/a".into()).is_err());
    }
}
