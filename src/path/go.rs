//! Go: `(*Certificate).Verify` in crypto/x509/verify.go.
//!
//! The leaf is judged first. Then all chains are built over roots and intermediates, each candidate's signature before its validity, and
//! at last chains are dropped that don't serve the purpose. The error is that of the candidate evaluated last.

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, NameConstraints, in_domain, in_network, uri_host},
    openssl::purpose_name,
};
use crate::x509::{
    Certificate, Defect, Extension, GeneralName, Hash, KeyAlgorithm, Purpose, SignatureError, Tlv, elements, elements_exactly,
    read_tlv,
};

/// The knobs of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Parents are found by key identifier first, and by name only if that gave none (up to 1.15).
    pub key_id_first: bool,
    /// SHA-1 signatures are refused (1.18).
    pub sha1_is_insecure: bool,
    /// Name constraints are checked on finished chains instead of on each candidate (1.23).
    pub constraints_last: bool,
}

impl Policy {
    /// 1.15.
    pub const V1_15: Policy = Policy { key_id_first: true, sha1_is_insecure: false, constraints_last: false };
    /// 1.16 and 1.17.
    pub const V1_16: Policy = Policy { key_id_first: false, ..Policy::V1_15 };
    /// 1.18 to 1.22.
    pub const V1_18: Policy = Policy { sha1_is_insecure: true, ..Policy::V1_16 };
    /// 1.23 and later.
    pub const V1_23: Policy = Policy { constraints_last: true, ..Policy::V1_18 };
}

/// `maxChainSignatureChecks`.
const SIGNATURE_CHECKS: usize = 100;

/// `maxConstraintComparisons`.
const COMPARISONS: usize = 250_000;

/// Critical extensions that `parseCertificate` handles.
const HANDLED: &[&str] =
    &["2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32", "2.5.29.35", "2.5.29.37"];

/// Asks `Verify` with `x509.VerifyOptions{Roots, Intermediates, DNSName, CurrentTime}`.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    let leaf = question.leaf();
    if let Some(text) = parse_fault(leaf) {
        let rejection = Rejection::Other(text.to_owned());
        let error = ClientError { code: "x509".into(), name: "parse".into(), depth: Some(0), text: text.to_owned(), rejection };
        return Verdict::Untrusted { path: vec![leaf.clone()], errors: vec![error] };
    }
    let mut search = Search { question, policy, checks: 0, error: None, chains: Vec::new(), unsupported: None };
    let early = search.check(leaf, Kind::Leaf, &[]).err().or_else(|| check_host(question));
    if let Some(error) = early {
        return Verdict::Untrusted { path: vec![leaf.clone()], errors: vec![*error] };
    }
    if question.anchors.iter().any(|root| root == leaf) {
        search.chains.push(vec![leaf.clone()]);
    } else {
        search.build(std::slice::from_ref(leaf));
    }
    if search.chains.is_empty() {
        if let Some(what) = &search.unsupported {
            return Verdict::unchecked(what);
        }
        let error = search.error.take().unwrap_or_else(|| unknown_authority(leaf, None));
        return Verdict::Untrusted { path: vec![leaf.clone()], errors: vec![*error] };
    }
    search.choose()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Leaf,
    Intermediate,
    Root,
}

struct Search<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    checks: usize,
    /// `err` of `buildChains`: the last evaluated candidate's.
    error: Option<Box<ClientError>>,
    chains: Vec<Vec<Certificate>>,
    unsupported: Option<String>,
}

impl Search<'_> {
    fn build(&mut self, chain: &[Certificate]) {
        let before = self.chains.len();
        self.error = None;
        let current = &chain[chain.len() - 1];
        let question = self.question;
        let roots: Vec<&Certificate> = question.anchors.iter().collect();
        let sent: Vec<&Certificate> = question.presented[1..].iter().collect();
        let mut hint = None;
        for root in self.parents(current, &roots) {
            self.consider(Kind::Root, root, chain, &mut hint);
        }
        for intermediate in self.parents(current, &sent) {
            self.consider(Kind::Intermediate, intermediate, chain, &mut hint);
        }
        if self.chains.len() > before {
            self.error = None;
        } else if self.error.is_none() {
            self.error = Some(unknown_authority(current, hint.as_deref()));
        }
    }

    fn consider(&mut self, kind: Kind, candidate: &Certificate, chain: &[Certificate], hint: &mut Option<String>) {
        if self.is_in(candidate, chain) {
            return;
        }
        self.checks += 1;
        if self.checks > SIGNATURE_CHECKS {
            self.error = Some(Box::new(ClientError {
                code: "x509.errSignatureLimit".into(),
                name: "signature check limit".into(),
                depth: None,
                text: "x509: signature check attempts limit reached while verifying certificate chain".into(),
                rejection: Rejection::BudgetExceeded("signature checks", SIGNATURE_CHECKS),
            }));
            return;
        }
        if let Err(why) = self.check_signature_from(&chain[chain.len() - 1], candidate) {
            hint.get_or_insert(why);
            return;
        }
        self.error = self.check(candidate, kind, chain).err();
        if self.error.is_some() {
            return;
        }
        let mut longer = chain.to_vec();
        longer.push(candidate.clone());
        if kind == Kind::Root {
            self.chains.push(longer);
        } else {
            self.build(&longer);
        }
    }

    /// `findPotentialParents`.
    fn parents<'c>(&self, child: &Certificate, pool: &[&'c Certificate]) -> Vec<&'c Certificate> {
        let wanted = child.authority_key_id().and_then(|a| a.key_id.as_deref()).unwrap_or_default();
        let by_name = pool.iter().filter(|c| c.subject().raw() == child.issuer().raw());
        if self.policy.key_id_first {
            let by_key: Vec<_> =
                pool.iter().filter(|c| !wanted.is_empty() && c.subject_key_id() == Some(wanted)).copied().collect();
            return if by_key.is_empty() { by_name.copied().collect() } else { by_key };
        }
        // Most plausible first: equal identifiers, one missing, different.
        let rank = |c: &&Certificate| {
            let found = c.subject_key_id().unwrap_or_default();
            if found == wanted { 0 } else { 1 + u8::from(!found.is_empty() && !wanted.is_empty()) }
        };
        let mut unique: Vec<&Certificate> = by_name.copied().collect();
        unique.sort_by_key(rank);
        unique.dedup();
        unique
    }

    /// `alreadyInChain`: subject, key and alternative names; up to 1.15 the certificate itself.
    fn is_in(&self, candidate: &Certificate, chain: &[Certificate]) -> bool {
        let names = |c: &Certificate| c.extension("2.5.29.17").map(|(_, value)| value.to_vec());
        chain.iter().any(|c| {
            c == candidate
                || (!self.policy.key_id_first
                    && c.subject().raw() == candidate.subject().raw()
                    && c.spki() == candidate.spki()
                    && names(c) == names(candidate))
        })
    }

    /// `CheckSignatureFrom`.
    fn check_signature_from(&mut self, child: &Certificate, parent: &Certificate) -> Result<(), String> {
        let basic = parent.basic_constraints();
        if (parent.version() == 3 && basic.is_none())
            || basic.is_some_and(|b| !b.ca)
            || parent.key_usage().is_some_and(|usage| usage.0 != 0 && !usage.key_cert_sign())
        {
            return Err("x509: invalid signature: parent certificate cannot sign this kind of certificate".into());
        }
        let algorithm = child.signature_algorithm();
        let key = parent.public_key();
        let implemented = match &key.algorithm {
            KeyAlgorithm::Rsa => !key.only_pss && algorithm.hash != Some(Hash::Sha224),
            KeyAlgorithm::Ec(_) => algorithm.hash != Some(Hash::Sha224),
            KeyAlgorithm::Ed25519 => true,
            KeyAlgorithm::Dsa | KeyAlgorithm::Ed448 | KeyAlgorithm::Other(_) => false,
        };
        if !implemented {
            return Err("x509: cannot verify signature: algorithm unimplemented".into());
        }
        let insecure = match algorithm.hash {
            Some(Hash::Md2 | Hash::Md5) => true,
            Some(Hash::Sha1) => self.policy.sha1_is_insecure,
            _ => false,
        };
        if insecure {
            return Err(format!("x509: cannot verify signature: insecure algorithm {algorithm}"));
        }
        match self.question.signatures.verify(child, parent) {
            Ok(()) => Ok(()),
            Err(SignatureError::Unsupported(what)) => {
                self.unsupported.get_or_insert_with(|| what.clone());
                Err(what)
            }
            Err(_) => Err(match parent.public_key().algorithm {
                KeyAlgorithm::Rsa => "crypto/rsa: verification error".into(),
                KeyAlgorithm::Ec(_) => "x509: ECDSA verification failure".into(),
                _ => "x509: signature verification failure".into(),
            }),
        }
    }

    /// `isValid`.
    fn check(&self, certificate: &Certificate, kind: Kind, chain: &[Certificate]) -> Result<(), Box<ClientError>> {
        let depth = chain.len();
        // `parseNameConstraintsExtension`: a kind that Go does not know leaves the extension unhandled.
        let unknown_kind = |nc: NameConstraints<'_>| nc.kinds().any(|tag| !matches!(tag, 0x81 | 0x82 | 0x86 | 0x87));
        let unhandled = |e: &Extension| {
            !HANDLED.contains(&&*e.oid) || (e.oid == "2.5.29.30" && name_constraints::of(certificate).is_some_and(unknown_kind))
        };
        if certificate.extensions().iter().any(|e| e.critical && unhandled(e)) {
            return Err(Box::new(ClientError {
                code: "x509.UnhandledCriticalExtension".into(),
                name: "UnhandledCriticalExtension".into(),
                depth: Some(depth),
                text: "x509: unhandled critical extension".into(),
                rejection: Rejection::Other("a critical extension that Go does not handle".into()),
            }));
        }
        if chain.last().is_some_and(|child| child.issuer().raw() != certificate.subject().raw()) {
            let rejection = Rejection::IssuerMissing(chain[depth - 1].issuer().to_string());
            return Err(invalid(5, depth, "x509: issuer name does not match subject from issuing certificate".into(), rejection));
        }
        check_time(certificate, depth, self.question)?;
        if kind != Kind::Leaf && !self.policy.constraints_last {
            check_constraints(certificate, chain, depth)?;
        }
        if kind == Kind::Intermediate && !certificate.is_ca() {
            let text = "x509: certificate is not authorized to sign other certificates".into();
            return Err(invalid(0, depth, text, Rejection::NotCa));
        }
        if let Some(limit) = certificate.basic_constraints().and_then(|b| b.path_len) {
            let found = u32::try_from(depth.saturating_sub(1)).unwrap_or(u32::MAX);
            if found > limit {
                let text = "x509: too many intermediates for path length constraint".into();
                return Err(invalid(3, depth, text, Rejection::PathTooLong { limit, found }));
            }
        }
        Ok(())
    }

    /// What `Verify` does with the chains found: the first that serves the purpose and keeps the constraints.
    fn choose(&self) -> Verdict {
        let mut error = None;
        for chain in &self.chains {
            if !serves(chain, self.question.purpose) {
                let text = "x509: certificate specifies an incompatible key usage".into();
                error.get_or_insert_with(|| invalid(4, 0, text, Rejection::PurposeMismatch(purpose_name(self.question))));
                continue;
            }
            if self.policy.constraints_last {
                let broken = (1..chain.len()).find_map(|i| check_constraints(&chain[i], &chain[..i], i).err());
                if let Some(broken) = broken {
                    error = Some(broken);
                    continue;
                }
            }
            return Verdict::Trusted { path: chain.clone() };
        }
        let path = self.chains[0].clone();
        Verdict::Untrusted { path, errors: error.into_iter().map(|e| *e).collect() }
    }
}

/// `checkChainForKeyUsage`: each certificate of the chain must allow the purpose, if it names any.
fn serves(chain: &[Certificate], purpose: &Purpose) -> bool {
    *purpose == Purpose::Any
        || chain.iter().all(|c| {
            c.extended_key_usage().is_none_or(|list| list.is_empty() || list.contains(purpose) || list.contains(&Purpose::Any))
        })
}

fn check_time(certificate: &Certificate, depth: usize, question: &Question<'_>) -> Result<(), Box<ClientError>> {
    let (at, validity) = (question.at, certificate.validity());
    let text = |relation: &str, bound| {
        format!("x509: certificate has expired or is not yet valid: current time {at} is {relation} {bound}")
    };
    match (validity.not_before, validity.not_after) {
        (Some(not_before), _) if at < not_before => {
            Err(invalid(1, depth, text("before", not_before), Rejection::NotYetValid { not_before, at }))
        }
        (_, Some(not_after)) if at > not_after => {
            Err(invalid(1, depth, text("after", not_after), Rejection::Expired { not_after, at }))
        }
        (Some(_), Some(_)) => Ok(()),
        _ => Err(invalid(1, depth, "x509: malformed validity".into(), Rejection::DateUnreadable)),
    }
}

/// The names of everything below against the constraints of one CA; the common name and directory names don't count.
fn check_constraints(ca: &Certificate, below: &[Certificate], depth: usize) -> Result<(), Box<ClientError>> {
    let Some(constraints) = name_constraints::of(ca) else { return Ok(()) };
    let mut comparisons = 0;
    for name in below.iter().flat_map(|c| c.subject_alt_name().unwrap_or_default()) {
        let (kind, tag, shown) = match name {
            GeneralName::Dns(text) => ("DNS name", 0x82, text.clone()),
            GeneralName::Email(text) => ("email address", 0x81, text.clone()),
            GeneralName::Uri(text) => ("URI", 0x86, text.clone()),
            GeneralName::Ip(octets) => ("IP address", 0x87, octets.iter().map(u8::to_string).collect::<Vec<_>>().join(".")),
            GeneralName::Directory(_) | GeneralName::Other(_) | GeneralName::OtherName(..) => continue,
        };
        let (permitted, excluded) = constraints.of_kind(tag);
        comparisons += permitted.len() + excluded.len();
        if comparisons > COMPARISONS {
            let rejection = Rejection::BudgetExceeded("name constraint comparisons", COMPARISONS);
            return Err(invalid(6, depth, "x509: unknown error".to_owned(), rejection));
        }
        let matches = |base: &&[u8]| is_in_subtree(name, base);
        let why = if excluded.iter().any(matches) {
            "is excluded by constraint"
        } else if !permitted.is_empty() && !permitted.iter().any(matches) {
            "is not permitted by any constraint"
        } else {
            continue;
        };
        let text =
            format!("x509: a root or intermediate certificate is not authorized to sign for this name: {kind} \"{shown}\" {why}");
        return Err(invalid(2, depth, text, Rejection::NameConstraintViolated(shown)));
    }
    Ok(())
}

/// `matchDomainConstraint`, `matchEmailConstraint`, `matchURIConstraint`, `matchIPConstraint`: a mailbox's or a URI's domain is matched
/// like a DNS name, subdomains included. What can't be compared is in no subtree.
fn is_in_subtree(name: &GeneralName, base: &[u8]) -> bool {
    if let GeneralName::Ip(octets) = name {
        return in_network(octets, base).unwrap_or(false);
    }
    let Ok(text) = std::str::from_utf8(base) else { return false };
    match name {
        GeneralName::Dns(name) => in_domain(name, text),
        GeneralName::Email(name) => match (name.split_once('@'), text.split_once('@')) {
            (Some((local, host)), Some((base_local, base_host))) => local == base_local && host.eq_ignore_ascii_case(base_host),
            (Some((_, host)), None) => !host.contains('@') && in_domain(host, text),
            (None, _) => false,
        },
        GeneralName::Uri(name) => uri_host(name).is_some_and(|host| in_domain(host, text)),
        GeneralName::Directory(_) | GeneralName::Ip(_) | GeneralName::Other(_) | GeneralName::OtherName(..) => false,
    }
}

/// What `parseCertificate` refuses; the handshake ends there for whatever was sent, and such a root is left out of a pool.
fn parse_fault(certificate: &Certificate) -> Option<&'static str> {
    let key = certificate.public_key();
    let fault = certificate.defects().iter().find_map(|defect| match defect {
        Defect::DuplicateExtension(_) => Some("x509: certificate contains duplicate extensions"),
        Defect::SignatureAlgorithmMismatch => Some("x509: inner and outer signature algorithm identifiers don't match"),
        Defect::BadPublicKey => Some("x509: malformed public key"),
        Defect::LooseBoolean(oid) if oid == "2.5.29.19" => Some("x509: invalid basic constraints b"),
        Defect::LooseBoolean(_) => Some("x509: malformed extension"),
        Defect::BadExtension(oid, _) => match oid.as_str() {
            "2.5.29.17" => Some("x509: invalid subject alternative names"),
            "2.5.29.19" => Some("x509: invalid basic constraints"),
            "2.5.29.15" => Some("x509: invalid key usage"),
            "2.5.29.37" => Some("x509: invalid extended key usages"),
            "2.5.29.30" => Some("x509: invalid NameConstraints extension"),
            "2.5.29.31" => Some("x509: invalid CRL distribution points"),
            _ => None,
        },
        _ => None,
    });
    fault.or(match &key.algorithm {
        KeyAlgorithm::Ec(_) if key.explicit_curve => Some("x509: invalid ECDSA parameters"),
        KeyAlgorithm::Ec(curve) if !matches!(curve.as_str(), "P-224" | "P-256" | "P-384" | "P-521") => {
            Some("x509: unsupported elliptic curve")
        }
        _ if has_bad_access_information(certificate) => Some("x509: invalid authority info access"),
        _ => None,
    })
}

/// authorityInfoAccess: a sequence of sequences of an OID and a GeneralName.
fn has_bad_access_information(certificate: &Certificate) -> bool {
    let Some((_, value)) = certificate.extension("1.3.6.1.5.5.7.1.1") else { return false };
    let description = |item: Tlv<'_>| {
        let mut parts = elements(item.value);
        item.tag == 0x30 && parts.next().is_some_and(|t| t.tag == 0x06) && parts.next().is_some()
    };
    let list = read_tlv(value).filter(|(t, _)| t.tag == 0x30).and_then(|(t, _)| elements_exactly(t.value));
    !list.is_some_and(|list| list.into_iter().all(description))
}

fn check_host(question: &Question<'_>) -> Option<Box<ClientError>> {
    let host = question.host?;
    let rejection = host_name::check(question.leaf(), host, Rules::GO).err()?;
    let names = host_name::shown(question.leaf()).join(", ");
    let text = if question.leaf().subject_alt_name().is_none_or(<[_]>::is_empty) {
        "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned()
    } else {
        format!("x509: certificate is valid for {names}, not {host}")
    };
    Some(Box::new(ClientError {
        code: "x509.HostnameError".into(),
        name: "HostnameError".into(),
        depth: Some(0),
        text,
        rejection,
    }))
}

fn invalid(reason: u8, depth: usize, text: String, rejection: Rejection) -> Box<ClientError> {
    // The names of `x509.InvalidReason`.
    const REASONS: [&str; 7] = [
        "NotAuthorizedToSign",
        "Expired",
        "CANotAuthorizedForThisName",
        "TooManyIntermediates",
        "IncompatibleUsage",
        "NameMismatch",
        "TooManyConstraints",
    ];
    Box::new(ClientError {
        code: format!("x509.CertificateInvalidError/{reason}"),
        name: REASONS[usize::from(reason).min(6)].into(),
        depth: Some(depth),
        text,
        rejection,
    })
}

fn unknown_authority(certificate: &Certificate, hint: Option<&str>) -> Box<ClientError> {
    let mut text = "x509: certificate signed by unknown authority".to_owned();
    if let Some(hint) = hint {
        text.push_str(&format!(
            " (possibly because of {hint:?} while trying to verify candidate authority certificate {:?})",
            certificate.issuer().label()
        ));
    }
    let rejection = match hint {
        Some(hint) if hint.contains("insecure") => Rejection::WeakSignature(certificate.signature_algorithm().to_string()),
        Some(hint) if hint.contains("cannot sign") => Rejection::NotCa,
        Some(_) => Rejection::InvalidSignature,
        None => Rejection::IssuerMissing(certificate.issuer().to_string()),
    };
    let name = "UnknownAuthorityError";
    Box::new(ClientError { code: format!("x509.{name}"), name: name.into(), depth: None, text, rejection })
}
