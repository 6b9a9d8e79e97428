//! Kinds of stores: one file is one kind, with everything about it — where it lies, how it is read, how one anchor is taken out, and
//! what its refresh tool makes.

pub mod alpine;
pub mod bundle_only;
pub mod ca_certificates;
pub mod cert_pem;
pub mod debian;
mod deselect;
mod doc;
mod draft;
mod edits;
pub mod hash_directory;
pub mod homebrew;
pub mod read;
mod rehash;
mod single_file;

use std::io;

pub use doc::markdown;

use crate::{
    edit::Step,
    facts::Store,
    host::{Remembered, Tree},
    x509::Certificate,
};

/// Every kind, sorted by identifier.
pub const ALL: &[&Kind] = &[&alpine::KIND, &bundle_only::KIND, &cert_pem::KIND, &debian::KIND, &homebrew::KIND];

/// Every store of a tree, in the order of [`ALL`]. The kinds ask for much the same, so what they see is remembered among them.
#[must_use]
pub fn load_all(tree: &dyn Tree) -> Vec<Store> {
    let tree = Remembered::new(tree);
    ALL.iter().filter_map(|kind| (kind.load)(&tree)).collect()
}

/// One kind of store.
pub struct Kind {
    /// Its identifier: `debian`.
    pub id: &'static str,
    /// Its name for people: `Debian, Ubuntu: ca-certificates`.
    pub title: &'static str,
    /// What is read, in one paragraph for `docs/stores.md`.
    pub about: &'static str,
    /// Recognises and loads the store; `None` when this tree has none of the kind. Never fails: what can't be read is a fact.
    pub load: fn(&dyn Tree) -> Option<Store>,
    /// The source edits that take one anchor out for good, in the way that survives upgrades. Reads the tree only.
    pub distrust: DistrustFn,
    /// What the refresh tool would do to the outputs of the tree as it is now, as edits: the same result byte for byte. Empty when nothing
    /// is generated or nothing would change.
    pub refresh: fn(&dyn Tree, fresh: bool) -> io::Result<Vec<Step>>,
    /// The refresh command of a live host, given whether stale links must be remade; `None` when nothing is generated.
    pub refresh_command: fn(fresh: bool) -> Option<Vec<&'static str>>,
}

/// What [`Kind::distrust`] is.
pub type DistrustFn = fn(&dyn Tree, &Store, &Certificate, &Distrust) -> Result<Vec<Step>, Refusal>;

/// How an anchor is to be taken out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distrust {
    /// Comment a section out instead of cutting it, where the format allows.
    pub comment_out: bool,
}

/// Why an anchor can't be taken out of a store by the tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {instead}")]
pub struct Refusal {
    /// What stands against it.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}
