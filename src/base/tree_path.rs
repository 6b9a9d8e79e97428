//! A path inside a tree.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Serialize, Serializer};

use super::bytes::{order, same};

/// An absolute, normalised path *inside* a tree (this host's, or a root file system's).
///
/// It is not a `PathBuf`, so that it can't be handed to `std::fs` by mistake: only [`crate::host`] knows where a tree
/// begins. Bytes, because a file name need not be UTF-8. It never holds `.`, `..` or a repeated slash.
#[derive(Clone, Eq)]
pub struct TreePath(Arc<[u8]>);

impl TreePath {
    /// The root of the tree.
    #[must_use]
    pub fn root() -> Self {
        TreePath(Arc::from(*b"/"))
    }

    /// Normalises `path`; `..` stops at the root, and a relative path counts from the root.
    pub fn new(path: impl AsRef<[u8]>) -> Self {
        TreePath::root().join(path)
    }

    /// This path and `more` below it; an absolute `more` starts again at the root of the tree.
    #[must_use]
    pub fn join(&self, more: impl AsRef<[u8]>) -> Self {
        let more = more.as_ref();
        // Nearly always nothing is to be normalised.
        let (from, names) = match more {
            [b'/', names @ ..] => (&b"/"[..], names),
            names => (&*self.0, names),
        };
        if names.split(|b| *b == b'/').all(|name| !matches!(name, b"" | b"." | b"..")) {
            return TreePath::below(from, names);
        }
        let mut out = if more.first() == Some(&b'/') { Vec::new() } else { self.0.to_vec() };
        if out == b"/" {
            out.clear();
        }
        for part in more.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    let end = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    out.truncate(end);
                }
                name => {
                    out.push(b'/');
                    out.extend_from_slice(name);
                }
            }
        }
        if out.is_empty() {
            out.push(b'/');
        }
        TreePath(out.into())
    }

    /// This path and one name below it, as a directory lists it: not empty, without a slash, and neither `.` nor `..`.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        TreePath::below(&self.0, name)
    }

    /// The directory that holds this path; the root holds itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        TreePath(Arc::from(self.parent_bytes()))
    }

    /// The bytes of [`TreePath::parent`].
    #[must_use]
    pub fn parent_bytes(&self) -> &[u8] {
        &self.0[..memchr::memrchr(b'/', &self.0).unwrap_or(0).max(1)]
    }

    /// `above`, which is normalised, and `name` below it.
    fn below(above: &[u8], name: &[u8]) -> Self {
        let above = if above == b"/" { &b""[..] } else { above };
        let len = above.len() + 1 + name.len();
        // Nearly every path is short: it is put together without a buffer of its own on the heap.
        let mut short = [0; 192];
        match short.get_mut(..len) {
            Some(short) => {
                short[..above.len()].copy_from_slice(above);
                short[above.len()] = b'/';
                short[above.len() + 1..].copy_from_slice(name);
                TreePath(Arc::from(&*short))
            }
            None => TreePath([above, b"/", name].concat().into()),
        }
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        memchr::memrchr(b'/', &self.0).map_or(&self.0, |slash| &self.0[slash + 1..])
    }

    /// The components, from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty())
    }

    /// Whether this path is `dir` or lies below it.
    #[must_use]
    pub fn starts_with(&self, dir: &TreePath) -> bool {
        *dir.0 == *b"/" || self == dir || (self.0.starts_with(&dir.0) && self.0.get(dir.0.len()) == Some(&b'/'))
    }

    /// The bytes, beginning with a slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Paths are keys, and long ones that begin alike: see [`same`].
impl PartialEq for TreePath {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || same(&self.0, &other.0)
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As the bytes do: maps are asked by them.
impl Hash for TreePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// What is known by path, with a hash that is quicker than SipHash for names and still keyed anew in each process.
pub type PathMap<V> = HashMap<TreePath, V, foldhash::fast::RandomState>;

/// Paths that are only asked for, hashed in the same way.
pub type PathSet = HashSet<TreePath, foldhash::fast::RandomState>;

/// Names of files, the same.
pub type NameSet<'n> = HashSet<&'n [u8], foldhash::fast::RandomState>;

/// Maps with paths as keys can be asked by bytes.
impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for TreePath {
    fn from(path: &str) -> Self {
        TreePath::new(path)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |text: &&str| !text.bytes().any(|b| b.is_ascii_control()) && text.is_ascii();
        if let Some(text) = std::str::from_utf8(&self.0).ok().filter(is_plain) {
            return f.write_str(text);
        }
        // Control bytes in a name must not reach a terminal.
        for c in String::from_utf8_lossy(&self.0).chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for TreePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_leaves_the_root() {
        assert_eq!(TreePath::new("/a/../../etc//ssl/./x").to_string(), "/etc/ssl/x");
        assert_eq!(TreePath::new("etc").to_string(), "/etc");
        assert_eq!(TreePath::new("..").to_string(), "/");
        assert_eq!(TreePath::new("/etc").join("/usr/share").to_string(), "/usr/share");
        assert_eq!(TreePath::new("/etc/ssl").join("../x").to_string(), "/etc/x");
    }

    #[test]
    fn knows_its_parts() {
        let path = TreePath::new("/etc/ssl/certs");
        assert_eq!(path.name(), b"certs");
        assert_eq!(path.parent().to_string(), "/etc/ssl");
        assert!(path.starts_with(&"/etc/ssl".into()));
        assert!(!TreePath::new("/etc/ssl2").starts_with(&"/etc/ssl".into()));
        assert_eq!(TreePath::root().name(), b"");
    }

    #[test]
    fn a_name_of_any_length_is_joined() {
        for len in [1, 190, 191, 192, 255] {
            let name = "n".repeat(len);
            assert_eq!(TreePath::root().join(&name).to_string(), format!("/{name}"));
            assert_eq!(TreePath::from("/a/b").join(&name).to_string(), format!("/a/b/{name}"));
        }
    }
}
