//! Mbed TLS: `mbedtls_x509_crt_verify_with_profile` (library/x509_crt.c) with the default profile.
//!
//! The trusted list is asked first at every step, what was sent only from the child onwards. A parent's signature is checked while it is
//! searched. Nothing is tried twice; the flags of the whole chain are joined. What does not parse is not there: a certificate with a
//! critical extension that the library doesn't know (name constraints above all) vanishes from the list. The purpose of the leaf is checked
//! by the TLS layer, not by this call, and so not here.

use std::net::IpAddr;

use super::{ClientError, Question, Rejection, Verdict, host_name, host_name::Rules, untimely};
use crate::x509::{Certificate, Defect, Hash, KeyAlgorithm, Name, SignatureError, Tlv, read_tlv};

/// The knobs of one major version: `mbedtls_x509_crt_profile_default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-224 is refused, and curves below 128 bits of security (3.0, ChangeLog "Default behavior changes").
    pub from_128_bits: bool,
    /// An address is looked for among the iPAddress names (3.5, `x509_crt_check_san_ip`); before, nothing fits it.
    pub matches_addresses: bool,
}

impl Policy {
    /// 2.x.
    pub const V2: Policy = Policy { from_128_bits: false, matches_addresses: false };
    /// 3.0 to 3.4.
    pub const V3: Policy = Policy { from_128_bits: true, ..Policy::V2 };
    /// 3.5 and later.
    pub const V3_5: Policy = Policy { matches_addresses: true, ..Policy::V3 };
}

/// Flags (`MBEDTLS_X509_BADCERT_…`, include/mbedtls/x509.h).
pub mod flags {
    #![expect(missing_docs, reason = "the names are Mbed TLS's own")]
    pub const EXPIRED: u32 = 0x01;
    pub const CN_MISMATCH: u32 = 0x04;
    pub const NOT_TRUSTED: u32 = 0x08;
    pub const FUTURE: u32 = 0x0200;
    pub const BAD_MD: u32 = 0x4000;
    pub const BAD_KEY: u32 = 0x0001_0000;
}

/// Each flag's name and the line of `mbedtls_x509_crt_verify_info`.
const WORDS: &[(u32, &str, &str)] = &[
    (flags::EXPIRED, "MBEDTLS_X509_BADCERT_EXPIRED", "The certificate validity has expired"),
    (
        flags::CN_MISMATCH,
        "MBEDTLS_X509_BADCERT_CN_MISMATCH",
        "The certificate Common Name (CN) does not match with the expected CN",
    ),
    (flags::NOT_TRUSTED, "MBEDTLS_X509_BADCERT_NOT_TRUSTED", "The certificate is not correctly signed by the trusted CA"),
    (flags::FUTURE, "MBEDTLS_X509_BADCERT_FUTURE", "The certificate validity starts in the future"),
    (flags::BAD_MD, "MBEDTLS_X509_BADCERT_BAD_MD", "The certificate is signed with an unacceptable hash."),
    (
        flags::BAD_KEY,
        "MBEDTLS_X509_BADCERT_BAD_KEY",
        "The certificate is signed with an unacceptable key (eg bad curve, RSA too short).",
    ),
];

/// `MBEDTLS_X509_MAX_INTERMEDIATE_CA`.
const INTERMEDIATES: usize = 8;
/// `rsa_min_bitlen` of the default profile.
const RSA_BITS: u32 = 2048;
/// Critical extensions that `x509_get_crt_ext` reads.
const HANDLED: &[&str] = &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.32", "2.5.29.37", "2.16.840.1.113730.1.1"];
/// The curves of `include/mbedtls/config.h`, by the names or OIDs that this tool gives them (the last five: secp192k1, secp224k1 and
/// brainpoolP256r1, P384r1, P512r1).
const CURVES: &[&str] = &[
    "P-192",
    "P-224",
    "P-256",
    "P-384",
    "P-521",
    "secp256k1",
    "1.3.132.0.31",
    "1.3.132.0.32",
    "1.3.36.3.3.2.8.1.1.7",
    "1.3.36.3.3.2.8.1.1.11",
    "1.3.36.3.3.2.8.1.1.13",
];

/// Asks `mbedtls_x509_crt_verify_with_profile`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    if !parses(question.leaf()) {
        return Verdict::Unknown(
            "Mbed TLS does not read this leaf, and what it then says depends on how it is called".to_owned(),
        );
    }
    let sent: Vec<&Certificate> = question.presented.iter().filter(|c| parses(c)).collect();
    let trusted: Vec<&Certificate> = question.anchors.iter().filter(|c| parses(c)).collect();
    let mut model = Model { question, policy, sent, trusted, found: Found::default() };
    model.check_leaf();
    let path = model.verify_chain();
    let found = model.found;
    if let Some(what) = found.unsupported {
        return Verdict::unchecked(&what);
    }
    if found.flags == 0 {
        return Verdict::Trusted { path };
    }
    let (depth, rejection) = found.reason.unwrap_or((0, Rejection::Other("Mbed TLS gives no reason".to_owned())));
    let (name, text) = if found.flags == u32::MAX {
        (
            "MBEDTLS_ERR_X509_FATAL_ERROR".to_owned(),
            "A fatal error occurred, eg the chain is too long or the vrfy callback failed".to_owned(),
        )
    } else {
        let set = || WORDS.iter().filter(|(flag, ..)| found.flags & flag != 0);
        (set().map(|w| w.1).collect::<Vec<_>>().join("|"), set().map(|w| w.2).collect::<Vec<_>>().join("; "))
    };
    let error = ClientError { code: found.flags.to_string(), name, depth: Some(depth), text, rejection };
    Verdict::Untrusted { path, errors: vec![error] }
}

#[derive(Default)]
struct Found {
    flags: u32,
    reason: Option<(usize, Rejection)>,
    unsupported: Option<String>,
}

struct Model<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    sent: Vec<&'a Certificate>,
    trusted: Vec<&'a Certificate>,
    found: Found,
}

/// A parent and where it came from: its place among what was sent, or the trusted list.
#[derive(Clone, Copy)]
struct Parent<'a> {
    certificate: &'a Certificate,
    place: Option<usize>,
    signed: bool,
}

impl<'a> Model<'a> {
    fn fail(&mut self, flag: u32, depth: usize, rejection: impl FnOnce() -> Rejection) {
        self.found.flags |= flag;
        self.found.reason.get_or_insert_with(|| (depth, rejection()));
    }

    /// Name and key of the leaf.
    fn check_leaf(&mut self) {
        let leaf = self.question.leaf();
        let by_text = |host: &str| host.parse::<IpAddr>().is_ok() && !self.policy.matches_addresses;
        if let Some(host) = self.question.host
            && let Err(rejection) = match by_text(host) {
                true => Err(Rejection::HostMismatch { asked: host.to_owned(), names: host_name::shown(leaf) }),
                false => host_name::check(leaf, host, Rules::MBEDTLS),
            }
        {
            self.fail(flags::CN_MISMATCH, 0, || rejection);
        }
        self.check_key(leaf, 0);
    }

    /// `x509_profile_check_key`.
    fn check_key(&mut self, certificate: &Certificate, depth: usize) {
        let key = certificate.public_key();
        let wanted = match key.algorithm {
            KeyAlgorithm::Rsa => RSA_BITS,
            _ if self.policy.from_128_bits => 256,
            _ => 0,
        };
        if key.bits < wanted {
            self.fail(flags::BAD_KEY, depth, || Rejection::WeakKey { bits: key.bits, wanted });
        }
    }

    /// `x509_crt_verify_chain`.
    fn verify_chain(&mut self) -> Vec<Certificate> {
        let leaf = self.question.leaf();
        let mut path = vec![leaf.clone()];
        let mut child = Parent { certificate: leaf, place: Some(0), signed: true };
        let mut self_issued = 0;
        loop {
            let depth = path.len() - 1;
            match untimely(child.certificate, self.question.at) {
                None => {}
                Some(why @ Rejection::NotYetValid { .. }) => self.fail(flags::FUTURE, depth, || why),
                Some(why) => self.fail(flags::EXPIRED, depth, || why),
            }
            if child.place.is_none() {
                return path;
            }
            let algorithm = child.certificate.signature_algorithm();
            let accepted = match algorithm.hash {
                Some(Hash::Sha224) => !self.policy.from_128_bits,
                Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => true,
                Some(Hash::Md2 | Hash::Md5 | Hash::Sha1) | None => false,
            };
            if !accepted {
                self.fail(flags::BAD_MD, depth, || Rejection::WeakSignature(algorithm.to_string()));
            }
            // Only a self-issued leaf can be trusted by itself.
            if depth == 0 && is_issuer(leaf, leaf) && self.trusted.contains(&leaf) {
                return path;
            }
            let Some(parent) = self.find_parent(child, depth, self_issued) else {
                self.fail(flags::NOT_TRUSTED, depth, || Rejection::IssuerMissing(child.certificate.issuer().to_string()));
                return path;
            };
            if depth > 0 && is_issuer(child.certificate, child.certificate) {
                self_issued += 1;
            }
            if parent.place.is_some() && path.len() > INTERMEDIATES {
                self.found.flags = u32::MAX;
                self.found.reason = Some((depth, Rejection::BudgetExceeded("intermediates", INTERMEDIATES)));
                return path;
            }
            if !parent.signed {
                self.fail(flags::NOT_TRUSTED, depth, || Rejection::InvalidSignature);
            }
            self.check_key(parent.certificate, depth + 1);
            path.push(parent.certificate.clone());
            child = parent;
        }
    }

    /// `x509_crt_find_parent`: the trusted list, then what was sent after the child.
    fn find_parent(&mut self, child: Parent<'a>, below: usize, self_issued: usize) -> Option<Parent<'a>> {
        let trusted: Vec<Parent<'a>> =
            self.trusted.iter().map(|c| Parent { certificate: c, place: None, signed: false }).collect();
        if let Some(parent) = self.find_parent_in(child.certificate, &trusted, below, self_issued) {
            return Some(parent);
        }
        let next = child.place.map_or(self.sent.len(), |place| place + 1);
        let sent: Vec<Parent<'a>> =
            (next..self.sent.len()).map(|i| Parent { certificate: self.sent[i], place: Some(i), signed: false }).collect();
        self.find_parent_in(child.certificate, &sent, below, self_issued)
    }

    /// `x509_crt_find_parent_in`: the first that is valid now, else the first. Of the trusted list only those that made the signature.
    fn find_parent_in(
        &mut self,
        child: &Certificate,
        candidates: &[Parent<'a>],
        below: usize,
        self_issued: usize,
    ) -> Option<Parent<'a>> {
        let mut fallback = None;
        for candidate in candidates {
            let (certificate, top) = (candidate.certificate, candidate.place.is_none());
            // Locally trusted certificates of versions 1 and 2 can't say that they are CAs.
            let needs_ca = !top || certificate.version() >= 3;
            let may_sign = certificate.is_ca() && certificate.key_usage().is_none_or(|usage| usage.key_cert_sign());
            if !is_issuer(child, certificate) || (needs_ca && !may_sign) {
                continue;
            }
            let limit = certificate.basic_constraints().and_then(|b| b.path_len);
            if limit.is_some_and(|limit| (limit as usize) < below.saturating_sub(self_issued)) {
                continue;
            }
            let signed = match self.question.signatures.verify(child, certificate) {
                Ok(()) => true,
                Err(SignatureError::Unsupported(what)) => {
                    self.found.unsupported.get_or_insert(what);
                    false
                }
                Err(SignatureError::Invalid | SignatureError::KeyMismatch) => false,
            };
            if top && !signed {
                continue;
            }
            let parent = Parent { signed, ..*candidate };
            if untimely(certificate, self.question.at).is_none() {
                return Some(parent);
            }
            fallback.get_or_insert(parent);
        }
        fallback
    }
}

/// Whether `mbedtls_x509_crt_parse_der` takes the certificate.
fn parses(certificate: &Certificate) -> bool {
    let strange = |defect: &Defect| {
        matches!(
            defect,
            Defect::BadDate(_)
                | Defect::BadPublicKey
                | Defect::DuplicateExtension(_)
                | Defect::SignatureAlgorithmMismatch
                | Defect::Version(_)
        )
    };
    let key = match &certificate.public_key().algorithm {
        KeyAlgorithm::Rsa => true,
        KeyAlgorithm::Ec(curve) => CURVES.contains(&curve.as_str()),
        KeyAlgorithm::Dsa | KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 | KeyAlgorithm::Other(_) => false,
    };
    key && certificate.signature_algorithm().hash.is_some()
        && !certificate.defects().iter().any(strange)
        && !certificate.extensions().iter().any(|e| e.critical && !HANDLED.contains(&&*e.oid))
}

/// `x509_name_cmp` of the child's issuer with the parent's subject: attribute by attribute, UTF8String and PrintableString without regard
/// to case and to which of both they are.
fn is_issuer(child: &Certificate, parent: &Certificate) -> bool {
    let (issuer, subject) = (child.issuer(), parent.subject());
    issuer.raw() == subject.raw() || (issuer.raw().len() == subject.raw().len() && is_same_name(issuer, subject))
}

fn is_same_name(a: &Name, b: &Name) -> bool {
    let (a, b) = (attributes(a), attributes(b));
    let is_text = |tag: u8| matches!(tag, 0x0c | 0x13);
    a.len() == b.len()
        && a.iter().zip(&b).all(|((rdn_a, oid_a, a), (rdn_b, oid_b, b))| {
            let same = a.whole == b.whole || (is_text(a.tag) && is_text(b.tag) && a.value.eq_ignore_ascii_case(b.value));
            rdn_a == rdn_b && oid_a == oid_b && same
        })
}

/// Each attribute: the index of its RDN, its OID, its value.
fn attributes(name: &Name) -> Vec<(usize, &[u8], Tlv<'_>)> {
    let mut out = Vec::new();
    let Some((sequence, _)) = read_tlv(name.raw()) else { return out };
    let (mut rdn, mut rest) = (0, sequence.value);
    while let Some((set, after)) = read_tlv(rest) {
        let mut inside = set.value;
        while let Some((attribute, next)) = read_tlv(inside) {
            if let Some((oid, value)) = read_tlv(attribute.value)
                && let Some((value, _)) = read_tlv(value)
            {
                out.push((rdn, oid.value, value));
            }
            inside = next;
        }
        rest = after;
        rdn += 1;
    }
    out
}
