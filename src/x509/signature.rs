//! Whether a key made a signature.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::{
    Certificate, Crl, Hash, KeyAlgorithm, PublicKey, SignatureAlgorithm,
    der::{Tlv, elements, oid_text, read_tlv},
    legacy,
};
use crate::base::Fingerprint;

/// Why a signature was not found good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum SignatureError {
    /// The key did not make it, or it or the certificate is damaged.
    #[error("the issuer's key did not make this signature")]
    Invalid,
    /// The key is of another kind than the algorithm needs.
    #[error("the issuer's key is of another kind than the signature")]
    KeyMismatch,
    /// This tool can't check it; it may be good.
    #[error("{0} can't be checked by this tool")]
    Unsupported(String),
}

pub(super) const RSA_PSS: &str = "1.2.840.113549.1.1.10";

/// Something that was signed: a certificate or a revocation list.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The signed part, with tag and length.
    pub tbs: &'a [u8],
    /// How it was signed.
    pub algorithm: &'a SignatureAlgorithm,
    /// The signature's octets.
    pub signature: &'a [u8],
}

impl<'a> From<&'a Certificate> for Signed<'a> {
    fn from(certificate: &'a Certificate) -> Self {
        Signed { tbs: certificate.tbs(), algorithm: certificate.signature_algorithm(), signature: certificate.signature() }
    }
}

impl<'a> From<&'a Crl> for Signed<'a> {
    fn from(crl: &'a Crl) -> Self {
        Signed { tbs: crl.tbs(), algorithm: crl.signature_algorithm(), signature: crl.signature() }
    }
}

/// Checks a signature with the key in `issuer_spki` (a subjectPublicKeyInfo): with `ring`, and where that refuses (MD5, DSA, small
/// keys, odd curves) with plain arithmetic, because a client that accepts such a signature has to be judged too.
///
/// # Errors
/// [`SignatureError::Unsupported`] for everything that neither knows (MD2, Ed448, SM2); that says nothing about the signature.
pub fn verify<'a>(signed: impl Into<Signed<'a>>, issuer_spki: &[u8]) -> Result<(), SignatureError> {
    let signed = signed.into();
    let key = PublicKey::read(issuer_spki).ok_or(SignatureError::Invalid)?;
    match signature_kind(&signed.algorithm.oid) {
        Some(_) if !suits(signed.algorithm, &key) => return Err(SignatureError::KeyMismatch),
        Some(_) => {}
        None => return Err(unsupported(signed, &key)),
    }
    let octets = key_octets(issuer_spki).ok_or(SignatureError::Invalid)?;
    match algorithm(signed.algorithm, &key) {
        Some(algorithm) => {
            let key = UnparsedPublicKey::new(algorithm, octets);
            key.verify(signed.tbs, signed.signature).map_err(|_| SignatureError::Invalid)
        }
        None => legacy::verify(signed, &key, issuer_spki, octets).unwrap_or_else(|| Err(unsupported(signed, &key))),
    }
}

fn unsupported(signed: Signed<'_>, key: &PublicKey) -> SignatureError {
    SignatureError::Unsupported(format!("{} with {key}", signed.algorithm))
}

fn algorithm(signature: &SignatureAlgorithm, key: &PublicKey) -> Option<&'static dyn VerificationAlgorithm> {
    let large = (2048..=8192).contains(&key.bits);
    let legacy = (1024..=8192).contains(&key.bits);
    match (&key.algorithm, signature.hash) {
        (KeyAlgorithm::Rsa, Some(hash)) if signature.oid == RSA_PSS => match hash {
            _ if !large || !pss_is_plain(&signature.identifier, hash) => None,
            Hash::Sha256 => Some(&RSA_PSS_2048_8192_SHA256),
            Hash::Sha384 => Some(&RSA_PSS_2048_8192_SHA384),
            Hash::Sha512 => Some(&RSA_PSS_2048_8192_SHA512),
            _ => None,
        },
        (KeyAlgorithm::Rsa, Some(Hash::Sha1)) if legacy => Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (KeyAlgorithm::Rsa, Some(Hash::Sha256)) if legacy => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        (KeyAlgorithm::Rsa, Some(Hash::Sha512)) if legacy => Some(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        (KeyAlgorithm::Rsa, Some(Hash::Sha384)) if large => Some(&RSA_PKCS1_2048_8192_SHA384),
        (KeyAlgorithm::Ec(curve), Some(hash)) => match (curve.as_str(), hash) {
            ("P-256", Hash::Sha256) => Some(&ECDSA_P256_SHA256_ASN1),
            ("P-256", Hash::Sha384) => Some(&ECDSA_P256_SHA384_ASN1),
            ("P-384", Hash::Sha256) => Some(&ECDSA_P384_SHA256_ASN1),
            ("P-384", Hash::Sha384) => Some(&ECDSA_P384_SHA384_ASN1),
            _ => None,
        },
        (KeyAlgorithm::Ed25519, _) => Some(&ED25519),
        _ => None,
    }
}

/// What kind of key makes signatures of this algorithm; `None` for what we don't know.
pub(super) fn signature_kind(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        "1.3.14.3.2.29" => "RSA",
        _ if oid.starts_with("1.2.840.113549.1.1.") => "RSA",
        _ if oid.starts_with("1.2.840.10045.4.") => "EC",
        _ if oid.starts_with("1.2.840.10040.4.") || oid.starts_with("2.16.840.1.101.3.4.3.") => "DSA",
        _ => return None,
    })
}

impl KeyAlgorithm {
    fn kind(&self) -> &'static str {
        match self {
            KeyAlgorithm::Dsa => "DSA",
            KeyAlgorithm::Ec(_) => "EC",
            KeyAlgorithm::Ed25519 => "Ed25519",
            KeyAlgorithm::Ed448 => "Ed448",
            KeyAlgorithm::Other(_) => "other",
            KeyAlgorithm::Rsa => "RSA",
        }
    }
}

impl Certificate {
    /// The contents of the BIT STRING of the key: what RFC 5280, section 4.2.1.2, makes key identifiers of.
    #[must_use]
    pub fn public_key_octets(&self) -> &[u8] {
        key_octets(self.spki()).unwrap_or_default()
    }

    /// Whether `issuer`'s key is of the kind that makes signatures like this certificate's; `true` for algorithms that we don't know
    /// (OpenSSL's errors 24 and 77 come from this test, `check_sig_alg_match`).
    #[must_use]
    pub fn signature_suits_key_of(&self, issuer: &Certificate) -> bool {
        suits(self.signature_algorithm(), issuer.public_key())
    }
}

fn suits(signature: &SignatureAlgorithm, key: &PublicKey) -> bool {
    signature_kind(&signature.oid).is_none_or(|kind| kind == key.algorithm.kind()) && (!key.only_pss || signature.oid == RSA_PSS)
}

/// Whether the parameters of RSASSA-PSS are those that `ring` has: MGF1 with the same digest, a salt as long as the digest.
fn pss_is_plain(identifier: &[u8], hash: Hash) -> bool {
    let Some((outer, _)) = read_tlv(identifier) else { return false };
    let Some(parameters) = elements(outer.value).nth(1) else { return false };
    let field =
        |tag: u8| elements(parameters.value).find(|t: &Tlv<'_>| t.tag == tag).and_then(|t| read_tlv(t.value)).map(|(t, _)| t);
    let digest = field(0xa0).and_then(|t| read_tlv(t.value)).map(|(oid, _)| oid_text(oid.value));
    let mask =
        field(0xa1).and_then(|t| elements(t.value).nth(1)).and_then(|t| read_tlv(t.value)).map(|(oid, _)| oid_text(oid.value));
    let salt = field(0xa2).map_or(20, |t| t.value.iter().fold(0usize, |acc, b| acc << 8 | usize::from(*b)));
    let length = match hash {
        Hash::Sha256 => 32,
        Hash::Sha384 => 48,
        Hash::Sha512 => 64,
        _ => return false,
    };
    digest.is_some() && digest == mask && salt == length
}

/// The contents of the BIT STRING.
fn key_octets(spki: &[u8]) -> Option<&[u8]> {
    let (outer, _) = read_tlv(spki)?;
    elements(outer.value).nth(1).filter(|t| t.tag == 0x03)?.value.get(1..)
}

/// Remembers every answer of [`verify`], so that all client models over one chain check each signature once.
#[derive(Debug, Default)]
pub struct SignatureCache {
    known: Mutex<BTreeMap<(Fingerprint, Fingerprint), Result<(), SignatureError>>>,
}

impl SignatureCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// [`verify`] with the key of `issuer`, asked once.
    ///
    /// # Errors
    /// Those of [`verify`].
    pub fn verify(&self, child: &Certificate, issuer: &Certificate) -> Result<(), SignatureError> {
        let key = (child.fingerprint(), issuer.key_fingerprint());
        // A panic elsewhere can't leave a half-made answer here.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert_with(|| verify(child, issuer.spki())).clone()
    }

    /// The same for a revocation list; not remembered, because each is asked for once.
    ///
    /// # Errors
    /// Those of [`verify`].
    pub fn verify_crl(&self, crl: &Crl, issuer: &Certificate) -> Result<(), SignatureError> {
        verify(crl, issuer.spki())
    }

    /// How many signatures were checked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing was checked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(params: rcgen::CertificateParams, key: &rcgen::KeyPair) -> Certificate {
        Certificate::parse(params.self_signed(key).expect("signs").der()).expect("parses")
    }

    fn self_signed(algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        certificate(rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("params"), &key)
    }

    #[test]
    fn checks_what_ring_has() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let one = self_signed(algorithm);
            let other = self_signed(algorithm);
            assert_eq!(verify(&one, one.spki()), Ok(()));
            assert_eq!(verify(&one, other.spki()), Err(SignatureError::Invalid));
        }
    }

    #[test]
    fn tells_a_wrong_kind_of_key_from_a_wrong_key() {
        let ec = self_signed(&rcgen::PKCS_ECDSA_P256_SHA256);
        let ed = self_signed(&rcgen::PKCS_ED25519);
        assert_eq!(verify(&ec, ed.spki()), Err(SignatureError::KeyMismatch));
        assert!(!ec.signature_suits_key_of(&ed));
        assert!(ec.signature_suits_key_of(&ec));
    }

    #[test]
    fn remembers() {
        let one = self_signed(&rcgen::PKCS_ED25519);
        let cache = SignatureCache::new();
        assert!(cache.is_empty());
        assert_eq!(cache.verify(&one, &one), Ok(()));
        assert_eq!(cache.verify(&one, &one), Ok(()));
        assert_eq!(cache.len(), 1);
    }
}
