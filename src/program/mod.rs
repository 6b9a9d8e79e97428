//! Programs: one file is one TLS client that may be installed on this host, asked for its own verdict.
//!
//! Where [`crate::client`] says what a client would do, this room lets it do it: the real program makes a fresh handshake with the store
//! as it is now. Comparing the two is not done here.
//!
//! Absent on purpose: a shell, a file of our own, and any data beyond what the program itself sends after its handshake. Programs run
//! through [`Exec`] only; those that need a script get it as an argument or on standard input.

use std::{io, net::IpAddr};

use serde::Deserialize;

use crate::{
    facts::StartTls,
    host::{Exec, Output, TRUST_VARIABLES},
};

mod curl;
mod gnutls_cli;
mod go;
mod java;
mod node;
mod openssl;
mod python;
mod wget;

/// Every program, sorted by its identifier.
pub static ALL: &[&Program] = &[
    &curl::PROGRAM,
    &gnutls_cli::PROGRAM,
    &go::PROGRAM,
    &java::PROGRAM,
    &node::PROGRAM,
    &openssl::PROGRAM,
    &python::PROGRAM,
    &wget::PROGRAM,
];

/// Variables that switch a program's verification off, or lead it elsewhere by other means than those of
/// [`crate::host::TRUST_VARIABLES`]. [`StoreChoice::Files`] removes both kinds from the program's environment; `OPENSSL_CONF` stays: it
/// sets the policy, not the store.
const OVERRIDING_VARIABLES: &[&str] = &[
    "GIT_SSL_CAPATH",
    "GIT_SSL_NO_VERIFY",
    "JDK_JAVA_OPTIONS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_USE_SYSTEM_CA",
    "_JAVA_OPTIONS",
];

/// The handshake is with the address asked for, not with a proxy.
const PROXY_VARIABLES: &[&str] =
    &["ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ftp_proxy", "http_proxy", "https_proxy"];

/// A place where no store is, for options and variables that have no way to say "none". Go wants a path that is missing rather than one
/// that can't be read (`crypto/x509/root_unix.go` keeps the first error that is not "does not exist").
const NO_STORE: &str = "/nonexistent";

/// Seconds for a program to say its version.
const FIND_SECONDS: u64 = 10;

/// Seconds for a program to start, and to end by itself after its own deadline. A JVM that compiles its source needs 1 to 2 on a busy
/// machine.
const GRACE_SECONDS: u64 = 5;

/// A TLS client that may be installed.
pub struct Program {
    /// The identifier: the command's name.
    pub id: &'static str,
    /// A name for people.
    pub title: &'static str,
    find: fn(&dyn Exec) -> Option<Found>,
    ask: fn(&dyn Exec, &Found, &Ask) -> Answer,
}

/// A program that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The command as it is run; the search path decides which file that is.
    pub command: &'static str,
    /// The program's version, as it says itself: `7.88.1`.
    pub version: String,
    /// The TLS library and its version, where the program says it: `OpenSSL 3.0.19`.
    pub library: Option<String>,
    /// The client that models it (an identifier for `--client`): `curl-7.88.1`; `None` when no profile stands for this build, such as
    /// curl with another library than OpenSSL.
    pub profile_id: Option<String>,
}

/// One handshake to make.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The name (or address) that the certificate must be for.
    pub host: String,
    /// The name or address to connect to, and the port.
    pub connect: (String, u16),
    /// The name to send in SNI; `None` sends none. Clients send none by themselves when [`Ask::host`] is an address.
    pub servername: Option<String>,
    /// The protocol to speak before TLS.
    pub starttls: Option<StartTls>,
    /// Which anchors.
    pub store: StoreChoice,
    /// Seconds for the connection and the handshake.
    pub seconds: u64,
}

/// Which anchors a program is to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// Its own, wherever its build, its configuration and the environment lead it.
    System,
    /// These, and no others; paths on this host.
    Files {
        /// A bundle in PEM.
        file: Option<String>,
        /// A hash directory.
        directory: Option<String>,
    },
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it accepts the server's certificate for the name; `None`: it could not be asked, and [`Answer::text`] says why.
    pub trusted: Option<bool>,
    /// For a refusal, its own code: the `X509_V_ERR` number (openssl, python), the exit status (curl, wget, gnutls-cli), Node's code, the
    /// innermost Java exception, Go's error type.
    pub code: Option<String>,
    /// Its own words, on one line; empty when it accepts silently.
    pub text: String,
}

impl Program {
    /// Whether the program is installed, and which version.
    pub fn find(&self, exec: &dyn Exec) -> Option<Found> {
        (self.find)(exec)
    }

    /// Asks the program, which [`Program::find`] found.
    pub fn ask(&self, exec: &dyn Exec, found: &Found, ask: &Ask) -> Answer {
        for name in [&ask.host, &ask.connect.0].into_iter().chain(&ask.servername) {
            if !is_plain(name) {
                return Answer::not_asked(format!("`{name}` is no host name or address that can stand in a command or a URL"));
            }
        }
        (self.ask)(exec, found, ask)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Every program that is installed, in the order of [`ALL`].
pub fn installed(exec: &dyn Exec) -> Vec<(&'static Program, Found)> {
    ALL.iter().filter_map(|program| Some((*program, program.find(exec)?))).collect()
}

impl Answer {
    fn trusted(text: &str) -> Self {
        Answer { trusted: Some(true), code: None, text: one_line(text) }
    }

    fn refused(code: impl Into<String>, text: &str) -> Self {
        Answer { trusted: Some(false), code: Some(code.into()), text: one_line(text) }
    }

    fn not_asked(why: impl AsRef<str>) -> Self {
        Answer { trusted: None, code: None, text: one_line(why.as_ref()) }
    }
}

impl Ask {
    /// Runs `argv` as [`Ask::store`] wants it, with these variables on top; failing to run it is an answer too.
    fn run(&self, exec: &dyn Exec, argv: &[&str], stdin: &str, variables: &[(&str, Option<&str>)]) -> Result<Output, Answer> {
        let mut environment = plain_environment();
        if self.store != StoreChoice::System {
            environment.extend(TRUST_VARIABLES.iter().chain(OVERRIDING_VARIABLES).map(|name| (*name, None)));
        }
        environment.extend_from_slice(variables);
        let seconds = self.seconds.saturating_add(GRACE_SECONDS);
        exec.run(argv, stdin.as_bytes(), &environment, seconds).map_err(|error| {
            Answer::not_asked(match error.kind() {
                io::ErrorKind::NotFound => format!("no program `{}`", argv[0]),
                io::ErrorKind::TimedOut => format!("no answer within {seconds} s"),
                _ => format!("{}: {error}", argv[0]),
            })
        })
    }

    /// The bundle and the directory, if they are not the program's own choice.
    fn files(&self) -> Option<(Option<&str>, Option<&str>)> {
        match &self.store {
            StoreChoice::System => None,
            StoreChoice::Files { file, directory } => Some((file.as_deref(), directory.as_deref())),
        }
    }

    /// The variables by which OpenSSL's defaults (and Go) become exactly [`Ask::files`].
    fn store_variables(&self) -> Vec<(&'static str, Option<&str>)> {
        self.files().map_or_else(Vec::new, |(file, directory)| {
            vec![("SSL_CERT_FILE", Some(file.unwrap_or(NO_STORE))), ("SSL_CERT_DIR", Some(directory.unwrap_or(NO_STORE)))]
        })
    }

    /// For programs that derive SNI from the name that they verify: an answer, if that is not what is wanted.
    fn needs_usual_servername(&self) -> Result<(), Answer> {
        let usual = if is_address(&self.host) { None } else { Some(&self.host) };
        if self.servername.as_ref() == usual {
            return Ok(());
        }
        Err(Answer::not_asked("it sends the name that it verifies, and no other, in SNI"))
    }

    /// For programs without any protocol before TLS: an answer, if one is wanted.
    fn needs_no_starttls(&self) -> Result<(), Answer> {
        self.starttls.map_or(Ok(()), |protocol| Err(cannot_start(protocol)))
    }

    /// For programs that can't be sent to another address than that of the name: an answer, if they would end elsewhere. Otherwise the
    /// addresses of the name; none if nothing had to be looked up.
    fn needs_own_address(&self, exec: &dyn Exec) -> Result<Vec<IpAddr>, Answer> {
        let (place, _) = &self.connect;
        if place.eq_ignore_ascii_case(&self.host) {
            return Ok(Vec::new());
        }
        let elsewhere = || Answer::not_asked(format!("it can't be sent to {place} instead of to the address of {}", self.host));
        let wanted: IpAddr = place.parse().map_err(|_| elsewhere())?;
        let addresses = addresses(exec, &self.host);
        if addresses.contains(&wanted) { Ok(addresses) } else { Err(elsewhere()) }
    }

    /// `https://host:port/`.
    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}:{}/", bracketed(&self.host), self.connect.1)
    }
}

/// No program has this protocol's first steps.
fn cannot_start(protocol: StartTls) -> Answer {
    Answer::not_asked(format!("it doesn't speak {} before TLS", protocol.name()))
}

/// English, and no proxy.
fn plain_environment() -> Vec<(&'static str, Option<&'static str>)> {
    let mut environment = vec![("LC_ALL", Some("C")), ("LANGUAGE", None)];
    environment.extend(PROXY_VARIABLES.iter().map(|name| (*name, None)));
    environment
}

/// What `argv` prints about itself, standard output first; `None` when it is not there or fails.
fn says(exec: &dyn Exec, argv: &[&str]) -> Option<String> {
    let output = exec.run(argv, b"", &plain_environment(), FIND_SECONDS).ok()?;
    (output.status == Some(0)).then(|| text_of(&output))
}

/// The addresses of a name, as the C library finds them: `getent ahosts` (glibc, musl-utils); none where there is no such command.
fn addresses(exec: &dyn Exec, host: &str) -> Vec<IpAddr> {
    let said = says(exec, &["getent", "ahosts", host]).unwrap_or_default();
    let mut found: Vec<IpAddr> =
        said.lines().filter_map(|line| line.split_whitespace().next()).filter_map(|word| word.parse().ok()).collect();
    found.sort();
    found.dedup();
    found
}

/// Standard output, then standard error.
fn text_of(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The exit status, as a code.
fn status_of(output: &Output) -> String {
    output.status.map_or_else(|| "killed".into(), |status| status.to_string())
}

/// The last line that says anything: where most programs say why they gave up.
fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it ended without a word")
}

/// The version that follows `before` in `text`: digits first, then to the next space or comma.
fn version_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let version = rest.split(|c: char| c.is_whitespace() || c == ',').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

/// The numbers of a version: `1.1.1w` is (1, 1, 1).
fn numbers(version: &str) -> (u32, u32, u32) {
    let mut parts = version.split('.').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        part[..digits].parse().unwrap_or(0)
    });
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Whether `text` is made of nothing but what names and addresses are made of, so that it is neither an option nor a part of a URL other
/// than the host.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
        && (!text.contains(':') || is_address(text))
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// An IPv6 address in brackets, anything else as it is.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Text from a program, and so from a server, for a terminal: one line, no control characters, of bounded length.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The line in which one of our scripts tells its verdict.
#[derive(Deserialize)]
struct Told {
    verdict: String,
    code: Option<String>,
    text: String,
}

/// The answer of a script; what it printed around its line (warnings) doesn't matter.
fn told(output: &Output) -> Answer {
    let text = text_of(output);
    let line = text.lines().filter(|line| line.starts_with('{')).find_map(|line| serde_json::from_str::<Told>(line).ok());
    match line {
        Some(Told { verdict, text, .. }) if verdict == "trusted" => Answer::trusted(&text),
        Some(Told { verdict, code, text }) if verdict == "refused" => {
            Answer { trusted: Some(false), code, text: one_line(&text) }
        }
        Some(Told { text, .. }) => Answer::not_asked(text),
        None => Answer::not_asked(last_line(&text)),
    }
}

/// The answer in a `Result` whose error is an answer too.
fn either(answer: Result<Answer, Answer>) -> Answer {
    answer.unwrap_or_else(|answer| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_plain_names() {
        for good in ["localhost", "a-b.example.com", "127.0.0.1", "::1", "2001:db8::1", "_dmarc.example.com"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "-x", "a/b", "a@b", "a b", "a:443", "a%25b", "bücher.example", "a\nb", "[::1]"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn reads_versions() {
        assert_eq!(version_after("OpenSSL 3.0.19 27 Jan 2026", "OpenSSL "), Some("3.0.19"));
        assert_eq!(version_after("wget2 is something else", "GNU Wget "), None);
        assert_eq!(numbers("1.1.1w"), (1, 1, 1));
        assert_eq!(numbers("3.10"), (3, 10, 0));
        assert!(numbers("1.0.2u") < (1, 1, 0));
    }

    #[test]
    fn keeps_control_characters_off_the_terminal() {
        assert_eq!(one_line("  a\x1b[31m\n\tb  "), "a [31m b");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), 401);
    }

    #[test]
    fn is_sorted() {
        assert!(ALL.is_sorted_by_key(|program| program.id));
        assert!(OVERRIDING_VARIABLES.is_sorted());
        assert!(OVERRIDING_VARIABLES.iter().all(|name| !TRUST_VARIABLES.contains(name)));
    }
}
