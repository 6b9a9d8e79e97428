//! Keys and signature algorithms, as far as verdicts need them.

use std::{borrow::Cow, fmt};

use ring::digest;

use super::der::{elements, oid_text, read_tlv};

/// Algorithm and size of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// What kind of key.
    pub algorithm: KeyAlgorithm,
    /// Its size in bits: RSA and DSA modulus, field size of the curve. 0 when unknown.
    pub bits: u32,
    /// The curve is written out instead of named (RFC 5480 forbids it; OpenSSL's error 94).
    pub explicit_curve: bool,
    /// An RSA key that only makes RSASSA-PSS signatures (id-RSASSA-PSS; RFC 4055, section 1.2).
    pub only_pss: bool,
}

/// Kinds of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// DSA.
    Dsa,
    /// Elliptic curve; the name of the curve, or its dotted OID.
    Ec(String),
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// Any other, as a dotted OID.
    Other(String),
    /// RSA (rsaEncryption or RSASSA-PSS).
    Rsa,
}

/// A digest used in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// MD2.
    Md2,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a certificate was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// Dotted OID of the algorithm.
    pub oid: Cow<'static, str>,
    /// The digest; `None` for Ed25519 and the like, and for what we don't know.
    pub hash: Option<Hash>,
    /// The whole AlgorithmIdentifier, with parameters.
    pub identifier: Vec<u8>,
}

impl PublicKey {
    pub(super) fn unreadable() -> Self {
        PublicKey { algorithm: KeyAlgorithm::Other(String::new()), bits: 0, explicit_curve: false, only_pss: false }
    }

    /// Reads a subjectPublicKeyInfo.
    pub(super) fn read(spki: &[u8]) -> Option<PublicKey> {
        let (outer, _) = read_tlv(spki)?;
        let mut parts = elements(outer.value);
        let algorithm = parts.next().filter(|t| t.tag == 0x30)?;
        let key = parts.next().filter(|t| t.tag == 0x03)?.value.get(1..)?;
        let mut algorithm = elements(algorithm.value);
        let oid = oid_text(algorithm.next().filter(|t| t.tag == 0x06)?.value);
        let parameters = algorithm.next();
        let mut explicit_curve = false;
        let (algorithm, bits) = match &*oid {
            "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" | "2.5.8.1.1" => {
                let (sequence, _) = read_tlv(key).filter(|(t, _)| t.tag == 0x30)?;
                let (modulus, _) = read_tlv(sequence.value).filter(|(t, _)| t.tag == 0x02)?;
                (KeyAlgorithm::Rsa, integer_bits(modulus.value))
            }
            "1.2.840.10045.2.1" if parameters.is_some_and(|p| p.tag == 0x30) => {
                explicit_curve = true;
                // ECParameters (SEC 1, C.2): version, fieldID (its type, then the prime), and the rest.
                let field = elements(parameters?.value).nth(1)?;
                let bits = integer_bits(elements(field.value).nth(1)?.value);
                let name = match bits {
                    192 => "P-192",
                    224 => "P-224",
                    256 => "P-256",
                    384 => "P-384",
                    521 => "P-521",
                    _ => "written out",
                };
                (KeyAlgorithm::Ec(name.to_owned()), bits)
            }
            "1.2.840.10045.2.1" => {
                let curve = oid_text(parameters.filter(|t| t.tag == 0x06)?.value);
                let (name, bits) = match &*curve {
                    "1.2.840.10045.3.1.1" => ("P-192", 192),
                    "1.3.132.0.33" => ("P-224", 224),
                    "1.2.840.10045.3.1.7" => ("P-256", 256),
                    "1.3.132.0.10" => ("secp256k1", 256),
                    "1.3.132.0.34" => ("P-384", 384),
                    "1.3.132.0.35" => ("P-521", 521),
                    // An uncompressed point is one octet and two coordinates.
                    other => (other, u32::try_from(key.len().saturating_sub(1) / 2 * 8).unwrap_or(0)),
                };
                (KeyAlgorithm::Ec(name.to_owned()), bits)
            }
            "1.3.101.112" => (KeyAlgorithm::Ed25519, 256),
            "1.3.101.113" => (KeyAlgorithm::Ed448, 456),
            "1.2.840.10040.4.1" => {
                // Parameters may be inherited from the issuer (RFC 3279, section 2.3.2); no reader today does that.
                let (prime, _) = read_tlv(parameters.filter(|p| p.tag == 0x30)?.value)?;
                (KeyAlgorithm::Dsa, integer_bits(prime.value))
            }
            _ => (KeyAlgorithm::Other(oid.clone().into_owned()), 0),
        };
        Some(PublicKey { algorithm, bits, explicit_curve, only_pss: oid == "1.2.840.113549.1.1.10" })
    }
}

/// A key identifier as long as a SHA-1, which most are, stands for itself; any other for its SHA-1.
#[must_use]
pub fn key_identifier(octets: &[u8]) -> [u8; 20] {
    <[u8; 20]>::try_from(octets)
        .unwrap_or_else(|_| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().try_into().unwrap_or_default())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.algorithm {
            KeyAlgorithm::Rsa => write!(f, "RSA {}", self.bits),
            KeyAlgorithm::Dsa => write!(f, "DSA {}", self.bits),
            KeyAlgorithm::Ec(curve) => write!(f, "EC {curve}"),
            KeyAlgorithm::Ed25519 => f.write_str("Ed25519"),
            KeyAlgorithm::Ed448 => f.write_str("Ed448"),
            KeyAlgorithm::Other(oid) => write!(f, "key algorithm {oid}"),
        }
    }
}

impl SignatureAlgorithm {
    /// Reads an AlgorithmIdentifier (RFC 3279, 4055, 5758, 8410).
    pub(super) fn read(identifier: &[u8]) -> SignatureAlgorithm {
        let parts = read_tlv(identifier).map(|(t, _)| t.value).unwrap_or_default();
        let mut parts = elements(parts);
        let oid = parts.next().filter(|t| t.tag == 0x06).map(|t| oid_text(t.value)).unwrap_or_default();
        let hash = match &*oid {
            "1.2.840.113549.1.1.2" => Some(Hash::Md2),
            "1.2.840.113549.1.1.4" => Some(Hash::Md5),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => Some(Hash::Sha1),
            "1.2.840.113549.1.1.14" | "2.16.840.1.101.3.4.3.1" | "1.2.840.10045.4.3.1" => Some(Hash::Sha224),
            "1.2.840.113549.1.1.11" | "2.16.840.1.101.3.4.3.2" | "1.2.840.10045.4.3.2" => Some(Hash::Sha256),
            "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Hash::Sha384),
            "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Hash::Sha512),
            // RSASSA-PSS: [0] hashAlgorithm DEFAULT sha1 (RFC 4055, section 3.1).
            "1.2.840.113549.1.1.10" => Some(parts.next().map_or(Hash::Sha1, |p| pss_hash(p.value))),
            _ => None,
        };
        SignatureAlgorithm { oid, hash, identifier: identifier.to_vec() }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names are those that OpenSSL prints.
        f.write_str(match &*self.oid {
            "1.2.840.113549.1.1.2" => "RSA-MD2",
            "1.2.840.113549.1.1.4" => "RSA-MD5",
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA-SHA1",
            "1.2.840.113549.1.1.10" => "RSASSA-PSS",
            "1.2.840.113549.1.1.14" => "RSA-SHA224",
            "1.2.840.113549.1.1.11" => "RSA-SHA256",
            "1.2.840.113549.1.1.12" => "RSA-SHA384",
            "1.2.840.113549.1.1.13" => "RSA-SHA512",
            "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
            "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
            "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
            "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
            "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
            "1.2.840.10040.4.3" => "dsaWithSHA1",
            "2.16.840.1.101.3.4.3.2" => "dsa_with_SHA256",
            "1.3.101.112" => "ED25519",
            "1.3.101.113" => "ED448",
            other => other,
        })
    }
}

fn pss_hash(parameters: &[u8]) -> Hash {
    let oid = elements(parameters)
        .find(|t| t.tag == 0xa0)
        .and_then(|t| read_tlv(t.value))
        .and_then(|(sequence, _)| read_tlv(sequence.value))
        .map(|(oid, _)| oid_text(oid.value));
    match oid.as_deref() {
        Some("2.16.840.1.101.3.4.2.1") => Hash::Sha256,
        Some("2.16.840.1.101.3.4.2.2") => Hash::Sha384,
        Some("2.16.840.1.101.3.4.2.3") => Hash::Sha512,
        Some("2.16.840.1.101.3.4.2.4") => Hash::Sha224,
        _ => Hash::Sha1,
    }
}

/// Bits of a positive INTEGER.
fn integer_bits(value: &[u8]) -> u32 {
    let value = &value[value.iter().take_while(|b| **b == 0).count()..];
    let bits = value.first().map_or(0, |first| value.len() * 8 - first.leading_zeros() as usize);
    u32::try_from(bits).unwrap_or(u32::MAX)
}
