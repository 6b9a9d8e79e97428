//! GNU Wget.

use std::net::IpAddr;

use super::{Answer, Ask, Found, NO_STORE, Program, either, last_line, says, status_of, text_of, version_after};
use crate::host::Exec;

/// The `wget` command. BusyBox's has the same name and is another program, which verifies nothing by itself.
pub static PROGRAM: Program = Program { id: "wget", title: "GNU Wget", find, ask };

fn find(exec: &dyn Exec) -> Option<Found> {
    let said = says(exec, &["wget", "--no-config", "--version"])?;
    let version = version_after(&said, "GNU Wget ")?.to_owned();
    // It names the library that it was built with, not the version that it runs with.
    let library = said.split_whitespace().find_map(|word| word.strip_prefix("+ssl/"))?;
    // The profiles are of wget with GnuTLS.
    let (library, modelled) = match library {
        "gnutls" => ("GnuTLS", true),
        "openssl" => ("OpenSSL", false),
        other => (other, false),
    };
    let profile_id = modelled.then(|| format!("wget-{version}"));
    Some(Found { command: "wget", profile_id, version, library: Some(library.to_owned()) })
}

fn ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
    either(try_ask(exec, found, ask))
}

fn try_ask(exec: &dyn Exec, found: &Found, ask: &Ask) -> Result<Answer, Answer> {
    ask.needs_usual_servername()?;
    ask.needs_no_starttls()?;
    let addresses = ask.needs_own_address(exec)?;
    let timeout = format!("--timeout={}", ask.seconds);
    let mut argv = vec![
        found.command,
        "--no-config",
        "--no-hsts",
        "--no-proxy",
        "--tries=1",
        "--max-redirect=0",
        "-O",
        "/dev/null",
        &timeout,
    ];
    // One byte of the page is plenty.
    argv.push("--header=Range: bytes=0-0");
    if let (Ok(wanted), [_, _, ..]) = (ask.connect.0.parse::<IpAddr>(), addresses.as_slice()) {
        if addresses.iter().filter(|address| address.is_ipv4() == wanted.is_ipv4()).count() > 1 {
            return Err(Answer::not_asked(format!("{} has several addresses, and it can't be told which to take", ask.host)));
        }
        argv.push(if wanted.is_ipv4() { "--inet4-only" } else { "--inet6-only" });
    }
    let (file, directory);
    if let Some((bundle, hashed)) = ask.files() {
        // Without the option the system's directory would be read.
        directory = format!("--ca-directory={}", hashed.unwrap_or(NO_STORE));
        argv.push(&directory);
        if let Some(bundle) = bundle {
            file = format!("--ca-certificate={bundle}");
            argv.push(&file);
        }
    }
    let url = ask.url("https");
    argv.push(&url);
    let output = ask.run(exec, &argv, "", &[])?;
    Ok(judge(&text_of(&output), output.status, &status_of(&output)))
}

/// Status 5 is "SSL verification failure" (wget(1), EXIT STATUS). The request is sent only to a server that is trusted.
fn judge(text: &str, status: Option<i32>, code: &str) -> Answer {
    if status == Some(5) {
        let said: Vec<&str> =
            text.lines().map(str::trim).filter(|line| line.contains("certificate") && !line.starts_with("Loaded")).collect();
        return Answer::refused(code, &if said.is_empty() { last_line(text).to_owned() } else { said.join("; ") });
    }
    if text.contains("HTTP request sent") {
        return Answer::trusted("");
    }
    Answer::not_asked(last_line(text))
}
