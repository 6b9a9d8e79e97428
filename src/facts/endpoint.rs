//! What was asked, and what answered.

use std::{fmt, time::Duration};

use crate::{
    base::{At, TreePath},
    x509::Certificate,
};

/// What a person named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As typed.
    pub text: String,
    /// Where to look.
    pub source: TargetSource,
    /// The name to check the certificate against; `None` when there is none to check (a file without `--verify-hostname`).
    pub host: Option<String>,
}

/// Where a target's certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSource {
    /// A file in PEM, DER or PKCS #7, in the file's order.
    File(TreePath),
    /// A server.
    Server {
        /// Host name or address to connect to (`--connect` replaces it).
        host: String,
        /// TCP port.
        port: u16,
        /// Protocol to speak before TLS.
        starttls: Option<StartTls>,
    },
    /// Standard input, in any of a file's forms.
    Stdin,
}

/// Protocols that upgrade to TLS, by the names of `s_client -starttls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StartTls {
    Ftp,
    Imap,
    Ldap,
    Lmtp,
    Mysql,
    Nntp,
    Pop3,
    Postgres,
    Sieve,
    Smtp,
    Xmpp,
    XmppServer,
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// One target, and what came of it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What was asked for.
    pub target: Target,
    /// The one protocol version that was offered, where the user allowed no other.
    pub only: Option<Protocol>,
    /// What was presented, or why nothing was.
    pub outcome: Result<Presented, ConnectFailure>,
}

/// What a server (or a file) presented.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The certificates in exactly the order in which they were sent; the leaf should be first.
    pub certificates: Vec<Certificate>,
    /// Blocks that are no certificate: index in the order sent, and why.
    pub opaque: Vec<(usize, String)>,
    /// The negotiated (or, for a raw hello, the offered) version; `None` for files.
    pub protocol: Option<Protocol>,
    /// The cipher suite, by OpenSSL's name where it has one (`TLS_AES_256_GCM_SHA384`, `ECDHE-RSA-AES128-GCM-SHA256`).
    pub cipher: Option<String>,
    /// The application protocol that the server chose.
    pub alpn: Option<String>,
    /// The name that was sent in SNI, if any.
    pub sni: Option<String>,
    /// The OCSP response that was stapled, as sent.
    pub staple: Option<Staple>,
    /// The address that answered.
    pub peer: Option<String>,
    /// Whether that address is one of this host's own.
    pub is_here: bool,
    /// How the certificates were read: false when a raw ClientHello had to be used because the server speaks only what rustls does
    /// not (TLS 1.0, 1.1, old suites), and when the server broke off after its certificates (see [`Self::alert`]).
    pub handshake_completed: bool,
    /// An alert that the server sent after its certificates.
    pub alert: Option<(u8, &'static str)>,
    /// Names of the CAs that the server accepts client certificates from, if it asked for one (DER of each name).
    pub client_ca_names: Vec<Vec<u8>>,
    /// A `Date` header, where HTTP was asked.
    pub date: Option<At>,
    /// Bytes read and written during the handshake, as s_client counts them.
    pub bytes: (u64, u64),
    /// How long connecting and the handshake took.
    pub elapsed: Duration,
}

/// A stapled OCSP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    /// The DER of the OCSPResponse.
    pub der: Vec<u8>,
}

/// Why a target showed no certificate; each class has its usual meaning, told by its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The server answered the ClientHello with this alert (RFC 8446, section 6).
    Alert {
        /// The number.
        number: u8,
        /// Its name in the RFC.
        name: &'static str,
    },
    /// The connection was closed after the ClientHello, without an answer.
    EofAfterHello,
    /// The run was interrupted before this target had answered.
    Interrupted,
    /// Anything else, in the operating system's words.
    Io(String),
    /// The name does not resolve.
    NameDoesNotResolve(String),
    /// The network has no route to the host.
    NoRoute(String),
    /// The answer is not TLS: its first bytes, and the protocol that they look like.
    NotTls {
        /// At most 64 bytes.
        first: Vec<u8>,
        /// `HTTP`, `SSH`, `SMTP`, …
        looks_like: Option<&'static str>,
    },
    /// The proxy refused: its status line or SOCKS code.
    Proxy(String),
    /// Nothing listens there.
    Refused(String),
    /// The connection was reset.
    Reset,
    /// The protocol spoken before TLS refused or misunderstood.
    StartTls {
        /// The protocol.
        protocol: StartTls,
        /// What the server said.
        said: String,
    },
    /// No answer in time, and at which step.
    TimedOut(&'static str),
    /// The certificates could not be read from a file: why.
    Unreadable(String),
}

impl ConnectFailure {
    /// The step of [`ConnectFailure::TimedOut`] at which the server said nothing at all.
    pub const SILENT: &'static str = "waiting for its first word before STARTTLS";
}

impl StartTls {
    /// Every protocol, with its name for `--starttls` and its usual port.
    pub const ALL: &'static [(&'static str, StartTls, u16)] = &[
        ("ftp", StartTls::Ftp, 21),
        ("imap", StartTls::Imap, 143),
        ("ldap", StartTls::Ldap, 389),
        ("lmtp", StartTls::Lmtp, 24),
        ("mysql", StartTls::Mysql, 3306),
        ("nntp", StartTls::Nntp, 119),
        ("pop3", StartTls::Pop3, 110),
        ("postgres", StartTls::Postgres, 5432),
        ("sieve", StartTls::Sieve, 4190),
        ("smtp", StartTls::Smtp, 25),
        ("xmpp", StartTls::Xmpp, 5222),
        ("xmpp-server", StartTls::XmppServer, 5269),
    ];

    /// The name for `--starttls`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, p, _)| *p == self).map_or("", |(name, ..)| name)
    }
}

impl Protocol {
    /// The name that `s_client` prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Ssl3 => "SSLv3",
            Protocol::Tls10 => "TLSv1",
            Protocol::Tls11 => "TLSv1.1",
            Protocol::Tls12 => "TLSv1.2",
            Protocol::Tls13 => "TLSv1.3",
        }
    }
}

/// In words: what a report says.
impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectFailure::Alert { number, name } => write!(f, "the server answered with alert {number} ({name})"),
            ConnectFailure::EofAfterHello => f.write_str("the connection was closed after the ClientHello"),
            ConnectFailure::Interrupted => f.write_str("not looked at: interrupted"),
            ConnectFailure::Io(what) => f.write_str(what),
            ConnectFailure::NameDoesNotResolve(why) => write!(f, "the name does not resolve: {why}"),
            ConnectFailure::NoRoute(why) => write!(f, "no route: {why}"),
            ConnectFailure::NotTls { looks_like: Some(what), .. } => write!(f, "the answer is not TLS, it looks like {what}"),
            ConnectFailure::NotTls { .. } => f.write_str("the answer is not TLS"),
            ConnectFailure::Proxy(said) => write!(f, "the proxy refused: {said}"),
            ConnectFailure::Refused(peer) => write!(f, "connection refused by {peer}"),
            ConnectFailure::Reset => f.write_str("the connection was reset"),
            ConnectFailure::StartTls { protocol, said } => write!(f, "STARTTLS for {} failed: {said}", protocol.name()),
            ConnectFailure::TimedOut(step) => write!(f, "timed out while {step}"),
            ConnectFailure::Unreadable(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
