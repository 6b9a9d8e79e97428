//! OpenSSL 1.0.1 and 1.0.2: `X509_verify_cert` as it was before `build_chain` (crypto/x509/x509_vfy.c).
//!
//! What was sent comes first and the store completes it; an alternative is looked for only when the result is not *trusted*, and an
//! expired anchor is trusted. That is the outage of 30 May 2020.

use super::{
    Question, Rejection, Verdict,
    openssl::purpose_name,
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

const DIALECT: Dialect = Dialect::OLD;

/// Asks `X509_verify_cert`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut errors = Errors::new(question, DIALECT, Callback::CarriesOn);
    let Built { chain, untrusted } = build(question, policy, &mut First { question }, &mut errors);
    check_extensions(&chain[..untrusted], question, policy.strict, &mut errors);
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

/// How a library that has this builder chooses an issuer.
pub(super) trait Issuers {
    /// What differs in the tests on single certificates.
    const DIALECT: Dialect;
    /// The longest path that is built.
    const LONGEST: usize;

    /// `X509_STORE_CTX_get1_issuer`. LibreSSL tells the callback about dates on the way.
    fn of_store(&mut self, subject: &Certificate, errors: &mut Errors<'_>) -> Option<Certificate>;

    /// `find_issuer`: the place among what was sent and is not used yet.
    fn of_sent(&mut self, subject: &Certificate, sent: &[&Certificate], errors: &mut Errors<'_>) -> Option<usize>;
}

/// OpenSSL and BoringSSL take the first that fits, whatever its dates say.
struct First<'a> {
    question: &'a Question<'a>,
}

impl Issuers for First<'_> {
    const DIALECT: Dialect = DIALECT;
    const LONGEST: usize = DEPTH + 1;

    fn of_store(&mut self, subject: &Certificate, _: &mut Errors<'_>) -> Option<Certificate> {
        first_of_store(self.question, &Self::DIALECT, subject)
    }

    fn of_sent(&mut self, subject: &Certificate, sent: &[&Certificate], _: &mut Errors<'_>) -> Option<usize> {
        sent.iter().position(|c| Self::DIALECT.is_issued_by(subject, c))
    }
}

/// The first match of the store; dates don't matter.
pub(super) fn first_of_store(question: &Question<'_>, dialect: &Dialect, subject: &Certificate) -> Option<Certificate> {
    in_store(question.anchors, subject.canonical_issuer()).into_iter().find(|c| dialect.is_issued_by(subject, c)).cloned()
}

/// What was built.
pub(super) struct Built {
    pub(super) chain: Vec<Certificate>,
    /// How many certificates, from the leaf up, did not come from the store (`last_untrusted`).
    pub(super) untrusted: usize,
}

/// The path, with an error if it leads to nothing trusted.
pub(super) fn build<I: Issuers>(question: &Question<'_>, policy: &Policy, issuers: &mut I, errors: &mut Errors<'_>) -> Built {
    let mut chain = follow_sent(question, policy, issuers, errors);
    let mut untrusted = chain.len();
    let mut shorter = chain.len();
    let mut sent_root = None;
    let mut reported = false;
    let trusted = loop {
        let last = chain[chain.len() - 1].clone();
        if I::DIALECT.is_self_signed(&last) {
            if chain.len() == 1 {
                if let Some(own) = issuers.of_store(&last, errors).filter(|own| *own == last) {
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
        complete_from_store(&mut chain, issuers, errors);
        if is_trusted::<I>(&chain, untrusted, question, policy) {
            break true;
        }
        if policy.trusted_first || !policy.alternative_chains {
            break false;
        }
        // Walk down what was sent: does the store know an issuer for an earlier certificate?
        let mut found = false;
        while shorter > 1 {
            shorter -= 1;
            if issuers.of_store(&chain[shorter - 1], errors).is_some() {
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
        report_untrusted::<I>(&mut chain, &mut untrusted, sent_root, errors);
    }
    Built { chain, untrusted }
}

/// Phase 1.
fn follow_sent<I: Issuers>(
    question: &Question<'_>,
    policy: &Policy,
    issuers: &mut I,
    errors: &mut Errors<'_>,
) -> Vec<Certificate> {
    let mut sent: Vec<&Certificate> = question.untrusted().iter().collect();
    let mut chain = vec![question.leaf().clone()];
    while chain.len() < I::LONGEST {
        let last = chain[chain.len() - 1].clone();
        if I::DIALECT.is_self_signed(&last) || (policy.trusted_first && issuers.of_store(&last, errors).is_some()) {
            break;
        }
        let Some(at) = issuers.of_sent(&last, &sent, errors) else { break };
        chain.push(sent.remove(at).clone());
    }
    chain
}

/// Phase 2.
fn complete_from_store<I: Issuers>(chain: &mut Vec<Certificate>, issuers: &mut I, errors: &mut Errors<'_>) {
    while chain.len() < I::LONGEST {
        let last = &chain[chain.len() - 1];
        if I::DIALECT.is_self_signed(last) {
            return;
        }
        let Some(issuer) = issuers.of_store(last, errors) else { return };
        chain.push(issuer);
    }
}

/// `check_trust`.
fn is_trusted<I: Issuers>(chain: &[Certificate], untrusted: usize, question: &Question<'_>, policy: &Policy) -> bool {
    let found = |c: &Certificate| in_store(question.anchors, c.canonical_subject()).contains(&c);
    chain[untrusted..].iter().any(|c| I::DIALECT.is_self_signed(c))
        || (policy.partial_chain && (untrusted < chain.len() || chain.iter().any(found)))
}

fn report_untrusted<I: Issuers>(
    chain: &mut Vec<Certificate>,
    untrusted: &mut usize,
    sent_root: Option<Certificate>,
    errors: &mut Errors<'_>,
) {
    let last = &chain[chain.len() - 1];
    match sent_root {
        Some(root) if I::DIALECT.is_issued_by(last, &root) => {
            chain.push(root);
            *untrusted = chain.len();
            errors.push(19, chain.len() - 1, Rejection::SelfSignedRootUntrusted);
        }
        _ => {
            let code = if *untrusted >= chain.len() { 20 } else { 2 };
            let rejection = match chain.len() > DEPTH {
                true => Rejection::BudgetExceeded("path depth", DEPTH),
                false => Rejection::IssuerMissing(last.issuer().to_string()),
            };
            errors.push(code, chain.len() - 1, rejection);
        }
    }
}

/// `check_chain_extensions`: only what was sent.
pub(super) fn check_extensions(sent: &[Certificate], question: &Question<'_>, strict: bool, errors: &mut Errors<'_>) {
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
        if if must_be_ca { kind == 0 || (strict && kind != 1) } else { strict && kind > 1 } {
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
