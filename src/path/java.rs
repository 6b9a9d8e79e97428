//! Java's SunJSSE: `PKIXValidator`, with the validator when what was sent is in order and ends under an anchor, else with the forward
//! builder. An anchor is a name and a key: its dates don't count (11, 17 and 25 agree in every measured case).
//!
//! Among several anchors of one name Java's order is that of a hash set of objects without a hash of their own (`TrustAnchor`), which nobody
//! can foresee. Where the verdict hangs on it, this model can't say; where only the exception does, it lists all that may come.

use std::net::IpAddr;

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, Scope},
    openssl::purpose_name,
};
use crate::x509::{Certificate, Hash, KeyAlgorithm, Purpose, SignatureError};

/// Candidates that the builder tries before this model gives up, each with a signature check; upstream bounds only the depth.
const BUILDER_STEPS: usize = 1_000;
/// `jdk.tls.maxCertificateChainLength` (sun.security.ssl.SSLConfiguration).
const SENT_AT_MOST: usize = 10;
/// `PKIXBuilderParameters.getMaxPathLength`: 5 intermediates that are not self-issued.
const BUILDER_INTERMEDIATES: usize = 5;

/// Asks the default trust manager, with HTTPS endpoint identification.
#[must_use]
pub fn judge(question: &Question<'_>) -> Verdict {
    let sent = question.presented.len();
    if sent > SENT_AT_MOST {
        let name = "SSLProtocolException";
        let text = format!("The certificate chain length ({sent}) exceeds the maximum allowed length ({SENT_AT_MOST})");
        let rejection = Rejection::BudgetExceeded("certificates sent", SENT_AT_MOST);
        let error = ClientError { code: name.into(), name: name.into(), depth: None, text, rejection };
        return Verdict::Untrusted { path: vec![question.leaf().clone()], errors: vec![error] };
    }
    match validate(question) {
        // `Validator.validate` leaves out the end entity's extensions if it is the anchor itself.
        Ok(path) => match check_leaf(question, path.len() > 1) {
            Some(error) => Verdict::Untrusted { path, errors: vec![error] },
            None => Verdict::Trusted { path },
        },
        Err(Failure::Refused(path, errors)) => Verdict::Untrusted { path, errors },
        Err(Failure::Unsupported(what)) => Verdict::unchecked(&what),
        Err(Failure::Hashed) => Verdict::Unknown(
            "among several anchors of one name Java takes the first of a hash set, and the verdict depends on which that is"
                .to_owned(),
        ),
    }
}

enum Failure {
    Refused(Vec<Certificate>, Vec<ClientError>),
    Unsupported(String),
    /// The verdict depends on the order of a hash set.
    Hashed,
}

/// What the validator says against a path.
enum Fault {
    Error(Box<ClientError>),
    Unsupported(String),
}

/// `PKIXValidator.engineValidate`.
fn validate(question: &Question<'_>) -> Result<Vec<Certificate>, Failure> {
    let sent = question.presented;
    let is_trusted = |c: &Certificate| {
        question.anchors.iter().any(|a| a == c || (a.subject().raw() == c.subject().raw() && a.spki() == c.spki()))
    };
    if question.anchors.iter().any(|a| *a == sent[0]) {
        return Ok(vec![sent[0].clone()]);
    }
    for i in 1..sent.len() {
        if sent[i].subject().canonical() != sent[i - 1].issuer().canonical() {
            return build(question);
        }
        if is_trusted(&sent[i]) {
            return validate_under_any(question, &sent[..i]);
        }
    }
    let last = &sent[sent.len() - 1];
    if question.anchors.iter().any(|a| a.canonical_subject() == last.canonical_issuer()) {
        return validate_under_any(question, sent);
    }
    build(question)
}

/// `doValidate`: each anchor that fits by name and key identifier, until one validates, which must then be one that may sign; else the
/// last failure.
fn validate_under_any(question: &Question<'_>, path: &[Certificate]) -> Result<Vec<Certificate>, Failure> {
    let last = &path[path.len() - 1];
    let (mut sound, mut unsound, mut errors) = (None, None, Vec::<ClientError>::new());
    for anchor in question.anchors.iter().filter(|a| is_candidate(last, a)) {
        match check_path(question, path, anchor) {
            Ok(()) => match under(path, anchor) {
                Ok(whole) => sound = sound.or(Some(whole)),
                Err(failure) => unsound = unsound.or(Some(failure)),
            },
            Err(Fault::Error(error)) if errors.iter().any(|e| e.code == error.code) => {}
            Err(Fault::Error(error)) => errors.push(*error),
            Err(Fault::Unsupported(what)) => return Err(Failure::Unsupported(what)),
        }
    }
    if errors.is_empty() {
        let rejection = Rejection::IssuerMissing(last.issuer().to_string());
        let text = "Path does not chain with any of the trust anchors";
        errors.push(path_error("CertPathValidatorException", None, text, rejection));
    }
    choose(sound, unsound).unwrap_or_else(|| Err(Failure::Refused(path.to_vec(), errors)))
}

/// A path to an anchor that may sign and one to an anchor that may not, which is a failure: which comes first is not known.
fn choose(sound: Option<Vec<Certificate>>, unsound: Option<Failure>) -> Option<Result<Vec<Certificate>, Failure>> {
    match (sound, unsound) {
        (Some(_), Some(_)) => Some(Err(Failure::Hashed)),
        (Some(whole), None) => Some(Ok(whole)),
        (None, Some(failure)) => Some(Err(failure)),
        (None, None) => None,
    }
}

/// `PKIXValidator.verifyTrustAnchor`: an anchor of version 3 must be a CA (JDK-8230318; 11.0.7, 8u251 and later).
fn under(path: &[Certificate], anchor: &Certificate) -> Result<Vec<Certificate>, Failure> {
    let whole: Vec<Certificate> = path.iter().chain([anchor]).cloned().collect();
    let Some((what, rejection)) = may_not_sign(anchor) else { return Ok(whole) };
    let name = "ValidatorException";
    let text = format!("TrustAnchor with subject '{}' {what}", anchor.subject());
    let error = ClientError { code: name.into(), name: name.into(), depth: Some(path.len()), text, rejection };
    Err(Failure::Refused(whole, vec![error]))
}

fn may_not_sign(anchor: &Certificate) -> Option<(&'static str, Rejection)> {
    if anchor.version() < 3 {
        None
    } else if !anchor.is_ca() {
        Some(("is not a CA certificate", Rejection::NotCa))
    } else if anchor.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        Some(("does not have keyCertSign bit set in KeyUsage extension", Rejection::KeyUsageLacksCertSign))
    } else {
        None
    }
}

/// `AdaptableX509CertSelector`, which the validator asks: the subject, the key identifier if both have one, the serial of a version 3 certificate if the AKI names
/// one.
fn is_candidate(child: &Certificate, issuer: &Certificate) -> bool {
    let authority = child.authority_key_id();
    let key_id = authority.and_then(|a| a.key_id.as_deref());
    let serial = authority.and_then(|a| a.serial.as_deref());
    child.canonical_issuer() == issuer.canonical_subject()
        && !matches!((key_id, issuer.subject_key_id()), (Some(wanted), Some(found)) if wanted != found)
        && (issuer.version() < 3 || serial.is_none_or(|serial| serial == issuer.serial()))
}

/// `PKIXMasterCertPathValidator`: from the top down, each certificate through all checkers.
fn check_path(question: &Question<'_>, path: &[Certificate], anchor: &Certificate) -> Result<(), Fault> {
    let mut allowed = path.len();
    let mut constraints = Vec::new();
    let mut issuer = anchor;
    for (depth, certificate) in path.iter().enumerate().rev() {
        check_algorithm(certificate, depth)?;
        if depth > 0 {
            check_ca(certificate, depth, &mut allowed)?;
        }
        let self_issued = certificate.canonical_subject() == certificate.canonical_issuer();
        let scope = Scope { common_name: false, directory: true, subject_email: false };
        let names_broken = |nc: &name_constraints::NameConstraints<'_>| nc.check(certificate, scope).is_err();
        if (depth == 0 || !self_issued) && constraints.iter().any(names_broken) {
            let rejection = Rejection::NameConstraintViolated(host_name::shown(certificate).join(", "));
            return Err(fault("CertPathValidatorException", depth, "name constraints check failed", rejection));
        }
        constraints.extend(name_constraints::of(certificate));
        check_time(question, certificate, depth)?;
        match question.signatures.verify(certificate, issuer) {
            Ok(()) => {}
            Err(SignatureError::Unsupported(what)) => return Err(Fault::Unsupported(what)),
            Err(_) => return Err(fault("SignatureException", depth, "signature check failed", Rejection::InvalidSignature)),
        }
        issuer = certificate;
    }
    Ok(())
}

/// `AlgorithmChecker` with the defaults of jdk.certpath.disabledAlgorithms that hold under private roots too.
fn check_algorithm(certificate: &Certificate, depth: usize) -> Result<(), Fault> {
    let algorithm = certificate.signature_algorithm();
    if matches!(algorithm.hash, Some(Hash::Md2 | Hash::Md5)) {
        let text = format!("Algorithm constraints check failed on signature algorithm: {algorithm}");
        return Err(fault("CertPathValidatorException", depth, &text, Rejection::WeakSignature(algorithm.to_string())));
    }
    let key = certificate.public_key();
    if key.algorithm == KeyAlgorithm::Rsa && key.bits < 1024 {
        let text = format!("Algorithm constraints check failed on keysize limits: RSA {} bit key used", key.bits);
        return Err(fault("CertPathValidatorException", depth, &text, Rejection::WeakKey { bits: key.bits, wanted: 1024 }));
    }
    Ok(())
}

/// `KeyChecker` and `ConstraintsChecker`.
fn check_ca(certificate: &Certificate, depth: usize, allowed: &mut usize) -> Result<(), Fault> {
    const NAME: &str = "CertPathValidatorException";
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        let text = "CA key usage check failed: keyCertSign bit is not set";
        return Err(fault(NAME, depth, text, Rejection::KeyUsageLacksCertSign));
    }
    if !certificate.is_ca() {
        return Err(fault(NAME, depth, "basic constraints check failed: this is not a CA certificate", Rejection::NotCa));
    }
    if certificate.canonical_subject() != certificate.canonical_issuer() {
        if *allowed == 0 {
            let text = "basic constraints check failed: pathLenConstraint violated - this cert must be the last cert in the \
                        certification path";
            return Err(fault(NAME, depth, text, Rejection::PathTooLong { limit: 0, found: 1 }));
        }
        *allowed -= 1;
    }
    if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len) {
        *allowed = (*allowed).min(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(())
}

fn check_time(question: &Question<'_>, certificate: &Certificate, depth: usize) -> Result<(), Fault> {
    let (at, validity) = (question.at, certificate.validity());
    match (validity.not_before, validity.not_after) {
        (Some(not_before), _) if at < not_before => Err(fault(
            "CertificateNotYetValidException",
            depth,
            "validity check failed",
            Rejection::NotYetValid { not_before, at },
        )),
        (_, Some(not_after)) if at > not_after => {
            Err(fault("CertificateExpiredException", depth, "validity check failed", Rejection::Expired { not_after, at }))
        }
        (Some(_), Some(_)) => Ok(()),
        _ => Err(fault("CertificateException", depth, "validity check failed", Rejection::DateUnreadable)),
    }
}

/// `SunCertPathBuilder`: forward from the leaf, with backtracking, over anchors and what was sent; what is no anchor must be valid now.
fn build(question: &Question<'_>) -> Result<Vec<Certificate>, Failure> {
    let leaf = question.leaf();
    let mut builder = Builder { question, steps: 0, reason: None, sound: true };
    let mut path = vec![leaf.clone()];
    let sound = builder.extend(&mut path).then(|| path.clone());
    let mut other = Builder { steps: builder.steps, sound: false, reason: None, ..builder };
    let mut path = vec![leaf.clone()];
    let unsound =
        other.extend(&mut path).then(|| path.split_last().and_then(|(anchor, below)| under(below, anchor).err())).flatten();
    // Where a name comes twice in the path and one more of that name was sent, the builder goes astray in some orders (measured: 17).
    if sound.as_deref().is_some_and(|whole| goes_astray(question, whole)) {
        return Err(Failure::Hashed);
    }
    if let Some(chosen) = choose(sound, unsound) {
        return chosen;
    }
    let rejection = if other.steps > BUILDER_STEPS {
        Rejection::BudgetExceeded("builder steps", BUILDER_STEPS)
    } else {
        builder.reason.unwrap_or_else(|| Rejection::IssuerMissing(leaf.issuer().to_string()))
    };
    let text = "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid \
                certification path to requested target";
    let name = "SunCertPathBuilderException";
    let error = ClientError { code: name.into(), name: name.into(), depth: None, text: text.into(), rejection };
    Err(Failure::Refused(vec![leaf.clone()], vec![error]))
}

fn goes_astray(question: &Question<'_>, whole: &[Certificate]) -> bool {
    let Some((anchor, below)) = whole.split_last() else { return false };
    let same_name = |c: &&Certificate| c.subject().raw() == anchor.subject().raw();
    below.iter().any(|c| same_name(&c)) && question.presented[1..].iter().filter(same_name).any(|c| !whole.contains(c))
}

struct Builder<'a> {
    question: &'a Question<'a>,
    steps: usize,
    /// Why the first complete path failed.
    reason: Option<Rejection>,
    /// Whether it looks for an anchor that may sign, or for one that may not.
    sound: bool,
}

/// The builder's own selector (`ForwardBuilder.getMatchingCACerts`): the subject; key identifiers only order what it tries.
fn is_named(child: &Certificate, issuer: &Certificate) -> bool {
    child.canonical_issuer() == issuer.canonical_subject()
}

impl Builder<'_> {
    fn extend(&mut self, path: &mut Vec<Certificate>) -> bool {
        let question = self.question;
        let last = path[path.len() - 1].clone();
        let at = question.at;
        let valid = |c: &Certificate| !c.is_expired(at) && !c.is_not_yet_valid(at);
        // `getMatchingCACerts` sets the date in its selector after it looked among the anchors, and uses the selector again: above the
        // leaf's own issuer an anchor must be valid now.
        let dated = |a: &Certificate| path.len() == 1 || valid(a);
        let fits = |a: &&Certificate| is_named(&last, a) && may_not_sign(a).is_none() == self.sound;
        // What the path already holds under another certificate does not end it (measured: 17).
        let looped = |a: &Certificate, path: &[Certificate]| path.iter().any(|c| c.is_same_entity(a));
        for anchor in question.anchors.iter().filter(fits) {
            if looped(anchor, path) || !dated(anchor) {
                continue;
            }
            self.steps += 1;
            if self.steps > BUILDER_STEPS {
                return false;
            }
            match check_path(question, path, anchor) {
                Ok(()) => {
                    path.push(anchor.clone());
                    return true;
                }
                Err(Fault::Error(error)) => {
                    self.reason.get_or_insert(error.rejection);
                }
                Err(Fault::Unsupported(_)) => {}
            }
        }
        if path.len() > BUILDER_INTERMEDIATES {
            return false;
        }
        for candidate in question.presented.iter().filter(|c| c.is_ca() && valid(c) && is_named(&last, c)) {
            self.steps += 1;
            let looped = path.iter().any(|c| c == candidate || c.is_same_entity(candidate));
            if self.steps > BUILDER_STEPS || looped || question.signatures.verify(&last, candidate).is_err() {
                continue;
            }
            path.push(candidate.clone());
            if self.extend(path) {
                return true;
            }
            path.pop();
        }
        false
    }
}

/// `EndEntityChecker.checkTLSServer`, then `HostnameChecker`.
fn check_leaf(question: &Question<'_>, extensions: bool) -> Option<ClientError> {
    let leaf = question.leaf();
    let allows = |list: &[Purpose]| list.contains(question.purpose) || list.contains(&Purpose::Any);
    let error = |name: &str, text: String, rejection| {
        Some(ClientError { code: name.into(), name: name.into(), depth: Some(0), text, rejection })
    };
    if extensions && *question.purpose != Purpose::Any && leaf.extended_key_usage().is_some_and(|list| !allows(list)) {
        let text = "Extended key usage does not permit use for TLS server authentication".into();
        return error("ValidatorException", text, Rejection::PurposeMismatch(purpose_name(question)));
    }
    if extensions && leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        let text = "KeyUsage does not allow digital signatures".into();
        return error("ValidatorException", text, Rejection::PurposeMismatch("digitalSignature".into()));
    }
    let host = question.host?;
    let rejection = host_name::check(leaf, host, Rules::JAVA).err()?;
    let named = leaf.subject_alt_name().is_some_and(|names| !names.is_empty());
    let text = match host.parse::<IpAddr>() {
        Ok(_) => format!("No subject alternative names matching IP address {host} found"),
        Err(_) if named => format!("No subject alternative DNS name matching {host} found."),
        Err(_) => format!("No name matching {host} found"),
    };
    error("CertificateException", text, rejection)
}

fn fault(name: &str, depth: usize, text: &str, rejection: Rejection) -> Fault {
    Fault::Error(Box::new(path_error(name, Some(depth), text, rejection)))
}

fn path_error(name: &str, depth: Option<usize>, text: &str, rejection: Rejection) -> ClientError {
    let text = format!("PKIX path validation failed: java.security.cert.CertPathValidatorException: {text}");
    ClientError { code: name.into(), name: name.into(), depth, text, rejection }
}
