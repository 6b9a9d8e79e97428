//! A TLS server on 127.0.0.1 for the demo: it sends the chain that it was given and closes.
#![expect(clippy::disallowed_types, reason = "the demo's server")]

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long one client may take; a client that hangs must not keep the demo from ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of what a client still sends is read before its connection is let go, in bytes.
const LAST_WORDS: u64 = 64 * 1024;

impl Loopback {
    /// Serves `chain` (DER, leaf first) with the leaf's `key` (PKCS #8) on a port that the kernel chooses.
    ///
    /// # Errors
    /// No port, or a key that does not fit the leaf.
    pub fn serve(chain: &[Vec<u8>], key: &[u8]) -> io::Result<Self> {
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let (config, stopped) = (Arc::new(config), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                // A client that refuses the certificate ends its connection; that is its right, and no error here.
                let _ = stream.and_then(|s| answer(s, &config));
            }
        });
        Ok(Loopback { port, stop, thread: Some(thread) })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread from accept.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    connection.complete_io(&mut stream)?;
    connection.writer().write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
    connection.send_close_notify();
    connection.complete_io(&mut stream)?;
    // What a client still sends to a socket that is gone is answered by a reset, which `openssl s_client` takes for a failure: it closes first.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(LAST_WORDS), &mut io::sink())?;
    Ok(())
}
