//! The public half of a private key: all that this program ever takes from one. The key itself is dropped with the bytes that it was
//! read from, and stands in no fact, message or report.

use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use crate::x509::{Certificate, elements};

/// The public half of a key: the contents of its BIT STRING (RFC 5280, section 4.1.2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHalf(Vec<u8>);

/// Why a file has no public half to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPublicHalf {
    /// No block whose label ends with `PRIVATE KEY`.
    #[error("holds no private key in PEM form")]
    NoKey,
    /// The key is encrypted.
    #[error("holds an encrypted key")]
    Encrypted,
    /// The block holds no key of a kind that is known here (RSA, P-256, P-384, Ed25519).
    #[error("holds a key of an unknown kind, or a damaged one")]
    Unknown,
}

impl PublicHalf {
    /// The public half of the first key in a PEM file.
    ///
    /// # Errors
    /// [`NoPublicHalf`].
    pub fn of(pem: &[u8]) -> Result<PublicHalf, NoPublicHalf> {
        let label =
            super::pem::blocks(pem).find(|b| b.label.ends_with(b"PRIVATE KEY")).map(|b| (b.label.to_vec(), b.body.is_ok()));
        match label {
            None | Some((_, false)) => return Err(NoPublicHalf::NoKey),
            Some((label, _)) if label == b"ENCRYPTED PRIVATE KEY" => return Err(NoPublicHalf::Encrypted),
            // RFC 1421's way, which OpenSSL 1.0 wrote.
            Some(_) if memchr::memmem::find(pem, b"Proc-Type: 4,ENCRYPTED").is_some() => return Err(NoPublicHalf::Encrypted),
            Some(_) => {}
        }
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| NoPublicHalf::Unknown)?;
        let key = any_supported_type(&key).map_err(|_| NoPublicHalf::Unknown)?;
        let spki = key.public_key().ok_or(NoPublicHalf::Unknown)?;
        let parts = elements(&spki).next().map(|whole| elements(whole.value).map(|t| t.value.to_vec()).collect::<Vec<_>>());
        match parts.as_deref() {
            // The first byte counts unused bits.
            Some([_, bits]) if !bits.is_empty() => Ok(PublicHalf(bits[1..].to_vec())),
            _ => Err(NoPublicHalf::Unknown),
        }
    }

    /// Whether this certificate is for this key.
    #[must_use]
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        certificate.public_key_octets() == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_certificate() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            let other = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
            let certificate = Certificate::parse(params.self_signed(&key).expect("a certificate").der()).expect("parsed");
            let half = |key: &rcgen::KeyPair| PublicHalf::of(key.serialize_pem().as_bytes()).expect("a public half");
            assert!(half(&key).is_of(&certificate));
            assert!(!half(&other).is_of(&certificate));
        }
    }

    #[test]
    fn what_has_none_says_why() {
        assert_eq!(PublicHalf::of(b""), Err(NoPublicHalf::NoKey));
        assert_eq!(PublicHalf::of(b"\0\0\0"), Err(NoPublicHalf::NoKey));
        let pem = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        assert_eq!(PublicHalf::of(pem("ENCRYPTED PRIVATE KEY").as_bytes()), Err(NoPublicHalf::Encrypted));
        assert_eq!(PublicHalf::of(pem("PRIVATE KEY").as_bytes()), Err(NoPublicHalf::Unknown));
        assert_eq!(PublicHalf::of(pem("CERTIFICATE").as_bytes()), Err(NoPublicHalf::NoKey));
    }
}
