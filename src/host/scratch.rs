//! A private directory for the demo, gone when it is dropped.
#![expect(clippy::disallowed_methods, reason = "where this process stands")]

use std::{
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// A directory under the system's temporary directory that only this user can read.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Self> {
        tempfile::Builder::new().prefix("certdoctor-demo-").tempdir().map(Scratch)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The directory that relative file names count from.
///
/// # Errors
/// The operating system's.
fn current_directory() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// A path of the host as a path of the tree whose root is `/`.
///
/// # Errors
/// The operating system's, for a relative path in a directory that is gone.
pub fn on_this_host(path: &Path) -> io::Result<crate::base::TreePath> {
    let absolute = if path.is_absolute() { path.to_path_buf() } else { current_directory()?.join(path) };
    // `..` is left to the kernel's meaning (after links), so it is kept until the tree resolves it.
    Ok(crate::base::TreePath::new(absolute.as_os_str().as_bytes()))
}
