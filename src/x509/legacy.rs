//! Signatures that `ring` refuses to check: MD5, SHA-224, DSA, RSA of any size, RSASSA-PSS with any salt, ECDSA over the curves and
//! digests that it lacks.
//!
//! Only public values take part, so nothing here has to run in constant time; nothing here may be used to sign. Sizes are bounded,
//! because exponents and moduli are an attacker's choice.

use md5::{Digest, Md5};
use num_bigint::{BigInt, BigUint, Sign};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use sha2::Sha224;

use super::{
    Hash, KeyAlgorithm, PublicKey, SignatureError,
    der::{elements, oid_text, read_tlv},
    signature::{RSA_PSS, Signed},
};

/// The largest modulus: 16384 bits are OpenSSL's `OPENSSL_RSA_MAX_MODULUS_BITS`.
const MODULUS: u64 = 16384;
/// The largest exponent for moduli above 3072 bits (`OPENSSL_RSA_MAX_PUBEXP_BITS`).
const EXPONENT: u64 = 64;

/// `None` for what this file doesn't know either.
pub(super) fn verify(signed: Signed<'_>, key: &PublicKey, spki: &[u8], octets: &[u8]) -> Option<Result<(), SignatureError>> {
    let hash = signed.algorithm.hash.filter(|hash| *hash != Hash::Md2)?;
    let good = match &key.algorithm {
        KeyAlgorithm::Rsa => {
            let numbers = integers(octets).filter(|n| n.len() == 2);
            match numbers.as_deref() {
                Some([modulus, exponent]) if signed.algorithm.oid == RSA_PSS => {
                    let pss = Pss::read(&signed.algorithm.identifier)?;
                    rsa(modulus, exponent, signed.signature).and_then(|m| pss.holds(&m, modulus.bits(), signed.tbs))
                }
                Some([modulus, exponent]) => {
                    rsa(modulus, exponent, signed.signature).and_then(|m| (m == pkcs1(hash, signed.tbs, m.len())?).then_some(()))
                }
                _ => None,
            }
        }
        KeyAlgorithm::Dsa => dsa(&hashed(hash, signed.tbs)?, signed.signature, spki, octets),
        KeyAlgorithm::Ec(name) => curve(name)?.verify(&hashed(hash, signed.tbs)?, signed.signature, octets),
        KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 | KeyAlgorithm::Other(_) => return None,
    };
    Some(good.ok_or(SignatureError::Invalid))
}

/// `None` for MD2, which nothing computes any more.
fn hashed(hash: Hash, bytes: &[u8]) -> Option<Vec<u8>> {
    let with = |algorithm| digest(algorithm, bytes).as_ref().to_vec();
    Some(match hash {
        Hash::Md2 => return None,
        Hash::Md5 => Md5::digest(bytes).to_vec(),
        Hash::Sha1 => with(&SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha224 => Sha224::digest(bytes).to_vec(),
        Hash::Sha256 => with(&SHA256),
        Hash::Sha384 => with(&SHA384),
        Hash::Sha512 => with(&SHA512),
    })
}

/// The message representative, as long as the modulus (RFC 8017, sections 5.2.2 and 4.1).
fn rsa(modulus: &BigUint, exponent: &BigUint, signature: &[u8]) -> Option<Vec<u8>> {
    let bits = modulus.bits();
    let length = usize::try_from(bits.div_ceil(8)).ok()?;
    let even = !modulus.bit(0);
    if bits > MODULUS || even || (bits > 3072 && exponent.bits() > EXPONENT) || exponent >= modulus || signature.len() != length {
        return None;
    }
    let signature = BigUint::from_bytes_be(signature);
    if &signature >= modulus {
        return None;
    }
    padded(&signature.modpow(exponent, modulus), length)
}

fn padded(number: &BigUint, length: usize) -> Option<Vec<u8>> {
    let bytes = number.to_bytes_be();
    let mut out = vec![0; length.checked_sub(bytes.len())?];
    out.extend(bytes);
    Some(out)
}

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2).
fn pkcs1(hash: Hash, message: &[u8], length: usize) -> Option<Vec<u8>> {
    let oid: &[u8] = match hash {
        Hash::Md2 => return None,
        Hash::Md5 => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05],
        Hash::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
        Hash::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
        Hash::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        Hash::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        Hash::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
    };
    let value = hashed(hash, message)?;
    let octet = |n: usize| u8::try_from(n).ok();
    let mut info = vec![0x30, octet(oid.len() + value.len() + 8)?, 0x30, octet(oid.len() + 4)?, 0x06, octet(oid.len())?];
    info.extend_from_slice(oid);
    info.extend([0x05, 0x00, 0x04, octet(value.len())?]);
    info.extend(value);
    let mut out = vec![0x00, 0x01];
    out.resize(length.checked_sub(info.len() + 1).filter(|n| *n >= 10)?, 0xff);
    out.push(0x00);
    out.extend(info);
    Some(out)
}

/// RSASSA-PSS-params (RFC 4055, section 3.1).
struct Pss {
    hash: Hash,
    mask: Hash,
    salt: usize,
}

impl Pss {
    fn read(identifier: &[u8]) -> Option<Pss> {
        let (outer, _) = read_tlv(identifier)?;
        let mut pss = Pss { hash: Hash::Sha1, mask: Hash::Sha1, salt: 20 };
        let Some(parameters) = elements(outer.value).nth(1) else { return Some(pss) };
        for field in elements(parameters.value) {
            let (value, _) = read_tlv(field.value)?;
            match field.tag {
                0xa0 => pss.hash = digest_of(value.value)?,
                0xa1 => pss.mask = digest_of(elements(value.value).nth(1)?.value)?,
                0xa2 => pss.salt = value.value.iter().fold(0usize, |acc, b| acc << 8 & 0xffff | usize::from(*b)),
                _ => {}
            }
        }
        Some(pss)
    }

    /// EMSA-PSS-VERIFY (RFC 8017, section 9.1.2).
    fn holds(&self, encoded: &[u8], modulus_bits: u64, message: &[u8]) -> Option<()> {
        let bits = modulus_bits.checked_sub(1)?;
        let length = usize::try_from(bits.div_ceil(8)).ok()?;
        // A modulus of 8n + 1 bits has one octet more than the encoded message.
        let (lead, encoded) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
        let hash = hashed(self.hash, message)?;
        let (body, last) = encoded.split_at_checked(encoded.len().checked_sub(1)?)?;
        let (masked, digest) = body.split_at_checked(body.len().checked_sub(hash.len())?)?;
        if last != [0xbc] || lead.iter().any(|b| *b != 0) {
            return None;
        }
        let unused = u32::try_from(length as u64 * 8 - bits).ok()?;
        let top = 0xff_u8.checked_shr(unused)?;
        if masked.first()? & !top != 0 {
            return None;
        }
        let mut block: Vec<u8> = masked.iter().zip(mask(self.mask, digest, masked.len())?).map(|(a, b)| a ^ b).collect();
        *block.first_mut()? &= top;
        let (padding, salt) = block.split_at_checked(block.len().checked_sub(self.salt)?)?;
        let (one, zeros) = padding.split_last()?;
        if *one != 1 || zeros.iter().any(|b| *b != 0) {
            return None;
        }
        let again = hashed(self.hash, &[&[0; 8], &hash[..], salt].concat())?;
        (again == digest).then_some(())
    }
}

fn digest_of(identifier: &[u8]) -> Option<Hash> {
    let (oid, _) = read_tlv(identifier)?;
    Some(match &*oid_text(oid.value) {
        "1.3.14.3.2.26" => Hash::Sha1,
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
        _ => return None,
    })
}

/// MGF1 (RFC 8017, section B.2.1).
fn mask(hash: Hash, seed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut counter = 0u32;
    while out.len() < length {
        out.extend(hashed(hash, &[seed, &counter.to_be_bytes()].concat())?);
        counter += 1;
    }
    out.truncate(length);
    Some(out)
}

/// FIPS 186-4, section 4.7.
fn dsa(hash: &[u8], signature: &[u8], spki: &[u8], octets: &[u8]) -> Option<()> {
    let (outer, _) = read_tlv(spki)?;
    let parameters = elements(elements(outer.value).next()?.value).nth(1)?;
    let numbers = integers(parameters.whole)?;
    let [p, q, g] = &numbers[..] else { return None };
    let public = integer(octets)?;
    let [r, s] = &integers(signature)?[..] else { return None };
    let zero = BigUint::default();
    if p.bits() > MODULUS || q.bits() > 512 || p <= &zero || [r, s].iter().any(|n| *n == &zero || *n >= q) {
        return None;
    }
    let w = s.modinv(q)?;
    let u1 = leftmost(hash, q.bits()) * &w % q;
    let u2 = r * &w % q;
    let v = g.modpow(&u1, p) * public.modpow(&u2, p) % p % q;
    (v == *r).then_some(())
}

/// The leftmost bits of a digest, as many as the order has.
fn leftmost(hash: &[u8], bits: u64) -> BigUint {
    let number = BigUint::from_bytes_be(hash);
    let excess = (hash.len() as u64 * 8).saturating_sub(bits);
    number >> excess
}

/// The integers of a SEQUENCE.
fn integers(sequence: &[u8]) -> Option<Vec<BigUint>> {
    let (outer, _) = read_tlv(sequence).filter(|(t, _)| t.tag == 0x30)?;
    elements(outer.value).map(|t| integer(t.whole)).collect()
}

fn integer(der: &[u8]) -> Option<BigUint> {
    let (tlv, _) = read_tlv(der).filter(|(t, _)| t.tag == 0x02)?;
    tlv.value.first().is_none_or(|b| b & 0x80 == 0).then(|| BigUint::from_bytes_be(tlv.value))
}

/// A curve y² = x³ + ax + b over a prime field, with a generator of prime order (SEC 2, FIPS 186-4).
struct Curve {
    p: BigInt,
    a: BigInt,
    b: BigInt,
    n: BigInt,
    g: Point,
}

/// `None` is the point at infinity.
type Point = Option<(BigInt, BigInt)>;

/// p, a, b, n, x and y of the generator, in hexadecimal.
const CURVES: &[(&str, [&str; 6])] = &[
    (
        "P-192",
        [
            "fffffffffffffffffffffffffffffffeffffffffffffffff",
            "fffffffffffffffffffffffffffffffefffffffffffffffc",
            "64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
            "ffffffffffffffffffffffff99def836146bc9b1b4d22831",
            "188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012",
            "7192b95ffc8da78631011ed6b24cdd573f977a11e794811",
        ],
    ),
    (
        "P-224",
        [
            "ffffffffffffffffffffffffffffffff000000000000000000000001",
            "fffffffffffffffffffffffffffffffefffffffffffffffffffffffe",
            "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
            "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d",
            "b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21",
            "bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34",
        ],
    ),
    (
        "P-256",
        [
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
            "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        ],
    ),
    (
        "P-384",
        [
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc",
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ],
    ),
    (
        "P-521",
        [
            "1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffc",
            "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
            "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
            "c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
            "11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
        ],
    ),
    (
        "secp256k1",
        [
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
            "0",
            "7",
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
        ],
    ),
];

fn curve(name: &str) -> Option<Curve> {
    let (_, numbers) = CURVES.iter().find(|(known, _)| *known == name)?;
    let number = |i: usize| numbers.get(i).and_then(|text| BigInt::parse_bytes(text.as_bytes(), 16));
    let g = Some((number(4)?, number(5)?));
    Some(Curve { p: number(0)?, a: number(1)?, b: number(2)?, n: number(3)?, g })
}

impl Curve {
    /// FIPS 186-4, section 6.4.
    fn verify(&self, hash: &[u8], signature: &[u8], octets: &[u8]) -> Option<()> {
        let public = self.point(octets)?;
        let positive = |n: &BigUint| BigInt::from_biguint(Sign::Plus, n.clone());
        let [r, s] = &integers(signature)?.iter().map(positive).collect::<Vec<_>>()[..] else { return None };
        let zero = BigInt::default();
        if [r, s].iter().any(|n| *n <= &zero || *n >= &self.n) {
            return None;
        }
        let w = s.modinv(&self.n)?;
        let e = positive(&leftmost(hash, self.n.bits()));
        let sum = self.add(&self.times(&(e * &w % &self.n), &self.g)?, &self.times(&(r * &w % &self.n), &public)?)?;
        let (x, _) = sum?;
        (x % &self.n == *r).then_some(())
    }

    /// An uncompressed point on the curve, or a compressed one (SEC 1, section 2.3.4).
    fn point(&self, octets: &[u8]) -> Option<Point> {
        let (form, coordinates) = octets.split_first()?;
        let length = usize::try_from(self.p.bits().div_ceil(8)).ok()?;
        let number = |bytes: &[u8]| BigInt::from_bytes_be(Sign::Plus, bytes);
        let square = |x: &BigInt| (x * x * x + &self.a * x + &self.b) % &self.p;
        match form {
            4 if coordinates.len() == 2 * length => {
                let (x, y) = coordinates.split_at(length);
                let (x, y) = (number(x), number(y));
                (&y * &y % &self.p == square(&x) && x < self.p && y < self.p).then_some(Some((x, y)))
            }
            2 | 3 if coordinates.len() == length => {
                let x = number(coordinates);
                // Every prime here but P-224's is 3 modulo 4.
                let y = square(&x).modpow(&((&self.p + 1) / 4), &self.p);
                if &y * &y % &self.p != square(&x) {
                    return None;
                }
                let y = if y.bit(0) == (*form == 3) { y } else { &self.p - y };
                Some(Some((x, y)))
            }
            _ => None,
        }
    }

    /// `None` when an inverse doesn't exist, which a point on the curve never leads to.
    fn add(&self, left: &Point, right: &Point) -> Option<Point> {
        let (Some((x1, y1)), Some((x2, y2))) = (left, right) else {
            return Some(left.clone().or_else(|| right.clone()));
        };
        let slope = if x1 == x2 {
            if y1 != y2 || *y1 == BigInt::default() {
                return Some(None);
            }
            (x1 * x1 * 3 + &self.a) * self.inverse(&(y1 * 2))?
        } else {
            (y2 - y1) * self.inverse(&(x2 - x1))?
        };
        let x = self.reduced(&slope * &slope - x1 - x2);
        let y = self.reduced(slope * (x1 - &x) - y1);
        Some(Some((x, y)))
    }

    fn times(&self, factor: &BigInt, point: &Point) -> Option<Point> {
        let mut sum = None;
        for bit in (0..factor.bits()).rev() {
            sum = self.add(&sum, &sum)?;
            if factor.bit(bit) {
                sum = self.add(&sum, point)?;
            }
        }
        Some(sum)
    }

    fn inverse(&self, number: &BigInt) -> Option<BigInt> {
        self.reduced(number.clone()).modinv(&self.p)
    }

    fn reduced(&self, number: BigInt) -> BigInt {
        ((number % &self.p) + &self.p) % &self.p
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::Certificate;

    fn self_signed(algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("params");
        Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses")
    }

    fn check(child: &Certificate, issuer: &Certificate) -> Option<Result<(), SignatureError>> {
        let (outer, _) = read_tlv(issuer.spki())?;
        let octets = elements(outer.value).nth(1)?.value.get(1..)?;
        verify(child.into(), issuer.public_key(), issuer.spki(), octets)
    }

    #[test]
    fn agrees_with_ring_on_curves() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let (one, other) = (self_signed(algorithm), self_signed(algorithm));
            assert_eq!(check(&one, &one), Some(Ok(())));
            assert_eq!(check(&one, &other), Some(Err(SignatureError::Invalid)));
        }
    }

    #[test]
    fn agrees_with_ring_on_rsa() {
        let root = |name: &str| {
            let path = format!("{}/fixtures/bundles/single/{name}.crt", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).expect("a fixture");
            let body: String = text.lines().filter(|l| !l.starts_with('-')).collect();
            Certificate::parse(&base64_simd::STANDARD.decode_to_vec(body).expect("base64")).expect("a certificate")
        };
        let (sha256, sha1) = (root("ISRG_Root_X1"), root("GlobalSign_Root_CA"));
        assert_eq!(check(&sha256, &sha256), Some(Ok(())));
        assert_eq!(check(&sha1, &sha1), Some(Ok(())));
        assert_eq!(check(&sha256, &sha1), Some(Err(SignatureError::Invalid)));
    }

    #[test]
    fn every_curve_holds_its_generator() {
        for (name, _) in CURVES {
            let curve = curve(name).expect("numbers");
            let (x, y) = curve.g.clone().expect("a point");
            let length = usize::try_from(curve.p.bits().div_ceil(8)).expect("small");
            let octets = |n: &BigInt| padded(n.magnitude(), length).expect("fits");
            assert_eq!(curve.point(&[&[4], &octets(&x)[..], &octets(&y)].concat()), Some(curve.g.clone()), "{name}");
            assert_eq!(curve.times(&curve.n, &curve.g), Some(None), "{name}: the order");
        }
    }

    #[test]
    fn leaves_what_it_does_not_know() {
        let ed = self_signed(&rcgen::PKCS_ED25519);
        assert_eq!(check(&ed, &ed), None);
    }
}
