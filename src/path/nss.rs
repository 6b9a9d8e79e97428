//! NSS's own verifier, `CERT_VerifyCertificate` (lib/certhigh/certvfy.c), as `vfychain` asks it: with a log, so that it carries on after
//! errors and shows that of the lowest certificate first.
//!
//! There is no way back: the issuer is the best of all certificates of that name, sent or in the database (`find_cert_issuer`,
//! lib/pki/certificate.c; `nssCertificateArray_FindBestCertificate`, lib/pki/pkibase.c).

use std::collections::BTreeSet;

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    name_constraints::{self, Scope},
    openssl::purpose_name,
    untimely,
};
use crate::{
    base::At,
    x509::{Certificate, Purpose, SignatureError},
};

/// `CERT_MAX_CERT_CHAIN`.
const DEPTH: usize = 20;
/// `pendingSlop` (lib/certdb/certdb.c): a certificate counts a day before its notBefore.
pub(super) const PENDING: i64 = 86_400;

/// Codes (lib/util/secerr.h), each with its name and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadSignature = -8182,
    CaInvalid = -8156,
    CertType = -8101,
    Expired = -8181,
    ExpiredIssuer = -8162,
    InvalidArgs = -8187,
    KeyUsage = -8102,
    NameSpace = -8080,
    PathLength = -8155,
    UnknownIssuer = -8179,
    UnknownCritical = -8151,
    UntrustedIssuer = -8172,
}

impl Code {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Code::BadSignature => ("SEC_ERROR_BAD_SIGNATURE", "Peer's certificate has an invalid signature."),
            Code::CaInvalid => ("SEC_ERROR_CA_CERT_INVALID", "Issuer certificate is invalid."),
            Code::CertType => ("SEC_ERROR_INADEQUATE_CERT_TYPE", "Certificate type not approved for application."),
            Code::Expired => ("SEC_ERROR_EXPIRED_CERTIFICATE", "Peer's Certificate has expired."),
            Code::ExpiredIssuer => ("SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE", "The certificate issuer's certificate has expired."),
            Code::InvalidArgs => ("SEC_ERROR_INVALID_ARGS", "security library: invalid arguments."),
            Code::KeyUsage => ("SEC_ERROR_INADEQUATE_KEY_USAGE", "Certificate key usage inadequate for attempted operation."),
            Code::NameSpace => (
                "SEC_ERROR_CERT_NOT_IN_NAME_SPACE",
                "The Certifying Authority for this certificate is not permitted to issue a certificate with this name.",
            ),
            Code::PathLength => ("SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID", "Certificate path length constraint is invalid."),
            Code::UnknownIssuer => ("SEC_ERROR_UNKNOWN_ISSUER", "Peer's Certificate issuer is not recognized."),
            Code::UnknownCritical => ("SEC_ERROR_UNKNOWN_CRITICAL_EXTENSION", "Certificate contains unknown critical extension."),
            Code::UntrustedIssuer => {
                ("SEC_ERROR_UNTRUSTED_ISSUER", "Peer's certificate issuer has been marked as not trusted by the user.")
            }
        }
    }

    pub(super) fn error(self, depth: usize, rejection: Rejection) -> ClientError {
        let (name, text) = self.words();
        ClientError {
            code: (self as i32).to_string(),
            name: name.to_owned(),
            depth: Some(depth),
            text: text.to_owned(),
            rejection,
        }
    }
}

/// Critical extensions that are known (lib/util/secoid.c, `SUPPORTED_CERT_EXTENSION`).
const HANDLED: &[&str] = &[
    "2.5.29.9",
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.16",
    "2.5.29.17",
    "2.5.29.18",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "1.3.6.1.5.5.7.1.1",
    "2.16.840.1.113730.1.1",
];

/// Asks `vfychain -u 1`; the host is not part of it.
#[must_use]
pub fn judge(question: &Question<'_>) -> Verdict {
    let mut model = Model { question, errors: Vec::new(), unsupported: None };
    let mut path = vec![question.leaf().clone()];
    model.verify(&mut path);
    if let Some(what) = &model.unsupported {
        return Verdict::unchecked(what);
    }
    if model.errors.is_empty() {
        return Verdict::Trusted { path };
    }
    // `cert_AddToVerifyLog` keeps the log in the order of depth.
    model.errors.sort_by_key(|e| e.depth);
    Verdict::Untrusted { path, errors: model.errors }
}

/// What is wrong with the dates, a day of grace before the first.
pub(super) fn untimely_for_nss(certificate: &Certificate, at: At) -> Option<Rejection> {
    match untimely(certificate, at) {
        Some(Rejection::NotYetValid { .. }) => untimely(certificate, At(at.0 + PENDING)),
        other => other,
    }
}

/// The leaf's keyUsage and extendedKeyUsage (`CERT_KeyUsageAndTypeForCertUsage`, `cert_ComputeCertType`).
pub(super) fn leaf_use(question: &Question<'_>) -> Option<(Code, Rejection)> {
    let leaf = question.leaf();
    // An EC key agrees, an RSA key enciphers; a key that signs serves as well.
    let usable = |usage: crate::x509::KeyUsage| usage.digital_signature() || usage.key_encipherment() || usage.key_agreement();
    if leaf.key_usage().is_some_and(|usage| !usable(usage)) {
        return Some((Code::KeyUsage, Rejection::PurposeMismatch("keyAgreement or keyEncipherment".to_owned())));
    }
    if leaf.is_ca() && leaf.extended_key_usage().is_some() {
        return Some((Code::CertType, Rejection::PurposeMismatch(purpose_name(question))));
    }
    match leaf.extended_key_usage() {
        Some(list) if *question.purpose != Purpose::Any && !list.contains(question.purpose) => {
            Some((Code::CertType, Rejection::PurposeMismatch(purpose_name(question))))
        }
        _ => None,
    }
}

/// The store as a database: authorities get the trust flag C, others P.
pub(super) fn is_trusted_authority(question: &Question<'_>, certificate: &Certificate) -> bool {
    certificate.is_ca() && question.anchors.iter().any(|a| a == certificate)
}

pub(super) fn is_trusted_peer(question: &Question<'_>) -> bool {
    let leaf = question.leaf();
    !leaf.is_ca() && question.anchors.iter().any(|a| a == leaf)
}

pub(super) fn has_unknown_critical(certificate: &Certificate) -> Option<Rejection> {
    let unknown = certificate.extensions().iter().find(|e| e.critical && !HANDLED.contains(&&*e.oid))?;
    Some(Rejection::Other(format!("a critical extension that NSS does not know: {}", unknown.oid)))
}

struct Model<'a> {
    question: &'a Question<'a>,
    errors: Vec<ClientError>,
    unsupported: Option<String>,
}

impl Model<'_> {
    fn fail(&mut self, code: Code, depth: usize, rejection: Rejection) {
        self.errors.push(code.error(depth, rejection));
    }

    /// `CERT_VerifyCertificate`.
    fn verify(&mut self, path: &mut Vec<Certificate>) {
        let leaf = self.question.leaf();
        if let Some(why) = untimely_for_nss(leaf, self.question.at) {
            self.fail(Code::Expired, 0, why);
        }
        if let Some((code, why)) = leaf_use(self.question) {
            return self.fail(code, 0, why);
        }
        if is_trusted_peer(self.question) {
            return;
        }
        self.verify_chain(path);
    }

    /// `cert_VerifyCertChainOld`.
    fn verify_chain(&mut self, path: &mut Vec<Certificate>) {
        let mut authorities = 0;
        for depth in 0..DEPTH {
            let subject = path[depth].clone();
            if let Some(why) = has_unknown_critical(&subject) {
                self.fail(Code::UnknownCritical, depth, why);
            }
            let Some(issuer) = self.find_issuer(&subject) else {
                return self.fail(Code::UnknownIssuer, depth, Rejection::IssuerMissing(subject.issuer().to_string()));
            };
            match (untimely_for_nss(&issuer, self.question.at), self.question.signatures.verify(&subject, &issuer)) {
                (Some(why), _) => self.fail(Code::ExpiredIssuer, depth + 1, why),
                (None, Ok(())) => {}
                (None, Err(SignatureError::Unsupported(what))) => self.unsupported = Some(what),
                (None, Err(_)) => self.fail(Code::BadSignature, depth, Rejection::InvalidSignature),
            }
            if issuer.basic_constraints().is_some_and(|b| !b.ca) {
                self.fail(Code::CaInvalid, depth + 1, Rejection::NotCa);
            }
            if let Some(limit) = issuer.basic_constraints().and_then(|b| b.path_len).filter(|limit| authorities > *limit) {
                self.fail(Code::PathLength, depth + 1, Rejection::PathTooLong { limit, found: authorities });
            }
            if let Some(broken) = out_of_name_space(&issuer, path) {
                return self.fail(Code::NameSpace, depth + 1, broken);
            }
            let same = issuer == subject;
            if !same {
                path.push(issuer.clone());
            }
            if is_trusted_authority(self.question, &issuer) {
                return;
            }
            if !issuer.is_ca() {
                self.fail(Code::CaInvalid, depth + 1, Rejection::NotCa);
            }
            if issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
                self.fail(Code::KeyUsage, depth + 1, Rejection::KeyUsageLacksCertSign);
            }
            if is_root(&issuer) {
                return self.fail(Code::UntrustedIssuer, depth + 1, Rejection::SelfSignedRootUntrusted);
            }
            authorities += u32::from(!issuer.is_self_issued());
        }
        self.fail(Code::UnknownIssuer, DEPTH, Rejection::BudgetExceeded("path depth", DEPTH));
    }

    /// `CERT_FindCertIssuer`: of a root itself, else the best of that name.
    fn find_issuer(&self, subject: &Certificate) -> Option<Certificate> {
        if is_root(subject) {
            return Some(subject.clone());
        }
        let question = self.question;
        let mut seen = BTreeSet::new();
        let mut found: Vec<&Certificate> = question.presented.iter().chain(question.anchors.iter()).collect();
        found.retain(|c| c.subject().raw() == subject.issuer().raw() && seen.insert(*c));
        keep_by_key_id(&mut found, subject);
        // `filter_certs_for_valid_issuers`.
        found.retain(|c| c.is_ca() || (is_root(c) && c.version() < 3));
        self.best(&found).cloned()
    }

    /// `nssCertificateArray_FindBestCertificate`: usage, then valid now, then trusted, then newer.
    fn best<'c>(&self, certificates: &[&'c Certificate]) -> Option<&'c Certificate> {
        let at = self.question.at;
        let suits = |c: &Certificate| c.key_usage().is_none_or(|usage| usage.key_cert_sign());
        let valid = |c: &Certificate| untimely_for_nss(c, at).is_none();
        let trusted = |c: &Certificate| is_trusted_authority(self.question, c);
        let mut best = *certificates.first()?;
        // What was once true of a best one stays on record, even when a later one replaces it.
        let (mut best_valid, mut best_trusted) = (false, false);
        for certificate in &certificates[1..] {
            match (suits(best), suits(certificate)) {
                (true, false) => continue,
                (false, true) => {
                    best = certificate;
                    continue;
                }
                _ => {}
            }
            if best_valid || valid(best) {
                best_valid = true;
                if !valid(certificate) {
                    continue;
                }
            } else if valid(certificate) {
                best = certificate;
                best_valid = true;
                continue;
            }
            if best_trusted || trusted(best) {
                best_trusted = true;
                if !trusted(certificate) {
                    continue;
                }
            } else if trusted(certificate) {
                best = certificate;
                best_trusted = true;
                continue;
            }
            if !is_newer(best, certificate, at) {
                best = certificate;
            }
        }
        Some(best)
    }
}

/// `filter_subject_certs_for_id`: certificates whose identifier differs are dropped; if some are equal, only those stay.
fn keep_by_key_id(found: &mut Vec<&Certificate>, subject: &Certificate) {
    let Some(aki) = subject.authority_key_id() else { return };
    let level = |c: &Certificate| {
        let by_key = match (aki.key_id.as_deref(), c.subject_key_id()) {
            (Some(wanted), Some(found)) if wanted == found => Some(true),
            (Some(_), Some(_)) => return Some(false),
            _ => None,
        };
        if aki.issuer.is_empty() {
            return by_key;
        }
        // Issuer and serial decide again, and their failure is no more than "unknown".
        let named = aki.issuer.iter().any(|name| name.raw() == c.issuer().raw());
        (named && aki.serial.as_deref() == Some(c.serial())).then_some(true)
    };
    let definite = found.iter().any(|c| level(c) == Some(true));
    found.retain(|c| if definite { level(c) == Some(true) } else { level(c).is_none() });
}

/// `CERT_IsNewer`.
fn is_newer(a: &Certificate, b: &Certificate, now: At) -> bool {
    let (a, b) = (a.validity(), b.validity());
    match (a.not_before > b.not_before, a.not_after > b.not_after) {
        (true, true) => true,
        (false, false) => false,
        (true, false) => a.not_after >= Some(now),
        (false, true) => b.not_after < Some(now),
    }
}

/// `cert_IsRootCert`: self-issued, and its AKI, if any, names itself.
pub(super) fn is_root(certificate: &Certificate) -> bool {
    if !certificate.is_self_issued() {
        return false;
    }
    let Some(aki) = certificate.authority_key_id() else { return true };
    aki.key_id.as_deref().is_none_or(|id| certificate.subject_key_id() == Some(id))
        && (aki.issuer.is_empty() || aki.issuer.iter().any(|name| name.raw() == certificate.issuer().raw()))
        && aki.serial.as_deref().is_none_or(|serial| serial == certificate.serial())
}

/// `CERT_CompareNameSpace` of everything below; self-issued authorities are left out.
pub(super) fn out_of_name_space(issuer: &Certificate, below: &[Certificate]) -> Option<Rejection> {
    let constraints = name_constraints::of(issuer)?;
    let counted = below.iter().enumerate().filter(|(depth, c)| *depth == 0 || !c.is_self_issued());
    for (depth, certificate) in counted {
        let common_name = depth == 0 && certificate.subject_alt_name().is_none();
        if constraints.check(certificate, Scope { common_name, directory: true, subject_email: false }).is_err() {
            return Some(Rejection::NameConstraintViolated(host_name::shown(certificate).join(", ")));
        }
    }
    None
}
