//! A hand-written ClientHello for servers that rustls can't talk to: SSL 3.0 to TLS 1.1, and old suites.
//!
//! Up to TLS 1.2 the server's first flight is plaintext (RFC 5246, section 7.3), so a chain can be read without any cryptography: say
//! hello, read ServerHello, Certificate, CertificateStatus and CertificateRequest (`flight.rs`), and leave. Nothing that was read is
//! proven to come from the key's owner, which is as good as any look that accepts everything.
//!
//! Bounds: those of the flight, and the wire's deadline.

use std::io::{Read, Write};

use super::{
    ciphers,
    danger::Look,
    flight::{self, Flight},
    handshake,
    provider::random,
    wire::{Broken, Wire},
};
use crate::facts::{ConnectFailure, Protocol};

/// Ways to say hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As clients spoke in the last years of TLS 1.2: with extensions.
    Modern,
    /// As clients spoke in 1999, for servers that close the connection on anything newer: TLS 1.0 without extensions, few suites.
    Old,
}

/// In the order in which they are tried.
pub(super) const DIALECTS: &[Dialect] = &[Dialect::Modern, Dialect::Old];

/// Whether a hello in this dialect can carry a name and protocols: SSL 3.0 has no extensions (RFC 6101, section 5.6.1.2).
pub(super) fn has_extensions(dialect: Dialect, newest: Protocol) -> bool {
    dialect == Dialect::Modern && newest > Protocol::Ssl3
}

/// Says hello and reads the server's plaintext answer up to ServerHelloDone.
///
/// # Errors
/// The class of failure when no certificate came. What breaks after the certificates doesn't matter.
pub(super) fn look(
    mut wire: Wire,
    dialect: Dialect,
    newest: Protocol,
    sni: Option<&str>,
    alpn: &[String],
) -> Result<Look, ConnectFailure> {
    wire.begin_hello();
    let hello = client_hello(dialect, newest, sni, alpn);
    let mut flight = Flight::default();
    let end = wire.write_all(&hello).map_err(Broken::from).and_then(|()| listen(&mut wire, &mut flight));
    let seen = flight.seen;
    let bytes = wire.counts();
    // close_notify, so that the server's log need not speak of an unexpected end; it may be gone already.
    let _ = wire.write_all(&[21, 3, 1, 0, 2, 1, 0]);
    if seen.certificates.is_empty() {
        let broken = end.err().unwrap_or(Broken::Unspeakable("the server sent no certificate".into()));
        return Err(broken.class(wire.first()));
    }
    Ok(Look {
        certificates: seen.certificates,
        staple: seen.staple,
        client_ca_names: seen.client_ca_names,
        protocol: seen.version.and_then(handshake::protocol),
        cipher: seen.suite,
        alpn: seen.alpn,
        bytes,
        first: wire.first().to_vec(),
        // It was not completed, and never will be.
        end: Err(match end {
            Err(Broken::Alert(number)) => Broken::Alert(number),
            _ => Broken::Eof,
        }),
    })
}

/// Reads records until ServerHelloDone.
fn listen(wire: &mut Wire, flight: &mut Flight) -> Result<(), Broken> {
    loop {
        let (kind, length) = flight::record_header(wire.exactly()?)?;
        let mut record = vec![0; length];
        wire.read_exact(&mut record)?;
        if flight.record(kind, &record)? {
            return Ok(());
        }
    }
}

/// The hello as one record.
fn client_hello(dialect: Dialect, newest: Protocol, sni: Option<&str>, alpn: &[String]) -> Vec<u8> {
    let newest = if dialect == Dialect::Old { newest.min(Protocol::Tls10) } else { newest };
    let version: u16 = match newest {
        Protocol::Ssl3 => 0x0300,
        Protocol::Tls10 => 0x0301,
        Protocol::Tls11 => 0x0302,
        Protocol::Tls12 | Protocol::Tls13 => 0x0303,
    };
    let extended = has_extensions(dialect, newest);
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(&random::<32>());
    // No session to resume.
    body.push(0);
    vector(&mut body, 2, |out| {
        for (suite, name) in ciphers::OFFERED {
            // SSL 3.0 and TLS 1.0 knew neither GCM nor SHA-2, and nothing beyond the first two hundred numbers.
            if extended || (*suite < 0x0100 && (name.ends_with("SHA") || name.ends_with("MD5"))) {
                out.extend_from_slice(&suite.to_be_bytes());
            }
        }
        // TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746, section 3.3).
        out.extend_from_slice(&[0x00, 0xff]);
    });
    // No compression.
    body.extend_from_slice(&[1, 0]);
    if extended {
        extensions(&mut body, newest, sni, alpn);
    }
    let mut message = vec![1];
    vector(&mut message, 3, |out| out.extend_from_slice(&body));
    // The record's version is the oldest that everybody accepts (RFC 5246, appendix E.1).
    let mut record = vec![22, 3, u8::from(newest > Protocol::Ssl3)];
    vector(&mut record, 2, |out| out.extend_from_slice(&message));
    record
}

fn extensions(body: &mut Vec<u8>, newest: Protocol, sni: Option<&str>, alpn: &[String]) {
    let mut list = Vec::new();
    let mut extension = |number: u16, write: &dyn Fn(&mut Vec<u8>)| {
        list.extend_from_slice(&number.to_be_bytes());
        vector(&mut list, 2, |out| write(out));
    };
    if let Some(name) = sni {
        extension(0, &|out| {
            vector(out, 2, |out| {
                // host_name.
                out.push(0);
                vector(out, 2, |out| out.extend_from_slice(name.as_bytes()));
            });
        });
    }
    // status_request: OCSP, any responder, no extensions.
    extension(5, &|out| out.extend_from_slice(&[1, 0, 0, 0, 0]));
    // supported_groups: x25519, x448, the NIST curves, Brainpool, secp256k1, and the small ones of long ago.
    extension(10, &|out| {
        vector(out, 2, |out| {
            for group in [29u16, 23, 24, 25, 30, 26, 27, 28, 22, 21, 19, 14, 13, 12, 11, 10, 9] {
                out.extend_from_slice(&group.to_be_bytes());
            }
        });
    });
    // ec_point_formats: uncompressed.
    extension(11, &|out| out.extend_from_slice(&[1, 0]));
    if newest >= Protocol::Tls12 {
        // signature_algorithms: OpenSSL's order, then RSA-PSS keys, SHA-224, SHA-1, DSA and MD5.
        extension(13, &|out| {
            vector(out, 2, |out| {
                for scheme in [
                    0x0403u16, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501,
                    0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602, 0x0203, 0x0201, 0x0202, 0x0101,
                ] {
                    out.extend_from_slice(&scheme.to_be_bytes());
                }
            });
        });
    }
    if !alpn.is_empty() {
        extension(16, &|out| {
            vector(out, 2, |out| {
                for protocol in alpn {
                    vector(out, 1, |out| out.extend_from_slice(protocol.as_bytes()));
                }
            });
        });
    }
    // Some load balancers hang on hellos of 256 to 511 bytes; padding lifts them above (RFC 7685, section 4). 4 bytes of message
    // header and 2 of this list's length come before.
    let length = 4 + body.len() + 2 + list.len();
    if (256..512).contains(&length) {
        let zeros = 512usize.saturating_sub(length + 4);
        list.extend_from_slice(&21u16.to_be_bytes());
        vector(&mut list, 2, |out| out.resize(out.len() + zeros, 0));
    }
    vector(body, 2, |out| out.extend_from_slice(&list));
}

/// Appends what `write` appends, with its length in `octets` octets before it.
fn vector(out: &mut Vec<u8>, octets: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + octets, 0);
    write(out);
    let length = (out.len() - at - octets).to_be_bytes();
    out[at..at + octets].copy_from_slice(&length[length.len() - octets..]);
}

#[cfg(test)]
mod tests {
    use super::{super::flight::Reader, *};

    #[test]
    fn hellos_are_well_formed() {
        for (dialect, newest) in
            [(Dialect::Modern, Protocol::Tls12), (Dialect::Modern, Protocol::Ssl3), (Dialect::Old, Protocol::Tls12)]
        {
            let hello = client_hello(dialect, newest, Some("example.com"), &["h2".into()]);
            let mut record = Reader(&hello);
            assert_eq!(record.take(1), Some(&[22][..]));
            record.u16().expect("version");
            let mut message = Reader(record.vector(2).expect("one record"));
            assert!(record.0.is_empty());
            assert_eq!(message.take(1), Some(&[1][..]));
            let body = message.vector(3).expect("one message");
            assert!(message.0.is_empty());
            let mut body = Reader(body);
            body.take(34).expect("version and random");
            assert_eq!(body.vector(1), Some(&[][..]));
            assert!(body.vector(2).is_some_and(|s| s.len() > 40 && s.len() % 2 == 0));
            assert_eq!(body.vector(1), Some(&[0][..]));
            assert!(hello.len() < 256 + 5 || hello.len() >= 512 + 5, "{}", hello.len());
            if dialect == Dialect::Modern && newest == Protocol::Tls12 {
                let mut extensions = Reader(body.vector(2).expect("extensions"));
                while let Some(_number) = extensions.u16() {
                    extensions.vector(2).expect("an extension");
                }
            }
            assert!(body.0.is_empty());
        }
    }
}
