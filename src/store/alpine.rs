//! Alpine, Wolfi and Chainguard with the tool: `update-ca-certificates`, a C program (update-ca.c), and `c_rehash`.

use std::{collections::BTreeMap, io};

use super::{
    Kind,
    ca_certificates::{self, Family, Layout, Rules, family, full_directories, lines},
    deselect,
    draft::Draft,
    rehash,
};
use crate::{
    base::{Limits, TreePath},
    edit::Step,
    facts::{ConfLineKind, Store},
    host::{NodeKind, ReadError, Tree},
};

/// The C program's store.
pub const KIND: Kind = Kind {
    id: "alpine",
    title: "Alpine, Wolfi: ca-certificates",
    about: "/etc/ca-certificates.conf selects among the certificates below /usr/share/ca-certificates; every file in \
            /usr/local/share/ca-certificates is taken too, whatever its extension. update-ca-certificates makes from them the bundle \
            /etc/ssl/certs/ca-certificates.crt, a ca-cert-*.pem link for each beside it, and hash links to those. An anchor is taken out \
            by a `!` before its line. apk parks the package's new list in ca-certificates.conf.apk-new when this one was edited, so new \
            anchors must be merged from there.",
    load,
    distrust: |tree, store, certificate, _| deselect::distrust(tree, store, certificate, &deselect::ALPINE),
    refresh: |tree, _| refresh(tree, &Layout::standard()),
    // The tool has no options: it always does all.
    refresh_command: |_| Some(vec!["update-ca-certificates"]),
};

const RULES: Rules = Rules {
    kind: "alpine",
    title: "Alpine system store",
    line,
    takes_local: |name| !name.starts_with(b"."),
    recursive: false,
    // mkstemp("bundleXXXXXX")
    is_leftover: |name| name.len() == 12 && name.starts_with(b"bundle") && name[6..].iter().all(u8::is_ascii_alphanumeric),
};

fn load(tree: &dyn Tree) -> Option<Store> {
    (family(tree)? == Family::Alpine).then(|| ca_certificates::load(tree, &Layout::standard(), &RULES))
}

/// A line as `read_global_ca_list` takes it: nothing is trimmed, and the last one needs no newline.
fn line(text: &[u8], _ended: bool) -> ConfLineKind {
    match text {
        [] => ConfLineKind::Blank,
        [b'#', ..] => ConfLineKind::Comment,
        [b'!', name @ ..] => ConfLineKind::Deselected(name.to_vec()),
        name => ConfLineKind::Enabled(name.to_vec()),
    }
}

/// What `update-ca-certificates` would do to the tree, as edits.
///
/// # Errors
/// The operating system's, when the configuration can't be read: the tool would then empty the store, and that must not be planned
/// by mistake.
pub fn refresh(tree: &dyn Tree, layout: &Layout) -> io::Result<Vec<Step>> {
    let Ok(etc) = tree.resolve(&TreePath::new(&layout.etc)) else { return Ok(Vec::new()) };
    if !matches!(etc.node.map(|n| n.kind), Some(NodeKind::Directory)) {
        return Ok(Vec::new());
    }
    let etc = etc.path;
    let conf = match tree.read(&TreePath::new(&layout.conf), Limits::DEFAULT.file) {
        Ok((bytes, _)) => bytes,
        Err(ReadError::Io(e)) => return Err(e),
        Err(_) => Vec::new(),
    };
    let mut run = Run { draft: Draft::new(tree), bundle: Vec::new(), wanted: BTreeMap::new() };
    run.draft.look_ahead(&full_directories(tree, layout));
    for (span, _) in lines(&conf) {
        // An empty line is the directory itself (`asprintf("%s%s", CERTSDIR, line)`).
        if !matches!(conf[span.clone()], [b'#' | b'!', ..]) {
            run.take([&layout.certs, &b"/"[..], &conf[span]].concat());
        }
    }
    if let Ok(local) = tree.resolve(&TreePath::new(&layout.local)) {
        for name in tree.names_unsorted_nofollow(&local.path).unwrap_or_default() {
            if !name.starts_with(b".") {
                run.take([&layout.local, &b"/"[..], &name].concat());
            }
        }
    }
    run.update_links(layout, &etc);
    run.draft.write(etc.join(&layout.bundle), run.bundle, 0o644);
    rehash::run(&mut run.draft, &etc);
    Ok(run.draft.steps("update-ca-certificates"))
}

struct Run<'a> {
    draft: Draft<'a>,
    bundle: Vec<u8>,
    /// Target by name of the link; of two with one name the later counts (`hash_add` puts it in front).
    wanted: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Run<'_> {
    /// `proc_localglobaldir`
    fn take(&mut self, path: Vec<u8>) {
        if let Some(content) = self.draft.content(&TreePath::new(&path)) {
            self.bundle.extend_from_slice(&content);
        }
        // Written whether or not the file could be copied.
        self.bundle.push(b'\n');
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        self.wanted.insert(link_name(name), path);
    }

    /// `proc_etccertsdir`, and then the links that are not there yet. A file in the place of one stays.
    fn update_links(&mut self, layout: &Layout, etc: &TreePath) {
        for name in self.draft.names_nofollow(etc).unwrap_or_default() {
            let path = etc.join(&name);
            let Some(target) = self.draft.link_target(&path) else { continue };
            let below = |directory: &[u8]| target.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"));
            match self.wanted.get(&name) {
                Some(wanted) if *wanted != target => self.draft.link(path, wanted.clone()),
                None if !name.starts_with(b".") && (below(&layout.certs) || below(&layout.local)) => self.draft.remove(path),
                _ => {}
            }
        }
        for (name, target) in std::mem::take(&mut self.wanted) {
            let path = etc.join(name);
            if self.draft.node_nofollow(&path).ok().flatten().is_none() {
                self.draft.link(path, target);
            }
        }
    }
}

/// `ca-cert-NAME.pem`; a name that is nothing but `.crt` keeps it.
pub(super) fn link_name(name: &[u8]) -> Vec<u8> {
    let stem = name.strip_suffix(b".crt").filter(|stem| !stem.is_empty()).unwrap_or(name);
    [b"ca-cert-".to_vec(), super::debian::pem_name(stem)].concat()
}
