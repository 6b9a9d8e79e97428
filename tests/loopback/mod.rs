//! Servers on loopback ports for tests: real ones (`openssl s_server`, rustls) and stubs, with certificates made on the spot.
#![expect(dead_code, reason = "each test file uses its part of it")]

pub mod plain;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// Variables that redirect trust: some machines export them all.
pub const REDIRECTS: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "NIX_SSL_CERT_FILE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
];

/// A command without the surroundings that redirect trust.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in REDIRECTS {
        command.env_remove(name);
    }
    command
}

/// Whether OpenSSL 3.0's command is here; says so if not, and insists on it in CI.
pub fn have_openssl() -> bool {
    let version = command("openssl").arg("version").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let found = version.as_ref().is_ok_and(|v| v.starts_with("OpenSSL 3."));
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "openssl 3 is missing: {version:?}");
        eprintln!("skipped: no openssl 3 here");
    }
    found
}

/// A certificate with its key.
pub struct Issued {
    pub pem: String,
    pub der: Vec<u8>,
    pub params: CertificateParams,
    pub key: KeyPair,
}

/// A distinguished name from its attributes.
pub fn name(attributes: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), *value);
    }
    name
}

/// Parameters of a CA, valid from 2020 to 2040.
pub fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&[(DnType::CommonName, common_name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

/// Parameters of a server's certificate for `localhost` and 127.0.0.1, valid from 2020 to 2040.
pub fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
    params.distinguished_name = name(&[(DnType::CommonName, "localhost")]);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

/// Signs `params` with a new P-256 key by `issuer`, or by itself.
pub fn issue(params: CertificateParams, issuer: Option<&Issued>) -> Issued {
    issue_with(params, KeyPair::generate().expect("a key"), issuer)
}

/// Signs `params` with `key` by `issuer`, or by itself.
pub fn issue_with(params: CertificateParams, key: KeyPair, issuer: Option<&Issued>) -> Issued {
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)),
        None => params.self_signed(&key),
    }
    .expect("a certificate");
    Issued { pem: certificate.pem(), der: certificate.der().to_vec(), params, key }
}

/// A new RSA key, which ring can use but not make.
pub fn rsa_key() -> KeyPair {
    let made = command("openssl").args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).output();
    let pem = String::from_utf8(made.expect("openssl").stdout).expect("PEM");
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).expect("a key")
}

/// Root, intermediate and leaf.
pub struct Pki {
    pub root: Issued,
    pub intermediate: Issued,
    pub leaf: Issued,
}

impl Pki {
    pub fn new() -> Self {
        let root = issue(ca_params("Test Root"), None);
        let intermediate = issue(ca_params("Test Intermediate"), Some(&root));
        let leaf = issue(leaf_params(), Some(&intermediate));
        Pki { root, intermediate, leaf }
    }

    /// The same with an RSA leaf.
    pub fn with_rsa_leaf() -> Self {
        let mut pki = Pki::new();
        pki.leaf = issue_with(leaf_params(), rsa_key(), Some(&pki.intermediate));
        pki
    }

    /// The arguments of `s_server` that make it send the chain, from files in `directory`.
    pub fn s_server_files(&self, directory: &Path) -> [&'static str; 6] {
        file(directory, "leaf.pem", &self.leaf.pem);
        file(directory, "chain.pem", &self.intermediate.pem);
        file(directory, "leaf.key", self.leaf.key.serialize_pem());
        file(directory, "root.pem", &self.root.pem);
        ["-cert", "leaf.pem", "-key", "leaf.key", "-cert_chain", "chain.pem"]
    }

    /// Leaf and intermediate, as a server should send them.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.leaf.der.clone(), self.intermediate.der.clone()]
    }

    /// A configuration of a rustls server.
    pub fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.leaf.key.serialize_der()).expect("a key");
        let chain = self.chain().into_iter().map(CertificateDer::from).collect();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a chain")
    }
}

/// A process that is ended when the test is over.
pub struct Server {
    pub port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes `content` into `directory`.
pub fn file(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("a file");
    path
}

/// `openssl s_server` on a free port.
pub fn s_server(directory: &Path, arguments: &[&str]) -> Server {
    let mut child = command("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(directory)
        // It ends a connection when its input ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    let stderr = child.stderr.take().expect("a pipe");
    let (sender, said) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stderr).read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        if stdout.read_line(&mut line).expect("output") == 0 {
            panic!("s_server {arguments:?}: {}", said.recv().unwrap_or_default());
        }
        if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
            break address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        }
    };
    // What it prints must go somewhere.
    thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    Server { port, child }
}

/// A listener that hands each connection to `serve`, in a thread of its own, until the process ends.
pub fn stub(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Speaks TLS as a server on `stream` until the client closes.
pub fn serve_tls(mut stream: TcpStream, config: &Arc<ServerConfig>) {
    let mut connection = ServerConnection::new(config.clone()).expect("a connection");
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut sink = Vec::new();
    let _ = tls.read_to_end(&mut sink);
}

/// A rustls server.
pub fn rustls_server(config: ServerConfig) -> u16 {
    let config = Arc::new(config);
    stub(move |stream| serve_tls(stream, &config))
}

/// A server that sends `bytes`, waits a little for what the client says to that, and closes.
pub fn says(bytes: &[u8]) -> u16 {
    let bytes = bytes.to_vec();
    stub(move |mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
        // The hello is read first: closing with unread bytes would be a reset.
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello);
        let _ = stream.write_all(&bytes);
    })
}
