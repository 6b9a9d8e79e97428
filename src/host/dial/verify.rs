//! A handshake that verifies, as a Rust program would do it: rustls-webpki with exactly the given anchors at the given instant.
//!
//! Nothing is loaded from this host and nothing is kept: each call makes its own configuration and its own connection.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    time_provider::TimeProvider,
};

use super::{Deadline, Route, handshake, provider::provider};
use crate::{
    base::At,
    facts::{ConnectFailure, Target},
    host::{Hello, VerifyFailure},
};

/// Shakes hands with `target` and verifies what it presents: the path to one of `anchors` (DER; those that webpki can't read are left
/// out, as `add_parsable_certificates` does), the dates as of `at`, and [`Target::host`] if there is one. The dates of an anchor are not
/// looked at: webpki doesn't, which is one reason why this is not the tool's only verdict.
///
/// # Errors
/// [`VerifyFailure::Refused`] with rustls' words; [`VerifyFailure::Connect`] when no certificate came to be judged.
pub(super) fn verify(target: &Target, hello: &Hello, anchors: &[&[u8]], at: At) -> Result<(), VerifyFailure> {
    let connect = VerifyFailure::Connect;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors.iter().map(|der| CertificateDer::from(*der)));
    let roots = Arc::new(roots);

    let route = Route::of(target, hello).map_err(connect)?;
    let checked = match &target.host {
        Some(host) => {
            let bare = host.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
            let wrong = |_| connect(ConnectFailure::Io(format!("`{host}` is neither a DNS name nor an address")));
            Some(ServerName::try_from(bare).map_err(wrong)?)
        }
        None => None,
    };
    let words = |e: &dyn std::fmt::Display| VerifyFailure::Refused(e.to_string());
    let provider = provider();
    let webpki = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build().map_err(|e| words(&e))?;
    let judge = Arc::new(Judge { webpki, roots, name: checked, refusal: Mutex::new(None) });

    let instant = u64::try_from(at.0).map(Duration::from_secs).unwrap_or_default();
    let time = Arc::new(Fixed(UnixTime::since_unix_epoch(instant)));
    let builder = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(handshake::versions(hello.only))
        .map_err(|e| words(&e))?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone());
    let mut config = match &hello.identity {
        Some(pem) => {
            let identity = handshake::identity(pem).map_err(connect)?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = hello.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let sent = route.server_name().map_err(connect)?;
    config.enable_sni = sent.is_some();
    // Without SNI the name is used for nothing: what is checked is in the judge.
    let sent = sent.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));

    let mut connection = ClientConnection::new(Arc::new(config), sent).map_err(|e| words(&e))?;
    let mut wire = route.open(Deadline::after(hello.timeout)).map_err(connect)?;
    wire.begin_hello();
    let end = handshake::drive(&mut connection, &mut wire);
    connection.send_close_notify();
    // The other side may be gone already.
    let _ = connection.write_tls(&mut wire);
    let refusal = judge.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (refusal, end) {
        (Some(refusal), _) => Err(VerifyFailure::Refused(refusal)),
        (None, Ok(())) => Ok(()),
        (None, Err(broken)) => Err(connect(broken.class(wire.first()))),
    }
}

/// An instant that was handed in, as rustls' clock.
#[derive(Debug)]
struct Fixed(UnixTime);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Rustls' own verifier, asked for the name that is to be checked rather than the one that was sent (`--servername`), and with its
/// refusal remembered.
#[derive(Debug)]
struct Judge {
    webpki: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    name: Option<ServerName<'static>>,
    refusal: Mutex<Option<String>>,
}

impl Judge {
    fn remember<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(e) = &result {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string());
        }
        result
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = match &self.name {
            Some(name) => self.webpki.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
            None => ParsedCertificate::try_from(end_entity)
                .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
                .and_then(|leaf| {
                    let algorithms = provider().signature_verification_algorithms.all;
                    verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, intermediates, now, algorithms)
                })
                .map(|()| ServerCertVerified::assertion()),
        };
        self.remember(result)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.remember(self.webpki.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.remember(self.webpki.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
