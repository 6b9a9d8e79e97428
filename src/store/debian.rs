//! Debian, Ubuntu and their kin: `update-ca-certificates`, a shell script.

use super::{
    Kind,
    ca_certificates::{self, Family, Layout, Rules, family},
};
use crate::{
    facts::{ConfLineKind, Store},
    host::Tree,
};

const RULES: Rules = Rules {
    kind: "debian",
    title: "Debian system store",
    line,
    takes_local: |name| name.ends_with(b".crt"),
    recursive: true,
    is_leftover: |name| name == b"ca-certificates.crt.new",
};

fn load(tree: &dyn Tree) -> Option<Store> {
    (family(tree)? == Family::Debian).then(|| ca_certificates::load(tree, &Layout::standard(), &RULES))
}

/// A line as the script's `sed` and `read` take it: blanks at both ends don't count, and a last line without newline is never seen.
fn line(text: &[u8], ended: bool) -> ConfLineKind {
    let trim = |text: &[u8]| {
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let start = text.iter().take_while(|b| blank(b)).count();
        let end = text.len() - text[start..].iter().rev().take_while(|b| blank(b)).count();
        text[start..end].to_vec()
    };
    match text {
        [] => ConfLineKind::Blank,
        [b'#', ..] => ConfLineKind::Comment,
        _ if !ended => ConfLineKind::Unseen(text.to_vec()),
        [b'!', name @ ..] => ConfLineKind::Deselected(trim(name)),
        _ => match trim(text) {
            name if name.is_empty() => ConfLineKind::Blank,
            name => ConfLineKind::Enabled(name),
        },
    }
}

/// The shell script's store.
pub const KIND: Kind = Kind {
    id: "debian",
    title: "Debian, Ubuntu: ca-certificates",
    about: "",
    load,
    distrust: |_, _, _, _| Ok(Vec::new()),
    refresh: |_, _| Ok(Vec::new()),
    refresh_command: |_| Some(vec!["update-ca-certificates"]),
};
