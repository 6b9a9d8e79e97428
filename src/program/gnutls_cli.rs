//! gnutls-cli.

use super::{Answer, Ask, Found, Program, cannot_start, either, last_line, says, status_of, text_of, version_after};
use crate::{facts::StartTls, host::Exec};

/// The `gnutls-cli` command.
pub static PROGRAM: Program = Program { id: "gnutls-cli", title: "gnutls-cli", find, ask };

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["gnutls-cli", "--version"])?;
    let version = version_after(&said, "gnutls-cli ")?.to_owned();
    let library = Some(format!("GnuTLS {version}"));
    Some(Found { command: "gnutls-cli", profile_id: Some(format!("gnutls-cli-{version}")), version, library })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    let port = ask.connect.1.to_string();
    let mut argv = vec![found.command, "--verify-hostname", &ask.host, "-p", &port];
    match &ask.servername {
        Some(name) => argv.extend(["--sni-hostname", name]),
        None => argv.push("--disable-sni"),
    }
    match ask.files() {
        None => {}
        Some((Some(file), None)) => argv.extend(["--x509cafile", file]),
        Some((_, Some(_))) => return Err(Answer::not_asked("it reads no directory of certificates")),
        Some((None, None)) => return Err(Answer::not_asked("it can't be told to have no anchors")),
    }
    if let Some(protocol) = ask.starttls {
        if matches!(protocol, StartTls::Mysql | StartTls::XmppServer) {
            return Err(cannot_start(protocol));
        }
        argv.extend(["--starttls-proto", protocol.name()]);
    }
    argv.extend(["--", &ask.connect.0]);
    let output = ask.run(exec, &argv, "", &[])?;
    Ok(judge(&text_of(&output), &status_of(&output)))
}

/// `- Status: The certificate is trusted.` or `… is NOT trusted. …`, before anything else of the session.
fn judge(text: &str, code: &str) -> Answer {
    match text.lines().find_map(|line| line.strip_prefix("- Status: ")) {
        Some(status) if status.starts_with("The certificate is trusted") => Answer::trusted(status),
        Some(status) => Answer::refused(code, status),
        // Its TLS layer may refuse a certificate (a key usage without digitalSignature) before it is judged.
        None => match text
            .lines()
            .find(|line| line.starts_with("Error setting the x509 trust") || line.contains("Error in the certificate"))
        {
            Some(line) => Answer::refused(code, line),
            None => Answer::not_asked(
                text.lines()
                    .find(|line| {
                        line.contains("unrecognized option") || line.contains("Could not connect") || line.starts_with("***")
                    })
                    .unwrap_or_else(|| last_line(text)),
            ),
        },
    }
}
