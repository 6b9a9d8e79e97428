//! The public half of a private key in PEM: PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915), as `PEM_read_bio_PrivateKey` takes
//! them. Nothing else of the key leaves this file.
//!
//! Absent on purpose: decryption.

use ring::signature::{Ed25519KeyPair, KeyPair};

use super::pem;
use crate::x509::{elements, oid_text, read_tlv};

/// What a file says about the key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicHalf {
    /// It can only be read with a passphrase.
    Encrypted,
    /// The public half, as in a certificate's `subjectPublicKey` (RFC 5280).
    Known(Vec<u8>),
    /// No key that OpenSSL reads, and its reason.
    NotAKey(&'static str),
    /// A key of another kind, or one that does not hold its public half.
    Unknown,
}

/// Looks for the first key of a file.
#[must_use]
pub fn public_half(bytes: &[u8]) -> PublicHalf {
    for block in pem::blocks(bytes) {
        let label = block.label;
        if label == b"ENCRYPTED PRIVATE KEY" {
            return PublicHalf::Encrypted;
        }
        if !label.ends_with(b"PRIVATE KEY") {
            // OpenSSL reads every block on the way and stops at one that it can't.
            if block.body.is_err() {
                return PublicHalf::NotAKey("bad end line");
            }
            continue;
        }
        let Ok(body) = block.body else {
            let traditional = memchr::memmem::find(&bytes[block.span.clone()], b"Proc-Type: 4,ENCRYPTED").is_some();
            return if traditional { PublicHalf::Encrypted } else { PublicHalf::NotAKey("bad end line") };
        };
        if memchr::memmem::find(body, b"Proc-Type: 4,ENCRYPTED").is_some() {
            return PublicHalf::Encrypted;
        }
        let mut der = Vec::new();
        if pem::decode(body, &mut der).is_err() {
            return PublicHalf::NotAKey("bad base64 decode");
        }
        let half = match label {
            b"PRIVATE KEY" => pkcs8(&der),
            b"RSA PRIVATE KEY" => rsa(&der),
            b"EC PRIVATE KEY" => ec(&der),
            _ => None,
        };
        return half.map_or(PublicHalf::Unknown, PublicHalf::Known);
    }
    PublicHalf::NotAKey("no start line")
}

/// `PrivateKeyInfo`: version, algorithm, the key as an octet string.
fn pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (sequence, _) = read_tlv(der)?;
    let parts: Vec<_> = elements(sequence.value).collect();
    let algorithm = elements(parts.get(1)?.value).next()?;
    let key = parts.get(2)?.value;
    match &*oid_text(algorithm.value) {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => rsa(key),
        "1.2.840.10045.2.1" => ec(key),
        "1.3.101.112" => {
            let (seed, _) = read_tlv(key)?;
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.value).ok()?;
            Some(pair.public_key().as_ref().to_vec())
        }
        _ => None,
    }
}

/// `RSAPrivateKey`: version, modulus, public exponent, … to `RSAPublicKey`.
fn rsa(der: &[u8]) -> Option<Vec<u8>> {
    let (sequence, _) = read_tlv(der)?;
    let numbers: Vec<_> = elements(sequence.value).take(3).collect();
    let [_, modulus, exponent] = numbers.as_slice() else { return None };
    let body = [integer(modulus.value), integer(exponent.value)].concat();
    Some([vec![0x30], length(body.len()), body].concat())
}

fn integer(value: &[u8]) -> Vec<u8> {
    [vec![0x02], length(value.len()), value.to_vec()].concat()
}

/// A DER length.
fn length(len: usize) -> Vec<u8> {
    let bytes: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
    match len {
        0..=127 => vec![u8::try_from(len).unwrap_or(127)],
        _ => [vec![0x80 | u8::try_from(bytes.len()).unwrap_or(8)], bytes].concat(),
    }
}

/// `ECPrivateKey`: version, key, `[0]` parameters, `[1]` public key.
fn ec(der: &[u8]) -> Option<Vec<u8>> {
    let (sequence, _) = read_tlv(der)?;
    let public = elements(sequence.value).find(|e| e.tag == 0xa1)?;
    let (bits, _) = read_tlv(public.value)?;
    bits.value.split_first().map(|(_, point)| point.to_vec())
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair as Generated;

    use super::*;

    #[test]
    fn the_half_is_that_of_the_certificate() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = Generated::generate_for(algorithm).expect("a key");
            let certificate =
                rcgen::CertificateParams::new(["a.test".to_owned()]).expect("names").self_signed(&key).expect("signed");
            let certificate = crate::x509::Certificate::parse(certificate.der()).expect("a certificate");
            let half = public_half(key.serialize_pem().as_bytes());
            assert_eq!(half, PublicHalf::Known(certificate.public_key_octets().to_vec()));
        }
    }

    #[test]
    fn what_is_no_key_is_told_as_openssl_does() {
        assert_eq!(public_half(b""), PublicHalf::NotAKey("no start line"));
        assert_eq!(public_half(b"\0\xff-----BEGIN "), PublicHalf::NotAKey("no start line"));
        let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(public_half(begin.as_bytes()), PublicHalf::Encrypted);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(public_half(old.as_bytes()), PublicHalf::Encrypted);
        assert_eq!(public_half(b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), PublicHalf::Unknown);
    }
}
