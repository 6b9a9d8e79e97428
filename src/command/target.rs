//! From what a person types to a [`Target`].

use crate::{
    base::TreePath,
    cli::Connection,
    facts::{StartTls, Target, TargetSource},
};

/// Schemes that are known: name, port, protocol to speak before TLS.
const SCHEMES: &[(&str, u16, Option<StartTls>)] = &[
    ("amqps", 5671, None),
    ("ftp", 21, Some(StartTls::Ftp)),
    ("ftps", 990, None),
    ("https", 443, None),
    ("imap", 143, Some(StartTls::Imap)),
    ("imaps", 993, None),
    ("ircs", 6697, None),
    ("ldap", 389, Some(StartTls::Ldap)),
    ("ldaps", 636, None),
    ("lmtp", 24, Some(StartTls::Lmtp)),
    ("mqtts", 8883, None),
    ("mysql", 3306, Some(StartTls::Mysql)),
    ("nntp", 119, Some(StartTls::Nntp)),
    ("nntps", 563, None),
    ("pop3", 110, Some(StartTls::Pop3)),
    ("pop3s", 995, None),
    ("postgres", 5432, Some(StartTls::Postgres)),
    ("postgresql", 5432, Some(StartTls::Postgres)),
    ("rediss", 6379, None),
    ("sieve", 4190, Some(StartTls::Sieve)),
    ("smtp", 25, Some(StartTls::Smtp)),
    ("smtps", 465, None),
    ("submission", 587, Some(StartTls::Smtp)),
    ("tls", 443, None),
    ("wss", 443, None),
    ("xmpp", 5222, Some(StartTls::Xmpp)),
    ("xmpp-server", 5269, Some(StartTls::XmppServer)),
    ("xmpps", 5223, None),
];

/// Endings that make a bare word a file.
const FILE_ENDINGS: &[&str] = &[".pem", ".crt", ".cer", ".der", ".p7b", ".p7c"];

/// Text that is no target, and what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No TLS under this scheme.
    #[error("`{0}`: http has no TLS; write https://…")]
    Http(String),
    /// A scheme that is not known.
    #[error("`{0}`: unknown scheme; write host:port and --starttls PROTO")]
    Scheme(String),
    /// A port that is no number from 1 to 65535.
    #[error("`{0}`: the port must be a number from 1 to 65535")]
    Port(String),
    /// Nothing where the host should be.
    #[error("`{0}`: no host; write host, host:port, a URL, a file, or - for standard input")]
    Host(String),
}

/// Reads one target. `cwd` is where relative file names count from; a bare word is a host unless it holds a slash or ends as
/// certificate files do.
///
/// # Errors
/// [`TargetError`].
pub fn parse(text: &str, connection: &Connection, cwd: &TreePath) -> Result<Target, TargetError> {
    let name = |host: Option<String>| match connection.verify_hostname.as_deref() {
        Some("none") => None,
        Some(name) => Some(name.to_owned()),
        None => host,
    };
    if text == "-" {
        return Ok(Target { text: text.to_owned(), source: TargetSource::Stdin, host: name(None) });
    }
    let lower = text.to_ascii_lowercase();
    if !text.contains("://") && (text.contains('/') || FILE_ENDINGS.iter().any(|e| lower.ends_with(e))) {
        return Ok(Target { text: text.to_owned(), source: TargetSource::File(cwd.join(text)), host: name(None) });
    }
    let (default_port, starttls, rest) = match lower.split_once("://") {
        Some(("http", _)) => return Err(TargetError::Http(text.to_owned())),
        Some((scheme, _)) => {
            let (_, port, starttls) =
                SCHEMES.iter().find(|(name, ..)| *name == scheme).ok_or_else(|| TargetError::Scheme(text.to_owned()))?;
            (*port, *starttls, &text[scheme.len() + 3..])
        }
        None => (443, None, text),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A URL may carry a user.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let starttls = connection.starttls.or(starttls);
    let default_port = match connection.starttls {
        Some(protocol) => StartTls::ALL.iter().find(|(_, p, _)| *p == protocol).map_or(default_port, |(.., port)| *port),
        None => default_port,
    };
    let (host, port) = host_port(authority, default_port).map_err(|e| e.name(text))?;
    let check = connection.servername.as_deref().filter(|n| *n != "none").unwrap_or(&host).to_owned();
    Ok(Target { text: text.to_owned(), source: TargetSource::Server { host, port, starttls }, host: name(Some(check)) })
}

/// The address of `--connect`.
///
/// # Errors
/// [`TargetError`].
pub fn address(text: &str) -> Result<(String, u16), TargetError> {
    host_port(text, 443).map_err(|e| e.name(text))
}

enum Part {
    Host,
    Port,
}

impl Part {
    fn name(self, text: &str) -> TargetError {
        match self {
            Part::Host => TargetError::Host(text.to_owned()),
            Part::Port => TargetError::Port(text.to_owned()),
        }
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, bare `v6`.
fn host_port(text: &str, default_port: u16) -> Result<(String, u16), Part> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(Part::Host)?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(Part::Port)?) })
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Part::Host);
    }
    let port = match port {
        None => default_port,
        Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or(Part::Port)?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> (String, u16, Option<StartTls>, Option<String>) {
        let target = parse(text, &Connection::default(), &TreePath::root()).expect("a target");
        match target.source {
            TargetSource::Server { host, port, starttls } => (host, port, starttls, target.host),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_hosts_and_urls() {
        let host = |h: &str| Some(h.to_owned());
        assert_eq!(server("example.com"), ("example.com".into(), 443, None, host("example.com")));
        assert_eq!(server("example.com:8443"), ("example.com".into(), 8443, None, host("example.com")));
        assert_eq!(server("https://user@example.com/a?b"), ("example.com".into(), 443, None, host("example.com")));
        assert_eq!(server("smtp://mx.example.com"), ("mx.example.com".into(), 25, Some(StartTls::Smtp), host("mx.example.com")));
        assert_eq!(server("postgres://db:5433/x"), ("db".into(), 5433, Some(StartTls::Postgres), host("db")));
        assert_eq!(server("[::1]:8443"), ("::1".into(), 8443, None, host("::1")));
        assert_eq!(server("::1"), ("::1".into(), 443, None, host("::1")));
    }

    #[test]
    fn reads_files_and_standard_input() {
        let cwd = TreePath::new("/home/me");
        let source = |text: &str| parse(text, &Connection::default(), &cwd).expect("a target").source;
        assert_eq!(source("-"), TargetSource::Stdin);
        assert_eq!(source("chain.pem"), TargetSource::File(TreePath::new("/home/me/chain.pem")));
        assert_eq!(source("./chain"), TargetSource::File(TreePath::new("/home/me/chain")));
        assert_eq!(source("/tmp/x"), TargetSource::File(TreePath::new("/tmp/x")));
    }

    #[test]
    fn honours_the_options_of_s_client() {
        let connection = Connection {
            starttls: Some(StartTls::Imap),
            servername: Some("imap.example.com".into()),
            verify_hostname: None,
            ..Connection::default()
        };
        let target = parse("10.0.0.1", &connection, &TreePath::root()).expect("a target");
        assert_eq!(target.host.as_deref(), Some("imap.example.com"));
        assert!(matches!(target.source, TargetSource::Server { port: 143, starttls: Some(StartTls::Imap), .. }));
        let unchecked = Connection { verify_hostname: Some("none".into()), ..Connection::default() };
        assert_eq!(parse("x", &unchecked, &TreePath::root()).expect("a target").host, None);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| parse(text, &Connection::default(), &TreePath::root()).expect_err("no target").to_string();
        assert_eq!(error("http://x"), "`http://x`: http has no TLS; write https://…");
        assert!(error("gopher://x").contains("unknown scheme"));
        assert!(error("x:0").contains("port"));
        assert!(error("https://").contains("no host"));
    }
}
