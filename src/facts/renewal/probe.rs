//! Questions to this host's own servers (or, named so, to the public name), and their answers.

use std::net::IpAddr;

use crate::facts::{ConnectFailure, Presented};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// One TLS handshake: what is presented there for this name.
    Handshake {
        /// The address, usually loopback.
        address: IpAddr,
        /// TCP port.
        port: u16,
        /// The name in SNI; `None` sends none.
        sni: Option<String>,
        /// Application protocols, such as `acme-tls/1` alone (RFC 8737).
        alpn: Vec<String>,
    },
    /// One HTTP request without TLS, redirects not followed.
    Fetch {
        /// The address.
        address: IpAddr,
        /// TCP port.
        port: u16,
        /// The `Host` header.
        host: String,
        /// The path, from its slash.
        path: String,
    },
}

/// The protocol of the validation by TLS-ALPN (RFC 8737).
pub const ACME_TLS: &str = "acme-tls/1";

/// Who answers a hello that offers `acme-tls/1` and nothing else while no challenge is pending: one handshake tells whether TLS ends
/// before the server that would have to answer the CA. Measured with Caddy, nginx and haproxy; the client does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlpnEnd {
    /// Alert 80 (`internal_error`): a CertMagic server, reached from end to end, that has no challenge now.
    CertMagic,
    /// Alert 120 (`no_application_protocol`): a server that does not know the protocol, such as nginx.
    NotKnown,
    /// Alert 112 (`unrecognized_name`): a server that refuses the name.
    NameRefused,
    /// The handshake was completed without a protocol: something that speaks for another server, as haproxy and cloud balancers do.
    Terminated,
    /// It was completed with `acme-tls/1`, and the certificate is no validation certificate: it claims what it does not do.
    Claimed,
    /// It was completed with `acme-tls/1` and a validation certificate: a challenge is pending.
    Pending,
    /// The connection was closed or reset after the hello: passed on to nobody. Normal for a server that answers during a validation only.
    Nobody,
    /// What answers speaks no TLS.
    Plain,
    /// Nothing listens, or nothing answers.
    Unreached,
    /// Anything else.
    Other,
}

impl AlpnEnd {
    /// What an answer to such a hello tells.
    #[must_use]
    pub fn of(outcome: &Result<Presented, ConnectFailure>) -> AlpnEnd {
        match outcome {
            Ok(presented) if presented.alpn.as_deref() == Some(ACME_TLS) => {
                // id-pe-acmeIdentifier (RFC 8737, section 3).
                let is_validation = |c: &crate::x509::Certificate| c.extension("1.3.6.1.5.5.7.1.31").is_some();
                if presented.certificates.first().is_some_and(is_validation) { AlpnEnd::Pending } else { AlpnEnd::Claimed }
            }
            Ok(_) => AlpnEnd::Terminated,
            Err(ConnectFailure::Alert { number: 80, .. }) => AlpnEnd::CertMagic,
            Err(ConnectFailure::Alert { number: 120, .. }) => AlpnEnd::NotKnown,
            Err(ConnectFailure::Alert { number: 112, .. }) => AlpnEnd::NameRefused,
            Err(ConnectFailure::EofAfterHello | ConnectFailure::Reset) => AlpnEnd::Nobody,
            Err(ConnectFailure::NotTls { .. }) => AlpnEnd::Plain,
            Err(ConnectFailure::Refused(_) | ConnectFailure::NoRoute(_) | ConnectFailure::TimedOut(_)) => AlpnEnd::Unreached,
            Err(_) => AlpnEnd::Other,
        }
    }

    /// In words, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            AlpnEnd::CertMagic => "alert 80 (internal_error): a CertMagic server, reached from end to end",
            AlpnEnd::NotKnown => "alert 120 (no_application_protocol): a server that does not know acme-tls/1",
            AlpnEnd::NameRefused => "alert 112 (unrecognized_name): a server that refuses the name",
            AlpnEnd::Terminated => "a handshake completed without acme-tls/1: TLS ends there",
            AlpnEnd::Claimed => "acme-tls/1 with an ordinary certificate: TLS ends there, and the protocol is only claimed",
            AlpnEnd::Pending => "a validation certificate: a challenge is pending",
            AlpnEnd::Nobody => "the connection ended after the hello: passed on to nobody",
            AlpnEnd::Plain => "no TLS",
            AlpnEnd::Unreached => "nothing answers",
            AlpnEnd::Other => "something else",
        }
    }
}

/// What came.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Handshake`].
    Handshake(Box<Result<Presented, ConnectFailure>>),
    /// To [`Ask::Fetch`].
    Fetch(Result<HttpAnswer, ConnectFailure>),
}

/// A question and its answer.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What was asked.
    pub ask: Ask,
    /// What came.
    pub answer: Answer,
}

/// An HTTP response, as far as a challenge's validation looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body's first 64 KiB.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The first header of this name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let alert = |number| AlpnEnd::of(&Err(ConnectFailure::Alert { number, name: "" }));
        assert_eq!([80, 112, 120, 40].map(alert), [AlpnEnd::CertMagic, AlpnEnd::NameRefused, AlpnEnd::NotKnown, AlpnEnd::Other]);
        assert_eq!(AlpnEnd::of(&Ok(Presented::default())), AlpnEnd::Terminated);
        let claims = Presented { alpn: Some(ACME_TLS.to_owned()), ..Presented::default() };
        assert_eq!(AlpnEnd::of(&Ok(claims)), AlpnEnd::Claimed);
        assert_eq!(AlpnEnd::of(&Err(ConnectFailure::Reset)), AlpnEnd::Nobody);
        assert_eq!(AlpnEnd::of(&Err(ConnectFailure::EofAfterHello)), AlpnEnd::Nobody);
        assert_eq!(AlpnEnd::of(&Err(ConnectFailure::Refused(String::new()))), AlpnEnd::Unreached);
        let plain = ConnectFailure::NotTls { first: b"HTTP".to_vec(), looks_like: Some("HTTP") };
        assert_eq!(AlpnEnd::of(&Err(plain)), AlpnEnd::Plain);
    }
}
