//! The real clients of this host, asked about servers on loopback whose certificates are made here.
//!
//! A client that isn't installed is a visible skip, and a failure where CI sets `CI=true`.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use certdoctor::{
    facts::StartTls,
    host::{Exec, Output},
    program::{self, Answer, Ask, Found, Program, StoreChoice},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use time::{Duration as Days, OffsetDateTime};

/// The programs that CI must have; the others are asked where they are.
const REQUIRED: &[&str] = &["curl", "gnutls-cli", "openssl", "python3", "wget"];

/// For each program: trusted (`None`), or refused with this code.
type Expected = BTreeMap<&'static str, Option<&'static str>>;

#[test]
fn trusts_a_good_chain() {
    let pki = Pki::new();
    judge(&Server::start(&pki.good, Manner::Http), pki.store("root"), &trusted());
}

#[test]
fn refuses_an_expired_leaf() {
    let pki = Pki::new();
    let mut codes = expired();
    codes.insert("java", Some("CertificateExpiredException"));
    judge(&Server::start(&pki.expired_leaf, Manner::Http), pki.store("root"), &codes);
}

#[test]
fn refuses_another_name() {
    let pki = Pki::new();
    let codes = Expected::from([
        ("curl", Some("60")),
        ("gnutls-cli", Some("1")),
        ("go", Some("x509.HostnameError")),
        ("java", Some("CertificateException")),
        ("node", Some("ERR_TLS_CERT_ALTNAME_INVALID")),
        ("openssl", Some("62")),
        ("python3", Some("62")),
        ("wget", Some("5")),
    ]);
    judge(&Server::start(&pki.other_name, Manner::Http), pki.store("root"), &codes);
}

#[test]
fn refuses_an_unknown_root() {
    let pki = Pki::new();
    judge(&Server::start(&pki.good, Manner::Http), pki.store("stranger"), &unknown());
}

#[test]
fn only_java_accepts_an_expired_root() {
    let pki = Pki::new();
    judge(&Server::start(&pki.under_dead_root, Manner::Http), pki.store("dead"), &expired());
}

/// 30 May 2020: the server sends the cross-certificate that died with its root; the store holds the dead root, and with it the good one.
#[test]
fn the_clients_of_today_survive_addtrust() {
    let pki = Pki::new();
    let server = Server::start(&pki.addtrust, Manner::Http);
    judge(&server, pki.store("dead+root"), &trusted());
    judge(&server, pki.store("root"), &trusted());
    let mut codes = expired();
    codes.insert("java", Some("CertificateExpiredException"));
    judge(&server, pki.store("dead"), &codes);
}

/// A server that closes right after the handshake, one that greets, and one that never says a word: none speaks HTTP, all are trusted.
#[test]
fn needs_no_http() {
    let pki = Pki::new();
    let greeting = Server::start(&pki.good, Manner::Greet);
    judge(&greeting, pki.store("root"), &trusted());
    let closing = Server::start(&pki.good, Manner::Close);
    judge(&closing, pki.store("stranger"), &unknown());
    every(|program, found| {
        let answer = ask(program, found, &closing.ask(pki.store("root")));
        // The go command can't always tell an end after the handshake from one in it.
        let undecided = program.id == "go" && answer.trusted.is_none() && answer.text.ends_with("EOF");
        assert!(undecided || answer.trusted == Some(true), "{program:?}: {answer:?}");
    });
    let silent = Server::start(&pki.good, Manner::Silent);
    every(|program, found| {
        let begun = Instant::now();
        let answer = ask(program, found, &Ask { seconds: 2, ..silent.ask(pki.store("root")) });
        assert!(begun.elapsed() < Duration::from_secs(20), "{program:?} hangs");
        // The go command says nothing before the server does.
        let expected = if program.id == "go" { None } else { Some(true) };
        assert_eq!(answer.trusted, expected, "{program:?}: {answer:?}");
    });
}

#[test]
fn reads_a_hash_directory() {
    let pki = Pki::new();
    let directory = pki.dir.path().join("hashed");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::copy(pki.path("root"), directory.join("root.pem")).expect("a copy");
    let rehashed = Command::new("openssl").arg("rehash").arg(&directory).status();
    if !rehashed.is_ok_and(|status| status.success()) {
        return skip("openssl", "no openssl rehash");
    }
    let good = Server::start(&pki.good, Manner::Http);
    let alien = Server::start(&pki.under_dead_root, Manner::Http);
    let store = StoreChoice::Files { file: None, directory: Some(directory.to_string_lossy().into_owned()) };
    every(|program, found| {
        let [good, alien] = [&good, &alien].map(|server| ask(program, found, &server.ask(store.clone())));
        if program.id == "gnutls-cli" {
            assert_eq!((good.trusted, good.text.as_str()), (None, "it reads no directory of certificates"));
        } else {
            assert_eq!((good.trusted, alien.trusted), (Some(true), Some(false)), "{program:?}: {good:?} {alien:?}");
        }
    });
}

/// The environment leads to a store that holds the right root, and the question names another: the environment must not win.
#[test]
fn files_shut_out_the_environment() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Http);
    let exec = redirected(&pki);
    every(|program, found| {
        let answer = program.ask(&exec, found, &server.ask(pki.store("stranger")));
        assert_eq!(answer.trusted, Some(false), "{program:?}: {answer:?}");
        let nothing = StoreChoice::Files { file: None, directory: None };
        let answer = program.ask(&exec, found, &server.ask(nothing));
        let expected = if program.id == "gnutls-cli" { None } else { Some(false) };
        assert_eq!(answer.trusted, expected, "{program:?}: {answer:?}");
    });
}

/// The other way round: with the program's own choice of store, the environment counts for those that heed it.
#[test]
fn system_keeps_the_environment() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Http);
    let exec = redirected(&pki);
    every(|program, found| {
        let heeds = match program.id {
            "openssl" | "python3" | "go" | "node" => true,
            "curl" => found.profile_id.is_some(),
            _ => false,
        };
        let answer = program.ask(&exec, found, &server.ask(StoreChoice::System));
        assert_eq!(answer.trusted, Some(heeds), "{program:?}: {answer:?}");
        let answer = ask(program, found, &server.ask(StoreChoice::System));
        assert_eq!(answer.trusted, Some(false), "{program:?}: {answer:?}");
    });
}

/// A name that no resolver knows, at an address of our choice.
#[test]
fn verifies_a_name_at_another_address() {
    let pki = Pki::new();
    let server = Server::start(&pki.mapped, Manner::Http);
    every(|program, found| {
        let name = "mapped.example".to_owned();
        let question = Ask { host: name.clone(), servername: Some(name), ..server.ask(pki.store("root")) };
        let answer = ask(program, found, &question);
        let able = !["go", "wget"].contains(&program.id);
        assert_eq!(answer.trusted, able.then_some(true), "{program:?}: {answer:?}");

        // SNI is now another name than the one to verify.
        let answer = ask(program, found, &Ask { host: "other.example".into(), ..question });
        let able = ["gnutls-cli", "node", "openssl"].contains(&program.id);
        assert_eq!(answer.trusted, able.then_some(false), "{program:?}: {answer:?}");
    });
}

#[test]
fn verifies_an_address() {
    let pki = Pki::new();
    for (identity, trusted) in [(&pki.address, true), (&pki.good, false)] {
        let server = Server::start(identity, Manner::Http);
        every(|program, found| {
            let question = Ask { host: "127.0.0.1".into(), servername: None, ..server.ask(pki.store("root")) };
            let answer = ask(program, found, &question);
            assert_eq!(answer.trusted, Some(trusted), "{program:?}: {answer:?}");
        });
    }
}

/// What is sent in SNI, as the server sees it.
#[test]
fn sends_the_servername_that_is_asked_for() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::NeedsName("sni.example"));
    every(|program, found| {
        let question = Ask { servername: Some("sni.example".into()), ..server.ask(pki.store("root")) };
        let answer = ask(program, found, &question);
        let able = ["gnutls-cli", "node", "openssl"].contains(&program.id);
        assert_eq!(answer.trusted, able.then_some(true), "{program:?}: {answer:?}");
        // Without the name the server breaks off: no certificate, no verdict.
        let answer = ask(program, found, &Ask { servername: None, ..question });
        assert_eq!(answer.trusted, None, "{program:?}: {answer:?}");
        assert!(!answer.text.is_empty(), "{program:?}");
    });
}

#[test]
fn speaks_smtp_first() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Smtp);
    every(|program, found| {
        let able = ["curl", "gnutls-cli", "openssl"].contains(&program.id);
        for (store, trusted) in [("root", true), ("stranger", false)] {
            let question = Ask { starttls: Some(StartTls::Smtp), ..server.ask(pki.store(store)) };
            let answer = ask(program, found, &question);
            assert_eq!(answer.trusted, able.then_some(trusted), "{program:?}: {answer:?}");
        }
    });
}

#[test]
fn tells_a_dead_port_from_a_refusal() {
    let pki = Pki::new();
    let mut server = Server::start(&pki.good, Manner::Http);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    server.port = listener.local_addr().expect("an address").port();
    drop(listener);
    every(|program, found| {
        let answer = ask(program, found, &server.ask(pki.store("root")));
        assert_eq!(answer.trusted, None, "{program:?}: {answer:?}");
        let words = answer.text.to_lowercase();
        assert!(words.contains("connect") || words.contains("refused"), "{program:?}: {answer:?}");
    });
}

#[test]
fn tells_other_failures_from_a_refusal() {
    let pki = Pki::new();
    for manner in [Manner::NotTls, Manner::NeedsName("sni.example"), Manner::Alert] {
        let server = Server::start(&pki.good, manner);
        every(|program, found| {
            let answer = ask(program, found, &server.ask(pki.store("root")));
            assert_eq!(answer.trusted, None, "{program:?}: {answer:?}");
            assert!(!answer.text.is_empty(), "{program:?}");
        });
    }
}

#[test]
fn a_store_that_is_missing_is_a_refusal() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Http);
    every(|program, found| {
        let answer = ask(program, found, &server.ask(pki.store("missing")));
        assert_eq!(answer.trusted, Some(false), "{program:?}: {answer:?}");
        assert!(answer.code.is_some() && !answer.text.is_empty(), "{program:?}: {answer:?}");
    });
}

/// Names become arguments and parts of URLs: nothing else may.
#[test]
fn takes_no_option_for_a_name() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Http);
    for host in ["-help", "localhost/x", "a@localhost", "local host", ""] {
        every(|program, found| {
            let question = Ask { host: host.into(), servername: Some(host.into()), ..server.ask(pki.store("root")) };
            let answer = ask(program, found, &question);
            assert!(answer.trusted.is_none() && answer.text.contains("no host name"), "{program:?}: {answer:?}");
        });
    }
}

#[test]
fn says_which_client_models_it() {
    every(|program, found| {
        let prefix = match program.id {
            "openssl" => "s_client-3.",
            "python3" => "python-3.",
            other => other,
        };
        assert!(found.profile_id.as_deref().is_some_and(|profile| profile.starts_with(prefix)), "{found:?}");
        assert!(found.version.starts_with(|c: char| c.is_ascii_digit()), "{found:?}");
        assert!(found.library.is_some(), "{found:?}");
    });
}

fn every(mut test: impl FnMut(&'static Program, &Found)) {
    for program in program::ALL {
        match program.find(&TestExec::default()) {
            Some(found) => test(program, &found),
            None => skip(program.id, "not installed"),
        }
    }
}

fn skip(program: &str, why: &str) {
    eprintln!("skipped: {program}: {why}");
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(ci && REQUIRED.contains(&program)), "{program}: {why}, but CI needs it");
}

fn ask(program: &Program, found: &Found, question: &Ask) -> Answer {
    program.ask(&TestExec::default(), found, question)
}

fn judge(server: &Server, store: StoreChoice, codes: &Expected) {
    every(|program, found| {
        let answer = ask(program, found, &server.ask(store.clone()));
        let expected = codes.get(program.id).copied().flatten();
        assert_eq!(answer.trusted, Some(expected.is_none()), "{program:?}: {answer:?}");
        assert_eq!(answer.code.as_deref(), expected, "{program:?}: {answer:?}");
        assert!(expected.is_none() || !answer.text.is_empty(), "{program:?} gives no words");
    });
}

fn trusted() -> Expected {
    Expected::new()
}

/// Java takes an expired root for a name and a key, as RFC 5280 does.
fn expired() -> Expected {
    Expected::from([
        ("curl", Some("60")),
        ("gnutls-cli", Some("1")),
        ("go", Some("x509.CertificateInvalidError/1")),
        ("java", None),
        ("node", Some("CERT_HAS_EXPIRED")),
        ("openssl", Some("10")),
        ("python3", Some("10")),
        ("wget", Some("5")),
    ])
}

fn unknown() -> Expected {
    Expected::from([
        ("curl", Some("60")),
        ("gnutls-cli", Some("1")),
        ("go", Some("x509.UnknownAuthorityError")),
        ("java", Some("SunCertPathBuilderException")),
        ("node", Some("UNABLE_TO_GET_ISSUER_CERT_LOCALLY")),
        ("openssl", Some("20")),
        ("python3", Some("20")),
        ("wget", Some("5")),
    ])
}

/// The programs of this host, without the variables that redirect trust; `extra` is set before what the caller wants.
#[derive(Default)]
struct TestExec {
    extra: Vec<(&'static str, String)>,
}

fn redirected(pki: &Pki) -> TestExec {
    let names = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];
    let root = pki.path("root").to_string_lossy().into_owned();
    TestExec { extra: names.into_iter().map(|name| (name, root.clone())).collect() }
}

impl Exec for TestExec {
    fn run(&self, argv: &[&str], stdin: &[u8], env: &[(&str, Option<&str>)], seconds: u64) -> io::Result<Output> {
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in program::TRUST_VARIABLES {
            command.env_remove(name);
        }
        command.envs(self.extra.iter().map(|(name, value)| (name, value)));
        for (name, value) in env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn()?;
        let mut pipe = child.stdin.take().expect("a pipe");
        let stdin = stdin.to_vec();
        thread::spawn(move || pipe.write_all(&stdin));
        let (out, err) = (listen(child.stdout.take()), listen(child.stderr.take()));
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    child.kill()?;
                    child.wait()?;
                    return Err(io::ErrorKind::TimedOut.into());
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        Ok(Output { status: status.code(), stdout: out.join().expect("bytes"), stderr: err.join().expect("bytes") })
    }
}

fn listen(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// What a server does before and after the handshake.
#[derive(Clone, Copy)]
enum Manner {
    /// Waits for a request, and answers it.
    Http,
    /// Closes at once.
    Close,
    /// Greets as a mail server does, and closes.
    Greet,
    /// Says nothing until the client goes.
    Silent,
    /// Breaks off unless this name is in SNI.
    NeedsName(&'static str),
    /// SMTP with STARTTLS.
    Smtp,
    /// Answers the ClientHello with the alert `handshake_failure`.
    Alert,
    /// SSH, so to speak.
    NotTls,
}

/// A server on loopback, until it is dropped.
struct Server {
    port: u16,
    listens_on: u16,
    over: Arc<AtomicBool>,
}

impl Server {
    fn start(identity: &Identity, manner: Manner) -> Server {
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                identity.chain.iter().map(|der| der.clone().into()).collect(),
                PrivateKeyDer::try_from(identity.key.clone()).expect("a key"),
            )
            .expect("an identity");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let config = config.clone();
                // A client that goes away in the middle is no fault of the server's.
                thread::spawn(move || stream.and_then(|stream| serve(stream, config, manner)));
            }
        });
        Server { port, listens_on: port, over }
    }

    fn ask(&self, store: StoreChoice) -> Ask {
        Ask {
            host: "localhost".into(),
            connect: ("127.0.0.1".into(), self.port),
            servername: Some("localhost".into()),
            starttls: None,
            store,
            seconds: 10,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.listens_on));
    }
}

fn serve(mut stream: TcpStream, config: Arc<ServerConfig>, manner: Manner) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    match manner {
        Manner::NotTls => return stream.write_all(b"SSH-2.0-test\r\n"),
        Manner::Alert => {
            let _ = stream.read(&mut [0; 4096])?;
            return stream.write_all(&[21, 3, 3, 0, 2, 2, 40]);
        }
        Manner::Smtp => before_tls(&mut stream)?,
        _ => {}
    }
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    if let Manner::NeedsName(name) = manner {
        while !connection.wants_write() {
            connection.read_tls(&mut stream)?;
            connection.process_new_packets().map_err(io::Error::other)?;
        }
        if connection.server_name() != Some(name) {
            return Ok(());
        }
    }
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let mut tls = StreamOwned::new(connection, stream);
    match manner {
        Manner::Close => {}
        Manner::Greet => tls.write_all(b"* OK ready\r\n")?,
        Manner::Silent => drop(tls.read_to_end(&mut Vec::new())),
        Manner::Smtp => {
            let _ = tls.read(&mut [0; 512])?;
            tls.write_all(b"421 bye\r\n")?;
        }
        _ => {
            let mut request = BufReader::new(&mut tls);
            let mut line = String::new();
            while request.read_line(&mut line)? > 0 && !line.trim().is_empty() {
                line.clear();
            }
            tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")?;
        }
    }
    tls.conn.send_close_notify();
    tls.flush()
}

fn before_tls(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"220 localhost ESMTP\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if line.starts_with("STARTTLS") {
            return stream.write_all(b"220 go ahead\r\n");
        }
        stream.write_all(b"250-localhost\r\n250 STARTTLS\r\n")?;
        line.clear();
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// What a server presents.
struct Identity {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

/// Certificates, and stores in files.
struct Pki {
    dir: TempDir,
    good: Identity,
    expired_leaf: Identity,
    other_name: Identity,
    mapped: Identity,
    address: Identity,
    under_dead_root: Identity,
    addtrust: Identity,
}

impl Pki {
    fn new() -> Pki {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Authority::new("Test USERTrust", -400, 4000);
        let dead = Authority::new("Test AddTrust", -4000, -200);
        let stranger = Authority::new("Test Stranger", -400, 4000);
        let [root_pem, dead_pem, stranger_pem] = [&root, &dead, &stranger].map(Authority::self_signed_pem);
        let both = format!("{dead_pem}{root_pem}");
        for (name, content) in [("root", root_pem), ("dead", dead_pem), ("stranger", stranger_pem), ("dead+root", both)] {
            std::fs::write(dir.path().join(format!("{name}.pem")), content).expect("a store");
        }
        let middle = Authority::new("Test Intermediate", -300, 3000);
        let (under_root, under_dead) = (middle.signed_by(&root), middle.signed_by(&dead));
        // The root's name and key, certified by the dead root for as long as that one lived.
        let cross = root.crossed_by(&dead, -3000, -200);
        let leaf = |name: &str, from, until, above: &[&Vec<u8>]| {
            let (certificate, key) = leaf(&middle, name, from, until);
            Identity { chain: std::iter::once(certificate).chain(above.iter().map(|der| (*der).clone())).collect(), key }
        };
        Pki {
            good: leaf("localhost", -10, 60, &[&under_root]),
            expired_leaf: leaf("localhost", -60, -2, &[&under_root]),
            other_name: leaf("other.example", -10, 60, &[&under_root]),
            mapped: leaf("mapped.example", -10, 60, &[&under_root]),
            address: leaf("127.0.0.1", -10, 60, &[&under_root]),
            under_dead_root: leaf("localhost", -10, 60, &[&under_dead]),
            addtrust: leaf("localhost", -10, 60, &[&under_root, &cross]),
            dir,
        }
    }

    fn path(&self, store: &str) -> PathBuf {
        self.dir.path().join(format!("{store}.pem"))
    }

    fn store(&self, store: &str) -> StoreChoice {
        StoreChoice::Files { file: Some(self.path(store).to_string_lossy().into_owned()), directory: None }
    }
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str, from: i64, until: i64) -> Authority {
        let mut params = dated(CertificateParams::default(), from, until);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority { params, key: KeyPair::generate().expect("a key") }
    }

    fn self_signed_pem(&self) -> String {
        self.params.clone().self_signed(&self.key).expect("a root").pem()
    }

    fn signed_by(&self, issuer: &Authority) -> Vec<u8> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    fn crossed_by(&self, issuer: &Authority, from: i64, until: i64) -> Vec<u8> {
        let name = self.params.distinguished_name.clone();
        let mut crossed = dated(self.params.clone(), from, until);
        crossed.distinguished_name = name;
        crossed.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn leaf(issuer: &Authority, name: &str, from: i64, until: i64) -> (Vec<u8>, Vec<u8>) {
    let mut params = dated(CertificateParams::new([name.to_owned()]).expect("a name"), from, until);
    params.distinguished_name.push(DnType::CommonName, "Test Leaf");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, &issuer.issuer()).expect("a leaf").der().to_vec(), key.serialize_der())
}

/// Without a name, valid from and until so many days from now: the programs judge by this host's clock.
fn dated(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Days::days(from);
    params.not_after = now + Days::days(until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}
