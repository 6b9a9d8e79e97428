//! Looking at servers and verifying them, over real sockets on loopback ports.

#[path = "dial/failures.rs"]
mod failures;
mod loopback;
#[path = "dial/old.rs"]
mod old;
#[path = "loopback/plain.rs"]
mod plain;
#[path = "loopback/stubs.rs"]
mod stubs;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use certdoctor::{
    base::At,
    facts::{ConnectFailure, Presented, Protocol, StartTls, Target, TargetSource},
    host::{
        Dial, Hello, VerifyFailure,
        dial::{LiveDial, in_order},
    },
};
use loopback::{
    openssl::{Server, command, file, have_openssl, s_server},
    pki::{ca_params, issue, issue_with},
};
use stubs::{Pki, rustls_server, says, serve_tls, stub};

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
fn verifies_with_exactly_the_given_anchors() {
    let pki = Pki::new();
    let port = rustls_server(pki.server_config());
    let dial = LiveDial::new();
    assert_eq!(dial.verify(&server(port), &hello(), &[&pki.root.der], NOW), Ok(()));
    let refused = |anchors: &[&[u8]], at, host: &str| match dial.verify(&target(host, port, None), &hello(), anchors, at) {
        Err(VerifyFailure::Refused(words)) => words,
        other => panic!("{other:?}"),
    };
    let stranger = issue(ca_params("Another Root"), None);
    assert_eq!(refused(&[&stranger.der], NOW, "localhost"), "invalid peer certificate: UnknownIssuer");
    // Another key under the same name.
    assert_eq!(refused(&[&Pki::new().root.der], NOW, "localhost"), "invalid peer certificate: BadSignature");
    assert!(refused(&[&pki.root.der], At(4_000_000_000), "localhost").contains("expired"));
    assert!(refused(&[&pki.root.der], At(0), "localhost").contains("not valid yet"));
    assert!(refused(&[&pki.root.der], NOW, "a.localhost").contains("not valid for name"));
    assert!(!refused(&[], NOW, "localhost").is_empty());

    // What is no certificate is left out; an anchor's own dates are not looked at, which is how a dead root goes on being trusted.
    let verify = |target: &Target, hello: &Hello, anchor: &[u8]| dial.verify(target, hello, &[b"garbage", anchor], NOW);
    assert_eq!(verify(&server(port), &hello(), &pki.root.der), Ok(()));
    let mut dead = pki.root.params.clone();
    dead.not_after = rcgen::date_time_ymd(2020, 5, 30);
    let dead = issue_with(dead, rcgen::KeyPair::from_pem(&pki.root.key.serialize_pem()).expect("a key"), None);
    assert_eq!(verify(&server(port), &hello(), &dead.der), Ok(()));

    // The name that is checked is the target's, whatever is sent and wherever we connect to.
    assert_eq!(verify(&target("127.0.0.1", port, None), &hello(), &pki.root.der), Ok(()));
    let elsewhere = Hello { servername: Some(Some("elsewhere.test".into())), ..hello() };
    assert_eq!(verify(&server(port), &elsewhere, &pki.root.der), Ok(()));
    let elsewhere = Hello { connect: Some(("127.0.0.1".into(), port)), servername: Some(None), ..hello() };
    assert!(matches!(verify(&target("elsewhere.test", 1, None), &elsewhere, &pki.root.der), Err(VerifyFailure::Refused(_))));
    assert_eq!(verify(&Target { host: None, ..server(port) }, &hello(), &pki.root.der), Ok(()));
    let anyone = dial.verify(&Target { host: None, ..server(port) }, &hello(), &[&stranger.der], NOW);
    assert!(matches!(anyone, Err(VerifyFailure::Refused(words)) if words.contains("UnknownIssuer")));
}

#[test]
fn sees_what_s_server_shows() {
    if !have_openssl() {
        return;
    }
    let pki = Pki::with_rsa_leaf();
    let directory = tempfile::tempdir().expect("a directory");
    let files = pki.s_server_files(directory.path());
    let start = |more: &[&str]| s_server(directory.path(), &[&files[..], more].concat());
    let look = |server: &Server, hello: &Hello| LiveDial::new().observe(&self::server(server.port), hello).expect("a chain");

    let tls13 = start(&["-tls1_3", "-alpn", "h2,http/1.1"]);
    let seen = look(&tls13, &Hello { alpn: vec!["http/1.1".into()], ..hello() });
    assert_eq!(ders(&seen), pki.chain());
    assert_eq!((seen.protocol, seen.alpn.as_deref()), (Some(Protocol::Tls13), Some("http/1.1")));
    assert!(seen.handshake_completed && seen.client_ca_names.is_empty() && seen.staple.is_none());

    // Raw hellos are for what rustls can't do, not for a server that can't do what was asked for.
    let only12 = Hello { only: Some(Protocol::Tls12), ..hello() };
    let failure = LiveDial::new().observe(&server(tls13.port), &only12).expect_err("a chain");
    assert_eq!(failure, ConnectFailure::Alert { number: 70, name: "protocol_version" });

    let tls12 = start(&["-tls1_2"]);
    let seen = look(&tls12, &hello());
    assert_eq!((seen.protocol, seen.cipher.as_deref()), (Some(Protocol::Tls12), Some("ECDHE-RSA-AES256-GCM-SHA384")));
    assert!(seen.handshake_completed);
    let only13 = Hello { only: Some(Protocol::Tls13), ..hello() };
    assert!(matches!(LiveDial::new().observe(&server(tls12.port), &only13), Err(ConnectFailure::Alert { number: 70, .. })));

    // Any version: the one asked for.
    let any = start(&[]);
    assert_eq!(look(&any, &only12).protocol, Some(Protocol::Tls12));
    assert_eq!(look(&any, &only13).protocol, Some(Protocol::Tls13));

    // Suites that rustls doesn't have.
    let rsa = start(&["-tls1_2", "-cipher", "AES256-SHA:@SECLEVEL=0"]);
    let seen = look(&rsa, &hello());
    assert_eq!(ders(&seen), pki.chain());
    assert_eq!((seen.protocol, seen.cipher.as_deref()), (Some(Protocol::Tls12), Some("AES256-SHA")));
    assert!(!seen.handshake_completed);

    // An OCSP response that says "unauthorized" is as good as any to be stapled.
    let response = [0x30, 3, 0x0a, 1, 6];
    file(directory.path(), "ocsp.der", response);
    for (more, completed) in [(&["-tls1_3"][..], true), (&["-tls1_2"], true), (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false)]
    {
        let stapling = start(&[&["-status", "-status_file", "ocsp.der"], more].concat());
        let seen = look(&stapling, &hello());
        assert_eq!(seen.staple.map(|s| s.der).as_deref(), Some(&response[..]), "{more:?}");
        assert_eq!(seen.handshake_completed, completed);
    }
}

#[test]
fn sends_the_name_that_is_wanted() {
    if !have_openssl() {
        return;
    }
    let pki = Pki::new();
    let other = Pki::new();
    let directory = tempfile::tempdir().expect("a directory");
    let files = pki.s_server_files(directory.path());
    file(directory.path(), "other.pem", &other.leaf.pem);
    file(directory.path(), "other.key", other.leaf.key.serialize_pem());
    let names = ["-servername", "other.test", "-cert2", "other.pem", "-key2", "other.key"];
    for version in [&["-tls1_3"][..], &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]] {
        let server = s_server(directory.path(), &[&files[..], &names, version].concat());
        let look = |servername: Option<Option<&str>>, host: &str| {
            let hello = Hello { servername: servername.map(|n| n.map(str::to_owned)), ..hello() };
            let hello = Hello { connect: Some(("127.0.0.1".into(), server.port)), ..hello };
            let seen = LiveDial::new().observe(&target(host, 1, None), &hello).expect("a chain");
            (seen.certificates[0].der() == other.leaf.der, seen.sni)
        };
        assert_eq!(look(None, "other.test"), (true, Some("other.test".into())));
        assert_eq!(look(None, "elsewhere.test"), (false, Some("elsewhere.test".into())));
        assert_eq!(look(Some(Some("other.test")), "elsewhere.test"), (true, Some("other.test".into())));
        assert_eq!(look(Some(None), "other.test"), (false, None));
        assert_eq!(look(None, "127.0.0.1"), (false, None));
        assert_eq!(look(None, "::1"), (false, None));
    }
}

#[test]
fn says_whom_client_certificates_are_wanted_from() {
    if !have_openssl() {
        return;
    }
    let pki = Pki::new();
    let directory = tempfile::tempdir().expect("a directory");
    let files = pki.s_server_files(directory.path());
    let mine = (pki.leaf.pem.clone().into_bytes(), pki.leaf.key.serialize_pem().into_bytes());
    let name = certdoctor::x509::Certificate::parse(&pki.root.der).expect("a certificate").subject().raw().to_vec();
    for (version, alert) in [("-tls1_3", (116, "certificate_required")), ("-tls1_2", (40, "handshake_failure"))] {
        for required in [true, false] {
            let ask = if required { "-Verify" } else { "-verify" };
            let more = [version, ask, "2", "-verify_return_error", "-verifyCAfile", "root.pem", "-CAfile", "root.pem"];
            let server = s_server(directory.path(), &[&files[..], &more].concat());
            let look = |identity| {
                let hello = Hello { identity, ..hello() };
                LiveDial::new().observe(&self::server(server.port), &hello).expect("a chain")
            };
            let without = look(None);
            assert_eq!(ders(&without), pki.chain());
            assert_eq!(without.client_ca_names, std::slice::from_ref(&name));
            assert_eq!(without.alert, required.then_some(alert), "{version} {ask}");
            assert_eq!(without.handshake_completed, !required, "{version} {ask}");
            // The chain of the client's certificate is not complete without the intermediate.
            let chain = [mine.0.clone(), pki.intermediate.pem.clone().into_bytes()].concat();
            let with = look(Some((chain, mine.1.clone())));
            assert_eq!((with.alert, with.handshake_completed), (None, true), "{version} {ask}");
        }
    }
    let nonsense = Hello { identity: Some((b"nonsense".to_vec(), mine.1.clone())), ..hello() };
    assert!(
        matches!(LiveDial::new().observe(&server(1), &nonsense), Err(ConnectFailure::Io(words)) if words.contains("certificate"))
    );
}

#[test]
fn upgrades_by_every_protocol() {
    let pki = Pki::new();
    let config = Arc::new(pki.server_config());
    let dial = LiveDial::new();
    for (name, protocol, _) in StartTls::ALL {
        let config = config.clone();
        let port = stub(move |mut stream| {
            if plain::willing(*protocol, &mut stream) {
                serve_tls(stream, &config);
            }
        });
        let target = target("localhost", port, Some(*protocol));
        let seen = dial.observe(&target, &hello()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(ders(&seen), pki.chain(), "{name}");
        assert_eq!(dial.verify(&target, &hello(), &[&pki.root.der], NOW), Ok(()), "{name}");

        // The stub is right, says the client that everybody uses.
        if have_openssl() {
            let output = command("openssl")
                .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-starttls", name])
                .stdin(Stdio::null())
                .output()
                .expect("openssl");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(" 0 s:CN = localhost"), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn says_what_a_server_said_that_does_not_upgrade() {
    let dial = LiveDial::new();
    in_order(StartTls::ALL, StartTls::ALL.len(), |(name, protocol, _)| {
        let protocol = *protocol;
        let port = stub(move |mut stream| plain::unwilling(protocol, &mut stream));
        match dial.observe(&target("localhost", port, Some(protocol)), &hello()) {
            Err(ConnectFailure::StartTls { protocol: whose, said }) => {
                assert_eq!(whose, protocol);
                let words = ["TLS not available", "without TLS", "tls-not-available"];
                assert!(words.iter().any(|w| said.contains(w)), "{name}: {said}");
            }
            other => panic!("{name}: {other:?}"),
        }
        // Another protocol's server, a TLS server, and one that hangs up.
        let http = says(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n");
        let hangs_up = stub(drop);
        let tls = rustls_server(Pki::new().server_config());
        for port in [http, hangs_up, tls] {
            let hello = Hello { timeout: 1, ..hello() };
            let failure = dial.observe(&target("localhost", port, Some(protocol)), &hello).expect_err("a chain");
            let silent = port == tls && matches!(failure, ConnectFailure::TimedOut(ConnectFailure::SILENT));
            assert!(silent || matches!(failure, ConnectFailure::StartTls { .. } | ConnectFailure::Reset), "{name}: {failure:?}");
        }
    });
}

#[test]
fn goes_through_a_proxy() {
    let pki = Pki::new();
    let origin = rustls_server(pki.server_config());
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = requests.clone();
    let tunnel = stub(move |mut client| {
        let request = head(&mut client);
        log.lock().expect("no panic").push(request.clone());
        let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
        let server = TcpStream::connect(("127.0.0.1", origin)).expect("the origin");
        let (mut from, mut to) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut client, &mut &server);
        let _ = server.shutdown(std::net::Shutdown::Both);
    });
    let dial = LiveDial::new();
    let through = |proxy: String| Hello { proxy: Some(proxy), ..hello() };
    let hello = through(format!("http://user:p%40ss@localhost:{tunnel}"));
    // The proxy resolves the name, we need not.
    let seen = dial.observe(&target("origin.invalid", 443, None), &hello).expect("a chain");
    assert_eq!(ders(&seen), pki.chain());
    assert_eq!(seen.sni.as_deref(), Some("origin.invalid"));
    let Err(VerifyFailure::Refused(words)) = dial.verify(&target("origin.invalid", 443, None), &hello, &[&pki.root.der], NOW)
    else {
        panic!("verified")
    };
    assert!(words.contains("not valid for name"), "{words}");
    let expected = "CONNECT origin.invalid:443 HTTP/1.1\r\nHost: origin.invalid:443\r\n\
                    Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
    assert_eq!(requests.lock().expect("no panic").as_slice(), [expected, expected]);
    let hello = Hello { connect: Some(("::1".into(), 8443)), ..through(format!("localhost:{tunnel}")) };
    assert!(dial.observe(&target("localhost", 443, None), &hello).is_ok());
    let last = requests.lock().expect("no panic").pop().expect("a request");
    assert_eq!(last, "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");

    // The stub is right, says the client that everybody uses.
    if have_openssl() {
        let output = command("openssl")
            .args(["s_client", "-proxy", &format!("127.0.0.1:{tunnel}"), "-connect", "origin.invalid:443"])
            .stdin(Stdio::null())
            .output()
            .expect("openssl");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(" 0 s:CN = localhost"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }

    for answer in
        ["HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!", "HTTP/1.0 403 Forbidden\r\n", "garbage"]
    {
        let proxy = says(answer.as_bytes());
        let failure = dial.observe(&server(1), &through(format!("http://localhost:{proxy}"))).expect_err("a chain");
        let Some(line) = answer.lines().next() else { continue };
        assert!(matches!(&failure, ConnectFailure::Proxy(said) if said.contains(line)), "{failure:?}");
    }
    let failure = dial.observe(&server(1), &through(format!("http://localhost:{}", closed_port()))).expect_err("a chain");
    assert!(matches!(&failure, ConnectFailure::Proxy(why) if why.contains("refused")), "{failure:?}");
    let failure = dial.observe(&server(1), &through("http://no-such-proxy.invalid:3128".into())).expect_err("a chain");
    assert!(matches!(&failure, ConnectFailure::Proxy(why) if why.contains("does not resolve")), "{failure:?}");
    let silent = stub(|stream| hold(&stream, 3));
    let hello = Hello { timeout: 1, ..through(format!("http://localhost:{silent}")) };
    assert_eq!(dial.observe(&server(1), &hello).err(), Some(ConnectFailure::TimedOut("waiting for the proxy's answer")));
}

#[test]
fn localhost_needs_no_resolver() {
    let pki = Pki::new();
    let port = rustls_server(pki.server_config());
    for host in ["localhost", "LOCALHOST.", "app.localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        assert!(LiveDial::new().observe(&target(host, port, None), &hello()).is_ok(), "{host}");
    }
}

#[test]
fn tries_the_next_address() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: no IPv6 on the loopback interface");
        return;
    };
    let port = listener.local_addr().expect("an address").port();
    let pki = Pki::new();
    let config = Arc::new(pki.server_config());
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| serve_tls(stream, &config)));
    let seen = observe(port).expect("a chain");
    assert_eq!(seen.peer, Some(format!("[::1]:{port}")));
    assert!(LiveDial::new().observe(&target("[::1]", port, None), &hello()).is_ok());
}

#[test]
fn many_endpoints_come_back_in_order() {
    let pki = Pki::new();
    let port = rustls_server(pki.server_config());
    let closed = closed_port();
    let targets: Vec<Target> = (0..300).map(|n| server(if n % 50 == 7 { closed } else { port })).collect();
    let dial = LiveDial::new();
    let start = Instant::now();
    let outcomes = in_order(&targets, 64, |t| dial.observe(t, &hello()));
    eprintln!("300 endpoints in {:?}", start.elapsed());
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n % 50 == 7, "{n}: {outcome:?}");
    }
}

/// A port at which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

/// Keeps the connection open, reading what comes, for so many seconds or until the other side closes.
fn hold(mut stream: &TcpStream, seconds: u64) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(seconds)));
    let mut sink = [0; 4096];
    while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
}

/// The head of an HTTP request.
fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("text")
}
