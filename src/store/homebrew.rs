//! Homebrew's `ca-certificates`, below each of its prefixes.

use super::{Kind, single_file};
use crate::{
    facts::{Store, Upkeep},
    host::Tree,
};

/// One regular file in curl's style.
pub const KIND: Kind = Kind {
    id: "homebrew",
    title: "Homebrew: ca-certificates",
    about: "The regular file etc/ca-certificates/cert.pem (or etc/openssl@3/cert.pem, where that is no link to it) below \
            /opt/homebrew, /usr/local or /home/linuxbrew/.linuxbrew. Homebrew writes it when the package is installed, from Mozilla's \
            list and the keychains; `brew postinstall ca-certificates` writes it anew, so a cut section comes back if its anchor is \
            still in one of them.",
    load,
    distrust: single_file::distrust,
    refresh: |_, _| Ok(Vec::new()),
    refresh_command: |_| None,
};

/// The default prefixes: Apple silicon, Intel, Linux.
const PREFIXES: [&str; 3] = ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"];

fn load(tree: &dyn Tree) -> Option<Store> {
    PREFIXES.iter().find_map(|prefix| {
        ["ca-certificates", "openssl@3"].iter().find_map(|package| {
            let path = format!("{prefix}/etc/{package}/cert.pem");
            let upkeep = Upkeep::Owned { by: "Homebrew's ca-certificates".to_owned() };
            single_file::load(tree, &path, KIND.id, "Homebrew's cert.pem", upkeep)
        })
    })
}
