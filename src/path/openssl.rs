//! OpenSSL 1.1.0 to 4.0: `build_chain` (crypto/x509/x509_vfy.c), rewritten in 1.1.0 and trusted-first by default.
//!
//! What was sent is followed only until the store knows an issuer; from there on only the store is asked, and never again what was
//! sent. There is no backtracking.

use super::{
    Question, Rejection, Verdict,
    host_name::Rules,
    openssl_crl,
    openssl_errors::Texts,
    openssl_policy,
    openssl_rules::{
        Callback, DEPTH, Dialect, Errors, Trusted, ca_kind, has_unhandled_critical, in_store, is_proxy, is_self_issued,
        is_unreadable, is_valid_at, key_security_bits, proxy_length, said_trust, serves, signature_security_bits, trusts,
    },
};
use crate::x509::{Certificate, Defect, KeyAlgorithm, Purpose};

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
    /// How many certificates may stand between leaf and anchor (`X509_VERIFY_PARAM_set_depth`).
    pub depth: usize,
    /// `X509_V_FLAG_CHECK_SS_SIGNATURE`: the signature of a self-signed anchor is checked too.
    pub check_own_signature: bool,
    /// `X509_V_FLAG_ALLOW_PROXY_CERTS`.
    pub allow_proxies: bool,
    /// Revocation.
    pub crl: openssl_crl::Demands,
    /// Certificate policies.
    pub policies: openssl_policy::Demands,
    /// Which errors the caller lets pass on the way.
    pub callback: Callback,
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
        depth: DEPTH,
        check_own_signature: false,
        allow_proxies: false,
        crl: openssl_crl::Demands { check: openssl_crl::Reach::Nobody, extended: false, deltas: false },
        policies: openssl_policy::Demands { check: false, explicit: false, inhibit_any: false, inhibit_map: false },
        callback: Callback::CarriesOn,
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

/// Asks `X509_verify_cert`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut errors = Errors::new(question, policy.dialect, policy.callback);
    let chain = verify(question, policy, question.leaf(), false, &mut errors);
    errors.verdict(chain)
}

/// `verify_chain`; `nested` for the issuer of a revocation list, which must be able to sign lists instead of serving the purpose.
pub(super) fn verify(
    question: &Question<'_>,
    policy: &Policy,
    leaf: &Certificate,
    nested: bool,
    errors: &mut Errors<'_>,
) -> Vec<Certificate> {
    check_leaf_key(leaf, policy, errors);
    if errors.stopped() {
        return vec![leaf.clone()];
    }
    let Built { chain, untrusted } = build(question, policy, leaf, errors);
    let steps: [&dyn Fn(&mut Errors<'_>); 8] = [
        &|errors| check_extensions(&chain, untrusted, question, policy, nested, errors),
        &|errors| check_level(&chain, policy, errors),
        &|errors| errors.check_identity(&chain[0]),
        &|errors| {
            // `X509_get_pubkey_parameters` fails without a word.
            if policy.is_3() && !is_key_readable(&chain[0]) {
                errors.abort();
            }
        },
        &|errors| openssl_crl::check(question, policy, nested, &chain, errors),
        &|errors| {
            errors.check_signatures_and_times(&chain, policy.partial_chain, policy.is_3(), policy.check_own_signature);
        },
        &|errors| errors.check_name_constraints(&chain),
        &|errors| {
            if policy.policies.check && !nested {
                check_policies(&chain, question, policy, errors);
            }
        },
    ];
    for step in steps {
        if errors.stopped() {
            break;
        }
        step(errors);
    }
    chain
}

/// `check_policy`.
fn check_policies(chain: &[Certificate], question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) {
    match openssl_policy::check(chain, question.extra.policies, policy.policies) {
        openssl_policy::Outcome::Valid => {}
        openssl_policy::Outcome::NoPolicy => errors.push_plain(43, 0),
        openssl_policy::Outcome::Invalid => {
            for (depth, certificate) in chain[..chain.len() - 1].iter().enumerate() {
                if openssl_policy::Policies::of(certificate).is_none() {
                    errors.push_plain(42, depth);
                }
            }
        }
    }
}

struct Built {
    chain: Vec<Certificate>,
    /// How many certificates, from the leaf up, did not come from the store (`num_untrusted`).
    untrusted: usize,
}

fn build(question: &Question<'_>, policy: &Policy, leaf: &Certificate, errors: &mut Errors<'_>) -> Built {
    let dialect = &policy.dialect;
    // Chains are built up to one longer than the depth allows, and then refused with 22.
    let length = policy.depth.saturating_add(1);
    let mut sent: Vec<&Certificate> = question.untrusted().iter().collect();
    let mut chain = vec![leaf.clone()];
    let mut untrusted = 1;
    let mut trust = Trusted::Unsaid;
    let mut ask_sent = true;
    loop {
        let last = chain[chain.len() - 1].clone();
        let self_signed = dialect.is_self_signed(&last);
        let known = chain.len();
        let mut found = if known > length { None } else { store_issuer(question, policy, &chain, &last) };
        if let Some(issuer) = &found {
            if !self_signed {
                chain.push(issuer.clone());
            } else if known == untrusted {
                // A self-signed certificate that was sent must be the store's own, byte for byte.
                if *issuer == last {
                    untrusted -= 1;
                    chain[untrusted] = issuer.clone();
                } else {
                    found = None;
                }
            }
        }
        if found.is_some() {
            ask_sent = false;
            let from = if chain.len() > known { known } else { known - 1 };
            trust = check_trust(&chain, from.max(untrusted), question, policy, errors);
            if trust != Trusted::Unsaid {
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
        let next = if dialect.is_self_signed(last) || chain.len() > length {
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
    if trust == Trusted::Unsaid && chain.len() == untrusted && chain.len() <= length && policy.partial_chain {
        // `lookup_cert_match` goes the way of every lookup: a directory behind a file that has the name is not seen.
        let own = in_store(question.anchors, chain[0].canonical_subject()).into_iter().find(|c| **c == chain[0]);
        if let Some(own) = own {
            if trusts(own, question.purpose, dialect) == Trusted::Rejected {
                errors.push(28, 0, Rejection::Other("the store rejects it for this purpose".to_owned()));
            } else {
                chain[0] = own.clone();
                untrusted = 0;
                trust = Trusted::Yes;
            }
        }
    }
    if trust == Trusted::Unsaid && !errors.stopped() {
        report_untrusted(&chain, untrusted, policy, errors);
    }
    Built { chain, untrusted }
}

fn report_untrusted(chain: &[Certificate], untrusted: usize, policy: &Policy, errors: &mut Errors<'_>) {
    let dialect = &policy.dialect;
    let depth = chain.len() - 1;
    let last = &chain[depth];
    // From 3.0 an error that the callback let pass before is reported in place of these.
    if policy.is_3() && errors.repeat_last(depth) {
        return;
    }
    if chain.len() > policy.depth.saturating_add(1) {
        errors.push(22, depth, Rejection::BudgetExceeded("path depth", policy.depth));
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
        // A certificate with an extension that can't be read has no issuer, whatever is in the store.
        let rejection = if dialect.unreadable_is_unrelated && is_unreadable(last) {
            Rejection::ExtensionUnreadable(unreadable_extension(last))
        } else {
            Rejection::IssuerMissing(last.issuer().to_string())
        };
        errors.push(code, depth, rejection);
    }
}

/// The dotted OID of the extension that makes a certificate unusable to OpenSSL.
fn unreadable_extension(certificate: &Certificate) -> String {
    let found = certificate.defects().iter().find_map(|defect| match defect {
        Defect::BadExtension(oid, _) | Defect::DuplicateExtension(oid) => Some(oid.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| "2.5.29.15".to_owned())
}

/// `check_trust`: what the settings of a store's certificate say, a self-signed one by itself, or any one with PARTIAL_CHAIN.
fn check_trust(chain: &[Certificate], from: usize, question: &Question<'_>, policy: &Policy, errors: &mut Errors<'_>) -> Trusted {
    for (depth, certificate) in chain.iter().enumerate().skip(from) {
        match trusts(certificate, question.purpose, &policy.dialect) {
            Trusted::Yes => return Trusted::Yes,
            Trusted::Rejected => {
                errors.push(28, depth, Rejection::Other("the store rejects it for this purpose".to_owned()));
                return if errors.stopped() { Trusted::Rejected } else { Trusted::Unsaid };
            }
            Trusted::Unsaid => {}
        }
    }
    if policy.partial_chain && from < chain.len() { Trusted::Yes } else { Trusted::Unsaid }
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
fn check_extensions(
    chain: &[Certificate],
    untrusted: usize,
    question: &Question<'_>,
    policy: &Policy,
    nested: bool,
    errors: &mut Errors<'_>,
) {
    let dialect = &policy.dialect;
    let invalid_ca = if policy.is_3() { 79 } else { 24 };
    let mut below = 0u32;
    let mut proxies = 0u32;
    let mut expected = Expected::Leaf;
    for (depth, certificate) in chain.iter().enumerate() {
        if has_unhandled_critical(certificate, dialect) {
            errors.push_plain(34, depth);
        }
        let proxy = is_proxy(certificate);
        if proxy && (nested || !policy.allow_proxies) {
            errors.push_plain(40, depth);
        }
        let kind = ca_kind(certificate, dialect);
        match expected {
            Expected::Leaf if policy.strict && kind > 1 => errors.push(invalid_ca, depth, Rejection::NotCa),
            Expected::Ca if kind == 0 || ((depth + 1 < chain.len() || policy.strict) && kind != 1) => {
                errors.push(invalid_ca, depth, Rejection::NotCa);
            }
            Expected::NoCa if kind != 0 => errors.push_plain(37, depth),
            Expected::Leaf | Expected::Ca | Expected::NoCa => {}
        }
        if policy.is_3() && chain.len() > 1 {
            // `check_curve`.
            if !is_key_readable(certificate) {
                errors.push_plain(1, depth);
            } else if certificate.public_key().explicit_curve {
                errors.push_plain(94, depth);
            }
        }
        if policy.strict && policy.is_3() && chain.len() > 1 {
            check_strictly(certificate, depth, depth + 1 == chain.len(), errors);
        }
        let wrong_purpose = if nested {
            !may_sign_lists(certificate, expected == Expected::Ca, dialect)
        } else {
            !is_for(certificate, depth >= untrusted, question, policy, expected == Expected::Ca)
        };
        if wrong_purpose {
            errors.push(26, depth, Rejection::PurposeMismatch(purpose_name(question)));
        }
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len)
            && depth > 1
            && below > limit.saturating_add(proxies)
        {
            errors.push(25, depth, Rejection::PathTooLong { limit, found: below });
        }
        if depth > 0 && !is_self_issued(certificate) {
            below += 1;
        }
        // RFC 3820: another proxy or the leaf itself signs a proxy.
        if proxy {
            if let Some(limit) = proxy_length(certificate) {
                if proxies > limit {
                    errors.push(38, depth, Rejection::PathTooLong { limit, found: proxies });
                }
                proxies = limit;
            }
            proxies = proxies.saturating_add(1);
            expected = Expected::NoCa;
        } else {
            expected = Expected::Ca;
        }
    }
}

/// What a certificate must be at its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Anything: the first.
    Leaf,
    /// A CA.
    Ca,
    /// No CA, because a proxy certificate stands below.
    NoCa,
}

/// Kinds of keys that OpenSSL reads, although they sign nothing here: X25519, X448, Diffie-Hellman, SM2.
const READABLE_KEYS: &[&str] = &["1.2.840.10046.2.1", "1.2.840.113549.1.3.1", "1.3.101.110", "1.3.101.111"];

/// Whether `X509_get0_pubkey` gives a key.
fn is_key_readable(certificate: &Certificate) -> bool {
    match &certificate.public_key().algorithm {
        KeyAlgorithm::Other(oid) => READABLE_KEYS.contains(&oid.as_str()),
        _ => true,
    }
}

/// `check_purpose`: the settings of a store's certificate come before its extensions; what can't be read passes, unless strictly.
fn is_for(certificate: &Certificate, from_store: bool, question: &Question<'_>, policy: &Policy, as_ca: bool) -> bool {
    if *question.purpose == Purpose::Any {
        return true;
    }
    let said = if from_store { said_trust(certificate, question.purpose) } else { Trusted::Unsaid };
    match said {
        Trusted::Yes => true,
        Trusted::Rejected => false,
        Trusted::Unsaid if policy.dialect.unreadable_is_unrelated && is_unreadable(certificate) => !policy.strict,
        Trusted::Unsaid => serves(certificate, question.purpose, as_ca, &policy.dialect),
    }
}

/// `check_purpose_crl_sign`.
fn may_sign_lists(certificate: &Certificate, as_ca: bool, dialect: &Dialect) -> bool {
    if as_ca { ca_kind(certificate, dialect) != 0 } else { certificate.key_usage().is_none_or(|usage| usage.crl_sign()) }
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
