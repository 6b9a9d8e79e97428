//! What the two path builders of OpenSSL share: the issuer test, the store's lookups, the checks on one certificate.
//!
//! Sources: crypto/x509/x509_vfy.c, v3_purp.c, x509_lu.c, by_dir.c of 1.0.2u, 1.1.1w and 3.0.

use std::collections::BTreeSet;

use super::{
    Anchors, ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, Scope, Violation},
    openssl_errors::{Texts, name, text},
};
use crate::{
    base::{At, same},
    x509::{AuthorityKeyId, Certificate, Defect, Ending, GeneralName, Hash, KeyAlgorithm, Purpose, SignatureError, read_tlv},
};

/// The longest path: `X509_VERIFY_PARAM`'s default depth of 100 counts the certificates between leaf and anchor (x509_vpm.c).
pub(super) const DEPTH: usize = 100;

/// What differs between versions in the tests on single certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Numbers and texts.
    pub texts: Texts,
    /// Whether an issuer whose keyUsage lacks keyCertSign is no issuer at all (up to 1.1.1g); later the fault is reported as 32.
    pub issuer_needs_cert_sign: bool,
    /// Whether a certificate with an extension that can't be read has no issuer and is none (`X509_V_ERR_UNSPECIFIED` in
    /// `x509_likely_issued`, from 1.1.1h).
    pub unreadable_is_unrelated: bool,
    /// Whether the issuer's key must be of the kind that the signature needs (from 3.0).
    pub issuer_needs_key_kind: bool,
    /// Whether Netscape's and Microsoft's server-gated cryptography serve as serverAuth (not in BoringSSL).
    pub server_gated: bool,
    /// Whether name constraints on DNS names hold for the common name of a leaf without DNS names (not in BoringSSL).
    pub constrains_common_name: bool,
    /// How host names are compared.
    pub host: Rules,
}

impl Dialect {
    /// 1.0.1 to 1.1.1g, from which the other libraries came.
    pub const OLD: Dialect = Dialect {
        texts: Texts::Before3,
        issuer_needs_cert_sign: true,
        unreadable_is_unrelated: false,
        issuer_needs_key_kind: false,
        server_gated: true,
        constrains_common_name: true,
        host: Rules::OPENSSL,
    };
}

/// Which errors a verify callback lets pass; the first other one ends the verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// All of them: `openssl s_client` without `-verify_return_error`.
    CarriesOn,
    /// Those of `openssl verify` (`cb` in apps/verify.c): expiry, a self-signed leaf, extensions, policies.
    Verify,
}

impl Callback {
    fn lets_pass(self, code: u32) -> bool {
        match self {
            Callback::CarriesOn => true,
            Callback::Verify => matches!(code, 10 | 11 | 12 | 18 | 25 | 26 | 34 | 37 | 43 | 78..=93),
        }
    }
}

/// Errors as a callback sees them, and what this tool couldn't check.
pub(super) struct Errors<'a> {
    question: &'a Question<'a>,
    dialect: Dialect,
    callback: Callback,
    stopped: bool,
    list: Vec<ClientError>,
    unsupported: Option<(usize, String)>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(question: &'a Question<'a>, dialect: Dialect, callback: Callback) -> Self {
        Errors { question, dialect, callback, stopped: false, list: Vec::new(), unsupported: None }
    }

    /// Whether the callback has ended the verification; what is pushed now is not heard.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Ends the verification as an internal error does: the callback is not asked, and 1 stands only where nothing else does.
    pub(super) fn abort(&mut self) {
        if self.list.is_empty() {
            self.push_plain(1, 0);
        }
        self.stopped = true;
    }

    /// Runs a verification inside this one, which may end without ending this one; whether it went through.
    pub(super) fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let result = run(self);
        let good = !std::mem::take(&mut self.stopped);
        (result, good)
    }

    /// Reports the last error again at `depth`; `false` when there is none.
    pub(super) fn repeat_last(&mut self, depth: usize) -> bool {
        let Some(last) = self.list.last() else { return false };
        let again = ClientError { depth: Some(depth), ..last.clone() };
        self.list.push(again);
        true
    }

    /// Notes a signature that this tool can't check.
    pub(super) fn unsupported(&mut self, what: String) {
        if !self.stopped {
            let before = self.list.len();
            self.unsupported.get_or_insert((before, what));
        }
    }

    pub(super) fn push(&mut self, code: u32, depth: usize, rejection: Rejection) {
        if self.stopped {
            return;
        }
        self.stopped = !self.callback.lets_pass(code);
        let texts = self.dialect.texts;
        self.list.push(ClientError {
            code: code.to_string(),
            name: name(code, texts).to_owned(),
            depth: Some(depth),
            text: text(code, texts).to_owned(),
            rejection,
        });
    }

    pub(super) fn push_error(&mut self, error: ClientError) {
        self.list.push(error);
    }

    /// An error that has no counterpart in our own terms.
    pub(super) fn push_plain(&mut self, code: u32, depth: usize) {
        self.push(code, depth, Rejection::Other(text(code, self.dialect.texts).to_owned()));
    }

    pub(super) fn verdict(self, path: Vec<Certificate>) -> Verdict {
        match self.finish() {
            Err(what) => Verdict::unchecked(&what),
            Ok(errors) if errors.is_empty() => Verdict::Trusted { path },
            Ok(errors) => Verdict::Untrusted { path, errors },
        }
    }

    /// The list, unless its beginning is not known: what comes before an unchecked signature stands, what comes after may not be
    /// the first error. Then the signature's algorithm.
    pub(super) fn finish(self) -> Result<Vec<ClientError>, String> {
        match self.unsupported {
            Some((0, what)) => Err(what),
            _ => Ok(self.list),
        }
    }

    /// `X509_cmp_time` at both ends: notAfter itself is already too late.
    pub(super) fn check_time(&mut self, certificate: &Certificate, depth: usize) {
        let at = self.question.at;
        let validity = certificate.validity();
        match validity.not_before {
            None => self.push(13, depth, Rejection::DateUnreadable),
            Some(not_before) if at < not_before => self.push(9, depth, Rejection::NotYetValid { not_before, at }),
            Some(_) => {}
        }
        match validity.not_after {
            None => self.push(14, depth, Rejection::DateUnreadable),
            Some(not_after) if not_after <= at => self.push(10, depth, Rejection::Expired { not_after, at }),
            Some(_) => {}
        }
    }

    /// `check_id`: a name or an address, and a mailbox (63).
    pub(super) fn check_identity(&mut self, leaf: &Certificate) {
        self.check_host(leaf);
        let Some(mailbox) = self.question.extra.email else { return };
        if let Err(rejection) = host_name::check_email(leaf, mailbox) {
            self.push(63, 0, rejection);
        }
    }

    /// An address by its octets (64), a name by DNS names or the common name (62).
    pub(super) fn check_host(&mut self, leaf: &Certificate) {
        let Some(host) = self.question.host else { return };
        if let Err(rejection) = host_name::check(leaf, host, self.dialect.host) {
            let code = if host.parse::<std::net::IpAddr>().is_ok() { 64 } else { 62 };
            self.push(code, 0, rejection);
        }
    }

    /// `check_name_constraints`: from the top down, each certificate against the constraints of all above it.
    pub(super) fn check_name_constraints(&mut self, chain: &[Certificate]) {
        for (depth, certificate) in chain.iter().enumerate().rev() {
            if depth != 0 && is_self_issued(certificate) {
                continue;
            }
            if self.dialect.texts != Texts::Before3 && is_proxy(certificate) && !is_proxy_name(certificate) {
                self.push_plain(72, depth);
            }
            for constraints in chain[depth + 1..].iter().rev().filter_map(name_constraints::of) {
                let scope = Scope {
                    common_name: self.dialect.constrains_common_name && depth == 0 && !has_dns_name(certificate),
                    directory: true,
                    subject_email: true,
                };
                if let Err(violation) = constraints.check(certificate, scope) {
                    let (code, rejection) = constraint_error(violation);
                    self.push(code, depth, rejection);
                }
            }
        }
    }

    /// `internal_verify`: from the top down, signature and times; the self-signed top is not checked against itself.
    /// With `own` its signature is.
    pub(super) fn check_signatures_and_times(&mut self, chain: &[Certificate], partial: bool, after_lone_leaf: bool, own: bool) {
        let top = chain.len() - 1;
        if own && self.dialect.is_self_signed(&chain[top]) {
            self.check_signature(&chain[top], &chain[top], top, top);
        }
        self.check_from_the_top(chain, partial, after_lone_leaf, |_| true);
    }

    /// The same for 1.0.1 and 1.0.2, which mark a certificate as checked (`xs->valid`), and so check each object once however often a loop
    /// brings it into the path. What was sent and what the store holds are different objects.
    pub(super) fn check_each_once(&mut self, chain: &[Certificate], untrusted: usize, partial: bool) {
        let mut checked = BTreeSet::new();
        self.check_from_the_top(chain, partial, false, |depth| checked.insert((depth < untrusted, chain[depth].fingerprint())));
    }

    /// `check_chain_signatures_and_time` of BoringSSL (crypto/x509/x509_vfy.cc): the same without exceptions, the top's times always.
    pub(super) fn check_every_signature_and_time(&mut self, chain: &[Certificate]) {
        for (depth, subject) in chain.iter().enumerate().rev() {
            if let Some(issuer) = chain.get(depth + 1) {
                self.check_signature(subject, issuer, depth, depth + 1);
            }
            self.check_time(subject, depth);
        }
    }

    fn check_from_the_top(
        &mut self,
        chain: &[Certificate],
        partial: bool,
        after_lone_leaf: bool,
        mut wanted: impl FnMut(usize) -> bool,
    ) {
        let top = chain.len() - 1;
        let mut issuer = &chain[top];
        let mut depth = top;
        if !self.dialect.is_self_signed(issuer) && !partial {
            if top == 0 {
                self.push(21, 0, Rejection::IssuerMissing(issuer.issuer().to_string()));
                if after_lone_leaf {
                    self.check_time(issuer, 0);
                }
                return;
            }
            depth -= 1;
        }
        loop {
            let subject = &chain[depth];
            if wanted(depth) && depth < top {
                self.check_signature(subject, issuer, depth, depth + 1);
            }
            self.check_time(subject, depth);
            if depth == 0 {
                return;
            }
            issuer = subject;
            depth -= 1;
        }
    }

    fn check_signature(&mut self, subject: &Certificate, issuer: &Certificate, depth: usize, issuer_depth: usize) {
        let usage = issuer.key_usage().filter(|_| depth != issuer_depth || issuer.is_ca());
        if !self.dialect.issuer_needs_cert_sign {
            // `ossl_x509_signing_allowed`.
            if is_proxy(subject) && self.dialect.texts != Texts::Before3 {
                if usage.is_some_and(|usage| !usage.digital_signature()) {
                    self.push_plain(39, issuer_depth);
                }
            } else if usage.is_some_and(|usage| !usage.key_cert_sign()) {
                self.push(32, issuer_depth, Rejection::KeyUsageLacksCertSign);
            }
        }
        if issuer.defects().contains(&Defect::BadPublicKey) {
            self.push(6, issuer_depth, Rejection::Other("the issuer's public key can't be read".to_owned()));
            return;
        }
        // `X509_verify` compares the two algorithm fields first.
        if subject.defects().contains(&Defect::SignatureAlgorithmMismatch) {
            self.push(7, depth, Rejection::InvalidSignature);
            return;
        }
        match self.question.signatures.verify(subject, issuer) {
            Ok(()) => {}
            Err(SignatureError::Invalid | SignatureError::KeyMismatch) => self.push(7, depth, Rejection::InvalidSignature),
            Err(SignatureError::Unsupported(what)) => self.unsupported(what),
        }
    }
}

/// What a store's certificate says about being trusted (`X509_check_trust`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trusted {
    Yes,
    Rejected,
    Unsaid,
}

/// The settings of a `TRUSTED CERTIFICATE`; without any, a self-signed certificate is trusted.
pub(super) fn trusts(certificate: &Certificate, purpose: &Purpose, dialect: &Dialect) -> Trusted {
    match said_trust(certificate, purpose) {
        Trusted::Unsaid if dialect.is_self_signed(certificate) => Trusted::Yes,
        said => said,
    }
}

/// `obj_trust` (crypto/x509/x509_trust.c): any purpose stands for every one; a list without the purpose rejects it.
pub(super) fn said_trust(certificate: &Certificate, purpose: &Purpose) -> Trusted {
    let Some(trust) = certificate.trust() else { return Trusted::Unsaid };
    let meant = |p: &Purpose| p == purpose || *p == Purpose::Any;
    match &trust.trusted {
        _ if trust.rejected.iter().any(meant) => Trusted::Rejected,
        Some(trusted) if trusted.iter().any(meant) => Trusted::Yes,
        Some(_) => Trusted::Rejected,
        None => Trusted::Unsaid,
    }
}

impl Dialect {
    /// `check_issued`: names, key identifiers, and what the version adds.
    pub(super) fn is_issued_by(&self, subject: &Certificate, issuer: &Certificate) -> bool {
        subject.canonical_issuer() == issuer.canonical_subject()
            && !(self.unreadable_is_unrelated && (is_unreadable(subject) || is_unreadable(issuer)))
            && authority_key_id_fits(subject.authority_key_id(), issuer)
            && (!self.issuer_needs_key_kind || subject.signature_suits_key_of(issuer))
            && !(self.issuer_needs_cert_sign && issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()))
    }

    /// `EXFLAG_SS`: a certificate that passes the issuer test against itself.
    #[must_use]
    pub fn is_self_signed(&self, certificate: &Certificate) -> bool {
        self.is_issued_by(certificate, certificate)
    }
}

/// Every certificate of the store with this subject, as the lookups see them: the directory is asked only if the file has none
/// (`X509_STORE_CTX_get_by_subject`: lookup methods run when no cached object has the subject).
pub(super) fn in_store<'a>(anchors: &'a Anchors, name: &[u8]) -> Vec<&'a Certificate> {
    let ending = Ending::of(name);
    let is_named = |c: &&Certificate| !ending.differs_from(c.subject()) && same(c.canonical_subject(), name);
    let of_name = |list: &'a [Certificate]| list.iter().filter(is_named).collect::<Vec<_>>();
    let found = of_name(&anchors.file);
    if found.is_empty() { of_name(&anchors.directory) } else { found }
}

/// `X509_check_akid`: a key identifier, a serial and an issuer, each only if both sides have it.
pub(super) fn authority_key_id_fits(authority: Option<&AuthorityKeyId>, issuer: &Certificate) -> bool {
    let Some(authority) = authority else { return true };
    if let (Some(wanted), Some(found)) = (&authority.key_id, issuer.subject_key_id())
        && wanted != found
    {
        return false;
    }
    if authority.serial.as_ref().is_some_and(|serial| serial != issuer.serial()) {
        return false;
    }
    authority.issuer.first().is_none_or(|name| name.canonical() == issuer.canonical_issuer())
}

/// `EXFLAG_INVALID` (`ossl_x509v3_cache_extensions`): an extension that OpenSSL caches can't be read or stands twice, keyUsage allows
/// nothing, or a proxy certificate is a CA or has alternative names.
#[must_use]
pub fn is_unreadable(certificate: &Certificate) -> bool {
    const CACHED: &[&str] = &[
        "1.3.6.1.5.5.7.1.14",
        "2.16.840.1.113730.1.1",
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.31",
        "2.5.29.35",
        "2.5.29.37",
    ];
    let bad = |defect: &Defect| match defect {
        Defect::BadExtension(oid, _) | Defect::DuplicateExtension(oid) => CACHED.contains(&oid.as_str()),
        _ => false,
    };
    let named = |oid: &str| certificate.extension(oid).is_some();
    certificate.defects().iter().any(bad)
        || certificate.key_usage().is_some_and(|usage| usage.0 == 0)
        || (is_proxy(certificate) && (certificate.is_ca() || named("2.5.29.17") || named("2.5.29.18")))
}

pub(super) fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.canonical_subject() == certificate.canonical_issuer()
}

pub(super) fn is_valid_at(certificate: &Certificate, at: At) -> bool {
    let validity = certificate.validity();
    validity.not_before.is_some_and(|start| start <= at) && validity.not_after.is_some_and(|end| at < end)
}

/// The code of a broken name constraint (`nc_match`, crypto/x509/v3_ncons.c).
pub(super) fn constraint_error(violation: Violation) -> (u32, Rejection) {
    let (code, what) = match violation {
        Violation::NotPermitted(what) => (47, what),
        Violation::Excluded(what) => (48, what),
        Violation::MinMax => (49, "minimum or maximum".to_owned()),
        Violation::TooMany => (1, "more names and constraints than a client compares".to_owned()),
        Violation::UnsupportedKind => (51, "a kind that is not supported".to_owned()),
        Violation::Syntax => (53, "a name that can't be read".to_owned()),
    };
    (code, Rejection::NameConstraintViolated(what))
}

pub(super) fn has_dns_name(certificate: &Certificate) -> bool {
    certificate.subject_alt_name().unwrap_or_default().iter().any(|n| matches!(n, GeneralName::Dns(_)))
}

/// `check_ca` (v3_purp.c): 0 no CA, 1 CA by basicConstraints, 3 self-signed version 1, 4 keyUsage alone, 5 Netscape's certificate type.
pub(super) fn ca_kind(certificate: &Certificate, dialect: &Dialect) -> u8 {
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return 0;
    }
    if dialect.unreadable_is_unrelated && is_unreadable(certificate) {
        return 0;
    }
    if let Some(basic) = certificate.basic_constraints() {
        return u8::from(basic.ca);
    }
    if certificate.version() == 1 && dialect.is_self_signed(certificate) {
        return 3;
    }
    if certificate.key_usage().is_some() {
        return 4;
    }
    // NS_ANY_CA: the three lowest bits of the first octet.
    let netscape = certificate.extension("2.16.840.1.113730.1.1").and_then(|(_, value)| value.get(3).copied());
    if netscape.is_some_and(|bits| bits & 0x07 != 0) { 5 } else { 0 }
}

/// `X509_check_purpose` for TLS servers and clients: extendedKeyUsage (Netscape's and Microsoft's server-gated cryptography count),
/// then a CA's CA kind, or a leaf's keyUsage.
pub(super) fn serves(certificate: &Certificate, purpose: &Purpose, as_ca: bool, dialect: &Dialect) -> bool {
    let gated = |p: &Purpose| matches!(p, Purpose::Other(o) if o == "1.3.6.1.4.1.311.10.3.3" || o == "2.16.840.1.113730.4.1");
    let allowed = |p: &Purpose| p == purpose || (dialect.server_gated && *purpose == Purpose::ServerAuth && gated(p));
    if *purpose == Purpose::Any {
        return true;
    }
    if certificate.extended_key_usage().is_some_and(|purposes| !purposes.iter().any(allowed)) {
        return false;
    }
    if as_ca {
        return ca_kind(certificate, dialect) != 0;
    }
    match (purpose, certificate.key_usage()) {
        (Purpose::ServerAuth, Some(usage)) => usage.digital_signature() || usage.key_encipherment() || usage.key_agreement(),
        (Purpose::ClientAuth, Some(usage)) => usage.digital_signature() || usage.key_agreement(),
        _ => true,
    }
}

/// An extension marked critical that OpenSSL does not process (`X509_supported_extension`).
pub(super) fn has_unhandled_critical(certificate: &Certificate, dialect: &Dialect) -> bool {
    const HANDLED: &[&str] = &[
        "1.3.6.1.5.5.7.1.14",
        "1.3.6.1.5.5.7.1.7",
        "1.3.6.1.5.5.7.1.8",
        "2.16.840.1.113730.1.1",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.31",
        "2.5.29.32",
        "2.5.29.33",
        "2.5.29.36",
        "2.5.29.37",
        "2.5.29.54",
    ];
    // Key identifiers and id-pkix-ocsp-nocheck joined the list in 3.0.
    let since_3 = |oid: &str| matches!(oid, "1.3.6.1.5.5.7.48.1.5" | "2.5.29.14" | "2.5.29.35");
    let handled = |oid: &str| HANDLED.contains(&oid) || (dialect.texts != Texts::Before3 && since_3(oid));
    certificate.extensions().iter().any(|e| e.critical && !handled(&e.oid))
}

/// RFC 3820 proxy certificates are refused unless an application allows them.
pub(super) fn is_proxy(certificate: &Certificate) -> bool {
    certificate.extension("1.3.6.1.5.5.7.1.14").is_some()
}

/// pCPathLenConstraint (RFC 3820, section 3.8.1).
pub(super) fn proxy_length(certificate: &Certificate) -> Option<u32> {
    let (_, value) = certificate.extension("1.3.6.1.5.5.7.1.14")?;
    let (outer, _) = read_tlv(value)?;
    let (length, _) = read_tlv(outer.value).filter(|(t, _)| t.tag == 0x02)?;
    Some(length.value.iter().fold(0u32, |acc, b| acc.saturating_mul(256).saturating_add(u32::from(*b))))
}

/// The subject is the issuer and one common name more, alone in its RDN (RFC 3820, section 3.4).
fn is_proxy_name(certificate: &Certificate) -> bool {
    let subject: Vec<_> = certificate.subject().attributes().collect();
    let [.., (before, ..), (last, oid, _)] = &subject[..] else { return false };
    let common_name = *oid == [0x55, 0x04, 0x03];
    before != last
        && common_name
        && subject.len() == certificate.issuer().attributes().count() + 1
        && certificate.canonical_subject().starts_with(certificate.canonical_issuer())
}

/// `EVP_PKEY_security_bits`.
pub(super) fn key_security_bits(certificate: &Certificate, texts: Texts) -> u32 {
    let key = certificate.public_key();
    match &key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::Dsa => factoring_security_bits(key.bits, texts),
        KeyAlgorithm::Ec(_) => match key.bits {
            512.. => 256,
            384.. => 192,
            256.. => 128,
            224.. => 112,
            160.. => 80,
            bits => bits / 2,
        },
        KeyAlgorithm::Ed25519 => 128,
        KeyAlgorithm::Ed448 => 224,
        KeyAlgorithm::Other(oid) => match oid.as_str() {
            // X25519 and X448.
            "1.3.101.110" => 128,
            "1.3.101.111" => 224,
            _ => 0,
        },
    }
}

/// `BN_security_bits` before 3.0; `ossl_ifc_ffc_compute_security_bits` since: FIPS 140-2 IG 7.5, rounded to a multiple of 8.
fn factoring_security_bits(bits: u32, texts: Texts) -> u32 {
    if texts == Texts::Before3 {
        return match bits {
            15360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            _ => 0,
        };
    }
    match bits {
        0..8 => 0,
        2048 => 112,
        3072 => 128,
        4096 => 152,
        6144 => 176,
        7680 => 192,
        8192 => 200,
        15360 => 256,
        _ => {
            let x = f64::from(bits) * std::f64::consts::LN_2;
            let y = (1.923 * (x * x.ln().powi(2)).cbrt() - 4.69) / std::f64::consts::LN_2;
            let cap = if bits <= 7680 {
                192
            } else if bits <= 15360 {
                256
            } else {
                1200
            };
            // Truncation is upstream's.
            ((y.max(0.0) as u32 + 4) & !7).min(cap)
        }
    }
}

/// The strength of the digest in a signature (`X509_get_signature_info`): half its bits; 3.0 counts collisions found in MD5 and SHA-1.
pub(super) fn signature_security_bits(certificate: &Certificate, texts: Texts) -> Option<u32> {
    let algorithm = certificate.signature_algorithm();
    Some(match algorithm.hash {
        Some(Hash::Md2) => 64,
        Some(Hash::Md5) => {
            if texts == Texts::Before3 {
                64
            } else {
                39
            }
        }
        Some(Hash::Sha1) => {
            if texts == Texts::Before3 {
                80
            } else {
                63
            }
        }
        Some(Hash::Sha224) => 112,
        Some(Hash::Sha256) => 128,
        Some(Hash::Sha384) => 192,
        Some(Hash::Sha512) => 256,
        None => match &*algorithm.oid {
            "1.3.101.112" => 128,
            "1.3.101.113" => 224,
            _ => return None,
        },
    })
}
