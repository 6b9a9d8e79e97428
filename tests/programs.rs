//! The real clients of this host, asked about servers on loopback whose certificates are made here.
//!
//! A client that isn't installed is a visible skip, and a failure where CI sets `CI=true`.

#[path = "programs/pki.rs"]
mod pki;
#[path = "programs/server.rs"]
mod server;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use certdoctor::{
    facts::StartTls,
    host::{Exec, Output},
    program::{self, Answer, Ask, Found, Program, StoreChoice},
};
use pki::Pki;
use server::{Manner, Server};

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

#[test]
fn connects_to_an_ipv6_address() {
    let pki = Pki::new();
    let Ok(server) = Server::start_at("::1", &pki.good, Manner::Http) else {
        return eprintln!("skipped: this host has no ::1");
    };
    every(|program, found| {
        let answer = ask(program, found, &server.ask(pki.store("root")));
        // Those that go where the name leads: `localhost` has an IPv6 address on some hosts only.
        let elsewhere = ["go", "wget"].contains(&program.id) && answer.text.contains("can't be sent to ::1");
        assert!(elsewhere || answer.trusted == Some(true), "{program:?}: {answer:?}");
        let question = Ask { host: "::1".into(), servername: None, ..server.ask(pki.store("root")) };
        let answer = ask(program, found, &question);
        assert_eq!(answer.trusted, Some(false), "{program:?}: {answer:?}");
    });
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
        assert!(!answer.text.is_empty(), "{program:?}");
    });
}

/// A bundle whose two certificates were joined without a newline between them, the right one last: only GnuTLS finds it.
#[test]
fn a_bundle_without_a_newline_in_between() {
    let pki = Pki::new();
    let server = Server::start(&pki.good, Manner::Http);
    every(|program, found| {
        let answer = ask(program, found, &server.ask(pki.store("glued")));
        let gnutls = found.library.as_deref().is_some_and(|library| library.starts_with("GnuTLS"));
        assert_eq!(answer.trusted, Some(gnutls), "{program:?}: {answer:?}");
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
    static FOUND: LazyLock<Vec<Option<Found>>> =
        LazyLock::new(|| program::ALL.iter().map(|program| program.find(&TestExec::default())).collect());
    for (program, found) in program::ALL.iter().zip(&*FOUND) {
        match found {
            Some(found) => test(program, found),
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
        for name in certdoctor::host::TRUST_VARIABLES {
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
