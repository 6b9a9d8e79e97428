//! Every path from the leaf to every anchor, valid or not, with every reason against each.
//!
//! This is nobody's algorithm: it shows what there is, so that what a client did not look at can be seen. Nothing is hidden: a path is
//! left out only when a budget is used up, and then an attempt says so.

use super::{
    Attempt, Rejection, host_name,
    host_name::Rules,
    name_constraints::{self, Scope, Violation},
};
use crate::{
    base::At,
    x509::{Certificate, CertificateSet, Hash, KeyAlgorithm, Purpose, SignatureCache, SignatureError},
};

/// Paths (finished or dead ends) that are listed.
const ATTEMPTS: usize = 200;
/// Candidates that are looked at.
const STEPS: usize = 20_000;
/// Certificates in one path; OpenSSL's limit is 100, real paths have 4.
const LENGTH: usize = 20;
/// Different signatures that are checked; each costs about 30 microseconds.
const SIGNATURES: usize = 500;

/// Lists the paths, best first: anchored before unfinished, fewer and lesser reasons before more, short before long; equals stand in
/// the order in which they were found (anchors' order, then the order sent).
#[must_use]
pub fn explore(
    presented: &[Certificate],
    anchors: &[Certificate],
    at: At,
    host: Option<&str>,
    signatures: &SignatureCache,
) -> Vec<Attempt> {
    let Some(leaf) = presented.first() else { return Vec::new() };
    let trusted: CertificateSet<'_> = anchors.iter().collect();
    let mut seen = CertificateSet::with_capacity_and_hasher(anchors.len(), Default::default());
    let candidates: Vec<&Certificate> = anchors.iter().chain(presented).filter(|c| seen.insert(*c)).collect();
    let mut search = Search { trusted, candidates, at, host, signatures, steps: 0, checks: 0, attempts: Vec::new(), spent: None };
    search.extend(&mut vec![leaf.clone()]);
    let mut attempts = search.attempts;
    if let Some((budget, size)) = search.spent {
        let rejections = vec![(0, Rejection::BudgetExceeded(budget, size))];
        attempts.push(Attempt { path: vec![leaf.clone()], anchored: false, rejections });
    }
    // A stable sort: equals keep the order in which they were found.
    attempts.sort_by_key(|attempt| {
        let worst = attempt.rejections.iter().map(|(_, r)| r.rank()).max().unwrap_or(0);
        (!attempt.anchored, worst, attempt.rejections.len(), attempt.path.len())
    });
    attempts
}

impl Rejection {
    /// How much stands between this and an accepted path: what time, another name or another server setting cures comes first. Only for
    /// choosing the headline; every reason is kept.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Rejection::HostMismatch { .. } => 1,
            Rejection::Expired { .. } | Rejection::NotYetValid { .. } => 2,
            Rejection::WeakKey { .. } | Rejection::WeakSignature(_) | Rejection::UnsupportedSignature(_) => 3,
            Rejection::PurposeMismatch(_) => 4,
            Rejection::PathTooLong { .. } | Rejection::NameConstraintViolated(_) => 5,
            Rejection::KeyUsageLacksCertSign | Rejection::NotCa => 6,
            Rejection::DateUnreadable | Rejection::ExtensionUnreadable(_) | Rejection::Other(_) => 7,
            Rejection::SelfSignedLeaf | Rejection::SelfSignedRootUntrusted | Rejection::IssuerMissing(_) => 8,
            Rejection::BudgetExceeded(..) => 9,
            Rejection::InvalidSignature => 10,
        }
    }
}

struct Search<'a> {
    trusted: CertificateSet<'a>,
    /// Anchors in their order, then what was sent; each once.
    candidates: Vec<&'a Certificate>,
    at: At,
    host: Option<&'a str>,
    signatures: &'a SignatureCache,
    steps: usize,
    checks: usize,
    attempts: Vec<Attempt>,
    spent: Option<(&'static str, usize)>,
}

impl Search<'_> {
    /// Lists `path` if it ends at an anchor or a dead end, and everything that continues it.
    fn extend(&mut self, path: &mut Vec<Certificate>) {
        if self.attempts.len() >= ATTEMPTS {
            self.spent.get_or_insert(("paths listed", ATTEMPTS));
            return;
        }
        let last = path[path.len() - 1].clone();
        let anchored = self.trusted.contains(&last);
        if anchored {
            self.list(path, true);
        }
        if path.len() >= LENGTH {
            self.spent.get_or_insert(("path length", LENGTH));
            return;
        }
        // A self-signed certificate ends a path; a self-issued one (a root's new key signed by its old one) does not.
        let ends =
            path.len() > 1 && last.canonical_subject() == last.canonical_issuer() && self.signatures.verify(&last, &last).is_ok();
        let mut continued = false;
        for i in 0..self.candidates.len() {
            let candidate = self.candidates[i];
            self.steps += 1;
            if self.steps > STEPS {
                self.spent.get_or_insert(("candidates looked at", STEPS));
                return;
            }
            if ends || candidate.canonical_subject() != last.canonical_issuer() || path.contains(candidate) {
                continue;
            }
            continued = true;
            path.push(candidate.clone());
            self.extend(path);
            path.pop();
        }
        if !continued && !anchored {
            self.list(path, false);
        }
    }

    fn list(&mut self, path: &[Certificate], anchored: bool) {
        let mut rejections: Vec<(usize, Rejection)> = Vec::new();
        for depth in 0..path.len() {
            self.judge(path, depth, &mut rejections);
        }
        if !anchored {
            let depth = path.len() - 1;
            let last = &path[depth];
            let self_issued = last.canonical_subject() == last.canonical_issuer();
            rejections.push((
                depth,
                match (self_issued, depth) {
                    (true, 0) => Rejection::SelfSignedLeaf,
                    (true, _) => Rejection::SelfSignedRootUntrusted,
                    (false, _) => Rejection::IssuerMissing(last.issuer().to_string()),
                },
            ));
        }
        self.attempts.push(Attempt { path: path.to_vec(), anchored, rejections });
    }

    /// Every reason against the certificate at `depth` of `path`.
    fn judge(&mut self, path: &[Certificate], depth: usize, rejections: &mut Vec<(usize, Rejection)>) {
        let certificate = &path[depth];
        let mut reject = |rejection| rejections.push((depth, rejection));
        let (at, validity) = (self.at, certificate.validity());
        match validity.not_before {
            None => reject(Rejection::DateUnreadable),
            Some(not_before) if at < not_before => reject(Rejection::NotYetValid { not_before, at }),
            Some(_) => {}
        }
        match validity.not_after {
            None => reject(Rejection::DateUnreadable),
            Some(not_after) if at > not_after => reject(Rejection::Expired { not_after, at }),
            Some(_) => {}
        }
        let key = certificate.public_key();
        if key.algorithm == KeyAlgorithm::Rsa && key.bits < 2048 {
            reject(Rejection::WeakKey { bits: key.bits, wanted: 2048 });
        }
        let purposes = certificate.extended_key_usage();
        if purposes.is_some_and(|list| !list.contains(&Purpose::ServerAuth) && !list.contains(&Purpose::Any)) {
            reject(Rejection::PurposeMismatch("serverAuth".to_owned()));
        }
        if depth == 0 {
            if let Some(host) = self.host
                && let Err(rejection) = host_name::check(certificate, host, Rules::OPENSSL)
            {
                reject(rejection);
            }
        } else {
            check_issuer(path, depth, &mut reject);
        }
        let Some(issuer) = path.get(depth + 1) else { return };
        // A root's own signature says nothing, so only certificates below another count.
        let algorithm = certificate.signature_algorithm();
        if matches!(algorithm.hash, Some(Hash::Md2 | Hash::Md5 | Hash::Sha1)) {
            reject(Rejection::WeakSignature(algorithm.to_string()));
        }
        if self.checks >= SIGNATURES {
            self.spent.get_or_insert(("signature checks", SIGNATURES));
            return reject(Rejection::BudgetExceeded("signature checks", SIGNATURES));
        }
        let before = self.signatures.len();
        let verified = self.signatures.verify(certificate, issuer);
        self.checks += self.signatures.len() - before;
        match verified {
            Ok(()) => {}
            Err(SignatureError::Unsupported(what)) => reject(Rejection::UnsupportedSignature(what)),
            Err(SignatureError::Invalid | SignatureError::KeyMismatch) => reject(Rejection::InvalidSignature),
        }
    }
}

/// What speaks against `path[depth]` as an issuer of what is below it. A version 1 certificate can't say that it is a CA; old roots are
/// accepted without.
fn check_issuer(path: &[Certificate], depth: usize, reject: &mut impl FnMut(Rejection)) {
    let certificate = &path[depth];
    let is_root = depth + 1 == path.len() && certificate.is_self_issued();
    let old_root = is_root && certificate.version() == 1;
    if !certificate.is_ca() && !old_root {
        reject(Rejection::NotCa);
    }
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        reject(Rejection::KeyUsageLacksCertSign);
    }
    let found = path[1..depth].iter().filter(|c| !c.is_self_issued()).count();
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len).filter(|limit| found > *limit) {
        reject(Rejection::PathTooLong { limit, found });
    }
    if let Some(constraints) = name_constraints::of(certificate) {
        let scope = Scope { common_name: false, directory: true, subject_email: false };
        for violation in path[..depth].iter().filter_map(|below| constraints.check(below, scope).err()) {
            reject(Rejection::NameConstraintViolated(match violation {
                Violation::NotPermitted(name) | Violation::Excluded(name) => name,
                Violation::MinMax | Violation::Syntax | Violation::TooMany | Violation::UnsupportedKind => {
                    "a name that can't be compared".to_owned()
                }
            }));
        }
    }
}
