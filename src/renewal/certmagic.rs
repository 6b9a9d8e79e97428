//! CertMagic, the library that obtains and renews inside Caddy and other Go servers.
//!
//! It has no renewal configuration: everything is in its storage. One damaged file there keeps a server from starting, or a renewal
//! waiting for ever.

mod log;
mod places;
mod storage;

use std::collections::BTreeSet;

use super::{Host, Manager};
use crate::{
    base::TreePath,
    facts::{
        Renewal,
        renewal::{
            Ask, CertMagic, Lineage,
            certmagic::{Site, Storage},
        },
    },
    host::Exec,
};

pub(super) static MANAGER: Manager = Manager {
    id: "certmagic",
    title: "CertMagic (Caddy)",
    about: "The storage directories `certificates`, `acme` and `locks`: in the data directory of every user's home \
            (`.local/share/caddy`, `.local/share/certmagic`), in that of a running Caddy's `HOME` and `XDG_DATA_HOME`, in `/data/caddy` \
            (the container image), and where a Caddyfile or JSON configuration in `/etc/caddy` or the saved `autosave.json` names one. Of a \
            private key only the public half is compared with the certificate. Of JSON logs in `/var/log/caddy` the last 4 MiB are read. A \
            suspicious lock that was changed a moment ago is looked at twice. Storages in databases (Consul, Redis, S3) are not read.",
    gather,
    asks,
    accepts,
    reload: |_, _, _| Ok(false),
};

fn gather(host: &Host<'_>, renewal: &mut Renewal) {
    let mut found = CertMagic { log: log::read(host.tree), ..CertMagic::default() };
    let (places, unread) = places::find(host.tree, &renewal.processes);
    found.unread = unread;
    let mut left = storage::FOLDERS;
    for place in places {
        let path = place.path.clone();
        match storage::read(host, place, &mut left) {
            Ok(Some(storage)) => found.storages.push(storage),
            Ok(None) => {}
            Err(why) => found.unread.push((path, why)),
        }
    }
    storage::look_again(host, &mut found.storages);
    found.storages.sort_by(|a, b| a.path.cmp(&b.path));
    let mut taken = BTreeSet::new();
    for storage in &found.storages {
        renewal.lineages.extend(lineages(storage, &mut taken));
    }
    renewal.certmagic = found;
}

/// One lineage for each site. A site that several CAs have a folder for is several.
fn lineages(storage: &Storage, taken: &mut BTreeSet<String>) -> Vec<Lineage> {
    let lineage = |site: &Site| {
        let names = [site.name.clone(), format!("{} ({})", site.name, site.ca), site.path.to_string()];
        let name = names.iter().find(|name| !taken.contains(*name)).unwrap_or(&names[2]).clone();
        taken.insert(name.clone());
        let chain = site.certificate.content.clone().unwrap_or_default();
        Lineage { manager: MANAGER.id, name, path: site.certificate.path.clone(), chain }
    };
    storage.sites.iter().map(lineage).collect()
}

/// Who answers a validation by TLS-ALPN is asked for every manager at once ([`super::tls_alpn`]).
fn asks(_: &Renewal) -> Vec<Ask> {
    Vec::new()
}

/// A storage is in order when it can be read; that no check finds anything in it is looked at anyway.
fn accepts(_: &Host<'_>, _: &dyn Exec, _: &[TreePath]) -> Result<(), String> {
    Ok(())
}
