//! A store that is one PEM file, kept by hand or replaced as a whole: its section is cut.

use super::{Distrust, Refusal, edits, read::Reader};
use crate::{
    base::{Limits, TreePath},
    edit::{Applicability, Edit, Step},
    facts::{CertFile, Store, Upkeep},
    format::section,
    host::{NodeKind, Tree},
    x509::Certificate,
};

/// The store of the regular file at `path`; `None` when there is none, or a link in its place.
#[must_use]
pub fn load(tree: &dyn Tree, path: &str, kind: &'static str, title: &str, upkeep: Upkeep) -> Option<Store> {
    let path = TreePath::from(path);
    let place = edits::place(tree, &path);
    let node = tree.node_nofollow(&place).ok().flatten()?;
    if matches!(node.kind, NodeKind::Link(_) | NodeKind::Directory) {
        return None;
    }
    let bundle = Some(Reader::new(tree).bundle(&path));
    Some(Store {
        kind,
        title: title.to_owned(),
        location: path,
        upkeep,
        configuration: None,
        sources: Vec::new(),
        bundle,
        directory: None,
        derived: Vec::new(),
        unread: None,
        leftovers: Vec::new(),
        seen: Default::default(),
    })
}

/// Cuts the certificate's section, or comments it out.
///
/// # Errors
/// [`Refusal`] when the file can't be read or does not hold the certificate.
pub fn distrust(tree: &dyn Tree, store: &Store, certificate: &Certificate, how: &Distrust) -> Result<Vec<Step>, Refusal> {
    let Some(bundle) = &store.bundle else {
        return Err(refusal(format!("{} has no bundle", store.location), "name the file with --CAfile"));
    };
    Ok(vec![cut(tree, bundle, certificate, how)?])
}

/// The step that takes a certificate out of one PEM file.
///
/// # Errors
/// As [`distrust`].
pub fn cut(tree: &dyn Tree, file: &CertFile, certificate: &Certificate, how: &Distrust) -> Result<Step, Refusal> {
    if let Some(why) = edits::unreadable(file) {
        return Err(refusal(why, "repair the file first"));
    }
    let (bytes, _) = tree
        .read_nofollow(&file.real, Limits::DEFAULT.file)
        .map_err(|e| refusal(format!("{}: {e}", file.real), "repair the file first"))?;
    let unwanted = |c: &Certificate| c == certificate;
    let left = if how.comment_out { section::comment_out(&bytes, unwanted) } else { section::cut(&bytes, unwanted) };
    let name = edits::name_of(certificate);
    let Some(left) = left else {
        return Err(refusal(format!("{} has no section of {name}", file.path), "look whether it changed meanwhile"));
    };
    let verb = if how.comment_out { "comment out" } else { "cut" };
    let summary = format!("{verb} the section of {name}");
    Ok(edits::step(tree, Edit::Write { path: file.real.clone(), bytes: left, mode: None }, Applicability::Auto, summary))
}

fn refusal(why: String, instead: &str) -> Refusal {
    Refusal { why, instead: instead.to_owned() }
}
