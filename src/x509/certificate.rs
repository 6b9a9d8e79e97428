//! One certificate.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fmt,
    hash::{BuildHasher as _, Hash, Hasher},
    ops::Range,
    sync::{Arc, LazyLock, OnceLock},
};

use super::{
    AuthorityKeyId, BasicConstraints, Extension, GeneralName, KeyUsage, Name, PublicKey, Purpose, SignatureAlgorithm,
    der::{Tlv, elements, oid_text, read_tlv},
    extension,
};
use crate::base::{At, Fingerprint, same};

/// A parsed certificate; cheap to clone. Equality is equality of the DER.
#[derive(Clone)]
pub struct Certificate(Arc<Fields>, Option<Arc<Trust>>);

/// What OpenSSL keeps behind the certificate in a `TRUSTED CERTIFICATE` block (`X509_CERT_AUX`, crypto/x509/x_x509a.c), as far as it
/// decides: the purposes that this certificate may end a path for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Purposes it is trusted for; `None` when it says nothing, and then nothing is ruled out.
    pub trusted: Option<Vec<Purpose>>,
    /// Purposes it is rejected for.
    pub rejected: Vec<Purpose>,
}

/// What [`Certificate`] found in the DER, as ranges into it.
struct Fields {
    der: Box<[u8]>,
    /// Of the DER, for sets; means nothing outside this process.
    hash: u64,
    fingerprint: OnceLock<Fingerprint>,
    version: u8,
    serial: Range<usize>,
    tbs: Range<usize>,
    issuer: Name,
    subject: Name,
    canonical_issuer: OnceLock<Box<[u8]>>,
    canonical_subject: OnceLock<Box<[u8]>>,
    key_fingerprint: OnceLock<Fingerprint>,
    label: OnceLock<Box<str>>,
    validity: Validity,
    spki: Range<usize>,
    key: PublicKey,
    signature_algorithm: SignatureAlgorithm,
    signature: Range<usize>,
    extensions: Vec<Extension>,
    known: extension::Known,
    defects: Vec<Defect>,
}

/// The validity period; a date that can't be read is `None` (OpenSSL's errors 13 and 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second at which the certificate is valid.
    pub not_before: Option<At>,
    /// The last second; whether it is still included depends on the client.
    pub not_after: Option<At>,
}

/// Something that a strict parser would refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A date that is neither UTCTime nor GeneralizedTime as RFC 5280 wants it; the text as found.
    BadDate(String),
    /// An extension that can't be read: its OID and why.
    BadExtension(String, String),
    /// A subject public key that can't be read.
    BadPublicKey,
    /// A BOOLEAN that is neither 00 nor FF (X.690, section 11.1), in `critical` or in the extension of this OID.
    LooseBoolean(String),
    /// Two extensions of the same OID (RFC 5280, section 4.2 forbids it).
    DuplicateExtension(String),
    /// The two signature algorithm fields differ (RFC 5280, section 4.1.1.2).
    SignatureAlgorithmMismatch,
    /// Bytes after the certificate, inside the same block.
    TrailingData(usize),
    /// A version other than 1, 2 or 3, or extensions in a certificate that is not version 3.
    Version(u8),
}

/// Bytes that are not a certificate at all, and where reading ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate: {0}")]
pub struct NotACertificate(pub &'static str);

impl Certificate {
    /// Reads one DER certificate, leniently.
    ///
    /// # Errors
    /// [`NotACertificate`] when the frame of RFC 5280, section 4.1 (tbsCertificate, its names, dates and key, the signature) isn't
    /// there. Everything less is a [`Defect`].
    pub fn parse(der: &[u8]) -> Result<Certificate, NotACertificate> {
        let fail = NotACertificate;
        let (outer, trailing) = read_tlv(der).ok_or(fail("no complete SEQUENCE"))?;
        if outer.tag != 0x30 {
            return Err(fail("does not begin with a SEQUENCE"));
        }
        let mut defects = Vec::new();
        if !trailing.is_empty() {
            defects.push(Defect::TrailingData(trailing.len()));
        }
        let der = outer.whole;
        let at = |part: &[u8]| {
            let start = part.as_ptr() as usize - der.as_ptr() as usize;
            start..start + part.len()
        };

        let mut parts = elements(outer.value);
        let tbs = parts.next().filter(|t| t.tag == 0x30).ok_or(fail("no tbsCertificate"))?;
        let outer_algorithm = parts.next().filter(|t| t.tag == 0x30).ok_or(fail("no signatureAlgorithm"))?;
        let signature = parts.next().filter(|t| t.tag == 0x03).ok_or(fail("no signature"))?;

        let mut fields = elements(tbs.value).peekable();
        let version = match fields.next_if(|t| t.tag == 0xa0) {
            Some(tagged) => read_tlv(tagged.value).and_then(|(v, _)| v.value.last().copied()).unwrap_or(0).wrapping_add(1),
            None => 1,
        };
        let serial = fields.next().filter(|t| t.tag == 0x02).ok_or(fail("no serialNumber"))?;
        let inner_algorithm = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no signature algorithm"))?;
        let issuer = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no issuer"))?;
        let validity = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no validity"))?;
        let subject = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no subject"))?;
        let spki = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no subjectPublicKeyInfo"))?;

        if inner_algorithm.whole != outer_algorithm.whole {
            defects.push(Defect::SignatureAlgorithmMismatch);
        }
        let mut dates = elements(validity.value).map(|date| {
            let read = read_date(&date);
            if read.is_none() {
                defects.push(Defect::BadDate(String::from_utf8_lossy(date.value).into_owned()));
            }
            read
        });
        let validity = Validity { not_before: dates.next().flatten(), not_after: dates.next().flatten() };
        drop(dates);

        let key = PublicKey::read(spki.whole).unwrap_or_else(|| {
            defects.push(Defect::BadPublicKey);
            PublicKey::unreadable()
        });

        let mut extensions = Vec::new();
        if let Some(list) = fields.find(|t| t.tag == 0xa3).and_then(|t| read_tlv(t.value)) {
            for item in elements(list.0.value) {
                let mut parts = elements(item.value).peekable();
                let Some(oid) = parts.next().filter(|t| t.tag == 0x06) else { continue };
                let flag = parts.next_if(|t| t.tag == 0x01).map(|t| t.value);
                let critical = flag.is_some_and(|value| value.first().is_some_and(|b| *b != 0));
                let Some(value) = parts.next().filter(|t| t.tag == 0x04) else { continue };
                let oid = oid_text(oid.value);
                if flag.is_some_and(|value| !matches!(value, [0x00 | 0xff])) {
                    defects.push(Defect::LooseBoolean(oid.clone().into_owned()));
                }
                if extensions.iter().any(|e: &Extension| e.oid == oid) {
                    defects.push(Defect::DuplicateExtension(oid.clone().into_owned()));
                }
                extensions.push(Extension { oid, critical, value: at(value.value) });
            }
        }
        if !(1..=3).contains(&version) || (version != 3 && !extensions.is_empty()) {
            defects.push(Defect::Version(version));
        }
        let known = extension::Known::read(der, &extensions, &mut defects);

        let fields = Fields {
            fingerprint: OnceLock::new(),
            version,
            serial: at(serial.value),
            tbs: at(tbs.whole),
            issuer: Name::new(issuer.whole),
            subject: Name::new(subject.whole),
            canonical_issuer: OnceLock::new(),
            canonical_subject: OnceLock::new(),
            key_fingerprint: OnceLock::new(),
            label: OnceLock::new(),
            validity,
            spki: at(spki.whole),
            key,
            signature_algorithm: SignatureAlgorithm::read(outer_algorithm.whole),
            // The first octet of a BIT STRING counts its unused bits.
            signature: at(signature.value.get(1..).unwrap_or(signature.value)),
            extensions,
            known,
            defects,
            hash: HASHER.hash_one(der),
            der: der.into(),
        };
        Ok(Certificate(Arc::new(fields), None))
    }

    /// Reads the content of a `TRUSTED CERTIFICATE` block: a certificate and maybe its [`Trust`].
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_trusted(der: &[u8]) -> Result<Certificate, NotACertificate> {
        let (outer, trailing) = read_tlv(der).ok_or(NotACertificate("no complete SEQUENCE"))?;
        let certificate = Certificate::parse(outer.whole)?;
        Ok(match Trust::read(trailing) {
            Some(trust) => certificate.with_trust(trust),
            None => certificate,
        })
    }

    /// The same certificate with settings of its own.
    #[must_use]
    pub fn with_trust(self, trust: Trust) -> Certificate {
        Certificate(self.0, Some(Arc::new(trust)))
    }

    /// What its block says of its trust, if it was a `TRUSTED CERTIFICATE`.
    #[must_use]
    pub fn trust(&self) -> Option<&Trust> {
        self.1.as_deref()
    }

    /// The whole certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-256 of [`Self::der`]; computed once, when it is asked for: most certificates of a store are never named.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        *self.0.fingerprint.get_or_init(|| Fingerprint::of(self.der()))
    }

    /// 1, 2 or 3 (anything else is a [`Defect::Version`]).
    #[must_use]
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// The contents of the serial number, big-endian, as encoded.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.0.der[self.0.serial.clone()]
    }

    /// The signed part, with tag and length.
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.0.der[self.0.tbs.clone()]
    }

    /// Who signed it, by name.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// Whom it names.
    #[must_use]
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// [`Name::canonical`] of the issuer; computed once, because path building compares it with every candidate.
    #[must_use]
    pub fn canonical_issuer(&self) -> &[u8] {
        self.0.canonical_issuer.get_or_init(|| self.0.issuer.canonical().into())
    }

    /// [`Name::canonical`] of the subject; computed once.
    #[must_use]
    pub fn canonical_subject(&self) -> &[u8] {
        self.0.canonical_subject.get_or_init(|| self.0.subject.canonical().into())
    }

    /// When it is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The subjectPublicKeyInfo, with tag and length: two certificates with equal ones hold the same key.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.0.der[self.0.spki.clone()]
    }

    /// SHA-256 of [`Self::spki`]; computed once.
    #[must_use]
    pub fn key_fingerprint(&self) -> Fingerprint {
        *self.0.key_fingerprint.get_or_init(|| Fingerprint::of(self.spki()))
    }

    /// Algorithm and size of the key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.key
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> &SignatureAlgorithm {
        &self.0.signature_algorithm
    }

    /// The signature's octets.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.0.der[self.0.signature.clone()]
    }

    /// Every extension, in the order of the certificate.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// The contents of the extension `oid`, if present.
    #[must_use]
    pub fn extension(&self, oid: &str) -> Option<(&Extension, &[u8])> {
        let found = self.0.extensions.iter().find(|e| e.oid == oid)?;
        Some((found, &self.0.der[found.value.clone()]))
    }

    /// basicConstraints; `None` when absent or unreadable.
    #[must_use]
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.known.basic_constraints
    }

    /// Whether basicConstraints says CA. A version 1 certificate never does; clients differ on what that means.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.basic_constraints().is_some_and(|b| b.ca)
    }

    /// keyUsage; `None` when absent, and then every use is allowed.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.known.key_usage
    }

    /// extendedKeyUsage; `None` when absent, and then every purpose is allowed.
    #[must_use]
    pub fn extended_key_usage(&self) -> Option<&[Purpose]> {
        self.0.known.extended_key_usage.as_deref()
    }

    /// subjectKeyIdentifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.known.subject_key_id.as_deref()
    }

    /// authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&AuthorityKeyId> {
        self.0.known.authority_key_id.as_ref()
    }

    /// subjectAltName; `None` when absent or unreadable.
    #[must_use]
    pub fn subject_alt_name(&self) -> Option<&[GeneralName]> {
        self.0.known.subject_alt_name.as_deref()
    }

    /// What a strict parser would refuse.
    #[must_use]
    pub fn defects(&self) -> &[Defect] {
        &self.0.defects
    }

    /// Whether subject and issuer are the same name, byte for byte.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        same(self.subject().raw(), self.issuer().raw())
    }

    /// Whether `other` has the same subject and key under another certificate: a cross-sign or a renewal (RFC 5280, section 3.2).
    #[must_use]
    pub fn is_same_entity(&self, other: &Certificate) -> bool {
        self.subject().raw() == other.subject().raw() && self.spki() == other.spki() && self != other
    }

    /// Whether the certificate has expired at `at`, counting the second of notAfter as still valid.
    #[must_use]
    pub fn is_expired(&self, at: At) -> bool {
        self.validity().not_after.is_some_and(|end| at > end)
    }

    /// Whether the certificate is not valid yet at `at`.
    #[must_use]
    pub fn is_not_yet_valid(&self, at: At) -> bool {
        self.validity().not_before.is_some_and(|start| at < start)
    }

    /// The last bytes of the DER: hardly ever the same in two certificates.
    fn tail(&self) -> u64 {
        self.0.der.last_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// A name for people: the common name, else the organisational unit or organisation, else the whole subject.
    #[must_use]
    pub fn label(&self) -> String {
        self.0.label.get_or_init(|| self.subject().label().into()).to_string()
    }
}

impl Trust {
    /// Reads an `X509_CERT_AUX`; `None` when there is none, or none that can be read.
    pub fn read(der: &[u8]) -> Option<Trust> {
        let (outer, _) = read_tlv(der).filter(|(t, _)| t.tag == 0x30)?;
        let purposes =
            |list: Tlv<'_>| elements(list.value).filter(|t| t.tag == 0x06).map(|t| Purpose::of(&oid_text(t.value))).collect();
        let mut parts = elements(outer.value).peekable();
        let trusted = parts.next_if(|t| t.tag == 0x30).map(purposes);
        let rejected = parts.next_if(|t| t.tag == 0xa0).map(purposes).unwrap_or_default();
        Some(Trust { trusted, rejected })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || same(&self.0.der, &other.0.der)
    }
}

impl Eq for Certificate {}

/// Of the whole DER, by a key of this process: whoever makes certificates that end alike slows nothing down.
impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

static HASHER: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);

/// What is known of certificates that lie elsewhere. Only asked, never gone through: the order of hashes means nothing.
pub type CertificateMap<'c, V> = HashMap<&'c Certificate, V, foldhash::fast::RandomState>;

/// Which certificates were seen. Only asked, never gone through.
pub type CertificateSet<'c> = HashSet<&'c Certificate, foldhash::fast::RandomState>;

/// An order for sets, which means nothing else: by the last bytes of the DER, which lie in the signature and hardly ever are the same,
/// and then by all of it, which begins alike in all certificates.
impl Ord for Certificate {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.tail().cmp(&other.tail()).then_with(|| self.0.der.cmp(&other.0.der))
    }
}

impl PartialOrd for Certificate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.label(), self.fingerprint().short())
    }
}

/// UTCTime (RFC 5280, section 4.1.2.5.1: years 50 to 99 are 19xx) or GeneralizedTime, both to the second and in UTC.
pub(super) fn read_date(date: &Tlv<'_>) -> Option<At> {
    let digits = date.value.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    // Every two digits are a number.
    let (pairs, odd) = digits.as_chunks::<2>();
    let pair = |[tens, ones]: [u8; 2]| (tens - b'0') * 10 + (ones - b'0');
    let (year, rest) = match (date.tag, pairs) {
        (0x17, [year, rest @ ..]) => match i32::from(pair(*year)) {
            year @ ..50 => (2000 + year, rest),
            year => (1900 + year, rest),
        },
        (0x18, [century, year, rest @ ..]) => (i32::from(pair(*century)) * 100 + i32::from(pair(*year)), rest),
        _ => return None,
    };
    let &[month, day, hour, minute, second] = rest else { return None };
    if !odd.is_empty() {
        return None;
    }
    let date = time::Date::from_calendar_date(year, pair(month).try_into().ok()?, pair(day)).ok()?;
    let time = time::Time::from_hms(pair(hour), pair(minute), pair(second)).ok()?;
    Some(At(time::PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(tag: u8, text: &str) -> Option<String> {
        read_date(&Tlv { tag, value: text.as_bytes(), whole: &[] }).map(|at| at.to_string())
    }

    #[test]
    fn reads_dates_as_rfc_5280_wants_them() {
        assert_eq!(date(0x17, "200530104838Z").as_deref(), Some("2020-05-30T10:48:38Z"));
        assert_eq!(date(0x17, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(date(0x18, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        assert_eq!(date(0x17, "2005301048Z"), None);
        assert_eq!(date(0x17, "201330104838Z"), None);
        assert_eq!(date(0x18, "20500101000000+0100"), None);
    }

    #[test]
    fn a_signature_without_any_octet_is_empty() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let signed = params.self_signed(&key).expect("signs");
        let (outer, _) = read_tlv(signed.der()).expect("a SEQUENCE");
        let kept: Vec<u8> = elements(outer.value).take(2).flat_map(|t| t.whole.to_vec()).chain([0x03, 0x00]).collect();
        let length = u16::try_from(kept.len()).expect("short").to_be_bytes();
        let certificate = Certificate::parse(&[&[0x30, 0x82][..], &length, &kept].concat()).expect("parses");
        assert!(certificate.signature().is_empty());
    }

    #[test]
    fn certificates_that_end_alike_have_other_hashes() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let signed =
            rcgen::CertificateParams::new(vec!["a.example".to_owned()]).and_then(|p| p.self_signed(&key)).expect("signs");
        let plain = Certificate::parse(signed.der()).expect("parses");
        // A letter of the name, which nobody signed.
        let mut changed = signed.der().to_vec();
        let at = memchr::memmem::find(&changed, b"a.example").expect("its name");
        changed[at] = b'b';
        let changed = Certificate::parse(&changed).expect("parses");
        assert_eq!((plain.tail(), plain == changed), (changed.tail(), false));
        let hashes = [&plain, &changed].map(|c| HASHER.hash_one(c));
        assert_ne!(hashes[0], hashes[1]);
        assert_eq!(hashes[0], HASHER.hash_one(Certificate::parse(signed.der()).expect("parses")));
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        assert!(Certificate::parse(b"").is_err());
        assert!(Certificate::parse(b"-----BEGIN").is_err());
        assert!(Certificate::parse(&[0x30, 0x03, 0x02, 0x01, 0x00]).is_err());
    }
}
