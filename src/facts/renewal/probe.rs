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
