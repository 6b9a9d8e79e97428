//! curl.

use super::{
    Answer, Ask, Found, NO_STORE, Program, bracketed, cannot_start, either, numbers, says, status_of, text_of, version_after,
};
use crate::{facts::StartTls, host::Exec};

/// The `curl` command.
pub static PROGRAM: Program = Program { id: "curl", title: "curl", find, ask };

/// A bundle that trusts nothing: one certificate, expired in 1990, whose key was never kept.
const NO_ANCHOR: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBfTCCASOgAwIBAgIUTCBRjj5lVhb8i2IOdoHaTXykKMcwCgYIKoZIzj0EAwIw\n\
FDESMBAGA1UEAwwJbm8gYW5jaG9yMB4XDTkwMDEwMTAwMDAwMFoXDTkwMDEwMjAw\n\
MDAwMFowFDESMBAGA1UEAwwJbm8gYW5jaG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n\
AQcDQgAEk+kqB+0CfJTGgxp77ehC0ooKY7CZH1efjgH9aFdMx2MO/xI74QuUCSQI\n\
oCYEdO146RfOkXnkJL9dfHNGOWzXmKNTMFEwHQYDVR0OBBYEFFd3J2iukfaKw3Zr\n\
sXRMcfVN4ZGdMB8GA1UdIwQYMBaAFFd3J2iukfaKw3ZrsXRMcfVN4ZGdMA8GA1Ud\n\
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgCksZgqactq5qAvnMcZV1pEPm\n\
Bg1ESjU4RR28Bgq3ha8CIQDELKzROljWicC6twFCVevBEjxFCu6hof90kd/d1fV8\n\
wg==\n\
-----END CERTIFICATE-----\n";

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["curl", "-q", "--version"])?;
    let version = version_after(&said, "curl ")?.to_owned();
    let library = said.lines().next().and_then(library);
    // The profiles are of curl with OpenSSL.
    let openssl = library.as_deref().is_some_and(|library| library.starts_with("OpenSSL "));
    let profile_id = openssl.then(|| format!("curl-{version}"));
    Some(Found { command: "curl", version, library, profile_id })
}

/// The library in `curl 7.88.1 (…) libcurl/7.88.1 OpenSSL/3.0.19 zlib/1.2.13 …`; in parentheses stands one that is built in but not in use.
fn library(line: &str) -> Option<String> {
    const LIBRARIES: &[&str] = &[
        "AWS-LC",
        "BearSSL",
        "BoringSSL",
        "GnuTLS",
        "LibreSSL",
        "mbedTLS",
        "NSS",
        "OpenSSL",
        "quictls",
        "rustls-ffi",
        "wolfSSL",
    ];
    line.split_whitespace().find_map(|word| {
        let name = word.split('/').next()?;
        if name == "SecureTransport" || name == "Schannel" {
            return Some(name.to_owned());
        }
        LIBRARIES.contains(&name).then(|| word.replacen('/', " ", 1))
    })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_usual_servername()?;
    if numbers(&found.version) < (7, 49, 0) {
        return Err(Answer::not_asked("curl before 7.49 can't be sent to an address (--connect-to)"));
    }
    let scheme = match ask.starttls {
        None => "https",
        Some(StartTls::Ftp) => "ftp",
        Some(StartTls::Imap) => "imap",
        Some(StartTls::Ldap) => "ldap",
        Some(StartTls::Pop3) => "pop3",
        Some(StartTls::Smtp) => "smtp",
        Some(other) => return Err(cannot_start(other)),
    };
    let seconds = ask.seconds.to_string();
    let connect = format!("::{}:{}", bracketed(&ask.connect.0), ask.connect.1);
    let url = ask.url(scheme);
    // The user's own .curlrc is left out: its `insecure` would make the answer worthless. One byte of the page is plenty.
    let mut argv = vec![found.command, "-q", "-sS", "-o", "/dev/null", "--max-time", &seconds, "--connect-to", &connect];
    argv.extend(["-w", "appconnect=%{time_appconnect}\n"]);
    if ask.starttls.is_some() {
        argv.extend(["--ssl-reqd", "-v"]);
    } else {
        argv.extend(["--range", "0-0"]);
    }
    let mut stdin = "";
    if let Some((file, directory)) = ask.files() {
        // The build's own bundle would be read where none is named, and one without a certificate is an error (77).
        if file.is_none() {
            stdin = NO_ANCHOR;
        }
        argv.extend(["--cacert", file.unwrap_or("/dev/stdin"), "--capath", directory.unwrap_or(NO_STORE)]);
    }
    argv.push(&url);
    let output = ask.run(exec, &argv, stdin, &[])?;
    Ok(judge(&text_of(&output), output.status, &status_of(&output)))
}

/// Exit statuses by curl's manual, "EXIT CODES": 60 (before 7.62 also 51) is a certificate that is not accepted, 77 a store that can't be
/// read, 83 and 91 an issuer or a stapled status that doesn't fit. 35 is any failure of the handshake, a bad signature included.
fn judge(text: &str, status: Option<i32>, code: &str) -> Answer {
    let words = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("curl: ").map(|words| words.trim_start_matches(|c: char| "()".contains(c) || c.is_ascii_digit()))
        })
        .unwrap_or_default();
    let shaken = text
        .lines()
        .find_map(|line| line.strip_prefix("appconnect="))
        .is_some_and(|seconds| seconds.bytes().any(|b| (b'1'..=b'9').contains(&b)))
        // The upgrade within a protocol is not timed; with -v curl says how its library judged.
        || text.lines().any(|line| line.contains("SSL certificate verify ok") || line.contains("verification OK"));
    match status {
        Some(51 | 60 | 77 | 83 | 91) => Answer::refused(code, words),
        Some(35) if words.contains("invalid padding") || words.contains("signature") => Answer::refused(code, words),
        Some(0) => Answer::trusted(""),
        // What came after the handshake is not about the certificate.
        _ if shaken => Answer::trusted(words),
        _ => Answer::not_asked(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_library_in_use() {
        assert_eq!(library("curl 8.5.0 (x) libcurl/8.5.0 OpenSSL/3.0.13 zlib/1.3"), Some("OpenSSL 3.0.13".into()));
        assert_eq!(
            library("curl 8.7.1 (x) libcurl/8.7.1 (SecureTransport) LibreSSL/3.3.6 zlib/1"),
            Some("LibreSSL 3.3.6".into())
        );
        assert_eq!(library("curl 7.88.1 (x) libcurl/7.88.1 (OpenSSL/3.0.19) GnuTLS/3.7.9 zlib/1"), Some("GnuTLS 3.7.9".into()));
    }

    #[test]
    fn an_error_after_the_handshake_is_trust() {
        let late = judge("appconnect=0.0051\n\ncurl: (52) Empty reply from server\n", Some(52), "52");
        assert_eq!((late.trusted, late.text.as_str()), (Some(true), "Empty reply from server"));
        let early = judge("appconnect=0.000000\n\ncurl: (7) Failed to connect\n", Some(7), "7");
        assert_eq!((early.trusted, early.text.as_str()), (None, "Failed to connect"));
    }
}
