//! The root file system of an image, from an archive: `docker save`, or an OCI layout in a tar file. Nothing is unpacked to a disk.
//!
//! The layers are put on one another as a container's runtime does: a later entry replaces an earlier one, a whiteout takes it away, an
//! opaque directory hides what the layers below have in it. Each node remembers its layer, so that a report can say who brought an
//! anchor in.
//!
//! Sources: OCI image specification, `layer.md` (whiteouts, opaque whiteout) and `image-layout.md`; Docker's image specification v1.2
//! (`manifest.json`).

mod archive;
mod compression;
mod meter;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Read},
    ops::Bound,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{archive::Archive, meter::Meter};
use super::{Node, NodeKind, ReadError, Tree, TreeMut, Written};
use crate::base::{At, Limits, TreePath};

/// Entries of all layers together. A large image has 300,000.
const ENTRIES: usize = 4_000_000;

/// Bytes of file contents that are kept. Those of the stores and configurations of an image have a few MiB.
const KEPT: u64 = 256 << 20;

/// Bytes that the layers may have once they are decompressed.
const UNPACKED: u64 = 64 << 30;

/// Bytes that the names of all layers may take in memory, with what a map needs around them. Those of 300,000 files in 30,000 directories need 130 MiB.
const NAMES: u64 = 512 << 20;

/// Bytes of memory around one name.
const NAME: usize = 192;

/// Bytes of memory around a directory's name: a map with room for some names.
const DIRECTORY: usize = 1536;

/// Bytes of layers that are read again for files whose content was not kept.
const AGAIN: u64 = 16 << 30;

/// Bytes of a path, as Linux takes it (`linux/limits.h`).
const PATH_MAX: usize = 4096;

/// What the block has in its label that a private key stands in (RFC 7468, sections 10 and 11; RFC 5915; OpenSSH's own).
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// Where the content of files matters to this program; of files elsewhere only those that look like certificates are kept. The rest is
/// read again from its layer where somebody asks.
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

/// What nobody here asks for, and nobody should hold. Names that end in `key` and files that hold a private key are not kept either.
const SECRET: &[&str] = &["/etc/gshadow", "/etc/gshadow-", "/etc/shadow", "/etc/shadow-", "/etc/ssh"];

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
    /// Whether it ends as a tar archive does, with a block of zeros. Go's reader, and Docker with it, takes one without: then nothing
    /// tells a layer that was cut between two files.
    pub ended: bool,
}

/// The file system of an image. It can be read only.
#[derive(Debug)]
pub struct ImageTree {
    archive: Archive,
    /// The names of each directory.
    directories: BTreeMap<TreePath, BTreeMap<Vec<u8>, Entry>>,
    layers: Vec<Layer>,
    /// Bytes of layers that may still be read again.
    again: AtomicU64,
}

#[derive(Clone, Debug)]
struct Entry {
    node: Node,
    content: Content,
    layer: usize,
}

/// What a file holds.
#[derive(Clone, Debug)]
enum Content {
    /// Not a file, or one with holes.
    None,
    /// Kept: names that are linked to one file share it.
    Kept(Arc<[u8]>),
    /// In the layer of this number, from this byte on once it is decompressed. Private keys and what nobody asks for are not kept in
    /// memory.
    In { layer: usize, offset: u64 },
}

impl ImageTree {
    /// Reads the image in this file.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        ImageTree::read(Archive::open(path)?)
    }

    /// Reads the image in these bytes.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn of(bytes: Vec<u8>) -> Result<Self, ImageError> {
        ImageTree::read(Archive::new(Arc::new(bytes))?)
    }

    fn read(archive: Archive) -> Result<Self, ImageError> {
        let layers = archive.layers()?;
        let directories = BTreeMap::from([(TreePath::root(), BTreeMap::new())]);
        let mut tree = ImageTree { archive, directories, layers: Vec::new(), again: AtomicU64::new(AGAIN) };
        let mut budget = Budget { entries: ENTRIES, kept: KEPT, names: NAMES, meter: Meter::new(UNPACKED) };
        for (name, made_by) in layers {
            let number = tree.layers.len() + 1;
            let reader = tree.archive.layer(&name)?;
            let ended = tree.add(reader, number, &mut budget)?;
            tree.layers.push(Layer { number, name, made_by, ended });
        }
        Ok(tree)
    }

    /// The layer that put what lies at `path` itself there.
    #[must_use]
    pub fn layer(&self, path: &TreePath) -> Option<&Layer> {
        self.layers.get(self.entry(path)?.layer.checked_sub(1)?)
    }

    /// The layers, the base first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn entry(&self, path: &TreePath) -> Option<&Entry> {
        self.directories.get(path.parent_bytes())?.get(path.name())
    }

    /// Puts one layer on those that are there, and tells whether it has the end of an archive.
    fn add(&mut self, reader: Box<dyn Read>, number: usize, budget: &mut Budget) -> Result<bool, ImageError> {
        let Budget { entries, kept, names, meter } = budget;
        meter.allow(0);
        let mut archive = tar::Archive::new(meter.of(reader));
        let mut opaque: BTreeSet<TreePath> = BTreeSet::new();
        for entry in archive.entries().map_err(ImageError::Io)? {
            let mut entry = entry.map_err(|e| broken(number, &e))?;
            // A sparse file has less in the archive than it says.
            let sparse = entry.header().entry_type().is_gnu_sparse();
            meter.allow(if sparse { entry.header().entry_size().unwrap_or(0) } else { entry.size() });
            *entries = entries.checked_sub(1).ok_or_else(|| too_much(number, "entries"))?;
            let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
            let longest = entry.path_bytes().len().max(target.len());
            if longest > PATH_MAX {
                return Err(broken(number, &io::Error::other(format!("a path in it has {longest} bytes"))));
            }
            let path = self.place(&TreePath::new(&*entry.path_bytes()));
            let directory = entry.header().entry_type().is_dir();
            charge(names, path.as_bytes().len() + if directory { DIRECTORY } else { NAME }, number)?;
            let (parent, name) = (path.parent(), path.name().to_vec());
            if name == b".wh..wh..opq" {
                self.hide_below(&parent, number, &mut opaque);
                continue;
            }
            if let Some(hidden) = name.strip_prefix(b".wh.") {
                if !matches!(hidden, b"" | b"." | b"..") {
                    self.hide(&parent.join(hidden), number, &mut opaque);
                }
                continue;
            }
            if name.is_empty() {
                continue;
            }
            let (node, content) = match self.content(&mut entry, &path, target, number, kept) {
                Ok(Some(found)) => found,
                // A PAX header and the like.
                Ok(None) => continue,
                Err(e) => return Err(broken(number, &e)),
            };
            // A hard link to a symbolic one has a target of its own.
            if let NodeKind::Link(target) = &node.kind {
                charge(names, target.len(), number)?;
            }
            self.put(&path, Entry { node, content, layer: number }, names)?;
        }
        let ended = !meter.ended();
        // The checksum of the compressed data stands at its end, behind the padding.
        meter.allow(0);
        io::copy(&mut archive.into_inner().take(meter::HEADERS), &mut io::sink()).map_err(|e| broken(number, &e))?;
        Ok(ended)
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
        target: Vec<u8>,
        layer: usize,
        kept: &mut u64,
    ) -> io::Result<Option<(Node, Content)>> {
        use tar::EntryType;
        let header = entry.header();
        let number = |n: io::Result<u64>| n.ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (uid, gid, mode) = (number(header.uid()), number(header.gid()), header.mode().unwrap_or(0) & 0o7777);
        let modified = At(header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0));
        let node = |kind| Node { kind, mode, uid, gid, modified };
        Ok(Some(match header.entry_type() {
            EntryType::Directory => (node(NodeKind::Directory), Content::None),
            EntryType::Symlink => (node(NodeKind::Link(target)), Content::None),
            EntryType::Link => match self.entry(&self.place(&TreePath::new(target))) {
                Some(other) if other.node.kind != NodeKind::Directory => (other.node.clone(), other.content.clone()),
                // A link to nothing is nothing, and none leads to a directory.
                _ => return Ok(None),
            },
            kind @ (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse) => {
                let size = entry.size();
                let mut content = match kind {
                    EntryType::GNUSparse => Content::None,
                    _ => Content::In { layer, offset: entry.raw_file_position() },
                };
                if is_kept(path) && size <= Limits::DEFAULT.file && size <= *kept {
                    let mut bytes = Vec::new();
                    entry.take(size).read_to_end(&mut bytes)?;
                    if memchr::memmem::find(&bytes, PRIVATE_KEY).is_none() {
                        *kept -= size;
                        content = Content::Kept(bytes.into());
                    }
                }
                (node(NodeKind::File(size)), content)
            }
            EntryType::Char | EntryType::Block => (node(NodeKind::Other("device")), Content::None),
            EntryType::Fifo => (node(NodeKind::Other("FIFO")), Content::None),
            _ => return Ok(None),
        }))
    }

    fn put(&mut self, path: &TreePath, entry: Entry, names: &mut u64) -> Result<(), ImageError> {
        let is_directory = entry.node.kind == NodeKind::Directory;
        // A directory that is there already keeps what it holds.
        if !(is_directory && self.directories.contains_key(path)) {
            self.remove(path);
        }
        let mut above = path.parent();
        let mut missing = Vec::new();
        while !self.directories.contains_key(&above) {
            charge(names, above.as_bytes().len() + DIRECTORY, entry.layer)?;
            missing.push(above.clone());
            above = above.parent();
        }
        for directory in missing.into_iter().rev() {
            let node = Node { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0, modified: At(0) };
            self.insert(&directory, Entry { node, content: Content::None, layer: entry.layer });
        }
        self.insert(path, entry);
        Ok(())
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
        if self.directories.remove(path).is_none() {
            return;
        }
        let inside = [path.as_bytes(), b"/"].concat();
        let below = self.directories.range::<[u8], _>((Bound::Included(&*inside), Bound::Unbounded));
        let below: Vec<TreePath> =
            below.map(|(directory, _)| directory).take_while(|d| d.as_bytes().starts_with(&inside)).cloned().collect();
        for directory in below {
            self.directories.remove(&directory);
        }
    }

    /// Takes away what the layers below have at `path`, and leaves what the layer of this number has put there.
    fn hide(&mut self, path: &TreePath, number: usize, opaque: &mut BTreeSet<TreePath>) {
        self.hide_below(path, number, opaque);
        self.remove_unless_own(path, number);
    }

    /// [`ImageTree::hide`] for each name in a directory. `opaque` are those of this layer in which that was done: nothing of the layers
    /// below can be there again.
    fn hide_below(&mut self, directory: &TreePath, number: usize, opaque: &mut BTreeSet<TreePath>) {
        let mut above = directory.clone();
        while !opaque.contains(&above) {
            if above.name().is_empty() {
                self.hide_names(directory, number, opaque);
                opaque.insert(directory.clone());
                return;
            }
            above = above.parent();
        }
    }

    fn hide_names(&mut self, directory: &TreePath, number: usize, opaque: &BTreeSet<TreePath>) {
        let names: Vec<TreePath> =
            self.directories.get(directory).into_iter().flat_map(|names| names.keys()).map(|name| directory.join(name)).collect();
        for path in names {
            if !opaque.contains(&path) {
                self.hide_names(&path, number, opaque);
            }
            self.remove_unless_own(&path, number);
        }
    }

    /// A directory of the layers below stays where the layer of this number has put something into it.
    fn remove_unless_own(&mut self, path: &TreePath, number: usize) {
        let is_own = self.entry(path).is_some_and(|entry| entry.layer == number);
        if !is_own && self.directories.get(path).is_none_or(BTreeMap::is_empty) {
            self.remove(path);
        }
    }

    /// A part of a layer, read and decompressed once more.
    fn again(&self, layer: usize, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let name = layer.checked_sub(1).and_then(|index| self.layers.get(index)).map_or("", |layer| &layer.name);
        let cost = offset.saturating_add(size);
        let left = |left: u64| left.checked_sub(cost);
        if self.again.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_err() {
            return Err(io::Error::other("too much of the image would have to be read again; unpack it for --root"));
        }
        let mut reader = self.archive.layer(name).map_err(io::Error::other)?;
        io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
        let mut bytes = Vec::new();
        reader.take(size).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }
}

/// What may still be read.
struct Budget {
    entries: usize,
    kept: u64,
    names: u64,
    meter: Meter,
}

fn charge(names: &mut u64, bytes: usize, layer: usize) -> Result<(), ImageError> {
    *names = names.checked_sub(bytes as u64).ok_or_else(|| too_much(layer, "names"))?;
    Ok(())
}

fn is_kept(path: &TreePath) -> bool {
    if SECRET.iter().any(|secret| path.starts_with(&(*secret).into())) || path.name().ends_with(b"key") {
        return false;
    }
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
        match (&node.kind, self.entry(path).map_or(&Content::None, |entry| &entry.content)) {
            (NodeKind::File(size), _) if *size > limit => Err(ReadError::TooLarge(*size)),
            (NodeKind::File(_), Content::Kept(bytes)) => Ok((bytes.to_vec(), node)),
            (NodeKind::File(size), Content::In { layer, offset }) => Ok((self.again(*layer, *offset, *size)?, node)),
            (NodeKind::File(_), Content::None) => {
                Err(ReadError::Io(io::Error::other("a sparse file is not read in an image; unpack it for --root")))
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
