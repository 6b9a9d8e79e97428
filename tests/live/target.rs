//! The night of 30 May 2020 on a running system: a server, the store that breaks it for some, the fix, and the real programs after it.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use serde_json::Value;

use crate::{
    common::skip,
    host::Host,
    pki::{AddTrust, addtrust},
};

const DEAD: &str = "Live Test Dead Root";
const LIVING: &str = "Live Test Living Root";

/// A server on loopback that answers one request per connection, until the process ends.
fn serve(pki: &AddTrust) -> String {
    let chain = pki.chain.iter().map(|der| der.clone().into()).collect();
    let key = PrivateKeyDer::try_from(pki.key.clone()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let config = config.clone();
            // A client that goes away in the middle is no fault of the server's.
            thread::spawn(move || stream.and_then(|stream| answer(stream, config)));
        }
    });
    address
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while tls.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    let mut tls = tls.into_inner();
    tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Both roots come with the distribution's package.
fn install(host: &Host, pki: &AddTrust) {
    host.write("usr/share/ca-certificates/mozilla/Dead.crt", &pki.dead);
    host.write("usr/share/ca-certificates/mozilla/Living.crt", &pki.living);
    let conf = host.read("etc/ca-certificates.conf") + "mozilla/Dead.crt\nmozilla/Living.crt\n";
    host.write("etc/ca-certificates.conf", &conf);
    host.sh("update-ca-certificates").expect(0).says(&["2 added, 0 removed"]);
}

/// The clients that read this host's store, whatever else is installed.
const READERS: [&str; 8] =
    ["--client", "s_client-3.0", "--client", "gnutls-cli-3.7", "--client", "python-3.11", "--client", "curl"];

fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().expect("findings").iter().map(|f| f["code"].as_str().expect("a code")).collect()
}

/// Each handshake: by whom, and whether the server was trusted.
fn handshakes(report: &Value) -> Vec<(&str, Option<bool>)> {
    let all = report["verified"]["handshakes"].as_array().expect("handshakes");
    all.iter().map(|h| (h["client"].as_str().expect("a client"), h["trusted"].as_bool())).collect()
}

#[test]
fn from_a_broken_connection_to_a_proven_fix() {
    let Some(host) = Host::debian() else { return };
    let pki = addtrust();
    install(&host, &pki);
    let before = host.listing();
    let server = serve(&pki);
    let run = |command: &str, more: &[&str]| {
        host.certdoctor(&[&[command, "localhost", "--connect", &server, "--format", "json"], more].concat())
    };

    let diagnosed = run("diagnose", &[]).expect(1).json();
    assert!(codes(&diagnosed).contains(&"CD501"), "{:?}", codes(&diagnosed));
    assert!(diagnosed["findings"][0]["message"].as_str().expect("a message").contains(DEAD));
    assert_eq!(run("fix", &["--check"]).expect(3).json()["plan"]["steps"][0]["edit"]["path"], "/etc/ca-certificates.conf");
    assert_eq!(host.listing(), before);

    let fixed = run("fix", &["--apply"]).expect(0).json();
    assert_eq!(fixed["applied"]["changed"], true);
    assert_eq!(fixed["applied"]["rolled_back"], Value::Null);
    assert_eq!(fixed["applied"]["changes"][0], format!("deselect {DEAD}"));
    assert_eq!(handshakes(&fixed), [("rustls", Some(true))]);
    assert_eq!(fixed["verified"]["ok"], true);
    assert!(!codes(&fixed).contains(&"CD501"), "{:?}", codes(&fixed));
    assert!(host.read("etc/ca-certificates.conf").contains("\n!mozilla/Dead.crt\nmozilla/Living.crt\n"));
    assert!(!host.exists("etc/ssl/certs/Dead.pem") && host.exists("etc/ssl/certs/Living.pem"));

    let verified = run("verify", &READERS).expect(0).json();
    let handshakes = handshakes(&verified);
    assert!(handshakes.iter().all(|(_, trusted)| *trusted == Some(true)), "{handshakes:?}");
    for (program, name) in
        [("openssl", "openssl s_client"), ("curl", "curl"), ("python3", "Python ssl"), ("gnutls-cli", "gnutls-cli")]
    {
        match Path::new("/usr/bin").join(program).exists() {
            true => assert!(handshakes.iter().any(|(c, _)| c.starts_with(&format!("{name} "))), "{name}: {handshakes:?}"),
            false => skip(&format!("{program} is not installed")),
        }
    }

    let again = run("fix", &["--apply"]).expect(0).json();
    assert_eq!(again["applied"]["changed"], false);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing(), before);
}

/// The real programs refuse a server once its root is gone: it goes only by force, and stays gone.
#[test]
fn the_only_valid_path_goes_by_force_alone() {
    let Some(host) = Host::debian() else { return };
    let pki = addtrust();
    install(&host, &pki);
    let before = host.listing();
    let server = serve(&pki);
    let run = |command: &str, more: &[&str]| {
        host.certdoctor(&[&[command, "localhost", "--connect", &server, "--format", "json"], more].concat())
    };
    let refused = run("fix", &["--anchor", LIVING, "--apply"]).expect(1).json();
    assert_eq!(refused["applied"]["changed"], false);
    assert!(refused["plan"]["refused"][0]["why"].as_str().expect("why").contains("no valid path to localhost is left"));
    assert_eq!(host.listing(), before);

    let forced = run("fix", &["--anchor", LIVING, "--apply", "--force"]).expect(1).json();
    assert_eq!(forced["applied"]["rolled_back"], Value::Null);
    assert_eq!(handshakes(&forced), [("rustls", Some(false))]);
    assert!(!host.exists("etc/ssl/certs/Living.pem"));
    let verified = run("verify", &READERS).expect(1).json();
    let handshakes = handshakes(&verified);
    assert!(handshakes.iter().all(|(_, trusted)| *trusted == Some(false)), "{handshakes:?}");
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing(), before);
}

/// Without an answer nothing could be proven.
#[test]
fn a_target_that_does_not_answer_stops_the_fix() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let anchor = "Baltimore CyberTrust Root";
    let fix = ["fix", "localhost", "--connect", &unused, "--anchor", anchor, "--apply"];
    host.certdoctor(&fix).expect(2).says(&["error: no certificate from localhost", "nothing was changed"]);
    assert_eq!(host.listing(), before);
    assert!(!host.exists("var/lib/certdoctor"));
}
