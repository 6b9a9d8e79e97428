//! **Danger: a handshake that accepts any certificate.**
//!
//! It has to: a doctor must see the chain that everybody else refuses, and rustls stops at a bad chain before anybody has looked.
//!
//! **Invariant.** The verifier that accepts everything is private to this file, and so is the configuration that holds it.
//! [`look`] takes the connection by value, writes nothing into it but the handshake and `close_notify`, and closes it before it
//! returns. What comes out is values. No stream, no `ClientConnection` and no configuration ever leaves, so no data of a user can
//! travel over a connection that nobody verified. What was seen is judged elsewhere, as untrusted input.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::{
    handshake::{self, versions},
    provider::provider,
    wire::{Broken, Wire},
};
use crate::facts::Protocol;

/// The configurations for looking, made once: one for each choice of versions.
#[derive(Debug)]
pub(super) struct Looker {
    both: Arc<ClientConfig>,
    only12: Arc<ClientConfig>,
    only13: Arc<ClientConfig>,
}

/// What to say in the hello.
pub(super) struct Words<'a> {
    /// The name in SNI.
    pub(super) sni: Option<&'a ServerName<'static>>,
    /// Application protocols.
    pub(super) alpn: &'a [String],
    /// Offer only this version.
    pub(super) only: Option<Protocol>,
    /// Our certificate, should the server ask for one.
    pub(super) identity: Option<&'a Arc<CertifiedKey>>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Look {
    /// DER, as sent.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The stapled OCSP response.
    pub(super) staple: Option<Vec<u8>>,
    /// The names that the server accepts client certificates from; `None` when it did not ask.
    pub(super) client_ca_names: Option<Vec<Vec<u8>>>,
    /// The version negotiated.
    pub(super) protocol: Option<Protocol>,
    /// The suite's number.
    pub(super) cipher: Option<u16>,
    /// The application protocol chosen.
    pub(super) alpn: Option<String>,
    /// Read and written.
    pub(super) bytes: (u64, u64),
    /// The server's first bytes.
    pub(super) first: Vec<u8>,
    /// How the handshake ended.
    pub(super) end: Result<(), Broken>,
}

impl Looker {
    pub(super) fn new() -> Self {
        let provider = provider();
        Looker {
            both: Arc::new(configuration(&provider, None)),
            only12: Arc::new(configuration(&provider, Some(Protocol::Tls12))),
            only13: Arc::new(configuration(&provider, Some(Protocol::Tls13))),
        }
    }

    /// Shakes hands, looks and closes.
    pub(super) fn look(&self, mut wire: Wire, words: &Words<'_>) -> Look {
        let capture = Arc::new(Capture::default());
        let asked = Arc::new(Asked { names: Mutex::new(None), identity: words.identity.cloned() });
        let base = match words.only {
            Some(Protocol::Tls12) => &self.only12,
            Some(Protocol::Tls13) => &self.only13,
            _ => &self.both,
        };
        let mut config = ClientConfig::clone(base);
        config.dangerous().set_certificate_verifier(capture.clone());
        config.client_auth_cert_resolver = asked.clone();
        config.alpn_protocols = words.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();

        let connection = match words.sni {
            Some(name) => ClientConnection::new(Arc::new(config), name.clone()),
            None => {
                config.enable_sni = false;
                // The name is used for nothing: not sent, not verified, not cached.
                let nobody = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
                ClientConnection::new(Arc::new(config), nobody)
            }
        };
        wire.begin_hello();
        let (connection, end) = match connection {
            Ok(mut connection) => {
                let end = handshake::drive(&mut connection, &mut wire);
                (Some(connection), end)
            }
            Err(e) => (None, Err(handshake::broken(&e))),
        };
        let bytes = wire.counts();
        let first = wire.first().to_vec();
        let mut look = Look {
            certificates: Vec::new(),
            staple: None,
            client_ca_names: None,
            protocol: None,
            cipher: None,
            alpn: None,
            bytes,
            first,
            end,
        };
        if let Some(mut connection) = connection {
            look.protocol = connection.protocol_version().and_then(|v| handshake::protocol(u16::from(v)));
            look.cipher = connection.negotiated_cipher_suite().map(|s| u16::from(s.suite()));
            look.alpn = connection.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned());
            look.client_ca_names = asked.names.lock().unwrap_or_else(PoisonError::into_inner).take();
            if look.end.is_ok() && look.client_ca_names.is_some() && look.protocol == Some(Protocol::Tls13) {
                look.end = second_thoughts(&mut connection, &mut wire);
            }
            connection.send_close_notify();
            // The other side may be gone already.
            let _ = connection.write_tls(&mut wire);
        }
        let mut seen = capture.0.lock().unwrap_or_else(PoisonError::into_inner);
        look.certificates = std::mem::take(&mut seen.certificates);
        look.staple = seen.staple.take();
        look
    }
}

/// In TLS 1.3 the client is done before the server has judged the client's certificate (RFC 8446, section 4.4.2): the alert
/// `certificate_required` comes one round trip later. This waits that long for it; a session ticket means that all is well.
fn second_thoughts(connection: &mut ClientConnection, wire: &mut Wire) -> Result<(), Broken> {
    wire.hurry(wire.deadline().elapsed() / 2 + Duration::from_millis(100));
    match connection.read_tls(wire) {
        Ok(1..) => connection.process_new_packets().map(|_| ()).map_err(|e| handshake::broken(&e)),
        _ => Ok(()),
    }
}

fn configuration(provider: &Arc<CryptoProvider>, only: Option<Protocol>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider.clone());
    // Ring has suites for both versions, which is all that can go wrong here.
    let builder = match builder.with_protocol_versions(versions(only)) {
        Ok(builder) => builder,
        Err(_) => unreachable!("the provider has suites for TLS 1.2 and 1.3"),
    };
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Capture::default())).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// Accepts everything, and remembers it.
#[derive(Debug, Default)]
struct Capture(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    certificates: Vec<Vec<u8>>,
    staple: Option<Vec<u8>>,
}

impl ServerCertVerifier for Capture {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.certificates = std::iter::once(end_entity).chain(intermediates).map(|c| c.to_vec()).collect();
        seen.staple = Some(ocsp_response.to_vec()).filter(|r| !r.is_empty());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// OpenSSL's order (`tls12_sigalgs`, ssl/t1_lib.c), since it decides which certificate a server with several sends; the SHA-1
    /// schemes last, because a server that knows no other still has a chain to show.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

/// Remembers whom the server accepts client certificates from, and gives it ours if there is one.
#[derive(Debug)]
struct Asked {
    names: Mutex<Option<Vec<Vec<u8>>>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, root_hint_subjects: &[&[u8]], _sigschemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = root_hint_subjects.iter().map(|n| n.to_vec()).collect();
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
