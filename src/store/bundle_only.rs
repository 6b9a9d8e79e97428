//! Images with Debian's or Alpine's bundle but without the tool that makes it: distroless, Alpine and Wolfi base images.

use super::{
    Distrust, Kind, Refusal,
    ca_certificates::{Layout, family, holds},
    edits, hash_directory,
    read::Reader,
    single_file,
};
use crate::{
    base::TreePath,
    edit::{Applicability, Step},
    facts::{Store, Upkeep},
    host::Tree,
    x509::Certificate,
};

/// One regular file, and whatever lies beside it.
pub const KIND: Kind = Kind {
    id: "bundle-only",
    title: "images with the bundle only: distroless, Alpine and Wolfi base images",
    about: "The regular file /etc/ssl/certs/ca-certificates.crt in a tree that has neither /etc/ca-certificates.conf nor the \
            certificates that it would be made from. The bundle is cut, and hash links of the certificate beside it go too. The next \
            image, or an upgrade of ca-certificates-bundle, brings its own bundle: a newer base image is the better remedy.",
    load,
    distrust,
    refresh: |_, _| Ok(Vec::new()),
    refresh_command: |_| None,
};

fn load(tree: &dyn Tree) -> Option<Store> {
    if family(tree).is_some() {
        return None;
    }
    let path = "/etc/ssl/certs/ca-certificates.crt";
    let has_apk = tree.exists(&"/lib/apk/db/installed".into()) || tree.exists(&"/usr/lib/apk/db/installed".into());
    let by = if has_apk { "ca-certificates-bundle" } else { "the image" };
    let mut store = single_file::load(tree, path, KIND.id, "bundle of the image", Upkeep::Owned { by: by.to_owned() })?;
    let etc = TreePath::new(Layout::standard().etc);
    let directory = hash_directory::load(&mut Reader::new(tree), &etc);
    store.directory = directory.filter(|d| d.entries.iter().any(|e| e.hash.is_some()));
    Some(store)
}

fn distrust(tree: &dyn Tree, store: &Store, certificate: &Certificate, how: &Distrust) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    if store.bundle.as_ref().is_some_and(|b| holds(b, certificate)) {
        steps.extend(single_file::distrust(tree, store, certificate, how)?);
    }
    let bundle = store.bundle.as_ref().map(|b| b.real.clone());
    let is_bundle = |real: &TreePath| bundle.as_ref() == Some(real);
    let summary = format!("unlink {}", edits::name_of(certificate));
    steps.extend(edits::unlink(
        tree,
        store,
        |entry| (!is_bundle(&entry.file.real) && holds(&entry.file, certificate)).then_some(Applicability::Auto),
        &summary,
    ));
    if steps.is_empty() {
        let why = format!("{} is not in {}", edits::name_of(certificate), store.location);
        return Err(Refusal { why, instead: "look whether it changed meanwhile".to_owned() });
    }
    Ok(steps)
}
