//! libpki, the path builder of Chrome and of BoringSSL's `CertificateVerify` (pki/path_builder.cc), with the checks of RFC 5280 on each
//! path as a whole (pki/verify_certificate_chain.cc).
//!
//! All issuers of a name are ranked and tried, depth first; the first path that holds wins.

use std::collections::BTreeSet;

use super::{
    ClientError, Question, Rejection, Verdict,
    name_constraints::{self, Scope, Violation},
    openssl::purpose_name,
};
use crate::x509::{Certificate, Defect, Hash, KeyAlgorithm, Purpose, SignatureError};

/// The knobs of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `CertificateTrust::enforce_anchor_expiry`.
    pub anchor_expires: bool,
    /// `CertificateTrust::enforce_anchor_constraints` (RFC 5937).
    pub anchor_constrains: bool,
    /// `CertificateTrustType::TRUSTED_ANCHOR_OR_LEAF`: an anchor may be the leaf itself.
    pub anchor_may_be_leaf: bool,
    /// `CertPathBuilder::SetIterationLimit`.
    pub iterations: usize,
    /// The smallest RSA key that `SimplePathBuilderDelegate` accepts.
    pub rsa_bits: u32,
}

impl Policy {
    /// `CertificateVerifyOptions` as it is made (include/openssl/pki/verify.h), with anchors from `VerifyTrustStore::FromDER`.
    pub const LIBRARY: Policy =
        Policy { anchor_expires: false, anchor_constrains: false, anchor_may_be_leaf: false, iterations: 20, rsa_bits: 1024 };
}

/// What a path builder reports (`VerifyError::StatusCode`), by the error ids behind it (`cert_errors::k…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorId {
    /// `kBasicConstraintsIndicatesNotCa`, `kMissingBasicConstraints`.
    NotCa,
    /// `kCertIsNotTrustAnchor`, `kNoIssuersFound`.
    NoIssuersFound,
    /// `kEkuLacksServerAuth` and its like.
    EkuLacksPurpose,
    /// `kIterationLimitExceeded`.
    IterationLimitExceeded,
    /// `kKeyCertSignBitNotSet`.
    KeyCertSignBitNotSet,
    /// `kMaxPathLengthViolated`.
    MaxPathLengthViolated,
    /// `kNotPermittedByNameConstraints` and `kExcludedByNameConstraints`.
    NameConstraints,
    /// `kSignatureAlgorithmMismatch`.
    SignatureAlgorithmMismatch,
    /// `kUnacceptablePublicKey`.
    UnacceptablePublicKey,
    /// `kUnacceptableSignatureAlgorithm`.
    UnacceptableSignatureAlgorithm,
    /// `kUnconsumedCriticalExtension`.
    UnconsumedCriticalExtension,
    /// `kValidityFailedNotAfter`.
    ValidityFailedNotAfter,
    /// `kValidityFailedNotBefore`.
    ValidityFailedNotBefore,
    /// `kVerifySignedDataFailed`.
    VerifySignedDataFailed,
}

/// One error of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub id: ErrorId,
    /// The depth of the certificate, 0 for the leaf.
    pub depth: usize,
    /// Why, in our own terms.
    pub rejection: Rejection,
}

/// What the builder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A path that holds.
    Path(Vec<Certificate>),
    /// None; the best of those that do not hold (`best_result_index`) with its errors.
    Best(Vec<Certificate>, Vec<Failure>),
    /// None, and a signature stood in the way that this tool can't check.
    Unchecked(String),
}

/// Asks `CertificateVerify`; the host is not its business.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    match find(question, policy) {
        Found::Path(path) => Verdict::Trusted { path },
        Found::Unchecked(what) => Verdict::unchecked(&what),
        Found::Best(path, failures) => {
            let (code, name) = status(&failures);
            let word = |failure: Failure| ClientError {
                code: code.to_string(),
                name: name.to_owned(),
                depth: Some(failure.depth),
                text: words(failure.id).to_owned(),
                rejection: failure.rejection,
            };
            Verdict::Untrusted { path, errors: failures.into_iter().map(word).collect() }
        }
    }
}

/// `CertPathBuilderResultPath::GetVerifyError`: several errors are one of their own.
fn status(failures: &[Failure]) -> (u32, &'static str) {
    if failures.iter().any(|f| f.id == ErrorId::IterationLimitExceeded) {
        return (12, "PATH_ITERATION_COUNT_EXCEEDED");
    }
    let [only] = failures else { return (15, "PATH_MULTIPLE_ERRORS") };
    match only.id {
        ErrorId::VerifySignedDataFailed => (1, "CERTIFICATE_INVALID_SIGNATURE"),
        ErrorId::UnacceptablePublicKey => (2, "CERTIFICATE_UNSUPPORTED_KEY"),
        ErrorId::UnacceptableSignatureAlgorithm => (3, "CERTIFICATE_UNSUPPORTED_SIGNATURE_ALGORITHM"),
        ErrorId::ValidityFailedNotAfter => (7, "CERTIFICATE_EXPIRED"),
        ErrorId::ValidityFailedNotBefore => (8, "CERTIFICATE_NOT_YET_VALID"),
        ErrorId::EkuLacksPurpose => (9, "CERTIFICATE_NO_MATCHING_EKU"),
        ErrorId::MaxPathLengthViolated | ErrorId::NoIssuersFound => (11, "PATH_NOT_FOUND"),
        ErrorId::IterationLimitExceeded
        | ErrorId::KeyCertSignBitNotSet
        | ErrorId::NameConstraints
        | ErrorId::NotCa
        | ErrorId::SignatureAlgorithmMismatch
        | ErrorId::UnconsumedCriticalExtension => (10, "CERTIFICATE_INVALID"),
    }
}

/// pki/cert_errors.cc and its neighbours, where each id has its text.
fn words(id: ErrorId) -> &'static str {
    match id {
        ErrorId::EkuLacksPurpose => "The extended key usage does not include server auth",
        ErrorId::IterationLimitExceeded => "Iteration limit exceeded",
        ErrorId::KeyCertSignBitNotSet => "keyCertSign bit is not set",
        ErrorId::MaxPathLengthViolated => "max_path_length reached",
        ErrorId::NameConstraints => "Not permitted by name constraints",
        ErrorId::NoIssuersFound => "No matching issuer found",
        ErrorId::NotCa => "Basic Constraints indicates not a CA",
        ErrorId::SignatureAlgorithmMismatch => "Certificate.signatureAlgorithm != TBSCertificate.signature",
        ErrorId::UnacceptablePublicKey => "Unacceptable public key",
        ErrorId::UnacceptableSignatureAlgorithm => "Unacceptable signature algorithm",
        ErrorId::UnconsumedCriticalExtension => "Unconsumed critical extension",
        ErrorId::ValidityFailedNotAfter => "Time is after notAfter",
        ErrorId::ValidityFailedNotBefore => "Time is before notBefore",
        ErrorId::VerifySignedDataFailed => "VerifySignedData failed",
    }
}

/// `CertPathBuilder::Run`.
#[must_use]
pub fn find(question: &Question<'_>, policy: &Policy) -> Found {
    let mut builder = Builder { question, policy, iterations: 0, best: None, unchecked: None };
    let leaf = question.leaf();
    if policy.anchor_may_be_leaf && builder.is_anchor(leaf) {
        let path = vec![leaf.clone()];
        let failures = builder.check_alone(leaf);
        if failures.is_empty() {
            return Found::Path(path);
        }
        return Found::Best(path, failures);
    }
    match (builder.extend(&mut vec![leaf.clone()]), builder.unchecked, builder.best) {
        (Step::Done(path), ..) => Found::Path(path),
        (_, Some(what), _) => Found::Unchecked(what),
        (Step::Exhausted | Step::OutOfBudget, None, Some((path, failures, _))) => Found::Best(path, failures),
        // Even a leaf alone is a result, so there is one.
        (Step::Exhausted | Step::OutOfBudget, None, None) => Found::Best(vec![leaf.clone()], vec![no_issuer(leaf, 0)]),
    }
}

enum Step {
    Done(Vec<Certificate>),
    Exhausted,
    OutOfBudget,
}

struct Builder<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    iterations: usize,
    /// The best result so far, its errors, and whether it reached an anchor.
    best: Option<(Vec<Certificate>, Vec<Failure>, bool)>,
    unchecked: Option<String>,
}

impl Builder<'_> {
    /// `CertPathIter::GetNextPath`: every issuer of the last certificate in turn.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Step {
        let last = path[path.len() - 1].clone();
        let mut skipped = 0;
        let issuers = self.issuers(&last);
        let count = issuers.len();
        for (issuer, anchor) in issuers {
            if self.is_out_of_budget(path) {
                return Step::OutOfBudget;
            }
            if anchor {
                path.push(issuer);
                let failures = self.check(path);
                if failures.is_empty() {
                    return Step::Done(path.clone());
                }
                self.remember(path, failures, true);
                path.pop();
            } else if path.iter().any(|c| is_same(c, &issuer)) {
                skipped += 1;
            } else {
                path.push(issuer);
                match self.extend(path) {
                    Step::Exhausted => path.pop(),
                    end @ (Step::Done(_) | Step::OutOfBudget) => return end,
                };
            }
        }
        if self.is_out_of_budget(path) {
            return Step::OutOfBudget;
        }
        if count == skipped {
            let depth = path.len() - 1;
            self.remember(path, vec![no_issuer(&last, depth)], false);
        }
        Step::Exhausted
    }

    /// Asking for the next issuer costs an iteration, also when there is none.
    fn is_out_of_budget(&mut self, path: &[Certificate]) -> bool {
        self.iterations += 1;
        let limit = self.policy.iterations;
        let exceeded = self.iterations > limit;
        if exceeded {
            let rejection = Rejection::BudgetExceeded("iterations", limit);
            let failure = Failure { id: ErrorId::IterationLimitExceeded, depth: path.len() - 1, rejection };
            // `exceeded_iteration_limit` goes before every path's own errors.
            self.best = Some((path.to_vec(), vec![failure], false));
        }
        exceeded
    }

    /// `CertPathBuilder::AddResultPath`: the first, unless a later one reaches an anchor and it does not.
    fn remember(&mut self, path: &[Certificate], failures: Vec<Failure>, anchored: bool) {
        if self.best.as_ref().is_none_or(|(_, _, reached)| anchored && !reached) {
            self.best = Some((path.to_vec(), failures, anchored));
        }
    }

    /// `CertIssuersIter`: the store's, then those sent, each once, ranked; and whether each is an anchor.
    fn issuers(&self, certificate: &Certificate) -> Vec<(Certificate, bool)> {
        let mut seen = BTreeSet::new();
        let candidates = self.question.anchors.iter().chain(&self.question.presented[1..]);
        let mut issuers: Vec<(Certificate, bool)> = candidates
            .filter(|c| c.canonical_subject() == certificate.canonical_issuer() && seen.insert(c.fingerprint()))
            .map(|c| (c.clone(), self.is_anchor(c)))
            .collect();
        issuers.sort_by(|(a, a_trusted), (b, b_trusted)| {
            let rank = |c: &Certificate, trusted: bool| match (trusted, key_id_match(certificate, c)) {
                (true, KeyIdMatch::Match) => 0,
                (true, KeyIdMatch::NoData) => 1,
                (false, KeyIdMatch::Match) => 2,
                (false, KeyIdMatch::NoData) => 3,
                (true, KeyIdMatch::Mismatch) => 4,
                (false, KeyIdMatch::Mismatch) => 5,
            };
            let newer = |c: &Certificate| (c.validity().not_before, c.validity().not_after);
            rank(a, *a_trusted)
                .cmp(&rank(b, *b_trusted))
                .then_with(|| is_self_issued(b).cmp(&is_self_issued(a)))
                .then_with(|| newer(b).cmp(&newer(a)))
        });
        issuers
    }

    fn is_anchor(&self, certificate: &Certificate) -> bool {
        self.question.anchors.iter().any(|c| c == certificate)
    }

    /// `PathVerifier::ProcessSingleCertChain`.
    fn check_alone(&self, leaf: &Certificate) -> Vec<Failure> {
        let mut failures = Vec::new();
        self.check_time(leaf, 0, &mut failures);
        self.check_key(leaf, 0, &mut failures);
        self.check_purpose(leaf, 0, &mut failures);
        check_critical(leaf, 0, &mut failures);
        failures
    }

    /// `PathVerifier::Run`: from the anchor down; a certificate that is not what its issuer signed ends it.
    fn check(&mut self, path: &[Certificate]) -> Vec<Failure> {
        let mut failures = Vec::new();
        let top = path.len() - 1;
        if self.policy.anchor_expires {
            self.check_time(&path[top], top, &mut failures);
        }
        let mut room = u32::try_from(top).unwrap_or(u32::MAX);
        if self.policy.anchor_constrains {
            self.check_anchor(&path[top], top, &mut room, &mut failures);
        }
        self.check_key(&path[top], top, &mut failures);
        let constraining = if self.policy.anchor_constrains { top + 1 } else { top };
        for depth in (0..top).rev() {
            let certificate = &path[depth];
            if !self.check_signature(certificate, &path[depth + 1], depth, &mut failures) {
                return failures;
            }
            self.check_time(certificate, depth, &mut failures);
            if depth == 0 || !is_self_issued(certificate) {
                check_constraints(certificate, &path[depth + 1..constraining], depth, &mut failures);
            }
            self.check_purpose(certificate, depth, &mut failures);
            if depth > 0 {
                self.check_ca(certificate, depth, &mut room, &mut failures);
            }
            check_critical(certificate, depth, &mut failures);
        }
        failures
    }

    /// `ApplyTrustAnchorConstraints`.
    fn check_anchor(&self, anchor: &Certificate, depth: usize, room: &mut u32, out: &mut Vec<Failure>) {
        if anchor.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
            out.push(Failure { id: ErrorId::KeyCertSignBitNotSet, depth, rejection: Rejection::KeyUsageLacksCertSign });
        }
        self.check_purpose(anchor, depth, out);
        if let Some(basic) = anchor.basic_constraints() {
            if !basic.ca {
                out.push(Failure { id: ErrorId::NotCa, depth, rejection: Rejection::NotCa });
            }
            *room = basic.path_len.unwrap_or(*room);
        }
        check_critical(anchor, depth, out);
    }

    /// `BasicCertificateProcessing`: the algorithm, then the signature; false ends the path.
    fn check_signature(&mut self, certificate: &Certificate, issuer: &Certificate, depth: usize, out: &mut Vec<Failure>) -> bool {
        let before = out.len();
        if certificate.defects().contains(&Defect::SignatureAlgorithmMismatch) {
            out.push(Failure { id: ErrorId::SignatureAlgorithmMismatch, depth, rejection: Rejection::InvalidSignature });
        }
        let algorithm = certificate.signature_algorithm();
        if matches!(algorithm.hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1 | Hash::Sha224)) {
            let rejection = Rejection::WeakSignature(algorithm.to_string());
            out.push(Failure { id: ErrorId::UnacceptableSignatureAlgorithm, depth, rejection });
            return false;
        }
        match self.question.signatures.verify(certificate, issuer) {
            Ok(()) => {}
            Err(SignatureError::Unsupported(what)) => {
                self.unchecked.get_or_insert_with(|| what.clone());
                let rejection = Rejection::UnsupportedSignature(what);
                out.push(Failure { id: ErrorId::UnacceptableSignatureAlgorithm, depth, rejection });
            }
            Err(SignatureError::Invalid | SignatureError::KeyMismatch) => {
                out.push(Failure { id: ErrorId::VerifySignedDataFailed, depth, rejection: Rejection::InvalidSignature });
            }
        }
        out.len() == before
    }

    /// `VerifyTimeValidity`: both ends belong to the validity.
    fn check_time(&self, certificate: &Certificate, depth: usize, out: &mut Vec<Failure>) {
        let at = self.question.at;
        match (certificate.validity().not_before, certificate.validity().not_after) {
            (Some(not_before), _) if at < not_before => {
                let rejection = Rejection::NotYetValid { not_before, at };
                out.push(Failure { id: ErrorId::ValidityFailedNotBefore, depth, rejection });
            }
            (_, Some(not_after)) if at > not_after => {
                let rejection = Rejection::Expired { not_after, at };
                out.push(Failure { id: ErrorId::ValidityFailedNotAfter, depth, rejection });
            }
            (Some(_), Some(_)) => {}
            // Such a certificate is not even parsed, so no path leads over it.
            _ => out.push(Failure { id: ErrorId::NoIssuersFound, depth, rejection: Rejection::DateUnreadable }),
        }
    }

    /// `VerifyExtendedKeyUsage` for KeyPurpose::SERVER_AUTH: of every certificate but the anchor; anyExtendedKeyUsage will do.
    fn check_purpose(&self, certificate: &Certificate, depth: usize, out: &mut Vec<Failure>) {
        let purpose = self.question.purpose;
        let allowed = |p: &Purpose| p == purpose || *p == Purpose::Any;
        let lacks = certificate.extended_key_usage().is_some_and(|list| !list.iter().any(allowed));
        if *purpose != Purpose::Any && lacks {
            let rejection = Rejection::PurposeMismatch(purpose_name(self.question));
            out.push(Failure { id: ErrorId::EkuLacksPurpose, depth, rejection });
        }
    }

    /// `PrepareForNextCertificate`.
    fn check_ca(&self, certificate: &Certificate, depth: usize, room: &mut u32, out: &mut Vec<Failure>) {
        self.check_key(certificate, depth, out);
        let basic = certificate.basic_constraints();
        if !basic.is_some_and(|b| b.ca) {
            out.push(Failure { id: ErrorId::NotCa, depth, rejection: Rejection::NotCa });
        }
        if !is_self_issued(certificate) {
            if *room == 0 {
                let rejection = Rejection::PathTooLong { limit: 0, found: u32::try_from(depth).unwrap_or(u32::MAX) };
                out.push(Failure { id: ErrorId::MaxPathLengthViolated, depth, rejection });
            }
            *room = room.saturating_sub(1);
        }
        if let Some(limit) = basic.and_then(|b| b.path_len) {
            *room = limit.min(*room);
        }
        if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
            out.push(Failure { id: ErrorId::KeyCertSignBitNotSet, depth, rejection: Rejection::KeyUsageLacksCertSign });
        }
    }

    /// `SimplePathBuilderDelegate::IsPublicKeyAcceptable`, asked of the keys of issuers.
    fn check_key(&self, certificate: &Certificate, depth: usize, out: &mut Vec<Failure>) {
        let key = certificate.public_key();
        let wanted = self.policy.rsa_bits;
        if key.algorithm == KeyAlgorithm::Rsa && key.bits < wanted {
            let rejection = Rejection::WeakKey { bits: key.bits, wanted };
            out.push(Failure { id: ErrorId::UnacceptablePublicKey, depth, rejection });
        }
    }
}

/// `VerifyNoUnconsumedCriticalExtensions`.
fn check_critical(certificate: &Certificate, depth: usize, out: &mut Vec<Failure>) {
    /// `IsHandledCriticalExtension` (pki/verify_certificate_chain.cc), and Microsoft's policies beside extendedKeyUsage.
    const HANDLED: &[&str] =
        &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.37", "2.5.29.54"];
    let microsoft = |oid: &str| oid == "1.3.6.1.4.1.311.21.10" && certificate.extended_key_usage().is_some();
    for extension in certificate.extensions().iter().filter(|e| e.critical) {
        if !HANDLED.contains(&&*extension.oid) && !microsoft(&extension.oid) {
            let rejection = Rejection::Other(format!("critical extension {}", extension.oid));
            out.push(Failure { id: ErrorId::UnconsumedCriticalExtension, depth, rejection });
        }
    }
}

/// The constraints of all CAs above that count.
fn check_constraints(certificate: &Certificate, above: &[Certificate], depth: usize, out: &mut Vec<Failure>) {
    let scope = Scope { common_name: false, directory: true, subject_email: true };
    for constraints in above.iter().rev().filter_map(name_constraints::of) {
        let what = match constraints.check(certificate, scope) {
            Ok(()) => continue,
            Err(Violation::Excluded(name) | Violation::NotPermitted(name)) => name,
            Err(Violation::MinMax | Violation::Syntax | Violation::TooMany | Violation::UnsupportedKind) => {
                "a name that can't be compared".to_owned()
            }
        };
        out.push(Failure { id: ErrorId::NameConstraints, depth, rejection: Rejection::NameConstraintViolated(what) });
    }
}

fn no_issuer(certificate: &Certificate, depth: usize) -> Failure {
    Failure { id: ErrorId::NoIssuersFound, depth, rejection: Rejection::IssuerMissing(certificate.issuer().to_string()) }
}

/// `CalculateKeyIdentifierMatch`; issuer and serial in the AKI are not looked at.
enum KeyIdMatch {
    Match,
    NoData,
    Mismatch,
}

fn key_id_match(certificate: &Certificate, issuer: &Certificate) -> KeyIdMatch {
    let wanted = certificate.authority_key_id().and_then(|a| a.key_id.as_deref());
    match (wanted, issuer.subject_key_id()) {
        (Some(wanted), Some(found)) if wanted == found => KeyIdMatch::Match,
        (Some(_), Some(_)) => KeyIdMatch::Mismatch,
        _ => KeyIdMatch::NoData,
    }
}

fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.canonical_subject() == certificate.canonical_issuer()
}

/// `CertIssuerIterPath::GetKey`: subject, alternative names and key.
fn is_same(a: &Certificate, b: &Certificate) -> bool {
    let names = |c: &Certificate| c.extension("2.5.29.17").map(|(_, value)| value.to_vec());
    a.canonical_subject() == b.canonical_subject() && a.spki() == b.spki() && names(a) == names(b)
}
