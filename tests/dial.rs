//! Looking at servers and verifying them, over real sockets on loopback ports.

mod loopback;

use std::time::Duration;

use certdoctor::{
    base::At,
    facts::{ConnectFailure, Presented, Protocol, StartTls, Target, TargetSource},
    host::{Dial, Hello, VerifyFailure, dial::LiveDial},
};
use loopback::{Pki, have_openssl, rustls_server, s_server};

fn server(port: u16) -> Target {
    target("localhost", port, None)
}

fn target(host: &str, port: u16, starttls: Option<StartTls>) -> Target {
    let source = TargetSource::Server { host: host.into(), port, starttls };
    Target { text: format!("{host}:{port}"), source, host: Some(host.into()) }
}

fn hello() -> Hello {
    Hello { timeout: 5, ..Hello::default() }
}

fn observe(port: u16) -> Result<Presented, ConnectFailure> {
    LiveDial::new().observe(&server(port), &hello())
}

fn ders(presented: &Presented) -> Vec<Vec<u8>> {
    presented.certificates.iter().map(|c| c.der().to_vec()).collect()
}

const NOW: At = At(1_795_000_000);

#[test]
fn sees_the_chain_of_a_rustls_server() {
    let pki = Pki::new();
    let seen = observe(rustls_server(pki.server_config())).expect("a chain");
    assert_eq!(ders(&seen), pki.chain());
    assert_eq!(seen.protocol, Some(Protocol::Tls13));
    assert_eq!(seen.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"));
    assert_eq!(seen.sni.as_deref(), Some("localhost"));
    assert!(seen.handshake_completed && seen.opaque.is_empty() && seen.alert.is_none());
    assert!(seen.bytes.0 > 500 && seen.bytes.1 > 200, "{:?}", seen.bytes);
    assert!(seen.elapsed > Duration::ZERO);
    assert!(seen.peer.is_some_and(|p| p.starts_with("127.0.0.1:")));
}

#[test]
fn sees_the_chain_of_an_old_server() {
    if !have_openssl() {
        return;
    }
    let pki = Pki::new();
    let directory = tempfile::tempdir().expect("a directory");
    loopback::file(directory.path(), "leaf.pem", &pki.leaf.pem);
    loopback::file(directory.path(), "chain.pem", &pki.intermediate.pem);
    loopback::file(directory.path(), "leaf.key", pki.leaf.key.serialize_pem());
    let files = ["-cert", "leaf.pem", "-key", "leaf.key", "-cert_chain", "chain.pem"];
    for (flag, protocol) in [("-tls1", Protocol::Tls10), ("-tls1_1", Protocol::Tls11)] {
        let old = s_server(directory.path(), &[&files[..], &[flag, "-cipher", "ALL:@SECLEVEL=0"]].concat());
        let seen = observe(old.port).expect("a chain");
        assert_eq!(ders(&seen), pki.chain());
        assert_eq!(seen.protocol, Some(protocol));
        assert_eq!(seen.cipher.as_deref(), Some("ECDHE-ECDSA-AES256-SHA"));
        assert!(!seen.handshake_completed);
    }
}

#[test]
fn verifies_with_exactly_the_given_anchors() {
    let pki = Pki::new();
    let port = rustls_server(pki.server_config());
    let dial = LiveDial::new();
    assert_eq!(dial.verify(&server(port), &hello(), &[&pki.root.der], NOW), Ok(()));
    let refused = |anchors: &[&[u8]], at, host: &str| match dial.verify(&target(host, port, None), &hello(), anchors, at) {
        Err(VerifyFailure::Refused(words)) => words,
        other => panic!("{other:?}"),
    };
    let stranger = loopback::issue(loopback::ca_params("Another Root"), None);
    assert_eq!(refused(&[&stranger.der], NOW, "localhost"), "invalid peer certificate: UnknownIssuer");
    // Another key under the same name.
    assert_eq!(refused(&[&Pki::new().root.der], NOW, "localhost"), "invalid peer certificate: BadSignature");
    assert!(refused(&[&pki.root.der], At(4_000_000_000), "localhost").contains("expired"));
    assert!(refused(&[&pki.root.der], At(0), "localhost").contains("not valid yet"));
    assert!(refused(&[&pki.root.der], NOW, "a.localhost").contains("not valid for name"));
    assert!(!refused(&[], NOW, "localhost").is_empty());
}
