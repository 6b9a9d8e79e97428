//! `openssl s_client`.

use super::{
    Answer, Ask, Found, Program, bracketed, cannot_start, either, is_address, last_line, numbers, says, text_of, version_after,
};
use crate::{facts::StartTls, host::Exec};

/// The `openssl` command, of OpenSSL or LibreSSL.
pub static PROGRAM: Program = Program { id: "openssl", title: "openssl s_client", find, ask };

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["openssl", "version"])?;
    if let Some(version) = version_after(&said, "LibreSSL ") {
        let version = version.to_owned();
        let library = Some(format!("LibreSSL {version}"));
        return Some(Found { command: "openssl", profile_id: Some(format!("libressl-{version}")), version, library });
    }
    let version = version_after(&said, "OpenSSL ")?.to_owned();
    // The command may be older than the library that it is run with, and the library verifies.
    let library = version_after(&said, "Library: OpenSSL ").unwrap_or(&version).to_owned();
    let profile_id = Some(format!("s_client-{library}"));
    Some(Found { command: "openssl", version, library: Some(format!("OpenSSL {library}")), profile_id })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    let openssl = found.library.as_deref().is_some_and(|library| library.starts_with("OpenSSL"));
    let release = if openssl { numbers(&found.version) } else { (1, 0, 1) };
    let connect = format!("{}:{}", bracketed(&ask.connect.0), ask.connect.1);
    let mut argv = vec![found.command, "s_client", "-connect", &connect, "-verify_return_error"];
    match &ask.servername {
        Some(name) => argv.extend(["-servername", name]),
        // Earlier releases send SNI only when told to.
        None if release >= (1, 1, 1) => argv.push("-noservername"),
        None => {}
    }
    if release < (1, 0, 2) {
        // Also LibreSSL, none of whose releases is known to have the option.
        return Err(Answer::not_asked(format!("s_client of {} has no option for the host name to verify", found.version)));
    }
    argv.extend([if is_address(&ask.host) { "-verify_ip" } else { "-verify_hostname" }, &ask.host]);
    if let Some((file, directory)) = ask.files() {
        match file {
            Some(file) => argv.extend(["-CAfile", file]),
            None if release >= (1, 1, 0) => argv.push("-no-CAfile"),
            None => {}
        }
        match directory {
            Some(directory) => argv.extend(["-CApath", directory]),
            None if release >= (1, 1, 0) => argv.push("-no-CApath"),
            None => {}
        }
        if release >= (3, 0, 0) {
            argv.push("-no-CAstore");
        }
    }
    if let Some(protocol) = ask.starttls {
        // The others came with 1.1.1 (xmpp-server with 1.1.0).
        let old = [StartTls::Ftp, StartTls::Imap, StartTls::Pop3, StartTls::Smtp, StartTls::Xmpp];
        if release < (1, 1, 1) && !old.contains(&protocol) {
            return Err(cannot_start(protocol));
        }
        argv.extend(["-starttls", protocol.name()]);
    }
    // Before 1.1.0 the default places are read besides those that are named: the variables empty them.
    let output = ask.run(exec, &argv, "", &ask.store_variables())?;
    let text = text_of(&output);
    Ok(judge(&text))
}

/// What s_client printed. Its exit status says less: it is 0 after some refusals, and not 0 when the server closes rudely.
fn judge(text: &str) -> Answer {
    if let Some((code, words)) =
        text.lines().find_map(|line| line.trim().strip_prefix("verify error:num=")).and_then(|rest| rest.split_once(':'))
    {
        return Answer::refused(code, words);
    }
    // Without a certificate the return code is "0 (ok)" too.
    let code = text.lines().find_map(|line| line.trim().strip_prefix("Verify return code: "));
    match code {
        Some(code) if text.contains("-----BEGIN CERTIFICATE-----") => match code.split_once(' ') {
            Some(("0", _)) => Answer::trusted("Verify return code: 0 (ok)"),
            Some((code, words)) => Answer::refused(code, words.trim_matches(['(', ')'])),
            None => Answer::not_asked(code),
        },
        _ if text.contains("X509_load_cert") || text.contains("unable to load certificate") => {
            // No anchors, no handshake.
            let why = text.lines().find(|line| line.contains("error:")).unwrap_or_default();
            let words = why.split("error:").nth(1).unwrap_or(why);
            Answer { trusted: Some(false), ..Answer::not_asked(words) }
        }
        _ => Answer::not_asked(text.lines().find(|line| line.contains("error:")).map_or_else(|| last_line(text), reason)),
    }
}

/// The words of a line of OpenSSL's error queue: `…:error:8000006F:system library:BIO_connect:Connection refused:file:line:…`.
fn reason(line: &str) -> &str {
    line.split("error:").nth(1).and_then(|rest| rest.split(':').nth(3)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ok_without_a_certificate_is_no_verdict() {
        let said = "CONNECTED(00000003)\n---\nno peer certificate available\n---\nVerify return code: 0 (ok)\n---\n\
                    80BB:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../ssl/record/rec_layer_s3.c:1600:\n";
        let answer = judge(said);
        assert_eq!((answer.trusted, answer.text.as_str()), (None, "sslv3 alert handshake failure"));
    }

    #[test]
    fn takes_the_first_error() {
        let said = "depth=0 CN=x\nverify error:num=20:unable to get local issuer certificate\nVerify return code: 21 (more)\n";
        let answer = judge(said);
        assert_eq!((answer.trusted, answer.code.as_deref()), (Some(false), Some("20")));
        assert_eq!(answer.text, "unable to get local issuer certificate");
    }
}
