//! Driving rustls over a wire: what looking and verifying share.

use std::sync::Arc;

use rustls::{
    ClientConnection, Error, InconsistentKeys, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{
    provider::provider,
    wire::{Broken, Wire},
};
use crate::{
    base::Limits,
    facts::{ConnectFailure, Protocol},
};

/// Goes through the handshake until it is done or broken.
pub(super) fn drive(connection: &mut ClientConnection, wire: &mut Wire) -> Result<(), Broken> {
    loop {
        while connection.wants_write() {
            connection.write_tls(wire)?;
        }
        if !connection.is_handshaking() {
            return Ok(());
        }
        if wire.read_since_hello() > Limits::DEFAULT.handshake as u64 {
            return Err(Broken::TooMuch);
        }
        if connection.read_tls(wire)? == 0 {
            return Err(Broken::Eof);
        }
        if let Err(e) = connection.process_new_packets() {
            // Our alert, so that the server's log says why; it may be gone already.
            let _ = connection.write_tls(wire);
            return Err(broken(&e));
        }
    }
}

/// What rustls says.
pub(super) fn broken(e: &Error) -> Broken {
    match e {
        Error::AlertReceived(alert) => Broken::Alert(u8::from(*alert)),
        other => Broken::Unspeakable(other.to_string()),
    }
}

/// The versions to offer.
pub(super) fn versions(only: Option<Protocol>) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match only {
        Some(Protocol::Tls12) => &BOTH[1..],
        Some(Protocol::Tls13) => &BOTH[..1],
        _ => &BOTH,
    }
}

/// A version by its number on the wire.
pub(super) fn protocol(version: u16) -> Option<Protocol> {
    match version {
        0x0300 => Some(Protocol::Ssl3),
        0x0301 => Some(Protocol::Tls10),
        0x0302 => Some(Protocol::Tls11),
        0x0303 => Some(Protocol::Tls12),
        0x0304 => Some(Protocol::Tls13),
        _ => None,
    }
}

/// Reads a client certificate with its chain, and its key, both PEM.
///
/// # Errors
/// [`ConnectFailure::Io`] with what is wrong with them.
pub(super) fn identity(pem: &(Vec<u8>, Vec<u8>)) -> Result<Arc<CertifiedKey>, ConnectFailure> {
    let wrong = |what: &str, e: &dyn std::fmt::Display| ConnectFailure::Io(format!("the client's {what} can't be used: {e}"));
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&pem.0).collect::<Result<_, _>>().map_err(|e| wrong("certificate", &e))?;
    if chain.is_empty() {
        return Err(wrong("certificate", &"there is no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.1).map_err(|e| wrong("key", &e))?;
    let key = provider().key_provider.load_private_key(key).map_err(|e| wrong("key", &e))?;
    let pair = CertifiedKey::new(chain, key);
    // A key whose public half can't be had is let through: the server will tell.
    if let Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = pair.keys_match() {
        return Err(wrong("key", &"it is not the certificate's"));
    }
    Ok(Arc::new(pair))
}
