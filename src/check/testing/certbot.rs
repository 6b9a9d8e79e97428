//! A host with certbot, in memory, read by the real readers.

use std::collections::BTreeMap;

use super::World;
use crate::{
    base::At,
    edit::Change,
    finding::{Intent, Remedy},
    host::{LiveDial, NodeKind, Tree as _, memory::MemoryTree},
    renewal::{Host, gather},
};

pub(in crate::check) type Tree = MemoryTree;

pub(in crate::check) const CONF: &str = "/etc/letsencrypt/renewal/a.test.conf";

pub(in crate::check) const LOG: &str = "/var/log/letsencrypt/letsencrypt.log";

pub(in crate::check) const TIMER_LINK: &str = "/etc/systemd/system/timers.target.wants/certbot.timer";

/// A regular file, for [`MemoryTree::put`].
pub(in crate::check) const FILE: NodeKind = NodeKind::File(1);

/// As certbot 2.1 writes it for webroot with a deploy hook.
pub(in crate::check) const RENEWAL_CONF: &str = "\
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/a.test
cert = /etc/letsencrypt/live/a.test/cert.pem
privkey = /etc/letsencrypt/live/a.test/privkey.pem
chain = /etc/letsencrypt/live/a.test/chain.pem
fullchain = /etc/letsencrypt/live/a.test/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 0123abcd
server = https://acme-v02.api.letsencrypt.org/directory
authenticator = webroot
key_type = ecdsa
renew_hook = nginx -t && systemctl reload nginx
[[webroot_map]]
a.test = /srv/acme
";

const STATUS: &str = "Package: certbot\nStatus: install ok installed\nVersion: 2.1.0-4\n\n";

const ENTRIES: &str = "[certbot.plugins]\nwebroot = a:B\nnginx = c:D\n";

const NGINX: &str =
    "server {\n    listen 80;\n    server_name a.test;\n    location ^~ /.well-known/acme-challenge/ { root /srv/acme; }\n}\n";

impl World {
    /// A Debian 12 host with certbot 2.1, nginx and a timer on which all is well, 57 days before its certificate expires; `change` is made
    /// before it is looked at.
    pub(in crate::check) fn renewing(change: impl FnOnce(&MemoryTree)) -> World {
        let mut world = World::at(super::LAB);
        let tree = MemoryTree::new();
        tree.file("/usr/lib/systemd/systemd", "x");
        tree.file(
            "/usr/lib/systemd/system/certbot.timer",
            "[Timer]\nOnCalendar=*-*-* 00,12:00:00\nPersistent=true\n[Install]\nWantedBy=timers.target\n",
        );
        tree.file("/usr/lib/systemd/system/certbot.service", "[Service]\nExecStart=/usr/bin/certbot -q renew\n");
        tree.symlink(TIMER_LINK, "/usr/lib/systemd/system/certbot.timer");
        tree.file("/usr/bin/certbot", "#!/usr/bin/python3\n");
        tree.file("/var/lib/dpkg/status", STATUS);
        tree.file("/usr/lib/python3/dist-packages/certbot-2.1.0.egg-info/entry_points.txt", ENTRIES);
        tree.file("/etc/nginx/nginx.conf", "events {}\nhttp { include conf.d/*.conf; }\n");
        tree.file("/etc/nginx/conf.d/a.conf", NGINX);
        tree.file("/etc/letsencrypt/accounts/acme-v02.api.letsencrypt.org/directory/0123abcd/regr.json", "{}");
        tree.file(CONF, RENEWAL_CONF);
        lineage(&tree, "2026-10-20", 90);
        change(&tree);
        let host = Host {
            tree: &tree,
            dial: &LiveDial::default(),
            live: false,
            public: false,
            at: world.at,
            now: world.at,
            timeout: 1,
            jobs: 1,
        };
        world.facts.renewal = Some(gather(&host));
        world
    }
}

/// Version 1 of `a.test`, valid from this day on for so many days, with its links.
pub(in crate::check) fn lineage(tree: &MemoryTree, from: &str, days: i64) {
    lineage_for(tree, &["a.test"], from, days);
}

/// As [`lineage`], with these names.
pub(in crate::check) fn lineage_for(tree: &MemoryTree, names: &[&str], from: &str, days: i64) {
    let (leaf, chain) = issued_at(names, At::parse(from).expect("a day"), days);
    for (kind, content) in
        [("cert", leaf.clone()), ("privkey", "(not read)\n".into()), ("chain", chain.clone()), ("fullchain", leaf + &chain)]
    {
        tree.file(format!("/etc/letsencrypt/archive/a.test/{kind}1.pem").as_str(), content);
        tree.symlink(format!("/etc/letsencrypt/live/a.test/{kind}.pem").as_str(), format!("../../archive/a.test/{kind}1.pem"));
    }
}

/// Plain files in `live` instead of links, with a certificate that the archive does not have.
pub(in crate::check) fn copied(tree: &MemoryTree, from: &str, days: i64) {
    let (leaf, chain) = issued_at(&["a.test"], At::parse(from).expect("a day"), days);
    for (kind, content) in
        [("cert", leaf.clone()), ("privkey", "(not read)\n".into()), ("chain", chain.clone()), ("fullchain", leaf + &chain)]
    {
        let path = format!("/etc/letsencrypt/live/a.test/{kind}.pem");
        tree.remove_directory(&path.as_str().into());
        tree.file(path.as_str(), content);
    }
}

/// A leaf and its issuer.
fn issued_at(names: &[&str], from: At, days: i64) -> (String, String) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let instant = |at: At| time::OffsetDateTime::from_unix_timestamp(at.0).expect("an instant");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Test Issuing CA");
    let key = KeyPair::generate().expect("a key");
    let chain = ca.self_signed(&key).expect("a certificate").pem();
    let ca = Issuer::new(ca, key);
    let mut leaf = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names");
    (leaf.not_before, leaf.not_after) = (instant(from), instant(from.plus_days(days)));
    (leaf.signed_by(&KeyPair::generate().expect("a key"), &ca).expect("a certificate").pem(), chain)
}

/// Changes a text file.
pub(in crate::check) fn edit(tree: &MemoryTree, path: &str, change: impl FnOnce(String) -> String) {
    let (bytes, _) = tree.read(&path.into(), 1 << 20).expect("the file");
    tree.file(path, change(String::from_utf8(bytes).expect("text")));
}

/// The renewal configuration with certbot's own server, as it was before webroot.
pub(in crate::check) fn standalone(conf: &str) -> String {
    let (plain, _) = conf.split_once("renew_hook").expect("a hook");
    plain.replace("authenticator = webroot", "authenticator = standalone")
}

/// The renewal configuration after the changes of a remedy.
pub(in crate::check) fn patched(conf: &str, remedy: &Remedy) -> String {
    let Intent::Patch(changes) = &remedy.intent else { panic!("no patch: {remedy:?}") };
    let mut splices = BTreeMap::new();
    for change in changes {
        let Change::Splice { path, at, with, .. } = change else { panic!("no splice: {change:?}") };
        assert_eq!(path.to_string(), CONF);
        splices.insert(at.start, (at.clone(), with.clone()));
    }
    let mut bytes = conf.as_bytes().to_vec();
    for (at, with) in splices.into_values().rev() {
        bytes.splice(at, with);
    }
    String::from_utf8(bytes).expect("text")
}

/// The log of a run at this time in which the renewal failed with these words.
pub(in crate::check) fn failed(time: &str, why: &str) -> String {
    format!(
        "{time},001:DEBUG:certbot._internal.main:certbot version: 2.1.0\n\
         {time},002:DEBUG:certbot._internal.display.obj:Notifying user: Processing {CONF}\n\
         {time},003:ERROR:certbot._internal.renewal:Failed to renew certificate a.test with error: {why}\n"
    )
}

/// The log of a run at this time in which a certificate was issued.
pub(in crate::check) fn issued(time: &str) -> String {
    format!(
        "{time},001:DEBUG:certbot._internal.main:certbot version: 2.1.0\n\
         {time},002:DEBUG:certbot._internal.display.obj:Notifying user: Processing {CONF}\n\
         {time},003:DEBUG:acme.client:Received response:\nHTTP 200\n\n\
         {time},004:DEBUG:certbot._internal.storage:Writing certificate to /etc/letsencrypt/archive/a.test/cert2.pem.\n"
    )
}
