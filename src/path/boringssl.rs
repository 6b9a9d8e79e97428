//! BoringSSL's `X509_verify_cert` (crypto/x509/x509_vfy.cc): OpenSSL 1.0.2's builder, trusted first always, without alternative chains.
//!
//! It has no preference for what is valid now: the first issuer that fits is taken, from the store and from what was sent.

use super::{
    ClientError, Question, Rejection, Verdict,
    host_name::{CommonName, Rules},
    name_constraints,
    openssl::purpose_name,
    openssl_legacy::{self, Built, Issuers, build, first_of_store},
    openssl_rules::{self, DEPTH, Dialect, Errors, ca_kind, is_self_issued, is_unreadable, serves},
};
use crate::x509::Certificate;

/// The knobs of one way to call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `X509_V_FLAG_PARTIAL_CHAIN`: a path counts as trusted if any certificate of it is in the store; building does not stop there.
    pub partial_chain: bool,
}

/// crypto/x509/v3_purp.cc: `X509_check_issued`, `check_purpose`; `NAME_CONSTRAINTS_check` in v3_ncons.cc; `do_x509_check` and
/// `equal_wildcard` in v3_utl.cc.
const DIALECT: Dialect = Dialect {
    unreadable_is_unrelated: true,
    server_gated: false,
    constrains_common_name: false,
    host: Rules { common_name: CommonName::WithoutAltName, ..Rules::WHOLE_LABEL },
    ..Dialect::OLD
};
/// `X509_supported_extension`.
const HANDLED: &[&str] =
    &["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.37", "2.5.29.54"];

/// Asks `X509_verify_cert`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let leaf = question.leaf();
    let mut errors = Errors::new(question, DIALECT, openssl_rules::Callback::CarriesOn);
    if is_unreadable(leaf) {
        // `X509_V_ERR_INVALID_EXTENSION`, and no callback is asked.
        errors.push_plain(41, 0);
        return errors.verdict(vec![leaf.clone()]);
    }
    let builder = openssl_legacy::Policy {
        trusted_first: true,
        alternative_chains: false,
        partial_chain: policy.partial_chain,
        ..openssl_legacy::Policy::V1_0_2
    };
    let Built { chain, untrusted } = build(question, &builder, &mut First { question }, &mut errors);
    check_extensions(&chain[..untrusted], question, &mut errors);
    errors.check_host(&chain[0]);
    errors.check_every_signature_and_time(&chain);
    errors.check_name_constraints(&chain);
    check_unconstrained_name(&chain, &mut errors);
    errors.verdict(chain)
}

struct First<'a> {
    question: &'a Question<'a>,
}

impl Issuers for First<'_> {
    const DIALECT: Dialect = DIALECT;
    /// The depth counts neither leaf nor anchor.
    const LONGEST: usize = DEPTH + 2;

    fn of_store(&mut self, subject: &Certificate, _: &mut Errors<'_>) -> Option<Certificate> {
        first_of_store(self.question, &DIALECT, subject)
    }

    fn of_sent(&mut self, subject: &Certificate, sent: &[&Certificate], _: &mut Errors<'_>) -> Option<usize> {
        sent.iter().position(|c| DIALECT.is_issued_by(subject, c))
    }
}

/// `check_chain_extensions`: only what was sent.
fn check_extensions(sent: &[Certificate], question: &Question<'_>, errors: &mut Errors<'_>) {
    let mut below = 0u32;
    for (depth, certificate) in sent.iter().enumerate() {
        if certificate.extensions().iter().any(|e| e.critical && !HANDLED.contains(&&*e.oid)) {
            errors.push_plain(34, depth);
        }
        // `check_ca`: basicConstraints, or version 1 and self-signed; neither keyUsage alone nor Netscape's type.
        if depth > 0 && !matches!(ca_kind(certificate, &DIALECT), 1 | 3) {
            errors.push(24, depth, Rejection::NotCa);
        }
        // Of a CA, only extendedKeyUsage is asked; the rest was asked just now.
        if !serves(certificate, question.purpose, false, &DIALECT) && (depth == 0 || lacks_purpose(certificate, question)) {
            errors.push(26, depth, Rejection::PurposeMismatch(purpose_name(question)));
        }
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len)
            && depth > 1
            && below > limit.saturating_add(1)
        {
            errors.push(25, depth, Rejection::PathTooLong { limit, found: below - 1 });
        }
        if depth == 0 || !is_self_issued(certificate) {
            below += 1;
        }
    }
}

fn lacks_purpose(certificate: &Certificate, question: &Question<'_>) -> bool {
    certificate.extended_key_usage().is_some_and(|purposes| !purposes.contains(question.purpose))
}

/// Under constraints, a leaf without alternative names must not have a common name that looks like a host
/// (`reject_dns_name_in_common_name`).
fn check_unconstrained_name(chain: &[Certificate], errors: &mut Errors<'_>) {
    let leaf = &chain[0];
    let constrained = chain[1..].iter().any(|c| name_constraints::of(c).is_some());
    let Some(name) = leaf.subject().common_name().filter(|name| looks_like_host(name)) else { return };
    if constrained && leaf.subject_alt_name().is_none() {
        errors.push_error(ClientError {
            code: "67".into(),
            name: "X509_V_ERR_NAME_CONSTRAINTS_WITHOUT_SANS".into(),
            depth: Some(0),
            text: "Issuer has name constraints but leaf has no SANs".into(),
            rejection: Rejection::NameConstraintViolated(name),
        });
    }
}

/// `x509v3_looks_like_dns_name`.
fn looks_like_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.strip_prefix("*.").unwrap_or(name);
    let in_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':');
    name.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && label.bytes().all(in_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_are_told_from_decoration() {
        for name in ["localhost", "a.example", "*.a.example.", "under_score", "::1"] {
            assert!(looks_like_host(name), "{name}");
        }
        for name in ["", "Lab Root CA", "a..b", "-a", "a.-b"] {
            assert!(!looks_like_host(name), "{name}");
        }
    }
}
