//! A bundle as the store of a host: what OpenSSL and others take from it, and every check.
#![no_main]

use certdoctor::{
    base::At,
    client,
    facts::{Clock, Facts},
    host::memory::MemoryTree,
    judge::{Inquiry, judge},
    store,
    x509::Purpose,
};
use libfuzzer_sys::fuzz_target;

const AT: At = At(1_795_305_600);

fuzz_target!(|bytes: &[u8]| {
    let tree = MemoryTree::new();
    tree.file("/etc/ssl/certs/ca-certificates.crt", bytes);
    let clock = Clock { at: AT, injected: true, built: None, newest_file: None, server_dates: Vec::new() };
    let facts = Facts { stores: store::load_all(&tree), ..Facts::new(clock) };
    let openssl = client::resolve("openssl-3.0").expect("is known").reads(&facts);
    let lenient = client::resolve("gnutls").expect("is known").reads(&facts);
    // Whoever takes a file block by block takes at least what OpenSSL does.
    assert!(openssl.anchors.file.iter().all(|c| lenient.anchors.file.contains(c)));
    let inquiry =
        Inquiry { at: AT, within: 90, horizon: None, purpose: Purpose::ServerAuth, clients: Vec::new(), regrade: Vec::new() };
    let judgement = judge(&facts, &inquiry);
    assert!(judgement.broken.is_empty(), "a check broke");
});
