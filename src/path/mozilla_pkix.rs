//! mozilla::pkix: `BuildForward` (lib/mozpkix/lib/pkixbuild.cpp), as Firefox asks it (security/manager/ssl/NSSCertDBTrustDomain.cpp).
//!
//! Depth first over what was sent and the roots. A certificate is judged before its issuer is looked for, its dates last, and that is so
//! for an anchor too. The end entity's own faults wait until a path is found. The loop test is subject and key.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, Scope},
    openssl::purpose_name,
    untimely,
};
use crate::x509::{Certificate, Defect, Hash, KeyAlgorithm, Purpose, SignatureError};

/// `buildForwardCallBudget`.
const BUILD_CALLS: usize = 200_000;
/// `MAX_SUBCA_COUNT`.
const INTERMEDIATES: usize = 6;
/// `CheckRSAPublicKeyModulusSizeInBits` for roots that are not built in (NSSCertDBTrustDomain.cpp, DEFAULT_MIN_RSA_BITS).
const RSA_BITS: u32 = 1024;
/// `RememberExtension` (pkixcert.cpp).
const HANDLED: &[&str] = &[
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.1.24",
];

/// Asks a handshake of Firefox: the path, then the host, with its own word for a self-signed certificate.
#[must_use]
pub fn judge(question: &Question<'_>) -> Verdict {
    let mut by_subject: BTreeMap<&[u8], Vec<Candidate<'_>>> = BTreeMap::new();
    let mut keys: BTreeMap<(&[u8], &[u8]), usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // What was sent comes first, then the roots of the database (`FindIssuer`).
    for certificate in question.presented[1..].iter().chain(question.anchors.iter()).filter(|c| seen.insert(*c)) {
        let number = keys.len();
        let key = *keys.entry((certificate.subject().raw(), certificate.spki())).or_insert(number);
        by_subject.entry(certificate.subject().raw()).or_default().push(Candidate::new(certificate, key, question));
    }
    let mut builder =
        Builder { question, by_subject: &by_subject, calls: BUILD_CALLS, spent: false, unsupported: None, keys: Vec::new() };
    let mut path = vec![question.leaf().clone()];
    let refused = match builder.build(&mut path, 0) {
        Ok(()) => check_host(question).err(),
        Err(failure) => Some(failure),
    };
    let Some(mut failure) = refused else { return Verdict::Trusted { path } };
    if let Some(what) = builder.unsupported {
        return Verdict::unchecked(&what);
    }
    if builder.spent {
        failure.rejection = Rejection::BudgetExceeded("path build calls", BUILD_CALLS);
    }
    // `DetermineCertOverrideErrors`: an unknown issuer of a self-signed leaf has a code of its own.
    if failure.code == Code::UnknownIssuer && is_self_signed(question) && !builder.spent {
        failure = Failure { code: Code::SelfSigned, depth: 0, rejection: Rejection::SelfSignedLeaf };
    }
    let name = failure.code.name();
    let error = ClientError {
        code: name.to_owned(),
        name: name.to_owned(),
        depth: Some(failure.depth),
        text: failure.code.text().to_owned(),
        rejection: failure.rejection,
    };
    Verdict::Untrusted { path, errors: vec![error] }
}

/// `Result` (pkix/Result.h), as far as it is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    AlgorithmDisabled,
    BadDomain,
    BadSignature,
    CaAsEndEntity,
    CaInvalid,
    CertType,
    Expired,
    ExpiredIssuer,
    KeySize,
    KeyUsage,
    NameSpace,
    NotYetValid,
    NotYetValidIssuer,
    PathLength,
    SelfSigned,
    UnknownCriticalExtension,
    UnknownIssuer,
    V1AsCa,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::AlgorithmDisabled => "SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED",
            Code::BadDomain => "SSL_ERROR_BAD_CERT_DOMAIN",
            Code::BadSignature => "SEC_ERROR_BAD_SIGNATURE",
            Code::CaAsEndEntity => "MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY",
            Code::CaInvalid => "SEC_ERROR_CA_CERT_INVALID",
            Code::CertType => "SEC_ERROR_INADEQUATE_CERT_TYPE",
            Code::Expired => "SEC_ERROR_EXPIRED_CERTIFICATE",
            Code::ExpiredIssuer => "SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE",
            Code::KeySize => "MOZILLA_PKIX_ERROR_INADEQUATE_KEY_SIZE",
            Code::KeyUsage => "SEC_ERROR_INADEQUATE_KEY_USAGE",
            Code::NameSpace => "SEC_ERROR_CERT_NOT_IN_NAME_SPACE",
            Code::NotYetValid => "MOZILLA_PKIX_ERROR_NOT_YET_VALID_CERTIFICATE",
            Code::NotYetValidIssuer => "MOZILLA_PKIX_ERROR_NOT_YET_VALID_ISSUER_CERTIFICATE",
            Code::PathLength => "SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID",
            Code::SelfSigned => "MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT",
            Code::UnknownCriticalExtension => "SEC_ERROR_UNKNOWN_CRITICAL_EXTENSION",
            Code::UnknownIssuer => "SEC_ERROR_UNKNOWN_ISSUER",
            Code::V1AsCa => "MOZILLA_PKIX_ERROR_V1_CERT_USED_AS_CA",
        }
    }

    /// What the error page says (security/manager/locales, nsserrors.properties).
    fn text(self) -> &'static str {
        match self {
            Code::AlgorithmDisabled => {
                "The certificate was signed using a signature algorithm that is disabled because it is not secure."
            }
            Code::BadDomain => {
                "Unable to communicate securely with peer: requested domain name does not match the server's certificate."
            }
            Code::BadSignature => "Peer's certificate has an invalid signature.",
            Code::CaAsEndEntity => {
                "The server uses a certificate with a basic constraints extension identifying it as a certificate authority."
            }
            Code::CaInvalid => "Issuer certificate is invalid.",
            Code::CertType => "Certificate type not approved for application.",
            Code::Expired => "Peer's Certificate has expired.",
            Code::ExpiredIssuer => "The certificate issuer's certificate has expired.",
            Code::KeySize => {
                "The server presented a certificate with a key size that is too small to establish a secure connection."
            }
            Code::KeyUsage => "Certificate key usage inadequate for attempted operation.",
            Code::NameSpace => {
                "The Certifying Authority for this certificate is not permitted to issue a certificate with this name."
            }
            Code::NotYetValid => "The server presented a certificate that is not yet valid.",
            Code::NotYetValidIssuer => "A certificate that is not yet valid was used to issue the server's certificate.",
            Code::PathLength => "Certificate path length constraint is invalid.",
            Code::SelfSigned => "The certificate is not trusted because it is self-signed.",
            Code::UnknownCriticalExtension => "Certificate contains unknown critical extension.",
            Code::UnknownIssuer => "Peer's Certificate issuer is not recognized.",
            Code::V1AsCa => {
                "An X.509 version 1 certificate that is not a trust anchor was used to issue the server's certificate."
            }
        }
    }
}

#[derive(Clone)]
struct Failure {
    code: Code,
    depth: usize,
    rejection: Rejection,
}

/// One that may have issued another. What of it is asked two hundred thousand times by a hostile chain stands together here.
struct Candidate<'a> {
    certificate: &'a Certificate,
    /// The number of its subject and key.
    key: usize,
    /// Nothing about it depends on the path but the loop test: no anchor, no constraints on names, no critical extension that is not known.
    is_plain: bool,
    /// Whether it is sound as the last of a path that may grow no more; found when it is first asked for.
    ends: Cell<Option<bool>>,
}

impl<'a> Candidate<'a> {
    fn new(certificate: &'a Certificate, key: usize, question: &Question<'_>) -> Self {
        let leaf = question.leaf();
        let is_leaf_again = certificate.spki() == leaf.spki() && certificate.subject().raw() == leaf.subject().raw();
        let is_plain = !is_leaf_again
            && !question.anchors.iter().any(|a| a == certificate)
            && name_constraints::of(certificate).is_none()
            && !certificate.extensions().iter().any(|e| e.critical && !HANDLED.contains(&&*e.oid));
        Candidate { certificate, key, is_plain, ends: Cell::new(None) }
    }
}

struct Builder<'a> {
    question: &'a Question<'a>,
    by_subject: &'a BTreeMap<&'a [u8], Vec<Candidate<'a>>>,
    /// Of the path above the leaf, the numbers of subject and key.
    keys: Vec<usize>,
    calls: usize,
    spent: bool,
    unsupported: Option<String>,
}

impl Builder<'_> {
    /// `BuildForward`: on success the path ends at an anchor.
    fn build(&mut self, path: &mut Vec<Certificate>, authorities: usize) -> Result<(), Failure> {
        let depth = path.len() - 1;
        let subject = path[depth].clone();
        // An end entity becomes an anchor only by trust of its own, which a store of authorities does not give.
        let anchor = depth > 0 && self.question.anchors.iter().any(|a| *a == subject);
        let deferred = match self.check(&subject, depth, anchor, authorities) {
            Err(failure) if depth == 0 => Some(failure),
            Err(failure) => return Err(failure),
            Ok(()) => None,
        };
        if anchor {
            return Ok(());
        }
        let issuer_missing = || Rejection::IssuerMissing(subject.issuer().to_string());
        if depth > 0 && authorities >= INTERMEDIATES {
            let rejection = Rejection::BudgetExceeded("intermediates", INTERMEDIATES);
            return Err(Failure { code: Code::UnknownIssuer, depth, rejection });
        }
        let authorities = authorities + usize::from(depth > 0);
        let mut result: Option<Failure> = None;
        for candidate in self.by_subject.get(subject.issuer().raw()).into_iter().flatten() {
            if let Some(failure) = self.try_last(candidate, path.len(), authorities) {
                result = Some(merge(result, failure, &issuer_missing));
                continue;
            }
            match self.try_issuer(candidate, &subject, path, authorities) {
                Ok(()) => return deferred.map_or(Ok(()), Err),
                Err(failure) => result = Some(merge(result, as_issuer(failure), &issuer_missing)),
            }
            if self.spent {
                break;
            }
        }
        Err(result.unwrap_or_else(|| Failure { code: Code::UnknownIssuer, depth, rejection: issuer_missing() }))
    }

    /// [`Self::try_issuer`] where the path may grow no more, and nothing but that is wrong: then all end alike, without a look at the
    /// certificate itself. `None` when there is more to it.
    fn try_last(&mut self, candidate: &Candidate<'_>, depth: usize, authorities: usize) -> Option<Failure> {
        if authorities < INTERMEDIATES || !candidate.is_plain || self.calls == 0 || self.keys.contains(&candidate.key) {
            return None;
        }
        let ends = candidate.ends.get().unwrap_or_else(|| self.check(candidate.certificate, depth, false, authorities).is_ok());
        candidate.ends.set(Some(ends));
        if !ends {
            return None;
        }
        self.calls -= 1;
        let rejection = Rejection::BudgetExceeded("intermediates", INTERMEDIATES);
        Some(Failure { code: Code::UnknownIssuer, depth, rejection })
    }

    /// `PathBuildingStep::Check`.
    fn try_issuer(
        &mut self,
        candidate: &Candidate<'_>,
        subject: &Certificate,
        path: &mut Vec<Certificate>,
        authorities: usize,
    ) -> Result<(), Failure> {
        let depth = path.len();
        let key = candidate.key;
        let candidate = candidate.certificate;
        let fail = |code, at, rejection| Err(Failure { code, depth: at, rejection });
        if let Some(extension) = candidate.extensions().iter().find(|e| e.critical && !HANDLED.contains(&&*e.oid)) {
            let rejection = Rejection::Other(format!("a critical extension that is not known: {}", extension.oid));
            return fail(Code::UnknownCriticalExtension, depth, rejection);
        }
        if path.iter().any(|c| c.spki() == candidate.spki() && c.subject().raw() == candidate.subject().raw()) {
            return fail(Code::UnknownIssuer, depth - 1, Rejection::IssuerMissing(subject.issuer().to_string()));
        }
        // Names of everything below are compared, the common name only of an end entity without alternative names.
        if let Some(constraints) = name_constraints::of(candidate) {
            for (at, below) in path.iter().enumerate() {
                let common_name = at == 0 && below.subject_alt_name().is_none();
                if constraints.check(below, Scope { common_name, directory: true, subject_email: false }).is_err() {
                    let names = host_name::shown(below).join(", ");
                    return fail(Code::NameSpace, at, Rejection::NameConstraintViolated(names));
                }
            }
        }
        if self.calls == 0 {
            self.spent = true;
            return fail(Code::UnknownIssuer, depth - 1, Rejection::BudgetExceeded("path build calls", BUILD_CALLS));
        }
        self.calls -= 1;
        path.push(candidate.clone());
        self.keys.push(key);
        let built = self.build(path, authorities);
        self.keys.pop();
        if let Err(failure) = built {
            path.truncate(depth);
            return Err(failure);
        }
        let verified = self.question.signatures.verify(subject, candidate);
        if verified.is_err() {
            path.truncate(depth);
        }
        match verified {
            Ok(()) => Ok(()),
            Err(SignatureError::Unsupported(what)) => {
                self.unsupported.get_or_insert_with(|| what.clone());
                fail(Code::BadSignature, depth - 1, Rejection::UnsupportedSignature(what))
            }
            Err(_) => fail(Code::BadSignature, depth - 1, Rejection::InvalidSignature),
        }
    }

    /// `CheckIssuerIndependentProperties`, in its order.
    fn check(&self, certificate: &Certificate, depth: usize, anchor: bool, authorities: usize) -> Result<(), Failure> {
        let fail = |code, rejection| Err(Failure { code, depth, rejection });
        let is_leaf = depth == 0;
        let algorithm = certificate.signature_algorithm();
        let weak = matches!(algorithm.hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1 | Hash::Sha224))
            || certificate.defects().contains(&Defect::SignatureAlgorithmMismatch);
        if !anchor && weak {
            return fail(Code::AlgorithmDisabled, Rejection::WeakSignature(algorithm.to_string()));
        }
        let key = certificate.public_key();
        let wanted = if key.algorithm == KeyAlgorithm::Rsa { RSA_BITS } else { 256 };
        if key.bits < wanted {
            return fail(Code::KeySize, Rejection::WeakKey { bits: key.bits, wanted });
        }
        if let Some(usage) = certificate.key_usage() {
            // `BuildCertChainForOneKeyUsage` is asked for each of these in turn.
            if is_leaf && !usage.digital_signature() && !usage.key_encipherment() && !usage.key_agreement() {
                return fail(Code::KeyUsage, Rejection::PurposeMismatch("digitalSignature".to_owned()));
            }
            if !is_leaf && !usage.key_cert_sign() {
                return fail(Code::KeyUsage, Rejection::KeyUsageLacksCertSign);
            }
        }
        let basic = certificate.basic_constraints();
        let old = certificate.version() == 1 && basic.is_none();
        match (is_leaf, certificate.is_ca()) {
            (true, true) => {
                return fail(Code::CaAsEndEntity, Rejection::Other("the leaf is a certificate authority".to_owned()));
            }
            (false, false) if old && !anchor => return fail(Code::V1AsCa, Rejection::NotCa),
            (false, false) if !old => return fail(Code::CaInvalid, Rejection::NotCa),
            _ => {}
        }
        let found = u32::try_from(authorities).unwrap_or(u32::MAX);
        if let Some(limit) = basic.and_then(|b| b.path_len).filter(|limit| !is_leaf && found > *limit) {
            return fail(Code::PathLength, Rejection::PathTooLong { limit, found });
        }
        let purpose = self.question.purpose;
        if let Some(list) = certificate.extended_key_usage() {
            let confused = is_leaf && list.contains(&Purpose::OcspSigning) && *purpose != Purpose::OcspSigning;
            if (*purpose != Purpose::Any && !list.contains(purpose)) || confused {
                return fail(Code::CertType, Rejection::PurposeMismatch(purpose_name(self.question)));
            }
        }
        match untimely(certificate, self.question.at) {
            None => Ok(()),
            Some(why @ Rejection::NotYetValid { .. }) => fail(Code::NotYetValid, why),
            Some(why) => fail(Code::Expired, why),
        }
    }
}

/// `RecordResult`: the same fault of all issuers is told, different ones become `UNKNOWN_ISSUER`.
fn merge(old: Option<Failure>, new: Failure, issuer_missing: &impl Fn() -> Rejection) -> Failure {
    match old {
        Some(old) if old.code != new.code => Failure { code: Code::UnknownIssuer, rejection: issuer_missing(), ..new },
        _ => new,
    }
}

/// The faults of an issuer have names of their own.
fn as_issuer(failure: Failure) -> Failure {
    let code = match failure.code {
        Code::Expired => Code::ExpiredIssuer,
        Code::NotYetValid => Code::NotYetValidIssuer,
        other => other,
    };
    Failure { code, ..failure }
}

fn is_self_signed(question: &Question<'_>) -> bool {
    let leaf = question.leaf();
    leaf.is_self_issued() && question.signatures.verify(leaf, leaf).is_ok()
}

/// `CheckCertHostname` after the path: alternative names only.
fn check_host(question: &Question<'_>) -> Result<(), Failure> {
    let Some(host) = question.host else { return Ok(()) };
    host_name::check(question.leaf(), host, Rules::ALT_NAME_ONLY).map_err(|rejection| Failure {
        code: Code::BadDomain,
        depth: 0,
        rejection,
    })
}
