//! Which anchors a client reads on a host: `--CAfile`, the variables it honours, the stores it knows.
//!
//! Sources: OpenSSL crypto/x509/x509_def.c and by_file.c; Go crypto/x509/root_unix.go and root_linux.go; rustls-native-certs 0.8
//! src/unix.rs; curl src/tool_operate.c and lib/vtls; GnuTLS configure.ac (`--with-default-trust-store-file`); Node
//! src/crypto/crypto_context.cc; OpenJDK TrustStoreManager.java; git http.c; gRPC src/core/lib/security/security_connector/ssl_utils.cc. Mbed TLS,
//! wolfSSL and cryptography read what the application gives; NSS, Firefox, Apple and Windows have stores of their own.

use crate::{
    facts::{CertFile, Content, Facts, FileState, HashDirectory, Quirk, Redirect},
    path::Anchors,
    x509::CertificateSet,
};

/// What a client reads as its trust store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The anchors.
    pub anchors: Anchors,
    /// The places, for people: `/etc/ssl/certs/ca-certificates.crt`.
    pub from: Vec<String>,
    /// Why a place could not be used: the place, and `OpenSSL refuses the whole file: …`.
    pub refused: Vec<(String, String)>,
    /// Part of what the client trusts is not known (a compiled-in list), and why. An acceptance stands, a refusal means nothing.
    pub unknown: Option<String>,
}

impl Reading {
    /// A file as OpenSSL reads it (`X509_load_cert_crl_file`): one bad block and the whole file is refused.
    fn openssl_file(&mut self, file: &CertFile) {
        match openssl_refusal(file) {
            Some(why) => self.refuse(file, &format!("OpenSSL refuses the whole file: {why}")),
            None => self.whole_file(file),
        }
    }

    /// A file of which every certificate counts that can be read.
    fn whole_file(&mut self, file: &CertFile) {
        if file.is_read() {
            self.from.push(file.path.to_string());
            self.anchors.file.extend(file.certificates().map(|(_, c)| c.clone()));
        } else {
            self.refuse(file, &unread(file));
        }
    }

    /// A directory as OpenSSL looks it up: `hash.0`, `hash.1`, … until a number is missing.
    fn hash_directory(&mut self, directory: &HashDirectory) {
        match &directory.state {
            Err(why) => self.refused.push((directory.path.to_string(), why.clone())),
            Ok(()) => {
                self.from.push(directory.path.to_string());
                self.anchors.directory.extend(directory.reachable().into_iter().map(|(_, c)| c.clone()));
            }
        }
    }

    /// A directory of which every file counts whose name `wanted` accepts.
    fn every_file(&mut self, directory: &HashDirectory, only_hash_names: bool) {
        match &directory.state {
            Err(why) => self.refused.push((directory.path.to_string(), why.clone())),
            Ok(()) => {
                self.from.push(directory.path.to_string());
                let entries = directory.entries.iter().filter(|e| !only_hash_names || e.hash.is_some());
                self.anchors.file.extend(entries.flat_map(|e| e.file.certificates()).map(|(_, c)| c.clone()));
            }
        }
    }

    fn refuse(&mut self, file: &CertFile, why: &str) {
        self.refused.push((file.path.to_string(), why.to_owned()));
    }

    fn without_duplicates(mut self) -> Reading {
        let mut seen = CertificateSet::with_capacity_and_hasher(self.anchors.file.len(), Default::default());
        let is_first: Vec<bool> = self.anchors.file.iter().map(|c| seen.insert(c)).collect();
        let mut is_first = is_first.into_iter();
        self.anchors.file.retain(|_| is_first.next().unwrap_or(true));
        self
    }
}

/// OpenSSL's own tools and what uses its default paths: CAfile and CApath, each replaced by its variable.
pub(super) fn openssl(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, Some("SSL_CERT_FILE"), Some("SSL_CERT_DIR"));
    if let Some(file) = places.file {
        reading.openssl_file(file);
    }
    for directory in places.directories {
        reading.hash_directory(directory);
    }
    reading
}

/// curl: CURL_CA_BUNDLE, else OpenSSL's variables; the compiled-in directory stays beside a bundle that a variable names.
pub(super) fn curl(facts: &Facts) -> Reading {
    if facts.given.is_some() || facts.environment.get("CURL_CA_BUNDLE").is_none() {
        return openssl(facts);
    }
    let mut reading = Reading::default();
    let places = Places::of(facts, Some("CURL_CA_BUNDLE"), None);
    if let Some(file) = places.file {
        reading.openssl_file(file);
    }
    for directory in places.directories {
        reading.hash_directory(directory);
    }
    reading
}

/// Node: a list compiled into the binary; NODE_EXTRA_CA_CERTS adds to it.
pub(super) fn node(facts: &Facts) -> Reading {
    if facts.given.is_some() {
        return openssl(facts);
    }
    // Behind this option stands OpenSSL's store, and its variables count (doc/api/cli.md, --use-openssl-ca).
    if facts.environment.get("NODE_OPTIONS").is_some_and(|o| o.value.split_whitespace().any(|v| v == "--use-openssl-ca")) {
        return openssl(facts);
    }
    let mut reading = Reading {
        unknown: Some(
            "Node trusts the list compiled into its binary, not this host's store; give --CAfile to judge with other anchors"
                .to_owned(),
        ),
        ..Reading::default()
    };
    if let Some(file) = facts.environment.get("NODE_EXTRA_CA_CERTS").and_then(|o| o.redirect.file.as_ref()) {
        reading.openssl_file(file);
    }
    reading
}

/// LibreSSL: its cert.pem, which distributions lead to their bundle, and the directory beside it; it looks at no variable
/// (crypto/x509/by_file.c, by_dir.c).
pub(super) fn libressl(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, None, None);
    if let Some(file) = places.file {
        reading.openssl_file(file);
    }
    for directory in places.directories {
        reading.hash_directory(directory);
    }
    reading
}

/// A client that trusts what it brings with it, or what its caller names, but not this host's store; a variable may name a file.
pub(super) fn told(facts: &Facts, variable: Option<&str>, why: &str) -> Reading {
    if facts.given.is_some() {
        return openssl(facts);
    }
    let mut reading = Reading::default();
    match variable.and_then(|name| facts.environment.get(name)).and_then(|o| o.redirect.file.as_ref()) {
        Some(file) => reading.openssl_file(file),
        None => reading.unknown = Some(format!("{why}; give --CAfile to judge with other anchors")),
    }
    reading
}

/// Libraries that read what the application gives them: of a host only that is known which a person gives.
fn given(facts: &Facts, library: &str) -> Reading {
    if facts.given.is_some() {
        return gnutls(facts);
    }
    let why =
        format!("{library} trusts what the application loads, not this host's store; give --CAfile to judge with that file");
    Reading { unknown: Some(why), ..Reading::default() }
}

/// Mbed TLS (`mbedtls_ssl_conf_ca_chain`).
pub(super) fn mbedtls(facts: &Facts) -> Reading {
    given(facts, "Mbed TLS")
}

/// wolfSSL (`wolfSSL_CTX_load_verify_locations`).
pub(super) fn wolfssl(facts: &Facts) -> Reading {
    given(facts, "wolfSSL")
}

/// pyca/cryptography (`Store`).
pub(super) fn pyca(facts: &Facts) -> Reading {
    given(facts, "cryptography")
}

/// Stores of their own, which this tool does not read: NSS's and Firefox's built-in roots and databases, the keychains of macOS, the
/// registry of Windows.
fn own(facts: &Facts, what: &str) -> Reading {
    if facts.given.is_some() {
        return gnutls(facts);
    }
    let why = format!("{what}, not this host's store; give --CAfile to judge with other anchors");
    Reading { unknown: Some(why), ..Reading::default() }
}

/// Firefox (security/certverifier, `FindIssuer`): its own list, then its database.
pub(super) fn firefox(facts: &Facts) -> Reading {
    own(facts, "Firefox trusts the list built into it and the database of its profile")
}

/// Applications on NSS: the built-in list (libnssckbi) and a database.
pub(super) fn nss(facts: &Facts) -> Reading {
    own(facts, "NSS trusts its built-in list and a database")
}

/// Apple: the system's roots and keychains.
pub(super) fn apple(facts: &Facts) -> Reading {
    own(facts, "Apple's systems trust their own roots and keychains")
}

/// Windows: the Root store, filled by need.
pub(super) fn windows(facts: &Facts) -> Reading {
    own(facts, "Windows trusts its Root store, which it fills by itself")
}

/// GnuTLS and what is built on it: the bundle that the distribution compiled in, no variable.
pub(super) fn gnutls(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, None, None);
    if let Some(file) = places.file {
        reading.whole_file(file);
    }
    if facts.given.is_some() {
        for directory in places.directories {
            reading.every_file(directory, false);
        }
    }
    reading.without_duplicates()
}

/// git: GIT_SSL_CAINFO, else what its libcurl was built with (http.sslCAInfo in its configuration is not looked at).
pub(super) fn git(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, Some("GIT_SSL_CAINFO"), None);
    if let Some(file) = places.file {
        reading.whole_file(file);
    }
    if facts.given.is_some() {
        for directory in places.directories {
            reading.every_file(directory, false);
        }
    }
    reading.without_duplicates()
}

/// Go: the bundle and every file of the directories, each replaced by its variable; what can't be read is passed over.
pub(super) fn go(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, Some("SSL_CERT_FILE"), Some("SSL_CERT_DIR"));
    if let Some(file) = places.file {
        reading.whole_file(file);
    }
    for directory in places.directories {
        reading.every_file(directory, false);
    }
    reading.without_duplicates()
}

/// rustls with rustls-native-certs: the variables if one of them is set, else bundle and directory; of a directory only files with hash
/// names.
pub(super) fn rustls(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    let places = Places::of(facts, Some("SSL_CERT_FILE"), Some("SSL_CERT_DIR"));
    let set = |variable| facts.given.is_none() && facts.environment.get(variable).is_some();
    let (file_set, directory_set) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
    if let Some(file) = places.file.filter(|_| file_set || !directory_set) {
        reading.whole_file(file);
    }
    if directory_set || !file_set {
        for directory in places.directories {
            reading.every_file(directory, facts.given.is_none());
        }
    }
    reading.without_duplicates()
}

/// Java: the cacerts that the distribution derives from its store; a JRE's own list is not looked at.
pub(super) fn java(facts: &Facts) -> Reading {
    let mut reading = Reading::default();
    if facts.given.is_some() {
        return gnutls(facts);
    }
    for file in facts.stores.iter().flat_map(|s| &s.derived) {
        reading.whole_file(file);
    }
    if reading.from.is_empty() {
        reading.unknown =
            Some("no cacerts was found that this host derives from its store; a JRE may carry its own, give --CAfile".to_owned());
    }
    reading.without_duplicates()
}

/// The bundle and the directories that a client is led to.
struct Places<'a> {
    file: Option<&'a CertFile>,
    directories: Vec<&'a HashDirectory>,
}

impl<'a> Places<'a> {
    /// `--CAfile` and `--CApath` replace everything; a variable replaces its own half; else the host's stores, the first that has
    /// each.
    fn of(facts: &'a Facts, file_variable: Option<&str>, directory_variable: Option<&str>) -> Places<'a> {
        if let Some(Redirect { file, directories }) = &facts.given {
            return Places { file: file.as_ref(), directories: directories.iter().collect() };
        }
        let redirect = |variable: Option<&str>| variable.and_then(|v| facts.environment.get(v)).map(|o| &o.redirect);
        let file = match redirect(file_variable) {
            Some(redirect) => redirect.file.as_ref(),
            None => facts.stores.iter().find_map(|s| s.bundle.as_ref()),
        };
        let directories = match redirect(directory_variable) {
            Some(redirect) => redirect.directories.iter().collect(),
            None => facts.stores.iter().find_map(|s| s.directory.as_ref()).into_iter().collect(),
        };
        Places { file, directories }
    }
}

/// Why OpenSSL takes nothing from a file: `PEM_X509_INFO_read_bio` gives up at the first block that it can't read.
fn openssl_refusal(file: &CertFile) -> Option<String> {
    if !file.is_read() {
        return Some(unread(file));
    }
    if file.quirks.contains(&Quirk::JoinedBlocks) {
        return Some("BEGIN follows END on the same line".to_owned());
    }
    if file.quirks.contains(&Quirk::Unterminated) {
        return Some("a block has no END".to_owned());
    }
    file.entries.iter().find_map(|entry| match &entry.content {
        Content::Opaque(why) => Some(format!("line {}: {why}", entry.line)),
        _ => None,
    })
}

fn unread(file: &CertFile) -> String {
    match &file.state {
        FileState::Missing => "it does not exist".to_owned(),
        FileState::NotAFile(what) => format!("it is a {what}"),
        FileState::Read { .. } => "it holds no certificate".to_owned(),
        FileState::TooLarge(size) => format!("it has {size} bytes, more than this tool reads"),
        FileState::Unreadable(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{At, TreePath},
        facts::{Clock, Entry, Environment, Override},
        x509::Certificate,
    };

    fn certificate(name: &str) -> Certificate {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses")
    }

    fn file(path: &str, contents: Vec<Content>) -> CertFile {
        let path = TreePath::new(path.as_bytes());
        let entry = |content| Entry { line: 1, block: 0..0, section: 0..0, label: None, content };
        CertFile {
            real: path.clone(),
            path,
            links: Default::default(),
            state: FileState::Read { digest: None, len: 0, mode: 0o644, modified: At(0) },
            entries: contents.into_iter().map(entry).collect(),
            quirks: Default::default(),
        }
    }

    fn facts(given: Option<CertFile>, overrides: Vec<Override>) -> Facts {
        let clock = Clock { at: At(0), injected: true, built: None, newest_file: None, server_dates: Vec::new() };
        Facts {
            given: given.map(|file| Redirect { file: Some(file), directories: Vec::new() }),
            environment: Environment { overrides },
            ..Facts::new(clock)
        }
    }

    fn set(variable: &'static str, file: CertFile) -> Override {
        let redirect = Redirect { file: Some(file), directories: Vec::new() };
        Override { variable, value: String::new(), redirect }
    }

    #[test]
    fn openssl_refuses_a_file_with_one_bad_block_and_others_do_not() {
        let good = certificate("a.example");
        let contents = vec![Content::Certificate(good.clone()), Content::Opaque("bad base64".into())];
        let facts = facts(Some(file("/bundle.pem", contents)), Vec::new());
        let reading = openssl(&facts);
        assert!(reading.anchors.file.is_empty());
        assert_eq!(reading.refused[0].1, "OpenSSL refuses the whole file: line 1: bad base64");
        assert_eq!(go(&facts).anchors.file, std::slice::from_ref(&good));
        assert_eq!(gnutls(&facts).anchors.file, std::slice::from_ref(&good));
    }

    #[test]
    fn each_client_honours_its_own_variables() {
        let (a, b) = (certificate("a.example"), certificate("b.example"));
        let overrides = vec![
            set("SSL_CERT_FILE", file("/a.pem", vec![Content::Certificate(a.clone())])),
            set("CURL_CA_BUNDLE", file("/b.pem", vec![Content::Certificate(b.clone())])),
            set("NODE_EXTRA_CA_CERTS", file("/b.pem", vec![Content::Certificate(b.clone())])),
            set("GIT_SSL_CAINFO", file("/b.pem", vec![Content::Certificate(b.clone())])),
            set("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", file("/a.pem", vec![Content::Certificate(a.clone())])),
        ];
        let facts = facts(None, overrides);
        assert_eq!(openssl(&facts).anchors.file, std::slice::from_ref(&a));
        assert_eq!(go(&facts).anchors.file, std::slice::from_ref(&a));
        assert_eq!(rustls(&facts).anchors.file, std::slice::from_ref(&a));
        assert_eq!(curl(&facts).anchors.file, std::slice::from_ref(&b));
        assert!(gnutls(&facts).anchors.file.is_empty());
        assert!(libressl(&facts).anchors.file.is_empty());
        assert_eq!(git(&facts).anchors.file, std::slice::from_ref(&b));
        let named = told(&facts, Some("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"), "its own list");
        assert_eq!((named.anchors.file.as_slice(), named.unknown), (std::slice::from_ref(&a), None));
        assert!(told(&facts, None, "its own list").unknown.is_some());
        let reading = node(&facts);
        assert_eq!(reading.anchors.file, std::slice::from_ref(&b));
        assert!(reading.unknown.is_some());
        assert!(java(&facts).unknown.is_some());
    }
}
