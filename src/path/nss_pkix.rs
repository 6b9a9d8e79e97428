//! NSS's libpkix, `CERT_PKIXVerifyCert` (lib/certhigh/certvfypkix.c, lib/libpkix/pkix/top/pkix_build.c), as `vfychain -pp` asks it; from
//! 3.110 on vfychain's other mode answers the same.
//!
//! It searches with a way back. Only certificates that are valid now and fit the key identifier are candidates, so that an expired issuer is
//! an unknown one; what it tells of several faults is that of the last candidate.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ClientError, Question, Rejection, Verdict,
    nss::{
        Code, has_unknown_critical, is_root, is_trusted_authority, is_trusted_peer, leaf_use, out_of_name_space, untimely_for_nss,
    },
};
use crate::x509::{Certificate, SignatureError};

/// Candidates that this model looks at; libpkix has no bound of its own by default.
const STEPS: usize = 10_000;
/// Certificates of a path, likewise.
const DEPTH: usize = 20;

/// Asks `vfychain -pp -u 1`; the host is not part of it.
#[must_use]
pub fn judge(question: &Question<'_>) -> Verdict {
    let leaf = question.leaf();
    let mut by_subject: BTreeMap<&[u8], Vec<&Certificate>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // The anchors are looked for first.
    for certificate in question.anchors.iter().chain(question.presented).filter(|c| seen.insert(*c)) {
        by_subject.entry(certificate.subject().raw()).or_default().push(certificate);
    }
    let mut search = Search { question, by_subject: &by_subject, steps: 0, spent: None, unsupported: None };
    let mut path = vec![leaf.clone()];
    let result = match untimely_for_nss(leaf, question.at) {
        Some(why) => Err(fault(Code::Expired, 0, why)),
        None => match leaf_use(question) {
            Some((code, why)) => Err(fault(code, 0, why)),
            None if is_trusted_peer(question) => Ok(()),
            None => search.build(&mut path),
        },
    };
    match (result, search.unsupported) {
        (Ok(()), _) => Verdict::Trusted { path },
        (Err(_), Some(what)) => Verdict::unchecked(&what),
        (Err(_), None) if search.spent.is_some() => {
            let (budget, size) = search.spent.unwrap_or_default();
            Verdict::Unknown(format!("this model gives up after {size} {budget}, where libpkix has no such bound"))
        }
        (Err(error), None) => Verdict::Untrusted { path: vec![leaf.clone()], errors: vec![*error] },
    }
}

fn fault(code: Code, depth: usize, rejection: Rejection) -> Box<ClientError> {
    Box::new(code.error(depth, rejection))
}

struct Search<'a> {
    question: &'a Question<'a>,
    by_subject: &'a BTreeMap<&'a [u8], Vec<&'a Certificate>>,
    steps: usize,
    /// The budget of this model that was used up.
    spent: Option<(&'static str, usize)>,
    unsupported: Option<String>,
}

impl Search<'_> {
    /// Extends a path to an anchor.
    fn build(&mut self, path: &mut Vec<Certificate>) -> Result<(), Box<ClientError>> {
        let depth = path.len() - 1;
        let subject = path[depth].clone();
        if let Some(why) = has_unknown_critical(&subject) {
            return Err(fault(Code::UnknownCritical, depth, why));
        }
        if is_root(&subject) && !is_trusted_authority(self.question, &subject) {
            return Err(if subject.is_ca() {
                fault(Code::UntrustedIssuer, depth, Rejection::SelfSignedRootUntrusted)
            } else {
                fault(Code::CaInvalid, depth, Rejection::SelfSignedLeaf)
            });
        }
        let mut last = fault(Code::UnknownIssuer, depth, Rejection::IssuerMissing(subject.issuer().to_string()));
        if path.len() > DEPTH {
            self.spent = Some(("certificates in a path", DEPTH));
            return Err(last);
        }
        for &candidate in self.by_subject.get(subject.issuer().raw()).into_iter().flatten() {
            let trusted = is_trusted_authority(self.question, candidate);
            if path.contains(candidate) || self.is_passed_over(candidate, &subject) {
                continue;
            }
            self.steps += 1;
            if self.steps > STEPS {
                self.spent = Some(("path building steps", STEPS));
                return Err(last);
            }
            let tried = self.check(candidate, path, trusted).and_then(|()| {
                path.push(candidate.clone());
                if trusted { Ok(()) } else { self.build(path) }
            });
            match tried {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
            path.truncate(depth + 1);
        }
        Err(last)
    }

    /// What the certificate selector does not even return.
    fn is_passed_over(&self, candidate: &Certificate, subject: &Certificate) -> bool {
        let wanted = subject.authority_key_id().and_then(|a| a.key_id.as_deref());
        let other_key = matches!((wanted, candidate.subject_key_id()), (Some(a), Some(b)) if a != b);
        other_key || untimely_for_nss(candidate, self.question.at).is_some()
    }

    fn check(&mut self, issuer: &Certificate, path: &[Certificate], trusted: bool) -> Result<(), Box<ClientError>> {
        let depth = path.len();
        if !issuer.is_ca() {
            return Err(fault(Code::CaInvalid, depth, Rejection::NotCa));
        }
        if issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) && !trusted {
            return Err(fault(Code::KeyUsage, depth, Rejection::KeyUsageLacksCertSign));
        }
        let found = path[1..].iter().filter(|c| !c.is_self_issued()).count();
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if let Some(limit) = issuer.basic_constraints().and_then(|b| b.path_len).filter(|limit| found > *limit) {
            return Err(fault(Code::PathLength, depth, Rejection::PathTooLong { limit, found }));
        }
        match self.question.signatures.verify(&path[depth - 1], issuer) {
            Ok(()) => {}
            Err(SignatureError::Unsupported(what)) => {
                self.unsupported.get_or_insert_with(|| what.clone());
                return Err(fault(Code::BadSignature, depth - 1, Rejection::UnsupportedSignature(what)));
            }
            Err(_) => return Err(fault(Code::BadSignature, depth - 1, Rejection::InvalidSignature)),
        }
        out_of_name_space(issuer, path).map_or(Ok(()), |why| Err(fault(Code::InvalidArgs, depth, why)))
    }
}
