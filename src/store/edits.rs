//! Steps with the preconditions of what was read, and what taking one certificate out of a hash directory needs.

use std::collections::BTreeMap;

use crate::{
    base::{Fingerprint, TreePath},
    edit::{Applicability, Edit, Precondition, Step},
    facts::{CertFile, DirectoryEntry, FileState, Store},
    host::{NodeKind, Tree},
    x509::Certificate,
};

/// The path with every directory resolved and the last name as it is: what an edit may be made at.
#[must_use]
pub fn place(tree: &dyn Tree, path: &TreePath) -> TreePath {
    match tree.resolve(&path.parent()) {
        Ok(above) => above.path.join(path.name()),
        Err(_) => path.clone(),
    }
}

/// A step on `edit`'s path as it is now in `tree`.
#[must_use]
pub fn step(tree: &dyn Tree, edit: Edit, applicability: Applicability, summary: String) -> Step {
    let precondition = edit.path().map_or(Precondition::None, |path| found(tree, path));
    Step { edit, precondition, because: Vec::new(), applicability, summary, generated: false }
}

/// What lies at `path` now, as a precondition.
#[must_use]
pub fn found(tree: &dyn Tree, path: &TreePath) -> Precondition {
    match tree.node_nofollow(path).ok().flatten().map(|n| n.kind) {
        Some(NodeKind::Link(target)) => Precondition::Link(target),
        Some(NodeKind::File(_)) => match tree.read_nofollow(path, u64::MAX) {
            Ok((bytes, _)) => Precondition::Content(Fingerprint::of(&bytes)),
            Err(_) => Precondition::None,
        },
        Some(_) => Precondition::None,
        None => Precondition::Absent,
    }
}

/// The name that people know a certificate by.
#[must_use]
pub fn name_of(certificate: &Certificate) -> String {
    certificate.subject().label()
}

/// Takes the names that `goes` picks out of the hash directory, and every `hash.N` link that leads to them. The numbers of a hash must
/// have no gap (`by_dir.c` stops at the first that is missing), so the last one moves into it.
#[must_use]
pub fn unlink(
    tree: &dyn Tree,
    store: &Store,
    goes: impl Fn(&DirectoryEntry) -> Option<Applicability>,
    summary: &str,
) -> Vec<Step> {
    let Some(directory) = &store.directory else { return Vec::new() };
    let picked: BTreeMap<&[u8], Applicability> =
        directory.entries.iter().filter(|e| e.hash.is_none()).filter_map(|e| Some((&e.name[..], goes(e)?))).collect();
    let of_picked = |entry: &DirectoryEntry| {
        let target = entry.link.as_deref()?;
        picked.get(target.strip_prefix(b"./").unwrap_or(target)).copied().or_else(|| {
            let (place, _) = entry.file.links.get(1)?;
            (place.parent() == directory.real).then(|| picked.get(place.name()).copied())?
        })
    };
    let mut edits: Vec<(Edit, Applicability)> = Vec::new();
    for (name, applicability) in &picked {
        edits.push((Edit::Remove { path: directory.real.join(name) }, *applicability));
    }
    let mut by_hash: BTreeMap<u32, BTreeMap<u32, &DirectoryEntry>> = BTreeMap::new();
    for entry in &directory.entries {
        if let Some((hash, number)) = entry.hash {
            by_hash.entry(hash).or_default().insert(number, entry);
        }
    }
    for numbers in by_hash.values_mut() {
        let gone: Vec<(u32, Applicability)> = numbers
            .iter()
            .filter_map(|(n, e)| Some((*n, of_picked(e).or_else(|| e.link.is_none().then(|| goes(e)).flatten())?)))
            .collect();
        for (hole, applicability) in gone.into_iter().rev() {
            let Some(entry) = numbers.remove(&hole) else { continue };
            let path = directory.real.join(&entry.name);
            let last = numbers.last_key_value().map(|(n, e)| (*n, *e)).filter(|(n, e)| *n > hole && e.link.is_some());
            match last {
                Some((n, moved)) => {
                    edits.push((Edit::Link { path, target: moved.link.clone().unwrap_or_default() }, applicability));
                    edits.push((Edit::Remove { path: directory.real.join(&moved.name) }, applicability));
                    numbers.remove(&n);
                }
                None => edits.push((Edit::Remove { path }, applicability)),
            }
        }
    }
    edits.into_iter().map(|(edit, applicability)| step(tree, edit, applicability, summary.to_owned())).collect()
}

/// The state of a file for people, when it could not be read.
#[must_use]
pub fn unreadable(file: &CertFile) -> Option<String> {
    match &file.state {
        FileState::Read { .. } => None,
        FileState::Missing => Some(format!("{} is missing", file.path)),
        FileState::NotAFile(what) => Some(format!("{} is a {what}", file.path)),
        FileState::TooLarge(size) => Some(format!("{} has {size} bytes, more than is read", file.path)),
        FileState::Unreadable(why) => Some(format!("{}: {why}", file.path)),
    }
}
