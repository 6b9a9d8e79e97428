//! GnuTLS: `gnutls_x509_trust_list_verify_crt2` (lib/x509/verify-high.c) and `_gnutls_verify_crt_status` (verify.c).
//!
//! Any certificate of the store may end a path. Only the *last* certificate of the sorted list gets a second chance with another anchor,
//! and before 3.6.14 an expired anchor was no reason for one.
//!
//! Every recorded case agrees, and GnuTLS 3.7.9 of Debian 12 in verdict and status bits over random PKIs (`tests/clients_live.rs`).

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, NameConstraints},
};
use crate::{
    base::At,
    x509::{Certificate, Defect, GeneralName, Hash, KeyAlgorithm, PublicKey, Purpose, SignatureError},
};

/// The knobs of one version and one way to call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether SHA-1 is broken (3.6.0) as MD5 is.
    pub sha1_is_weak: bool,
    /// Whether an expired anchor is a reason to look for another (commit cdf075e7f, 3.6.14).
    pub retries_expired: bool,
    /// Whether what was sent is sorted in runs, until the store knows an issuer (3.7.0).
    pub sorts_in_runs: bool,
    /// Whether the application passes a key purpose.
    pub checks_purpose: bool,
    /// Whether keys must reach the verification profile "medium" (RSA of 2048 bits, curves of 224), as certtool demands them to.
    pub medium_profile: bool,
}

impl Policy {
    /// Up to 3.5.
    pub const V3_5: Policy =
        Policy { sha1_is_weak: false, retries_expired: false, sorts_in_runs: false, checks_purpose: true, medium_profile: false };
    /// 3.6.0 to 3.6.13.
    pub const V3_6: Policy = Policy { sha1_is_weak: true, ..Policy::V3_5 };
    /// 3.6.14 and later in 3.6.
    pub const V3_6_14: Policy = Policy { retries_expired: true, ..Policy::V3_6 };
    /// 3.7 and later.
    pub const V3_7: Policy = Policy { sorts_in_runs: true, ..Policy::V3_6_14 };

    /// The same, called without a key purpose.
    #[must_use]
    pub const fn without_purpose(self) -> Policy {
        Policy { checks_purpose: false, ..self }
    }
}

/// Status bits (`gnutls_certificate_status_t`).
pub mod bits {
    #![expect(missing_docs, reason = "the names are GnuTLS's own")]
    pub const INVALID: u32 = 1 << 1;
    pub const REVOKED: u32 = 1 << 5;
    pub const SIGNER_NOT_FOUND: u32 = 1 << 6;
    pub const SIGNER_NOT_CA: u32 = 1 << 7;
    pub const INSECURE_ALGORITHM: u32 = 1 << 8;
    pub const NOT_ACTIVATED: u32 = 1 << 9;
    pub const EXPIRED: u32 = 1 << 10;
    pub const SIGNATURE_FAILURE: u32 = 1 << 11;
    pub const UNEXPECTED_OWNER: u32 = 1 << 14;
    pub const SIGNER_CONSTRAINTS: u32 = 1 << 16;
    pub const PURPOSE_MISMATCH: u32 = 1 << 18;
    pub const UNKNOWN_CRITICAL: u32 = 1 << 21;
}

/// Each bit's name and the sentence of `gnutls_certificate_verification_status_print`, in its order.
const WORDS: &[(u32, &str, &str)] = &[
    (bits::REVOKED, "GNUTLS_CERT_REVOKED", "The certificate chain is revoked."),
    (bits::SIGNER_NOT_FOUND, "GNUTLS_CERT_SIGNER_NOT_FOUND", "The certificate issuer is unknown."),
    (bits::SIGNER_NOT_CA, "GNUTLS_CERT_SIGNER_NOT_CA", "The certificate issuer is not a CA."),
    (bits::INSECURE_ALGORITHM, "GNUTLS_CERT_INSECURE_ALGORITHM", "The certificate chain uses insecure algorithm."),
    (
        bits::SIGNER_CONSTRAINTS,
        "GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE",
        "The certificate chain violates the signer's constraints.",
    ),
    (bits::NOT_ACTIVATED, "GNUTLS_CERT_NOT_ACTIVATED", "The certificate chain uses not yet valid certificate."),
    (bits::EXPIRED, "GNUTLS_CERT_EXPIRED", "The certificate chain uses expired certificate."),
    (bits::SIGNATURE_FAILURE, "GNUTLS_CERT_SIGNATURE_FAILURE", "The signature in the certificate is invalid."),
    (bits::UNEXPECTED_OWNER, "GNUTLS_CERT_UNEXPECTED_OWNER", "The name in the certificate does not match the expected."),
    (bits::PURPOSE_MISMATCH, "GNUTLS_CERT_PURPOSE_MISMATCH", "The certificate chain does not match the intended purpose."),
    (bits::UNKNOWN_CRITICAL, "GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS", "The certificate contains an unknown critical extension."),
];

/// `DEFAULT_MAX_VERIFY_DEPTH`, the default of `gnutls_certificate_set_verify_limits`: `_gnutls_x509_cert_verify_peers` refuses more (from the
/// source only).
const SENT_AT_MOST: usize = 16;
/// `MAX_NC_CHECKS` (lib/x509/name_constraints.c), from 3.8.9 and in what distributions patched (CVE-2024-12243).
const COMPARISONS: usize = 1 << 20;
/// `MAX_VERIFY_DEPTH`.
const DEPTH: u32 = 4096;

/// What one pass found.
#[derive(Clone, Debug)]
struct Pass {
    status: u32,
    path: Vec<Certificate>,
    /// The first reason with its depth.
    reason: Option<(usize, Rejection)>,
    unsupported: Option<String>,
}

/// Asks `gnutls_x509_trust_list_verify_crt2`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    if question.presented.len() > SENT_AT_MOST {
        let error = ClientError {
            code: "-101".to_owned(),
            name: "GNUTLS_E_CONSTRAINT_ERROR".to_owned(),
            depth: None,
            text: "Some constraint limits were reached.".to_owned(),
            rejection: Rejection::BudgetExceeded("certificates sent", SENT_AT_MOST),
        };
        return Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![error] };
    }
    if let Some(error) = parse_fault(question.leaf()) {
        return Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![error] };
    }
    let model = Model { question, policy };
    let list = model.shorten(model.sort());
    let last = list[list.len() - 1].clone();
    let mut pass = model.verify(&list, &model.bucket(last.issuer().raw()));
    let mut again = bits::SIGNER_NOT_FOUND | bits::INSECURE_ALGORITHM;
    if policy.retries_expired {
        again |= bits::EXPIRED;
    }
    if pass.status & again != 0 && !last.is_self_issued() {
        let second = model.verify(&list, &model.bucket(last.subject().raw()));
        // The first answer stands unless it was that the signer is unknown.
        if second.status == 0 || pass.status & bits::SIGNER_NOT_FOUND != 0 {
            pass = second;
        }
    }
    model.check_revocation(&mut pass);
    model.check_leaf(&mut pass);
    if let Some(what) = pass.unsupported {
        return Verdict::unchecked(&what);
    }
    if pass.status == 0 {
        return Verdict::Trusted { path: pass.path };
    }
    let (depth, rejection) = pass.reason.unwrap_or((0, Rejection::Other("GnuTLS gives no reason".to_owned())));
    let error = ClientError {
        code: pass.status.to_string(),
        name: names(pass.status),
        depth: Some(depth),
        text: text(pass.status),
        rejection,
    };
    Verdict::Untrusted { path: pass.path, errors: vec![error] }
}

fn names(status: u32) -> String {
    WORDS.iter().filter(|(bit, ..)| status & bit != 0).map(|(_, name, _)| *name).collect::<Vec<_>>().join("|")
}

/// `gnutls_certificate_verification_status_print`.
#[must_use]
pub fn text(status: u32) -> String {
    let sentences = WORDS.iter().filter(|(bit, ..)| status & bit != 0).map(|(.., text)| *text);
    std::iter::once("The certificate is NOT trusted.").chain(sentences).collect::<Vec<_>>().join(" ")
}

struct Model<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
}

impl Model<'_> {
    /// The list in the order of `_gnutls_sort_clist`. From 3.7 on in runs, until a run ends under a certificate of the store (verify-high.c),
    /// and without repetitions (e89378d58).
    fn sort(&self) -> Vec<Certificate> {
        let mut list: Vec<Certificate> = self.question.presented.to_vec();
        if !self.policy.sorts_in_runs {
            return follow(&list, false).into_iter().map(|i| list[i].clone()).collect();
        }
        let mut seen: Vec<Certificate> = Vec::new();
        let mut start = 0;
        while start < list.len() {
            let length = sort_run(&mut list[start..]);
            if let Some(twice) = (start..start + length).find(|i| seen.contains(&list[*i])) {
                // The memmove that closes the gap moves one certificate only.
                if twice + 1 < list.len() {
                    list[twice] = list[twice + 1].clone();
                }
                list.pop();
                continue;
            }
            seen.extend_from_slice(&list[start..start + length]);
            start += length;
            if self.has_issuer(&list[start - 1]) {
                list.truncate(start);
            }
        }
        list
    }

    fn has_issuer(&self, certificate: &Certificate) -> bool {
        self.question.anchors.iter().any(|anchor| is_issuer(certificate, anchor))
    }

    /// `shorten_clist`: a self-issued last one goes; what follows a certificate of the store goes, if it stands in the bucket of its
    /// issuer's name.
    fn shorten(&self, mut list: Vec<Certificate>) -> Vec<Certificate> {
        drop_self_issued_last(&mut list);
        let known = |c: &Certificate| self.bucket(c.issuer().raw()).contains(&c);
        if let Some(at) = (1..list.len()).find(|i| known(&list[*i])) {
            list.truncate(at + 1);
        }
        list
    }

    /// The store's certificates of this subject, in its order.
    fn bucket(&self, name: &[u8]) -> Vec<&Certificate> {
        self.question.anchors.iter().filter(|a| a.subject().raw() == name).collect()
    }

    /// `_gnutls_verify_crt_status`.
    fn verify(&self, list: &[Certificate], cas: &[&Certificate]) -> Pass {
        let mut list = list.to_vec();
        drop_self_issued_last(&mut list);
        let mut pass = Pass { status: 0, path: list.clone(), reason: None, unsupported: None };
        let same = |i: usize, c: &Certificate, ca: &Certificate| if i == 0 { c == ca } else { is_same_key(c, ca) };
        for i in 0..list.len() {
            let Some(anchor) = cas.iter().find(|ca| same(i, &list[i], ca)) else { continue };
            self.check_time(anchor, i, &mut pass);
            if pass.status != 0 {
                pass.status |= bits::INVALID;
                pass.path.truncate(i);
                pass.path.push((*anchor).clone());
                return pass;
            }
            list.truncate(i);
            if i == 0 {
                pass.path = vec![(*anchor).clone()];
                return pass;
            }
            break;
        }
        let mut allowed = DEPTH;
        let mut issuer = self.find_issuer(&list[list.len() - 1], cas);
        pass.path = list.iter().chain(&issuer).cloned().collect();
        let above: Vec<Certificate> = pass.path.clone();
        for depth in (0..list.len()).rev() {
            // `find_issuer` in a list of one: between two runs it finds none.
            let issuer_of = issuer.as_ref().filter(|issuer| is_issuer(&list[depth], issuer));
            self.verify_one(&list[depth], issuer_of, depth, &above[depth + 1..], &mut allowed, &mut pass);
            if pass.status != 0 {
                pass.status |= bits::INVALID;
                return pass;
            }
            if depth > 0 && self.policy.checks_purpose && !serves(&list[depth], self.question.purpose) {
                pass.fail(bits::PURPOSE_MISMATCH | bits::INVALID, depth, || purpose_mismatch(self.question));
                return pass;
            }
            issuer = Some(list[depth].clone());
        }
        pass
    }

    /// `verify_crt`: one certificate against its issuer.
    fn verify_one(
        &self,
        certificate: &Certificate,
        issuer: Option<&Certificate>,
        depth: usize,
        above: &[Certificate],
        allowed: &mut u32,
        pass: &mut Pass,
    ) {
        if *allowed == 0 {
            return pass.fail(bits::SIGNER_CONSTRAINTS, depth, || Rejection::PathTooLong { limit: 0, found: 1 });
        }
        *allowed -= 1;
        let at_the_top = above.len() == 1;
        match issuer {
            None => pass.fail(bits::SIGNER_NOT_FOUND, depth, || Rejection::IssuerMissing(certificate.issuer().to_string())),
            Some(issuer) => {
                // Names are compared at the leaf only, with all that the issuers allow.
                if depth == 0 && above.iter().filter_map(name_constraints::of).any(|nc| violates(certificate, &nc)) {
                    let name = host_name::shown(certificate).join(", ");
                    pass.fail(bits::SIGNER_CONSTRAINTS, depth, || Rejection::NameConstraintViolated(name));
                }
                // Only above the whole list a certificate of version 1 may be an issuer.
                let judged = issuer.version() != 1 || !at_the_top;
                if judged && !may_issue(certificate, issuer, at_the_top, allowed) {
                    pass.fail(bits::SIGNER_NOT_CA, depth + 1, || Rejection::NotCa);
                }
                if judged && issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
                    pass.fail(bits::SIGNER_CONSTRAINTS, depth + 1, || Rejection::KeyUsageLacksCertSign);
                }
                match self.question.signatures.verify(certificate, issuer) {
                    Ok(()) => {}
                    Err(SignatureError::Unsupported(what)) => pass.unsupported = Some(what),
                    Err(_) => pass.fail(bits::SIGNATURE_FAILURE, depth, || Rejection::InvalidSignature),
                }
            }
        }
        let weak = match certificate.signature_algorithm().hash {
            Some(Hash::Md2 | Hash::Md5) => true,
            Some(Hash::Sha1) => self.policy.sha1_is_weak,
            _ => false,
        };
        let checked = [Some(certificate), issuer.filter(|_| above.len() == 1)];
        for (extra, one) in checked.into_iter().flatten().enumerate() {
            if has_unknown_critical(one) {
                let rejection = || Rejection::Other("a critical extension that GnuTLS does not know".to_owned());
                pass.fail(bits::UNKNOWN_CRITICAL, depth + extra, rejection);
            }
            let key = one.public_key();
            if self.policy.medium_profile && !is_medium(key) {
                pass.fail(bits::INSECURE_ALGORITHM, depth + extra, || Rejection::WeakKey { bits: key.bits, wanted: 2048 });
            }
        }
        if weak && !is_issuer(certificate, certificate) {
            let algorithm = certificate.signature_algorithm().to_string();
            pass.fail(bits::INSECURE_ALGORITHM, depth, || Rejection::WeakSignature(algorithm));
        }
        if let Some(issuer) = issuer {
            self.check_time(issuer, depth + 1, pass);
        }
        self.check_time(certificate, depth, pass);
    }

    /// `find_issuer`: the first, or the last one that is valid now.
    fn find_issuer(&self, certificate: &Certificate, cas: &[&Certificate]) -> Option<Certificate> {
        let at = self.question.at;
        let valid = |c: &Certificate| {
            c.validity().not_before.is_some_and(|start| start <= at) && c.validity().not_after.is_some_and(|end| at < end)
        };
        let mut found: Option<&Certificate> = None;
        for ca in cas.iter().filter(|ca| is_issuer(certificate, ca)) {
            if found.is_none() || valid(ca) {
                found = Some(ca);
            }
        }
        found.cloned()
    }

    /// `check_time_status`: both ends belong to the validity.
    fn check_time(&self, certificate: &Certificate, depth: usize, pass: &mut Pass) {
        let at = self.question.at;
        let start = certificate.validity().not_before.unwrap_or(At(i64::MAX));
        let end = certificate.validity().not_after.unwrap_or(At(i64::MIN));
        if at < start {
            pass.fail(bits::NOT_ACTIVATED, depth, || Rejection::NotYetValid { not_before: start, at });
        } else if at > end {
            pass.fail(bits::EXPIRED, depth, || Rejection::Expired { not_after: end, at });
        }
    }

    /// `_gnutls_x509_crt_check_revocation`, only on a path that holds and below its anchor: a serial number in any list of the issuer. Lists are not verified
    /// here; who adds them to the store may have them verified.
    fn check_revocation(&self, pass: &mut Pass) {
        if pass.status != 0 {
            return;
        }
        let path = pass.path.clone();
        for (depth, certificate) in path.iter().enumerate().take(1.max(path.len() - 1)) {
            let lists = self.question.extra.crls.iter().filter(|crl| crl.issuer().raw() == certificate.issuer().raw());
            if lists.flat_map(|crl| crl.revoked(certificate.serial())).next().is_some() {
                return pass.fail(bits::REVOKED | bits::INVALID, depth, || Rejection::Other("it is revoked".to_owned()));
            }
        }
    }

    /// Step 7: purpose and host of the leaf are added to whatever was found.
    fn check_leaf(&self, pass: &mut Pass) {
        let leaf = self.question.leaf();
        if self.policy.checks_purpose && !serves(leaf, self.question.purpose) {
            pass.fail(bits::PURPOSE_MISMATCH | bits::INVALID, 0, || purpose_mismatch(self.question));
        }
        if let Some(host) = self.question.host
            && let Err(rejection) = host_name::check(leaf, host, Rules::GNUTLS)
        {
            pass.fail(bits::UNEXPECTED_OWNER | bits::INVALID, 0, || rejection);
        }
    }
}

impl Pass {
    fn fail(&mut self, bits: u32, depth: usize, reason: impl FnOnce() -> Rejection) {
        self.status |= bits;
        self.reason.get_or_insert_with(|| (depth, reason()));
    }
}

fn purpose_mismatch(question: &Question<'_>) -> Rejection {
    Rejection::PurposeMismatch(super::openssl::purpose_name(question))
}

/// From the first along "issuer of", each time the first match that is not the first certificate; nothing issues what is self-issued. A
/// circle ends it since 2774bd6db (3.8.3, and what distributions ship as 3.7; between 3.7.0 and that an assertion ended the program); before
/// 3.7 it went around until there were as many as were sent.
fn follow(list: &[Certificate], once: bool) -> Vec<usize> {
    let issuer_of = |i: usize| {
        let self_issued = is_issuer(&list[i], &list[i]);
        (1..list.len()).filter(|j| *j != i && !self_issued).find(|j| is_issuer(&list[i], &list[*j]))
    };
    let mut order = vec![0];
    while order.len() < list.len() {
        match issuer_of(order[order.len() - 1]) {
            Some(next) if !once || !order.contains(&next) => order.push(next),
            _ => break,
        }
    }
    order
}

/// Puts the first certificate's run in front and keeps the rest; returns the run's length.
fn sort_run(list: &mut [Certificate]) -> usize {
    let mut order = follow(list, true);
    let length = order.len();
    let rest: Vec<usize> = (1..list.len()).filter(|i| !order.contains(i)).collect();
    order.extend(rest);
    let sorted: Vec<Certificate> = order.iter().map(|i| list[*i].clone()).collect();
    list.clone_from_slice(&sorted);
    length
}

fn drop_self_issued_last(list: &mut Vec<Certificate>) {
    if list.len() > 1 && list.last().is_some_and(|last| is_issuer(last, last)) {
        list.pop();
    }
}

/// `gnutls_x509_crt_check_issuer`: names byte for byte, and key identifiers if both have one.
fn is_issuer(certificate: &Certificate, issuer: &Certificate) -> bool {
    let wanted = certificate.authority_key_id().and_then(|a| a.key_id.as_deref());
    certificate.issuer().raw() == issuer.subject().raw()
        && !matches!((wanted, issuer.subject_key_id()), (Some(wanted), Some(found)) if wanted != found)
}

/// `_gnutls_check_if_same_key`.
fn is_same_key(a: &Certificate, b: &Certificate) -> bool {
    a.subject().raw() == b.subject().raw() && a.spki() == b.spki()
}

/// `check_if_ca`: an identical certificate may vouch for itself; a self-issued anchor without basicConstraints counts as a CA;
/// pathLenConstraint lowers what is allowed below.
fn may_issue(certificate: &Certificate, issuer: &Certificate, at_the_top: bool, allowed: &mut u32) -> bool {
    match issuer.basic_constraints() {
        _ if certificate == issuer => true,
        Some(basic) => {
            if let Some(limit) = basic.path_len.filter(|_| basic.ca) {
                *allowed = limit.min(*allowed);
            }
            basic.ca
        }
        None => at_the_top && is_issuer(issuer, issuer),
    }
}

/// `gnutls_x509_name_constraints_check_crt` for each kind (lib/x509/name_constraints.c): a subject's common name or e-mail address stands
/// in for missing alternative names and must be alone; an excluded URI or directory name forbids all of that kind, a permitted one none;
/// a constraint of any further kind makes the extension unreadable (`validate_name_constraints_node`).
fn violates(certificate: &Certificate, constraints: &NameConstraints<'_>) -> bool {
    let names = certificate.subject_alt_name().unwrap_or_default();
    let constrained = |tag: u8| constraints.kinds().any(|kind| kind == tag);
    let stand_in = |tag: u8, given: bool, subject: Vec<String>, name: fn(String) -> GeneralName| {
        if given || !constrained(tag) {
            return false;
        }
        match <[String; 1]>::try_from(subject) {
            Ok([one]) => constraints.check_one(&name(one)).is_err(),
            Err(all) => !all.is_empty(),
        }
    };
    if constraints.kinds().any(|tag| !matches!(tag, 0x81 | 0x82 | 0x86 | 0x87 | 0xa4)) {
        return true;
    }
    if names.len().saturating_mul(constraints.kinds().count()) > COMPARISONS {
        return true;
    }
    let has = |wanted: fn(&GeneralName) -> bool| names.iter().any(wanted);
    let forbidden = |tag: u8| !constraints.of_kind(tag).1.is_empty();
    let compared = |n: &&GeneralName| matches!(n, GeneralName::Dns(_) | GeneralName::Email(_) | GeneralName::Ip(_));
    let is_server =
        certificate.extended_key_usage().is_none_or(|l| l.contains(&Purpose::ServerAuth) || l.contains(&Purpose::Any));
    names.iter().filter(compared).any(|name| constraints.check_one(name).is_err())
        || (is_server
            && stand_in(0x82, has(|n| matches!(n, GeneralName::Dns(_))), certificate.subject().common_names(), GeneralName::Dns))
        || stand_in(
            0x81,
            has(|n| matches!(n, GeneralName::Email(_))),
            certificate.subject().email_addresses(),
            GeneralName::Email,
        )
        || forbidden(0xa4)
        || (has(|n| matches!(n, GeneralName::Uri(_))) && forbidden(0x86))
}

fn is_medium(key: &PublicKey) -> bool {
    match key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::Dsa => key.bits >= 2048,
        KeyAlgorithm::Ec(_) => key.bits >= 224 && !key.explicit_curve,
        KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 => true,
        KeyAlgorithm::Other(ref oid) => matches!(oid.as_str(), "1.3.101.110" | "1.3.101.111"),
    }
}

/// Critical extensions that GnuTLS knows (`supported_extensions` in lib/x509/verify.c).
fn has_unknown_critical(certificate: &Certificate) -> bool {
    const KNOWN: &[&str] = &[
        "1.3.6.1.5.5.7.1.1",
        "1.3.6.1.5.5.7.1.14",
        "1.3.6.1.5.5.7.1.24",
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.16",
        "2.5.29.17",
        "2.5.29.18",
        "2.5.29.19",
        "2.5.29.30",
        "2.5.29.31",
        "2.5.29.32",
        "2.5.29.35",
        "2.5.29.37",
        "2.5.29.54",
    ];
    certificate.extensions().iter().any(|e| e.critical && !KNOWN.contains(&&*e.oid))
}

/// What `gnutls_x509_crt_import` and the look at the leaf's names refuse.
fn parse_fault(certificate: &Certificate) -> Option<ClientError> {
    let (code, name, text) = certificate.defects().iter().find_map(|defect| match defect {
        Defect::DuplicateExtension(_) => {
            Some(("-422", "GNUTLS_E_X509_DUPLICATE_EXTENSION", "Duplicate extension in X.509 certificate."))
        }
        Defect::BadExtension(oid, _) if oid == "2.5.29.17" => {
            Some(("-69", "GNUTLS_E_ASN1_DER_ERROR", "ASN1 parser: Error in DER parsing."))
        }
        Defect::SignatureAlgorithmMismatch => Some(("-43", "GNUTLS_E_CERTIFICATE_ERROR", "Error in the certificate.")),
        _ => None,
    })?;
    let rejection = Rejection::Other(text.to_owned());
    Some(ClientError { code: code.into(), name: name.into(), depth: Some(0), text: text.into(), rejection })
}

fn serves(certificate: &Certificate, purpose: &Purpose) -> bool {
    *purpose == Purpose::Any
        || certificate
            .extended_key_usage()
            .is_none_or(|list| list.is_empty() || list.contains(purpose) || list.contains(&Purpose::Any))
}
