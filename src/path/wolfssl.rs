//! wolfSSL: `ProcessPeerCerts` (src/internal.c), `AddCA` and `GetCA` (src/ssl.c), `ParseCertRelative` (wolfcrypt/src/asn.c).
//!
//! There is no search. A table of authorities is filled from the store; then each certificate that was sent must have its signer in the
//! table, from the last one down, and joins it. Without `WOLFSSL_ALT_CERT_CHAINS` one that has none spoils the handshake, whether it is
//! needed or not. An expired authority is never loaded.

use super::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::Rules,
    name_constraints::{self, Scope},
    openssl::purpose_name,
    untimely,
};
use crate::x509::{Certificate, KeyAlgorithm, Purpose, SignatureError, key_identifier};

/// The knobs of one build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `WOLFSSL_ALT_CERT_CHAINS`: a sent authority without a signer is forgotten (configure.ac: opensslextra, all, distro).
    pub alternative_chains: bool,
    /// `WOLFSSL_TRUST_PEER_CERT` (distro): a leaf that stands in the store is accepted at once.
    pub trusts_peers: bool,
    /// `OPENSSL_ALL`: a self-signed certificate without a signer has a code of its own (-275).
    pub tells_self_signed: bool,
    /// 5.7: the leaf without a signer shows the remembered error of an authority instead (measured: 5.7.2).
    pub remembered_first: bool,
}

impl Policy {
    /// 4.x in a plain build (Debian 11).
    pub const V4: Policy =
        Policy { alternative_chains: false, trusts_peers: false, tells_self_signed: false, remembered_first: false };
    /// 5.x as distributions build it (Debian 12).
    pub const V5: Policy =
        Policy { alternative_chains: true, trusts_peers: true, tells_self_signed: true, remembered_first: false };
    /// 5.7 as distributions build it (Debian 13).
    pub const V5_7: Policy = Policy { remembered_first: true, ..Policy::V5 };
}

/// `CA_TABLE_SIZE`.
const ROWS: usize = 11;
/// `MAX_CHAIN_DEPTH`: more certificates are not read.
const SENT_AT_MOST: usize = 9;
/// `WOLFSSL_MAX_PATH_LEN`.
const PATH_LENGTH: u32 = 127;
/// Critical extensions that `DecodeExtensionType` reads.
const HANDLED: &[&str] = &[
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "1.3.6.1.5.5.7.1.1",
];

/// What the client says, by its code.
struct Fault {
    code: i32,
    rejection: Rejection,
}

/// Codes (wolfssl/wolfcrypt/error-crypt.h, wolfssl/error-ssl.h) with name and text.
const CODES: &[(i32, &str, &str)] = &[
    (-150, "ASN_BEFORE_DATE_E", "ASN date error, current date before"),
    (-151, "ASN_AFTER_DATE_E", "ASN date error, current date after"),
    (-155, "ASN_SIG_CONFIRM_E", "ASN sig error, confirm failure"),
    (-160, "ASN_CRIT_EXT_E", "X.509 Critical extension ignored or invalid"),
    (-188, "ASN_NO_SIGNER_E", "ASN no signer error to confirm failure"),
    (-198, "ASN_NAME_INVALID_E", "Name Constraint error"),
    (-238, "ASN_PATHLEN_INV_E", "ASN CA path length value is larger than the issuer's"),
    (-275, "ASN_SELF_SIGNED_E", "ASN self-signed certificate error"),
    (-322, "DOMAIN_NAME_MISMATCH", "peer subject name mismatch"),
    (-357, "NOT_CA_ERROR", "Not a CA by basic constraint error"),
    (-368, "MAX_CHAIN_ERROR", "Maximum Chain Depth Exceeded"),
    (-383, "KEYUSE_SIGNATURE_E", "Key Use digitalSignature not set Error"),
    (-386, "EXTKEYUSE_AUTH_E", "Ext Key Use server/client auth not set Error"),
    (-404, "HANDSHAKE_SIZE_ERROR", "Handshake message too large Error"),
];

/// Asks a handshake.
#[must_use]
pub fn judge(question: &Question<'_>, policy: &Policy) -> Verdict {
    if question.presented.len() <= SENT_AT_MOST {
        return judge_list(question, policy);
    }
    let too_many = Rejection::BudgetExceeded("certificates sent", SENT_AT_MOST);
    if !policy.tells_self_signed {
        return refusal(vec![question.leaf().clone()], None, Fault { code: -368, rejection: too_many });
    }
    // Builds for OpenSSL's interface judge the first nine, and trip over the rest of the message if those please (measured: 5.5.4).
    match judge_list(&Question { presented: &question.presented[..SENT_AT_MOST], ..*question }, policy) {
        Verdict::Trusted { path } => refusal(path, None, Fault { code: -404, rejection: too_many }),
        Verdict::Untrusted { path, mut errors } => {
            for error in errors.iter_mut().filter(|e| matches!(e.rejection, Rejection::IssuerMissing(_))) {
                error.rejection = too_many.clone();
            }
            Verdict::Untrusted { path, errors }
        }
        unknown @ Verdict::Unknown(_) => unknown,
    }
}

fn judge_list(question: &Question<'_>, policy: &Policy) -> Verdict {
    let mut model = Model { question, policy, rows: Default::default(), unsupported: None };
    for anchor in question.anchors.iter() {
        model.load(anchor);
    }
    let leaf = question.leaf();
    let mut remembered: Option<(usize, Fault)> = None;
    let mut path = vec![leaf.clone()];
    if !(policy.trusts_peers && model.is_trusted_peer(leaf)) {
        for (depth, certificate) in question.presented.iter().enumerate().skip(1).rev() {
            if let Err(fault) = model.take(certificate) {
                remembered.get_or_insert((depth, fault));
            }
        }
        match model.parse(leaf) {
            Ok(signer) => path = model.path(leaf, signer),
            Err(fault) => {
                let (depth, fault) = match remembered {
                    Some((depth, first)) if policy.remembered_first && fault.code == -188 => (depth, first),
                    _ => (0, fault),
                };
                return model.refuse(path, depth, fault);
            }
        }
    }
    if let Some(host) = question.host
        && let Err(rejection) = host_name::check(leaf, host, Rules::WOLFSSL)
    {
        return model.refuse(path, 0, Fault { code: -322, rejection });
    }
    if let Some(fault) = check_use(question) {
        return model.refuse(path, 0, fault);
    }
    match remembered {
        Some((depth, fault)) => model.refuse(path, depth, fault),
        None => Verdict::Trusted { path },
    }
}

/// `IGNORE_KEY_EXTENSIONS` is off: keyUsage for a key exchange that is signed, and extendedKeyUsage.
fn check_use(question: &Question<'_>) -> Option<Fault> {
    let leaf = question.leaf();
    let serves = |list: &[Purpose]| list.contains(question.purpose) || list.contains(&Purpose::Any);
    if *question.purpose != Purpose::Any && leaf.extended_key_usage().is_some_and(|list| !serves(list)) {
        return Some(Fault { code: -386, rejection: Rejection::PurposeMismatch(purpose_name(question)) });
    }
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return Some(Fault { code: -383, rejection: Rejection::PurposeMismatch("digitalSignature".to_owned()) });
    }
    None
}

fn refusal(path: Vec<Certificate>, depth: Option<usize>, fault: Fault) -> Verdict {
    let (name, text) = CODES.iter().find(|(code, ..)| *code == fault.code).map_or(("", ""), |(_, name, text)| (*name, *text));
    let error = ClientError {
        code: fault.code.to_string(),
        name: name.to_owned(),
        depth,
        text: text.to_owned(),
        rejection: fault.rejection,
    };
    Verdict::Untrusted { path, errors: vec![error] }
}

/// An entry of the table (`Signer`).
#[derive(Clone)]
struct Signer {
    certificate: Certificate,
    key_id: [u8; 20],
    max_path_length: u32,
}

struct Model<'a> {
    question: &'a Question<'a>,
    policy: &'a Policy,
    /// Each row with the entry added last in front.
    rows: [Vec<Signer>; ROWS],
    unsupported: Option<String>,
}

impl Model<'_> {
    /// `AddCA` of a certificate of the store; what is out of date, or has a critical extension that is not known, is left out.
    fn load(&mut self, anchor: &Certificate) {
        if untimely(anchor, self.question.at).is_some() || unknown_critical(anchor).is_some() {
            return;
        }
        let signer = if anchor.is_self_issued() { None } else { self.signer_of(anchor) };
        let max_path_length = max_path_length(anchor, signer).unwrap_or(0);
        self.add(anchor, max_path_length);
    }

    /// One entry for each key identifier, the first one that comes.
    fn add(&mut self, certificate: &Certificate, max_path_length: u32) {
        let key_id = subject_key_id(certificate);
        if self.by_key(&key_id).is_none() {
            let entry = Signer { certificate: certificate.clone(), key_id, max_path_length };
            self.rows[row(&key_id)].insert(0, entry);
        }
    }

    /// A certificate above the leaf: judged, and added if it is an authority.
    fn take(&mut self, certificate: &Certificate) -> Result<(), Fault> {
        match self.parse(certificate) {
            Err(fault) if self.policy.alternative_chains && certificate.is_ca() && matches!(fault.code, -188 | -275) => Ok(()),
            Err(fault) => Err(fault),
            Ok(_) if !certificate.is_ca() => Ok(()),
            Ok(signer) => {
                let signs = certificate.key_usage().is_some_and(|usage| usage.key_cert_sign());
                // Only what the user loaded may leave keyUsage out.
                if !certificate.is_self_issued() && !signs && self.by_key(&subject_key_id(certificate)).is_none() {
                    return Err(Fault { code: -357, rejection: Rejection::KeyUsageLacksCertSign });
                }
                let signer = if certificate.is_self_issued() { None } else { Some(signer) };
                let length = max_path_length(certificate, signer.as_ref()).unwrap_or(0);
                self.add(certificate, length);
                Ok(())
            }
        }
    }

    /// `ParseCertRelative` with `VERIFY`: the signer, if everything holds.
    fn parse(&mut self, certificate: &Certificate) -> Result<Signer, Fault> {
        let fault = |code, rejection| Fault { code, rejection };
        let signer = self.signer_of(certificate).cloned();
        if !certificate.is_self_issued() && max_path_length(certificate, signer.as_ref()).is_none() {
            let limit = signer.map_or(0, |s| s.max_path_length);
            return Err(fault(-238, Rejection::PathTooLong { limit, found: limit + 1 }));
        }
        let Some(signer) = signer else {
            let self_signed = self.policy.tells_self_signed && certificate.is_self_issued();
            return Err(match self_signed {
                true => fault(-275, Rejection::SelfSignedLeaf),
                false => fault(-188, Rejection::IssuerMissing(certificate.issuer().to_string())),
            });
        };
        match self.question.signatures.verify(certificate, &signer.certificate) {
            Ok(()) => {}
            Err(SignatureError::Unsupported(what)) => self.unsupported = Some(what),
            Err(SignatureError::Invalid | SignatureError::KeyMismatch) => return Err(fault(-155, Rejection::InvalidSignature)),
        }
        let scope = Scope { common_name: false, directory: true, subject_email: false };
        if name_constraints::of(&signer.certificate).is_some_and(|nc| nc.check(certificate, scope).is_err()) {
            let names = host_name::shown(certificate).join(", ");
            return Err(fault(-198, Rejection::NameConstraintViolated(names)));
        }
        match untimely(certificate, self.question.at) {
            Some(why @ Rejection::NotYetValid { .. }) => return Err(fault(-150, why)),
            Some(why) => return Err(fault(-151, why)),
            None => {}
        }
        match unknown_critical(certificate) {
            Some(oid) => Err(fault(-160, Rejection::Other(format!("a critical extension that wolfSSL does not know: {oid}")))),
            None => Ok(signer),
        }
    }

    /// The entry whose key identifier is that of the AKI, else the certificate's own; if its name is not the issuer's, and there is no AKI,
    /// an entry of that name.
    fn signer_of(&self, certificate: &Certificate) -> Option<&Signer> {
        let wanted = certificate.authority_key_id().and_then(|a| a.key_id.as_deref()).map(key_identifier);
        let own = certificate.subject_key_id().map(key_identifier);
        let is_issuer = |signer: &&Signer| signer.certificate.subject().raw() == certificate.issuer().raw();
        let by_key = wanted.and_then(|id| self.by_key(&id)).or_else(|| own.and_then(|id| self.by_key(&id)));
        by_key.filter(is_issuer).or_else(|| self.rows.iter().flatten().filter(|_| wanted.is_none()).find(is_issuer))
    }

    fn by_key(&self, key_id: &[u8; 20]) -> Option<&Signer> {
        self.rows[row(key_id)].iter().find(|signer| signer.key_id == *key_id)
    }

    /// `GetTrustedPeer` and `MatchTrustedPeer`: the first of that name (and key identifier) must have the leaf's signature.
    fn is_trusted_peer(&self, leaf: &Certificate) -> bool {
        let fits = |c: &&Certificate| {
            c.subject().raw() == leaf.subject().raw()
                && leaf.subject_key_id().is_none_or(|id| key_identifier(id) == subject_key_id(c))
                && untimely(c, self.question.at).is_none()
                && unknown_critical(c).is_none()
        };
        // The one added last comes first, but of one name and key only the first is added.
        let mut peers: Vec<&Certificate> = Vec::new();
        for anchor in self.question.anchors.iter().filter(fits) {
            if !peers.iter().any(|p| subject_key_id(p) == subject_key_id(anchor)) {
                peers.insert(0, anchor);
            }
        }
        peers.first().is_some_and(|peer| peer.signature() == leaf.signature())
    }

    /// The path that the leaf's signer stands for, as far as the table tells it.
    fn path(&self, leaf: &Certificate, signer: Signer) -> Vec<Certificate> {
        let mut path = vec![leaf.clone(), signer.certificate];
        loop {
            let last = &path[path.len() - 1];
            let known = self.question.anchors.iter().any(|a| a == last);
            let Some(next) = self.signer_of(last).filter(|_| !known).map(|s| s.certificate.clone()) else { return path };
            if path.contains(&next) {
                return path;
            }
            path.push(next);
        }
    }

    fn refuse(&self, path: Vec<Certificate>, depth: usize, fault: Fault) -> Verdict {
        match &self.unsupported {
            Some(what) => Verdict::unchecked(what),
            None => refusal(path, Some(depth), fault),
        }
    }
}

/// `maxPathLen` as `ParseCertRelative` computes it; `None` when the signer's is used up.
fn max_path_length(certificate: &Certificate, signer: Option<&Signer>) -> Option<u32> {
    let Some(signer) = signer else { return Some(PATH_LENGTH) };
    let above = signer.max_path_length;
    let limit = certificate.basic_constraints().and_then(|b| b.path_len);
    let Some(limit) = limit else { return if certificate.is_ca() { above.checked_sub(1) } else { Some(PATH_LENGTH) } };
    if !certificate.is_ca() {
        return Some(limit);
    }
    let signs = certificate.key_usage().is_none_or(|usage| usage.key_cert_sign());
    if signs && limit < above { Some(limit) } else { above.checked_sub(1) }
}

/// `extSubjKeyId`: the extension, else a hash of the key as the library keeps it: of RSA keys the inside, of others the whole
/// subjectPublicKeyInfo.
fn subject_key_id(certificate: &Certificate) -> [u8; 20] {
    let of_key = || match certificate.public_key().algorithm {
        KeyAlgorithm::Rsa => certificate.public_key_octets(),
        _ => certificate.spki(),
    };
    key_identifier(certificate.subject_key_id().unwrap_or_else(of_key))
}

fn unknown_critical(certificate: &Certificate) -> Option<String> {
    let unknown = certificate.extensions().iter().find(|e| e.critical && !HANDLED.contains(&&*e.oid))?;
    Some(unknown.oid.clone().into_owned())
}

/// `HashSigner`.
fn row(key_id: &[u8; 20]) -> usize {
    u32::from_be_bytes([key_id[0], key_id[1], key_id[2], key_id[3]]) as usize % ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_first_four_octets() {
        let mut key_id = [0; 20];
        key_id[3] = 12;
        assert_eq!(row(&key_id), 1);
        key_id[0] = 1;
        // 2^24 + 12.
        assert_eq!(row(&key_id), 16_777_228 % 11);
    }

    #[test]
    fn codes_are_sorted_and_have_words() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 > pair[1].0));
    }
}
