//! Servers that rustls can't talk to: their chain is read from a raw hello's answer.

use super::*;

#[test]
fn sees_the_chain_of_an_old_server() {
    if !have_openssl() {
        return;
    }
    let pki = Pki::new();
    let directory = tempfile::tempdir().expect("a directory");
    let files = pki.s_server_files(directory.path());
    for (flag, protocol) in [("-tls1", Protocol::Tls10), ("-tls1_1", Protocol::Tls11)] {
        let old = s_server(directory.path(), &[&files[..], &[flag, "-cipher", "ALL:@SECLEVEL=0"]].concat());
        let seen = observe(old.port).expect("a chain");
        assert_eq!(ders(&seen), pki.chain());
        assert_eq!(seen.protocol, Some(protocol));
        assert_eq!(seen.cipher.as_deref(), Some("ECDHE-ECDSA-AES256-SHA"));
        assert!(!seen.handshake_completed);
        // What can't be spoken can't be verified.
        let verified = LiveDial::new().verify(&server(old.port), &hello(), &[&pki.root.der], NOW);
        let alert = ConnectFailure::Alert { number: 70, name: "protocol_version" };
        assert_eq!(verified, Err(VerifyFailure::Connect(alert)));
    }
}

#[test]
fn reads_old_handshakes_in_any_fragments() {
    let pki = Pki::new();
    for (version, protocol) in
        [(0x0300, Protocol::Ssl3), (0x0301, Protocol::Tls10), (0x0302, Protocol::Tls11), (0x0303, Protocol::Tls12)]
    {
        for size in [1, 3, 1000, 16384] {
            let flight = [server_hello(version), certificate_message(&pki.chain()), message(14, &[])].concat();
            let seen = observe(says(&records(&flight, size))).expect("a chain");
            assert_eq!(ders(&seen), pki.chain());
            assert_eq!((seen.protocol, seen.cipher.as_deref()), (Some(protocol), Some("RC4-SHA")));
        }
    }
}

#[test]
fn shows_what_is_no_certificate() {
    let pki = Pki::new();
    let sent = [pki.leaf.der.clone(), b"garbage".to_vec(), pki.root.der.clone()];
    let flight = [server_hello(0x0301), certificate_message(&sent), message(14, &[])].concat();
    let seen = observe(says(&records(&flight, 16384))).expect("a chain");
    assert_eq!(ders(&seen), [pki.leaf.der, pki.root.der]);
    assert_eq!(seen.opaque.len(), 1);
    assert_eq!(seen.opaque[0].0, 1);
}

#[test]
fn a_chain_beyond_rustls_limit_is_read_and_one_beyond_ours_is_not() {
    let pki = Pki::new();
    // Rustls reads 64 KiB.
    let many = vec![pki.leaf.der.clone(); 300];
    let flight = [server_hello(0x0303), certificate_message(&many), message(14, &[])].concat();
    assert!(flight.len() > 100_000);
    assert_eq!(observe(says(&records(&flight, 16384))).expect("a chain").certificates.len(), 300);

    let huge = [server_hello(0x0303), [&[11, 0xff, 0xff, 0xff][..], &[0; 20_000]].concat()].concat();
    let endless = stub(|mut stream| {
        // HelloRequests, for ever.
        let record = records(&[0; 16384], 16384);
        while stream.write_all(&record).is_ok() {}
    });
    let warnings = stub(|mut stream| while stream.write_all(&[21, 3, 1, 0, 2, 1, 112]).is_ok() {});
    for port in [says(&records(&huge, 16384)), endless, warnings] {
        let failure = observe(port).expect_err("a chain");
        assert!(matches!(&failure, ConnectFailure::Io(words) if words.contains("longer than")), "{failure:?}");
    }
}

#[test]
fn servers_that_can_not_bear_extensions_are_asked_again() {
    let pki = Pki::new();
    let chain = pki.chain();
    let intolerant = stub(move |mut stream| {
        let mut hello = [0; 4096];
        let n = stream.read(&mut hello).expect("a hello");
        // A hello with a version above TLS 1.0 in its body: closed without a word, as some did.
        if hello[..n][10] > 1 {
            return;
        }
        let flight = [server_hello(0x0300), certificate_message(&chain), message(14, &[])].concat();
        let _ = stream.write_all(&records(&flight, 16384));
    });
    let seen = observe(intolerant).expect("a chain");
    assert_eq!((ders(&seen), seen.protocol), (pki.chain(), Some(Protocol::Ssl3)));
    assert_eq!(seen.sni, None);
}

/// Records of at most `size` bytes.
fn records(handshake: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 3][..], &(part.len() as u16).to_be_bytes(), part].concat();
    handshake.chunks(size).flat_map(record).collect()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A ServerHello of this version with RC4-SHA, which rustls can't have.
fn server_hello(version: u16) -> Vec<u8> {
    let body = [&version.to_be_bytes()[..], &[7; 32], &[0], &[0x00, 0x05], &[0]].concat();
    message(2, &body)
}

fn certificate_message(ders: &[Vec<u8>]) -> Vec<u8> {
    let prefixed = |der: &Vec<u8>| [&(der.len() as u32).to_be_bytes()[1..], der].concat();
    let list: Vec<u8> = ders.iter().flat_map(prefixed).collect();
    message(11, &prefixed(&list))
}
