//! webpki and rustls-webpki: `PathBuilder::build_chain` (src/verify_cert.rs), and the names after it.
//!
//! Of an anchor only name, key and constraints are kept: no dates, no key usage, no signature.

use std::collections::BTreeMap;

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, Scope, Violation},
    openssl::purpose_name,
};
use crate::x509::{Certificate, Defect, Hash, KeyAlgorithm, Purpose, SignatureError};

/// The knobs of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the most specific error is told (0.101); before, everything about an issuer was `UnknownIssuer`.
    pub ranked: bool,
    /// Whether errors carry a context and its name (0.103).
    pub contexts: bool,
    /// Whether work is bounded (0.100.2, RUSTSEC-2023-0052).
    pub budgeted: bool,
}

impl Policy {
    /// webpki 0.22.
    pub const V0_22: Policy = Policy { ranked: false, contexts: false, budgeted: false };
    /// rustls-webpki 0.101.
    pub const V0_101: Policy = Policy { ranked: true, budgeted: true, ..Policy::V0_22 };
    /// rustls-webpki 0.103.
    pub const V0_103: Policy = Policy { contexts: true, ..Policy::V0_101 };
}

/// `Budget::default`: from Go's limit, and mozilla::pkix's.
const SIGNATURES: usize = 100;
const BUILD_CALLS: usize = 200_000;
/// `MAX_SUB_CA_COUNT`.
const INTERMEDIATES: usize = 6;
/// Critical extensions that are read (src/cert.rs, `remember_extension`).
const HANDLED: &[&str] = &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

/// Asks `verify_for_usage` with ring's algorithms, then `verify_is_valid_for_subject_name`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut by_subject: BTreeMap<&[u8], Vec<&Certificate>> = BTreeMap::new();
    for certificate in &question.presented[1..] {
        by_subject.entry(certificate.subject().raw()).or_default().push(certificate);
    }
    let mut builder = Builder { question, policy, by_subject, signatures: 0, calls: 0 };
    let mut path = vec![question.leaf().clone()];
    match builder.build(&mut path) {
        Ok(anchor) => {
            path.push(anchor);
            match check_host(question, policy) {
                Some(error) => Verdict::Untrusted { path, errors: vec![error] },
                None => Verdict::Trusted { path },
            }
        }
        Err(failure) if failure.fatal && !policy.budgeted => {
            Verdict::Unknown("this version of webpki has no bound on its work and would not end on this chain".to_owned())
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
}

impl Builder<'_> {
    /// `build_chain_inner`: the anchor under which the whole path holds.
    fn build(&mut self, path: &mut Vec<Certificate>) -> Result<Certificate, Failure> {
        let question = self.question;
        let head = path[path.len() - 1].clone();
        self.check_head(&head, path.len() - 1)?;
        let mut worst = unknown_issuer(&head);
        for anchor in question.anchors.iter().filter(|a| a.subject().raw() == head.issuer().raw()) {
            match self.check_under(path, anchor) {
                Ok(()) => return Ok(anchor.clone()),
                Err(failure) if failure.fatal => return Err(failure),
                Err(failure) => worst = self.most_specific(worst, failure),
            }
        }
        for candidate in self.by_subject.get(head.issuer().raw()).cloned().unwrap_or_default() {
            if path.iter().any(|c| c.spki() == candidate.spki() && c.subject().raw() == candidate.subject().raw()) {
                continue;
            }
            self.calls += 1;
            if self.calls > BUILD_CALLS {
                return Err(fatal("MaximumPathBuildCallsExceeded", "path build calls", BUILD_CALLS));
            }
            if path.len() > INTERMEDIATES {
                let rejection = Rejection::BudgetExceeded("intermediates", INTERMEDIATES);
                worst = self.most_specific(worst, failure(61, "MaximumPathDepthExceeded", path.len(), rejection));
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
        if self.policy.ranked && new.rank > old.rank { new } else { old }
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
            issuer = certificate;
        }
        let scope = Scope { common_name: false, directory: true, subject_email: false };
        for (depth, certificate) in path.iter().enumerate().rev() {
            let above = path[depth + 1..].iter().chain([anchor]);
            let violation = above.filter_map(name_constraints::of).find_map(|nc| nc.check(certificate, scope).err());
            if let Some(violation) = violation {
                let what = match violation {
                    Violation::NotPermitted(name) | Violation::Excluded(name) => name,
                    Violation::MinMax | Violation::Syntax | Violation::TooMany | Violation::UnsupportedKind => {
                        "a name that can't be compared".to_owned()
                    }
                };
                return Err(failure(230, "NameConstraintViolation", depth, Rejection::NameConstraintViolated(what)));
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
        let key = issuer.public_key();
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

fn check_host(question: &Question<'_>, policy: &Policy) -> Option<ClientError> {
    let host = question.host?;
    let rejection = host_name::check(question.leaf(), host, Rules::ALT_NAME_ONLY).err()?;
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
