//! The only room with I/O: five small capabilities, and the backends that provide them.
//!
//! Everything else receives them as arguments, so that judging and planning are values in, values out. No backend follows links:
//! [`Tree::resolve`] does, once for all, and never leads out of the tree.

pub mod clock;
pub mod dial;
pub mod dir;
pub mod environment;
pub mod exec;
pub mod image;
pub mod interrupt;
mod loopback;
mod meanwhile;
pub mod memory;
pub mod native;
pub mod overlay;
pub mod processes;
mod remembered;
mod scratch;
mod shape;
pub mod stdin;
pub mod terminal;

use std::{fmt, io, net::IpAddr, sync::Arc};

pub use self::{
    dial::{LiveDial, in_order},
    dir::DirTree,
    environment::{Env, TRUST_VARIABLES},
    exec::LiveExec,
    image::{ImageTree, Layer},
    loopback::Loopback,
    meanwhile::meanwhile,
    remembered::Remembered,
    scratch::{Scratch, on_this_host},
    shape::shape,
};
use crate::{
    base::{At, Limits, TreePath},
    facts::{ConnectFailure, Presented, Target, renewal::HttpAnswer},
};

/// What lies at a path, itself, not where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// File, directory, link or something else.
    pub kind: NodeKind,
    /// Permission bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub modified: At,
}

/// Kinds of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file of this size.
    File(u64),
    /// A symbolic link: its target as written.
    Link(Vec<u8>),
    /// A device, FIFO or socket.
    Other(&'static str),
}

/// What a directory itself says about one of its names, without a look at what lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// Something else, or the file system does not say.
    Unsaid,
}

/// The names in a directory, sorted by bytes, and what it says about each.
pub type Listing = Arc<[(Vec<u8>, Listed)]>;

/// Why a path could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing is there.
    #[error("no such file")]
    Missing,
    /// Not a regular file.
    #[error("is a {0}, not a regular file")]
    NotAFile(&'static str),
    /// Too many links: a loop.
    #[error("too many levels of symbolic links")]
    LinkLoop,
    /// Larger than the limit: its size.
    #[error("has {0} bytes, more than is read")]
    TooLarge(u64),
    /// The operating system's answer.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A path after links were followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Where it leads; it need not exist.
    pub path: TreePath,
    /// The links that were followed, in order, each with its target as written.
    pub links: Vec<(TreePath, Vec<u8>)>,
    /// What lies there; `None` when nothing does.
    pub node: Option<Node>,
}

/// Reading a file tree.
pub trait Tree: Sync {
    /// What lies at `path` itself; `None` when nothing does. The directories above must not be links: use [`Tree::resolve`].
    ///
    /// # Errors
    /// The operating system's.
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>>;

    /// The content of the regular file at `path` itself, at most `limit` bytes.
    ///
    /// # Errors
    /// [`ReadError`]; a link is [`ReadError::NotAFile`].
    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError>;

    /// The names in the directory at `path` itself, sorted by bytes.
    ///
    /// # Errors
    /// The operating system's; [`Limits::names`] exceeded.
    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>>;

    /// The names in the order in which the file system returns them, for tools that don't sort (Alpine's). Backends without an order
    /// of their own return the sorted one.
    ///
    /// # Errors
    /// As [`Tree::names_nofollow`].
    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        self.names_nofollow(path)
    }

    /// The names, sorted by bytes, each with what the directory says about it.
    ///
    /// # Errors
    /// As [`Tree::names_nofollow`].
    fn list_nofollow(&self, path: &TreePath) -> io::Result<Listing> {
        Ok(self.names_nofollow(path)?.into_iter().map(|name| (name, Listed::Unsaid)).collect())
    }

    /// The target of the link at `path` itself, as written; `None` when no link lies there.
    ///
    /// # Errors
    /// As [`Tree::node_nofollow`].
    fn link_nofollow(&self, path: &TreePath) -> io::Result<Option<Vec<u8>>> {
        Ok(self.node_nofollow(path)?.and_then(|node| if let NodeKind::Link(target) = node.kind { Some(target) } else { None }))
    }

    /// [`Tree::read_nofollow`] of what was just seen to be a regular file: that is not asked again before it is opened, only after.
    ///
    /// # Errors
    /// As [`Tree::read_nofollow`].
    fn read_listed(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        self.read_nofollow(path, limit)
    }

    /// What each of these names of the directory at `path` itself holds, as its listing told: a link's target
    /// ([`Tree::link_nofollow`]), a file's content ([`Tree::read_listed`]); of others nothing.
    fn look_at_each(&self, path: &TreePath, names: &[(Vec<u8>, Listed)], limit: u64) -> Vec<Look> {
        let look = |(name, listed): &(Vec<u8>, Listed)| match listed {
            Listed::File => Look::File(self.read_listed(&path.join(name), limit)),
            Listed::Link => Look::Link(self.link_nofollow(&path.join(name))),
            Listed::Directory | Listed::Unsaid => Look::None,
        };
        names.iter().map(look).collect()
    }

    /// The target of each of these names of the directory at `path` itself that its listing told to be a link; `None` for the others, and
    /// for what can't be read.
    fn links_nofollow(&self, path: &TreePath, names: &[(Vec<u8>, Listed)]) -> Vec<Option<Vec<u8>>> {
        let link = |(name, listed): &(Vec<u8>, Listed)| match listed {
            Listed::Link => self.link_nofollow(&path.join(name)).ok().flatten(),
            Listed::Directory | Listed::File | Listed::Unsaid => None,
        };
        names.iter().map(link).collect()
    }

    /// Follows links as the kernel would if the tree's root were `/`: an absolute target restarts there, `..` stops there, and after
    /// [`Limits::links`] hops it is a loop.
    ///
    /// # Errors
    /// [`ReadError::LinkLoop`], or the operating system's.
    fn resolve(&self, path: &TreePath) -> Result<Resolved, ReadError> {
        resolve_straight(self, path, &|_| false).map_or_else(|| resolve_by_component(self, path), Ok)
    }

    /// Resolves `path` and reads the regular file that it leads to.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Resolved), ReadError> {
        let mut resolved = self.resolve(path)?;
        match resolved.node.as_ref().map(|n| &n.kind) {
            None => Err(ReadError::Missing),
            Some(NodeKind::File(len)) if *len > limit => Err(ReadError::TooLarge(*len)),
            Some(NodeKind::File(_)) => {
                let (bytes, node) = self.read_nofollow(&resolved.path, limit)?;
                resolved.node = Some(node);
                Ok((bytes, resolved))
            }
            Some(NodeKind::Directory) => Err(ReadError::NotAFile("directory")),
            Some(NodeKind::Link(_)) => Err(ReadError::NotAFile("link")),
            Some(NodeKind::Other(what)) => Err(ReadError::NotAFile(what)),
        }
    }

    /// Whether `path` leads to something.
    fn exists(&self, path: &TreePath) -> bool {
        self.resolve(path).is_ok_and(|r| r.node.is_some())
    }
}

/// [`Tree::resolve`] where no directory on the way is a link, as nearly always: what is found under a path as it is written lies there.
/// Of what is missing that is only known if `is_straight` knows its directory for one that is no link, nor below one.
pub(crate) fn resolve_straight<T: Tree + ?Sized>(
    tree: &T,
    path: &TreePath,
    is_straight: &dyn Fn(TreePath) -> bool,
) -> Option<Resolved> {
    let mut links: Vec<(TreePath, Vec<u8>)> = Vec::new();
    let mut at = path.clone();
    loop {
        match tree.node_nofollow(&at) {
            Ok(Some(Node { kind: NodeKind::Link(target), .. })) if is_plain(&target) && links.len() < Limits::DEFAULT.links => {
                let next = at.parent().join(&target);
                links.push((at, target));
                at = next;
            }
            Ok(Some(node)) if !matches!(node.kind, NodeKind::Link(_)) => {
                return Some(Resolved { path: at, links, node: Some(node) });
            }
            Ok(None) if is_straight(at.parent()) => return Some(Resolved { path: at, links, node: None }),
            _ => return None,
        }
    }
}

/// Whether a link's target can be joined to its directory by its text alone: `..` only at the beginning, since after a name it
/// depends on where that name leads; and no slash at the end, which demands a directory.
fn is_plain(target: &[u8]) -> bool {
    let mut parts = target.split(|b| *b == b'/').skip_while(|part| matches!(*part, b"" | b"." | b".."));
    !matches!(target.last(), None | Some(b'/')) && !target.ends_with(b"/.") && parts.all(|part| part != b"..")
}

/// What [`Tree::look_at_each`] saw under one name.
#[derive(Debug)]
pub enum Look {
    /// A file.
    File(Result<(Vec<u8>, Node), ReadError>),
    /// A link.
    Link(io::Result<Option<Vec<u8>>>),
    /// Not looked at.
    None,
}

/// [`Tree::resolve`], one component after the other.
pub(crate) fn resolve_by_component<T: Tree + ?Sized>(tree: &T, path: &TreePath) -> Result<Resolved, ReadError> {
    let mut done = TreePath::root();
    let mut pending: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    pending.reverse();
    let mut links = Vec::new();
    let mut node = tree.node_nofollow(&done)?;
    while let Some(part) = pending.pop() {
        // Below what is missing, or no directory, there is nothing, and a slash after a file's name is an error too. What is left of
        // the path is kept, so that a dangling link can say where it leads.
        if !matches!(node.as_ref().map(|n| &n.kind), Some(NodeKind::Directory)) {
            pending.push(part);
            while let Some(rest) = pending.pop() {
                done = done.join(rest);
            }
            node = None;
            break;
        }
        if part == b"." || part.is_empty() {
            continue;
        }
        if part == b".." {
            done = done.parent();
            node = tree.node_nofollow(&done)?;
            continue;
        }
        let next = done.join(&part);
        node = tree.node_nofollow(&next)?;
        let Some(NodeKind::Link(target)) = node.as_ref().map(|n| &n.kind) else {
            done = next;
            continue;
        };
        if links.len() == Limits::DEFAULT.links {
            return Err(ReadError::LinkLoop);
        }
        if target.first() == Some(&b'/') {
            done = TreePath::root();
        }
        pending.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
        links.push((next, target.clone()));
        node = tree.node_nofollow(&done)?;
    }
    Ok(Resolved { path: done, links, node })
}

/// What one write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// By a new file that was renamed into place.
    Atomically,
    /// In place, because the file can't be replaced (a bind mount: EBUSY, EXDEV).
    InPlace,
}

/// Changing a file tree. Paths are resolved already; no method follows a link.
pub trait TreeMut: Tree {
    /// Replaces or creates a file: a new file beside it, synced, with the old one's mode, owner and extended attributes, renamed into
    /// place, the directory synced; where renaming is impossible, in place.
    ///
    /// # Errors
    /// The operating system's; then the old file is whole.
    fn write(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<Written>;

    /// Removes a file or link. That is safe on disk when a file was written after it, or anything was changed in another directory.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&self, path: &TreePath) -> io::Result<()>;

    /// Makes a symbolic link, replacing a file or link of that name atomically. Safe on disk as with [`TreeMut::remove`].
    ///
    /// # Errors
    /// The operating system's.
    fn link(&self, path: &TreePath, target: &[u8]) -> io::Result<()>;

    /// Gives a file or folder another name in the same directory, where nothing has that name yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when something has, else the operating system's.
    fn rename(&self, path: &TreePath, to: &[u8]) -> io::Result<()>;

    /// Exchanges two names of one directory, in one step.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::Unsupported`] where it has no such call.
    fn exchange(&self, path: &TreePath, with: &[u8]) -> io::Result<()>;

    /// Gives a regular file back to its owner and group.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::Unsupported`] where a tree has no owners.
    fn set_owner(&self, path: &TreePath, uid: u32, gid: u32) -> io::Result<()> {
        let _ = (path, uid, gid);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// The operating system's.
    fn make_directory(&self, path: &TreePath, mode: u32) -> io::Result<()>;

    /// Takes the exclusive lock of this tree, held until the guard is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another run holds it.
    fn lock(&self, path: &TreePath) -> io::Result<Box<dyn fmt::Debug>>;
}

/// What a finished command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status; `None` when a signal or the deadline ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Running programs of this host.
pub trait Exec: Sync {
    /// Runs `argv` without a shell, with `stdin` and the given variables set or (`None`) removed, for at most `seconds`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is no such program, [`io::ErrorKind::TimedOut`] after the deadline.
    fn run(&self, argv: &[&str], stdin: &[u8], env: &[(&str, Option<&str>)], seconds: u64) -> io::Result<Output>;
}

/// How to say hello.
#[derive(Clone, Debug, Default)]
pub struct Hello {
    /// Connect there instead of to the target's own host and port (`--connect`).
    pub connect: Option<(String, u16)>,
    /// The name in SNI: `None` is the target's host when that is a name; `Some(None)` sends none.
    pub servername: Option<Option<String>>,
    /// Application protocols to offer.
    pub alpn: Vec<String>,
    /// `http://[user:password@]host:port` of a CONNECT proxy.
    pub proxy: Option<String>,
    /// Offer only this version; one before TLS 1.2 is offered by a raw hello.
    pub only: Option<crate::facts::Protocol>,
    /// Client certificate and key, PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Ask this and nothing else: no hello of an older kind follows when the server refuses.
    pub once: bool,
    /// Seconds for all of it.
    pub timeout: u64,
}

/// Talking to servers.
pub trait Dial: Sync {
    /// Looks at what `target` presents. Any certificate is accepted for the look: the connection is closed after the handshake and no
    /// data of ours goes through it.
    ///
    /// # Errors
    /// The class of failure.
    fn observe(&self, target: &Target, hello: &Hello) -> Result<Presented, ConnectFailure>;

    /// A handshake that verifies, by rustls, with exactly these anchors (DER) at `at`.
    ///
    /// # Errors
    /// Rustls' own words, or the class of failure.
    fn verify(&self, target: &Target, hello: &Hello, anchors: &[&[u8]], at: At) -> Result<(), VerifyFailure>;

    /// The addresses of a name, and whether each is one of this host's own.
    ///
    /// # Errors
    /// [`ConnectFailure::NameDoesNotResolve`], or no answer in time.
    fn addresses(&self, name: &str, seconds: u64) -> Result<Vec<(IpAddr, bool)>, ConnectFailure>;

    /// Fetches a path of the named host from this very address by HTTP without TLS; redirects are not followed.
    ///
    /// # Errors
    /// The class of failure.
    fn fetch(&self, to: (IpAddr, u16), host: &str, path: &str, seconds: u64) -> Result<HttpAnswer, ConnectFailure>;
}

/// Why a verifying handshake did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyFailure {
    /// No certificate came to be judged.
    Connect(ConnectFailure),
    /// Rustls refused the certificate: its words.
    Refused(String),
}
