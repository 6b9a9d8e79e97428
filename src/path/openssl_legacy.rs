//! OpenSSL 1.0.1 and 1.0.2: `X509_verify_cert` as it was before `build_chain` (crypto/x509/x509_vfy.c).
//!
//! What was sent comes first and the store completes it; an alternative is looked for only when the result is not *trusted*, and an
//! expired anchor is trusted. That is the outage of 30 May 2020.

use super::{
    Question, Rejection, Verdict,
    host_name::Rules,
    openssl::purpose_name,
    openssl_errors::Texts,
    openssl_rules::{
        Callback, DEPTH, Dialect, Errors, ca_kind, has_unhandled_critical, in_store, is_proxy, is_self_issued, serves,
    },
};
use crate::x509::Certificate;

/// The knobs of one version and one way to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `X509_V_FLAG_TRUSTED_FIRST`: the store is asked before what was sent.
    pub trusted_first: bool,
    /// Whether a shorter sent part is tried when the path is not trusted (1.0.1n, 1.0.2b; off by `X509_V_FLAG_NO_ALT_CHAINS`).
    pub alternative_chains: bool,
    /// `X509_V_FLAG_PARTIAL_CHAIN` (1.0.2).
    pub partial_chain: bool,
    /// `X509_V_FLAG_X509_STRICT`.
    pub strict: bool,
    /// Whether the library itself checks the host (1.0.2).
    pub checks_host: bool,
    /// Whether trust is checked apart, after the extensions, with an error of its own, 27 (1.0.1).
    pub untrusted_is_an_error: bool,
}

impl Policy {
    /// 1.0.2b to 1.0.2u with the default flags.
    pub const V1_0_2: Policy = Policy {
        trusted_first: false,
        alternative_chains: true,
        partial_chain: false,
        strict: false,
        checks_host: true,
        untrusted_is_an_error: false,
    };
    /// 1.0.1n to 1.0.1u.
    pub const V1_0_1: Policy = Policy { checks_host: false, untrusted_is_an_error: true, ..Policy::V1_0_2 };
}

const DIALECT: Dialect = Dialect {
    texts: Texts::Before3,
    issuer_needs_cert_sign: true,
    unreadable_is_unrelated: false,
    issuer_needs_key_kind: false,
    host: Rules::OPENSSL,
};

/// Asks `X509_verify_cert`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut errors = Errors::new(question, DIALECT, Callback::CarriesOn);
    let Built { chain, untrusted } = build(question, policy, &mut errors);
    check_extensions(&chain[..untrusted], question, policy, &mut errors);
    errors.check_name_constraints(&chain);
    let last = &chain[chain.len() - 1];
    if policy.untrusted_is_an_error && !DIALECT.is_self_signed(last) {
        errors.push(27, chain.len() - 1, Rejection::IssuerMissing(last.issuer().to_string()));
    }
    if policy.checks_host {
        errors.check_host(&chain[0]);
    }
    errors.check_each_once(&chain, untrusted, policy.partial_chain);
    errors.verdict(chain)
}

struct Built {
    chain: Vec<Certificate>,
    /// How many certificates, from the leaf up, did not come from the store (`last_untrusted`).
    untrusted: usize,
}

fn build(question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) -> Built {
    let mut chain = follow_sent(question, policy);
    let mut untrusted = chain.len();
    let mut shorter = chain.len();
    let mut sent_root = None;
    let mut reported = false;
    let trusted = loop {
        let last = chain[chain.len() - 1].clone();
        if DIALECT.is_self_signed(&last) {
            if chain.len() == 1 {
                if let Some(own) = store_issuer(question, &last).filter(|own| *own == last) {
                    chain[0] = own;
                    untrusted = 0;
                } else {
                    errors.push(18, 0, Rejection::SelfSignedLeaf);
                    reported = true;
                }
            } else {
                // The root that was sent gives way to the store's.
                sent_root = chain.pop();
                untrusted -= 1;
                shorter -= 1;
            }
        }
        complete_from_store(question, &mut chain);
        if is_trusted(&chain, untrusted, question, policy) {
            break true;
        }
        if policy.trusted_first || !policy.alternative_chains {
            break false;
        }
        // Walk down what was sent: does the store know an issuer for an earlier certificate?
        let mut found = false;
        while shorter > 1 {
            shorter -= 1;
            if store_issuer(question, &chain[shorter - 1]).is_some() {
                chain.truncate(shorter);
                untrusted = shorter;
                found = true;
                break;
            }
        }
        if !found {
            break false;
        }
    };
    if !trusted && !reported {
        report_untrusted(&mut chain, &mut untrusted, sent_root, errors);
    }
    Built { chain, untrusted }
}

/// Phase 1: the first issuer in the order sent, whatever its dates say.
fn follow_sent(question: &Question<'_>, policy: &Policy) -> Vec<Certificate> {
    let mut sent: Vec<&Certificate> = question.presented.iter().collect();
    let mut chain = vec![question.leaf().clone()];
    while chain.len() <= DEPTH {
        let last = &chain[chain.len() - 1];
        if DIALECT.is_self_signed(last) || (policy.trusted_first && store_issuer(question, last).is_some()) {
            break;
        }
        let Some(at) = sent.iter().position(|c| DIALECT.is_issued_by(last, c)) else { break };
        chain.push(sent.remove(at).clone());
    }
    chain
}

/// Phase 2.
fn complete_from_store(question: &Question<'_>, chain: &mut Vec<Certificate>) {
    while chain.len() <= DEPTH {
        let last = &chain[chain.len() - 1];
        if DIALECT.is_self_signed(last) {
            return;
        }
        let Some(issuer) = store_issuer(question, last) else { return };
        chain.push(issuer);
    }
}

/// `X509_STORE_CTX_get1_issuer`: the first match; dates don't matter.
fn store_issuer(question: &Question<'_>, subject: &Certificate) -> Option<Certificate> {
    in_store(question.anchors, subject.canonical_issuer()).into_iter().find(|c| DIALECT.is_issued_by(subject, c)).cloned()
}

/// `check_trust`.
fn is_trusted(chain: &[Certificate], untrusted: usize, question: &Question<'_>, policy: &Policy) -> bool {
    let found = |c: &Certificate| in_store(question.anchors, c.canonical_subject()).contains(&c);
    chain[untrusted..].iter().any(|c| DIALECT.is_self_signed(c))
        || (policy.partial_chain && (untrusted < chain.len() || chain.iter().any(found)))
}

fn report_untrusted(
    chain: &mut Vec<Certificate>,
    untrusted: &mut usize,
    sent_root: Option<Certificate>,
    errors: &mut Errors<'_>,
) {
    let last = &chain[chain.len() - 1];
    match sent_root {
        Some(root) if DIALECT.is_issued_by(last, &root) => {
            chain.push(root);
            *untrusted = chain.len();
            errors.push(19, chain.len() - 1, Rejection::SelfSignedRootUntrusted);
        }
        _ => {
            let code = if *untrusted >= chain.len() { 20 } else { 2 };
            errors.push(code, chain.len() - 1, Rejection::IssuerMissing(last.issuer().to_string()));
        }
    }
}

/// `check_chain_extensions`: only what was sent.
fn check_extensions(sent: &[Certificate], question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) {
    let mut below = 0u32;
    for (depth, certificate) in sent.iter().enumerate() {
        let must_be_ca = depth > 0;
        if has_unhandled_critical(certificate, &DIALECT) {
            errors.push_plain(34, depth);
        }
        if is_proxy(certificate) {
            errors.push_plain(40, depth);
        }
        let kind = ca_kind(certificate, &DIALECT);
        if if must_be_ca { kind == 0 || (policy.strict && kind != 1) } else { policy.strict && kind > 1 } {
            errors.push(24, depth, Rejection::NotCa);
        }
        if !serves(certificate, question.purpose, must_be_ca, &DIALECT) {
            errors.push(26, depth, Rejection::PurposeMismatch(purpose_name(question)));
        }
        let self_issued = is_self_issued(certificate);
        // The leaf counts here, therefore the one more.
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len)
            && depth > 1
            && !self_issued
            && below > limit.saturating_add(1)
        {
            errors.push(25, depth, Rejection::PathTooLong { limit, found: below - 1 });
        }
        if !self_issued {
            below += 1;
        }
    }
}
