//! Through an HTTP proxy (RFC 9110, section 9.3.6).

use std::io::{self, Write};

use super::{
    classify, connect,
    wire::{Deadline, Wire},
};
use crate::facts::ConnectFailure;

/// The longest status line or header that a proxy may send.
const LINE: usize = 8 << 10;

/// The most headers in its answer.
const HEADERS: usize = 100;

/// A proxy, from its URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// `user:password`, decoded.
    credentials: Option<Vec<u8>>,
}

impl Proxy {
    /// Reads `[http://][user:password@]host[:port][/]`.
    ///
    /// # Errors
    /// [`ConnectFailure::Proxy`] for other schemes and for what is no URL.
    pub(super) fn parse(url: &str) -> Result<Proxy, ConnectFailure> {
        let wrong = |why: &str| ConnectFailure::Proxy(format!("{}: {why}", without_password(url)));
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(wrong(&format!("`{scheme}` proxies are not supported; give an http:// one"))),
            None => url,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(percent_decoded(credentials)), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.rsplit_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        // 80 is the port of the scheme; curl's 1080 is that of SOCKS.
        let port = match port {
            None | Some("") => 80,
            Some(port) => port.parse().map_err(|_| wrong("the port is not a number"))?,
        };
        if host.is_empty() {
            return Err(wrong("there is no host in it"));
        }
        Ok(Proxy { host: host.to_owned(), port, credentials })
    }

    /// Connects to `host:port` through the proxy.
    ///
    /// # Errors
    /// [`ConnectFailure::Proxy`] with its status line when it refuses, or with what keeps us from it; [`ConnectFailure::TimedOut`].
    pub(super) fn open(&self, host: &str, port: u16, deadline: Deadline) -> Result<Wire, ConnectFailure> {
        let mut wire = connect::open(&self.host, self.port, deadline).map_err(|failure| self.unreachable(failure))?;
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(credentials) = &self.credentials {
            let encoded = base64_simd::STANDARD.encode_to_string(credentials);
            request.push_str(&format!("Proxy-Authorization: Basic {encoded}\r\n"));
        }
        request.push_str("\r\n");
        let status = talk(&mut wire, &request).map_err(|e| self.broken(&e))?;
        let mut words = status.split_ascii_whitespace();
        let http = words.next().is_some_and(|w| w.starts_with("HTTP/1."));
        match words.next() {
            Some(code) if http && code.len() == 3 && code.starts_with('2') => Ok(wire),
            _ => Err(ConnectFailure::Proxy(classify::printable(status.as_bytes()))),
        }
    }

    fn unreachable(&self, failure: ConnectFailure) -> ConnectFailure {
        let why = match failure {
            ConnectFailure::TimedOut(_) => return ConnectFailure::TimedOut("connecting to the proxy"),
            ConnectFailure::Refused(address) => format!("connection to {address} refused"),
            ConnectFailure::NameDoesNotResolve(words) => format!("name does not resolve: {words}"),
            ConnectFailure::NoRoute(words) | ConnectFailure::Io(words) => words,
            other => format!("{other:?}"),
        };
        ConnectFailure::Proxy(format!("can't reach the proxy {}:{}: {why}", self.host, self.port))
    }

    fn broken(&self, e: &io::Error) -> ConnectFailure {
        match e.kind() {
            io::ErrorKind::TimedOut => ConnectFailure::TimedOut("waiting for the proxy's answer"),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                ConnectFailure::Proxy(format!("the proxy's answer is not HTTP: `{e}`"))
            }
            _ => ConnectFailure::Proxy(format!("{}:{}: {}", self.host, self.port, classify::words(e))),
        }
    }
}

/// Sends the request; returns the status line once the headers are over.
fn talk(wire: &mut Wire, request: &str) -> io::Result<String> {
    wire.write_all(request.as_bytes())?;
    let status = wire.line(LINE)?;
    if !status.starts_with("HTTP/") {
        return Ok(status);
    }
    for _ in 0..HEADERS {
        match wire.line(LINE) {
            Ok(line) if line.is_empty() => return Ok(status),
            Ok(_) => {}
            // A refusal needs no end of headers.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !status.contains(" 2") => return Ok(status),
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "more than 100 headers"))
}

fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => url.to_owned(),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let decoded = match (first, after) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low]).ok().and_then(|h| u8::from_str_radix(h, 16).ok()),
            _ => None,
        };
        match decoded {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(host: &str, port: u16, credentials: Option<&str>) -> Proxy {
        Proxy { host: host.into(), port, credentials: credentials.map(|c| c.as_bytes().to_vec()) }
    }

    #[test]
    fn reads_urls() {
        assert_eq!(Proxy::parse("http://proxy.example:3128/"), Ok(proxy("proxy.example", 3128, None)));
        assert_eq!(Proxy::parse("proxy.example:8080"), Ok(proxy("proxy.example", 8080, None)));
        assert_eq!(Proxy::parse("http://proxy.example"), Ok(proxy("proxy.example", 80, None)));
        assert_eq!(Proxy::parse("HTTP://u:p%40ss@[::1]:3128"), Ok(proxy("::1", 3128, Some("u:p@ss"))));
        assert!(Proxy::parse("socks5://localhost:1080").is_err());
        assert!(Proxy::parse("http://:80").is_err());
    }

    #[test]
    fn keeps_passwords_out_of_messages() {
        let Err(ConnectFailure::Proxy(words)) = Proxy::parse("https://user:secret@proxy:1") else { panic!("parsed") };
        assert!(!words.contains("secret"), "{words}");
    }
}
