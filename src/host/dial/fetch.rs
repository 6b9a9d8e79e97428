//! One HTTP request in plain text, as a challenge's validation makes it (RFC 8555, section 8.3): no redirect is followed, and the body
//! is kept only so far that it can be compared.

use std::{
    io::{self, Read, Write},
    net::IpAddr,
};

use super::{
    classify, connect,
    wire::{Deadline, Wire},
};
use crate::facts::{ConnectFailure, renewal::HttpAnswer};

/// The longest status line or header.
const LINE: usize = 8 << 10;

/// The most headers.
const HEADERS: usize = 100;

/// The most that is kept of a body.
const BODY: u64 = 64 << 10;

/// Fetches `path` of `host` at this address.
///
/// # Errors
/// The class of failure; [`ConnectFailure::Io`] says what is not HTTP in the answer.
pub(super) fn fetch(to: (IpAddr, u16), host: &str, path: &str, seconds: u64) -> Result<HttpAnswer, ConnectFailure> {
    let mut wire = connect::open(&to.0.to_string(), to.1, Deadline::after(seconds))?;
    ask(&mut wire, host, path).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => ConnectFailure::Io(format!("the answer is not HTTP: `{e}`")),
        _ => classify::io_failure(&e, &format!("{}:{}", to.0, to.1), "waiting for the HTTP answer"),
    })
}

fn ask(wire: &mut Wire, host: &str, path: &str) -> io::Result<HttpAnswer> {
    // With 1.0 the body ends with the connection, and no server sends it in chunks.
    let agent = concat!("certdoctor/", env!("CARGO_PKG_VERSION"));
    wire.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n").as_bytes())?;
    let line = wire.line(LINE)?;
    let mut words = line.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|w| w.starts_with("HTTP/1."));
    let status = words.next().and_then(|w| w.parse().ok()).filter(|_| is_http);
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, classify::printable(line.as_bytes())))?;
    let mut answer = HttpAnswer { status, ..HttpAnswer::default() };
    loop {
        let line = wire.line(LINE)?;
        if line.is_empty() {
            break;
        }
        if answer.headers.len() == HEADERS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 100 headers"));
        }
        if let Some((name, value)) = line.split_once(':') {
            answer.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    match wire.take(BODY).read_to_end(&mut answer.body) {
        Ok(_) => {}
        // A server that resets the connection after its answer, or never ends it, has answered.
        Err(_) if !answer.body.is_empty() => {}
        Err(e) => return Err(e),
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[expect(clippy::disallowed_types, reason = "a loopback server for one answer")]
    fn answering(answer: &'static [u8]) -> Result<HttpAnswer, ConnectFailure> {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = socket.accept().expect("a client");
            let mut request = [0; 1024];
            let n = stream.read(&mut request).expect("a request");
            stream.write_all(answer).expect("sent");
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let got = fetch((address.ip(), address.port()), "a.test", "/.well-known/acme-challenge/x", 5);
        let request = server.join().expect("the server");
        assert!(request.starts_with("GET /.well-known/acme-challenge/x HTTP/1.0\r\nHost: a.test\r\n"), "{request}");
        got
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let got = answering(b"HTTP/1.1 301 Moved\r\nLocation: https://a.test/\r\nServer: nginx\r\n\r\nbody").expect("an answer");
        assert_eq!((got.status, got.header("location"), got.body.as_slice()), (301, Some("https://a.test/"), &b"body"[..]));
    }

    #[test]
    fn what_is_not_http_says_so() {
        let failure = answering(b"SSH-2.0-x\r\n").expect_err("no HTTP");
        assert!(
            matches!(&failure, ConnectFailure::Io(words) if words.contains("not HTTP") && words.contains("SSH")),
            "{failure:?}"
        );
        assert!(answering(b"HTTP/1.1 200 OK\r\nA: b\r\n").is_err());
    }
}
