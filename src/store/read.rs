//! Reading a store through a [`Tree`]: every directory is resolved once, every real file read once, every certificate parsed once,
//! although hundreds of links lead to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    base::{ContentDigest, Limits, PathMap, TreePath, order},
    facts::{CertFile, Entry, FileState, Links, Quirk},
    format::{Interner, sniff},
    host::{Listed, Listing, Node, NodeKind, ReadError, Resolved, Tree},
};

/// The memory of one load. Its maps are only asked, never gone through, so the order of hashes does not show; to order paths would be to
/// compare their long common beginnings time and again.
pub struct Reader<'a> {
    tree: &'a dyn Tree,
    /// Directories by the path that was asked for.
    directories: PathMap<Resolved>,
    /// What was seen in each real directory.
    folders: PathMap<Folder>,
    interner: Interner,
}

/// What was seen in one directory, by name: hundreds of paths differ in nothing but their last names.
#[derive(Default)]
struct Folder {
    /// Its names and what it says about them, once it was listed.
    listed: Option<Result<Listing, String>>,
    /// What was seen under each of these names, in their order.
    known: Vec<Seen>,
    /// What was seen under other names, or before the listing.
    others: BTreeMap<Vec<u8>, Seen>,
}

/// What was seen under one name.
#[derive(Clone, Default)]
struct Seen {
    /// Where it leads.
    led: Option<Arc<Result<Led, String>>>,
    /// The content of the regular file that lies there itself.
    content: Option<Content>,
}

/// A path after links were followed.
#[derive(Clone, Debug)]
pub struct Led {
    /// Where it leads; it need not exist.
    pub path: TreePath,
    /// The links that were followed, in order, each with its target as written.
    pub links: Links,
    /// What lies there; `None` when nothing does.
    pub end: Option<End>,
}

/// What lies at the end of a path. Of a file no more than that: reading it tells the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A link that could not be followed.
    Link,
    /// A device, FIFO or socket.
    Other(&'static str),
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
        Reader { tree, directories: PathMap::default(), folders: PathMap::default(), interner: Interner::default() }
    }

    /// Follows `path` to its end.
    ///
    /// # Errors
    /// Permission, I/O, or a loop of links: in words.
    pub fn resolve(&mut self, path: &TreePath) -> Result<Led, String> {
        if path.name().is_empty() {
            return self.tree.resolve(path).map(Led::from).map_err(|e| e.to_string());
        }
        let above = match self.directories.get(path.parent_bytes()) {
            Some(known) => known.clone(),
            None => self.directory(&path.parent())?,
        };
        let mut found = self.at(&above.path, path.name(), Limits::DEFAULT.links).as_ref().clone()?;
        if !above.links.is_empty() {
            found.links = above.links.into_iter().chain(found.links.iter().cloned()).collect();
        }
        Ok(found)
    }

    /// The names in the real directory at `path`.
    ///
    /// # Errors
    /// Why it can't be listed, in words.
    pub fn list(&mut self, path: &TreePath) -> Result<Listing, String> {
        let tree = self.tree;
        let Folder { listed, known, .. } = self.folders.entry(path.clone()).or_default();
        let list = || {
            let names = tree.list_nofollow(path).map_err(|e| e.to_string())?;
            known.resize(names.len(), Seen::default());
            Ok(names)
        };
        listed.get_or_insert_with(list).clone()
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

    /// Follows what lies under `name` in the real directory `above`.
    fn at(&mut self, above: &TreePath, name: &[u8], hops: usize) -> Arc<Result<Led, String>> {
        let folder = self.folders.get(above);
        let position = folder.and_then(|f| f.position(name));
        if let Some(known) = folder.and_then(|f| f.seen(position, name)?.led.as_ref()) {
            return known.clone();
        }
        let said = position.and_then(|at| folder?.names()?.get(at)).map_or(Listed::Unsaid, |(_, said)| *said);
        let led = Arc::new(self.follow(above.join(name), said, hops));
        self.folder(above).seen_mut(position, name).led = Some(led.clone());
        led
    }

    fn folder(&mut self, path: &TreePath) -> &mut Folder {
        self.folders.entry(path.clone()).or_default()
    }

    fn follow(&mut self, place: TreePath, said: Listed, hops: usize) -> Result<Led, String> {
        let link = match said {
            Listed::File => return Ok(Led { path: place, links: Links::default(), end: Some(End::File) }),
            Listed::Link => self.tree.link_nofollow(&place).map_err(|e| e.to_string())?,
            Listed::Directory | Listed::Unsaid => None,
        };
        let target = match link {
            Some(target) => target,
            None => match self.tree.node_nofollow(&place) {
                Ok(node) => match node.map(|n| n.kind) {
                    Some(NodeKind::Link(target)) => target,
                    kind => return Ok(Led { path: place, links: Links::default(), end: kind.map(End::from) }),
                },
                Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                    return Ok(Led { path: place, links: Links::default(), end: None });
                }
                Err(e) => return Err(e.to_string()),
            },
        };
        let (above, name) = match target.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&target[..slash], &target[slash + 1..]),
            None => (&b""[..], &target[..]),
        };
        // `..` behind a name, or a name that demands a directory: rare, so the slow way does it.
        let plain = !matches!(name, b"" | b"." | b"..") && above.split(|b| *b == b'/').all(|part| part != b"..");
        if !plain || hops == 0 {
            return self.tree.resolve(&place).map(Led::from).map_err(|e| e.to_string());
        }
        let directory = match above {
            b"" if target.first() == Some(&b'/') => TreePath::root(),
            b"" => place.parent(),
            above => place.parent().join(above),
        };
        let directory = self.directory(&directory)?;
        let beyond = self.at(&directory.path, name, hops - 1);
        let beyond = beyond.as_ref().as_ref().map_err(String::clone)?;
        let mut links = Vec::with_capacity(1 + directory.links.len() + beyond.links.len());
        links.push((place, target));
        links.extend(directory.links);
        links.extend_from_slice(&beyond.links);
        Ok(Led { path: beyond.path.clone(), links: links.into(), end: beyond.end })
    }

    /// Reads the file with certificates at `path`. What can't be read is a state.
    pub fn file(&mut self, path: &TreePath) -> CertFile {
        let (real, links, content) = match self.resolve(path) {
            Ok(led) => {
                let content = self.content(&led);
                (led.path, led.links, content)
            }
            Err(why) => (path.clone(), Links::default(), Content::without(FileState::Unreadable(why))),
        };
        CertFile { path: path.clone(), links, real, state: content.state, entries: content.entries, quirks: content.quirks }
    }

    fn content(&mut self, led: &Led) -> Content {
        match led.end {
            None => Content::without(FileState::Missing),
            Some(End::Directory) => Content::without(FileState::NotAFile("directory")),
            Some(End::Link) => Content::without(FileState::NotAFile("link")),
            Some(End::Other(what)) => Content::without(FileState::NotAFile(what)),
            Some(End::File) => {
                let name = led.path.name();
                let folder = self.folders.get(led.path.parent_bytes());
                let position = folder.and_then(|f| f.position(name));
                if let Some(known) = folder.and_then(|f| f.seen(position, name)?.content.as_ref()) {
                    return known.clone();
                }
                let content = self.read(&led.path);
                self.folder(&led.path.parent()).seen_mut(position, name).content = Some(content.clone());
                content
            }
        }
    }

    fn read(&mut self, real: &TreePath) -> Content {
        match self.tree.read_listed(real, Limits::DEFAULT.file) {
            Ok((bytes, node)) => Content::of(bytes, &node, &mut self.interner),
            Err(ReadError::Missing) => Content::without(FileState::Missing),
            Err(ReadError::NotAFile(what)) => Content::without(FileState::NotAFile(what)),
            Err(ReadError::TooLarge(size)) => Content::without(FileState::TooLarge(size)),
            Err(why) => Content::without(FileState::Unreadable(why.to_string())),
        }
    }

    /// Every regular file below `directory`, through links, as `find -L DIRECTORY -type f` lists them: paths as they are named, sorted
    /// by bytes. A directory that contains itself through a link is entered once.
    pub fn files_below(&mut self, directory: &TreePath) -> Vec<TreePath> {
        let mut found = Vec::new();
        self.walk(directory, &mut Vec::new(), &mut found);
        found.sort();
        found
    }

    fn walk(&mut self, directory: &TreePath, above: &mut Vec<TreePath>, found: &mut Vec<TreePath>) {
        let Ok(Resolved { path: real, node: Some(_), .. }) = self.tree.resolve(directory) else { return };
        if above.contains(&real) || above.len() > Limits::DEFAULT.links {
            return;
        }
        let Ok(names) = self.list(&real) else { return };
        above.push(real.clone());
        for (name, said) in names.iter() {
            let named = directory.join(name);
            let end = match said {
                Listed::Directory => Some(End::Directory),
                Listed::File => Some(End::File),
                Listed::Link => self.end_of_link(&real.join(name)),
                Listed::Unsaid => {
                    let place = real.join(name);
                    match self.tree.node_nofollow(&place).ok().flatten().map(|n| n.kind) {
                        Some(NodeKind::Link(_)) => self.end_of_link(&place),
                        other => other.map(End::from),
                    }
                }
            };
            match end {
                Some(End::File) if found.len() < Limits::DEFAULT.names => found.push(named),
                Some(End::Directory) => self.walk(&named, above, found),
                _ => {}
            }
        }
        above.pop();
    }

    fn end_of_link(&self, place: &TreePath) -> Option<End> {
        self.tree.resolve(place).ok().and_then(|r| r.node).map(|n| End::from(n.kind))
    }
}

impl Folder {
    fn names(&self) -> Option<&Listing> {
        self.listed.as_ref()?.as_ref().ok()
    }

    /// Where `name` stands in the listing.
    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names()?.binary_search_by(|(known, _)| order(known, name)).ok()
    }

    fn seen(&self, position: Option<usize>, name: &[u8]) -> Option<&Seen> {
        position.map_or_else(|| self.others.get(name), |at| self.known.get(at))
    }

    fn seen_mut(&mut self, position: Option<usize>, name: &[u8]) -> &mut Seen {
        match position {
            Some(at) => &mut self.known[at],
            None => self.others.entry(name.to_vec()).or_default(),
        }
    }
}

impl From<Resolved> for Led {
    fn from(resolved: Resolved) -> Self {
        Led { path: resolved.path, links: resolved.links.into(), end: resolved.node.map(|n| End::from(n.kind)) }
    }
}

impl From<NodeKind> for End {
    fn from(kind: NodeKind) -> Self {
        match kind {
            NodeKind::Directory => End::Directory,
            NodeKind::File(_) => End::File,
            NodeKind::Link(_) => End::Link,
            NodeKind::Other(what) => End::Other(what),
        }
    }
}

impl Content {
    fn of(bytes: Vec<u8>, node: &Node, interner: &mut Interner) -> Self {
        let scan = sniff::scan(&bytes, interner);
        let len = bytes.len() as u64;
        let state = FileState::Read { digest: ContentDigest::of(bytes), len, mode: node.mode, modified: node.modified };
        Content { state, entries: scan.entries.into(), quirks: scan.quirks }
    }

    fn without(state: FileState) -> Self {
        Content { state, entries: Arc::new([]), quirks: BTreeSet::new() }
    }
}

/// [`Reader::files_below`] of a tree that nothing is remembered of.
#[must_use]
pub fn files_below(tree: &dyn Tree, directory: &TreePath) -> Vec<TreePath> {
    Reader::new(tree).files_below(directory)
}

/// Reads a small text file; `None` when it can't be read.
#[must_use]
pub fn text(tree: &dyn Tree, path: &str) -> Option<Vec<u8>> {
    tree.read(&path.into(), Limits::DEFAULT.file).ok().map(|(bytes, _)| bytes)
}
