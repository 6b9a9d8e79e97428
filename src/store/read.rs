//! Reading a store through a [`Tree`]: every directory is resolved once, every real file read once, every certificate parsed once,
//! although hundreds of links lead to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    base::{ContentDigest, Limits, PathMap, TreePath, order, same},
    facts::{CertFile, Entry, FileState, Links, Quirk},
    format::{Interner, sniff},
    host::{Listed, Listing, Node, NodeKind, ReadError, Resolved, Tree},
};

/// The memory of one load. Its maps are only asked, never gone through, so the order of hashes does not show; to order paths would be to
/// compare their long common beginnings time and again.
pub struct Reader<'a> {
    tree: &'a dyn Tree,
    /// Directories by the path that was asked for.
    directories: PathMap<Way>,
    /// What was seen in each real directory, and which is which.
    folders: Vec<Folder>,
    numbers: PathMap<usize>,
    interner: Arc<Interner>,
}

/// Where the path of a directory leads; it need not exist.
#[derive(Clone)]
struct Way {
    /// Its number among the folders.
    folder: usize,
    /// The links that were followed.
    links: Links,
}

/// What was seen in one real directory, by name: hundreds of paths differ in nothing but their last names.
struct Folder {
    path: TreePath,
    /// Its names and what it says about them, once it was listed.
    listed: Option<Result<Listing, String>>,
    /// What was seen under each name that was asked for or listed.
    seen: Vec<Seen>,
    /// Where in `seen` the listed names begin.
    first: usize,
    /// Where in `seen` the other names are.
    others: BTreeMap<Vec<u8>, usize>,
    /// The directories to which links in this one lead, by the directory part of their targets: the links of a store have one in common.
    beside: Vec<(Vec<u8>, Way)>,
}

/// What was seen under one name.
#[derive(Clone, Default)]
struct Seen {
    /// Its target, if it is a link.
    target: Option<Vec<u8>>,
    /// Where it leads.
    led: Option<Result<Spot, String>>,
    /// The content of the regular file that lies there itself.
    content: Option<Content>,
}

/// Where a path led, and under which folder and name what lies there is remembered.
#[derive(Clone)]
struct Spot {
    led: Led,
    at: (usize, usize),
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

/// One name of a directory, and what it leads to.
pub struct Member {
    /// The name.
    pub name: Vec<u8>,
    /// The target as written, if it is a link.
    pub link: Option<Vec<u8>>,
    /// The file.
    pub file: CertFile,
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

/// What was seen in one directory by a look ahead: most of what a store costs is waiting for the kernel, so that is done on another
/// thread while this one reads certificates.
pub struct Ahead {
    real: TreePath,
    names: Listing,
    /// Of each name; `None` for what is no link, and where whoever wants it asks again and is told why not.
    targets: Vec<Option<Vec<u8>>>,
    /// Which name it is, and what it holds.
    bundle: Option<(usize, Content)>,
}

impl Ahead {
    fn look(tree: &dyn Tree, interner: &Interner, directory: &TreePath, bundle: &[u8]) -> Option<Ahead> {
        let real = tree.resolve(directory).ok()?.path;
        let names = tree.list_nofollow(&real).ok()?;
        let targets = tree.links_nofollow(&real, &names);
        let index = names.iter().position(|(name, said)| name == bundle && *said == Listed::File);
        let bundle = index.map(|index| (index, Content::read(tree, &real.child(bundle), true, interner)));
        Some(Ahead { real, names, targets, bundle })
    }
}

impl<'a> Reader<'a> {
    /// Reads from `tree`.
    #[must_use]
    pub fn new(tree: &'a dyn Tree) -> Self {
        Reader {
            tree,
            directories: PathMap::default(),
            folders: Vec::new(),
            numbers: PathMap::default(),
            interner: Arc::default(),
        }
    }

    /// Follows `path` to its end.
    ///
    /// # Errors
    /// Permission, I/O, or a loop of links: in words.
    pub fn resolve(&mut self, path: &TreePath) -> Result<Led, String> {
        Ok(self.spot(path)?.led)
    }

    fn spot(&mut self, path: &TreePath) -> Result<Spot, String> {
        if path.name().is_empty() {
            let led = self.tree.resolve(path).map(Led::from).map_err(|e| e.to_string())?;
            return Ok(self.place(led));
        }
        let above = self.directory(path.parent_bytes())?;
        let slot = self.folders[above.folder].slot(path.name());
        let mut found = self.follow((above.folder, slot), path.name(), Limits::DEFAULT.links)?;
        if !above.links.is_empty() {
            found.led.links = above.links.iter().chain(found.led.links.iter()).cloned().collect();
        }
        Ok(found)
    }

    /// A look at `directory` that another thread can take, for [`Reader::take`]: at its links, and at the bundle that lies in it under
    /// this name.
    pub fn ahead<'b>(&self, directory: &'b TreePath, bundle: &'b [u8]) -> impl FnOnce() -> Option<Ahead> + Send + use<'a, 'b> {
        let (tree, interner) = (self.tree, Arc::clone(&self.interner));
        move || Ahead::look(tree, &interner, directory, bundle)
    }

    /// Takes over what was seen ahead.
    pub fn take(&mut self, Ahead { real, names, targets, bundle }: Ahead) {
        let number = self.number(&real);
        let folder = &mut self.folders[number];
        if folder.listed.is_some() {
            return;
        }
        folder.list(Ok(names));
        for (seen, target) in folder.seen[folder.first..].iter_mut().zip(targets) {
            seen.target = target;
        }
        if let Some((index, content)) = bundle {
            folder.seen[folder.first + index].content = Some(content);
        }
    }

    /// The names in the real directory at `path`.
    ///
    /// # Errors
    /// Why it can't be listed, in words.
    pub fn list(&mut self, path: &TreePath) -> Result<Listing, String> {
        let tree = self.tree;
        let number = self.number(path);
        let folder = &mut self.folders[number];
        if folder.listed.is_none() {
            folder.list(tree.list_nofollow(path).map_err(|e| e.to_string()));
        }
        folder.listed.clone().unwrap_or_else(|| Err("was not listed".to_owned()))
    }

    /// Every name of the real directory at `real`, which is called `named`, sorted.
    ///
    /// # Errors
    /// Why it can't be listed, in words.
    pub fn members(&mut self, named: &TreePath, real: &TreePath) -> Result<Vec<Member>, String> {
        let names = self.list(real)?;
        let number = self.number(real);
        let above = self.directory(named.as_bytes()).ok().map(|way| way.links).unwrap_or_default();
        let member = |(index, (name, _)): (usize, &(Vec<u8>, Listed))| {
            let slot = self.folders[number].first + index;
            let found = self.follow((number, slot), name, Limits::DEFAULT.links).map(|mut spot| {
                if !above.is_empty() {
                    spot.led.links = above.iter().chain(spot.led.links.iter()).cloned().collect();
                }
                spot
            });
            // Where the directory is no link, its name is where it is.
            let path = match &found {
                Ok(Spot { led, .. }) if named == real => led.links.first().map_or(&led.path, |(place, _)| place).clone(),
                _ => named.child(name),
            };
            let file = self.opened(path, found);
            Member { name: name.clone(), link: self.folders[number].seen[slot].target.clone(), file }
        };
        Ok(names.iter().enumerate().map(member).collect())
    }

    /// Follows the path of a directory; it need not exist.
    fn directory(&mut self, path: &[u8]) -> Result<Way, String> {
        if let Some(known) = self.directories.get(path) {
            return Ok(known.clone());
        }
        let path = TreePath::new(path);
        let resolved = self.tree.resolve(&path).map_err(|e| e.to_string())?;
        let way = Way { folder: self.number(&resolved.path), links: resolved.links.into() };
        self.directories.insert(path, way.clone());
        Ok(way)
    }

    fn number(&mut self, real: &TreePath) -> usize {
        if let Some(known) = self.numbers.get(real) {
            return *known;
        }
        self.folders.push(Folder::new(real.clone()));
        self.numbers.insert(real.clone(), self.folders.len() - 1);
        self.folders.len() - 1
    }

    fn place(&mut self, led: Led) -> Spot {
        let folder = self.number(&led.path.parent());
        let slot = self.folders[folder].slot(led.path.name());
        Spot { led, at: (folder, slot) }
    }

    /// Follows what lies under `name`, which has the number `slot` in the real directory `folder`.
    fn follow(&mut self, (folder, slot): (usize, usize), name: &[u8], hops: usize) -> Result<Spot, String> {
        if let Some(known) = &self.folders[folder].seen[slot].led {
            return known.clone();
        }
        let found = self.follow_anew((folder, slot), name, hops);
        self.folders[folder].seen[slot].led = Some(found.clone());
        found
    }

    fn follow_anew(&mut self, at: (usize, usize), name: &[u8], hops: usize) -> Result<Spot, String> {
        let (folder, slot) = at;
        let place = self.folders[folder].path.child(name);
        let ends = |path, end| Spot { led: Led { path, links: Links::default(), end }, at };
        let link = match self.folders[folder].said(slot) {
            Listed::File => return Ok(ends(place, Some(End::File))),
            Listed::Link => match self.folders[folder].seen[slot].target.take() {
                None => self.tree.link_nofollow(&place).map_err(|e| e.to_string())?,
                known => known,
            },
            Listed::Directory | Listed::Unsaid => None,
        };
        let target = match link {
            Some(target) => target,
            None => match self.tree.node_nofollow(&place) {
                Ok(node) => match node.map(|n| n.kind) {
                    Some(NodeKind::Link(target)) => target,
                    kind => return Ok(ends(place, kind.map(End::from))),
                },
                Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return Ok(ends(place, None)),
                Err(e) => return Err(e.to_string()),
            },
        };
        self.folders[folder].seen[slot].target = Some(target.clone());
        let (above, name) = match target.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&target[..slash], &target[slash + 1..]),
            None => (&b""[..], &target[..]),
        };
        // `..` behind a name, or a name that demands a directory: rare, so the slow way does it.
        let plain = !matches!(name, b"" | b"." | b"..") && above.split(|b| *b == b'/').all(|part| part != b"..");
        if !plain || hops == 0 {
            let led = self.tree.resolve(&place).map(Led::from).map_err(|e| e.to_string())?;
            return Ok(self.place(led));
        }
        let way = match above {
            b"" if target.first() == Some(&b'/') => self.directory(b"/")?,
            b"" => Way { folder, links: Links::default() },
            above => self.beside(folder, above)?,
        };
        let slot = self.folders[way.folder].slot(name);
        let beyond = self.follow((way.folder, slot), name, hops - 1)?;
        let this = std::iter::once((place, target.clone()));
        let links = match way.links.is_empty() && beyond.led.links.is_empty() {
            true => this.collect(),
            false => this.chain(way.links.iter().chain(beyond.led.links.iter()).cloned()).collect(),
        };
        Ok(Spot { led: Led { path: beyond.led.path, links, end: beyond.led.end }, at: beyond.at })
    }

    /// The directory that links in `folder` call `above`.
    fn beside(&mut self, folder: usize, above: &[u8]) -> Result<Way, String> {
        /// More than any store has; what is beyond is asked again.
        const KEPT: usize = 8;
        let Folder { path, beside, .. } = &self.folders[folder];
        if let Some((_, known)) = beside.iter().find(|(known, _)| same(known, above)) {
            return Ok(known.clone());
        }
        let way = self.directory(path.join(above).as_bytes())?;
        let beside = &mut self.folders[folder].beside;
        if beside.len() < KEPT {
            beside.push((above.to_vec(), way.clone()));
        }
        Ok(way)
    }

    /// Reads the file with certificates at `path`. What can't be read is a state.
    pub fn file(&mut self, path: &TreePath) -> CertFile {
        let found = self.spot(path);
        self.opened(path.clone(), found)
    }

    /// [`Reader::file`] of a bundle, which people know by the digest of its content.
    pub fn bundle(&mut self, path: &TreePath) -> CertFile {
        if let Ok(Spot { led: Led { path, end: Some(End::File), .. }, at }) = self.spot(path) {
            let known = &self.folders[at.0].seen[at.1].content;
            if !known.as_ref().is_some_and(|c| matches!(c.state, FileState::Read { digest: Some(_), .. })) {
                let content = Content::read(self.tree, &path, true, &self.interner);
                self.folders[at.0].seen[at.1].content = Some(content);
            }
        }
        self.file(path)
    }

    fn opened(&mut self, path: TreePath, found: Result<Spot, String>) -> CertFile {
        let (real, links, content) = match found {
            Ok(spot) => {
                let content = self.content(&spot);
                (spot.led.path, spot.led.links, content)
            }
            Err(why) => (path.clone(), Links::default(), Content::without(FileState::Unreadable(why))),
        };
        CertFile { path, links, real, state: content.state, entries: content.entries, quirks: content.quirks }
    }

    fn content(&mut self, Spot { led, at: (folder, slot) }: &Spot) -> Content {
        match led.end {
            None => Content::without(FileState::Missing),
            Some(End::Directory) => Content::without(FileState::NotAFile("directory")),
            Some(End::Link) => Content::without(FileState::NotAFile("link")),
            Some(End::Other(what)) => Content::without(FileState::NotAFile(what)),
            Some(End::File) => {
                if let Some(known) = &self.folders[*folder].seen[*slot].content {
                    return known.clone();
                }
                let content = Content::read(self.tree, &led.path, false, &self.interner);
                self.folders[*folder].seen[*slot].content = Some(content.clone());
                content
            }
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
            let named = directory.child(name);
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
    fn new(path: TreePath) -> Self {
        Folder { path, listed: None, seen: Vec::new(), first: 0, others: BTreeMap::new(), beside: Vec::new() }
    }

    fn list(&mut self, names: Result<Listing, String>) {
        self.first = self.seen.len();
        let count = names.as_ref().map_or(0, |names| names.len());
        self.seen.resize(self.first + count, Seen::default());
        self.listed = Some(names);
        // What was seen before keeps being known.
        for (name, old) in std::mem::take(&mut self.others) {
            match self.position(&name) {
                Some(at) => self.seen[self.first + at] = self.seen[old].clone(),
                None => drop(self.others.insert(name, old)),
            }
        }
    }

    fn names(&self) -> Option<&Listing> {
        self.listed.as_ref()?.as_ref().ok()
    }

    /// Where `name` stands in the listing.
    fn position(&self, name: &[u8]) -> Option<usize> {
        self.names()?.binary_search_by(|(known, _)| order(known, name)).ok()
    }

    /// The number of `name` in `seen`, a new one if it was never asked for.
    fn slot(&mut self, name: &[u8]) -> usize {
        if let Some(at) = self.position(name) {
            return self.first + at;
        }
        if let Some(at) = self.others.get(name) {
            return *at;
        }
        self.others.insert(name.to_vec(), self.seen.len());
        self.seen.push(Seen::default());
        self.seen.len() - 1
    }

    /// What the directory itself says about what has this number.
    fn said(&self, slot: usize) -> Listed {
        let index = slot.checked_sub(self.first);
        index.and_then(|at| self.names()?.get(at)).map_or(Listed::Unsaid, |(_, said)| *said)
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
    fn of(bytes: Vec<u8>, node: &Node, is_bundle: bool, interner: &Interner) -> Self {
        let scan = sniff::scan(&bytes, interner);
        let len = bytes.len() as u64;
        let digest = is_bundle.then(|| ContentDigest::of(bytes));
        let state = FileState::Read { digest, len, mode: node.mode, modified: node.modified };
        Content { state, entries: scan.entries.into(), quirks: scan.quirks }
    }

    fn read(tree: &dyn Tree, real: &TreePath, is_bundle: bool, interner: &Interner) -> Self {
        match tree.read_listed(real, Limits::DEFAULT.file) {
            Ok((bytes, node)) => Content::of(bytes, &node, is_bundle, interner),
            Err(ReadError::Missing) => Content::without(FileState::Missing),
            Err(ReadError::NotAFile(what)) => Content::without(FileState::NotAFile(what)),
            Err(ReadError::TooLarge(size)) => Content::without(FileState::TooLarge(size)),
            Err(why) => Content::without(FileState::Unreadable(why.to_string())),
        }
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{base::Fingerprint, host::DirTree};

    const U: &str = include_str!("../../fixtures/clients/stores/U.pem");

    /// A package's file, its link and hash link, a bundle, a loop, a link that dangles, and the directory under another name.
    fn tree() -> (tempfile::TempDir, DirTree) {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("certs")).expect("made");
        fs::create_dir_all(at("share")).expect("made");
        fs::write(at("share/U.crt"), U).expect("written");
        fs::write(at("certs/bundle.crt"), U).expect("written");
        for (target, place) in [
            ("/share/U.crt", "U.pem"),
            ("U.pem", "fc5a8f99.0"),
            ("a.pem", "b.pem"),
            ("b.pem", "a.pem"),
            ("../share/gone.crt", "gone.pem"),
        ] {
            symlink(target, at("certs").join(place)).expect("linked");
        }
        symlink("certs", at("other")).expect("linked");
        let tree = DirTree::new(dir.path()).expect("a tree");
        (dir, tree)
    }

    fn told(member: &Member) -> String {
        format!(
            "{} {:?} {:?}",
            member.name.escape_ascii(),
            member.link.as_deref().map(<[u8]>::escape_ascii).map(|t| t.to_string()),
            member.file
        )
    }

    #[test]
    fn a_look_ahead_sees_what_is_seen_without_it() {
        let (_dir, tree) = tree();
        for named in ["/certs", "/other"] {
            let (named, real) = (TreePath::from(named), TreePath::from("/certs"));
            let (mut plain, mut quick) = (Reader::new(&tree), Reader::new(&tree));
            let ahead = quick.ahead(&named, b"bundle.crt")().expect("seen");
            quick.take(ahead);
            for reader in [&mut plain, &mut quick] {
                reader.bundle(&named.child(b"bundle.crt"));
            }
            let [plain, quick] = [plain, quick].map(|mut reader| reader.members(&named, &real).expect("listed"));
            assert_eq!(plain.iter().map(told).collect::<Vec<_>>(), quick.iter().map(told).collect::<Vec<_>>());
            let links: Vec<Option<&[u8]>> = plain.iter().map(|m| m.link.as_deref()).collect();
            let expected: [Option<&[u8]>; 6] =
                [Some(b"/share/U.crt"), Some(b"b.pem"), Some(b"a.pem"), None, Some(b"U.pem"), Some(b"../share/gone.crt")];
            assert_eq!(links, expected);
            let counts: Vec<usize> = plain.iter().map(|m| m.file.certificates().count()).collect();
            assert_eq!(counts, [1, 0, 0, 1, 1, 0]);
            assert_eq!(plain[5].file.state, FileState::Missing);
            assert!(matches!(plain[1].file.state, FileState::Unreadable(_)), "{:?}", plain[1].file.state);
            assert!(plain.iter().all(|m| m.file.path == named.child(&m.name)));
        }
    }

    #[test]
    fn a_bundle_has_a_digest_even_if_it_was_read_before() {
        let (_dir, tree) = tree();
        let mut reader = Reader::new(&tree);
        let path = TreePath::from("/other/bundle.crt");
        assert!(matches!(reader.file(&path).state, FileState::Read { digest: None, .. }));
        let FileState::Read { digest: Some(digest), .. } = reader.bundle(&path).state else { panic!("no digest") };
        assert_eq!(digest.get(), Fingerprint::of(U.as_bytes()));
    }
}
