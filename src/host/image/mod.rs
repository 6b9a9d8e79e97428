//! The root file system of an image, from an archive: `docker save`, or an OCI layout in a tar file. Nothing is unpacked to a disk.
//!
//! The layers are put on one another as a container's runtime does: a later entry replaces an earlier one, a whiteout takes it away, an
//! opaque directory hides what the layers below have in it. Each node remembers its layer, so that a report can say who brought an
//! anchor in.
//!
//! Sources: OCI image specification, `layer.md` (whiteouts, opaque whiteout) and `image-layout.md`; Docker's image specification v1.2
//! (`manifest.json`).

mod archive;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    io::Read,
    path::Path,
};

use self::archive::Archive;
use super::{Node, NodeKind, ReadError, Tree, TreeMut, Written};
use crate::base::{At, Limits, TreePath};

/// Entries of all layers together. A large image has 300,000.
const ENTRIES: usize = 4_000_000;

/// Bytes of file contents that are kept. Those of the stores and configurations of an image have a few MiB.
const KEPT: u64 = 256 << 20;

/// Bytes that the layers may have once they are decompressed.
const UNPACKED: u64 = 64 << 30;

/// Where the content of files matters to this program; of files elsewhere only those that look like certificates are kept.
const KEPT_BELOW: &[&str] = &[
    "/etc",
    "/lib/apk",
    "/opt/homebrew/etc",
    "/private/etc",
    "/usr/lib/apk",
    "/usr/lib/os-release",
    "/usr/lib/ssl",
    "/usr/local/etc",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/var/lib/dpkg/status",
];

/// Ends of names that certificates and stores have.
const KEPT_ENDINGS: &[&str] = &[".cer", ".crt", ".der", ".jks", ".p12", ".p7b", ".pem", "cacerts"];

/// An image that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The operating system's answer.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No archive of an image, or a broken one: what is missing or wrong.
    #[error("{0}; give the file that `docker save`, `podman save` or `skopeo copy … oci-archive:` writes")]
    NotAnImage(String),
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// From 1, the base first.
    pub number: usize,
    /// Its name in the archive: for OCI the digest of the blob.
    pub name: String,
    /// What made it, as the image's history says.
    pub made_by: Option<String>,
}

/// The file system of an image. It can be read only.
#[derive(Debug)]
pub struct ImageTree {
    /// The names of each directory.
    directories: BTreeMap<TreePath, BTreeMap<Vec<u8>, Entry>>,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Entry {
    node: Node,
    /// A file's content; `None` where it was not kept.
    bytes: Option<Vec<u8>>,
    layer: usize,
}

impl ImageTree {
    /// Reads the image in this file.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let mut archive = Archive::open(path)?;
        let mut tree = ImageTree { directories: BTreeMap::from([(TreePath::root(), BTreeMap::new())]), layers: Vec::new() };
        let mut budget = Budget { entries: ENTRIES, kept: KEPT, unpacked: UNPACKED };
        for (name, made_by) in archive.layers()? {
            let number = tree.layers.len() + 1;
            archive.with_layer(&name, |reader| tree.add(reader, number, &mut budget))?;
            tree.layers.push(Layer { number, name, made_by });
        }
        Ok(tree)
    }

    /// The layer that put what lies at `path` itself there.
    #[must_use]
    pub fn layer(&self, path: &TreePath) -> Option<&Layer> {
        self.layers.get(self.entry(path)?.layer.checked_sub(1)?)
    }

    /// How many layers the image has.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    fn entry(&self, path: &TreePath) -> Option<&Entry> {
        self.directories.get(path.parent_bytes())?.get(path.name())
    }

    /// Puts one layer on those that are there.
    fn add(&mut self, reader: &mut dyn Read, number: usize, budget: &mut Budget) -> Result<(), ImageError> {
        let Budget { entries, kept, unpacked } = budget;
        let mut archive = tar::Archive::new(Metered { reader, left: unpacked });
        let mut own: BTreeSet<TreePath> = BTreeSet::new();
        for entry in archive.entries().map_err(ImageError::Io)? {
            let mut entry = entry.map_err(|e| broken(number, &e))?;
            *entries = entries.checked_sub(1).ok_or_else(|| too_much(number, "entries"))?;
            let path = self.place(&TreePath::new(&*entry.path_bytes()));
            let (parent, name) = (path.parent(), path.name().to_vec());
            if name == b".wh..wh..opq" {
                self.hide_below(&parent, &own);
                continue;
            }
            if let Some(hidden) = name.strip_prefix(b".wh.") {
                self.remove(&parent.join(hidden));
                continue;
            }
            if name.is_empty() {
                continue;
            }
            let (node, bytes) = match self.content(&mut entry, &path, kept) {
                Ok(Some(content)) => content,
                // A PAX header and the like.
                Ok(None) => continue,
                Err(e) => return Err(broken(number, &e)),
            };
            own.insert(path.clone());
            self.put(&path, Entry { node, bytes, layer: number });
        }
        Ok(())
    }

    /// Where an entry lands: its directory may be a link that a lower layer made, and the link is kept.
    fn place(&self, path: &TreePath) -> TreePath {
        match self.resolve(&path.parent()) {
            Ok(parent) => parent.path.join(path.name()),
            Err(_) => path.clone(),
        }
    }

    fn content<R: Read>(
        &self,
        entry: &mut tar::Entry<'_, R>,
        path: &TreePath,
        kept: &mut u64,
    ) -> io::Result<Option<(Node, Option<Vec<u8>>)>> {
        use tar::EntryType;
        let header = entry.header();
        let number = |n: io::Result<u64>| n.ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (uid, gid, mode) = (number(header.uid()), number(header.gid()), header.mode().unwrap_or(0) & 0o7777);
        let modified = At(header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0));
        let node = |kind| Node { kind, mode, uid, gid, modified };
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        Ok(Some(match header.entry_type() {
            EntryType::Directory => (node(NodeKind::Directory), None),
            EntryType::Symlink => (node(NodeKind::Link(target)), None),
            EntryType::Link => match self.entry(&self.place(&TreePath::new(target))) {
                Some(other) => (other.node.clone(), other.bytes.clone()),
                // A link to nothing is nothing.
                None => return Ok(None),
            },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                let mut bytes = None;
                if is_kept(path) && size <= Limits::DEFAULT.file && size <= *kept {
                    *kept -= size;
                    let mut content = Vec::new();
                    entry.take(size).read_to_end(&mut content)?;
                    bytes = Some(content);
                }
                (node(NodeKind::File(size)), bytes)
            }
            EntryType::Char | EntryType::Block => (node(NodeKind::Other("device")), None),
            EntryType::Fifo => (node(NodeKind::Other("FIFO")), None),
            _ => return Ok(None),
        }))
    }

    fn put(&mut self, path: &TreePath, entry: Entry) {
        let is_directory = entry.node.kind == NodeKind::Directory;
        // A directory that is there already keeps what it holds.
        if !(is_directory && self.directories.contains_key(path)) {
            self.remove(path);
        }
        let mut above = path.parent();
        let mut missing = Vec::new();
        while !self.directories.contains_key(&above) {
            missing.push(above.clone());
            above = above.parent();
        }
        for directory in missing.into_iter().rev() {
            let node = Node { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0, modified: At(0) };
            self.insert(&directory, Entry { node, bytes: None, layer: entry.layer });
        }
        self.insert(path, entry);
    }

    fn insert(&mut self, path: &TreePath, entry: Entry) {
        if entry.node.kind == NodeKind::Directory {
            self.directories.entry(path.clone()).or_default();
        }
        self.directories.entry(path.parent()).or_default().insert(path.name().to_vec(), entry);
    }

    /// Takes away what lies at `path`, with everything below it.
    fn remove(&mut self, path: &TreePath) {
        if path.name().is_empty() {
            return;
        }
        if let Some(names) = self.directories.get_mut(path.parent_bytes()) {
            names.remove(path.name());
        }
        if self.directories.contains_key(path) {
            self.directories.retain(|directory, _| !directory.starts_with(path));
        }
    }

    /// Takes away what the layers below have in a directory, and leaves what this layer has put there.
    fn hide_below(&mut self, directory: &TreePath, own: &BTreeSet<TreePath>) {
        let names: Vec<TreePath> =
            self.directories.get(directory).into_iter().flat_map(|names| names.keys()).map(|name| directory.join(name)).collect();
        for path in names {
            let kept = own.range(path.clone()..).next().is_some_and(|next| next.starts_with(&path));
            if !kept {
                self.remove(&path);
            } else if !own.contains(&path) || self.directories.contains_key(&path) {
                self.hide_below(&path, own);
            }
        }
    }
}

/// What may still be read.
struct Budget {
    entries: usize,
    kept: u64,
    unpacked: u64,
}

/// A reader that ends with an error when too much has come: a few kilobytes can hold terabytes of zeros.
struct Metered<'a> {
    reader: &'a mut dyn Read,
    left: &'a mut u64,
}

impl Read for Metered<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        *self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other(format!("more than {} GiB once decompressed", UNPACKED >> 30)))?;
        Ok(n)
    }
}

fn is_kept(path: &TreePath) -> bool {
    KEPT_BELOW.iter().any(|dir| path.starts_with(&(*dir).into()))
        || KEPT_ENDINGS.iter().any(|end| path.name().ends_with(end.as_bytes()))
}

fn broken(layer: usize, e: &io::Error) -> ImageError {
    ImageError::NotAnImage(format!("layer {layer} can't be read: {e}"))
}

fn too_much(layer: usize, what: &str) -> ImageError {
    ImageError::NotAnImage(format!("layer {layer} brings more {what} than any image has"))
}

impl Tree for ImageTree {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        if path.name().is_empty() {
            return Ok(Some(Node { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0, modified: At(0) }));
        }
        Ok(self.entry(path).map(|entry| entry.node.clone()))
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        let node = self.node_nofollow(path)?.ok_or(ReadError::Missing)?;
        match (&node.kind, self.entry(path).and_then(|entry| entry.bytes.as_ref())) {
            (NodeKind::File(size), _) if *size > limit => Err(ReadError::TooLarge(*size)),
            (NodeKind::File(_), Some(bytes)) => Ok((bytes.clone(), node)),
            (NodeKind::File(_), None) => {
                Err(ReadError::Io(io::Error::other("its content is not kept when an image is looked at; unpack it for --root")))
            }
            (NodeKind::Directory, _) => Err(ReadError::NotAFile("directory")),
            (NodeKind::Link(_), _) => Err(ReadError::NotAFile("link")),
            (NodeKind::Other(what), _) => Err(ReadError::NotAFile(what)),
        }
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        match self.directories.get(path) {
            Some(names) => Ok(names.keys().cloned().collect()),
            None if self.entry(path).is_some() => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Every write is refused: an image is changed by building it anew.
impl TreeMut for ImageTree {
    fn write(&self, _: &TreePath, _: &[u8], _: Option<u32>) -> io::Result<Written> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &TreePath) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn link(&self, _: &TreePath, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &TreePath, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn exchange(&self, _: &TreePath, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn make_directory(&self, _: &TreePath, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn lock(&self, _: &TreePath) -> io::Result<Box<dyn fmt::Debug>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
