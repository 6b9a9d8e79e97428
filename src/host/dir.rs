//! A directory as a tree: `/` for the live host, any other one for `--root`.
//!
//! Every operation opens the directory above its path without following a single link, and then works on the last name relative to
//! that descriptor. So the kernel never walks out of the tree, whatever the links in it say, and nobody who changes the tree meanwhile
//! can lead it out either.
//!
//! Absent on purpose: any memory of what was read. Each call asks the kernel again, so that a check after a change sees the change. Only
//! the descriptors of the last two directories that were looked into stay open (a link's and its target's: a scan of a hash directory
//! goes to and fro between them), until a directory is listed or anything is changed.

use std::{
    ffi::CStr,
    fmt, io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::{
    fs::{self as rfs, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat},
    io::Errno,
};

use super::{Listed, Listing, Look, Node, NodeKind, ReadError, Resolved, Tree, TreeMut, Written, is_plain, resolve_by_component};
use crate::base::{At, Limits, TreePath, order, same};

/// The beginning of the names of files that are not yet in place. A dot, since Alpine's refresh tool takes every other name as a
/// certificate; no part of the final name, since that one may have 255 bytes already.
pub const TEMPORARY_PREFIX: &[u8] = b".certdoctor-";

/// Opening a directory only to look below it: that needs no permission to read it.
#[cfg(target_os = "linux")]
const PASS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = OFlags::RDONLY;

/// A directory that was looked into.
type Opened = (TreePath, Arc<OwnedFd>);

/// A directory seen as the root of a tree.
pub struct DirTree {
    base: OwnedFd,
    /// Linux before 5.6, or a seccomp filter that doesn't know the call.
    without_openat2: AtomicBool,
    /// The directories looked into last, for reading only; the latest first.
    recent: Mutex<[Option<Opened>; 2]>,
    /// The directory in which links were made or removed last and which is not synced since.
    unsynced: Mutex<Option<Opened>>,
}

impl DirTree {
    /// The tree below `base`; links in `base` itself are followed.
    ///
    /// # Errors
    /// The operating system's: `base` is missing or no directory.
    pub fn new(base: &Path) -> io::Result<Self> {
        let base = rfs::openat(CWD, base, PASS | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let without_openat2 = AtomicBool::new(!cfg!(target_os = "linux"));
        Ok(DirTree { base, without_openat2, recent: Mutex::default(), unsynced: Mutex::default() })
    }

    /// The directory at `path` itself, to look at what lies in it.
    fn look_into(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = |recent: &[Option<Opened>]| recent[0].as_ref().is_some_and(|(known, _)| same(known.as_bytes(), path));
        if !is_first(&*recent) {
            recent.swap(0, 1);
        }
        match &recent[0] {
            Some((_, dir)) if is_first(&*recent) => Ok(Arc::clone(dir)),
            _ => {
                let path = TreePath::new(path);
                let dir = Arc::new(self.directory(&path, PASS)?);
                recent[0] = Some((path, Arc::clone(&dir)));
                Ok(dir)
            }
        }
    }

    fn forget(&self) {
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Opens the directory at `path` itself, no component of which may be a link.
    fn directory(&self, path: &TreePath, access: OFlags) -> Result<OwnedFd, Errno> {
        let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg(target_os = "linux")]
        if !self.without_openat2.load(Ordering::Relaxed) {
            let below = path.as_bytes().get(1..).filter(|p| !p.is_empty()).unwrap_or(b".");
            let resolve = rfs::ResolveFlags::IN_ROOT | rfs::ResolveFlags::NO_SYMLINKS | rfs::ResolveFlags::NO_MAGICLINKS;
            match rfs::openat2(&self.base, below, flags, Mode::empty(), resolve) {
                // EPERM is what container runtimes answered for calls that their filter did not know (moby#42871).
                Err(Errno::NOSYS | Errno::PERM) => self.without_openat2.store(true, Ordering::Relaxed),
                answer => return answer,
            }
        }
        let mut names: Vec<&[u8]> = path.components().collect();
        let last = names.pop();
        let pass = PASS | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(last) = last else { return rfs::openat(&self.base, ".", flags, Mode::empty()) };
        let mut above: Option<OwnedFd> = None;
        for name in names {
            above = Some(rfs::openat(above.as_ref().unwrap_or(&self.base), name, pass, Mode::empty())?);
        }
        rfs::openat(above.as_ref().unwrap_or(&self.base), last, flags, Mode::empty())
    }

    /// Every name in the directory at `path`, in the order of the file system.
    fn each_name(&self, path: &TreePath, mut see: impl FnMut(&[u8], Listed)) -> io::Result<()> {
        self.forget();
        let mut count = 0;
        let mut one = |name: &CStr, kind: FileType| {
            let name = name.to_bytes();
            if matches!(name, b"." | b"..") {
                return Ok(());
            }
            if count == Limits::DEFAULT.names {
                return Err(io::Error::other(format!("has more than {} names", Limits::DEFAULT.names)));
            }
            count += 1;
            see(name, listed(kind));
            Ok(())
        };
        let directory = self.directory(path, OFlags::RDONLY)?;
        // A buffer for all names of a usual store at once.
        #[cfg(target_os = "linux")]
        {
            let mut buffer = [const { MaybeUninit::uninit() }; 16 << 10];
            let mut entries = rfs::RawDir::new(directory, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                one(entry.file_name(), entry.file_type())?;
            }
        }
        #[cfg(not(target_os = "linux"))]
        for entry in rfs::Dir::new(directory)? {
            let entry = entry?;
            one(entry.file_name(), entry.file_type())?;
        }
        Ok(())
    }

    /// Opens the directory above `path` for changes in it. What was changed in another one before is on disk then.
    fn directory_above(&self, path: &TreePath) -> io::Result<OwnedFd> {
        if path.name().is_empty() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is the root of the tree"));
        }
        self.forget();
        self.sync_unless(path.parent_bytes())?;
        Ok(self.directory(&path.parent(), OFlags::RDONLY)?)
    }

    /// Syncs the directory that still waits for it, unless it is `directory`.
    fn sync_unless(&self, directory: &[u8]) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        match unsynced.take_if(|(path, _)| path.as_bytes() != directory) {
            Some((_, dir)) => Ok(sync_directory(&dir)?),
            None => Ok(()),
        }
    }

    /// Lets `dir`, the directory above `path`, wait for its sync until something is changed in another one: a refresh makes and removes
    /// hundreds of links in a row.
    fn sync_later(&self, path: &TreePath, dir: OwnedFd) {
        *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner) = Some((path.parent(), Arc::new(dir)));
    }

    /// Syncs `dir`, the directory above `path`, with what waits in it.
    fn sync_now(&self, path: &TreePath, dir: &OwnedFd) -> io::Result<()> {
        sync_directory(dir)?;
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.take_if(|(waiting, _)| waiting.as_bytes() == path.parent_bytes());
        Ok(())
    }

    /// The new file beside the old one, complete and synced; on failure it is gone again.
    fn prepare(&self, dir: &OwnedFd, old: Option<&Old>, bytes: &[u8], mode: Option<u32>) -> io::Result<Vec<u8>> {
        let name = temporary_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rfs::openat(dir, &name[..], flags, Mode::from_raw_mode(0o600))?;
        let filled = (|| {
            write_all(&file, bytes)?;
            if let Some(old) = old {
                old.give_owner(&file)?;
            }
            let mode = mode.or(old.map(|o| node_of(&o.stat, Vec::new()).mode)).unwrap_or(0o644);
            rfs::fchmod(&file, permissions(mode))?;
            if let Some(old) = old {
                old.give_attributes(&file)?;
            }
            rfs::fsync(&file)?;
            io::Result::Ok(())
        })();
        match filled {
            Ok(()) => Ok(name),
            Err(e) => {
                discard(dir, &name);
                Err(e)
            }
        }
    }
}

impl Drop for DirTree {
    fn drop(&mut self) {
        // Whoever needs to know has changed a file since, elsewhere or here, and was told.
        let _ = self.sync_unless(b"");
    }
}

impl fmt::Debug for DirTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirTree")
    }
}

impl Tree for DirTree {
    fn node_nofollow(&self, path: &TreePath) -> io::Result<Option<Node>> {
        let found = match path.name() {
            b"" => node_of(&rfs::fstat(&self.base)?, Vec::new()),
            name => match self.look_into(path.parent_bytes()).and_then(|dir| node_at(&dir, name)) {
                Ok(node) => node,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(e.into()),
            },
        };
        Ok(Some(found))
    }

    fn read_nofollow(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        if path.name().is_empty() {
            return Err(ReadError::NotAFile("directory"));
        }
        let dir = self.look_into(path.parent_bytes()).map_err(missing)?;
        // Opening a device is an act of its own (a watchdog starts, a tape rewinds), so the kind is asked before and after.
        regular(&rfs::statat(&*dir, path.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?, limit)?;
        self.read_listed(path, limit)
    }

    fn read_listed(&self, path: &TreePath, limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
        read_in(&*self.look_into(path.parent_bytes()).map_err(missing)?, path.name(), limit)
    }

    fn look_at_each(&self, path: &TreePath, names: &[(Vec<u8>, Listed)], limit: u64) -> Vec<Look> {
        let Ok(dir) = self.directory(path, PASS) else { return names.iter().map(|_| Look::None).collect() };
        let look = |(name, listed): &(Vec<u8>, Listed)| match listed {
            Listed::File => Look::File(read_in(&dir, name, limit)),
            Listed::Link => Look::Link(link_in(&dir, name)),
            Listed::Directory | Listed::Unsaid => Look::None,
        };
        names.iter().map(look).collect()
    }

    fn links_nofollow(&self, path: &TreePath, names: &[(Vec<u8>, Listed)]) -> Vec<Option<Vec<u8>>> {
        let Ok(dir) = self.directory(path, PASS) else { return vec![None; names.len()] };
        let link = |(name, listed): &(Vec<u8>, Listed)| match listed {
            Listed::Link => link_in(&dir, name).ok().flatten(),
            Listed::Directory | Listed::File | Listed::Unsaid => None,
        };
        names.iter().map(link).collect()
    }

    fn names_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = self.names_unsorted_nofollow(path)?;
        names.sort_unstable();
        Ok(names)
    }

    fn names_unsorted_nofollow(&self, path: &TreePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        self.each_name(path, |name, _| names.push(name.to_vec()))?;
        Ok(names)
    }

    fn list_nofollow(&self, path: &TreePath) -> io::Result<Listing> {
        let mut names = Vec::new();
        self.each_name(path, |name, listed| names.push((name.to_vec(), listed)))?;
        names.sort_unstable_by(|(a, _), (b, _)| order(a, b));
        Ok(names.into())
    }

    fn link_nofollow(&self, path: &TreePath) -> io::Result<Option<Vec<u8>>> {
        if path.name().is_empty() {
            return Ok(None);
        }
        match self.look_into(path.parent_bytes()) {
            Ok(dir) => link_in(&dir, path.name()),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn resolve(&self, path: &TreePath) -> Result<Resolved, ReadError> {
        let mut links: Vec<(TreePath, Vec<u8>)> = Vec::new();
        let mut at = path.clone();
        // No directory above what is found, or above what is missing (for a link the answer would be another), is a link: the whole
        // path is settled by one walk of the kernel.
        while let Ok(node) = self.node_nofollow(&at) {
            let Some(Node { kind: NodeKind::Link(target), .. }) = node else {
                return Ok(Resolved { path: at, links, node });
            };
            if links.len() == Limits::DEFAULT.links {
                return Err(ReadError::LinkLoop);
            }
            if !is_plain(&target) {
                break;
            }
            let next = at.parent().join(&target);
            links.push((at, target));
            at = next;
        }
        resolve_by_component(self, path)
    }
}

impl TreeMut for DirTree {
    fn write(&self, path: &TreePath, bytes: &[u8], mode: Option<u32>) -> io::Result<Written> {
        let dir = self.directory_above(path)?;
        let old = Old::find(&dir, path.name())?;
        let temporary = match self.prepare(&dir, old.as_ref(), bytes, mode) {
            Ok(name) => name,
            // The directory allows no new file, but the file may be a mount of its own, or writable by itself.
            Err(e) => match (Errno::from_io_error(&e), &old) {
                (Some(Errno::ROFS | Errno::ACCESS), Some(old)) => {
                    return old.overwrite(&dir, bytes, mode).map_err(|_| e).map(|()| Written::InPlace);
                }
                _ => return Err(e),
            },
        };
        match rfs::renameat(&dir, &temporary[..], &dir, path.name()) {
            Ok(()) => {
                self.sync_now(path, &dir)?;
                Ok(Written::Atomically)
            }
            Err(e) => {
                discard(&dir, &temporary);
                match (e, &old) {
                    // A mount point can't be replaced: `docker run -v bundle.crt:/etc/ssl/certs/ca-certificates.crt`.
                    (Errno::BUSY | Errno::XDEV | Errno::TXTBSY, Some(old)) => {
                        old.overwrite(&dir, bytes, mode).map(|()| Written::InPlace)
                    }
                    _ => Err(e.into()),
                }
            }
        }
    }

    fn remove(&self, path: &TreePath) -> io::Result<()> {
        let dir = self.directory_above(path)?;
        rfs::unlinkat(&dir, path.name(), AtFlags::empty())?;
        self.sync_later(path, dir);
        Ok(())
    }

    fn link(&self, path: &TreePath, target: &[u8]) -> io::Result<()> {
        let dir = self.directory_above(path)?;
        let temporary = temporary_name()?;
        rfs::symlinkat(target, &dir, &temporary[..])?;
        if let Err(e) = rfs::renameat(&dir, &temporary[..], &dir, path.name()) {
            discard(&dir, &temporary);
            return Err(e.into());
        }
        self.sync_later(path, dir);
        Ok(())
    }

    fn rename(&self, path: &TreePath, to: &[u8]) -> io::Result<()> {
        let dir = self.directory_above(path)?;
        self.forget();
        match rename_with(&dir, path.name(), to, Rename::New) {
            // Some file systems (NFS, old FUSE ones) know no condition: the name is looked at before.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                if node_at(&dir, to).is_ok() {
                    return Err(Errno::EXIST.into());
                }
                rfs::renameat(&dir, path.name(), &dir, to)?;
            }
            done => done?,
        }
        Ok(sync_directory(&dir)?)
    }

    fn exchange(&self, path: &TreePath, with: &[u8]) -> io::Result<()> {
        let dir = self.directory_above(path)?;
        self.forget();
        rename_with(&dir, path.name(), with, Rename::Exchange)?;
        Ok(sync_directory(&dir)?)
    }

    fn set_owner(&self, path: &TreePath, uid: u32, gid: u32) -> io::Result<()> {
        let dir = self.directory_above(path)?;
        let (uid, gid) = (rfs::Uid::from_raw(uid), rfs::Gid::from_raw(gid));
        Ok(rfs::chownat(&dir, path.name(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn make_directory(&self, path: &TreePath, mode: u32) -> io::Result<()> {
        self.forget();
        let mut at = TreePath::root();
        for name in path.components() {
            let dir = self.directory(&at, PASS)?;
            match rfs::mkdirat(&dir, name, permissions(mode)) {
                Ok(()) => sync_directory(&self.directory(&at, OFlags::RDONLY)?)?,
                // A read-only file system answers EROFS before it looks whether the name is there.
                Err(e) => match node_at(&dir, name) {
                    Ok(Node { kind: NodeKind::Directory, .. }) => {}
                    Ok(_) => return Err(Errno::NOTDIR.into()),
                    Err(_) => return Err(e.into()),
                },
            }
            at = at.join(name);
        }
        Ok(())
    }

    fn lock(&self, path: &TreePath) -> io::Result<Box<dyn fmt::Debug>> {
        let dir = self.directory_above(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rfs::openat(&dir, path.name(), flags, Mode::from_raw_mode(0o600))?;
        rfs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(Guard(file)))
    }
}

/// A rename's condition.
enum Rename {
    /// Nothing has the new name.
    New,
    /// Both names are there, and are exchanged.
    Exchange,
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_with(dir: &OwnedFd, from: &[u8], to: &[u8], how: Rename) -> Result<(), Errno> {
    let flags = match how {
        Rename::New => rfs::RenameFlags::NOREPLACE,
        Rename::Exchange => rfs::RenameFlags::EXCHANGE,
    };
    rfs::renameat_with(dir, from, dir, to, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_with(_: &OwnedFd, _: &[u8], _: &[u8], _: Rename) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// A lock that is held.
#[derive(Debug)]
struct Guard(OwnedFd);

impl Drop for Guard {
    fn drop(&mut self) {
        // Closing would not do: a process that another thread is about to start holds a copy of the descriptor until its exec.
        let _ = rfs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// The file that a write replaces.
struct Old {
    name: Vec<u8>,
    stat: Stat,
    /// Open for reading, when that is allowed: extended attributes need it.
    file: Option<OwnedFd>,
}

impl Old {
    /// The regular file of this name; `None` for nothing and for a link, which is replaced as it is.
    fn find(dir: &OwnedFd, name: &[u8]) -> io::Result<Option<Old>> {
        let stat = match rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let file = rfs::openat(dir, name, flags, Mode::empty()).ok();
                Ok(Some(Old { name: name.to_vec(), stat, file }))
            }
            FileType::Symlink => Ok(None),
            FileType::Directory => Err(Errno::ISDIR.into()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "is a device, FIFO or socket")),
        }
    }

    /// Owner and group of the old file. A file that would change hands is not written: its readers may rely on the owner.
    fn give_owner(&self, file: &OwnedFd) -> io::Result<()> {
        let new = rfs::fstat(file)?;
        if (new.st_uid, new.st_gid) == (self.stat.st_uid, self.stat.st_gid) {
            return Ok(());
        }
        let (uid, gid) = (rfs::Uid::from_raw(self.stat.st_uid), rfs::Gid::from_raw(self.stat.st_gid));
        Ok(rfs::fchown(file, Some(uid), Some(gid))?)
    }

    /// SELinux label, ACL and the rest. What this user or this file system may not set is left out; signatures over the content
    /// (`security.ima`, `security.evm`) would be wrong for the new one.
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn give_attributes(&self, file: &OwnedFd) -> io::Result<()> {
        let Some(old) = &self.file else { return Ok(()) };
        let Ok(size) = rfs::flistxattr_query(old) else { return Ok(()) };
        let mut names = vec![0; size];
        let Ok(size) = rfs::flistxattr(old, &mut names) else { return Ok(()) };
        for name in names[..size].split(|b| *b == 0).filter(|n| !n.is_empty()) {
            if matches!(name, b"security.ima" | b"security.evm") {
                continue;
            }
            let Ok(size) = rfs::fgetxattr_query(old, name) else { continue };
            let mut value = vec![0; size];
            let Ok(size) = rfs::fgetxattr(old, name, &mut value) else { continue };
            match rfs::fsetxattr(file, name, &value[..size], rfs::XattrFlags::empty()) {
                Ok(()) | Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::INVAL) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn give_attributes(&self, _: &OwnedFd) -> io::Result<()> {
        Ok(())
    }

    /// Writes into the old file itself; when that fails midway, its former content is put back.
    fn overwrite(&self, dir: &OwnedFd, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rfs::openat(dir, &self.name[..], flags, Mode::empty())?;
        let size = regular(&rfs::fstat(&file)?, u64::MAX).map_err(io::Error::other)?;
        let former = read_all(&file, size, u64::MAX).map_err(io::Error::other)?;
        if let Err(e) = replace_content(&file, bytes) {
            replace_content(&file, &former)?;
            return Err(e);
        }
        if let Some(mode) = mode {
            rfs::fchmod(&file, permissions(mode))?;
        }
        Ok(())
    }
}

/// Some file systems (FUSE, old network ones) can't sync a directory and say so; there is nothing more to do then.
fn sync_directory(dir: &OwnedFd) -> Result<(), Errno> {
    match rfs::fsync(dir) {
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        answer => answer,
    }
}

/// Content from the beginning, then the end cut off: at no time is the file shorter than both.
fn replace_content(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    rfs::seek(file, SeekFrom::Start(0))?;
    write_all(file, bytes)?;
    rfs::ftruncate(file, bytes.len() as u64)?;
    Ok(rfs::fsync(file)?)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// At most `limit` bytes; `size` is what the file said it has.
/// [`Tree::read_listed`] in an open directory.
fn read_in(dir: &OwnedFd, name: &[u8], limit: u64) -> Result<(Vec<u8>, Node), ReadError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rfs::openat(dir, name, flags, Mode::empty()).map_err(missing)?;
    let stat = rfs::fstat(&file).map_err(missing)?;
    let size = regular(&stat, limit)?;
    Ok((read_all(&file, size, limit)?, node_of(&stat, Vec::new())))
}

/// [`Tree::link_nofollow`] in an open directory.
fn link_in(dir: &OwnedFd, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    // Nearly every target is short: it is read without a buffer on the heap.
    let mut short = [const { MaybeUninit::uninit() }; 512];
    match rfs::readlinkat_raw(dir.as_fd(), name, &mut short) {
        // One that fills the buffer may go on.
        Ok((_, [])) => Ok(Some(rfs::readlinkat(dir.as_fd(), name, Vec::new())?.into_bytes())),
        Ok((target, _)) => Ok(Some(target.to_vec())),
        // EINVAL is the answer for what is no link.
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn read_all(file: &OwnedFd, size: u64, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(64 << 10);
        }
        let room = bytes.capacity() - bytes.len();
        let n = match rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(e) => return Err(ReadError::Io(e.into())),
        };
        if bytes.len() as u64 > limit {
            return Err(ReadError::TooLarge(bytes.len() as u64));
        }
        // A read that falls short is the end of a regular file; those of /proc have size 0 and may pause.
        if n == 0 || (n < room && size > 0 && bytes.len() as u64 >= size) {
            return Ok(bytes);
        }
    }
}

fn missing(e: Errno) -> ReadError {
    if e == Errno::NOENT { ReadError::Missing } else { ReadError::Io(e.into()) }
}

fn listed(kind: FileType) -> Listed {
    match kind {
        FileType::Directory => Listed::Directory,
        FileType::RegularFile => Listed::File,
        FileType::Symlink => Listed::Link,
        _ => Listed::Unsaid,
    }
}

/// The size of what must be a regular file within the limit.
fn regular(stat: &Stat, limit: u64) -> Result<u64, ReadError> {
    match node_of(stat, Vec::new()).kind {
        NodeKind::File(size) if size > limit => Err(ReadError::TooLarge(size)),
        NodeKind::File(size) => Ok(size),
        NodeKind::Directory => Err(ReadError::NotAFile("directory")),
        NodeKind::Link(_) => Err(ReadError::NotAFile("link")),
        NodeKind::Other(what) => Err(ReadError::NotAFile(what)),
    }
}

/// What lies at one name in an open directory.
fn node_at(dir: &OwnedFd, name: &[u8]) -> Result<Node, Errno> {
    let stat = rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => rfs::readlinkat(dir.as_fd(), name, Vec::new())?.into_bytes(),
        _ => Vec::new(),
    };
    Ok(node_of(&stat, target))
}

#[expect(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the fields' types differ between systems")]
fn node_of(stat: &Stat, target: Vec<u8>) -> Node {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => NodeKind::File(u64::try_from(stat.st_size).unwrap_or(0)),
        FileType::Directory => NodeKind::Directory,
        FileType::Symlink => NodeKind::Link(target),
        FileType::Fifo => NodeKind::Other("FIFO"),
        FileType::Socket => NodeKind::Other("socket"),
        FileType::BlockDevice => NodeKind::Other("block device"),
        FileType::CharacterDevice => NodeKind::Other("character device"),
        FileType::Unknown => NodeKind::Other("node of unknown kind"),
    };
    Node { kind, mode: u32::from(stat.st_mode) & 0o7777, uid: stat.st_uid, gid: stat.st_gid, modified: At(stat.st_mtime as i64) }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as rfs::RawMode)
}

/// A name that nobody can have prepared a trap at.
fn temporary_name() -> io::Result<Vec<u8>> {
    let mut random = [0_u8; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let mut name = TEMPORARY_PREFIX.to_vec();
    name.extend_from_slice(format!("{:016x}", u64::from_be_bytes(random)).as_bytes());
    Ok(name)
}

/// Takes a temporary file away again; that this may fail too can't be helped, and the first error is the one that matters.
fn discard(dir: &OwnedFd, name: &[u8]) {
    let _ = rfs::unlinkat(dir, name, AtFlags::empty());
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn tree() -> (tempfile::TempDir, DirTree) {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = DirTree::new(dir.path()).expect("a tree");
        (dir, tree)
    }

    #[test]
    fn writes_keep_mode_and_attributes_and_leave_nothing_beside() {
        let (dir, tree) = tree();
        let file = dir.path().join("f");
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        let marked = rfs::setxattr(&file, "user.certdoctor", b"kept", rfs::XattrFlags::empty()).is_ok();
        assert_eq!(tree.write(&"/f".into(), b"new", None).expect("written"), Written::Atomically);
        assert_eq!(fs::read(&file).expect("read"), b"new");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o7777, 0o640);
        if marked {
            let mut value = [0; 4];
            assert_eq!(rfs::getxattr(&file, "user.certdoctor", &mut value), Ok(4));
            assert_eq!(&value, b"kept");
        } else {
            eprintln!("skipped: the file system keeps no extended attributes");
        }
        tree.write(&"/f".into(), b"third", Some(0o600)).expect("written");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o7777, 0o600);
        assert_eq!(tree.names_nofollow(&TreePath::root()).expect("listed"), [b"f".to_vec()]);
    }

    #[test]
    fn writing_over_a_link_replaces_the_link() {
        let (dir, tree) = tree();
        fs::write(dir.path().join("target"), "kept").expect("written");
        symlink("target", dir.path().join("l")).expect("linked");
        tree.write(&"/l".into(), b"own", None).expect("written");
        assert_eq!(fs::read(dir.path().join("target")).expect("read"), b"kept");
        assert!(!fs::symlink_metadata(dir.path().join("l")).expect("there").is_symlink());
        tree.link(&"/l".into(), b"elsewhere").expect("linked");
        assert_eq!(fs::read_link(dir.path().join("l")).expect("a link").as_os_str(), "elsewhere");
        assert!(tree.write(&TreePath::root(), b"", None).is_err());
        tree.remove(&"/l".into()).expect("removed");
        assert_eq!(tree.names_nofollow(&TreePath::root()).expect("listed"), [b"target".to_vec()]);
    }

    #[test]
    fn changes_never_go_through_a_link() {
        let (dir, tree) = tree();
        let outside = tempfile::tempdir().expect("a directory");
        symlink(outside.path(), dir.path().join("out")).expect("linked");
        assert!(tree.write(&"/out/f".into(), b"x", None).is_err());
        assert!(tree.link(&"/out/f".into(), b"x").is_err());
        assert!(tree.make_directory(&"/out/d".into(), 0o755).is_err());
        assert!(tree.lock(&"/out/l".into()).is_err());
        assert_eq!(fs::read_dir(outside.path()).expect("listed").count(), 0);
    }

    #[test]
    fn the_lock_is_held_once() {
        let (_dir, tree) = tree();
        tree.make_directory(&"/run/lock".into(), 0o755).expect("made");
        tree.make_directory(&"/run/lock".into(), 0o755).expect("made before");
        let guard = tree.lock(&"/run/lock/x".into()).expect("locked");
        assert_eq!(tree.lock(&"/run/lock/x".into()).expect_err("held").kind(), io::ErrorKind::WouldBlock);
        drop(guard);
        tree.lock(&"/run/lock/x".into()).expect("free again");
    }

    #[test]
    fn works_the_same_without_openat2() {
        let (dir, tree) = tree();
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        fs::write(dir.path().join("a/b/f"), "x").expect("written");
        symlink("a", dir.path().join("l")).expect("linked");
        let slow = DirTree::new(dir.path()).expect("a tree");
        slow.without_openat2.store(true, Ordering::Relaxed);
        for path in ["/", "/a", "/a/b/f", "/l", "/l/b/f", "/a/b/f/x", "/a/none/x"] {
            let path = TreePath::from(path);
            let (fast, slow) = (tree.resolve(&path), slow.resolve(&path));
            assert_eq!(fast.expect("resolved"), slow.expect("resolved"), "{path}");
        }
        assert_eq!(slow.read(&"/l/b/f".into(), 10).expect("read").0, b"x");
        assert!(slow.read_nofollow(&"/l/b/f".into(), 10).is_err());
        assert_eq!(slow.names_nofollow(&TreePath::root()).expect("listed").concat(), b"al");
        slow.write(&"/a/b/g".into(), b"y", None).expect("written");
        assert_eq!(tree.read(&"/a/b/g".into(), 10).expect("read").0, b"y");
    }
}
