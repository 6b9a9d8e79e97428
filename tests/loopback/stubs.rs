//! Servers inside the test: rustls, and stubs that say what they are told to.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use crate::loopback::{
    openssl::file,
    pki::{Issued, ca_params, issue, issue_with, leaf_params, rsa_key},
};

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
