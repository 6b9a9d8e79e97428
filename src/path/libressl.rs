//! LibreSSL's `X509_verify_cert` (lib/libcrypto/x509): OpenSSL 1.0.2's builder with a regard for dates, and from 3.2.2, with
//! interruptions, a verifier of its own.
//!
//! What a callback answers changes the path, and an error may be left behind on an accepted path (`ctx->error`): a client that reads
//! `SSL_get_verify_result` refuses what the handshake accepted. Both are part of an [`Outcome`].

use std::collections::BTreeSet;

use super::{
    ClientError, Question, Verdict,
    libressl_verify::{self, Generation},
    openssl_legacy::{self, Built, Issuers, build, check_extensions},
    openssl_rules::{self, DEPTH, Dialect, Errors, in_store, is_valid_at},
};
use crate::{base::Fingerprint, x509::Certificate};

/// The knobs of one version and one way to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What stands behind `X509_verify_cert`.
    pub verifier: Verifier,
    /// `X509_V_FLAG_PARTIAL_CHAIN`.
    pub partial_chain: bool,
    /// Whether `X509_verify_cert_error_string` knows the errors that came after 1.0.2's first years (1, 62 to 64).
    pub new_texts: bool,
    /// Whether the client looks at `ctx->error` (`SSL_get_verify_result`) instead of at the answer.
    pub reads_error: bool,
}

/// A verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// The builder of OpenSSL 1.0.2 (crypto/x509/x509_vfy.c).
    Legacy(Legacy),
    /// x509_verify.c, after Go's.
    New(Generation),
}

/// What the old builder was taught over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// `X509_V_FLAG_TRUSTED_FIRST` by default (3.2.7, 3.3.5).
    pub trusted_first: bool,
    /// Whether an expired issuer that was sent is taken only if the store knows none (3.1.3), and never if the store is asked first.
    pub shuns_expired: bool,
    /// Whether name constraints are checked by the new verifier's code, once and at the depth of the CA (`x509_constraints_chain`).
    pub new_constraints: bool,
}

impl Policy {
    /// 2.5.1 to 3.1.2.
    pub const V2_5: Policy = Policy {
        verifier: Verifier::Legacy(Legacy { trusted_first: false, shuns_expired: false, new_constraints: false }),
        partial_chain: false,
        new_texts: false,
        reads_error: false,
    };
    /// 3.1.3 to 3.2.1.
    pub const V3_1_3: Policy = Policy {
        verifier: Verifier::Legacy(Legacy { trusted_first: false, shuns_expired: true, new_constraints: false }),
        ..Policy::V2_5
    };
    /// 3.2.2, 3.2.3, 3.3.0 and 3.3.1.
    pub const V3_2_2: Policy = Policy { verifier: Verifier::New(Generation::First), ..Policy::V2_5 };
    /// 3.2.4 to 3.2.6 and 3.3.2 to 3.3.4: back to the old builder (`X509_V_FLAG_LEGACY_VERIFY` by default).
    pub const V3_2_4: Policy = Policy {
        verifier: Verifier::Legacy(Legacy { trusted_first: false, shuns_expired: true, new_constraints: true }),
        ..Policy::V2_5
    };
    /// 3.2.7 and 3.3.5 on.
    pub const V3_2_7: Policy = Policy {
        verifier: Verifier::Legacy(Legacy { trusted_first: true, shuns_expired: true, new_constraints: true }),
        ..Policy::V2_5
    };
    /// 3.4.0 and later.
    pub const V3_4: Policy = Policy { verifier: Verifier::New(Generation::Second), new_texts: true, ..Policy::V2_5 };
}

/// What a client's callback answers to an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// 1: go on. Every error is seen, and nothing is refused.
    CarryOn,
    /// 0: stop, as without a callback.
    Stop,
}

/// How one call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the call returned 1.
    pub accepted: bool,
    /// `ctx->error`, which an accepted path may leave set.
    pub error: Option<ClientError>,
    /// `ctx->chain`.
    pub path: Vec<Certificate>,
    /// What the callback was told, in order; only for one that carries on.
    pub seen: Vec<ClientError>,
    /// A signature that this tool can't check stood in the way.
    pub unchecked: Option<String>,
}

/// What outlives a call: the first new verifier remembers signatures that failed (x509_issuer_cache.c), but not why, so that the same
/// question gets another error the second time.
#[derive(Clone, Debug, Default)]
pub struct Process {
    pub(super) failed: BTreeSet<(Fingerprint, Fingerprint)>,
}

/// Asks `X509_verify_cert` in a process that has verified nothing yet.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    judge_in(question, policy, &mut Process::default())
}

/// Asks it in a process that may have verified before, first without a callback, then with one that carries on.
#[must_use]
pub fn judge_in(question: &Question<'_>, policy: &Policy, process: &mut Process) -> Verdict {
    let outcome = verify(question, policy, Callback::Stop, process);
    let seen = verify(question, policy, Callback::CarryOn, process).seen;
    let accepted = outcome.accepted && !(policy.reads_error && outcome.error.is_some());
    match outcome {
        Outcome { path, .. } if accepted => Verdict::Trusted { path },
        Outcome { unchecked: Some(what), .. } => Verdict::unchecked(&what),
        Outcome { path, error, .. } => {
            let is_first = |e: &ClientError| error.as_ref().is_some_and(|first| (&e.code, e.depth) == (&first.code, first.depth));
            let known = seen.iter().position(is_first);
            let rest = seen.into_iter().enumerate().filter(|(at, _)| Some(*at) != known).map(|(_, e)| e);
            Verdict::Untrusted { path, errors: error.iter().cloned().chain(rest).collect() }
        }
    }
}

/// One call.
#[must_use]
pub fn verify(question: &Question<'_>, policy: &Policy, callback: Callback, process: &mut Process) -> Outcome {
    let mut outcome = match policy.verifier {
        Verifier::Legacy(legacy) => verify_legacy(question, policy, legacy, callback),
        Verifier::New(generation) => libressl_verify::verify(question, policy, generation, callback, process),
    };
    for error in outcome.error.iter_mut().chain(&mut outcome.seen) {
        if let Some(text) = own_text(&error.code, policy.new_texts) {
            error.text = text;
        }
    }
    outcome
}

/// Where its texts (crypto/x509/x509_txt.c) differ from OpenSSL's.
fn own_text(code: &str, new_texts: bool) -> Option<String> {
    match code {
        "1" if new_texts => Some("Unspecified certificate verification error".to_owned()),
        "1" | "62" | "63" | "64" if !new_texts => Some(format!("error number {code}")),
        _ => None,
    }
}

/// `X509_verify_cert_legacy`.
fn verify_legacy(question: &Question<'_>, policy: &Policy, legacy: Legacy, callback: Callback) -> Outcome {
    let builder = openssl_legacy::Policy {
        trusted_first: legacy.trusted_first,
        partial_chain: policy.partial_chain,
        ..openssl_legacy::Policy::V1_0_2
    };
    let mut errors = Errors::new(question, Dialect::OLD, openssl_rules::Callback::CarriesOn);
    let mut issuers = Dated { question, legacy, callback, left_behind: None };
    let Built { chain, untrusted } = build(question, &builder, &mut issuers, &mut errors);
    check_extensions(&chain[..untrusted], question, false, &mut errors);
    if legacy.new_constraints {
        if let Some((code, depth, rejection)) = libressl_verify::broken_constraint(&chain) {
            errors.push(code, depth, rejection);
        }
    } else {
        errors.check_name_constraints(&chain);
    }
    errors.check_host(&chain[0]);
    errors.check_each_once(&chain, untrusted, policy.partial_chain);
    let (list, unchecked) = match errors.finish() {
        Ok(list) => (list, None),
        Err(what) => (Vec::new(), Some(what)),
    };
    match callback {
        Callback::CarryOn => Outcome { accepted: true, error: list.last().cloned(), path: chain, seen: list, unchecked },
        Callback::Stop => Outcome {
            accepted: list.is_empty() && unchecked.is_none(),
            error: list.into_iter().next().or(issuers.left_behind),
            path: chain,
            seen: Vec::new(),
            unchecked,
        },
    }
}

/// Issuers that are valid now come first.
struct Dated<'a> {
    question: &'a Question<'a>,
    legacy: Legacy,
    callback: Callback,
    /// What a look at the store left in `ctx->error`.
    left_behind: Option<ClientError>,
}

impl Issuers for Dated<'_> {
    const DIALECT: Dialect = Dialect::OLD;
    const LONGEST: usize = DEPTH + 1;

    /// The first of the name, if it fits and is valid; else the first valid one that fits; else the last that fits. The look at the first
    /// one's dates is meant to be quiet (`quiet` = 1), but the function takes a depth there: the callback hears of it at depth 1.
    fn of_store(&mut self, subject: &Certificate, errors: &mut Errors<'_>) -> Option<Certificate> {
        let candidates = in_store(self.question.anchors, subject.canonical_issuer());
        if let Some(first) = candidates.first().filter(|c| Dialect::OLD.is_issued_by(subject, c)) {
            let mut dates = Errors::new(self.question, Dialect::OLD, openssl_rules::Callback::CarriesOn);
            dates.check_time(first, 1);
            let heard = dates.finish().unwrap_or_default();
            let valid = heard.is_empty();
            match self.callback {
                Callback::CarryOn => heard.into_iter().for_each(|error| errors.push_error(error)),
                Callback::Stop => self.left_behind = heard.into_iter().next().or(self.left_behind.take()),
            }
            if valid || self.callback == Callback::CarryOn {
                return Some((*first).clone());
            }
        }
        best(subject, candidates.iter().copied(), self.question, true).cloned()
    }

    fn of_sent(&mut self, subject: &Certificate, sent: &[&Certificate], errors: &mut Errors<'_>) -> Option<usize> {
        let best = |expired| best(subject, sent.iter().copied(), self.question, expired);
        let found = if !self.legacy.shuns_expired {
            best(true)
        } else if let Some(valid) = best(false) {
            Some(valid)
        } else {
            let last = best(true);
            if self.legacy.trusted_first || self.of_store(subject, errors).is_some() { None } else { last }
        };
        found.and_then(|issuer| sent.iter().position(|c| *c == issuer))
    }
}

/// The first valid issuer, else the last of those that are not, if `expired` ones may be.
fn best<'c>(
    subject: &Certificate,
    candidates: impl Iterator<Item = &'c Certificate>,
    question: &Question<'_>,
    expired: bool,
) -> Option<&'c Certificate> {
    let mut last = None;
    for candidate in candidates.filter(|c| Dialect::OLD.is_issued_by(subject, c)) {
        if is_valid_at(candidate, question.at) {
            return Some(candidate);
        }
        if expired {
            last = Some(candidate);
        }
    }
    last
}
