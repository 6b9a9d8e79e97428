//! What would help each client that refuses, and whom it would hurt: found by judging again.

#[path = "hostile/mod.rs"]
mod hostile;
mod support;

use certdoctor::{
    base::At,
    check::{ClientVerdict, RemedyKind},
    client,
    facts::{CertFile, Clock, Endpoint, Facts, Override, Presented, Redirect, Target, TargetSource},
    format::sniff,
    host::memory::MemoryTree,
    judge::{Inquiry, judge},
    path::Verdict,
    store::{self, read::Reader},
    x509::{Certificate, Purpose},
};
use support::read_fixture;

const NOW: &str = "2026-11-22T01:00:00Z";

/// A host whose bundle is one of the lab's stores, and a server that presents one of its chains.
struct World {
    facts: Facts,
    at: At,
}

impl World {
    fn new(chain: &str, anchors: &str) -> World {
        let tree = MemoryTree::new();
        tree.file("/etc/ssl/cert.pem", read_fixture(&format!("clients/stores/{anchors}.pem")));
        let at = At::parse(NOW).expect("a time");
        let presented = sniff::certificates(&read_fixture(&format!("clients/chains/{chain}.pem"))).certificates;
        let source = TargetSource::Server { host: "localhost".into(), port: 443, starttls: None };
        let endpoint = Endpoint {
            target: Target { text: "localhost".into(), source, host: Some("localhost".into()) },
            only: None,
            outcome: Ok(Presented { certificates: presented, handshake_completed: true, ..Presented::default() }),
        };
        let facts = Facts {
            stores: store::load_all(&tree),
            endpoints: vec![endpoint],
            ..Facts::new(Clock { at, injected: true, built: None, newest_file: None, server_dates: Vec::new() })
        };
        World { facts, at }
    }

    fn file(anchors: &str, path: &str) -> CertFile {
        let tree = MemoryTree::new();
        tree.file(path, read_fixture(&format!("clients/stores/{anchors}.pem")));
        Reader::new(&tree).file(&path.into())
    }

    fn with_variable(mut self, variable: &'static str, anchors: &str) -> World {
        let file = World::file(anchors, "/opt/other.pem");
        let redirect = Redirect { file: Some(file), directories: Vec::new() };
        self.facts.environment.overrides.push(Override { variable, value: "/opt/other.pem".into(), redirect });
        self
    }

    fn ask(&self, clients: &[&str]) -> Vec<ClientVerdict> {
        let clients = clients.iter().map(|id| client::resolve(id).expect("is known")).collect();
        let purpose = Purpose::ServerAuth;
        let inquiry = Inquiry { at: self.at, within: 90, horizon: None, purpose, clients, regrade: Vec::new() };
        judge(&self.facts, &inquiry).verdicts
    }
}

impl World {
    /// A server that presents these, on a host that trusts those.
    fn presenting(presented: Vec<Certificate>, anchors: &[Certificate]) -> World {
        let mut world = World::new("addtrust", "A");
        let tree = MemoryTree::new();
        tree.file("/etc/ssl/cert.pem", anchors.iter().map(certdoctor::render::pem).collect::<String>());
        world.facts.stores = store::load_all(&tree);
        world.facts.endpoints[0].outcome =
            Ok(Presented { certificates: presented, handshake_completed: true, ..Presented::default() });
        world.at = hostile::AT;
        world
    }
}

/// One hostile server must not hold up a run: remedies cost a verdict each, so that their number has a bound.
#[test]
fn a_maze_is_not_searched_for_remedies() {
    let clients = ["openssl-3", "gnutls", "go", "rustls-webpki", "java-17"];
    let mut exhausted = 0;
    for mut shape in hostile::shapes().into_iter().filter(|s| s.presented.len() > 24) {
        shape.presented.truncate(certdoctor::base::Limits::DEFAULT.presented);
        let verdicts = World::presenting(shape.presented, &shape.anchors).ask(&clients);
        assert_eq!(verdicts.len(), clients.len());
        assert!(verdicts.iter().all(|v| v.would_help.is_empty()), "{}", shape.name);
        exhausted += verdicts.iter().filter(|v| hostile::budget(&v.verdict).is_some()).count();
    }
    assert!(exhausted > 0, "no shape exhausts a client");
    let mut many = hostile::shapes().into_iter().find(|s| s.name == "twins").expect("a shape").presented;
    many.truncate(24);
    for verdict in World::presenting(many, &[]).ask(&clients) {
        assert!(verdict.would_help.iter().filter(|t| t.kind == RemedyKind::StopServing).count() <= 5, "{:?}", verdict.would_help);
    }
}

/// The kind and the words of the smallest remedy of the first client.
fn smallest(verdicts: &[ClientVerdict]) -> (RemedyKind, &str) {
    assert!(matches!(verdicts[0].verdict, Verdict::Untrusted { .. }), "{:?}", verdicts[0].verdict);
    let trial = verdicts[0].smallest_remedy().unwrap_or_else(|| panic!("nothing helps: {:?}", verdicts[0].would_help));
    (trial.kind, trial.words.as_str())
}

/// The words of all of one kind, with whether each works.
fn all(verdict: &ClientVerdict, kind: RemedyKind) -> Vec<(&str, bool)> {
    verdict.would_help.iter().filter(|t| t.kind == kind).map(|t| (t.words.as_str(), t.trusts)).collect()
}

#[test]
fn a_dead_anchor_is_removed_or_the_client_upgraded() {
    let verdicts = World::new("addtrust", "A_U").ask(&["openssl-1.0.2", "openssl-3.0", "gnutls-3.6.13"]);
    let (kind, words) = smallest(&verdicts);
    assert_eq!(kind, RemedyKind::RemoveAnchor, "{words}");
    assert!(verdicts[0].would_help[0].harms.is_empty());
    // The first version that finds the valid path, not the newest.
    assert_eq!(all(&verdicts[0], RemedyKind::Upgrade), [("upgrade to OpenSSL 1.1.0", true)]);
    assert!(all(&verdicts[0], RemedyKind::StopServing).iter().any(|(_, trusts)| *trusts));
    assert!(verdicts[1].would_help.is_empty(), "accepts already");
    assert!(verdicts[2].smallest_remedy().is_some());
}

#[test]
fn who_would_be_hurt_is_named_and_a_harmless_remedy_goes_first() {
    // rustls is led to a store with the expired root alone, whose dates it does not look at: it lives by the certificate that kills GnuTLS.
    let world = World::new("dst", "A2_X1").with_variable("SSL_CERT_FILE", "A2");
    let verdicts = world.ask(&["gnutls-3.6.13", "rustls-webpki"]);
    assert!(verdicts[1].verdict.is_trusted(), "{:?}", verdicts[1].verdict);
    let working: Vec<_> = verdicts[0].would_help.iter().filter(|t| t.trusts).collect();
    let stop = working.iter().find(|t| t.kind == RemedyKind::StopServing).expect("it helps");
    assert_eq!(stop.harms, ["rustls-webpki"], "{working:?}");
    assert!(working.windows(2).all(|pair| pair[0].harms.is_empty() || !pair[1].harms.is_empty()), "{working:?}");
    assert!(verdicts[1].would_help.is_empty());
}

#[test]
fn the_server_puts_its_chain_in_order() {
    let verdicts = World::new("wrong-order", "U").ask(&["mbedtls-3.6", "openssl-3.0"]);
    // Mbed TLS reads what the application gives it, so on a host its refusal means nothing; with --CAfile it counts.
    assert!(matches!(verdicts[0].verdict, Verdict::Unknown(_)));
    let mut world = World::new("wrong-order", "U");
    world.facts.given = Some(Redirect { file: Some(World::file("U", "/ca.pem")), directories: Vec::new() });
    let verdicts = world.ask(&["mbedtls-3.6", "openssl-3.0"]);
    let (kind, words) = smallest(&verdicts);
    assert_eq!(kind, RemedyKind::Reorder, "{words}");
    assert!(words.starts_with("the server sends in the order localhost / Lab Issuing CA 2 / Lab Policy CA"), "{words}");
}

#[test]
fn a_variable_is_unset_or_set() {
    let led_astray = World::new("nocross", "U").with_variable("SSL_CERT_FILE", "ZE");
    let verdicts = led_astray.ask(&["openssl-3.0", "go", "gnutls"]);
    assert_eq!(smallest(&verdicts), (RemedyKind::Variable, "unset SSL_CERT_FILE"));
    assert_eq!(smallest(&verdicts[1..]), (RemedyKind::Variable, "unset SSL_CERT_FILE"));
    assert!(verdicts[2].verdict.is_trusted(), "GnuTLS reads no variable");
    // The store lacks the root; a file that another program is led to has it.
    let elsewhere = World::new("nocross", "ZE").with_variable("GIT_SSL_CAINFO", "U");
    let verdicts = elsewhere.ask(&["openssl-3.0"]);
    assert_eq!(smallest(&verdicts), (RemedyKind::Variable, "set SSL_CERT_FILE=/opt/other.pem"));
}

#[test]
fn sha1_is_had_back_in_go_for_as_long_as_it_could_be() {
    let verdicts = World::new("sha1-int", "U").ask(&["go-1.19", "go-1.27"]);
    assert_eq!(smallest(&verdicts), (RemedyKind::Variable, "set GODEBUG=x509sha1=1"));
    assert!(all(&verdicts[1], RemedyKind::Variable).is_empty());
}

#[test]
fn a_missing_root_is_added_and_a_wrong_clock_put_right() {
    let verdicts = World::new("root-included", "ZE").ask(&["openssl-3.0"]);
    assert_eq!(smallest(&verdicts).0, RemedyKind::AddAnchor);

    let mut world = World::new("nocross", "U");
    world.at = At::parse("1970-01-02T00:00:00Z").expect("a time");
    world.facts.clock.injected = false;
    world.facts.clock.built = At::parse(NOW).ok();
    let verdicts = world.ask(&["openssl-3.0"]);
    let (kind, words) = smallest(&verdicts);
    assert_eq!((kind, words), (RemedyKind::Clock, "put the clock right: it is 2026-11-22T01:00:00Z or later"));
    // With --at nothing speaks against the clock.
    world.facts.clock.injected = true;
    assert!(all(&world.ask(&["openssl-3.0"])[0], RemedyKind::Clock).is_empty());
}
