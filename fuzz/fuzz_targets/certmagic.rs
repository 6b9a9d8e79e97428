//! A storage of CertMagic: the same bytes as its lock, as the metadata of a certificate, as a registration, as Caddy's saved configuration and
//! as its log.
#![no_main]

use certdoctor::{
    base::At,
    facts::renewal::certmagic::Storage,
    host::{LiveDial, memory::MemoryTree},
    renewal::{self, Host},
};
use libfuzzer_sys::fuzz_target;

const AT: At = At(1_795_305_600);

/// The storage in which everything is these bytes.
fn read(bytes: &[u8]) -> Storage {
    let tree = MemoryTree::new();
    tree.file("/etc/passwd", "caddy:x:998:997::/var/lib/caddy:/usr/sbin/nologin\n");
    let storage = "/var/lib/caddy/.local/share/caddy";
    for name in [
        "locks/issue_cert_a.test.lock",
        "certificates/ca/a.test/a.test.json",
        "certificates/ca/a.test/a.test.crt",
        "certificates/ca/a.test/a.test.key",
        "acme/ca/users/a@a.test/a.json",
        "last_clean.json",
    ] {
        tree.file(format!("{storage}/{name}").as_str(), bytes);
    }
    tree.file("/var/lib/caddy/.config/caddy/autosave.json", bytes);
    tree.file("/var/log/caddy/access.log", bytes);
    let dial = LiveDial::new();
    let host = Host { tree: &tree, dial: &dial, live: false, public: false, at: AT, now: AT, timeout: 1, jobs: 1 };
    let found = renewal::gather(&host).certmagic;
    found.storages.into_iter().find(|s| s.path == storage.into()).expect("the storage")
}

fuzz_target!(|bytes: &[u8]| {
    let storage = read(bytes);
    assert_eq!((storage.locks.len(), storage.sites.len()), (1, 1));
    let metadata = |storage: &Storage| storage.sites[0].metadata.content.clone().ok();
    let Some(span) = metadata(&storage).and_then(|m| m.ca_span) else { return };
    // The patch of CD745 leaves what can be read, without a CA.
    let left = [&bytes[..span.start], &bytes[span.end..]].concat();
    assert_eq!(metadata(&read(&left)).map(|m| m.ca), Some(None));
});
