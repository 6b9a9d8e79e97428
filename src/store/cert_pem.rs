//! `/etc/ssl/cert.pem` of LibreSSL: OpenBSD, macOS, and whoever carries LibreSSL's list.

use super::{Kind, single_file};
use crate::{
    facts::{Store, Upkeep},
    host::Tree,
};

/// One regular file with all anchors.
pub const KIND: Kind = Kind {
    id: "cert-pem",
    title: "cert.pem of LibreSSL: macOS, OpenBSD",
    about: "The regular file /etc/ssl/cert.pem, which LibreSSL reads: /usr/bin/curl, Ruby and Python of macOS, everything on OpenBSD. \
            Nothing generates it; an anchor is taken out by cutting its section, with its heading when it was the only one of its \
            organisation. An update of the system brings the file of the new version. A link in its place belongs to another store.",
    load,
    distrust: single_file::distrust,
    refresh: |_, _| Ok(Vec::new()),
    refresh_command: |_| None,
};

fn load(tree: &dyn Tree) -> Option<Store> {
    let is_mac = tree.exists(&"/System/Library/CoreServices/SystemVersion.plist".into());
    let is_openbsd = tree.exists(&"/bsd".into());
    let upkeep = match (is_mac, is_openbsd) {
        (true, _) => Upkeep::Owned { by: "macOS updates".to_owned() },
        (_, true) => Upkeep::Owned { by: "OpenBSD upgrades".to_owned() },
        _ => Upkeep::ByHand,
    };
    single_file::load(tree, "/etc/ssl/cert.pem", KIND.id, "LibreSSL's cert.pem", upkeep)
}
