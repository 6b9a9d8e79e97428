//! Go's crypto/tls and crypto/x509, in the go command itself: it fetches modules from a proxy over HTTPS.
//!
//! Nothing has to be compiled (with a cold cache crypto/tls takes half a minute), and no file has to be written. The module asked for is
//! in `.invalid` (RFC 6761), so that no server has it and nothing is kept.

use super::{Answer, Ask, Found, Program, either, last_line, numbers, says, text_of};
use crate::host::Exec;

/// The `go` command.
pub static PROGRAM: Program = Program { id: "go", title: "Go (the go command)", find, ask };

/// What is asked of the server.
const MODULE: &str = "certdoctor.invalid/probe@v0.0.0";

/// Go's errors by their words (`crypto/x509/verify.go`, `Error` of each type), the number of [`x509.InvalidReason`] included.
const CODES: &[(&str, &str)] = &[
    ("certificate signed by unknown authority", "x509.UnknownAuthorityError"),
    ("failed to load system roots", "x509.SystemRootsError"),
    ("has expired or is not yet valid", "x509.CertificateInvalidError/1"),
    ("not authorized to sign for this name", "x509.CertificateInvalidError/2"),
    ("too many intermediates", "x509.CertificateInvalidError/3"),
    ("incompatible key usage", "x509.CertificateInvalidError/4"),
    ("issuer name does not match", "x509.CertificateInvalidError/5"),
    ("is not authorized to sign other certificates", "x509.CertificateInvalidError/0"),
    ("certificate is valid for", "x509.HostnameError"),
    ("certificate is not valid for any names", "x509.HostnameError"),
    ("cannot validate certificate for", "x509.HostnameError"),
    ("relies on legacy Common Name", "x509.HostnameError"),
];

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["go", "env", "GOVERSION"])?;
    let version = said.trim().strip_prefix("go")?.split_whitespace().next()?.to_owned();
    let (major, minor, _) = numbers(&version);
    if major == 0 {
        return None;
    }
    Some(Found {
        command: "go",
        profile_id: Some(format!("go-{major}.{minor}")),
        library: Some(format!("crypto/x509 of Go {version}")),
        version,
    })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_usual_servername()?;
    ask.needs_no_starttls()?;
    let addresses = ask.needs_own_address(exec)?;
    // It tries all addresses of a name. Those of `localhost` are one place.
    let loopback = addresses.iter().all(|address| address.is_loopback());
    if addresses.len() > 1 && !loopback {
        return Err(Answer::not_asked(format!("{} has several addresses, and it can't be told which to take", ask.host)));
    }
    let proxy = ask.url("https");
    let mut variables = vec![
        ("GOPROXY", Some(proxy.trim_end_matches('/'))),
        // A directory in which nothing can be made, so that nothing is left behind.
        ("GOMODCACHE", Some("/dev/fd")),
        ("GO111MODULE", Some("on")),
        ("GOENV", Some("off")),
        ("GOFLAGS", Some("-mod=mod")),
        ("GOINSECURE", Some("")),
        ("GONOPROXY", Some("none")),
        ("GOPRIVATE", Some("")),
        ("GOSUMDB", Some("off")),
        ("GOTOOLCHAIN", Some("local")),
        ("GOWORK", Some("off")),
    ];
    variables.extend(ask.store_variables());
    let output = ask.run(exec, &[found.command, "list", "-m", MODULE], "", &variables)?;
    Ok(judge(&text_of(&output)))
}

/// `go: module@version: Get "https://…": tls: failed to verify certificate: x509: certificate …`.
fn judge(text: &str) -> Answer {
    let line = last_line(text);
    if let Some((_, words)) = line.split_once("x509: ") {
        return match CODES.iter().find(|(part, _)| words.contains(part)) {
            Some((_, code)) => Answer::refused(*code, &format!("x509: {words}")),
            None => Answer { trusted: Some(false), ..Answer::not_asked(format!("x509: {words}")) },
        };
    }
    // An answer, whatever it is, came through the handshake, and only a connection that stood can have been idle. A bare EOF may be from
    // before or after it.
    let answered = [
        "invalid response from proxy",
        "malformed HTTP ",
        "reading https://",
        "server closed idle connection",
        "server response",
        "unrecognized import path",
    ];
    if answered.iter().any(|part| line.contains(part)) {
        Answer::trusted("")
    } else {
        Answer::not_asked(line.rsplit("info\": ").next().unwrap_or(line))
    }
}
