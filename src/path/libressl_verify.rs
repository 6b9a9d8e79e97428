//! LibreSSL's own verifier, called through `X509_verify_cert` (lib/libcrypto/x509/x509_verify.c), in its two generations.
//!
//! It backtracks over what was sent, after Go's example, and keeps two sets of errors, its own (`ctx`) and the caller's (`xsc`), between
//! which much depends on who wrote last. The names are upstream's.

use std::collections::BTreeMap;

use super::{
    ClientError, Question, Rejection,
    libressl::{Callback, Outcome, Policy, Process},
    name_constraints::{self, Scope},
    openssl_errors::{Texts, name, text},
    openssl_legacy::check_extensions,
    openssl_rules::{self, Dialect, Errors, constraint_error, has_dns_name, in_store, is_valid_at},
};
use crate::x509::{Certificate, Defect, SignatureError};

/// A generation of the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 3.2.2, 3.2.3, 3.3.0, 3.3.1: any certificate of the store may end a path, the leaf is looked at first, all paths are built, and the
    /// checks on extensions leave out the topmost sent certificate.
    First,
    /// 3.4.0 on: paths to self-signed certificates first, one candidate of the store per name, the leaf's own faults last.
    Second,
}

/// `X509_VERIFY_MAX_CHAIN_CERTS`, `X509_VERIFY_MAX_CHAINS`, `X509_VERIFY_MAX_SIGCHECKS` (x509_internal.h).
const CERTIFICATES: usize = 32;
const CHAINS: usize = 8;
const SIGNATURES: usize = 256;
/// `X509_check_issued` as of both generations.
const DIALECT: Dialect = Dialect { unreadable_is_unrelated: true, ..Dialect::OLD };

const OK: u32 = 0;
const UNSPECIFIED: u32 = 1;
const SIGNATURE_FAILURE: u32 = 7;
const SELF_SIGNED_LEAF: u32 = 18;
const SELF_SIGNED_ROOT: u32 = 19;
const NO_LOCAL_ISSUER: u32 = 20;
const TOO_LONG: u32 = 22;

/// Runs it once.
pub(super) fn verify(
    question: &Question<'_>,
    policy: &Policy,
    generation: Generation,
    callback: Callback,
    process: &mut Process,
) -> Outcome {
    let leaf = question.leaf();
    let mut sent: BTreeMap<&[u8], Vec<&Certificate>> = BTreeMap::new();
    for certificate in question.untrusted() {
        sent.entry(certificate.canonical_subject()).or_default().push(certificate);
    }
    let mut verifier = Verifier {
        question,
        sent,
        partial_chain: policy.partial_chain,
        generation,
        callback,
        process,
        error: OK,
        error_depth: 0,
        caller: Caller { error: OK, error_depth: 0, current: leaf.clone(), chain: vec![leaf.clone()] },
        chains: Vec::new(),
        saved: None,
        signatures: 0,
        seen: Vec::new(),
        reasons: Vec::new(),
        unchecked: None,
    };
    let accepted = match generation {
        Generation::First => verifier.run_first(),
        Generation::Second => verifier.run_second(),
    };
    verifier.outcome(accepted)
}

/// The first constraint that a certificate below breaks, with the depth of the CA (`x509_constraints_chain`).
pub(super) fn broken_constraint(chain: &[Certificate]) -> Option<(u32, usize, Rejection)> {
    (1..chain.len()).find_map(|depth| {
        let broken = breaks_constraints(&chain[depth], &chain[..depth])?;
        Some((broken.0, depth, broken.1))
    })
}

/// `x509_constraints_check`: the names of all below against one CA.
fn breaks_constraints(ca: &Certificate, below: &[Certificate]) -> Option<(u32, Rejection)> {
    let constraints = name_constraints::of(ca)?;
    below.iter().enumerate().find_map(|(depth, certificate)| {
        let scope = Scope { common_name: depth == 0 && !has_dns_name(certificate), directory: true, subject_email: true };
        constraints.check(certificate, scope).err().map(constraint_error)
    })
}

/// `struct x509_verify_chain`: certificates, each with the error that was current when it joined.
#[derive(Clone)]
struct Chain {
    certificates: Vec<Certificate>,
    errors: Vec<u32>,
}

/// The parts of `X509_STORE_CTX` that are written here.
struct Caller {
    error: u32,
    error_depth: usize,
    current: Certificate,
    chain: Vec<Certificate>,
}

struct Verifier<'a> {
    question: &'a Question<'a>,
    /// What was sent, by subject, in the order sent.
    sent: BTreeMap<&'a [u8], Vec<&'a Certificate>>,
    partial_chain: bool,
    generation: Generation,
    callback: Callback,
    process: &'a mut Process,
    error: u32,
    error_depth: usize,
    caller: Caller,
    chains: Vec<Chain>,
    /// `saved_error_chain`, `saved_error`, `saved_error_depth`.
    saved: Option<(Vec<Certificate>, u32, usize)>,
    signatures: usize,
    seen: Vec<ClientError>,
    /// Why each code arose, in our own terms.
    reasons: Vec<(u32, Rejection)>,
    unchecked: Option<String>,
}

impl Verifier<'_> {
    /// `x509_verify` of 3.2.
    fn run_first(&mut self) -> bool {
        let leaf = self.question.leaf().clone();
        if !self.check_certificate(&leaf, None) || !self.check_host() {
            return false;
        }
        let chain = Chain { certificates: vec![leaf.clone()], errors: vec![self.error] };
        if self.question.anchors.iter().any(|c| *c == leaf) {
            self.add_chain(chain);
        } else {
            self.build(&leaf, &chain, false);
        }
        if self.chains.is_empty() && self.error == OK {
            self.error = UNSPECIFIED;
        }
        if !self.chains.is_empty() {
            self.error = OK;
        }
        self.caller.error = self.error;
        if self.chains.is_empty() {
            self.tell_again();
        }
        !self.chains.is_empty()
    }

    /// `x509_verify` of 3.4 and later.
    fn run_second(&mut self) -> bool {
        let leaf = self.question.leaf().clone();
        let chain = Chain { certificates: vec![leaf.clone()], errors: vec![self.error] };
        let mut full_chain = !self.partial_chain;
        loop {
            if self.is_root(&leaf, full_chain) {
                if !self.add_chain(chain.clone()) {
                    if self.caller.error == OK {
                        self.caller.error = UNSPECIFIED;
                    }
                    return false;
                }
            } else {
                self.build(&leaf, &chain, full_chain);
                if full_chain && self.chains.is_empty() {
                    // Once more with any certificate of the store as an end: it will not be trusted, but the callback expects it.
                    self.caller.error_depth = self.error_depth;
                    self.saved = Some((self.caller.chain.clone(), self.caller.error, self.caller.error_depth));
                    full_chain = false;
                    continue;
                }
            }
            break;
        }
        if let Some(found) = self.chains.first().cloned() {
            self.caller.chain = found.certificates;
            let stale = found.errors.iter().position(|e| *e != OK);
            self.caller.error = stale.map_or(OK, |depth| found.errors[depth]);
            self.caller.error_depth = stale.unwrap_or(0);
            return true;
        }
        if let Some((chain, error, depth)) = self.saved.take() {
            self.caller.chain = chain;
            self.caller.error = error;
            self.caller.error_depth = depth;
        }
        if self.caller.error == OK {
            self.caller.error = if self.error == OK { UNSPECIFIED } else { self.error };
        }
        self.tell_again();
        false
    }

    /// `x509_verify_build_chains`.
    fn build(&mut self, certificate: &Certificate, chain: &Chain, full_chain: bool) {
        let second = self.generation == Generation::Second;
        if second && !self.chains.is_empty() {
            return;
        }
        let depth = chain.certificates.len().saturating_sub(1);
        let limit = if second { CERTIFICATES - 1 } else { CERTIFICATES };
        if depth >= limit && !self.report(certificate, depth, TOO_LONG, Rejection::BudgetExceeded("path depth", limit)) {
            return;
        }
        let before = self.chains.len();
        self.error = NO_LOCAL_ISSUER;
        self.error_depth = depth;
        if second {
            if let Some((_, error, error_depth)) = &self.saved {
                if *error != OK {
                    self.error = *error;
                }
                if *error_depth != 0 {
                    self.error_depth = *error_depth;
                }
            }
            if DIALECT.is_self_signed(certificate) {
                self.error = if depth == 0 { SELF_SIGNED_LEAF } else { SELF_SIGNED_ROOT };
            }
            if let Some(candidate) = self.store_issuer(certificate) {
                let is_root = !full_chain || DIALECT.is_self_signed(&candidate);
                self.consider(certificate, is_root, &candidate, chain, full_chain);
            }
        } else {
            let roots: Vec<Certificate> =
                self.question.anchors.iter().filter(|c| DIALECT.is_issued_by(certificate, c)).cloned().collect();
            for candidate in roots {
                self.consider(certificate, true, &candidate, chain, full_chain);
            }
        }
        let named = self.sent.get(certificate.canonical_issuer()).cloned().unwrap_or_default();
        for candidate in named.into_iter().filter(|c| DIALECT.is_issued_by(certificate, c)) {
            self.consider(certificate, false, candidate, chain, full_chain);
        }
        if self.chains.len() > before {
            self.caller.error = OK;
            self.caller.error_depth = depth;
            self.caller.current = certificate.clone();
        } else if self.error_depth == depth {
            if second {
                self.caller.chain.clone_from(&chain.certificates);
            } else {
                let rejection = self.reason(self.error, certificate);
                self.report(certificate, depth, self.error, rejection);
            }
        }
    }

    /// `x509_verify_consider_candidate`.
    fn consider(&mut self, certificate: &Certificate, is_root: bool, candidate: &Certificate, chain: &Chain, full_chain: bool) {
        let depth = chain.certificates.len();
        if chain.certificates.contains(candidate) {
            return;
        }
        self.signatures += 1;
        if self.signatures > SIGNATURES + 1 {
            self.report(candidate, depth, TOO_LONG, Rejection::BudgetExceeded("signature checks", SIGNATURES));
            return;
        }
        if !self.check_signature(certificate, candidate, depth) || !self.check_certificate(candidate, Some(chain)) {
            return;
        }
        let mut longer = chain.clone();
        longer.certificates.push(candidate.clone());
        longer.errors.push(self.error);
        let top = longer.errors.len() - 1;
        // What was current while the issuer was not found yet.
        if self.generation == Generation::Second && top > 1 && longer.errors[top - 1] == NO_LOCAL_ISSUER {
            longer.errors[top - 1] = OK;
        }
        if is_root {
            self.caller.chain.clone_from(&longer.certificates);
            if self.generation == Generation::First {
                self.error = OK;
                self.error_depth = depth;
                self.caller.error = OK;
                self.caller.error_depth = depth;
                self.caller.current = candidate.clone();
            }
            self.add_chain(longer);
        } else {
            self.build(candidate, &longer, full_chain);
        }
    }

    /// `x509_verify_ctx_add_chain`.
    fn add_chain(&mut self, mut chain: Chain) -> bool {
        let depth = chain.certificates.len() - 1;
        if self.chains.len() >= CHAINS {
            let last = chain.certificates[depth].clone();
            return self.report(&last, depth, TOO_LONG, Rejection::BudgetExceeded("paths", CHAINS));
        }
        if self.generation == Generation::Second {
            if chain.errors[depth] == NO_LOCAL_ISSUER {
                chain.errors[depth] = OK;
            }
            let valid = self.check_as_before(&chain.certificates);
            if self.caller.error != OK && self.caller.error_depth < CERTIFICATES {
                if let Some(error) = chain.errors.get_mut(self.caller.error_depth) {
                    *error = self.caller.error;
                }
                self.error_depth = self.caller.error_depth;
            }
            let leaf = chain.certificates[0].clone();
            if !valid || !self.check_certificate(&leaf, None) || !self.check_host() {
                return false;
            }
            if self.error_depth == 0 && self.error != NO_LOCAL_ISSUER {
                chain.errors[0] = self.error;
            }
        } else {
            self.caller.chain.clone_from(&chain.certificates);
            if !self.check_extensions_and_constraints(&chain.certificates) {
                return false;
            }
        }
        self.chains.push(chain);
        self.error = OK;
        self.error_depth = depth;
        true
    }

    /// `x509_verify_ctx_validate_legacy_chain`.
    fn check_as_before(&mut self, chain: &[Certificate]) -> bool {
        self.caller.error = OK;
        self.caller.error_depth = 0;
        self.caller.chain = chain.to_vec();
        let trusted = self.partial_chain || chain.last().is_some_and(|top| DIALECT.is_self_signed(top));
        trusted && self.check_extensions_and_constraints(chain)
    }

    fn check_extensions_and_constraints(&mut self, chain: &[Certificate]) -> bool {
        // `last_untrusted`: all below the anchor; the first generation took one too many off.
        let top = chain.len() - 1;
        let untrusted = if self.generation == Generation::First { top.saturating_sub(1) } else { top };
        let mut errors = Errors::new(self.question, DIALECT, openssl_rules::Callback::CarriesOn);
        check_extensions(&chain[..untrusted], self.question, false, &mut errors);
        for error in errors.finish().unwrap_or_default() {
            if !self.tell(chain, error) {
                return false;
            }
        }
        match broken_constraint(chain) {
            Some((code, depth, rejection)) => self.report(&chain[top], depth, code, rejection),
            None => true,
        }
    }

    /// `x509_vfy_check_id`.
    fn check_host(&mut self) -> bool {
        let leaf = [self.question.leaf().clone()];
        let mut errors = Errors::new(self.question, DIALECT, openssl_rules::Callback::CarriesOn);
        errors.check_host(&leaf[0]);
        errors.finish().unwrap_or_default().into_iter().all(|error| self.tell(&leaf, error))
    }

    /// `x509_verify_parent_signature`.
    fn check_signature(&mut self, certificate: &Certificate, issuer: &Certificate, depth: usize) -> bool {
        let pair = (issuer.fingerprint(), certificate.fingerprint());
        let remembers = self.generation == Generation::First;
        if remembers && self.process.failed.contains(&pair) {
            // The error is whatever was current.
            return self.report(issuer, depth, self.error, Rejection::InvalidSignature);
        }
        if issuer.defects().contains(&Defect::BadPublicKey) {
            return self.report(issuer, depth, 6, Rejection::Other("the issuer's public key can't be read".to_owned()));
        }
        match self.question.signatures.verify(certificate, issuer) {
            Ok(()) if !certificate.defects().contains(&Defect::SignatureAlgorithmMismatch) => return true,
            Err(SignatureError::Unsupported(what)) => {
                self.unchecked.get_or_insert(what);
            }
            _ => {}
        }
        if remembers {
            self.process.failed.insert(pair);
        }
        self.report(issuer, depth, SIGNATURE_FAILURE, Rejection::InvalidSignature)
    }

    /// `x509_verify_cert_valid`: dates, then constraints on the path so far; notAfter itself is still valid.
    fn check_certificate(&mut self, certificate: &Certificate, chain: Option<&Chain>) -> bool {
        let depth = chain.map_or(0, |c| c.certificates.len());
        let at = self.question.at;
        let validity = certificate.validity();
        let start = match validity.not_before {
            None => Some((13, Rejection::DateUnreadable)),
            Some(not_before) => (at < not_before).then_some((9, Rejection::NotYetValid { not_before, at })),
        };
        let end = match validity.not_after {
            None => Some((14, Rejection::DateUnreadable)),
            Some(not_after) => (at > not_after).then_some((10, Rejection::Expired { not_after, at })),
        };
        // The second generation (`x509_verify_cert_times`) tells only the first of the two.
        let both = usize::from(self.generation == Generation::First) + 1;
        for (code, rejection) in start.into_iter().chain(end).take(both) {
            if !self.report(certificate, depth, code, rejection) {
                return false;
            }
        }
        match chain.and_then(|chain| breaks_constraints(certificate, &chain.certificates)) {
            Some((code, rejection)) => self.report(certificate, depth, code, rejection),
            None => true,
        }
    }

    /// `X509_STORE_CTX_get1_issuer`: the first valid one that fits, else the last.
    fn store_issuer(&self, certificate: &Certificate) -> Option<Certificate> {
        let fitting = in_store(self.question.anchors, certificate.canonical_issuer());
        let mut fitting = fitting.into_iter().filter(|c| DIALECT.is_issued_by(certificate, c)).peekable();
        let mut last = None;
        while let Some(candidate) = fitting.next() {
            if is_valid_at(candidate, self.question.at) {
                return Some(candidate.clone());
            }
            last = fitting.peek().is_none().then(|| candidate.clone());
        }
        last
    }

    /// `x509_verify_ctx_cert_is_root`.
    fn is_root(&self, certificate: &Certificate, full_chain: bool) -> bool {
        in_store(self.question.anchors, certificate.canonical_subject()).contains(&certificate)
            && (!full_chain || DIALECT.is_self_signed(certificate))
    }

    /// `x509_verify_cert_error`: whether to go on.
    fn report(&mut self, certificate: &Certificate, depth: usize, code: u32, rejection: Rejection) -> bool {
        self.error = code;
        self.error_depth = depth;
        self.tell(std::slice::from_ref(certificate), client_error(code, depth, rejection))
    }

    /// An error that goes to the caller only; `chain` holds the certificate at its depth, or alone.
    fn tell(&mut self, chain: &[Certificate], error: ClientError) -> bool {
        let depth = error.depth.unwrap_or_default();
        self.caller.error = error.code.parse().unwrap_or(UNSPECIFIED);
        self.caller.error_depth = depth;
        self.caller.current = chain.get(depth).unwrap_or(&chain[0]).clone();
        self.reasons.push((self.caller.error, error.rejection.clone()));
        if self.callback == Callback::CarryOn {
            self.seen.push(error);
            return true;
        }
        false
    }

    /// The last call of the callback, with what is current.
    fn tell_again(&mut self) {
        if self.callback == Callback::CarryOn {
            let rejection = self.reason(self.caller.error, &self.caller.current);
            self.seen.push(client_error(self.caller.error, self.caller.error_depth, rejection));
        }
    }

    /// Why `code` arose: as it was told, or as its meaning says.
    fn reason(&self, code: u32, certificate: &Certificate) -> Rejection {
        if let Some((_, rejection)) = self.reasons.iter().rev().find(|(c, _)| *c == code) {
            return rejection.clone();
        }
        match code {
            NO_LOCAL_ISSUER => Rejection::IssuerMissing(certificate.issuer().to_string()),
            SELF_SIGNED_LEAF => Rejection::SelfSignedLeaf,
            SELF_SIGNED_ROOT => Rejection::SelfSignedRootUntrusted,
            _ => Rejection::Other(text(code, Texts::Before3).to_owned()),
        }
    }

    fn outcome(self, accepted: bool) -> Outcome {
        let Caller { error, error_depth, ref chain, .. } = self.caller;
        let top = &chain[chain.len() - 1];
        let last = (error != OK).then(|| client_error(error, error_depth, self.reason(error, top)));
        Outcome {
            accepted,
            error: last,
            path: self.caller.chain,
            seen: self.seen,
            unchecked: self.unchecked.filter(|_| !accepted),
        }
    }
}

fn client_error(code: u32, depth: usize, rejection: Rejection) -> ClientError {
    let texts = Texts::Before3;
    ClientError {
        code: code.to_string(),
        name: name(code, texts).to_owned(),
        depth: Some(depth),
        text: text(code, texts).to_owned(),
        rejection,
    }
}
