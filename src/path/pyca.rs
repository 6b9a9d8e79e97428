//! pyca/cryptography: `ChainBuilder::build_chain` (src/rust/cryptography-x509-verification/src/lib.rs) with the default policy for
//! servers (policy/mod.rs, policy/extension.rs).
//!
//! Depth first over store and sent certificates with a profile of the CA/Browser Forum's. The leaf's faults come first. The store ends a
//! path by identity, so that a leaf in it is accepted and an anchor is judged as an issuer like any other.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, NameConstraints, Scope, Violation},
    openssl::purpose_name,
    untimely,
};
use crate::x509::{
    Certificate, Defect, GeneralName, Hash, KeyAlgorithm, Purpose, SignatureError, Tlv, elements_exactly, read_tlv,
};

/// `DEFAULT_MAX_CHAIN_DEPTH`.
const DEPTH: usize = 8;
/// Our own bounds for versions that have none, which may go on for days with eight levels: different signatures, and candidates.
const OUR_SIGNATURES: usize = 950;
const OUR_CANDIDATES: usize = 20_000;
/// `WEBPKI_MINIMUM_RSA_MODULUS`.
const RSA_BITS: u32 = 2048;
/// Extensions that `ExtensionPolicy::permits` accounts for.
const HANDLED: &[&str] =
    &["1.3.6.1.5.5.7.1.1", "2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.35", "2.5.29.37"];

/// What differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `DEFAULT_SIGNATURE_CHECK_LIMIT`; without it the depth alone bounds the search.
    pub signatures: Option<usize>,
    /// Whether the name asked for must lie within the constraints too, which matters where a wildcard covers it.
    pub constrains_peer: bool,
}

impl Policy {
    /// 45 to 46.0.5. Before, a wildcard broke every constraint on names (44.0.3), and 43 refuses roots whose key identifier names an issuer.
    pub const V45: Policy = Policy { signatures: None, constrains_peer: false };
    /// 46.0.6 on (CVE-2026-34073).
    pub const V46_0_6: Policy = Policy { constrains_peer: true, ..Policy::V45 };
    /// 49 on (GHSA-jwv3-5hgf-82ww).
    pub const V49: Policy = Policy { signatures: Some(1 << 7), ..Policy::V46_0_6 };
}

/// Asks `PolicyBuilder().build_server_verifier(…).verify(leaf, intermediates)`, and `build_client_verifier` for a client's certificate.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let leaf = question.leaf();
    if question.host.is_none() && *question.purpose != Purpose::ClientAuth {
        return Verdict::Unknown("cryptography verifies a server only for a name".to_owned());
    }
    let mut by_subject: BTreeMap<&[u8], Vec<&Certificate>> = BTreeMap::new();
    for certificate in question.anchors.iter().chain(&question.presented[1..]) {
        by_subject.entry(certificate.subject().raw()).or_default().push(certificate);
    }
    let mut builder =
        Builder { question, policy, by_subject, signatures: 0, fresh: 0, fatal: false, endless: false, unsupported: None };
    let mut path = vec![leaf.clone()];
    let failure = match builder.check_leaf(leaf, question.host) {
        Err(failure) => failure,
        Ok(()) => match builder.build(&mut path) {
            Ok(()) => return Verdict::Trusted { path },
            Err(failure) if builder.fatal => failure,
            Err(failure) => Failure { text: format!("candidates exhausted: {}", failure.text), ..failure },
        },
    };
    if builder.endless {
        return Verdict::Unknown(format!(
            "this version has no bound on signature checks; the model gives up after {OUR_SIGNATURES} signatures or {OUR_CANDIDATES} candidates"
        ));
    }
    if let Some(what) = builder.unsupported {
        return Verdict::unchecked(&what);
    }
    let error = ClientError {
        code: "VerificationError".to_owned(),
        name: "VerificationError".to_owned(),
        depth: Some(failure.depth),
        text: format!("validation failed: {}", failure.text),
        rejection: failure.rejection,
    };
    Verdict::Untrusted { path: vec![leaf.clone()], errors: vec![error] }
}

struct Failure {
    depth: usize,
    text: String,
    rejection: Rejection,
}

fn fail<T>(depth: usize, text: impl Into<String>, rejection: Rejection) -> Result<T, Failure> {
    Err(Failure { depth, text: text.into(), rejection })
}

fn other<T>(depth: usize, text: impl Into<String>) -> Result<T, Failure> {
    let text = text.into();
    fail(depth, text.clone(), Rejection::Other(text))
}

struct Builder<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    /// The store, then what was sent besides the leaf.
    by_subject: BTreeMap<&'a [u8], Vec<&'a Certificate>>,
    signatures: usize,
    /// Of the signatures those that nobody had checked before.
    fresh: usize,
    fatal: bool,
    /// Our own bound ended it: this client would go on.
    endless: bool,
    unsupported: Option<String>,
}

impl Builder<'_> {
    /// `build_chain_inner`.
    fn build(&mut self, path: &mut Vec<Certificate>) -> Result<(), Failure> {
        let depth = path.len() - 1;
        let current = path[depth].clone();
        self.check_constraints(&current, path)?;
        if self.question.anchors.iter().any(|a| *a == current) {
            return Ok(());
        }
        if depth > DEPTH {
            let rejection = Rejection::BudgetExceeded("path depth", DEPTH);
            return fail(depth, "chain construction exceeds max depth", rejection);
        }
        let missing = Rejection::IssuerMissing(current.issuer().to_string());
        let mut last = fail(depth, "all candidates exhausted with no interior errors", missing);
        for candidate in self.issuers(&current) {
            if let Some(oid) = duplicate(&candidate) {
                return invalid(depth + 1, oid, "duplicate extension");
            }
            last = self.check_issuer(&candidate, &current, depth + 1).and_then(|()| {
                path.push(candidate.clone());
                self.build(path)
            });
            if last.is_ok() || self.fatal {
                return last;
            }
            path.truncate(depth + 1);
        }
        last
    }

    /// `potential_issuers`: the store, then what was sent; equal identifiers first, different ones last.
    fn issuers(&self, child: &Certificate) -> Vec<Certificate> {
        let mut found: Vec<Certificate> =
            self.by_subject.get(child.issuer().raw()).into_iter().flatten().map(|c| (*c).clone()).collect();
        let wanted = child.authority_key_id().and_then(|a| a.key_id.as_deref());
        found.sort_by_key(|c| match (wanted, c.subject_key_id()) {
            (Some(wanted), Some(found)) if wanted == found => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        });
        found
    }

    /// `valid_issuer`.
    fn check_issuer(&mut self, issuer: &Certificate, child: &Certificate, depth: usize) -> Result<(), Failure> {
        self.check_authority(issuer, depth)?;
        let key = issuer.public_key();
        let permitted = match &key.algorithm {
            KeyAlgorithm::Rsa => true,
            KeyAlgorithm::Ec(curve) => matches!(curve.as_str(), "P-256" | "P-384" | "P-521"),
            _ => false,
        };
        if !permitted {
            return other(depth, format!("Forbidden public key algorithm: {key}"));
        }
        let algorithm = child.signature_algorithm();
        if !matches!(algorithm.hash, Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512)) {
            let text = format!("Forbidden signature algorithm: {algorithm}");
            return fail(depth - 1, text, Rejection::WeakSignature(algorithm.to_string()));
        }
        if key.algorithm == KeyAlgorithm::Rsa && key.bits.div_ceil(8) * 8 < RSA_BITS {
            return fail(depth, "RSA key is too weak", Rejection::WeakKey { bits: key.bits, wanted: RSA_BITS });
        }
        self.signatures += 1;
        if let Some(limit) = self.policy.signatures.filter(|limit| self.signatures > *limit) {
            self.fatal = true;
            let rejection = Rejection::BudgetExceeded("signature checks", limit);
            return fail(depth, "fatal error: Exceeded maximum signature check limit", rejection);
        }
        if self.fresh > OUR_SIGNATURES || self.signatures > OUR_CANDIDATES {
            self.fatal = true;
            self.endless = true;
            let rejection = Rejection::BudgetExceeded("signature checks of this model", OUR_SIGNATURES);
            return fail(depth, "no bound of its own", rejection);
        }
        let known = self.question.signatures.len();
        let verified = self.question.signatures.verify(child, issuer);
        self.fresh += self.question.signatures.len() - known;
        match verified {
            Ok(()) => Ok(()),
            Err(SignatureError::Unsupported(what)) => {
                self.unsupported.get_or_insert_with(|| what.clone());
                fail(depth - 1, "signature does not match", Rejection::UnsupportedSignature(what))
            }
            Err(_) => fail(depth - 1, "signature does not match", Rejection::InvalidSignature),
        }
    }

    /// `permits_basic`.
    fn check_basics(&self, certificate: &Certificate, depth: usize) -> Result<(), Failure> {
        if certificate.version() != 3 {
            return other(depth, "certificate must be an X509v3 certificate");
        }
        if certificate.defects().contains(&Defect::SignatureAlgorithmMismatch) {
            return other(depth, "mismatch between signatureAlgorithm and SPKI algorithm");
        }
        if !(1..=21).contains(&certificate.serial().len()) {
            return other(depth, "certificate must have a serial between 1 and 20 octets");
        }
        if certificate.serial()[0] >= 0x80 {
            return other(depth, "certificate serial number cannot be negative");
        }
        if certificate.issuer().is_empty() {
            return other(depth, "certificate must have a non-empty Issuer");
        }
        untimely(certificate, self.question.at).map_or(Ok(()), |why| fail(depth, "cert is not valid at validation time", why))
    }

    /// `permits_ca`: how many authorities may stand below, then the extensions in their order.
    fn check_authority(&self, certificate: &Certificate, depth: usize) -> Result<(), Failure> {
        self.check_basics(certificate, depth)?;
        if certificate.basic_constraints().is_none() {
            return fail(depth, "missing required extension: CA certificate has no basicConstraints", Rejection::NotCa);
        }
        let found = u32::try_from(depth - 1).unwrap_or(u32::MAX);
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len).filter(|limit| found > *limit) {
            return fail(depth, "path length constraint violated", Rejection::PathTooLong { limit, found });
        }
        for extension in certificate.extensions() {
            let wrong = match &*extension.oid {
                "1.3.6.1.5.5.7.1.1" | "2.5.29.14" | "2.5.29.35" | "2.5.29.37" => extension.critical,
                "2.5.29.19" => !extension.critical,
                _ => false,
            };
            if wrong {
                return invalid(depth, &extension.oid, "Certificate extension has incorrect criticality");
            }
            match &*extension.oid {
                "1.3.6.1.5.5.7.1.1" => check_access(certificate, depth)?,
                "2.5.29.35" => check_key_id(certificate, depth)?,
                "2.5.29.15" if !certificate.key_usage().is_some_and(|usage| usage.key_cert_sign()) => {
                    let text = "keyUsage.keyCertSign must be asserted in a CA certificate";
                    return fail(depth, text, Rejection::KeyUsageLacksCertSign);
                }
                "2.5.29.19" if !certificate.is_ca() => {
                    return fail(depth, "basicConstraints.cA must be asserted in a CA certificate", Rejection::NotCa);
                }
                "2.5.29.37" => self.check_purpose(certificate, depth)?,
                oid if extension.critical && !HANDLED.contains(&oid) => {
                    return other(depth, format!("certificate contains unaccounted-for critical extensions: {oid}"));
                }
                _ => {}
            }
        }
        if certificate.key_usage().is_none() {
            return invalid(depth, "2.5.29.15", "Certificate is missing required extension");
        }
        Ok(())
    }

    /// `permits_ee`.
    fn check_leaf(&self, leaf: &Certificate, host: Option<&str>) -> Result<(), Failure> {
        if host.is_some_and(|host| host.parse::<IpAddr>().is_err() && !is_dns_name(host)) {
            return other(0, "invalid domain name");
        }
        if let Some(oid) = duplicate(leaf) {
            return invalid(0, oid, "duplicate extension");
        }
        self.check_basics(leaf, 0)?;
        for extension in leaf.extensions() {
            if extension.critical && matches!(&*extension.oid, "1.3.6.1.5.5.7.1.1" | "2.5.29.35" | "2.5.29.37") {
                return invalid(0, &extension.oid, "Certificate extension has incorrect criticality");
            }
            match &*extension.oid {
                "2.5.29.15" if leaf.key_usage().is_some_and(|usage| usage.key_cert_sign()) => {
                    return other(0, "EE keyUsage must not assert keyCertSign");
                }
                "2.5.29.17" => {
                    if leaf.subject().is_empty() != extension.critical {
                        let text = if extension.critical {
                            "EE subjectAltName MUST NOT be critical when subject is nonempty"
                        } else {
                            "EE subjectAltName MUST be critical when subject is empty"
                        };
                        return other(0, text);
                    }
                    let checked = host.map_or(Ok(()), |host| host_name::check(leaf, host, Rules::ALT_NAME_ONLY));
                    checked.or_else(|rejection| fail(0, "leaf certificate has no matching subjectAltName", rejection))?;
                }
                "2.5.29.19" if leaf.is_ca() => {
                    return other(0, "basicConstraints.cA must not be asserted in an EE certificate");
                }
                "1.3.6.1.5.5.7.1.1" => check_access(leaf, 0)?,
                "2.5.29.30" => return invalid(0, &extension.oid, "Certificate contains prohibited extension"),
                "2.5.29.37" => self.check_purpose(leaf, 0)?,
                oid if extension.critical && !HANDLED.contains(&oid) => {
                    return other(0, format!("certificate contains unaccounted-for critical extensions: {oid}"));
                }
                _ => {}
            }
        }
        if leaf.authority_key_id().is_none() {
            return invalid(0, "2.5.29.35", "Certificate is missing required extension");
        }
        if leaf.subject_alt_name().is_none() {
            let rejection = Rejection::HostMismatch { asked: host.unwrap_or_default().to_owned(), names: host_name::shown(leaf) };
            return fail(0, "missing required extension: leaf server certificate has no subjectAltName", rejection);
        }
        Ok(())
    }

    fn check_purpose(&self, certificate: &Certificate, depth: usize) -> Result<(), Failure> {
        let purpose = self.question.purpose;
        let serves =
            |list: &[Purpose]| *purpose == Purpose::Any || list.contains(purpose) || (depth > 0 && list.contains(&Purpose::Any));
        if certificate.extended_key_usage().is_none_or(serves) {
            return Ok(());
        }
        let text = if depth == 0 { "required EKU not found" } else { "Neither EKU nor anyEKU could be found" };
        fail(depth, text, Rejection::PurposeMismatch(purpose_name(self.question)))
    }

    /// `evaluate_constraints`: the alternative names of everything below, but for authorities that are self-issued.
    fn check_constraints(&self, authority: &Certificate, path: &[Certificate]) -> Result<(), Failure> {
        let Some(constraints) = name_constraints::of(authority) else { return Ok(()) };
        let peer = self.question.host.filter(|host| self.policy.constrains_peer && host.parse::<IpAddr>().is_err());
        if let Some(host) = peer {
            let violated = |text: &str| fail(0, text, Rejection::NameConstraintViolated(host.to_owned()));
            check_peer(&constraints, host).or_else(violated)?;
        }
        for (depth, certificate) in path.iter().enumerate() {
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            if let Some(name) = constraints.of_kind(0x81).0.first().and_then(|_| malformed_mailbox(certificate)) {
                return other(depth, format!("unsatisfiable RFC822 name constraint: malformed SAN {name:?}"));
            }
            match constraints.check(certificate, Scope { common_name: false, directory: false, subject_email: false }) {
                Ok(()) => {}
                Err(Violation::Excluded(name)) => {
                    return fail(depth, "excluded name constraint matched SAN", Rejection::NameConstraintViolated(name));
                }
                Err(Violation::NotPermitted(name)) => {
                    return fail(depth, "no permitted name constraints matched SAN", Rejection::NameConstraintViolated(name));
                }
                Err(Violation::TooMany) => {
                    let rejection = Rejection::BudgetExceeded("name constraint checks", 1 << 20);
                    return fail(depth, "fatal error: Exceeded maximum name constraint check limit", rejection);
                }
                Err(Violation::MinMax | Violation::Syntax | Violation::UnsupportedKind) => {
                    return other(depth, "unsupported name constraint");
                }
            }
        }
        Ok(())
    }
}

/// The name asked for, as if it stood among the alternative names: `Err` with the text when it lies in an excluded subtree, or outside of
/// all permitted ones.
fn check_peer(constraints: &NameConstraints<'_>, host: &str) -> Result<(), &'static str> {
    let (permitted, excluded) = constraints.of_kind(0x82);
    let lies_in = |base: &&[u8]| std::str::from_utf8(base).is_ok_and(|base| name_constraints::in_domain(host, base));
    if !permitted.is_empty() && !permitted.iter().any(lies_in) {
        return Err("no permitted name constraints matched SAN");
    }
    if excluded.iter().any(lies_in) { Err("excluded name constraint matched SAN") } else { Ok(()) }
}

/// An rfc822Name that `RFC822Name::new` (types.rs) does not take: atoms of RFC 2822, an at sign, a domain.
fn malformed_mailbox(certificate: &Certificate) -> Option<&str> {
    let is_atom =
        |atom: &str| !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    let is_mailbox =
        |name: &str| name.split_once('@').is_some_and(|(local, domain)| local.split('.').all(is_atom) && is_dns_name(domain));
    let names = certificate.subject_alt_name().unwrap_or_default().iter();
    let mailboxes = names.filter_map(|n| if let GeneralName::Email(name) = n { Some(name.as_str()) } else { None });
    mailboxes.into_iter().find(|name| !is_mailbox(name))
}

/// `DNSName::new` (types.rs): labels of letters, digits and hyphens.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// `Certificate::extensions` refuses two of one kind.
fn duplicate(certificate: &Certificate) -> Option<&str> {
    certificate.defects().iter().find_map(|d| if let Defect::DuplicateExtension(oid) = d { Some(oid.as_str()) } else { None })
}

/// `common::authority_information_access`: it must be what RFC 5280, section 4.2.2.1, says.
fn check_access(certificate: &Certificate, depth: usize) -> Result<(), Failure> {
    let Some((_, value)) = certificate.extension("1.3.6.1.5.5.7.1.1") else { return Ok(()) };
    let description =
        |t: &Tlv<'_>| t.tag == 0x30 && matches!(elements_exactly(t.value).as_deref(), Some([Tlv { tag: 0x06, .. }, _]));
    let list = read_tlv(value).filter(|(t, rest)| t.tag == 0x30 && rest.is_empty()).and_then(|(t, _)| elements_exactly(t.value));
    if list.is_some_and(|list| !list.is_empty() && list.iter().all(description)) {
        return Ok(());
    }
    other(depth, "ASN.1 parsing error: authorityInfoAccess can't be read")
}

/// `ca::authority_key_identifier`: issuer and serial are passed over (pyca/cryptography#11461).
fn check_key_id(certificate: &Certificate, depth: usize) -> Result<(), Failure> {
    match certificate.authority_key_id() {
        Some(aki) if aki.key_id.is_none() => other(depth, "authorityKeyIdentifier must contain keyIdentifier"),
        _ => Ok(()),
    }
}

fn invalid<T>(depth: usize, oid: &str, text: &str) -> Result<T, Failure> {
    other(depth, format!("invalid extension: {oid}: {text}"))
}
