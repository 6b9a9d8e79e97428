//! Path building as TLS clients do it, each by its own algorithm, and the list of every path that exists.
//!
//! Time, anchors and knobs are arguments. One file is one algorithm; versions of a family differ by the plain data of a policy.

pub mod boringssl;
pub mod explore;
pub mod gnutls;
pub mod go;
pub mod host_name;
pub mod java;
pub mod libpki;
pub mod libressl;
pub mod libressl_verify;
pub mod mbedtls;
pub mod mozilla_pkix;
pub mod name_constraints;
pub mod nss;
pub mod nss_pkix;
pub mod openssl;
pub mod openssl_crl;
pub mod openssl_errors;
pub mod openssl_legacy;
pub mod openssl_policy;
pub mod openssl_rules;
pub mod platform;
pub mod pyca;
pub mod webpki;
pub mod wolfssl;

pub use explore::explore;

use crate::{
    base::At,
    x509::{Certificate, Crl, Purpose, SignatureCache},
};

/// The certificates that a client may end a path at, in the order in which it sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// From a file (CAfile): in file order, all in memory.
    pub file: Vec<Certificate>,
    /// From a hash directory (CApath): looked up by subject, after the file.
    pub directory: Vec<Certificate>,
}

/// What a client is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What was presented, in the order sent; never empty.
    pub presented: &'a [Certificate],
    /// What the client trusts.
    pub anchors: &'a Anchors,
    /// The instant of judgement.
    pub at: At,
    /// The name that the client asks for; `None` when it checks none.
    pub host: Option<&'a str>,
    /// The purpose that the leaf must serve; [`Purpose::ServerAuth`] but for special questions.
    pub purpose: &'a Purpose,
    /// Signature checks, shared by all clients that judge the same certificates.
    pub signatures: &'a SignatureCache,
    /// What only some questions bring along.
    pub extra: Extra<'a>,
}

/// What hardly a TLS client is given, but a verifier may be. OpenSSL from 1.1.0 uses all of it, GnuTLS and webpki the revocation lists; the
/// other engines ignore it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// Certificates that help to build a path and were not presented; `None` when those after the leaf are meant.
    pub untrusted: Option<&'a [Certificate]>,
    /// Revocation lists.
    pub crls: &'a [Crl],
    /// The mailbox that the leaf must be made out to.
    pub email: Option<&'a str>,
    /// The certificate policies that are acceptable, as dotted OIDs (`-policy`).
    pub policies: &'a [&'a str],
}

impl Question<'_> {
    /// The certificate that the server proves to own: the first.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.presented[0]
    }

    /// What may stand between leaf and anchor: all that was presented, the leaf too, unless it was said otherwise.
    #[must_use]
    pub fn untrusted(&self) -> &[Certificate] {
        self.extra.untrusted.unwrap_or(self.presented)
    }
}

impl Anchors {
    /// All of them, the file's first.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.file.iter().chain(&self.directory)
    }
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts, over this path (leaf first, anchor last).
    Trusted {
        /// The path.
        path: Vec<Certificate>,
    },
    /// It refuses.
    Untrusted {
        /// The path as far as it was built.
        path: Vec<Certificate>,
        /// The errors in the order in which the client reports them; the first is the one it shows.
        errors: Vec<ClientError>,
    },
    /// The model can't say, and why; never rendered as fine.
    Unknown(String),
}

/// An error in the client's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// The client's own code: OpenSSL's X509_V_ERR number, GnuTLS's status bits, a Java exception, Go's type.
    pub code: String,
    /// The code's name: `X509_V_ERR_CERT_HAS_EXPIRED`.
    pub name: String,
    /// The depth at which it arose, where the client tells it (0 = leaf).
    pub depth: Option<usize>,
    /// The text that the client shows.
    pub text: String,
    /// Why, in our own terms.
    pub rejection: Rejection,
}

impl Verdict {
    /// Whether the client accepts.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        matches!(self, Verdict::Trusted { .. })
    }

    /// The errors, in the order in which the client reports them; none for the other verdicts.
    #[must_use]
    pub fn errors(&self) -> &[ClientError] {
        match self {
            Verdict::Untrusted { errors, .. } => errors,
            Verdict::Trusted { .. } | Verdict::Unknown(_) => &[],
        }
    }

    /// The verdict of a client that met a signature which this tool can't check.
    pub(crate) fn unchecked(what: &str) -> Verdict {
        Verdict::Unknown(format!("{what} can't be checked by this tool; ask the client itself"))
    }
}

/// What is wrong with the dates of a certificate for a client to whom both ends belong to the validity.
fn untimely(certificate: &Certificate, at: At) -> Option<Rejection> {
    match (certificate.validity().not_before, certificate.validity().not_after) {
        (Some(not_before), _) if at < not_before => Some(Rejection::NotYetValid { not_before, at }),
        (_, Some(not_after)) if at > not_after => Some(Rejection::Expired { not_after, at }),
        (Some(_), Some(_)) => None,
        _ => Some(Rejection::DateUnreadable),
    }
}

/// One path through what is presented and trusted, maybe unfinished, with *all* the reasons against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Leaf first.
    pub path: Vec<Certificate>,
    /// Whether the last certificate is an anchor.
    pub anchored: bool,
    /// Each reason with its depth, in the order of depth; empty when nothing speaks against the path.
    pub rejections: Vec<(usize, Rejection)>,
}

/// Why a certificate or a path is rejected; both sides of the comparison are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// A budget was used up (its name and size).
    BudgetExceeded(&'static str, usize),
    /// The date field can't be read.
    DateUnreadable,
    /// An extension can't be read (its dotted OID), and to the client the certificate has no issuer then.
    ExtensionUnreadable(String),
    /// notAfter has passed.
    Expired {
        /// The end of validity.
        not_after: At,
        /// The instant of judgement.
        at: At,
    },
    /// The host name is not among the names of the leaf.
    HostMismatch {
        /// The name asked for.
        asked: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// The issuer's key can't have made this signature, or the signature is damaged.
    InvalidSignature,
    /// No certificate of this name (the issuer) is presented or trusted.
    IssuerMissing(String),
    /// The issuer's keyUsage lacks keyCertSign.
    KeyUsageLacksCertSign,
    /// The name constraints of a CA above forbid a name.
    NameConstraintViolated(String),
    /// An issuer that is not a CA.
    NotCa,
    /// notBefore has not come.
    NotYetValid {
        /// The beginning of validity.
        not_before: At,
        /// The instant of judgement.
        at: At,
    },
    /// Anything that only one client objects to: its words.
    Other(String),
    /// More CA certificates below than pathLenConstraint allows.
    PathTooLong {
        /// The limit.
        limit: u32,
        /// How many there are.
        found: u32,
    },
    /// extendedKeyUsage lacks the purpose.
    PurposeMismatch(String),
    /// A self-signed leaf that is not trusted.
    SelfSignedLeaf,
    /// A self-signed root that was presented and is not trusted.
    SelfSignedRootUntrusted,
    /// The signature's algorithm is unknown to the tool or the client.
    UnsupportedSignature(String),
    /// The key is weaker than the client demands.
    WeakKey {
        /// Bits of the key.
        bits: u32,
        /// Bits demanded.
        wanted: u32,
    },
    /// The digest in the signature is weaker than the client demands.
    WeakSignature(String),
}
