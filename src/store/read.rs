//! Reading a store through a [`Tree`]: every directory is resolved once, every real file read once, every certificate parsed once,
//! although hundreds of links lead to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    base::{Fingerprint, Limits, TreePath},
    facts::{CertFile, Entry, FileState, Quirk},
    format::{Interner, sniff},
    host::{NodeKind, ReadError, Resolved, Tree},
};

/// The memory of one load.
pub struct Reader<'a> {
    tree: &'a dyn Tree,
    /// Directories by the path that was asked for.
    directories: BTreeMap<TreePath, Resolved>,
    /// Files and links by their own path in a real directory.
    places: BTreeMap<TreePath, Arc<Result<Resolved, String>>>,
    /// Contents by real path.
    contents: BTreeMap<TreePath, Content>,
    interner: Interner,
}

/// A file's content, as it was read.
#[derive(Clone)]
struct Content {
    state: FileState,
    entries: Arc<[Entry]>,
    quirks: BTreeSet<Quirk>,
}

impl<'a> Reader<'a> {
    /// Reads from `tree`.
    #[must_use]
    pub fn new(tree: &'a dyn Tree) -> Self {
        Reader {
            tree,
            directories: BTreeMap::new(),
            places: BTreeMap::new(),
            contents: BTreeMap::new(),
            interner: Interner::default(),
        }
    }

    /// Follows `path` to its end.
    ///
    /// # Errors
    /// Permission, I/O, or a loop of links: in words.
    pub fn resolve(&mut self, path: &TreePath) -> Result<Resolved, String> {
        if path.name().is_empty() {
            return self.tree.resolve(path).map_err(|e| e.to_string());
        }
        let above = self.directory(&path.parent())?;
        let mut found = self.at(&above.path.join(path.name()), Limits::DEFAULT.links).as_ref().clone()?;
        if !above.links.is_empty() {
            found.links.splice(0..0, above.links);
        }
        Ok(found)
    }

    /// Follows the path of a directory; it need not exist.
    fn directory(&mut self, path: &TreePath) -> Result<Resolved, String> {
        if let Some(known) = self.directories.get(path) {
            return Ok(known.clone());
        }
        let resolved = self.tree.resolve(path).map_err(|e| e.to_string())?;
        self.directories.insert(path.clone(), resolved.clone());
        Ok(resolved)
    }

    /// Follows what lies at `place`, whose directory is real.
    fn at(&mut self, place: &TreePath, hops: usize) -> Arc<Result<Resolved, String>> {
        if let Some(known) = self.places.get(place) {
            return known.clone();
        }
        let found = Arc::new(self.follow(place, hops));
        self.places.insert(place.clone(), found.clone());
        found
    }

    fn follow(&mut self, place: &TreePath, hops: usize) -> Result<Resolved, String> {
        let node = match self.tree.node_nofollow(place) {
            Ok(node) => node,
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => None,
            Err(e) => return Err(e.to_string()),
        };
        let Some(NodeKind::Link(target)) = node.as_ref().map(|n| &n.kind) else {
            return Ok(Resolved { path: place.clone(), links: Vec::new(), node });
        };
        let target = target.clone();
        let (above, name) = match target.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&target[..slash], &target[slash + 1..]),
            None => (&b""[..], &target[..]),
        };
        // `..` behind a name, or a name that demands a directory: rare, so the slow way does it.
        let plain = !matches!(name, b"" | b"." | b"..") && above.split(|b| *b == b'/').all(|part| part != b"..");
        if !plain || hops == 0 {
            return self.tree.resolve(place).map_err(|e| e.to_string());
        }
        let directory = match above {
            b"" if target.first() == Some(&b'/') => TreePath::root(),
            b"" => place.parent(),
            above => place.parent().join(above),
        };
        let directory = self.directory(&directory)?;
        let beyond = self.at(&directory.path.join(name), hops - 1);
        let mut resolved = beyond.as_ref().clone()?;
        resolved.links.splice(0..0, std::iter::once((place.clone(), target)).chain(directory.links));
        Ok(resolved)
    }

    /// Reads the file with certificates at `path`. What can't be read is a state.
    pub fn file(&mut self, path: &TreePath) -> CertFile {
        let (real, links, content) = match self.resolve(path) {
            Ok(resolved) => {
                let content = self.content(&resolved);
                (resolved.path, resolved.links, content)
            }
            Err(why) => (path.clone(), Vec::new(), Content::without(FileState::Unreadable(why))),
        };
        CertFile { path: path.clone(), links, real, state: content.state, entries: content.entries, quirks: content.quirks }
    }

    fn content(&mut self, resolved: &Resolved) -> Content {
        match resolved.node.as_ref().map(|n| &n.kind) {
            None => Content::without(FileState::Missing),
            Some(NodeKind::Directory) => Content::without(FileState::NotAFile("directory")),
            Some(NodeKind::Link(_)) => Content::without(FileState::NotAFile("link")),
            Some(NodeKind::Other(what)) => Content::without(FileState::NotAFile(what)),
            Some(NodeKind::File(_)) => {
                if let Some(known) = self.contents.get(&resolved.path) {
                    return known.clone();
                }
                let content = self.read(&resolved.path);
                self.contents.insert(resolved.path.clone(), content.clone());
                content
            }
        }
    }

    fn read(&mut self, real: &TreePath) -> Content {
        let (bytes, node) = match self.tree.read_nofollow(real, Limits::DEFAULT.file) {
            Ok(read) => read,
            Err(ReadError::Missing) => return Content::without(FileState::Missing),
            Err(ReadError::NotAFile(what)) => return Content::without(FileState::NotAFile(what)),
            Err(ReadError::TooLarge(size)) => return Content::without(FileState::TooLarge(size)),
            Err(why) => return Content::without(FileState::Unreadable(why.to_string())),
        };
        let scan = sniff::scan(&bytes, &mut self.interner);
        let state = FileState::Read {
            digest: Fingerprint::of(&bytes),
            len: bytes.len() as u64,
            mode: node.mode,
            modified: node.modified,
        };
        Content { state, entries: scan.entries.into(), quirks: scan.quirks }
    }
}

impl Content {
    fn without(state: FileState) -> Self {
        Content { state, entries: Arc::new([]), quirks: BTreeSet::new() }
    }
}

/// Every regular file below `directory`, through links, as `find -L DIRECTORY -type f` lists them: paths as they are named, sorted by
/// bytes. A directory that contains itself through a link is entered once.
#[must_use]
pub fn files_below(tree: &dyn Tree, directory: &TreePath) -> Vec<TreePath> {
    let mut found = Vec::new();
    walk(tree, directory, &mut Vec::new(), &mut found);
    found.sort();
    found
}

fn walk(tree: &dyn Tree, directory: &TreePath, above: &mut Vec<TreePath>, found: &mut Vec<TreePath>) {
    let Ok(Resolved { path: real, node: Some(_), .. }) = tree.resolve(directory) else { return };
    if above.contains(&real) || above.len() > Limits::DEFAULT.links {
        return;
    }
    let Ok(names) = tree.names_nofollow(&real) else { return };
    above.push(real.clone());
    for name in names {
        let place = real.join(&name);
        let named = directory.join(&name);
        let kind = match tree.node_nofollow(&place).ok().flatten().map(|n| n.kind) {
            Some(NodeKind::Link(_)) => tree.resolve(&place).ok().and_then(|r| r.node).map(|n| n.kind),
            other => other,
        };
        match kind {
            Some(NodeKind::File(_)) if found.len() < Limits::DEFAULT.names => found.push(named),
            Some(NodeKind::Directory) => walk(tree, &named, above, found),
            _ => {}
        }
    }
    above.pop();
}

/// Reads a small text file; `None` when it can't be read.
#[must_use]
pub fn text(tree: &dyn Tree, path: &str) -> Option<Vec<u8>> {
    tree.read(&path.into(), Limits::DEFAULT.file).ok().map(|(bytes, _)| bytes)
}
