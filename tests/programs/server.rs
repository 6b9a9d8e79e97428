//! A TLS server on loopback, well-mannered or not.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use certdoctor::program::{Ask, StoreChoice};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

use crate::pki::Identity;

/// What a server does before and after the handshake.
#[derive(Clone, Copy)]
pub enum Manner {
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
pub struct Server {
    address: &'static str,
    /// The port that clients are told to use.
    pub port: u16,
    listens_on: u16,
    over: Arc<AtomicBool>,
}

impl Server {
    pub fn start(identity: &Identity, manner: Manner) -> Server {
        Server::start_at("127.0.0.1", identity, manner).expect("a port")
    }

    /// A server at another loopback address; an error where the host has no such address.
    pub fn start_at(address: &'static str, identity: &Identity, manner: Manner) -> io::Result<Server> {
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
        let listener = TcpListener::bind((address, 0))?;
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
        Ok(Server { address, port, listens_on: port, over })
    }

    pub fn ask(&self, store: StoreChoice) -> Ask {
        Ask {
            host: "localhost".into(),
            connect: (self.address.into(), self.port),
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
        let _ = TcpStream::connect((self.address, self.listens_on));
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
