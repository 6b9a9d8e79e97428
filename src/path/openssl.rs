//! OpenSSL 1.1.0 to 4.0: `build_chain` (crypto/x509/x509_vfy.c), rewritten in 1.1.0 and trusted-first by default.
//!
//! What was sent is followed only until the store knows an issuer; from there on only the store is asked, and never again what was
//! sent. There is no backtracking.

use super::{
    Question, Rejection, Verdict,
    host_name::Rules,
    openssl_errors::Texts,
    openssl_rules::{
        DEPTH, Dialect, Errors, ca_kind, has_unhandled_critical, in_store, is_proxy, is_self_issued, is_valid_at,
        key_security_bits, serves, signature_security_bits,
    },
};
use crate::x509::{Certificate, Defect, Purpose};

/// The knobs of one version and one way to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What differs in the tests on single certificates.
    pub dialect: Dialect,
    /// Which issuer is taken when none of several is valid now.
    pub tie_break: TieBreak,
    /// The security level (`X509_VERIFY_PARAM_set_auth_level`, `SSL_CTX_set_security_level`): 0 checks nothing.
    pub level: u8,
    /// `X509_V_FLAG_PARTIAL_CHAIN`: any certificate of the store may end a path.
    pub partial_chain: bool,
    /// `X509_V_FLAG_X509_STRICT`.
    pub strict: bool,
}

/// Which of several issuers is taken when none is valid now; the first valid one wins in all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// The last match: 1.1.0 and 1.1.1.
    Last,
    /// The latest notAfter, the first of equals: 3.0 and later.
    LatestNotAfter,
}

impl Policy {
    /// 1.1.0 to 1.1.1g.
    pub const V1_1_0: Policy = Policy {
        dialect: Dialect {
            texts: Texts::Before3,
            issuer_needs_cert_sign: true,
            unreadable_is_unrelated: false,
            issuer_needs_key_kind: false,
            host: Rules::OPENSSL,
        },
        tie_break: TieBreak::Last,
        level: 1,
        partial_chain: false,
        strict: false,
    };
    /// 1.1.1h to 1.1.1w: the issuer test lost its look at keyUsage.
    pub const V1_1_1: Policy = Policy {
        dialect: Dialect { issuer_needs_cert_sign: false, unreadable_is_unrelated: true, ..Policy::V1_1_0.dialect },
        ..Policy::V1_1_0
    };
    /// 3.0 to 3.5.
    pub const V3: Policy = Policy {
        dialect: Dialect { texts: Texts::From3, issuer_needs_key_kind: true, ..Policy::V1_1_1.dialect },
        tie_break: TieBreak::LatestNotAfter,
        ..Policy::V1_1_1
    };

    /// 3.6 to 4.0: one text changed.
    pub const V3_6: Policy = Policy { dialect: Dialect { texts: Texts::From36, ..Policy::V3.dialect }, ..Policy::V3 };

    /// The same at another security level.
    #[must_use]
    pub const fn level(self, level: u8) -> Policy {
        Policy { level, ..self }
    }

    fn is_3(&self) -> bool {
        self.dialect.texts != Texts::Before3
    }
}

/// Chains are built up to one longer than the depth allows, and then refused with 22.
const LENGTH: usize = DEPTH + 1;

/// Asks `X509_verify_cert`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut errors = Errors::new(question, policy.dialect);
    check_leaf_key(question.leaf(), policy, &mut errors);
    let chain = build(question, policy, &mut errors);
    check_extensions(&chain, question, policy, &mut errors);
    check_level(&chain, policy, &mut errors);
    errors.check_host(&chain[0]);
    errors.check_signatures_and_times(&chain, policy.partial_chain, policy.is_3());
    errors.check_name_constraints(&chain);
    errors.verdict(chain)
}

fn build(question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) -> Vec<Certificate> {
    let dialect = &policy.dialect;
    let mut sent: Vec<&Certificate> = question.presented.iter().collect();
    let mut chain = vec![question.leaf().clone()];
    // How many certificates, from the leaf up, did not come from the store.
    let mut untrusted = 1;
    let mut trusted = false;
    let mut ask_sent = true;
    loop {
        let last = chain[chain.len() - 1].clone();
        let self_signed = dialect.is_self_signed(&last);
        let mut found = if chain.len() > LENGTH { None } else { store_issuer(question, policy, &chain, &last) };
        if let Some(issuer) = &found {
            if !self_signed {
                chain.push(issuer.clone());
            } else if chain.len() == untrusted {
                // A self-signed certificate that was sent must be the store's own, byte for byte.
                if *issuer == last {
                    untrusted -= 1;
                } else {
                    found = None;
                }
            }
        }
        if found.is_some() {
            ask_sent = false;
            trusted = is_trusted(&chain, untrusted, policy);
            if trusted {
                break;
            }
            if !self_signed && !dialect.is_self_signed(&chain[chain.len() - 1]) {
                continue;
            }
        }
        if !ask_sent {
            break;
        }
        let last = &chain[chain.len() - 1];
        let next = if dialect.is_self_signed(last) || chain.len() > LENGTH {
            None
        } else {
            best_issuer(last, &chain, sent.iter().copied(), question, policy, policy.is_3())
        };
        match next {
            Some(issuer) => {
                let issuer = issuer.clone();
                if let Some(at) = sent.iter().position(|c| **c == issuer) {
                    sent.remove(at);
                }
                chain.push(issuer);
                untrusted += 1;
            }
            None => ask_sent = false,
        }
    }
    // `lookup_cert_match` goes the way of every lookup: a directory behind a file that has the name is not seen.
    let in_store_itself = || in_store(question.anchors, chain[0].canonical_subject()).contains(&&chain[0]);
    if !trusted && chain.len() == untrusted && policy.partial_chain && in_store_itself() {
        trusted = true;
    }
    if !trusted {
        report_untrusted(&chain, untrusted, dialect, errors);
    }
    chain
}

fn report_untrusted(chain: &[Certificate], untrusted: usize, dialect: &Dialect, errors: &mut Errors<'_>) {
    let depth = chain.len() - 1;
    let last = &chain[depth];
    if chain.len() > LENGTH {
        errors.push(22, depth, Rejection::BudgetExceeded("path depth", DEPTH));
        // From 3.0 a callback that carries on hears of the missing issuer too.
        if dialect.texts == Texts::Before3 {
            return;
        }
    }
    if dialect.is_self_signed(last) {
        if depth == 0 {
            errors.push(18, depth, Rejection::SelfSignedLeaf);
        } else {
            errors.push(19, depth, Rejection::SelfSignedRootUntrusted);
        }
    } else {
        let code = if untrusted < chain.len() { 2 } else { 20 };
        errors.push(code, depth, Rejection::IssuerMissing(last.issuer().to_string()));
    }
}

/// `check_trust`: a self-signed certificate of the store, or any one with PARTIAL_CHAIN.
fn is_trusted(chain: &[Certificate], untrusted: usize, policy: &Policy) -> bool {
    let from_store = &chain[untrusted..];
    !from_store.is_empty() && (policy.partial_chain || from_store.iter().any(|c| policy.dialect.is_self_signed(c)))
}

/// `X509_STORE_CTX_get1_issuer`.
fn store_issuer(question: &Question<'_>, policy: &Policy, chain: &[Certificate], subject: &Certificate) -> Option<Certificate> {
    let candidates = in_store(question.anchors, subject.canonical_issuer());
    best_issuer(subject, chain, candidates.into_iter(), question, policy, false).cloned()
}

/// The first candidate that is valid now, else the one that the version's tie-break says. From 3.0 only what was sent must not be in the
/// path already; loops through the store end at the depth's limit.
fn best_issuer<'a>(
    subject: &Certificate,
    chain: &[Certificate],
    candidates: impl Iterator<Item = &'a Certificate>,
    question: &Question<'_>,
    policy: &Policy,
    without_loops: bool,
) -> Option<&'a Certificate> {
    let lone = is_self_issued(subject) && chain.len() == 1;
    let mut best: Option<&Certificate> = None;
    for candidate in candidates {
        if !policy.dialect.is_issued_by(subject, candidate) || (without_loops && !lone && chain.contains(candidate)) {
            continue;
        }
        if is_valid_at(candidate, question.at) {
            return Some(candidate);
        }
        let better = match (policy.tie_break, best) {
            (_, None) | (TieBreak::Last, _) => true,
            (TieBreak::LatestNotAfter, Some(best)) => candidate.validity().not_after > best.validity().not_after,
        };
        if better {
            best = Some(candidate);
        }
    }
    best
}

const MINIMUM_BITS: [u32; 5] = [80, 112, 128, 192, 256];

fn minimum_bits(level: u8) -> Option<u32> {
    usize::from(level).checked_sub(1).map(|i| MINIMUM_BITS[i.min(4)])
}

/// The leaf's key is looked at before anything else.
fn check_leaf_key(leaf: &Certificate, policy: &Policy, errors: &mut Errors<'_>) {
    let Some(wanted) = minimum_bits(policy.level) else { return };
    if key_security_bits(leaf, policy.dialect.texts) < wanted {
        errors.push(66, 0, Rejection::WeakKey { bits: leaf.public_key().bits, wanted: smallest_rsa(wanted) });
    }
}

/// `check_auth_level`: keys of the CAs, digests of all but the last.
fn check_level(chain: &[Certificate], policy: &Policy, errors: &mut Errors<'_>) {
    let Some(wanted) = minimum_bits(policy.level) else { return };
    let texts = policy.dialect.texts;
    for (depth, certificate) in chain.iter().enumerate() {
        if depth > 0 && key_security_bits(certificate, texts) < wanted {
            errors.push(67, depth, Rejection::WeakKey { bits: certificate.public_key().bits, wanted: smallest_rsa(wanted) });
        }
        let strength = signature_security_bits(certificate, texts);
        if depth + 1 < chain.len() && strength.is_none_or(|bits| bits < wanted) {
            errors.push(68, depth, Rejection::WeakSignature(certificate.signature_algorithm().to_string()));
        }
    }
}

/// The RSA size that people know a strength by.
fn smallest_rsa(strength: u32) -> u32 {
    match strength {
        0..=80 => 1024,
        81..=112 => 2048,
        113..=128 => 3072,
        129..=192 => 7680,
        _ => 15360,
    }
}

/// `check_extensions`: over the whole chain since 1.1.0.
fn check_extensions(chain: &[Certificate], question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) {
    let dialect = &policy.dialect;
    let invalid_ca = if policy.is_3() { 79 } else { 24 };
    let mut below = 0u32;
    for (depth, certificate) in chain.iter().enumerate() {
        let must_be_ca = depth > 0;
        if has_unhandled_critical(certificate, dialect) {
            errors.push_plain(34, depth);
        }
        if is_proxy(certificate) {
            errors.push_plain(40, depth);
        }
        let kind = ca_kind(certificate, dialect);
        let bad = if must_be_ca {
            kind == 0 || ((depth + 1 < chain.len() || policy.strict) && kind != 1)
        } else {
            policy.strict && kind > 1
        };
        if bad {
            errors.push(invalid_ca, depth, Rejection::NotCa);
        }
        if policy.strict && policy.is_3() && chain.len() > 1 {
            check_strictly(certificate, depth, depth + 1 == chain.len(), errors);
        }
        if !serves(certificate, question.purpose, must_be_ca, dialect) {
            errors.push(26, depth, Rejection::PurposeMismatch(purpose_name(question)));
        }
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len)
            && depth > 1
            && below > limit
        {
            errors.push(25, depth, Rejection::PathTooLong { limit, found: below });
        }
        if depth > 0 && !is_self_issued(certificate) {
            below += 1;
        }
    }
}

pub(super) fn purpose_name(question: &Question<'_>) -> String {
    match question.purpose {
        Purpose::Any => "anyExtendedKeyUsage".to_owned(),
        Purpose::ClientAuth => "clientAuth".to_owned(),
        Purpose::CodeSigning => "codeSigning".to_owned(),
        Purpose::EmailProtection => "emailProtection".to_owned(),
        Purpose::OcspSigning => "OCSPSigning".to_owned(),
        Purpose::Other(oid) => oid.clone(),
        Purpose::ServerAuth => "serverAuth".to_owned(),
        Purpose::TimeStamping => "timeStamping".to_owned(),
    }
}

/// What `X509_V_FLAG_X509_STRICT` adds in 3.0, with RFC 5280's section for each.
fn check_strictly(certificate: &Certificate, depth: usize, last: bool, errors: &mut Errors<'_>) {
    let basic = certificate.basic_constraints();
    let is_ca = certificate.is_ca();
    // Without keyUsage no bit counts as set here: `ex_kusage` is 0.
    let cert_sign = certificate.key_usage().is_some_and(|usage| usage.key_cert_sign());
    let crl_sign = certificate.key_usage().is_some_and(|usage| usage.crl_sign());
    let critical = |oid: &str| certificate.extension(oid).is_some_and(|(e, _)| e.critical);
    let names = certificate.subject_alt_name();
    let no_subject = certificate.subject().is_empty();
    let mut report = |broken: bool, code: u32| {
        if broken {
            errors.push_plain(code, depth);
        }
    };
    // 4.2.1.9
    if basic.is_some_and(|b| b.path_len.is_some()) {
        report(!is_ca, 80);
        report(!cert_sign, 81);
    }
    report(is_ca && basic.is_some() && !critical("2.5.29.19"), 89);
    // 4.2.1.3
    if is_ca {
        report(certificate.key_usage().is_none(), 92);
    } else {
        report(cert_sign, 82);
    }
    // 4.1.2.4, 4.1.2.6, 4.2.1.6
    report(certificate.issuer().is_empty(), 83);
    report((is_ca || crl_sign || names.is_none()) && no_subject, 84);
    report(no_subject && names.is_some() && !critical("2.5.29.17"), 88);
    report(names.is_some_and(<[_]>::is_empty), 87);
    // 4.1.1.2
    report(certificate.defects().contains(&Defect::SignatureAlgorithmMismatch), 78);
    // 4.2.1.1, 4.2.1.2
    report(critical("2.5.29.35"), 90);
    report(critical("2.5.29.14"), 91);
    if certificate.version() >= 3 {
        report(!last && certificate.authority_key_id().is_none_or(|a| a.key_id.is_none()), 85);
        report(is_ca && certificate.subject_key_id().is_none(), 86);
    } else {
        report(!certificate.extensions().is_empty(), 93);
    }
}
