//! Variables that a client documents, by which one process is led to other anchors or to other rules; what they would change is found by
//! reading and judging again.

use std::collections::BTreeSet;

use super::{Client, Engine, Reading, reading};
use crate::{
    base::TreePath,
    facts::{CertFile, Environment, Facts, HashDirectory, Override, Redirect},
    path::go,
};

/// One variable of one client.
pub struct Setting {
    /// Its name.
    pub variable: &'static str,
    /// What its value means.
    pub effect: Effect,
    /// Where it is documented.
    pub source: &'static str,
}

/// What the value of a variable means to a client.
pub enum Effect {
    /// A file of anchors; the profile's `reads` honours it.
    File,
    /// Hash directories; the profile's `reads` honours them.
    Directories,
    /// This value makes the client read otherwise.
    Reads(&'static str, fn(&Facts) -> Reading),
    /// This value makes it judge by other rules.
    Rules(&'static str, fn(Engine) -> Engine),
}

const OPENSSL_SOURCE: &str = "SSL_CTX_set_default_verify_paths(3)";
const FILE: Setting = Setting { variable: "SSL_CERT_FILE", effect: Effect::File, source: OPENSSL_SOURCE };
const DIRECTORIES: Setting = Setting { variable: "SSL_CERT_DIR", effect: Effect::Directories, source: OPENSSL_SOURCE };

/// OpenSSL's default paths, in its own programs and in others (Python's `ssl`); rustls-native-certs takes the same two.
pub(super) const OPENSSL: &[Setting] = &[FILE, DIRECTORIES];
/// curl(1).
pub(super) const CURL: &[Setting] =
    &[Setting { variable: "CURL_CA_BUNDLE", effect: Effect::File, source: "curl(1), ENVIRONMENT" }, FILE, DIRECTORIES];
/// git.
pub(super) const GIT: &[Setting] =
    &[Setting { variable: "GIT_SSL_CAINFO", effect: Effect::File, source: "git-config(1), http.sslCAInfo" }];
/// Go: the store.
pub(super) const GO: &[Setting] = &[
    Setting { variable: "SSL_CERT_FILE", effect: Effect::File, source: "crypto/x509, SystemCertPool" },
    Setting { variable: "SSL_CERT_DIR", effect: Effect::Directories, source: "crypto/x509, SystemCertPool" },
];
/// Go 1.18 to 1.23: SHA-1 again, until 1.24 took the way back away.
pub(super) const GO_SHA1: &[Setting] = &[
    Setting { variable: "SSL_CERT_FILE", effect: Effect::File, source: "crypto/x509, SystemCertPool" },
    Setting { variable: "SSL_CERT_DIR", effect: Effect::Directories, source: "crypto/x509, SystemCertPool" },
    Setting { variable: "GODEBUG", effect: Effect::Rules("x509sha1=1", accept_sha1), source: "Go 1.18 and 1.24 release notes" },
];
/// gRPC's core.
pub(super) const GRPC: &[Setting] = &[Setting {
    variable: "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    effect: Effect::File,
    source: "gRPC core, doc/environment_variables.md",
}];
/// Node from 7.5.
pub(super) const NODE: &[Setting] = &[
    Setting { variable: "NODE_EXTRA_CA_CERTS", effect: Effect::File, source: "Node.js documentation, NODE_EXTRA_CA_CERTS=file" },
    Setting {
        variable: "NODE_OPTIONS",
        effect: Effect::Reads("--use-openssl-ca", reading::openssl),
        source: "Node.js documentation, --use-openssl-ca",
    },
];

fn accept_sha1(engine: Engine) -> Engine {
    match engine {
        Engine::Go(policy) => Engine::Go(go::Policy { sha1_is_insecure: false, ..policy }),
        other => other,
    }
}

/// A client under another value of a variable.
pub struct Variant {
    /// What to do: `set SSL_CERT_FILE=/etc/ssl/cert.pem`, `unset CURL_CA_BUNDLE`.
    pub words: String,
    /// The variable.
    pub variable: &'static str,
    /// The client, with the rules that it has then.
    pub client: Client,
    /// What it reads then.
    pub reading: Reading,
}

impl Client {
    /// Every value of its variables that makes a difference on this host: each variable that is set, unset, and each that is not, set to
    /// what lies here. With `--CAfile` no variable counts.
    #[must_use]
    pub fn variants(&self, facts: &Facts) -> Vec<Variant> {
        if facts.given.is_some() || self.profile.settings.is_empty() {
            return Vec::new();
        }
        let now = self.reads(facts);
        let mut variants: Vec<Variant> = Vec::new();
        for setting in self.profile.settings {
            let variable = setting.variable;
            let mut offer = |words: String, client: Client, reading: Reading| {
                let differs = reading.anchors != now.anchors || reading.unknown != now.unknown || client.engine != self.engine;
                if differs && !variants.iter().any(|v| v.reading.anchors == reading.anchors && v.client.engine == client.engine) {
                    variants.push(Variant { words, variable, client, reading });
                }
            };
            if facts.environment.get(variable).is_some() {
                offer(format!("unset {variable}"), self.clone(), self.reads(&with(facts, variable, None)));
                continue;
            }
            match &setting.effect {
                Effect::File => {
                    for file in files(facts) {
                        let words = format!("set {variable}={}", file.path);
                        let redirect = Redirect { file: Some(file.clone()), directories: Vec::new() };
                        offer(words, self.clone(), self.reads(&with(facts, variable, Some(redirect))));
                    }
                }
                Effect::Directories => {
                    for directory in directories(facts) {
                        let words = format!("set {variable}={}", directory.path);
                        let redirect = Redirect { file: None, directories: vec![directory.clone()] };
                        offer(words, self.clone(), self.reads(&with(facts, variable, Some(redirect))));
                    }
                }
                Effect::Reads(value, reads) => offer(format!("set {variable}={value}"), self.clone(), reads(facts)),
                Effect::Rules(value, rules) => {
                    let client = Client { engine: rules(self.engine), ..self.clone() };
                    offer(format!("set {variable}={value}"), client, now.clone());
                }
            }
        }
        variants
    }
}

/// The same host with one variable set to something else, or to nothing. Targets make no difference to what is read.
fn with(facts: &Facts, variable: &'static str, redirect: Option<Redirect>) -> Facts {
    let mut overrides: Vec<Override> = facts.environment.overrides.iter().filter(|o| o.variable != variable).cloned().collect();
    overrides.extend(redirect.map(|redirect| Override { variable, value: String::new(), redirect }));
    Facts { stores: facts.stores.clone(), environment: Environment { overrides }, ..Facts::new(facts.clock.clone()) }
}

/// The bundles of this host, each place once.
fn files(facts: &Facts) -> Vec<&CertFile> {
    let mut seen: BTreeSet<&TreePath> = BTreeSet::new();
    let named = facts.environment.overrides.iter().filter_map(|o| o.redirect.file.as_ref());
    let bundles = facts.stores.iter().filter_map(|s| s.bundle.as_ref()).chain(named);
    bundles.filter(|file| file.is_read() && seen.insert(&file.real)).collect()
}

/// The hash directories of this host's stores.
fn directories(facts: &Facts) -> impl Iterator<Item = &HashDirectory> {
    facts.stores.iter().filter_map(|s| s.directory.as_ref())
}
