//! The verifiers that come with an operating system, as far as their documents and the open parts of their sources tell: Apple's SecTrust
//! (trustd, SecPathBuilder) and Windows' `CertGetCertificateChain`.
//!
//! Both look at every path that can be made of what was sent and what is trusted, and keep the best. So much can be said: when one path
//! holds in every respect, it is accepted, and when no path ends in a trusted root, or each has a fault that both are documented to refuse,
//! none is. Everything else (fetched issuers, caches, policies of the root programs) is beyond this model, which then says so.

use super::{ClientError, Question, Rejection, Verdict, explore};
use crate::{
    base::At,
    x509::{Certificate, Hash, KeyAlgorithm, Purpose},
};

/// Which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Apple: macOS 10.12 and later, iOS 10 and later.
    Apple,
    /// Windows.
    Windows,
}

/// `SecTrustEvaluate` and `CertGetCertificateChain` have no published bounds; explore's are used.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let anchors: Vec<Certificate> = question.anchors.iter().cloned().collect();
    let attempts = explore(question.presented, &anchors, question.at, question.host, question.signatures);
    let spent = attempts.iter().flat_map(|a| &a.rejections).find_map(|(_, r)| match r {
        Rejection::BudgetExceeded(name, size) => Some((*name, *size)),
        _ => None,
    });
    if let Some((name, size)) = spent {
        return Verdict::Unknown(format!("too many paths to look at ({name}: {size})"));
    }
    let own = |path: &[Certificate]| match policy {
        Policy::Apple => apple(path, question),
        Policy::Windows => purpose_missing(path, question),
    };
    let sound = attempts.iter().find(|a| a.anchored && a.rejections.is_empty());
    if let Some(attempt) = sound {
        return match own(&attempt.path) {
            None => Verdict::Trusted { path: attempt.path.clone() },
            Some(why) => Verdict::Unknown(format!("{why}; this platform was not asked")),
        };
    }
    // Of the paths that reach a root, the faults that every verifier of a platform is documented to refuse.
    let Some(best) = attempts.iter().filter(|a| a.anchored).min_by_key(|a| a.rejections.len()) else {
        let path = attempts.first().map_or_else(|| vec![question.leaf().clone()], |a| a.path.clone());
        let last = path.len() - 1;
        // Issuers are fetched (AIA) and roots installed by need: only a self-signed end is certainly the end.
        if !path[last].is_self_issued() {
            return Verdict::Unknown("the issuer may be fetched or installed by the platform itself".to_owned());
        }
        let missing = Rejection::IssuerMissing(path[last].issuer().to_string());
        return Verdict::Untrusted { path, errors: vec![policy.error(UNTRUSTED_ROOT, last, missing)] };
    };
    let code = |rejection: &Rejection| match rejection {
        Rejection::Expired { .. } | Rejection::NotYetValid { .. } => Some(EXPIRED),
        Rejection::HostMismatch { .. } => Some(OTHER_NAME),
        _ => None,
    };
    let refused = best.rejections.iter().find_map(|(depth, r)| Some(policy.error(code(r)?, *depth, r.clone())));
    match refused {
        Some(first) if best.rejections.iter().all(|(_, r)| code(r).is_some()) => {
            Verdict::Untrusted { path: best.path.clone(), errors: vec![first] }
        }
        _ => Verdict::Unknown("how this platform judges such a path was not measured".to_owned()),
    }
}

/// The name and number of a Windows error, and what it says; Apple's own numbers were not seen.
type Words = (&'static str, &'static str, &'static str);
const EXPIRED: Words = ("CERT_E_EXPIRED", "0x800B0101", "a certificate of the path is not valid at this time");
const OTHER_NAME: Words = ("CERT_E_CN_NO_MATCH", "0x800B010F", "the certificate is made out to another name");
const UNTRUSTED_ROOT: Words = ("CERT_E_UNTRUSTEDROOT", "0x800B0109", "the path ends in a root that is not trusted");

impl Policy {
    fn error(self, (name, number, text): Words, depth: usize, rejection: Rejection) -> ClientError {
        let (name, code) = match self {
            Policy::Apple => ("SecTrust", "not trusted"),
            Policy::Windows => (name, number),
        };
        ClientError { code: code.to_owned(), name: name.to_owned(), depth: Some(depth), text: text.to_owned(), rejection }
    }
}

/// What Apple demands of certificates (support.apple.com/103769 and 103214), beyond RFC 5280.
fn apple(path: &[Certificate], question: &Question<'_>) -> Option<String> {
    /// 2019-07-01T00:00:00Z.
    const RULES_OF_2019: At = At(1_561_939_200);
    let leaf = &path[0];
    let weak_key = path.iter().any(|c| c.public_key().algorithm == KeyAlgorithm::Rsa && c.public_key().bits < 2048);
    if weak_key {
        return Some("Apple demands RSA keys of 2048 bits".to_owned());
    }
    let signed = &path[..path.len() - 1];
    if signed.iter().any(|c| matches!(c.signature_algorithm().hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1))) {
        return Some("Apple demands SHA-2".to_owned());
    }
    if leaf.subject_alt_name().is_none() {
        return Some("Apple demands a subjectAltName".to_owned());
    }
    let days = match (leaf.validity().not_before, leaf.validity().not_after) {
        (Some(start), Some(end)) if start >= RULES_OF_2019 => start.days_until(end),
        _ => return purpose_missing(path, question),
    };
    if leaf.extended_key_usage().is_none() {
        return Some("Apple demands extendedKeyUsage serverAuth of leaves from July 2019 on".to_owned());
    }
    if days > 825 {
        return Some("Apple demands that leaves from July 2019 on live 825 days at most".to_owned());
    }
    purpose_missing(path, question)
}

fn purpose_missing(path: &[Certificate], question: &Question<'_>) -> Option<String> {
    let serves = |list: &[Purpose]| list.contains(question.purpose) || list.contains(&Purpose::Any);
    let missing = path.iter().any(|c| c.extended_key_usage().is_some_and(|list| !serves(list)));
    (missing && *question.purpose != Purpose::Any).then(|| "an extendedKeyUsage of the path lacks the purpose".to_owned())
}
