//! What the stores must look like after a plan, and how what is found differs: the proof, in place of an exit status.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Removal;
use crate::{
    base::{Fingerprint, TreePath},
    facts::{Anchor, FileState, Role, Store},
    x509::Certificate,
};

/// The stores as they are to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    stores: Vec<Expected>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    kind: &'static str,
    location: TreePath,
    /// Every anchor that a source or output holds.
    anchors: BTreeSet<Certificate>,
    /// Those that only a derived store (Java's) holds: a refresh by hooks may or may not take them along.
    derived: BTreeSet<Certificate>,
    /// What each output shows: an anchor that stays in the sources may be lost to those who read only the bundle, or only the directory.
    shown: BTreeMap<Role, Shown>,
    /// How many certificates the bundle holds, doubles counted.
    bundle: Option<usize>,
    /// Links that lead nowhere already.
    dangling: BTreeSet<TreePath>,
}

/// What one output shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    location: TreePath,
    anchors: BTreeSet<Certificate>,
}

/// One difference from the expectation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deviation {
    /// An anchor is there that nobody wanted.
    Added {
        /// The store's place.
        store: TreePath,
        /// Which.
        fingerprint: Fingerprint,
        /// Its label.
        label: String,
    },
    /// The bundle holds another number of certificates.
    Count {
        /// The store's place.
        store: TreePath,
        /// How many were expected; `None` for no bundle.
        expected: Option<usize>,
        /// How many there are.
        found: Option<usize>,
    },
    /// A link leads nowhere that led somewhere before, or was not there.
    Dangling {
        /// Which.
        path: TreePath,
    },
    /// An anchor is gone that was to stay.
    Lost {
        /// The store's place, or that of the one output which lost it.
        store: TreePath,
        /// Which.
        fingerprint: Fingerprint,
        /// Its label.
        label: String,
    },
    /// An anchor that was to go is still there.
    StillTrusted {
        /// Where.
        path: TreePath,
        /// Which.
        fingerprint: Fingerprint,
        /// Its label.
        label: String,
    },
    /// The store is not found any more.
    StoreGone {
        /// Its place.
        store: TreePath,
    },
}

impl Expectation {
    /// Exactly these stores.
    #[must_use]
    pub fn of(stores: &[Store]) -> Self {
        Expectation { stores: stores.iter().map(Expected::of).collect() }
    }

    /// Whether `after` is as expected. `removed` only tells the two meanings of an unexpected anchor apart.
    ///
    /// # Errors
    /// Every difference, sorted.
    pub fn check(&self, after: &[Store], removed: &[Removal]) -> Result<(), Vec<Deviation>> {
        let mut deviations = BTreeSet::new();
        for expected in &self.stores {
            let store = &expected.location;
            let Some(found) = after.iter().find(|s| s.kind == expected.kind && s.location == *store) else {
                deviations.insert(Deviation::StoreGone { store: store.clone() });
                continue;
            };
            for anchor in found.anchors() {
                let certificate = &anchor.certificate;
                if expected.anchors.contains(certificate) || is_derived(anchor) && expected.derived.contains(certificate) {
                    continue;
                }
                let (fingerprint, label) = (certificate.fingerprint(), certificate.label());
                let wanted_out = removed.iter().any(|r| r.certificate == anchor.certificate && r.store == expected.kind);
                deviations.insert(match anchor.origins.first() {
                    Some(origin) if wanted_out => Deviation::StillTrusted { path: origin.path.clone(), fingerprint, label },
                    _ => Deviation::Added { store: store.clone(), fingerprint, label },
                });
            }
            let is = Expected::of(found);
            deviations.extend(expected.anchors.difference(&is.anchors).map(|c| lost(store, c)));
            for (role, shown) in &expected.shown {
                let still = |c: &Certificate| is.shown.get(role).is_some_and(|s| s.anchors.contains(c));
                let gone = shown.anchors.iter().filter(|c| is.anchors.contains(c) && !still(c));
                deviations.extend(gone.map(|c| lost(&shown.location, c)));
            }
            if is.bundle != expected.bundle {
                deviations.insert(Deviation::Count { store: store.clone(), expected: expected.bundle, found: is.bundle });
            }
            deviations.extend(is.dangling.difference(&expected.dangling).map(|path| Deviation::Dangling { path: path.clone() }));
        }
        if deviations.is_empty() { Ok(()) } else { Err(deviations.into_iter().collect()) }
    }
}

/// Whether `after` is `before` without `removed`, and nothing else: removed as intended, nothing added, no new dangling link, the
/// bundle's count as it follows.
///
/// # Errors
/// Every difference, sorted.
pub fn compare(before: &[Store], after: &[Store], removed: &[Removal]) -> Result<(), Vec<Deviation>> {
    let mut expectation = Expectation::of(before);
    for (expected, store) in expectation.stores.iter_mut().zip(before) {
        let here = removed.iter().filter(|r| r.store == store.kind && r.location == store.location);
        let gone: BTreeSet<&Certificate> = here.map(|r| &r.certificate).collect();
        expected.anchors.retain(|c| !gone.contains(c));
        for shown in expected.shown.values_mut() {
            shown.anchors.retain(|c| !gone.contains(c));
        }
        expected.bundle =
            store.bundle.as_ref().filter(|b| b.is_read()).map(|b| b.certificates().filter(|(_, c)| !gone.contains(c)).count());
    }
    expectation.check(after, removed)
}

impl Expected {
    fn of(store: &Store) -> Self {
        let all = store.anchors();
        let those = |which: &dyn Fn(&Anchor) -> bool| -> BTreeSet<Certificate> {
            all.iter().filter(|a| which(a)).map(|a| a.certificate.clone()).collect()
        };
        Expected {
            kind: store.kind,
            location: store.location.clone(),
            anchors: those(&|a| !is_derived(a)),
            derived: those(&is_derived),
            shown: shown(store),
            bundle: store.bundle.as_ref().filter(|b| b.is_read()).map(|b| b.certificates().count()),
            dangling: store
                .directory
                .iter()
                .flat_map(|d| &d.entries)
                .filter(|e| e.link.is_some() && e.file.state == FileState::Missing)
                .map(|e| e.file.path.clone())
                .collect(),
        }
    }
}

/// The anchors of the bundle, of the names in the directory, and of its hash links.
fn shown(store: &Store) -> BTreeMap<Role, Shown> {
    let bundle = store.bundle.as_ref().map(|b| (Role::Bundle, b.path.clone()));
    let directory = store.directory.iter().flat_map(|d| [Role::Directory, Role::HashLink].map(|role| (role, d.path.clone())));
    let mut outputs: BTreeMap<Role, Shown> = bundle
        .into_iter()
        .chain(directory)
        .map(|(role, location)| (role, Shown { location, anchors: BTreeSet::new() }))
        .collect();
    for anchor in store.anchors() {
        for origin in &anchor.origins {
            if let Some(shown) = outputs.get_mut(&origin.role) {
                shown.anchors.insert(anchor.certificate.clone());
            }
        }
    }
    outputs
}

fn lost(store: &TreePath, certificate: &Certificate) -> Deviation {
    Deviation::Lost { store: store.clone(), fingerprint: certificate.fingerprint(), label: certificate.label() }
}

fn is_derived(anchor: &Anchor) -> bool {
    anchor.origins.iter().all(|o| o.role == Role::Derived)
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: &Option<usize>| n.map_or("no bundle".to_owned(), |n| format!("{n} certificates"));
        match self {
            Deviation::Added { store, fingerprint, label } => {
                write!(f, "{store} now trusts {label} ({})", fingerprint.short())
            }
            Deviation::Count { store, expected, found } => {
                write!(f, "{store} has {} instead of {}", count(found), count(expected))
            }
            Deviation::Dangling { path } => write!(f, "the link {path} leads nowhere now"),
            Deviation::Lost { store, fingerprint, label } => {
                write!(f, "{store} lost {label} ({}), which was to stay", fingerprint.short())
            }
            Deviation::StillTrusted { path, fingerprint, label } => {
                write!(f, "{label} ({}) is still trusted through {path}", fingerprint.short())
            }
            Deviation::StoreGone { store } => write!(f, "the store {store} is gone"),
        }
    }
}
