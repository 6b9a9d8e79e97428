//! Alpine, Wolfi and Chainguard with the tool: `update-ca-certificates`, a C program.

use super::{
    Kind,
    ca_certificates::{self, Family, Layout, Rules, family},
};
use crate::{
    facts::{ConfLineKind, Store},
    host::Tree,
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

/// The C program's store.
pub const KIND: Kind = Kind {
    id: "alpine",
    title: "Alpine, Wolfi: ca-certificates",
    about: "",
    load,
    distrust: |_, _, _, _| Ok(Vec::new()),
    refresh: |_, _| Ok(Vec::new()),
    refresh_command: |_| Some(vec!["update-ca-certificates"]),
};
