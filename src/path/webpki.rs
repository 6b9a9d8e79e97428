//! webpki and rustls-webpki: `PathBuilder::build_chain` (src/verify_cert.rs), and the names after it.
//!
//! Of an anchor only name, key and constraints are kept: no dates, no key usage, no signature.

use std::collections::BTreeMap;

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, NameConstraints, in_domain, in_network},
    openssl::purpose_name,
    openssl_crl::same_point,
};
use crate::{
    base::At,
    x509::{
        Certificate, Crl, Defect, DistributionPoint, GeneralName, Hash, KeyAlgorithm, Purpose, SignatureError,
        distribution_points, read_tlv,
    },
};

/// The knobs of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the most specific error is told (0.101); before, everything about an issuer was `UnknownIssuer`.
    pub ranked: bool,
    /// Whether errors carry a context and its name (0.103).
    pub contexts: bool,
    /// Whether a certificate of version 3 without any extension can't be read (up to 0.22, `parse_cert_internal`).
    pub needs_extensions: bool,
    /// Whether a name with a wildcard is outside only if everything that it covers is (0.103.16, as recorded; with which release that began is not known).
    pub wildcards_expand: bool,
}

impl Policy {
    /// webpki 0.22.
    pub const V0_22: Policy = Policy { ranked: false, contexts: false, needs_extensions: true, wildcards_expand: false };
    /// rustls-webpki 0.101.
    pub const V0_101: Policy = Policy { ranked: true, needs_extensions: false, ..Policy::V0_22 };
    /// rustls-webpki 0.103.
    pub const V0_103: Policy = Policy { contexts: true, wildcards_expand: true, ..Policy::V0_101 };
}

impl Policy {
    fn reads(self, certificate: &Certificate) -> bool {
        !(self.needs_extensions && certificate.version() == 3 && certificate.extensions().is_empty())
    }
}

/// `Budget::default`: from Go's limit, and mozilla::pkix's.
const SIGNATURES: usize = 100;
const BUILD_CALLS: usize = 200_000;
/// `MAX_SUB_CA_COUNT`.
const INTERMEDIATES: usize = 6;
/// Critical extensions that are read (src/cert.rs, `remember_extension`).
const HANDLED: &[&str] = &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

/// `Budget::default`.
const COMPARISONS: usize = 250_000;

const RSA_KEY: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519_KEY: &[u8] = b"\x06\x03\x2b\x65\x70";
/// What rustls's ring provider offers: the contents of AlgorithmIdentifier, compared as they are encoded, and of those of the keys
/// (src/crypto/ring/mod.rs in rustls, `SUPPORTED_SIG_ALGS`).
const ALGORITHMS: &[(&[u8], &[&[u8]])] = &[
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", &[P256_KEY, P384_KEY]),
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03", &[P256_KEY, P384_KEY]),
    (ED25519_KEY, &[ED25519_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", &[RSA_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00", &[RSA_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00", &[RSA_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &[RSA_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &[RSA_KEY]),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &[RSA_KEY]),
    (
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
        \xa2\x03\x02\x01\x20",
        &[RSA_KEY],
    ),
    (
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
        \xa2\x03\x02\x01\x30",
        &[RSA_KEY],
    ),
    (
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\
        \xa2\x03\x02\x01\x40",
        &[RSA_KEY],
    ),
];

/// Asks `verify_for_usage` with ring's algorithms, then `verify_is_valid_for_subject_name`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    if let Some(error) = parse_fault(question.leaf()) {
        return Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![error] };
    }
    let mut by_subject: BTreeMap<&[u8], Vec<&Certificate>> = BTreeMap::new();
    for certificate in question.presented[1..].iter().filter(|c| policy.reads(c)) {
        by_subject.entry(certificate.subject().raw()).or_default().push(certificate);
    }
    let mut builder = Builder { question, policy, by_subject, signatures: 0, calls: 0, comparisons: 0 };
    let mut path = vec![question.leaf().clone()];
    match builder.build(&mut path) {
        Ok(anchor) => {
            path.push(anchor);
            match check_host(question, policy) {
                Some(error) => Verdict::Untrusted { path, errors: vec![error] },
                None => Verdict::Trusted { path },
            }
        }
        // Without ranks a bound that was met is one more unknown issuer.
        Err(failure) if failure.fatal && !policy.ranked => {
            let error = ClientError { rejection: failure.error.rejection, ..*unknown_issuer(question.leaf()).error };
            Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![error] }
        }
        Err(failure) => Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![*failure.error] },
    }
}

/// An error with its rank (`Error::rank`).
#[derive(Clone)]
struct Failure {
    rank: u32,
    fatal: bool,
    error: Box<ClientError>,
}

struct Builder<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    /// What was sent besides the leaf, in the order sent, by subject.
    by_subject: BTreeMap<&'a [u8], Vec<&'a Certificate>>,
    signatures: usize,
    calls: usize,
    comparisons: usize,
}

impl Builder<'_> {
    /// `build_chain_inner`: the anchor under which the whole path holds.
    fn build(&mut self, path: &mut Vec<Certificate>) -> Result<Certificate, Failure> {
        let question = self.question;
        let head = path[path.len() - 1].clone();
        self.check_head(&head, path.len() - 1)?;
        let mut worst = unknown_issuer(&head);
        for anchor in question.anchors.iter().filter(|a| a.subject().raw() == head.issuer().raw() && self.policy.reads(a)) {
            match self.check_under(path, anchor) {
                Ok(()) => return Ok(anchor.clone()),
                Err(failure) if failure.fatal => return Err(failure),
                Err(failure) => worst = self.most_specific(worst, failure),
            }
        }
        for candidate in self.by_subject.get(head.issuer().raw()).cloned().unwrap_or_default() {
            if let Some(error) = parse_fault(candidate) {
                worst = self.most_specific(worst, Failure { rank: 20, fatal: false, error: Box::new(error) });
                continue;
            }
            if path.iter().any(|c| c.spki() == candidate.spki() && c.subject().raw() == candidate.subject().raw()) {
                continue;
            }
            self.calls += 1;
            if self.calls > BUILD_CALLS {
                return Err(fatal("MaximumPathBuildCallsExceeded", "path build calls", BUILD_CALLS));
            }
            if path.len() > INTERMEDIATES {
                // A hostile chain comes by here two hundred thousand times: words only when they are taken.
                let is_known = matches!(worst.error.rejection, Rejection::BudgetExceeded(..));
                let is_taken = if self.policy.ranked { worst.rank < 61 } else { !is_known };
                if is_taken {
                    let rejection = Rejection::BudgetExceeded("intermediates", INTERMEDIATES);
                    worst = self.most_specific(worst, failure(61, "MaximumPathDepthExceeded", path.len(), rejection));
                }
                continue;
            }
            path.push(candidate.clone());
            match self.build(path) {
                Ok(anchor) => return Ok(anchor),
                Err(failure) if failure.fatal => return Err(failure),
                Err(failure) => worst = self.most_specific(worst, failure),
            }
            path.pop();
        }
        Err(worst)
    }

    /// The higher rank, the earlier of equals; without ranking everything becomes `UnknownIssuer`.
    fn most_specific(&self, old: Failure, new: Failure) -> Failure {
        if self.policy.ranked && new.rank > old.rank {
            return new;
        }
        match new.error.rejection {
            // Where the word is the same, the reason that counts is that a bound was met.
            Rejection::BudgetExceeded(..) if !self.policy.ranked => {
                let error = ClientError { rejection: new.error.rejection, ..*old.error };
                Failure { error: Box::new(error), ..old }
            }
            _ => old,
        }
    }

    /// `check_issuer_independent_properties`.
    fn check_head(&self, certificate: &Certificate, depth: usize) -> Result<(), Failure> {
        let at = self.question.at;
        if certificate.version() != 3 {
            return Err(other(130, "UnsupportedCertVersion", depth));
        }
        if certificate.extensions().iter().any(|e| e.critical && !HANDLED.contains(&&*e.oid)) {
            return Err(other(130, "UnsupportedCriticalExtension", depth));
        }
        match (certificate.validity().not_before, certificate.validity().not_after) {
            // Its times count from 1970 and have no sign.
            (Some(date), _) | (_, Some(date)) if date < At(0) => {
                return Err(failure(20, "BadDerTime", depth, Rejection::DateUnreadable));
            }
            (Some(start), Some(end)) if start > end => return Err(other(190, "InvalidCertValidity", depth)),
            (Some(not_before), _) if at < not_before => {
                return Err(failure(290, "CertNotValidYet", depth, Rejection::NotYetValid { not_before, at }));
            }
            (_, Some(not_after)) if at > not_after => {
                return Err(failure(290, "CertExpired", depth, Rejection::Expired { not_after, at }));
            }
            (Some(_), Some(_)) => {}
            _ => return Err(failure(20, "BadDerTime", depth, Rejection::DateUnreadable)),
        }
        let found = u32::try_from(depth.saturating_sub(1)).unwrap_or(u32::MAX);
        match (depth, certificate.is_ca(), certificate.basic_constraints().and_then(|b| b.path_len)) {
            (0, true, _) => return Err(other(210, "CaUsedAsEndEntity", depth)),
            (1.., false, _) => return Err(failure(210, "EndEntityUsedAsCa", depth, Rejection::NotCa)),
            (1.., true, Some(limit)) if found > limit => {
                return Err(failure(220, "PathLenConstraintViolated", depth, Rejection::PathTooLong { limit, found }));
            }
            _ => {}
        }
        let purpose = self.question.purpose;
        match certificate.extended_key_usage() {
            Some([]) => Err(other(245, "EmptyEkuExtension", depth)),
            Some(list) if *purpose != Purpose::Any && !list.contains(purpose) => {
                let name = if self.policy.contexts { "RequiredEkuNotFoundContext" } else { "RequiredEkuNotFound" };
                Err(failure(240, name, depth, Rejection::PurposeMismatch(purpose_name(self.question))))
            }
            _ => Ok(()),
        }
    }

    /// `check_signed_chain` and the constraints, from the anchor down.
    fn check_under(&mut self, path: &[Certificate], anchor: &Certificate) -> Result<(), Failure> {
        let mut issuer = anchor;
        for (depth, certificate) in path.iter().enumerate().rev() {
            self.signatures += 1;
            if self.signatures > SIGNATURES {
                return Err(fatal("MaximumSignatureChecksExceeded", "signature checks", SIGNATURES));
            }
            self.check_signature(certificate, issuer, depth)?;
            self.check_revocation(certificate, issuer, depth, depth + 1 < path.len())?;
            issuer = certificate;
        }
        for (depth, certificate) in path.iter().enumerate().rev() {
            let above = path[depth + 1..].iter().chain([anchor]);
            for constraints in above.filter_map(name_constraints::of) {
                self.check_constraints(&constraints, certificate, depth)?;
            }
        }
        Ok(())
    }

    /// `RevocationOptions::check` (src/crl/mod.rs) over the whole path, with `UnknownStatusPolicy::Allow`: what no list is about passes. Of an
    /// anchor no key usage is kept.
    fn check_revocation(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        depth: usize,
        issuer_was_sent: bool,
    ) -> Result<(), Failure> {
        let Some(crl) = self.question.extra.crls.iter().find(|crl| is_authoritative(crl, certificate)) else { return Ok(()) };
        if issuer_was_sent && issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
            return Err(other(270, "IssuerNotCrlSigner", depth));
        }
        if self.question.signatures.verify_crl(crl, issuer).is_err() {
            return Err(failure(260, "InvalidCrlSignatureForPublicKey", depth, Rejection::InvalidSignature));
        }
        if crl.revoked(certificate.serial()).is_empty() { Ok(()) } else { Err(other(270, "CertRevoked", depth)) }
    }

    /// `check_name_constraints` (src/subject_name/verify.rs): the alternative names, then a directory name, whatever it is.
    fn check_constraints(
        &mut self,
        constraints: &NameConstraints<'_>,
        certificate: &Certificate,
        depth: usize,
    ) -> Result<(), Failure> {
        let violated = |what: String| failure(230, "NameConstraintViolation", depth, Rejection::NameConstraintViolated(what));
        let all = constraints.kinds().count();
        let names = certificate.subject_alt_name().unwrap_or_default();
        for name in names.iter().map(Some).chain([None]) {
            self.comparisons += all;
            if self.comparisons > COMPARISONS {
                return Err(fatal("MaximumNameConstraintComparisonsExceeded", "name constraint comparisons", COMPARISONS));
            }
            let tag = name.map_or(0xa4, tag_of);
            let (permitted, excluded) = constraints.of_kind(tag);
            let shown = || host_name::shown(certificate).join(", ");
            let malformed = |_| failure(230, "MalformedNameConstraint", depth, Rejection::NameConstraintViolated(shown()));
            let lies_in = |base: &[u8], excluding: bool| match name {
                Some(GeneralName::Dns(text)) => is_constrained(text, base, excluding, self.policy.wildcards_expand),
                Some(GeneralName::Ip(octets)) => in_network(octets, base).ok_or(()),
                // Directory names are not compared: everything is outside of what is permitted, and inside of what is excluded.
                Some(GeneralName::Directory(_)) | None => Ok(excluding),
                Some(_) => Err(()),
            };
            let mut inside = permitted.is_empty();
            for base in permitted {
                inside = inside || lies_in(base, false).map_err(malformed)?;
            }
            if !inside {
                return Err(violated(shown()));
            }
            for base in excluded {
                if lies_in(base, true).map_err(malformed)? {
                    return Err(violated(shown()));
                }
            }
        }
        Ok(())
    }

    /// `verify_signed_data` with the algorithms that rustls's ring provider offers: no SHA-1, RSA from 2048 bits.
    fn check_signature(&self, certificate: &Certificate, issuer: &Certificate, depth: usize) -> Result<(), Failure> {
        if certificate.defects().contains(&Defect::SignatureAlgorithmMismatch) {
            return Err(failure(250, "SignatureAlgorithmMismatch", depth, Rejection::InvalidSignature));
        }
        let algorithm = certificate.signature_algorithm();
        if matches!(algorithm.hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1 | Hash::Sha224)) {
            let name =
                if self.policy.contexts { "UnsupportedSignatureAlgorithmContext" } else { "UnsupportedSignatureAlgorithm" };
            return Err(failure(140, name, depth, Rejection::WeakSignature(algorithm.to_string())));
        }
        let encoded = |der: &[u8]| read_tlv(der).map(|(t, _)| t.value.to_vec()).unwrap_or_default();
        let signed_by = encoded(&algorithm.identifier);
        if !ALGORITHMS.iter().any(|(signature, _)| *signature == signed_by) {
            let name =
                if self.policy.contexts { "UnsupportedSignatureAlgorithmContext" } else { "UnsupportedSignatureAlgorithm" };
            return Err(failure(140, name, depth, Rejection::UnsupportedSignature(algorithm.to_string())));
        }
        let key = issuer.public_key();
        let key_algorithm = read_tlv(issuer.spki()).map(|(t, _)| encoded(t.value)).unwrap_or_default();
        if !ALGORITHMS.iter().any(|(signature, keys)| *signature == signed_by && keys.contains(&&key_algorithm[..])) {
            let name = if self.policy.contexts {
                "UnsupportedSignatureAlgorithmForPublicKeyContext"
            } else {
                "UnsupportedSignatureAlgorithmForPublicKey"
            };
            return Err(failure(150, name, depth, Rejection::InvalidSignature));
        }
        if key.algorithm == KeyAlgorithm::Rsa && certificate.signature_suits_key_of(issuer) && !(2048..=8192).contains(&key.bits)
        {
            let rejection = Rejection::WeakKey { bits: key.bits, wanted: 2048 };
            return Err(failure(260, "InvalidSignatureForPublicKey", depth, rejection));
        }
        match self.question.signatures.verify(certificate, issuer) {
            Ok(()) => Ok(()),
            Err(SignatureError::Invalid) => Err(failure(260, "InvalidSignatureForPublicKey", depth, Rejection::InvalidSignature)),
            Err(SignatureError::KeyMismatch) => {
                let name = if self.policy.contexts {
                    "UnsupportedSignatureAlgorithmForPublicKeyContext"
                } else {
                    "UnsupportedSignatureAlgorithmForPublicKey"
                };
                Err(failure(150, name, depth, Rejection::InvalidSignature))
            }
            // ring has what webpki on ring has; what is missing here is missing there.
            Err(SignatureError::Unsupported(what)) => {
                let name =
                    if self.policy.contexts { "UnsupportedSignatureAlgorithmContext" } else { "UnsupportedSignatureAlgorithm" };
                Err(failure(140, name, depth, Rejection::UnsupportedSignature(what)))
            }
        }
    }
}

/// What `Cert::from_der` refuses in the leaf; such an intermediate is only passed over.
fn parse_fault(certificate: &Certificate) -> Option<ClientError> {
    let name = certificate.defects().iter().find_map(|defect| match defect {
        Defect::DuplicateExtension(oid) if HANDLED.contains(&oid.as_str()) => Some("ExtensionValueInvalid"),
        Defect::LooseBoolean(_) => Some("BadDer"),
        _ => None,
    })?;
    Some(*other(0, name, 0).error)
}

/// `CertRevocationList::authoritative`: by issuer, and a list that names its scope only for a certificate in it.
fn is_authoritative(crl: &Crl, certificate: &Certificate) -> bool {
    let Some(scope) = crl.scope() else { return crl.issuer().raw() == certificate.issuer().raw() };
    let right_kind = if certificate.is_ca() { !scope.only_users } else { !scope.only_cas };
    let points = certificate.extension("2.5.29.31").map(|(_, value)| distribution_points(value, certificate.issuer()));
    let in_scope = |points: Vec<DistributionPoint>| points.iter().any(|p| same_point(p.point.as_ref(), scope.point.as_ref()));
    crl.issuer().raw() == certificate.issuer().raw() && right_kind && points.is_some_and(in_scope)
}

fn tag_of(name: &GeneralName) -> u8 {
    match name {
        GeneralName::Directory(_) => 0xa4,
        GeneralName::Dns(_) => 0x82,
        GeneralName::Email(_) => 0x81,
        GeneralName::Ip(_) => 0x87,
        GeneralName::Other(tag) => *tag,
        GeneralName::OtherName(..) => 0xa0,
        GeneralName::Uri(_) => 0x86,
    }
}

/// Whether a DNS name lies in a subtree; a wildcard lies in an excluded one if something that it covers does.
fn is_constrained(name: &str, base: &[u8], excluding: bool, expand: bool) -> Result<bool, ()> {
    let base = std::str::from_utf8(base).map_err(|_| ())?;
    if base.contains('*') {
        return Err(());
    }
    let covers_some = || {
        let parent = base.split_once('.').map_or("", |(_, rest)| rest);
        name.strip_prefix("*.").is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
    };
    Ok(in_domain(name, base) || (excluding && expand && covers_some()))
}

fn check_host(question: &Question<'_>, policy: &Policy) -> Option<ClientError> {
    let host = question.host?;
    let rejection = host_name::check(question.leaf(), host, Rules::WEBPKI).err()?;
    let text = match &rejection {
        Rejection::HostMismatch { asked, .. } if policy.contexts => {
            format!("certificate not valid for name {asked:?}")
        }
        _ => "CertNotValidForName".to_owned(),
    };
    Some(ClientError { code: "CertNotValidForName".into(), name: "CertNotValidForName".into(), depth: Some(0), text, rejection })
}

fn unknown_issuer(certificate: &Certificate) -> Failure {
    failure(0, "UnknownIssuer", 0, Rejection::IssuerMissing(certificate.issuer().to_string()))
}

fn failure(rank: u32, name: &str, depth: usize, rejection: Rejection) -> Failure {
    let error = ClientError { code: name.into(), name: name.into(), depth: Some(depth), text: name.into(), rejection };
    Failure { rank, fatal: false, error: Box::new(error) }
}

fn other(rank: u32, name: &str, depth: usize) -> Failure {
    failure(rank, name, depth, Rejection::Other(name.to_owned()))
}

fn fatal(name: &str, budget: &'static str, size: usize) -> Failure {
    Failure { fatal: true, ..failure(0, name, 0, Rejection::BudgetExceeded(budget, size)) }
}
